//! `mediary formats`: what the descriptors say.

use mediary::{Canonical, Feature, FormatInfo, Operations, OptionSpec, Origin, Signature};
use serde_json::Value;

use crate::args::FormatsArgs;
use crate::output::text::Paint;
use crate::output::{Screen, json, text};
use crate::{Exit, Session};

pub(crate) fn run(session: &Session, args: &FormatsArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    let of_kind = |operations: &&Operations| args.id.as_deref() == Some(operations.kind.as_str());
    if let Some(operations) = session.registry.operations().find(of_kind) {
        if screen.json {
            screen.json(&json::operations(operations))?;
        } else {
            let title = format!("{}: operations between reading and writing", operations.kind);
            let page = format!("{}\n\n", screen.paint.title(&title));
            screen.text(&(page + &options(screen.paint, operations.kind.as_str(), operations.options)))?;
        }
        return Ok(Exit::Good);
    }
    let origin = |info: &FormatInfo| session.registry.origin(info.id).unwrap_or(&Origin::BuiltIn);
    let formats: Vec<&FormatInfo> = match &args.id {
        Some(id) => vec![session.registry.get(id)?.info()],
        None => session.registry.formats().collect(),
    };
    if screen.json {
        for info in &formats {
            let mut json = json::format(info);
            json["origin"] = json::origin(origin(info));
            screen.json(&json)?;
        }
    } else if args.markdown {
        let mut rows: Vec<_> = formats.iter().map(|info| markdown_row(info)).collect();
        let mut heading =
            vec!["Id", "Name", "Kinds", "Extensions", "Read", "Write", "Records", "Tier", "Survives a round trip"];
        add_origins(&mut heading, &mut rows, "Origin", formats.iter().map(|info| origin(info)));
        screen.text(&text::markdown(&heading, &rows))?;
    } else if let (Some(_), [info]) = (&args.id, &formats[..]) {
        screen.text(&details(screen.paint, info, origin(info)))?;
    } else {
        let mut rows: Vec<_> = formats.iter().map(|info| row(info)).collect();
        let mut heading = vec!["id", "name", "kinds", "extensions", "can", "tier"];
        add_origins(&mut heading, &mut rows, "origin", formats.iter().map(|info| origin(info)));
        screen.text(&text::table(screen.paint, &heading, &rows))?;
    }
    Ok(Exit::Good)
}

/// A column that says where formats come from, when not all are built in.
pub(crate) fn add_origins<'o>(
    heading: &mut Vec<&str>,
    rows: &mut [Vec<String>],
    name: &'static str,
    origins: impl Iterator<Item = &'o Origin>,
) {
    let origins: Vec<_> = origins.collect();
    if origins.iter().all(|origin| **origin == Origin::BuiltIn) {
        return;
    }
    heading.push(name);
    for (row, origin) in rows.iter_mut().zip(origins) {
        row.push(match origin {
            Origin::Plugin { name, .. } => format!("plugin {}", text::clean(name)),
            other => other.to_string(),
        });
    }
}

fn kinds(info: &FormatInfo) -> String {
    info.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
}

/// A serialisable word as it stands in JSON.
fn word(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

fn can(info: &FormatInfo) -> &'static str {
    match (info.reads, info.writes.is_some()) {
        (true, true) => "read, write",
        (true, false) => "read",
        (false, true) => "write",
        (false, false) => "",
    }
}

fn row(info: &FormatInfo) -> Vec<String> {
    vec![info.id.into(), info.name.into(), kinds(info), info.extensions.join(" "), can(info).into(), word(info.tier)]
}

fn markdown_row(info: &FormatInfo) -> Vec<String> {
    let yes = |is: bool| if is { "yes" } else { "" }.to_owned();
    let name = if info.spec.is_empty() { info.name.to_owned() } else { format!("[{}]({})", info.name, info.spec) };
    vec![
        format!("`{}`", info.id),
        name,
        kinds(info),
        info.extensions.iter().map(|extension| format!("`.{extension}`")).collect::<Vec<_>>().join(" "),
        yes(info.reads),
        yes(info.writes.is_some()),
        if info.many_records { "many" } else { "one" }.into(),
        word(info.tier),
        features(info.writes.unwrap_or_default()),
    ]
}

