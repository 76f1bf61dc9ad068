//! From a scene to a package.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{Seek, Write};

use mediary_core::convert::linear_to_srgb;
use mediary_core::record::scene::{AlphaMode, Material, Mesh, Primitive, Topology, Transform, multiply};
use mediary_core::record::{Scene, triangulate};
use mediary_core::{Context, Error, Output, Result};
use quick_xml::escape::escape;
use serde_json::{Map, Value};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::text::put_number;
use crate::world;

const CONTENT_TYPES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/></Types>
"#;

const RELATIONSHIPS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Target="/3D/3dmodel.model" Id="rel0" Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>
"#;

/// Names of metadata that need no name space.
const METADATA: [&str; 9] = [
    "Title",
    "Designer",
    "Description",
    "Copyright",
    "LicenseTerms",
    "Rating",
    "CreationDate",
    "ModificationDate",
    "Application",
];

const UNITS: [(&str, f64); 6] =
    [("micron", 1e-6), ("millimeter", 1e-3), ("centimeter", 1e-2), ("inch", 0.0254), ("foot", 0.3048), ("meter", 1.0)];

/// Ids of resources: base materials, colours, then one an object.
const MATERIALS_ID: u32 = 1;
const COLORS_ID: u32 = 2;
const FIRST_OBJECT_ID: u32 = 3;

pub(super) fn write(scene: &Scene, properties: &Map<String, Value>, out: &mut Output, cx: &Context) -> Result<()> {
    world::need_faces(scene, "3MF")?;
    report_losses(scene, cx);
    let mut zip = ZipWriter::new(out);
    // The same bytes each time: a fixed date.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default());
    let failed = |error: zip::result::ZipError| match error {
        zip::result::ZipError::Io(error) => Error::from(error),
        error => Error::unsupported(format!("the package cannot be written: {error}")),
    };
    for (name, text) in [("[Content_Types].xml", CONTENT_TYPES), ("_rels/.rels", RELATIONSHIPS)] {
        zip.start_file(name, options).map_err(failed)?;
        zip.write_all(text.as_bytes())?;
    }
    // Readers of the 32-bit form of ZIP, assimp among them, refuse the other: only what needs it has it.
    let is_large = scene.primitives().map(text_bytes).fold(0, u64::saturating_add) > u64::from(u32::MAX);
    zip.start_file("3D/3dmodel.model", options.large_file(is_large)).map_err(failed)?;
    Writer { scene, cx, zip: &mut zip, bytes: Vec::new(), colors: HashMap::new() }.model(properties)?;
    zip.finish().map_err(failed)?;
    Ok(())
}

/// Bytes that the vertices and triangles of a primitive take as text, at most.
fn text_bytes(primitive: &Primitive) -> u64 {
    (primitive.positions.len() as u64 * 80).saturating_add(primitive.triangles().saturating_mul(130))
}

fn report_losses(scene: &Scene, cx: &Context) {
    let count = |has: fn(&Primitive) -> bool| scene.primitives().filter(|primitive| has(primitive)).count() as u64;
    let polygons: usize =
        scene.primitives().map(|primitive| primitive.face_sizes.iter().filter(|&&size| size > 3).count()).sum();
    cx.lose("polygons", polygons as u64, "faces of more than three corners were cut into triangles");
    cx.lose("lines", count(|it| it.topology == Topology::Lines), "lines");
    cx.lose("points", count(|it| it.topology == Topology::Points), "points");
    cx.lose("normals", count(|it| !it.normals.is_empty()), "normals");
    cx.lose("texcoords", count(|it| !it.texcoords.is_empty()), "texture coordinates");
    cx.lose("textures", scene.textures.len() as u64, "textures");
    let both = count(|it| it.material.is_some() && !it.colors.is_empty());
    cx.lose("material-colors", both, "materials of primitives with colours of their own");
    let more = |material: &&Material| {
        material.metallic != 0.0 || material.emissive != [0.0; 3] || material.roughness != 1.0 || material.unlit
    };
    let more = scene.materials.iter().filter(more).count() as u64;
    cx.lose("material-properties", more, "properties of materials but name and colour");
    world::lose_tree(scene, true, cx);
}

struct Writer<'a, W: Write + Seek> {
    scene: &'a Scene,
    cx: &'a Context,
    zip: &'a mut ZipWriter<W>,
    bytes: Vec<u8>,
    colors: HashMap<[u8; 4], u32>,
}

