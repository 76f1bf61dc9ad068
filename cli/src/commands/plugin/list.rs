//! `mediary plugin list`: what was found, and what of it is refused. Loads nothing.

use mediary::Error;
use mediary_loader::Found;
use serde_json::{Value, json};

use super::ids;
use crate::args::PluginListArgs;
use crate::output::Screen;
use crate::output::text::{self, Paint};
use crate::plugins::file_name;
use crate::{Exit, Session};

pub(crate) fn run(session: &Session, args: &PluginListArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    let all: Vec<_> = session.plugins.all().collect();
    if screen.json {
        for (found, refused) in all {
            screen.json(&to_json(found, refused))?;
        }
    } else if args.why {
        for (found, refused) in all {
            screen.text(&details(screen.paint, found, refused))?;
        }
    } else {
        let rows: Vec<_> = all.iter().map(|(found, refused)| row(found, *refused)).collect();
        screen.text(&text::table(screen.paint, &["name", "version", "formats", "origin", "state"], &rows))?;
        let (_, refused) = session.plugins.tally();
        if refused > 0 {
            screen.note("`mediary plugin list --why` says why plugins are refused");
        }
    }
    if session.plugins.all().next().is_none() {
        screen.note("no plugins were found; `mediary plugin add FILE` adds one");
    }
    Ok(Exit::Good)
}

/// `ready`: it is loaded when a file needs it.
fn state(refused: Option<&Error>) -> &'static str {
    if refused.is_some() { "refused" } else { "ready" }
}

fn row(found: &Found, refused: Option<&Error>) -> Vec<String> {
    let (name, version, formats) = match &found.outcome {
        Ok(accepted) => {
            let manifest = &accepted.plugin.manifest;
            (manifest.name.clone(), manifest.version.clone(), ids(&manifest.formats))
        }
        Err(_) => (file_name(&found.path), String::new(), String::new()),
    };
    vec![
        text::clean(&name).into(),
        text::clean(&version).into(),
        formats,
        found.place.to_string(),
        state(refused).into(),
    ]
}

fn details(paint: Paint, found: &Found, refused: Option<&Error>) -> String {
    let mut rows = Vec::new();
    let title = match &found.outcome {
        Ok(accepted) => {
            let (plugin, manifest) = (&accepted.plugin, &accepted.plugin.manifest);
            rows.push(("formats", ids(&manifest.formats)));
            rows.push(("needs", manifest.needs.iter().map(|need| need.as_str()).collect::<Vec<_>>().join(", ")));
            rows.push(("licence", manifest.license.clone()));
            rows.push(("built by", plugin.builder.clone()));
            rows.push(("added", accepted.locked.as_ref().map(|locked| locked.added.clone()).unwrap_or_default()));
            rows.push(("SHA-256", accepted.locked.as_ref().map(|locked| locked.sha256.clone()).unwrap_or_default()));
            format!("{} {}", manifest.name, manifest.version)
        }
        Err(_) => file_name(&found.path),
    };
    rows.push(("path", found.path.display().to_string()));
    rows.push(("origin", found.place.to_string()));
    rows.push(("state", state(refused).into()));
    rows.push(("why", refused.map(|error| error.message().to_owned()).unwrap_or_default()));
    rows.push(("hint", refused.and_then(Error::hint).unwrap_or_default().to_owned()));
    let mut page = format!("{}\n", paint.title(&text::clean(&title)));
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        page += &format!("  {}  {}\n", paint.key(&format!("{name:8}")), text::clean(value));
    }
    page + "\n"
}

fn to_json(found: &Found, refused: Option<&Error>) -> Value {
    let accepted = found.outcome.as_ref().ok();
    let manifest = accepted.map(|accepted| &accepted.plugin.manifest);
    json!({
        "type": "plugin",
        "path": found.path.display().to_string(),
        "origin": found.place.to_string(),
        "state": state(refused),
        "name": manifest.map(|it| &it.name),
        "version": manifest.map(|it| &it.version),
        "license": manifest.map(|it| &it.license),
        "formats": manifest.map(|it| it.formats.iter().map(|info| info.id).collect::<Vec<_>>()),
        "needs": manifest.map(|it| it.needs.iter().map(|need| need.as_str()).collect::<Vec<_>>()),
        "built_by": accepted.map(|it| &it.plugin.builder),
        "sha256": accepted.and_then(|it| it.locked.as_ref()).map(|locked| &locked.sha256),
        "why": refused.map(Error::to_json),
    })
}
