//! `mediary doctor`: what this build is, which settings are in force, and what is missing.

use std::io::IsTerminal;
use std::num::NonZeroUsize;

use mediary::Kind;
use serde_json::{Map, Value, json};

use crate::args::limits_in_force;
use crate::output::{Screen, text};
use crate::{Exit, Session};

/// A line of the report: name, value, remark.
type Row = (&'static str, Value, String);

pub(crate) fn run(session: &Session, screen: &mut Screen) -> anyhow::Result<Exit> {
    let (_, limits) = limits_in_force(&session.global, &session.origins);
    let rows = rows(session);
    let missing = missing(session);
    if screen.json {
        let mut report: Map<String, Value> =
            rows.iter().map(|(name, value, _)| ((*name).into(), value.clone())).collect();
        report.insert(
            "formats_by_kind".into(),
            by_kind(session)
                .into_iter()
                .map(|(kind, reads, writes)| (kind.to_string(), json!({ "read": reads, "write": writes })))
                .collect::<Map<_, _>>()
                .into(),
        );
        report.insert(
            "limits".into(),
            limits
                .iter()
                .map(|it| (it.name.to_owned(), json!({ "value": finite(it.value), "origin": it.origin })))
                .collect::<Map<_, _>>()
                .into(),
        );
        report.insert("missing".into(), missing.into());
        screen.json(&report.into())?;
        return Ok(Exit::Good);
    }
    let paint = screen.paint;
    let mut page = String::new();
    for (name, value, remark) in &rows {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Null => "unknown".into(),
            value => value.to_string(),
        };
        let remark = if remark.is_empty() { String::new() } else { format!(" ({remark})") };
        page += &format!("{}  {}{remark}\n", paint.key(&format!("{name:14}")), text::clean(&value));
    }
    let kinds: Vec<Vec<String>> = by_kind(session)
        .into_iter()
        .map(|(kind, reads, writes)| vec![kind.to_string(), reads.to_string(), writes.to_string()])
        .collect();
    page += &format!("\n{}", text::table(paint, &["formats of", "read", "write"], &kinds));
    let limits: Vec<Vec<String>> = limits
        .iter()
        .map(|it| {
            let value = if it.value == u64::MAX { "unlimited".into() } else { it.value.to_string() };
            vec![it.name.to_owned(), value, it.origin.clone()]
        })
        .collect();
    page += &format!("\n{}", text::table(paint, &["limit", "value", "from"], &limits));
    page += "\n";
    for line in &missing {
        page += &format!("{} {line}\n", paint.odd("missing:"));
    }
    if missing.is_empty() {
        page += "nothing is missing\n";
    }
    screen.text(&page)?;
    Ok(Exit::Good)
}

fn rows(session: &Session) -> Vec<Row> {
    let none = String::new;
    let origins = &session.origins;
    let cores = std::thread::available_parallelism().map(NonZeroUsize::get).ok();
    let folder = std::env::temp_dir();
    let writable = tempfile::tempfile_in(&folder).is_ok();
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let target = format!("{} {}", std::env::consts::ARCH, std::env::consts::OS);
    let color = format!("{:?}", session.global.color).to_lowercase();
    let (plugins, refused) = session.plugins.tally();
    let told = format!("{refused} refused, `mediary plugin list --why` says why");
    let status = mediary_loader::worker::status();
    let workers = if status.processes { "processes of their own" } else { "none: this system has no worker processes" };
    let mut sandbox: Vec<String> = status.landlock.iter().map(|version| format!("landlock {version}")).collect();
    sandbox.extend(status.seccomp.then(|| "seccomp".to_owned()));
    let isolate = format!("{:?}", session.global.isolate).to_lowercase();
    vec![
        ("version", env!("CARGO_PKG_VERSION").into(), none()),
        ("build", build.into(), none()),
        ("target", target.into(), none()),
        ("formats", session.registry.formats().count().into(), none()),
        ("plugins", plugins.into(), if refused == 0 { none() } else { told }),
        ("isolate", isolate.into(), origins.isolate.into()),
        ("workers", workers.into(), none()),
        ("sandbox", sandbox.join(", ").into(), none()),
        ("cores", cores.into(), none()),
        ("jobs", session.global.jobs.map(NonZeroUsize::get).or(cores).into(), origins.jobs.into()),
        ("memory", memory().into(), "bytes of this machine".into()),
        ("temp", folder.display().to_string().into(), if writable { "writable" } else { "not writable" }.into()),
        ("terminal", terminals().into(), none()),
        ("color", color.into(), origins.color.into()),
    ]
}

/// Which of the standard streams are terminals.
fn terminals() -> String {
    let streams = [
        ("stdin", std::io::stdin().is_terminal()),
        ("stdout", std::io::stdout().is_terminal()),
        ("stderr", std::io::stderr().is_terminal()),
    ];
    let found: Vec<_> = streams.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    if found.is_empty() { "none".into() } else { found.join(", ") }
}

/// Bytes of memory, where the system tells it in a file.
fn memory() -> Option<u64> {
    parse_meminfo(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Formats that can be read and written, by kind.
fn by_kind(session: &Session) -> Vec<(Kind, usize, usize)> {
    let count = |kind, wanted: fn(&mediary::FormatInfo) -> bool| {
        session.registry.formats().filter(|info| info.kinds.contains(&kind) && wanted(info)).count()
    };
    Kind::ALL
        .iter()
        .map(|&kind| (kind, count(kind, |info| info.reads), count(kind, |info| info.writes.is_some())))
        .collect()
}

/// What this build cannot do.
fn missing(session: &Session) -> Vec<String> {
    let mut lines = Vec::new();
    for (kind, reads, _) in by_kind(session) {
        if reads == 0 {
            lines.push(format!("no format of kind {kind} can be read"));
        }
    }
    let status = mediary_loader::worker::status();
    if status.processes && status.landlock.is_none() {
        lines.push("no landlock: worker processes can open files".into());
    }
    if status.processes && !status.seccomp {
        lines.push("no seccomp: worker processes can reach the network".into());
    }
    if tempfile::tempfile().is_err() {
        lines.push("the folder for temporary files is not writable: long streams cannot be read".into());
    }
    lines
}

/// Numbers beyond what JSON readers hold exactly mean "unlimited" here.
fn finite(value: u64) -> Value {
    if value == u64::MAX { "unlimited".into() } else { value.into() }
}

#[cfg(test)]
mod tests {
    use super::parse_meminfo;

    #[test]
    fn memory_is_read_in_kib() {
        assert_eq!(parse_meminfo("Foo: 1 kB\nMemTotal:        8 kB\n"), Some(8192));
        assert_eq!(parse_meminfo("MemTotal: x kB"), None);
        assert_eq!(parse_meminfo(""), None);
    }
}
