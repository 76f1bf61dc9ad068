//! Scenes and point clouds.
#![forbid(unsafe_code)]

mod babylon;
mod glb;
mod gltf;
mod mtl;
mod obj;
mod off;
mod pictures;
mod ply;
mod pts_json;
mod stl;
#[cfg(test)]
mod testing;
mod text;
mod threemf;
mod triangulate;
mod vertex;
mod world;
