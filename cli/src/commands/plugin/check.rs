//! `mediary plugin check`: the conformance checks of the built-in formats, on a plugin.

use std::path::{Path, PathBuf};

use mediary::{Error, FormatInfo, Registry};
use mediary_loader::{Plugins, Search};
use serde_json::json;

use super::ids;
use crate::args::PluginCheckArgs;
use crate::output::{Screen, text};
use crate::{Exit, Session};

/// Folders above the plugin in which `samples` is looked for: `target/release/plugin.so` lies two below.
const UP: usize = 5;

pub(crate) fn run(session: &Session, args: &PluginCheckArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    let plugin = mediary_loader::inspect(&args.file)?;
    let manifest = &plugin.manifest;
    // The same plugin may have been added: here it stands beside the built-in formats alone.
    let mut registry = Registry::builtin();
    let found = Plugins::discover(&Search::files([args.file.clone()]));
    if let Some(refusal) = found.register(&mut registry, session.global.isolate.into()).into_iter().next() {
        return Err(refusal.error.into());
    }
    if !screen.json {
        let page = format!(
            "{} {}: {}\nbuilt by {}\n\n",
            text::clean(&manifest.name),
            text::clean(&manifest.version),
            ids(&manifest.formats),
            text::clean(&plugin.builder)
        );
        screen.text(&page)?;
        screen.flush()?;
    }
    let near = if args.samples.is_empty() { samples_near(&args.file) } else { None };
    let given = near.as_ref().map_or(&args.samples[..], std::slice::from_ref);
    let mut sound = true;
    for info in &manifest.formats {
        if session.interrupt.cancel().is_cancelled() {
            return Ok(Exit::Interrupted);
        }
        let samples = samples(given, info, manifest.formats.len() == 1)?;
        let report = mediary_conformance::check(&registry, info.id, &samples);
        sound &= report.is_ok();
        if screen.json {
            let mut json = report.to_json();
            json["plugin"] = json!({ "name": manifest.name, "version": manifest.version });
            screen.json(&json)?;
        } else {
            screen.text(&format!("{}\n", shown(&report)))?;
        }
        if samples.is_empty() && info.reads {
            screen.note(&format!("no samples of {}: name some, or put them into a folder `samples`", info.id));
        }
        screen.flush()?;
    }
    Ok(if sound { Exit::Good } else { Exit::Failed })
}

/// Messages may quote what a file says.
fn shown(report: &mediary_conformance::Report) -> String {
    report.to_string().lines().map(|line| format!("{}\n", text::clean(line))).collect()
}

/// The folder `samples` of the crate that a plugin was built in, or of the working folder.
fn samples_near(plugin: &Path) -> Option<PathBuf> {
    let plugin = plugin.canonicalize().ok()?;
    let above = plugin.ancestors().skip(1).take(UP).map(|folder| folder.join("samples"));
    above.chain([PathBuf::from("samples")]).find(|folder| folder.is_dir())
}

/// The samples of a format: of folders what has its extension, of files that too, or all when there is no other format.
fn samples(given: &[PathBuf], info: &FormatInfo, only: bool) -> mediary::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in given {
        let metadata = path.metadata();
        let metadata = metadata.map_err(|e| Error::io("cannot open", e).with_path(path.display().to_string()))?;
        if metadata.is_dir() {
            found.extend(mediary_conformance::samples(info, path));
        } else if only || info.claims(&crate::plugins::file_name(path)) {
            found.push(path.clone());
        }
    }
    Ok(found)
}
