//! Formats from dynamically loaded plugins.
//!
//! ```text
//! file ──inspect──▶ stamp + manifest ──▶ PluginFormat in the Registry ──Connection──┬─ Direct: dlopen, the C tables
//!                   (nothing loaded)                                               └─ worker process: frames ─▶ Direct
//! ```

mod connection;
pub mod worker;

pub(crate) use connection::{Connection, Session};
