//! JSON Lines, and the objects that are no records.

use std::io::{self, Write};

use mediary::{Canonical, FormatInfo, Operations, OptionSpec, OptionType, OptionUse, Origin, Signature, hex};
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
        "canonical": info.canonical.iter().map(canonical).collect::<Vec<_>>(),
        "options": options(info.id, info.options),
        "spec": info.spec,
        "tier": info.tier,
    })
}

/// The operations on a kind.
pub(crate) fn operations(operations: &Operations) -> Value {
    let kind = operations.kind.as_str();
    json!({ "type": "operations", "kind": kind, "options": options(kind, operations.options) })
}

fn options(owner: &str, options: &[OptionSpec]) -> Vec<Value> {
    let one = |option: &OptionSpec| {
        json!({
            "name": format!("{owner}.{}", option.name),
            "use": usage(option.usage),
            "type": option_type(&option.kind),
            "values": option.kind.describe(),
            "default": option.default,
            "help": option.help,
        })
    };
    options.iter().map(one).collect()
}

/// Where a format comes from.
pub(crate) fn origin(origin: &Origin) -> Value {
    match origin {
        Origin::BuiltIn => json!({ "type": "built-in" }),
        Origin::Plugin { name, path, sha256 } => {
            json!({ "type": "plugin", "name": name, "path": path.display().to_string(), "sha256": sha256 })
        }
        _ => json!({ "type": "added" }),
    }
}