fn features(features: &[Feature]) -> String {
    features.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn details(paint: Paint, info: &FormatInfo, origin: &Origin) -> String {
    let mut rows = vec![
        ("kinds", kinds(info)),
        ("extensions", info.extensions.iter().map(|extension| format!(".{extension}")).collect::<Vec<_>>().join(" ")),
        ("media types", info.media_types.join(" ")),
        ("can", can(info).into()),
        ("records", if info.many_records { "many in one file" } else { "one a file" }.into()),
        ("tier", word(info.tier)),
        ("specification", info.spec.into()),
    ];
    if *origin != Origin::BuiltIn {
        rows.push(("origin", text::clean(&origin.to_string()).into()));
    }
    if info.siblings {
        rows.push(("siblings", "refers to files beside it".into()));
    }
    if !info.canonical.is_empty() {
        rows.push(("canonical for", info.canonical.iter().map(canonical).collect::<Vec<_>>().join(", ")));
    }
    rows.extend(info.signatures.iter().map(|it| ("signature", signature(it))));
    if let Some(kept) = info.writes {
        let kept = if kept.is_empty() { "the kind's basics".into() } else { features(kept) };
        rows.push(("survives a round trip", kept));
    }
    let mut page = format!("{}\n", paint.title(&format!("{}: {}", info.id, info.name)));
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        page += &format!("  {}  {value}\n", paint.key(&format!("{name:21}")));
    }
    if info.options.is_empty() {
        return page + "  no options\n";
    }
    page + "\n" + &options(paint, info.id, info.options)
}

/// The options of a format, or of the operations on a kind.
fn options(paint: Paint, owner: &str, options: &[OptionSpec]) -> String {
    let rows: Vec<_> = options
        .iter()
        .map(|option| {
            vec![
                format!("{owner}.{}", option.name),
                json::usage(option.usage).into(),
                option.kind.describe(),
                option.default.into(),
                option.help.into(),
            ]
        })
        .collect();
    text::table(paint, &["option", "on", "values", "default", "help"], &rows)
}

/// `image (integer samples)`
fn canonical(canonical: &Canonical) -> String {
    match canonical.integer {
        None => canonical.kind.to_string(),
        Some(true) => format!("{} (integer samples)", canonical.kind),
        Some(false) => format!("{} (float samples)", canonical.kind),
    }
}

/// `"\x89PNG" at byte 0`; a masked byte is shown as `?`.
fn signature(signature: &Signature) -> String {
    let shown: String = signature
        .bytes
        .iter()
        .enumerate()
        .map(|(i, byte)| match signature.mask.get(i) {
            Some(0) => "?".to_owned(),
            _ => byte.escape_ascii().to_string(),
        })
        .collect();
    format!("\"{shown}\" at byte {}", signature.offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mediary::{Kind, OptionSpec, OptionType};

    const INFO: FormatInfo = FormatInfo::new("off", "Object File Format", &[Kind::Scene])
        .extensions(&["off", "coff"])
        .signatures(&[Signature { offset: 1, bytes: b"O\xffF", mask: &[1, 1, 0] }])
        .reads()
        .writes(&[Feature::MeshNames, Feature::Polygons])
        .canonical(&[Canonical { kind: Kind::Scene, integer: Some(false) }])
        .options(&[OptionSpec::write("ascii", OptionType::Choice(&["yes", "no"]), "yes", "Text instead of bytes")])
        .spec("https://example.org/off");

    #[test]
    fn everything_about_a_format_is_shown() {
        let page = details(Paint(false), &INFO, &Origin::BuiltIn);
        for part in [
            "\"O\\xff?\" at byte 1",
            "scene (float samples)",
            "mesh-names, polygons",
            "off.ascii",
            "yes | no",
            ".off .coff",
            "read, write",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
    }

    #[test]
    fn json_and_tables_say_the_same() {
        let json = json::format(&INFO);
        assert_eq!(json["options"][0]["name"], "off.ascii");
        assert_eq!(json["options"][0]["type"], "choice");
        assert_eq!(json["keeps"], serde_json::json!(["mesh-names", "polygons"]));
        assert_eq!(json["signatures"][0]["bytes"], "4fff46");
        assert_eq!(json["signatures"][0]["mask"], "010100");
        assert_eq!(row(&INFO), ["off", "Object File Format", "scene", "off coff", "read, write", "standard"]);
        assert_eq!(markdown_row(&INFO)[1], "[Object File Format](https://example.org/off)");
    }
}
