//! `mediary plugin add`: into the user's plugin folder, with its hash.

use serde_json::json;

use super::{folder, ids};
use crate::args::PluginAddArgs;
use crate::output::Screen;
use crate::{Exit, Session};

pub(crate) fn run(session: &Session, args: &PluginAddArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    // What it is stands on the screen before it is trusted.
    let plugin = mediary_loader::inspect(&args.file)?;
    let manifest = &plugin.manifest;
    let needs: Vec<_> = manifest.needs.iter().map(|need| need.as_str()).collect();
    if !screen.json {
        screen.text(&format!("{} {}: {}\n", manifest.name, manifest.version, ids(&manifest.formats)))?;
        if !needs.is_empty() {
            screen.text(&format!("needs: {}\n", needs.join(", ")))?;
        }
        screen.flush()?;
    }
    let added = mediary_loader::add(&args.file, &folder()?, &session.registry, session.global.force)?;
    if screen.json {
        screen.json(&json!({
            "type": "plugin",
            "name": added.locked.name,
            "version": added.locked.version,
            "formats": added.formats,
            "needs": needs,
            "path": added.path.display().to_string(),
            "sha256": added.locked.sha256,
            "replaced": added.replaced,
        }))?;
        return Ok(Exit::Good);
    }
    let replaced = added.replaced.map(|version| format!(", instead of version {version}")).unwrap_or_default();
    screen.text(&format!("added {}{replaced}\n", added.path.display()))?;
    Ok(Exit::Good)
}
