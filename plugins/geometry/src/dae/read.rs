//! From the document to a scene.

use mediary_core::record::Scene;
use mediary_core::{Context, MediaRecord, Result, Severity, Source};
use serde_json::{Map, Value};

use super::animation;
use super::document::{Document, Element};
use super::material::Binding;
use super::nodes::Builder;
use crate::xml;

/// Libraries of what has no place in the record.
const LEFT_OUT: &[&str] = &[
    "library_physics_scenes",
    "library_physics_models",
    "library_physics_materials",
    "library_force_fields",
    "library_kinematics_scenes",
    "library_kinematics_models",
    "library_articulated_systems",
    "library_joints",
    "library_formulas",
];

/// Reads everything.
pub(super) fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let text = {
        let bytes = source.bytes(cx)?;
        cx.budget().take((bytes.len() as u64).saturating_mul(2))?;
        xml::text(&bytes)
    };
    let document = Document::parse(&text, source.name(), cx)?;
    let root = document.root();
    if root.name() != "COLLADA" {
        return Err(root.wrong("the element COLLADA at the top", root.name()));
    }
    let version = root.attribute("version").unwrap_or_default();
    if !["1.4", "1.5"].iter().any(|known| version.starts_with(known)) {
        let message = format!("version {version:?} is read as 1.4.1");
        cx.tolerate("version", message, root.location())?;
    }
    let scene = Scene { up_axis: Some(up_axis(root, cx)?), unit_meters: Some(unit(root, cx)?), ..Scene::default() };
    let mut builder = Builder::new(root, source, cx);
    builder.scene = scene;
    place(root, &mut builder)?;
    // Materials that nothing shows are there, too.
    for material in libraries(root, "library_materials").flat_map(|library| library.all("material")) {
        if !builder.materials.knows(material) {
            builder.materials.bind(material, Binding { instance: None, sets: &[] })?;
        }
    }
    builder.skins()?;
    animation::read(root, &mut builder)?;
    let left = LEFT_OUT.iter().filter(|name| root.child(name).is_some()).count() as u64;
    cx.report_times(
        Severity::Info,
        "left-out",
        "libraries of physics and kinematics have no place in the record",
        None,
        left,
    );
    let Builder { mut scene, materials, .. } = builder;
    (scene.materials, scene.textures) = (materials.list, materials.textures);
    let mut record = MediaRecord::new(scene);
    record.properties = properties(root);
    Ok(record)
}

/// Libraries of this name; a file may have several.
pub(super) fn libraries<'d>(root: Element<'d>, name: &'static str) -> impl Iterator<Item = Element<'d>> {
    root.children().filter(move |child| child.name() == name)
}

fn up_axis(root: Element<'_>, cx: &Context) -> Result<&'static str> {
    let element = root.path(&["asset", "up_axis"]);
    Ok(match element.map(Element::text) {
        Some("X_UP") => "x",
        Some("Z_UP") => "z",
        // What the specification says where the file says nothing.
        None | Some("Y_UP" | "") => "y",
        Some(other) => {
            let message = format!("up axis: expected X_UP, Y_UP or Z_UP, found {other:?}");
            cx.tolerate("up-axis", message, root.location())?;
            "y"
        }
    })
}

fn unit(root: Element<'_>, cx: &Context) -> Result<f64> {
    let Some(element) = root.path(&["asset", "unit"]) else { return Ok(1.0) };
    let Some(text) = element.attribute("meter") else { return Ok(1.0) };
    match text.trim().parse::<f64>().ok().filter(|meters| meters.is_finite() && *meters > 0.0) {
        Some(meters) => Ok(meters),
        None => {
            let message = format!("unit: expected metres above 0, found {text:?}; it is taken for one metre");
            cx.tolerate("unit", message, element.location())?;
            Ok(1.0)
        }
    }
}

/// The scene that the file names, else its first, else all geometries.
fn place<'d>(root: Element<'d>, builder: &mut Builder<'d>) -> Result<()> {
    let cx = builder.cx;
    let scenes: Vec<_> =
        libraries(root, "library_visual_scenes").flat_map(|library| library.all("visual_scene")).collect();
    let instance = root.path(&["scene", "instance_visual_scene"]);
    let named = instance.map(|instance| instance.target_if_there("url", &["visual_scene"], cx)).transpose()?.flatten();
    let others = scenes.len().saturating_sub(1) as u64;
    cx.report_times(
        Severity::Info,
        "other-scenes",
        "scenes beside the one that the file shows are left out",
        None,
        others,
    );
    if let Some(scene) = named.or_else(|| scenes.first().copied()) {
        builder.scene.name = scene.attribute("name").or_else(|| scene.attribute("id")).unwrap_or_default().to_owned();
        return scene.all("node").try_for_each(|node| builder.node(node, None));
    }
    let geometries: Vec<_> =
        libraries(root, "library_geometries").flat_map(|library| library.all("geometry")).collect();
    let what = if geometries.is_empty() { "and no geometry" } else { "so all its geometries are shown" };
    cx.warn("no-scene", format!("the file has no scene, {what}"));
    geometries.into_iter().try_for_each(|geometry| builder.alone(geometry))
}

/// What the file says of itself.
fn properties(root: Element<'_>) -> Map<String, Value> {
    let mut properties = Map::new();
    let Some(asset) = root.child("asset") else { return properties };
    let mut put = |name: &str, element: Option<Element<'_>>| {
        let text: String = element.map_or("", Element::text).chars().take(4096).collect();
        if !text.is_empty() {
            properties.insert(name.to_owned(), text.into());
        }
    };
    for name in ["title", "subject", "keywords", "revision", "created", "modified"] {
        put(name, asset.child(name));
    }
    for name in ["author", "authoring_tool", "comments", "copyright", "source_data"] {
        put(name, asset.path(&["contributor", name]));
    }
    properties
}
