//! Scenes and point clouds.
#![forbid(unsafe_code)]

mod babylon;
mod columns;
mod dae;
mod decimal;
mod e57;
mod fbx;
mod glb;
mod gltf;
mod las;
mod mtl;
mod obj;
mod off;
mod operations;
mod parallel;
mod pcd;
mod pictures;
mod ply;
mod pts_json;
mod rows;
mod stl;
#[cfg(test)]
mod testing;
mod text;
mod threemf;
mod vertex;
mod world;
mod xml;
mod xyz_points;
