//! The plugins of a run. They are looked for before the command line is parsed: help and completions name their formats.

use std::path::Path;

use mediary::{Error, Registry};
use mediary_loader::{Found, Isolation, Place, Refusal, Search};

use crate::args::{Early, Isolate};

impl From<Isolate> for Isolation {
    fn from(isolate: Isolate) -> Self {
        match isolate {
            Isolate::Auto => Self::Auto,
            Isolate::Process => Self::Process,
            Isolate::None => Self::None,
        }
    }
}

/// What was found, and what of it is not used.
#[derive(Debug, Default)]
pub(crate) struct Plugins {
    found: Vec<Found>,
    /// Those that were accepted by their files, and could not be registered.
    refusals: Vec<Refusal>,
}

impl Plugins {
    /// Finds plugins and adds their formats. Loads none.
    pub(crate) fn find(registry: &mut Registry, early: &Early) -> Self {
        let files = early.plugins.iter().cloned();
        let search = if early.no_plugins { Search::files(files) } else { Search::usual(files, !early.untrusted) };
        let plugins = mediary_loader::Plugins::discover(&search);
        let refusals = plugins.register(registry, early.isolate.into());
        Self { found: plugins.found, refusals }
    }

    /// Everything that was looked at, and why it is not used if it is not.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Found, Option<&Error>)> {
        self.found.iter().map(|found| {
            let refused = match &found.outcome {
                Err(error) => Some(error),
                Ok(accepted) => {
                    let own = |refusal: &&Refusal| refusal.path == accepted.plugin.path;
                    self.refusals.iter().find(own).map(|refusal| &refusal.error)
                }
            };
            (found, refused)
        })
    }

    /// Numbers of plugins in use, and of those refused.
    pub(crate) fn tally(&self) -> (usize, usize) {
        let refused = self.all().filter(|(_, refused)| refused.is_some()).count();
        (self.found.len() - refused, refused)
    }

    /// Why a plugin that the command line names is not used, or why there are no worker processes: what was asked for is not
    /// to be had.
    pub(crate) fn failure(&self) -> Option<&Error> {
        let named = self.all().filter(|(found, _)| found.place == Place::Named).find_map(|(_, refused)| refused);
        let of_none = |refusal: &&Refusal| refusal.path.as_os_str().is_empty();
        named.or_else(|| self.refusals.iter().find(of_none).map(|refusal| &refusal.error))
    }

    /// A line for each plugin of the usual folders that is not used.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = String> {
        let unnamed = self.all().filter(|(found, _)| found.place != Place::Named);
        unnamed.filter_map(|(_, refused)| refused).map(|error| format!("plugin refused: {error}"))
    }
}

/// The name of a file without its folder, for people.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
