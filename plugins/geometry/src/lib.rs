//! Scenes and point clouds.
#![forbid(unsafe_code)]

mod mtl;
mod obj;
mod ply;
mod stl;
mod text;
mod vertex;
mod world;
