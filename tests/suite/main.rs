//! The suite: one binary, so that it links once.
//!
//! Every format is judged by what it declares. Files in `tests/data/<id>/` are its samples, those in
//! `tests/data/<id>/malformed/` must be refused or read with a diagnostic. The corpus of real files is used when it lies
//! beside the checkout (`../shared/corpus`) or at `$MEDIARY_CORPUS`; with `MEDIARY_REQUIRE_CORPUS` set it must be there.
//! So it is with ffmpeg and `MEDIARY_REQUIRE_FFMPEG`.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod cli;
mod common;
mod conformance;
mod corpus;
mod docs;
mod facade;
mod header;
mod hostile;
mod ingest;
mod licences;
mod malformed;
mod operations;
mod plugin_cli;
mod plugin_examples;
mod plugin_ffmpeg;
mod plugin_traps;
mod preview;
mod registry;
mod roundtrip;
mod store;
mod tutorial;
mod wire;
