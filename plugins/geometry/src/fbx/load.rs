//! The library: its options, its limits, its errors and its warnings.

use std::panic::{AssertUnwindSafe, catch_unwind};

use mediary_core::{Context, Error, Location, Result, Source, Strictness};
use ufbx::{
    Allocator, AllocatorOpts, CoordinateAxes, CoordinateAxis, ErrorType, FileFormat, GeometryTransformHandling,
    IndexErrorHandling, InheritModeHandling, LoadOpts, MirrorAxis, OpenFileCb, ProgressCb, ProgressResult, SceneRoot,
    SpaceConversion, WarningType,
};

/// Bytes of the input between two looks at the deadline.
const INTERVAL: u64 = 1 << 18;
/// Bytes that the library needs for an empty scene.
const LEAST: u64 = 4 << 20;

/// A file as the library has read it, and what it holds of the budget.
pub(super) struct Loaded<'c> {
    pub(super) scene: SceneRoot,
    /// `x`, `y` or `z`; `None` where the file does not say.
    pub(super) up_axis: Option<&'static str>,
    taken: u64,
    cx: &'c Context,
}

impl Drop for Loaded<'_> {
    fn drop(&mut self) {
        self.cx.budget().give_back(self.taken);
    }
}

impl<'c> Loaded<'c> {
    /// Reads a file.
    ///
    /// # Errors
    /// `Malformed`, `Unsupported` and `Limit` by the library; `Cancelled`.
    pub(super) fn read(source: &Source, cx: &'c Context) -> Result<Self> {
        let bytes = source.bytes(cx)?;
        let (scene, taken) = load(&bytes, None, cx)?;
        if let Some(up_axis) = up_axis(&scene.settings.axes) {
            return Ok(Self { scene, up_axis: Some(up_axis), taken, cx });
        }
        if !ufbx::coordinate_axes_valid(scene.settings.axes) {
            cx.note("axes", "the file does not say which axis is up");
            return Ok(Self { scene, up_axis: None, taken, cx });
        }
        cx.note("axes", "axes that no record has were turned to right-handed, y up");
        drop(scene);
        cx.budget().give_back(taken);
        let (scene, taken) = load(&bytes, Some(CoordinateAxes::right_handed_y_up()), cx)?;
        Ok(Self { scene, up_axis: Some("y"), taken, cx })
    }
}

/// The axis that is up, where it points up and the others are right-handed. Where the front is no record says.
fn up_axis(axes: &CoordinateAxes) -> Option<&'static str> {
    let [right, up, front] = [direction(axes.right)?, direction(axes.up)?, direction(axes.front)?];
    let cross = [0, 1, 2].map(|axis: usize| {
        let (next, last) = ((axis + 1) % 3, (axis + 2) % 3);
        right[next] * up[last] - right[last] * up[next]
    });
    match (cross == front, axes.up) {
        (true, CoordinateAxis::PositiveX) => Some("x"),
        (true, CoordinateAxis::PositiveY) => Some("y"),
        (true, CoordinateAxis::PositiveZ) => Some("z"),
        _ => None,
    }
}

fn direction(axis: CoordinateAxis) -> Option<[i8; 3]> {
    Some(match axis {
        CoordinateAxis::PositiveX => [1, 0, 0],
        CoordinateAxis::NegativeX => [-1, 0, 0],
        CoordinateAxis::PositiveY => [0, 1, 0],
        CoordinateAxis::NegativeY => [0, -1, 0],
        CoordinateAxis::PositiveZ => [0, 0, 1],
        CoordinateAxis::NegativeZ => [0, 0, -1],
        _ => return None,
    })
}

