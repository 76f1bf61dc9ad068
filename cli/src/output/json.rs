//! JSON Lines, and the objects that are no records.

use std::io::{self, Write};

use mediary::{FormatInfo, OptionType, OptionUse, Signature, hex};
use serde_json::{Value, json};

/// One object and a line feed.
pub(crate) fn line(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// A descriptor.
pub(crate) fn format(info: &FormatInfo) -> Value {
    json!({
        "type": "format",
        "id": info.id,
        "name": info.name,
        "kinds": info.kinds,
        "extensions": info.extensions,
        "media_types": info.media_types,
        "signatures": info.signatures.iter().map(signature).collect::<Vec<_>>(),
        "reads": info.reads,
        "writes": info.writes.is_some(),
        "keeps": info.writes.unwrap_or_default(),
        "many_records": info.many_records,
        "siblings": info.siblings,
        "canonical": info.canonical.iter().map(|canonical| canonical.kind).collect::<Vec<_>>(),
        "options": info.options.iter().map(|option| json!({
            "name": format!("{}.{}", info.id, option.name),
            "use": usage(option.usage),
            "type": option_type(&option.kind),
            "values": option.kind.describe(),
            "default": option.default,
            "help": option.help,
        })).collect::<Vec<_>>(),
        "spec": info.spec,
        "tier": info.tier,
    })
}

fn signature(signature: &Signature) -> Value {
    let mut value = json!({ "offset": signature.offset, "bytes": hex(signature.bytes) });
    if !signature.mask.is_empty() {
        value["mask"] = hex(signature.mask).into();
    }
    value
}

/// `read` or `write`.
pub(crate) fn usage(usage: OptionUse) -> &'static str {
    match usage {
        OptionUse::Read => "read",
        OptionUse::Write => "write",
    }
}

fn option_type(kind: &OptionType) -> &'static str {
    match kind {
        OptionType::Bool => "bool",
        OptionType::Int { .. } => "int",
        OptionType::Float => "float",
        OptionType::Choice(_) => "choice",
        _ => "text",
    }
}
