//! From a described scan to a record.

use std::collections::HashSet;

use e57::{PointCloud as Described, RecordDataType, RecordName, RecordValue};
use mediary_core::record::facts::PointCloudFacts;
use mediary_core::record::{AttributeData, AttributeSpec, PointChunk, PointCloud, ScalarType, Stream};
use mediary_core::{Context, Error, ErrorKind, MediaRecord, Result, Severity, Source};
use serde_json::{Value, json};

use super::points::{Packets, Store};
use crate::columns::interleave;

/// Points of a chunk.
const CHUNK: u64 = 1 << 16;
/// Most fields of a point.
const FIELDS: usize = 256;

/// How colours become what a record has.
#[derive(Clone, Copy, PartialEq)]
enum Shade {
    /// As they are.
    Whole,
    /// From these limits to 0 to 1.
    Within(f64, f64),
}

/// Where an attribute comes from.
enum Take {
    Field(usize),
    Color([usize; 3], [Shade; 3]),
    Normal([usize; 3]),
}

/// Where positions come from.
#[derive(Clone, Copy)]
enum Place {
    Cartesian([usize; 3]),
    /// Range, azimuth, elevation.
    Spherical([usize; 3]),
}

/// A turn, row by row, and a shift.
#[derive(Clone, Copy)]
struct Pose {
    rows: [[f64; 3]; 3],
    shift: [f64; 3],
}

impl Pose {
    fn turn(&self, v: [f64; 3]) -> [f64; 3] {
        self.rows.map(|row| row[0] * v[0] + row[1] * v[1] + row[2] * v[2])
    }

    fn apply(&self, v: [f64; 3]) -> [f64; 3] {
        let turned = self.turn(v);
        [0, 1, 2].map(|axis| turned[axis] + self.shift[axis])
    }
}

pub(super) struct Scan {
    points: u64,
    stores: Vec<Store>,
    schema: Vec<AttributeSpec>,
    takes: Vec<Take>,
    place: Place,
    /// A field that is not 0 where a position means nothing.
    invalid: Option<usize>,
    pose: Option<Pose>,
}

fn name_of(name: &RecordName) -> String {
    match name {
        RecordName::CartesianInvalidState | RecordName::SphericalInvalidState => "invalid".into(),
        RecordName::Intensity => "intensity".into(),
        RecordName::IsIntensityInvalid => "intensity_invalid".into(),
        RecordName::IsColorInvalid => "color_invalid".into(),
        RecordName::RowIndex => "row".into(),
        RecordName::ColumnIndex => "column".into(),
        RecordName::ReturnCount => "return_count".into(),
        RecordName::ReturnIndex => "return_index".into(),
        RecordName::TimeStamp => "time".into(),
        RecordName::IsTimeStampInvalid => "time_invalid".into(),
        RecordName::CartesianX => "cartesian_x".into(),
        RecordName::CartesianY => "cartesian_y".into(),
        RecordName::CartesianZ => "cartesian_z".into(),
        RecordName::SphericalRange => "spherical_range".into(),
        RecordName::SphericalAzimuth => "spherical_azimuth".into(),
        RecordName::SphericalElevation => "spherical_elevation".into(),
        RecordName::ColorRed => "color_red".into(),
        RecordName::ColorGreen => "color_green".into(),
        RecordName::ColorBlue => "color_blue".into(),
        RecordName::Unknown { namespace, name } if namespace.is_empty() => name.to_lowercase(),
        RecordName::Unknown { namespace, name } => format!("{}_{}", namespace.to_lowercase(), name.to_lowercase()),
    }
}

/// A limit as a number: scaled ones by the type of their field.
fn number(value: &RecordValue, kind: &RecordDataType) -> f64 {
    match (value, kind) {
        (RecordValue::Single(value), _) => f64::from(*value),
        (RecordValue::Double(value), _) => *value,
        (RecordValue::ScaledInteger(value), RecordDataType::ScaledInteger { scale, offset, .. }) => {
            *value as f64 * scale + offset
        }
        (RecordValue::Integer(value) | RecordValue::ScaledInteger(value), _) => *value as f64,
    }
}

