//! `mediary plugin remove`: out of the user's plugin folder.

use serde_json::json;

use super::folder;
use crate::Exit;
use crate::args::PluginRemoveArgs;
use crate::output::Screen;

pub(crate) fn run(args: &PluginRemoveArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    let path = mediary_loader::remove(&args.name, &folder()?)?.display().to_string();
    if screen.json {
        screen.json(&json!({ "type": "removed", "name": args.name, "path": path }))?;
    } else {
        screen.text(&format!("removed {path}\n"))?;
    }
    Ok(Exit::Good)
}
