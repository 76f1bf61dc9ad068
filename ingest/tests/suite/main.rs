//! The store and the pipeline from outside, with formats made for the purpose.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests fail by panicking and report to the terminal")]

mod formats;
mod kill;
mod pipeline;
mod store;
