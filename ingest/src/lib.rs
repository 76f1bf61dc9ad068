//! The store and the parallel pipeline.
