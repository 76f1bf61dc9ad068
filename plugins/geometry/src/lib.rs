//! Scenes and point clouds.
#![forbid(unsafe_code)]

mod glb;
mod pts_json;
mod triangulate;
