//! Scenes and point clouds.
#![forbid(unsafe_code)]

mod mtl;
mod obj;
mod ply;
mod stl;
#[cfg(test)]
mod testing;
mod text;
mod vertex;
mod world;
