//! Which columns are what.

use std::collections::HashSet;

use mediary_core::record::{AttributeData, AttributeSpec, PointChunk, ScalarType};
use mediary_core::{Context, Result};

use super::head::Head;
use crate::columns::holds;

/// Names that stand for a component of an attribute of several.
const COLOR: [&[&str]; 4] =
    [&["r", "red", "diffuse_red"], &["g", "green", "diffuse_green"], &["b", "blue", "diffuse_blue"], &["a", "alpha"]];
const FLOAT_COLOR: [&[&str]; 4] = [&["rf"], &["gf"], &["bf"], &["af"]];
const NORMAL: [&[&str]; 3] =
    [&["nx", "normalx", "normal_x"], &["ny", "normaly", "normal_y"], &["nz", "normalz", "normal_z"]];
const POSITION: [&[&str]; 3] = [&["x"], &["y"], &["z"]];

pub(super) struct Layout {
    pub(super) width: usize,
    position: [usize; 3],
    pub(super) schema: Vec<AttributeSpec>,
    /// First column of each attribute; all of its components.
    sources: Vec<Vec<usize>>,
    /// Colours are kept as they stand too.
    exact: bool,
}

impl Layout {
    pub(super) fn new(head: &Head, cx: &Context) -> Self {
        let sample = Sample { values: &head.sample, width: head.width.max(3) };
        let mut layout = Self {
            width: head.width.max(3),
            position: [0, 1, 2],
            schema: Vec::new(),
            sources: Vec::new(),
            exact: false,
        };
        let mut names: Vec<String> = (0..layout.width).map(|column| format!("column_{}", column + 1)).collect();
        let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
        match &head.names {
            Some(given) => {
                if given.len() != layout.width {
                    let message = format!("there are {} names for {} columns", given.len(), layout.width);
                    cx.warn("names", message);
                }
                for (name, given) in names.iter_mut().zip(given) {
                    if !given.is_empty() {
                        *name = given.to_lowercase();
                    }
                }
                let group = |parts: &[&[&str]]| -> Option<Vec<usize>> {
                    parts.iter().map(|part| names.iter().position(|name| part.contains(&name.as_str()))).collect()
                };
                if let Some(position) = group(&POSITION) {
                    layout.position = [position[0], position[1], position[2]];
                }
                for parts in [COLOR, FLOAT_COLOR] {
                    groups.extend(group(&parts).or_else(|| group(&parts[..3])).map(|columns| ("color", columns)));
                }
                groups.truncate(1);
                groups.extend(group(&NORMAL).map(|columns| ("normal", columns)));
            }
            None => guess(&sample, &mut groups, &mut names),
        }
        layout.name_all(&names, &groups, &sample);
        layout
    }

    /// Attributes in the order of their first columns.
    fn name_all(&mut self, names: &[String], groups: &[(&str, Vec<usize>)], sample: &Sample<'_>) {
        let mut taken = HashSet::new();
        let mut done: HashSet<usize> = self.position.into();
        for (column, given) in names.iter().enumerate() {
            if done.contains(&column) {
                continue;
            }
            let group = groups.iter().find(|(_, columns)| columns.contains(&column));
            let (name, columns) = match group {
                Some((name, columns)) => (*name, columns.clone()),
                None => (alias(given), vec![column]),
            };
            done.extend(columns.iter().copied());
            let (scalar, exact) = match name {
                "color" if FLOAT_COLOR[0].contains(&given.as_str()) => (ScalarType::F64, true),
                "color" => sample.color_type(&columns),
                _ => (ScalarType::F64, true),
            };
            let mut distinct = name.to_owned();
            let mut again = column + 1;
            while !taken.insert(distinct.clone()) {
                distinct = format!("{name}_{again}");
                again += 1;
            }
            self.schema.push(AttributeSpec::new(distinct, scalar, columns.len()));
            self.sources.push(columns.clone());
            if !exact && columns.len() == 3 && taken.insert("rgb".into()) {
                self.schema.push(AttributeSpec::new("rgb", ScalarType::F64, 3));
                self.sources.push(columns);
                self.exact = true;
            }
        }
    }

