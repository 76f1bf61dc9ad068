//! Scenes and point clouds.
#![forbid(unsafe_code)]

mod glb;
mod mtl;
mod obj;
mod off;
mod operations;
mod ply;
mod pts_json;
mod stl;
#[cfg(test)]
mod testing;
mod text;
mod vertex;
mod world;

use mediary_core::record::triangulate;
