//! From the library's scene to the record.

use mediary_core::{Context, MediaRecord, Result, Source};

use super::animation;
use super::load::{Loaded, report_warnings};
use super::nodes::Builder;

/// Reads everything.
pub(super) fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let loaded = Loaded::read(source, cx)?;
    let file = &*loaded.scene;
    report_warnings(file, cx)?;
    let mut builder = Builder::new(file, source, cx);
    builder.scene.up_axis = loaded.up_axis;
    let unit = file.settings.unit_meters;
    builder.scene.unit_meters = (unit.is_finite() && unit > 0.0).then_some(unit);
    builder.build()?;
    animation::read(file, &mut builder, cx)?;
    let Builder { mut scene, materials, mut extras, .. } = builder;
    for material in &file.materials {
        if let Some(path) = materials.path(material) {
            extras.keep(&path, &material.element);
        }
    }
    (scene.materials, scene.textures) = (materials.list, materials.textures);
    let mut record = MediaRecord::new(scene);
    record.properties = extras.properties(file);
    Ok(record)
}
