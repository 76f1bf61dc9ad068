//! Tables, arrays, histograms and documents.

#![forbid(unsafe_code)]

mod csv;
mod histogram;
mod html;
mod npy;
mod parquet;
