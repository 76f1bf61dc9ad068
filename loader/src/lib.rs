//! Formats from dynamically loaded plugins.
//!
//! ```text
//! file ──inspect──▶ stamp + manifest ──▶ PluginFormat in the Registry ──Connection──┬─ Direct: dlopen, the C tables
//!                   (nothing loaded)                                               └─ worker process: frames ─▶ Direct
//! ```
//!
//! ```no_run
//! use mediary_core::Registry;
//! use mediary_loader::{Isolation, Plugins, Search};
//! let mut registry = Registry::builtin();
//! let plugins = Plugins::discover(&Search::usual([], true));
//! for refusal in plugins.register(&mut registry, Isolation::Auto) {
//!     eprintln!("{}", refusal.error);
//! }
//! ```

mod connection;
mod direct;
mod format;
mod host;
mod inspect;
mod library;
mod lock;
mod plugins;
mod rules;
mod search;
mod table;
#[cfg(all(test, target_os = "linux"))]
mod tests;
pub mod worker;

pub(crate) use connection::{Connection, Session, failed};
pub use inspect::{Inspected, inspect};
pub use lock::{Added, Locked, add, remove};
pub use plugins::{Isolation, Plugins, Refusal};
pub use search::{Accepted, Found, Place, Search, user_folder};