fn canonical(canonical: &Canonical) -> Value {
    let samples = match canonical.integer {
        None => "all",
        Some(true) => "integer",
        Some(false) => "float",
    };
    json!({ "kind": canonical.kind, "samples": samples })
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

#[cfg(test)]
mod tests {
    //! The published schema and the program must name the same things.

    use std::collections::BTreeSet;

    use mediary::record::annotations::{Position, Runs};
    use mediary::record::facts::{
        AudioFacts, Bounds, ColumnFact, HistogramFacts, HtmlFacts, ImageFacts, MoleculeFacts, PointCloudFacts,
        SceneFacts, TableFacts, VideoFacts,
    };
    use mediary::record::{Asset, Box2, Html, Layer, Mask, SourceInfo, Track, TrackKind};
    use mediary::{Diagnostic, Facts, Kind, Location, Loss, MediaRecord, Severity, SiblingUse};

    use super::*;

    fn schema() -> Value {
        serde_json::from_str(include_str!("../../../docs/schema/record.schema.json")).unwrap()
    }

    fn keys(value: &Value) -> BTreeSet<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    /// The keys of a value that has everything are those of its definition.
    fn same(value: &Value, definition: &Value, what: &str) {
        assert_eq!(keys(value), keys(&definition["properties"]), "{what}");
        assert_eq!(definition["additionalProperties"], false, "{what}");
    }

    /// Facts of every kind with every value known.
    fn full_facts() -> Vec<Facts> {
        let bounds = Some(Bounds { min: [0.0; 3], max: [1.0; 3] });
        let mut track = Track::new(1, TrackKind::Video, "h264");
        track.codec_string = Some(String::new());
        track.language = Some(String::new());
        (track.duration_seconds, track.frame_rate) = (Some(1.0), Some(1.0));
        (track.width, track.height, track.frames) = (Some(1), Some(1), Some(1));
        (track.rotation, track.sample_rate, track.channels) = (Some(0), Some(1), Some(1));
        vec![
            Facts::Image(ImageFacts {
                width: Some(1),
                height: Some(1),
                channels: Some(1),
                bit_depth: Some(8),
                sample_format: Some("uint"),
                color_space: Some("srgb"),
                has_alpha: Some(false),
                frames: Some(1),
                orientation_applied: Some(false),
            }),
            Facts::Scene(SceneFacts {
                nodes: Some(1),
                meshes: Some(1),
                primitives: Some(1),
                vertices: Some(1),
                triangles: Some(1),
                materials: Some(1),
                textures: Some(1),
                animations: Some(1),
                bounds,
                up_axis: Some("y"),
                unit_meters: Some(1.0),
                degenerate_triangles: Some(1),
                non_finite_vertices: Some(1),
                watertight: Some(true),
            }),
            Facts::PointCloud(PointCloudFacts {
                points: Some(1),
                attributes: Some(Vec::new()),
                boxes: Some(1),
                vectors: Some(1),
                bounds,
                r#type: Some(String::new()),
            }),
            Facts::Molecule(MoleculeFacts {
                molecules: Some(1),
                atoms: Some(1),
                heavy_atoms: Some(1),
                bonds: Some(1),
                residues: Some(1),
                chains: Some(1),
                models: Some(1),
                formula: Some(String::new()),
                mass: Some(0.0),
                cell: Some([1.0; 6]),
                has_coordinates: Some(true),
                dimensions: Some(3),
            }),
            Facts::Audio(AudioFacts {
                sample_rate: Some(1),
                channels: Some(1),
                frames: Some(1),
                duration_seconds: Some(1.0),
                bit_depth: Some(16),
                codec: Some(String::new()),
                peak: Some(1.0),
                rms: Some(1.0),
            }),
            Facts::Video(VideoFacts {
                width: Some(1),
                height: Some(1),
                frame_rate: Some(1.0),
                frames: Some(1),
                duration_seconds: Some(1.0),
                codec: Some(String::new()),
                tracks: Some(vec![track]),
                rotation: Some(0),
            }),
            Facts::Histogram(HistogramFacts { bins: Some(1), min: Some(0.0), max: Some(1.0), count: Some(1.0) }),
            Facts::Table(TableFacts {
                rows: Some(1),
                columns: Some(vec![ColumnFact { name: String::new(), kind: Some("text") }]),
                truncated: Some(false),
            }),
            Facts::Html(HtmlFacts { title: Some(String::new()), bytes: Some(1), has_external_refs: Some(false) }),
        ]
    }

    #[test]
    fn the_schema_names_the_facts_of_every_kind() {
        let schema = schema();
        let facts = full_facts();
        let kinds: Vec<_> = facts.iter().map(Facts::kind).collect();
        assert_eq!(kinds, Kind::ALL);
        assert_eq!(schema["properties"]["kind"]["enum"], serde_json::to_value(Kind::ALL).unwrap());
        for facts in facts {
            let json = Value::from(facts.to_json());
            same(&json, &schema["$defs"][format!("{}_facts", facts.kind())], facts.kind().as_str());
            for (name, definition) in [("tracks", "track"), ("columns", "column")] {
                if let Some(first) = json[name].get(0) {
                    same(first, &schema["$defs"][definition], definition);
                }
            }
        }
        let branches: Vec<_> =
            schema["allOf"].as_array().unwrap().iter().map(|it| &it["if"]["properties"]["kind"]["const"]).collect();
        assert_eq!(serde_json::to_value(branches).unwrap(), schema["properties"]["kind"]["enum"]);
    }

    #[test]
    fn the_schema_names_the_parts_of_a_record() {
        let schema = schema();
        let mut record = MediaRecord::new(Html { text: String::new(), title: String::new(), has_external_refs: false });
        record.caption = Some(String::new());
        record.step = Some(1);
        record.source = SourceInfo {
            name: String::new(),
            bytes: 1,
            sha256: Some(String::new()),
            siblings: vec![SiblingUse { name: String::new(), bytes: 1 }],
        };
        let layer = Layer {
            class_labels: [(1, String::new())].into(),
            boxes: vec![Box2 {
                pixels: [0.0; 4],
                class_id: 1,
                caption: Some(String::new()),
                scores: [(String::new(), 1.0)].into(),
                position: Some(Position::default()),
                polygons: vec![vec![[0.0; 2]]],
                runs: Some(Runs::new(1, 1, vec![1]).unwrap()),
                properties: [(String::new(), 1.into())].into_iter().collect(),
            }],
            mask: Some(Mask::new(1, 1, vec![0]).unwrap()),
        };
        record.annotations.insert("a".into(), layer);
        let location = Location { byte: Some(1), line: Some(1), column: Some(1), element: Some(String::new()) };
        record.diagnostics.push(Diagnostic::new(Severity::Info, "a.b", "").at(location));
        record.loss.push(Loss { code: "a.b".into(), message: String::new(), count: 1 });
        record.assets.push(Asset {
            role: "canonical",
            media_type: String::new(),
            bytes: 1,
            sha256: String::new(),
            path: String::new(),
        });
        let mut json = record.to_json();
        // What a header adds.
        json["records"] = 1.into();
        same(&json, &schema, "record");
        assert_eq!(json["schema"], schema["properties"]["schema"]["const"]);
        let definitions = &schema["$defs"];
        let layer = &json["annotations"]["a"];
        for (value, definition, what) in [
            (&json["source"], &definitions["source"], "source"),
            (&json["source"]["siblings"][0], &definitions["source"]["properties"]["siblings"]["items"], "sibling"),
            (layer, &definitions["layer"], "layer"),
            (&layer["boxes"][0], &definitions["layer"]["properties"]["boxes"]["items"], "box"),
            (&layer["boxes"][0]["position"], &definitions["position"], "position"),
            (&layer["boxes"][0]["runs"], &definitions["runs"], "runs"),
            (&layer["mask"], &definitions["layer"]["properties"]["mask"], "mask"),
            (&json["diagnostics"][0], &definitions["diagnostic"], "diagnostic"),
            (&json["diagnostics"][0]["location"], &definitions["location"], "location"),
            (&json["loss"][0], &definitions["loss"], "loss"),
            (&json["assets"][0], &definitions["asset"], "asset"),
        ] {
            same(value, definition, what);
        }
    }
}
