//! Video: one module a format.
#![forbid(unsafe_code)]

mod mp4;

#[cfg(test)]
mod tests;