impl<W: Write + Seek> Writer<'_, W> {
    fn put(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn flush(&mut self, least: usize) -> Result<()> {
        if self.bytes.len() > least {
            self.cx.checkpoint()?;
            self.zip.write_all(&self.bytes)?;
            self.bytes.clear();
        }
        Ok(())
    }

    fn model(&mut self, properties: &Map<String, Value>) -> Result<()> {
        let (unit, scale) = unit(self.scene.unit_meters);
        self.put("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<model unit=\"");
        self.put(unit);
        self.put(
            "\" xml:lang=\"en-US\" xmlns=\"http://schemas.microsoft.com/3dmanufacturing/core/2015/02\" \
             xmlns:m=\"http://schemas.microsoft.com/3dmanufacturing/material/2015/02\">\n",
        );
        let mut lost = 0;
        for (name, value) in properties {
            match value {
                Value::String(text) if METADATA.contains(&name.as_str()) => {
                    let line = format!("<metadata name=\"{name}\">{}</metadata>\n", clean(text));
                    self.put(&line);
                }
                _ => lost += 1,
            }
        }
        self.cx.lose("properties", lost, "properties of the record");
        self.put("<resources>\n");
        self.materials();
        self.color_group()?;
        let scene = self.scene;
        // Objects of the meshes that something places, in the order of the meshes.
        let mut placed = Vec::new();
        scene.walk(|node, world| {
            if let Some(mesh) = scene.nodes[node as usize].mesh {
                placed.push((mesh, *world));
            }
        });
        let mut is_placed = vec![false; scene.meshes.len()];
        placed.iter().for_each(|(mesh, _)| is_placed[*mesh as usize] = true);
        let mut has_object = vec![false; scene.meshes.len()];
        for (m, mesh) in scene.meshes.iter().enumerate().filter(|(m, _)| is_placed[*m]) {
            has_object[m] = self.object(m as u32, mesh)?;
        }
        self.put("</resources>\n<build>\n");
        let frame = frame(scene, scale);
        for (mesh, world) in placed.into_iter().filter(|(mesh, _)| has_object[*mesh as usize]) {
            let matrix = multiply(&frame, &world);
            self.put(&format!("<item objectid=\"{}\"", mesh + FIRST_OBJECT_ID));
            if matrix != Transform::IDENTITY.matrix() {
                self.put(" transform=\"");
                for column in 0..4 {
                    for row in 0..3 {
                        if column + row > 0 {
                            self.bytes.push(b' ');
                        }
                        put_number(&mut self.bytes, matrix[column * 4 + row], false);
                    }
                }
                self.put("\"");
            }
            self.put("/>\n");
            self.flush(1 << 16)?;
        }
        self.put("</build>\n</model>\n");
        self.flush(0)
    }

    fn materials(&mut self) {
        if self.scene.materials.is_empty() {
            return;
        }
        self.put(&format!("<basematerials id=\"{MATERIALS_ID}\">\n"));
        for material in &self.scene.materials {
            let mut color = srgb(material.base_color);
            if material.alpha == AlphaMode::Opaque {
                color[3] = 255;
            }
            let line = format!("<base name=\"{}\" displaycolor=\"{}\"/>\n", clean(&material.name), hex(color));
            self.put(&line);
        }
        self.put("</basematerials>\n");
    }

    fn color_group(&mut self) -> Result<()> {
        let mut order = Vec::new();
        for color in self.scene.primitives().filter_map(|primitive| primitive.colors.first()).flat_map(|set| set.iter())
        {
            let color = srgb(*color);
            let next = self.colors.len() as u32;
            if let std::collections::hash_map::Entry::Vacant(entry) = self.colors.entry(color) {
                self.cx.budget().take(32)?;
                entry.insert(next);
                order.push(color);
            }
        }
        if order.is_empty() {
            return Ok(());
        }
        self.put(&format!("<m:colorgroup id=\"{COLORS_ID}\">\n"));
        for color in order {
            self.put(&format!("<m:color color=\"{}\"/>\n", hex(color)));
            self.flush(1 << 16)?;
        }
        self.put("</m:colorgroup>\n");
        Ok(())
    }

    /// Writes an object; says whether there was anything to write.
    fn object(&mut self, index: u32, mesh: &Mesh) -> Result<bool> {
        let solid =
            |it: &&Primitive| matches!(it.topology, Topology::Triangles | Topology::Polygons) && it.triangles() > 0;
        let parts: Vec<&Primitive> = mesh.primitives.iter().filter(solid).collect();
        if parts.is_empty() {
            return Ok(false);
        }
        let name = if mesh.name.is_empty() { String::new() } else { format!(" name=\"{}\"", clean(&mesh.name)) };
        // The default for triangles without a property, which the specification wants where others have one.
        let default =
            parts.iter().find_map(|part| match (part.colors.first().and_then(|set| set.first()), part.material) {
                (Some(&color), _) => Some((COLORS_ID, self.colors.get(&srgb(color)).copied().unwrap_or(0))),
                (None, Some(material)) => Some((MATERIALS_ID, material)),
                (None, None) => None,
            });
        let property = default.map(|(group, index)| format!(" pid=\"{group}\" pindex=\"{index}\"")).unwrap_or_default();
        let id = index + FIRST_OBJECT_ID;
        self.put(&format!("<object id=\"{id}\"{name} type=\"model\"{property}><mesh>\n<vertices>\n"));
        let mut broken = 0;
        for part in &parts {
            for position in &part.positions {
                self.put("<vertex");
                for (axis, &value) in ["x", "y", "z"].into_iter().zip(position) {
                    broken += u64::from(!value.is_finite());
                    self.put(&format!(" {axis}=\""));
                    put_number(&mut self.bytes, if value.is_finite() { value.into() } else { 0.0 }, true);
                    self.put("\"");
                }
                self.put("/>\n");
                self.flush(1 << 16)?;
            }
        }
        self.cx.lose("non-finite", broken, "coordinates that are not finite were written as 0");
        self.put("</vertices>\n<triangles>\n");
        let (mut first, mut degenerate) = (0u32, 0);
        for part in parts {
            let indices: Cow<'_, [u32]> = match (&part.indices, part.topology) {
                (_, Topology::Polygons) => {
                    self.cx.budget().take(part.triangles().saturating_mul(12))?;
                    triangulate::primitive(part).into()
                }
                (Some(indices), _) => (&**indices).into(),
                (None, _) => (0..u32::try_from(part.positions.len()).unwrap_or(u32::MAX)).collect(),
            };
            let colors = part.colors.first();
            for corners in indices.as_chunks::<3>().0 {
                let [a, b, c] = *corners;
                if a == b || b == c || c == a {
                    degenerate += 1;
                    continue;
                }
                let at = |corner: u32| u64::from(first) + u64::from(corner);
                let mut line = format!("<triangle v1=\"{}\" v2=\"{}\" v3=\"{}\"", at(a), at(b), at(c));
                if let Some(colors) = colors {
                    let color = |corner: u32| self.colors.get(&srgb(colors[corner as usize])).copied().unwrap_or(0);
                    line +=
                        &format!(" pid=\"{COLORS_ID}\" p1=\"{}\" p2=\"{}\" p3=\"{}\"", color(a), color(b), color(c));
                } else if let Some(material) = part.material {
                    line += &format!(" pid=\"{MATERIALS_ID}\" p1=\"{material}\"");
                }
                self.put(&line);
                self.put("/>\n");
                self.flush(1 << 16)?;
            }
            first = first.saturating_add(u32::try_from(part.positions.len()).unwrap_or(u32::MAX));
        }
        self.cx.lose("degenerate", degenerate, "triangles with two corners in one vertex");
        self.put("</triangles>\n</mesh></object>\n");
        Ok(true)
    }
}