impl Scan {
    pub(super) fn new(described: &Described, cx: &Context) -> Result<Self> {
        let fields = &described.prototype;
        if fields.len() > FIELDS {
            return Err(Error::unsupported(format!("points of {} fields, more than {FIELDS}", fields.len())));
        }
        let stores = fields.iter().map(|field| Store::new(&field.data_type)).collect::<Result<Vec<_>>>()?;
        let find = |name: &RecordName| fields.iter().position(|field| field.name == *name);
        let three = |names: [RecordName; 3]| -> Option<[usize; 3]> {
            Some([find(&names[0])?, find(&names[1])?, find(&names[2])?])
        };
        use RecordName as N;
        let cartesian = three([N::CartesianX, N::CartesianY, N::CartesianZ]);
        let spherical = three([N::SphericalRange, N::SphericalAzimuth, N::SphericalElevation]);
        let (place, invalid) = match (cartesian, spherical) {
            (Some(all), _) => (Place::Cartesian(all), find(&N::CartesianInvalidState)),
            (None, Some(all)) => (Place::Spherical(all), find(&N::SphericalInvalidState)),
            (None, None) => return Err(Error::unsupported("a scan without Cartesian or spherical coordinates")),
        };
        if described.records > 0 && stores.iter().all(|store| store.bits() == 0) {
            return Err(Error::unsupported("all fields of the points are constant"));
        }
        let color = three([N::ColorRed, N::ColorGreen, N::ColorBlue]);
        let normal = {
            let find = |axis: &str| {
                fields.iter().position(|field| matches!(&field.name, N::Unknown { name, .. } if name == axis))
            };
            [find("normalX"), find("normalY"), find("normalZ")]
        };
        let normal = match normal {
            [Some(x), Some(y), Some(z)] => Some([x, y, z]),
            _ => None,
        };
        let mut scan = Self {
            points: described.records,
            stores,
            schema: Vec::new(),
            takes: Vec::new(),
            place,
            invalid,
            pose: pose_of(described, cx),
        };
        let (Place::Cartesian(position) | Place::Spherical(position)) = place;
        let mut done: HashSet<usize> = position.into();
        let mut taken = HashSet::new();
        for (index, field) in fields.iter().enumerate() {
            if done.contains(&index) {
                continue;
            }
            let (name, scalar, components, take) = if let Some(color) = color.filter(|all| all.contains(&index)) {
                done.extend(color);
                let (scalar, shades) = scan.shades(described, color);
                ("color".to_owned(), scalar, 3, Take::Color(color, shades))
            } else if let Some(normal) = normal.filter(|all| all.contains(&index)) {
                done.extend(normal);
                ("normal".to_owned(), ScalarType::F64, 3, Take::Normal(normal))
            } else {
                if scan.stores[index].bits() > 53 && matches!(scan.stores[index], Store::Integer { .. }) {
                    cx.note("rounded", "64-bit integers are held as doubles, which are exact up to 2^53");
                }
                (name_of(&field.name), scan.stores[index].scalar(), 1, Take::Field(index))
            };
            let mut distinct = name.clone();
            let mut again = 2;
            while !taken.insert(distinct.clone()) {
                distinct = format!("{name}_{again}");
                again += 1;
            }
            scan.schema.push(AttributeSpec::new(distinct, scalar, components));
            scan.takes.push(take);
        }
        Ok(scan)
    }

