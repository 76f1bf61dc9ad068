//! Video: one module a format.
#![forbid(unsafe_code)]

mod mp4;