/// Text of an attribute or an element: escaped, without what XML cannot hold.
fn clean(text: &str) -> String {
    let legal: String = text.chars().filter(|&it| it >= ' ' || matches!(it, '\t' | '\n' | '\r')).collect();
    escape(legal.as_str()).into_owned()
}

/// The unit to write, and what lengths are multiplied with.
fn unit(unit_meters: Option<f64>) -> (&'static str, f64) {
    let Some(meters) = unit_meters.filter(|meters| meters.is_finite() && *meters > 0.0) else {
        return ("millimeter", 1.0);
    };
    match UNITS.iter().find(|(_, known)| ((meters - known) / known).abs() < 1e-9) {
        Some((name, _)) => (name, 1.0),
        None => ("millimeter", meters * 1000.0),
    }
}

/// What brings the scene upright, into its place and into the unit.
fn frame(scene: &Scene, scale: f64) -> [f64; 16] {
    let half = std::f64::consts::FRAC_1_SQRT_2;
    let rotation = match scene.up_axis {
        Some("y") => [half, 0.0, 0.0, half],
        Some("x") => [0.0, -half, 0.0, half],
        _ => [0.0, 0.0, 0.0, 1.0],
    };
    let mut turn = Transform::Trs { translation: [0.0; 3], rotation, scale: [scale; 3] }.matrix();
    if rotation[3] != 1.0 {
        // A quarter turn is exact.
        for value in &mut turn {
            *value = (*value / scale).round() * scale;
        }
        turn[15] = 1.0;
    }
    let [x, y, z] = scene.world_offset;
    let moved = Transform::Trs { translation: [x, y, z], rotation: [0.0, 0.0, 0.0, 1.0], scale: [1.0; 3] }.matrix();
    multiply(&turn, &moved)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "8 bits are wanted")]
fn srgb([r, g, b, a]: [f32; 4]) -> [u8; 4] {
    let byte = |value: f64| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let channel = |value: f32| byte(linear_to_srgb(f64::from(value).clamp(0.0, 1.0)));
    [channel(r), channel(g), channel(b), byte(a.into())]
}

fn hex([r, g, b, a]: [u8; 4]) -> String {
    if a == 255 { format!("#{r:02X}{g:02X}{b:02X}") } else { format!("#{r:02X}{g:02X}{b:02X}{a:02X}") }
}