    /// The type of colours, and how each component gets there.
    fn shades(&self, described: &Described, color: [usize; 3]) -> (ScalarType, [Shade; 3]) {
        let limits = described.color_limits.as_ref();
        let ends: [_; 3] = std::array::from_fn(|component| {
            let kind = &described.prototype[color[component]].data_type;
            let given = limits.and_then(|limits| {
                let (least, most) = match component {
                    0 => (&limits.red_min, &limits.red_max),
                    1 => (&limits.green_min, &limits.green_max),
                    _ => (&limits.blue_min, &limits.blue_max),
                };
                Some((number(least.as_ref()?, kind), number(most.as_ref()?, kind)))
            });
            let of_type = match *kind {
                RecordDataType::Integer { min, max } => (min as f64, max as f64),
                RecordDataType::ScaledInteger { min, max, scale, offset } => {
                    (min as f64 * scale + offset, max as f64 * scale + offset)
                }
                RecordDataType::Single { .. } | RecordDataType::Double { .. } => (0.0, 1.0),
            };
            given.filter(|(least, most)| most > least).unwrap_or(of_type)
        });
        let all = |scalar, most: f64| {
            color
                .iter()
                .zip(ends)
                .all(|(&field, (least, end))| self.stores[field].scalar() == scalar && least == 0.0 && end == most)
        };
        if all(ScalarType::U8, 255.0) {
            return (ScalarType::U8, [Shade::Whole; 3]);
        }
        if all(ScalarType::U16, 65535.0) {
            return (ScalarType::U16, [Shade::Whole; 3]);
        }
        (ScalarType::F64, ends.map(|(least, most)| Shade::Within(least, most)))
    }

    pub(super) fn facts(&self) -> PointCloudFacts {
        PointCloudFacts {
            points: Some(self.points),
            attributes: Some(self.schema.iter().map(|spec| spec.name.clone()).collect()),
            boxes: Some(0),
            vectors: Some(0),
            bounds: None,
            r#type: None,
        }
    }

    /// The points of some decoded fields, and how many are invalid.
    fn chunk(&self, columns: &[AttributeData], count: usize) -> Result<(PointChunk, u64)> {
        let mut invalid = 0;
        let positions: Vec<[f64; 3]> = (0..count)
            .map(|at| {
                if self.invalid.is_some_and(|field| columns[field].get(at) != 0.0) {
                    invalid += 1;
                    return [f64::NAN; 3];
                }
                let own = match self.place {
                    Place::Cartesian(all) => all.map(|field| columns[field].get(at)),
                    Place::Spherical(all) => {
                        let [range, azimuth, elevation] = all.map(|field| columns[field].get(at));
                        let flat = range * elevation.cos();
                        [flat * azimuth.cos(), flat * azimuth.sin(), range * elevation.sin()]
                    }
                };
                self.pose.map_or(own, |pose| pose.apply(own))
            })
            .collect();
        let mut attributes = Vec::with_capacity(self.schema.len());
        for (take, spec) in self.takes.iter().zip(&self.schema) {
            attributes.push(match take {
                Take::Field(field) => columns[*field].clone(),
                Take::Color(all, shades) if shades[0] == Shade::Whole => {
                    interleave(spec.scalar, &all.map(|field| &columns[field]), count)
                }
                Take::Color(all, shades) => {
                    let value = |at: usize, component: usize| {
                        let value = columns[all[component]].get(at);
                        match shades[component] {
                            Shade::Whole => value,
                            Shade::Within(least, most) => (value - least) / (most - least),
                        }
                    };
                    let values: Vec<f64> = (0..count).flat_map(|at| [0, 1, 2].map(|part| value(at, part))).collect();
                    AttributeData::F64(values.into())
                }
                Take::Normal(all) => {
                    let values: Vec<f64> = (0..count)
                        .flat_map(|at| {
                            let own = all.map(|field| columns[field].get(at));
                            self.pose.map_or(own, |pose| pose.turn(own))
                        })
                        .collect();
                    AttributeData::F64(values.into())
                }
            });
        }
        Ok((PointChunk::new(positions, attributes, &self.schema)?, invalid))
    }

