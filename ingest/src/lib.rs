//! The store and the parallel pipeline: folders of mixed media in, content-addressed assets and one manifest row a record
//! out.
//!
//! ```text
//! inputs ──walk──▶ workers ──rows + temporary files──▶ commit ──▶ objects/, then runs/<run>/journal.jsonl
//!                  (byte gate)                          (batched fsync)   at the end: runs/<run>/part-00000.parquet
//! ```
//!
//! - [`Store`]: the folder, its version and its lock; [`Store::records`] and [`Store::find`] read it.
//! - [`ingest`], [`IngestOptions`], [`Event`], [`Summary`]: the pipeline.
//! - [`Row`]: one record or one failure; the same in the journal and in the manifest.
//! - [`verify`], [`Report`]: whether a store is whole.
//!
//! ```no_run
//! use mediary_core::Registry;
//! use mediary_ingest::{Event, IngestOptions, Store, ingest, verify};
//!
//! # fn main() -> mediary_core::Result<()> {
//! let store = Store::create_or_open("store")?;
//! let summary = ingest(&store, &Registry::builtin(), &["photos".into()], &IngestOptions::default(), &|event| {
//!     if let Event::Row(row) = event && row.is_error() {
//!         eprintln!("{}", row.error_json());
//!     }
//! })?;
//! println!("{}", summary.to_json());
//! for row in store.records()? {
//!     println!("{}", row?.path());
//! }
//! assert!(verify(&store, true)?.is_whole());
//! # Ok(())
//! # }
//! ```
//!
//! # How inputs are called
//! By their root and their path below it. The root is the folder that was given, or the folder of a file that was given, called
//! by the shortest end of its path that tells it from the other folders of the store (`data`, `b/data`; `data~2` when there is
//! none). It keeps that name, and no other folder gets it: a folder that was moved is a new root. An input of the same root and
//! path replaces the one of an earlier run.
//!
//! # The promise
//! A store is whole at every moment, also after `kill -9` and after power loss: objects are written under temporary names,
//! synced and renamed; only then are the rows that name them appended and synced; the manifest replaces the journal by a rename.
//! What was not committed is done again by the next run; what was is not.
//!
//! Inputs must not be cut short while they are read: files from 16 MiB on are memory-mapped by some readers, and a map that
//! loses its end is a fault of the process (SIGBUS). A change of such a file, or of a file beside the input, during the conversion is noticed and is an error row.
#![forbid(unsafe_code)]

mod gate;
mod hints;
mod identity;
mod journal;
mod manifest;
mod objects;
mod pipeline;
mod records;
mod roots;
mod row;
mod store;
mod verify;
mod walk;
mod worker;

pub use objects::Durability;
pub use pipeline::{AssetPolicy, Event, IngestOptions, Outcome, Summary, ingest};
pub use records::Records;
pub use row::{Row, Status};
pub use store::Store;
pub use verify::{Damage, Report, verify};
pub use walk::WalkOptions;
