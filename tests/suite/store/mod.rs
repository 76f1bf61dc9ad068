//! The store and the pipeline from outside, with formats made for the purpose.
#![expect(clippy::print_stdout, reason = "the other process of a test reports to its parent")]

mod formats;
mod kill;
mod pipeline;
mod whole;