    pub(super) fn record(
        self,
        source: &Source,
        described: &Described,
        crs: Option<String>,
        cx: &Context,
    ) -> Result<MediaRecord> {
        let packets = match Packets::new(source, described.file_offset, self.stores.clone(), cx) {
            Ok(packets) => Some(packets),
            Err(error) if error.kind() == ErrorKind::Malformed => {
                cx.unless_lenient("truncated", error)?;
                None
            }
            Err(error) => return Err(error),
        };
        let mut points = if packets.is_some() { self.points } else { 0 };
        if let Some(packets) = &packets {
            let bits: u64 = self.stores.iter().map(|store| u64::from(store.bits())).sum();
            let most = packets.left().saturating_mul(8).checked_div(bits).unwrap_or(0);
            if points > most {
                let message = format!("{points} points are announced, at most {most} are there");
                let error = Error::malformed(message).at_byte(described.file_offset).with_hint("the file is cut short");
                cx.unless_lenient("truncated", error)?;
                points = most;
            }
        }
        if points == 0 {
            cx.note("empty", "the scan has no points");
        }
        cx.limits().check("elements", points)?;
        let schema = self.schema.clone();
        let context = cx.clone();
        let (mut packets, mut left) = (packets, points);
        let mut next = move || -> Result<Option<PointChunk>> {
            let Some(stream) = packets.as_mut().filter(|_| left > 0) else { return Ok(None) };
            context.checkpoint()?;
            let (columns, count) = match stream.next(left.min(CHUNK)) {
                Ok(next) => next,
                Err(error) if error.kind() == ErrorKind::Malformed => {
                    packets = None;
                    context.unless_lenient("truncated", error)?;
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            left -= count as u64;
            let (chunk, invalid) = self.chunk(&columns, count)?;
            let message = "points that the scanner marks as invalid have no position";
            context.report_times(Severity::Info, "invalid", message, None, invalid);
            Ok(Some(chunk))
        };
        let mut cloud = PointCloud::new(schema, Stream::new(std::iter::from_fn(move || next().transpose())));
        cloud.declared_points = Some(points);
        cloud.crs = crs;
        let mut record = MediaRecord::new(cloud);
        describe(&mut record, described);
        Ok(record)
    }
}

fn pose_of(described: &Described, cx: &Context) -> Option<Pose> {
    let transform = described.transform.as_ref()?;
    let (q, t) = (&transform.rotation, &transform.translation);
    let shift = [t.x, t.y, t.z];
    let length = (q.w * q.w + q.x * q.x + q.y * q.y + q.z * q.z).sqrt();
    if !length.is_normal() || !shift.iter().all(|value| value.is_finite()) {
        cx.warn("pose", "the pose is no turn and shift: it is not applied");
        return None;
    }
    if (length - 1.0).abs() > 1e-3 {
        cx.warn("pose", format!("the quaternion of the pose has a length of {length}: it is made 1"));
    }
    let [w, x, y, z] = [q.w, q.x, q.y, q.z].map(|value| value / length);
    let rows = [
        [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)],
        [2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)],
        [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)],
    ];
    Some(Pose { rows, shift })
}

/// What the XML says of a scan.
fn describe(record: &mut MediaRecord, described: &Described) {
    let texts = [
        ("name", &described.name),
        ("description", &described.description),
        ("guid", &described.guid),
        ("sensor_vendor", &described.sensor_vendor),
        ("sensor_model", &described.sensor_model),
        ("sensor_serial", &described.sensor_serial),
    ];
    for (key, text) in texts {
        if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
            record.properties.insert(key.into(), text.clone().into());
        }
    }
    let numbers = [
        ("temperature_celsius", described.temperature),
        ("humidity_percent", described.humidity),
        ("pressure_pascal", described.atmospheric_pressure),
    ];
    for (key, number) in numbers {
        if let Some(number) = number {
            record.properties.insert(key.into(), number.into());
        }
    }
    if let Some(pose) = &described.transform {
        let (q, t) = (&pose.rotation, &pose.translation);
        let pose = json!({"rotation": [q.w, q.x, q.y, q.z], "translation": [t.x, t.y, t.z]});
        record.properties.insert("pose".into(), pose);
    }
    if let Some(start) = &described.acquisition_start {
        record.properties.insert("acquisition_start_gps_seconds".into(), Value::from(start.gps_time));
    }
    if let Some(limits) = &described.intensity_limits {
        let kind = RecordDataType::Double { min: None, max: None };
        if let (Some(least), Some(most)) = (&limits.intensity_min, &limits.intensity_max) {
            let limits = json!([number(least, &kind), number(most, &kind)]);
            record.properties.insert("intensity_limits".into(), limits);
        }
    }
}
