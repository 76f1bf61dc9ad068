//! Writing OBJ: meshes in world space, one `o` each, and the material library.

use std::io::Write as _;

use mediary_core::convert::{linear_to_srgb, srgb_to_linear};
use mediary_core::record::scene::Topology;
use mediary_core::{Context, Error, Media, MediaRecord, Output, Result};

use crate::mtl;
use crate::text::{Digits, flush_if_long};
use crate::world::{self, Placed};

pub(super) fn write(record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let Media::Scene(scene) = &record.media else {
        return Err(Error::unsupported(format!("OBJ holds a scene, not {}", record.kind())));
    };
    let meshes = world::placed(scene);
    if meshes.iter().flat_map(|mesh| &mesh.mesh.primitives).all(|primitive| primitive.positions.is_empty()) {
        return Err(Error::unsupported("OBJ holds vertices, the scene has none that is placed"));
    }
    world::lose_tree(scene, true, cx);
    let mut text = Text { bytes: Vec::new(), digits: Digits::of(cx), out, cx };
    text.bytes.extend_from_slice(b"# written by mediary\n");
    let mut names = Vec::new();
    if !scene.materials.is_empty() {
        if text.out.has_siblings() {
            let library = mtl::write(scene, text.out, cx)?;
            text.bytes.extend_from_slice(format!("mtllib {library}\n").as_bytes());
            names = mtl::material_names(scene);
        } else {
            cx.lose("materials", scene.materials.len() as u64, "materials: a stream has no library beside it");
            cx.lose("textures", scene.textures.len() as u64, "textures: a stream has no pictures beside it");
        }
    }
    let single = scene.world_offset == [0.0; 3];
    let mut counts = Counts::default();
    for mesh in meshes {
        text.mesh(&mesh, &names, single, &mut counts)?;
    }
    text.digits.report(cx);
    text.flush()
}

/// Statements written so far: indices count over the whole file.
#[derive(Default)]
struct Counts {
    positions: u64,
    texcoords: u64,
    normals: u64,
}

struct Text<'o> {
    bytes: Vec<u8>,
    digits: Digits,
    out: &'o mut Output,
    cx: &'o Context,
}

impl Text<'_> {
    fn flush(&mut self) -> Result<()> {
        self.out.write_all(&self.bytes)?;
        self.bytes.clear();
        self.cx.checkpoint()
    }

    fn flush_if_long(&mut self) -> Result<()> {
        flush_if_long(&mut self.bytes, self.out, self.cx)
    }

    fn mesh(&mut self, mesh: &Placed<'_>, materials: &[String], single: bool, counts: &mut Counts) -> Result<()> {
        // A name is one line; blanks at its ends would not be read back.
        let name = mesh.name().split(['\n', '\r']).collect::<Vec<_>>().join(" ");
        self.bytes.extend_from_slice(format!("o {}", name.trim()).trim_end().as_bytes());
        self.bytes.push(b'\n');
        let mut current = None;
        for primitive in &mesh.mesh.primitives {
            let colors = primitive.colors.first();
            for (index, &position) in primitive.positions.iter().enumerate() {
                self.bytes.push(b'v');
                self.numbers(&mesh.position(position), single);
                if let Some(colors) = colors {
                    self.color(colors[index]);
                }
                self.bytes.push(b'\n');
                self.flush_if_long()?;
            }
            let texcoords = primitive.texcoords.first().map_or(&[][..], |set| set);
            for &[u, v] in texcoords {
                self.bytes.extend_from_slice(b"vt ");
                self.digits.put(&mut self.bytes, u.into(), true);
                self.bytes.push(b' ');
                #[expect(clippy::cast_possible_truncation, reason = "this is how it is read")]
                self.digits.put_shortest(&mut self.bytes, 1.0 - f64::from(v), |text| (1.0 - text) as f32 == v);
                self.bytes.push(b'\n');
                self.flush_if_long()?;
            }
            for &normal in &primitive.normals {
                self.bytes.extend_from_slice(b"vn");
                self.numbers(&mesh.normal(normal).map(f64::from), true);
                self.bytes.push(b'\n');
                self.flush_if_long()?;
            }
            let material = primitive.material.and_then(|index| materials.get(index as usize));
            if material != current {
                let name = material.map_or("", String::as_str);
                self.bytes.extend_from_slice(format!("usemtl {name}").trim_end().as_bytes());
                self.bytes.push(b'\n');
                current = material;
            }
            let lengths =
                [primitive.positions.len(), texcoords.len(), primitive.normals.len()].map(|length| length as u64);
            self.elements(primitive, mesh.mirrors, counts, lengths)?;
            counts.positions += lengths[0];
            counts.texcoords += lengths[1];
            counts.normals += lengths[2];
        }
        // The next mesh starts without a material, as `usemtl` holds across objects.
        if current.is_some() {
            self.bytes.extend_from_slice(b"usemtl\n");
        }
        Ok(())
    }

    fn elements(
        &mut self,
        primitive: &mediary_core::record::scene::Primitive,
        mirrors: bool,
        counts: &Counts,
        lengths: [u64; 3],
    ) -> Result<()> {
        let corner = |bytes: &mut Vec<u8>, index: u32| {
            let at = |count: u64| count + u64::from(index) + 1;
            // Writing to a vector cannot fail.
            let _ = write!(bytes, " {}", at(counts.positions));
            let _ = match (lengths[1] > 0, lengths[2] > 0) {
                (false, false) => Ok(()),
                (true, false) => write!(bytes, "/{}", at(counts.texcoords)),
                (false, true) => write!(bytes, "//{}", at(counts.normals)),
                (true, true) => write!(bytes, "/{}/{}", at(counts.texcoords), at(counts.normals)),
            };
        };
        let indices = primitive.indices.as_deref();
        let index = |at: usize| indices.map_or(at as u32, |indices| indices[at]);
        match primitive.topology {
            Topology::Points => {
                for at in 0..primitive.corners() {
                    self.bytes.push(b'p');
                    corner(&mut self.bytes, index(at));
                    self.bytes.push(b'\n');
                    self.flush_if_long()?;
                }
            }
            Topology::Lines => {
                for at in 0..primitive.corners() / 2 {
                    self.bytes.push(b'l');
                    corner(&mut self.bytes, index(2 * at));
                    corner(&mut self.bytes, index(2 * at + 1));
                    self.bytes.push(b'\n');
                    self.flush_if_long()?;
                }
            }
            _ => {
                let mut failure = Ok(());
                world::faces(primitive, mirrors, |corners| {
                    self.bytes.push(b'f');
                    corners.iter().for_each(|&index| corner(&mut self.bytes, index));
                    self.bytes.push(b'\n');
                    if failure.is_ok() {
                        failure = self.flush_if_long();
                    }
                });
                failure?;
            }
        }
        Ok(())
    }

    fn numbers(&mut self, values: &[f64], single: bool) {
        for &value in values {
            self.bytes.push(b' ');
            self.digits.put(&mut self.bytes, value, single);
        }
    }

    /// sRGB, in as few digits as give the same linear value back.
    #[expect(clippy::cast_possible_truncation, reason = "this is how it is read")]
    fn color(&mut self, [r, g, b, a]: [f32; 4]) {
        for value in [r, g, b] {
            self.bytes.push(b' ');
            self.digits.put_shortest(&mut self.bytes, linear_to_srgb(value.into()), |text| {
                srgb_to_linear(text) as f32 == value
            });
        }
        if a != 1.0 {
            self.bytes.push(b' ');
            self.digits.put(&mut self.bytes, a.into(), true);
        }
    }
}
