//! Molecules: Protein Data Bank files, PQR, mmCIF, BinaryCIF, CIF, SDF and molfiles, MOL2, GRO, XYZ, MMTF.
#![forbid(unsafe_code)]

mod bcif;
mod bonds;
mod cell;
mod cif;
mod columns;
mod contents;
mod elements;
mod frames;
mod gro;
mod losses;
mod mmcif;
mod mmtf;
mod models;
mod mol2;
mod msgpack;
mod names;
mod numbers;
mod pdb;
#[cfg(feature = "pdbtbx")]
pub mod pdbtbx;
mod pqr;
mod records;
mod sdf;
mod template;
mod text;
mod xyz;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod torture;
