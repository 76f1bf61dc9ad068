//! Writing.

use std::io::Write as _;

use mediary_core::record::{AttributeSpec, PointCloud, ScalarType};
use mediary_core::{Context, Error, Output, Result};

use crate::text::{Digits, flush_if_long, put_number};

/// How the numbers of an attribute are written.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    Whole,
    Single,
    Double,
}

/// Readers tell the columns from the start of a file: names and a row of numbers must fit into it.
const MOST_COLUMNS: usize = 1024;
const LONGEST_HEADER: usize = 16 << 10;

struct Column {
    /// Its place in the schema.
    attribute: usize,
    components: usize,
    style: Style,
}

pub(super) fn write(cloud: &mut PointCloud, out: &mut Output, cx: &Context) -> Result<()> {
    let separator = match cx.options().text("separator") {
        "tab" => b'\t',
        "comma" => b',',
        "semicolon" => b';',
        _ => b' ',
    };
    let width = cloud.schema.iter().fold(3_usize, |sum, spec| sum.saturating_add(spec.components));
    if width > MOST_COLUMNS {
        let message =
            format!("points of {width} numbers: lists of points are written with up to {MOST_COLUMNS} columns");
        return Err(Error::unsupported(message));
    }
    let mut digits = Digits::of(cx);
    cx.lose("boxes", cloud.boxes.len() as u64, "boxes");
    cx.lose("vectors", cloud.vectors.len() as u64, "vectors");
    cx.lose("scene-type", cloud.scene_type.is_some().into(), "the type of the scene");
    cx.lose("crs", cloud.crs.is_some().into(), "the coordinate reference system");
    let (columns, names) = plan(&cloud.schema, cx);
    let mut text = Vec::with_capacity(1 << 20);
    let header = names.join(&*char::from(separator).to_string());
    if cx.options().bool("header") && header.len() <= LONGEST_HEADER {
        text.extend_from_slice(b"//");
        text.extend_from_slice(header.as_bytes());
        text.push(b'\n');
    } else {
        cx.lose("names", columns.len() as u64, "names of attributes: there is no header, or they are too long for one");
    }
    while let Some(chunk) = cloud.points.next_chunk()? {
        for (at, position) in chunk.positions().iter().enumerate() {
            for (axis, &value) in position.iter().enumerate() {
                if axis > 0 {
                    text.push(separator);
                }
                digits.put(&mut text, value, false);
            }
            for column in &columns {
                let data = &chunk.attributes()[column.attribute];
                for component in 0..column.components {
                    text.push(separator);
                    let value = data.get(at * column.components + component);
                    match column.style {
                        Style::Whole => put_number(&mut text, value, false),
                        style => digits.put(&mut text, value, style == Style::Single),
                    }
                }
            }
            text.push(b'\n');
            flush_if_long(&mut text, out, cx)?;
        }
    }
    digits.report(cx);
    out.write_all(&text)?;
    Ok(())
}

/// Columns after the position, and the names of all.
fn plan(schema: &[AttributeSpec], cx: &Context) -> (Vec<Column>, Vec<String>) {
    let mut columns = Vec::new();
    let mut names: Vec<String> = ["X", "Y", "Z"].map(String::from).into();
    let (mut retyped, mut reshaped, mut renamed) = (0, 0, 0);
    let exact = schema.iter().any(|spec| spec.name == "rgb" && spec.components == 3 && spec.scalar == ScalarType::F64);
    for (attribute, spec) in schema.iter().enumerate() {
        let style = match spec.scalar {
            ScalarType::F32 => Style::Single,
            ScalarType::F64 => Style::Double,
            _ => Style::Whole,
        };
        let components = spec.components;
        let float = style != Style::Whole;
        let parts: Vec<String> = match (spec.name.as_str(), components) {
            // The same colours as they stood in their source.
            ("color", 3) if exact => continue,
            ("rgb", 3) if exact => ["R", "G", "B"].map(String::from).into(),
            ("color", 3 | 4) => {
                let parts = if float { ["Rf", "Gf", "Bf", "Af"] } else { ["R", "G", "B", "A"] };
                parts[..components].iter().map(ToString::to_string).collect()
            }
            ("normal", 3) => ["Nx", "Ny", "Nz"].map(String::from).into(),
            (name, 1) => vec![name.to_owned()],
            (name, _) => {
                reshaped += 1;
                (0..components).map(|component| format!("{name}_{component}")).collect()
            }
        };
        let bad = |char: char| char.is_whitespace() || char.is_control() || matches!(char, ',' | ';' | '"' | '\'');
        let legal = |name: &String| {
            !name.is_empty() && !name.contains(bad) && !names.iter().any(|taken| taken.eq_ignore_ascii_case(name))
        };
        let given = parts.iter().all(legal);
        renamed += u64::from(!given);
        // By its place, so that no two are equal.
        names.extend(
            parts.into_iter().enumerate().map(
                |(component, name)| {
                    if given { name } else { format!("attribute{attribute}_{component}") }
                },
            ),
        );
        let kept = match &*spec.name {
            "color" => matches!(spec.scalar, ScalarType::U8 | ScalarType::F64),
            _ => spec.scalar == ScalarType::F64,
        };
        retyped += u64::from(!kept);
        columns.push(Column { attribute, components, style });
    }
    cx.lose("attribute-types", retyped, "number types of attributes: they are read back as 64-bit floats");
    cx.lose("attribute-shapes", reshaped, "attributes of several components become a column each");
    cx.lose("attribute-names", renamed, "names of attributes that a header cannot hold");
    (columns, names)
}
