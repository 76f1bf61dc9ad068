//! Undoing compression before anything is read: afterwards the document refers to plain buffers only.

use std::collections::BTreeMap;

use mediary_core::{Context, Error, Location, Result};
use serde::Deserialize;
use serde_json::Value;

use super::accessor::{Buffers, UNSIGNED_INT, width};
use super::document::{BufferView, Document, Int};
use super::draco;
use super::meshopt::{self, Filter, Mode};

/// Extensions that are undone here.
pub(super) const KHR_DRACO: &str = "KHR_draco_mesh_compression";
pub(super) const MESHOPT: [&str; 2] = ["EXT_meshopt_compression", "KHR_meshopt_compression"];

/// A buffer view compressed with meshoptimizer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MeshoptView {
    buffer: Int,
    #[serde(default)]
    byte_offset: Int,
    byte_length: Int,
    byte_stride: Int,
    count: Int,
    mode: String,
    #[serde(default)]
    filter: Option<String>,
}

/// A primitive compressed with Draco.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DracoPrimitive {
    buffer_view: Int,
    attributes: BTreeMap<String, Int>,
}

fn parse<T: for<'de> Deserialize<'de>>(value: &Value, path: &str) -> Result<T> {
    T::deserialize(value).map_err(|error| Error::malformed(error.to_string()).at_element(path.to_owned()))
}

fn small(value: Int) -> usize {
    usize::try_from(value.0).unwrap_or(usize::MAX)
}

/// Decodes every compressed buffer view and primitive into new buffers. Says whether there was any.
///
/// # Errors
/// `Malformed` for a broken stream, `Limit` when the budget is too small.
pub(super) fn decompress(document: &mut Document, buffers: &mut Buffers, cx: &Context) -> Result<bool> {
    let views = meshopt_views(document, buffers, cx)?;
    let primitives = draco_primitives(document, buffers, cx)?;
    Ok(views || primitives)
}

fn meshopt_views(document: &mut Document, buffers: &mut Buffers, cx: &Context) -> Result<bool> {
    let mut any = false;
    for (number, view) in document.buffer_views.iter_mut().enumerate() {
        let Some((name, value)) = MESHOPT.iter().find_map(|name| Some((*name, view.extensions.get(*name)?))) else {
            continue;
        };
        let path = format!("bufferViews[{number}].extensions.{name}");
        let packed: MeshoptView = parse(value, &path)?;
        let unknown = |what: &str, found: &str| {
            Error::unsupported(format!("{what} {found:?} of {name} is not known")).at_element(path.clone())
        };
        let mode = Mode::parse(&packed.mode).ok_or_else(|| unknown("mode", &packed.mode))?;
        let filter = packed.filter.as_deref().unwrap_or("NONE");
        let filter = Filter::parse(filter).ok_or_else(|| unknown("filter", filter))?;
        let data = buffers.slice(packed.buffer, packed.byte_offset, packed.byte_length, &path)?;
        let plain = meshopt::decode(data, mode, filter, small(packed.count), small(packed.byte_stride), cx)
            .map_err(|error| error.at_element(path.clone()))?;
        if (plain.len() as u64) < view.byte_length.0 {
            return Err(
                Error::truncated("the decoded buffer view", view.byte_length.0, plain.len() as u64).at_element(path)
            );
        }
        view.buffer = buffers.push(plain);
        view.byte_offset = Int(0);
        any = true;
    }
    Ok(any)
}

fn draco_primitives(document: &mut Document, buffers: &mut Buffers, cx: &Context) -> Result<bool> {
    let mut any = false;
    for (m, mesh) in document.meshes.iter().enumerate() {
        for (p, primitive) in mesh.primitives.iter().enumerate() {
            let Some(value) = primitive.extensions.get(KHR_DRACO) else { continue };
            let path = format!("meshes[{m}].primitives[{p}].extensions.{KHR_DRACO}");
            let packed: DracoPrimitive = parse(value, &path)?;
            let accessors = &mut document.accessors;
            let count = |index: Option<&Int>, what: &str| {
                index.and_then(|&index| accessors.get(small(index))).map(|accessor| accessor.count.0).ok_or_else(|| {
                    Error::malformed(format!("a compressed primitive needs an accessor of {what}"))
                        .at_element(path.clone())
                })
            };
            let position = primitive.attributes.get("POSITION");
            let (vertices, corners) = (count(position, "positions")?, count(primitive.indices.as_ref(), "indices")?);
            let view = document.buffer_views.get(small(packed.buffer_view)).ok_or_else(|| {
                Error::malformed(format!("buffer view {} is out of range", packed.buffer_view.0))
                    .at_element(path.clone())
            })?;
            let data = buffers.slice(view.buffer, view.byte_offset, view.byte_length, &path)?;
            let wanted: Vec<u32> = packed.attributes.values().filter_map(|id| u32::try_from(id.0).ok()).collect();
            let decoded = draco::decode(data, corners, vertices, &wanted, cx).map_err(|error| {
                let byte = error.location().and_then(|location| location.byte);
                let place = Location::element(path.clone());
                error.at(byte.map_or(place.clone(), |byte| place.with_byte(byte)))
            })?;
            let mut add_view = |bytes: Vec<u8>| {
                let mut view = BufferView::plain(bytes.len() as u64);
                view.buffer = buffers.push(bytes);
                document.buffer_views.push(view);
                Int(document.buffer_views.len() as u64 - 1)
            };
            let mut put = |index: Int, component_type: u32, components: u8, values: u64, view: Int| {
                let path = || format!("accessors[{}]", index.0);
                let accessor = accessors.get_mut(small(index)).ok_or_else(|| {
                    Error::malformed(format!("accessor {} is out of range", index.0)).at_element(path())
                })?;
                let fail = |message: String| Err(Error::malformed(message).at_element(path()));
                if values != accessor.count.0 {
                    return fail(format!("expected {} values, the Draco stream has {values}", accessor.count.0));
                }
                if width(&accessor.kind) != Some(components.into()) {
                    let kind = &accessor.kind;
                    return fail(format!(
                        "expected values of type {kind}, those of the stream have {components} components"
                    ));
                }
                accessor.buffer_view = Some(view);
                accessor.byte_offset = Int(0);
                accessor.component_type = Int(component_type.into());
                Ok(())
            };
            let mut views = BTreeMap::new();
            for (id, values) in decoded.attributes {
                views.insert(u64::from(id), (values.component_type, values.components, add_view(values.bytes)));
            }
            for (name, id) in &packed.attributes {
                let (Some(&index), Some(&(component_type, components, view))) =
                    (primitive.attributes.get(name), views.get(&id.0))
                else {
                    let message = format!("attribute {name} with id {} is not in the Draco stream", id.0);
                    return Err(Error::malformed(message).at_element(path));
                };
                put(index, component_type, components, vertices, view)?;
            }
            if let Some(index) = primitive.indices {
                put(index, UNSIGNED_INT as u32, 1, corners, add_view(decoded.indices))?;
            }
            any = true;
        }
    }
    Ok(any)
}
