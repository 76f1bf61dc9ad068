//! [`Plugins`]: from what was found to formats in the registry.

use std::path::PathBuf;
use std::sync::Arc;

use mediary_core::plugin::Manifest;
use mediary_core::{Error, Origin, Registry, Result};

use crate::Connection;
use crate::direct::Direct;
use crate::format::PluginFormat;
use crate::inspect::refused;
use crate::library::{self, Library};
use crate::search::{self, Accepted, Found, Search};
use crate::worker::{self, WorkerCommand};

/// Where formats run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Isolation {
    /// Loaded plugins in worker processes, built-in formats in this one.
    #[default]
    Auto,
    /// Everything in worker processes.
    Process,
    /// Everything in this process: what a plugin does wrong, this process does.
    None,
}

/// A plugin whose formats are not in the registry.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub error: Error,
}

/// The plugins that were found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Plugins {
    /// All that was looked at, in order; earlier ones have their ids first.
    pub found: Vec<Found>,
    /// What becomes a worker process.
    pub worker: WorkerCommand,
}

impl Plugins {
    /// Looks for plugins. Reads what their files say; loads nothing.
    #[must_use]
    pub fn discover(search: &Search) -> Self {
        Self { found: search::search(search), worker: WorkerCommand::default() }
    }

    /// Adds the formats of all accepted plugins. They are loaded when a file needs them. What is not added, and why: one whose
    /// id is taken is refused whole. Those that were refused when they were found are in [`found`](Self::found). With
    /// [`Isolation::Process`] the built-in formats move to worker processes first.
    pub fn register(&self, registry: &mut Registry, isolation: Isolation) -> Vec<Refusal> {
        if isolation == Isolation::Process {
            match worker::isolate(registry, &self.worker) {
                Ok(isolated) => *registry = isolated,
                Err(error) => return vec![Refusal { path: PathBuf::new(), error }],
            }
        }
        let accepted = self.found.iter().filter_map(|found| found.outcome.as_ref().ok());
        let refusals = accepted.filter_map(|accepted| {
            let path = accepted.plugin.path.clone();
            let error = self.register_one(accepted, registry, isolation).err()?;
            Some(Refusal { error: error.with_path(path.display().to_string()), path })
        });
        refusals.collect()
    }

    fn register_one(&self, accepted: &Accepted, registry: &mut Registry, isolation: Isolation) -> Result<()> {
        let plugin = &accepted.plugin;
        let manifest = &plugin.manifest;
        let sha256 = match &accepted.locked {
            // Compared when it is loaded.
            Some(locked) => locked.sha256.clone(),
            None => {
                let (sha256, metadata) = library::sha256(&plugin.path)?;
                if !plugin.is_still(&metadata) {
                    return Err(refused("the file has changed since it was looked at"));
                }
                sha256
            }
        };
        let origin = Origin::Plugin {
            name: format!("{} {}", manifest.name, manifest.version),
            path: plugin.path.clone(),
            sha256: sha256.clone(),
        };
        let library = Library::of(plugin.path.clone(), sha256);
        let connection = self.connect(library, manifest, isolation);
        // Whole or not at all: a format whose id is taken comes first, and is refused.
        let mut formats: Vec<_> = manifest.formats.iter().collect();
        formats.sort_by_key(|info| registry.origin(info.id).is_none());
        for info in formats {
            registry.add_from(PluginFormat::leak(info, Arc::clone(&connection)), origin.clone())?;
        }
        Ok(())
    }

    /// Where a plugin runs is decided here.
    fn connect(&self, library: Arc<Library>, manifest: &Manifest, isolation: Isolation) -> Arc<dyn Connection> {
        match isolation {
            Isolation::None => Arc::new(Direct::new(library)),
            Isolation::Auto | Isolation::Process => worker::plugin(library, manifest, &self.worker),
        }
    }
}
