//! Molecules: Protein Data Bank files, XYZ, mmCIF.
#![forbid(unsafe_code)]

mod bonds;
mod elements;
mod mmcif;
mod models;
mod pdb;
mod records;
mod template;
mod text;
mod xyz;

#[cfg(test)]
mod torture;
