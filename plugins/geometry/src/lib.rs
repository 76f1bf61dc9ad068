//! Scenes and point clouds.
