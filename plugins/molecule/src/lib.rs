//! Molecules.