/// The scene, and the bytes of the budget that it holds.
fn load(bytes: &[u8], target: Option<CoordinateAxes>, cx: &Context) -> Result<(SceneRoot, u64)> {
    // The library counts by itself. Until it is done it may have all that is left, half for what it throws away.
    let budget = cx.budget();
    let most = (bytes.len() as u64).saturating_mul(cx.limits().expansion_ratio).saturating_add(LEAST);
    let left = budget.allowed().saturating_sub(budget.taken()).min(most);
    budget.take(left)?;
    let half = usize::try_from(left / 2).unwrap_or(usize::MAX);
    let stopped = std::cell::RefCell::new(None);
    let progress = |_: &ufbx::Progress| match cx.checkpoint() {
        Ok(()) => ProgressResult::Continue,
        Err(error) => {
            stopped.replace(Some(error));
            ProgressResult::Cancel
        }
    };
    let no_file = |_: &str, _: &ufbx::OpenFileInfo| None;
    let options = LoadOpts {
        temp_allocator: limited(half),
        result_allocator: limited(half),
        clean_skin_weights: true,
        use_blender_pbr_material: true,
        strict: cx.strictness() == Strictness::Strict,
        index_error_handling: IndexErrorHandling::NoIndex,
        node_depth_limit: u32::try_from(cx.limits().depth).unwrap_or(u32::MAX).max(1),
        progress_cb: ProgressCb::Ref(&progress),
        progress_interval_hint: INTERVAL,
        load_external_files: false,
        open_file_cb: OpenFileCb::Ref(&no_file),
        geometry_transform_handling: GeometryTransformHandling::ModifyGeometry,
        inherit_mode_handling: InheritModeHandling::HelperNodes,
        space_conversion: SpaceConversion::TransformRoot,
        handedness_conversion_axis: MirrorAxis::Z,
        target_axes: target.unwrap_or_default(),
        target_camera_axes: CoordinateAxes::right_handed_y_up(),
        target_light_axes: CoordinateAxes::right_handed_y_up(),
        normalize_normals: true,
        normalize_tangents: true,
        file_format: FileFormat::Fbx,
        ..LoadOpts::default()
    };
    let loaded =
        catch_unwind(AssertUnwindSafe(|| ufbx::load_memory(bytes, options).map_err(|it| error(&it, left, cx))));
    budget.give_back(left);
    if let Some(error) = stopped.into_inner() {
        return Err(error);
    }
    let scene = loaded.unwrap_or_else(|_| Err(Error::malformed("the library cannot make sense of the document")))?;
    let used = scene.metadata.result_memory_used as u64;
    budget.take(used)?;
    Ok((scene, used))
}

/// An allocator of the library that stops at so many bytes. For the library 0 is no limit.
pub(super) fn limited(bytes: usize) -> AllocatorOpts {
    AllocatorOpts { allocator: Allocator::Libc, memory_limit: bytes.max(1), ..AllocatorOpts::default() }
}

/// What the library says, in our words.
pub(super) fn error(error: &ufbx::Error, memory: u64, cx: &Context) -> Error {
    // The details are bytes that may end within a letter.
    let info = catch_unwind(AssertUnwindSafe(|| error.info().to_owned())).unwrap_or_default();
    let mut message = match error.type_ {
        // Most checks of the library have no words of their own.
        ErrorType::Unknown | ErrorType::None => "an index, a count or a size in the document makes no sense".to_owned(),
        _ => error.description.to_lowercase(),
    };
    if !info.is_empty() {
        message = format!("{message}: {info}");
    }
    match error.type_ {
        ErrorType::MemoryLimit | ErrorType::AllocationLimit | ErrorType::OutOfMemory => {
            let half = memory / 2;
            Error::limit("alloc_bytes", memory.saturating_add(1), cx.budget().allowed())
                .saying(format!("the library needs more than {half} bytes for the scene, or for what it throws away"))
        }
        ErrorType::NodeDepthLimit => {
            let depth = cx.limits().depth;
            Error::limit("depth", depth.saturating_add(1), depth)
        }
        ErrorType::UnsupportedVersion => Error::unsupported(format!("version {info} is not read"))
            .with_hint("convert it to FBX 2011 (7100) or later"),
        ErrorType::UnrecognizedFileFormat => Error::malformed("expected FBX, found something else"),
        ErrorType::TruncatedFile | ErrorType::EmptyFile => Error::malformed("the file ends before its content does"),
        _ => Error::malformed(message),
    }
}

/// Reports what the library repaired.
pub(super) fn report_warnings(scene: &ufbx::Scene, cx: &Context) -> Result<()> {
    for warning in &scene.metadata.warnings {
        let code = match warning.type_ {
            WarningType::TruncatedArray => "truncated-array",
            WarningType::MissingGeometryData => "missing-geometry",
            WarningType::DuplicateConnection => "duplicate-connection",
            WarningType::BadVertexWAttribute => "w",
            WarningType::MissingPolygonMapping => "missing-mapping",
            WarningType::UnsupportedVersion => "version",
            WarningType::IndexClamped => "index",
            WarningType::BadUnicode => "text",
            WarningType::BadBase64Content => "base64",
            WarningType::BadElementConnectedToRoot => "root",
            WarningType::DuplicateObjectId => "duplicate-id",
            WarningType::EmptyFaceRemoved => "short-face",
            _ => "repaired",
        };
        let element = scene.elements.get(warning.element_id as usize);
        let place = element.map_or("Objects", |element| &*element.name);
        let times = if warning.count > 1 { format!(" ({} times)", warning.count) } else { String::new() };
        let message = format!("{}{times}", warning.description.to_lowercase());
        cx.tolerate(code, message, Location::element(place))?;
    }
    Ok(())
}