    /// Rows end to end as points, and how many colours were rounded or clamped that are not kept as they stand.
    pub(super) fn chunk(&self, values: &[f64]) -> Result<(PointChunk, u64)> {
        let mut misfits = 0;
        let rows = values.chunks_exact(self.width);
        let count = rows.len();
        let [x, y, z] = self.position;
        let positions: Vec<_> = rows.clone().map(|row| [row[x], row[y], row[z]]).collect();
        let mut attributes = Vec::with_capacity(self.schema.len());
        for (spec, columns) in self.schema.iter().zip(&self.sources) {
            let numbers = rows.clone().flat_map(|row| columns.iter().map(|&column| row[column]));
            let mut data = AttributeData::with_capacity(spec.scalar, count * columns.len());
            match &mut data {
                AttributeData::F64(data) => data.to_mut().extend(numbers),
                data => {
                    for value in numbers {
                        misfits += u64::from(!self.exact && !holds(spec.scalar, value));
                        data.push(value);
                    }
                }
            }
            attributes.push(data);
        }
        Ok((PointChunk::new(positions, attributes, &self.schema)?, misfits))
    }
}

/// Names with a fixed meaning.
fn alias(name: &str) -> &str {
    match name {
        "classification" | "class" => "category",
        "i" => "intensity",
        "gpstime" | "gps_time" => "time",
        "" => "column",
        // Those have components.
        "color" => "color_1",
        "normal" => "normal_1",
        name => name,
    }
}

/// Columns that have no names.
fn guess(sample: &Sample<'_>, groups: &mut Vec<(&'static str, Vec<usize>)>, names: &mut [String]) {
    let three = |first: usize| vec![first, first + 1, first + 2];
    let color = |first: usize| sample.is_color(&three(first));
    let normal = |first: usize| sample.is_normal(&three(first));
    match sample.width {
        4 => names[3] = "intensity".into(),
        6 | 8 if normal(3) => groups.push(("normal", three(3))),
        6 | 8 if color(3) => groups.push(("color", three(3))),
        // Where both fit, a whole number up to 255 is rather a colour than an intensity.
        7 if sample.is_byte(3) && color(3) => groups.push(("color", three(3))),
        7 if color(4) => {
            names[3] = "intensity".into();
            groups.push(("color", three(4)));
        }
        7 if color(3) => groups.push(("color", three(3))),
        7 if normal(3) => groups.push(("normal", three(3))),
        9 | 10 => {
            let last = sample.width - 3;
            if color(3) && normal(last) {
                groups.extend([("color", three(3)), ("normal", three(last))]);
            } else if normal(3) && color(last) {
                groups.extend([("normal", three(3)), ("color", three(last))]);
            }
        }
        _ => {}
    }
}

/// The first rows.
struct Sample<'a> {
    values: &'a [f64],
    width: usize,
}

impl Sample<'_> {
    fn column(&self, column: usize) -> impl Iterator<Item = f64> {
        self.values.chunks_exact(self.width).map(move |row| row[column])
    }

    fn all(&self, columns: &[usize], holds: impl Fn(f64) -> bool) -> bool {
        !self.values.is_empty() && columns.iter().all(|&column| self.column(column).all(&holds))
    }

    fn is_byte(&self, column: usize) -> bool {
        self.all(&[column], |value| holds(ScalarType::U8, value))
    }

    fn is_color(&self, columns: &[usize]) -> bool {
        self.all(columns, |value| holds(ScalarType::U16, value))
            || self.all(columns, |value| (0.0..=255.0).contains(&value))
    }

    /// Vectors of unit length to the precision of few decimals, or of none.
    fn is_normal(&self, columns: &[usize]) -> bool {
        let mut unit = 0;
        for row in self.values.chunks_exact(self.width) {
            let length = columns.iter().map(|&column| row[column] * row[column]).sum::<f64>().sqrt();
            if (length - 1.0).abs() < 0.02 {
                unit += 1;
            } else if length != 0.0 && !length.is_nan() {
                return false;
            }
        }
        // Black, white and the primary colours of 0 and 1 have unit length too, or none.
        unit > 0 && !self.all(columns, |value| value == 0.0 || value == 1.0)
    }

    /// The type of a colour, and whether it holds the values as they stand.
    fn color_type(&self, columns: &[usize]) -> (ScalarType, bool) {
        let fits = |scalar| self.all(columns, |value| holds(scalar, value));
        match () {
            () if self.values.is_empty() || fits(ScalarType::U8) => (ScalarType::U8, true),
            () if fits(ScalarType::U16) => (ScalarType::U16, true),
            () if self.all(columns, |value| (0.0..=1.0).contains(&value)) => (ScalarType::F64, true),
            () => (ScalarType::U8, false),
        }
    }
}
