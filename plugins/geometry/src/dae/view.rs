//! Cameras and lights, and how they look.

use mediary_core::record::scene::{Camera, Light};
use mediary_core::{Context, Result};

use super::document::Element;
use super::values;

/// A vector at length 1; `None` when it has no direction.
pub(super) fn unit(vector: [f64; 3]) -> Option<[f64; 3]> {
    let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    (length.is_finite() && length > 0.0).then(|| vector.map(|value| value / length))
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// The column-major placement of something at `eye` that looks along its −z at `interest`.
pub(super) fn look_at(eye: [f64; 3], interest: [f64; 3], up: [f64; 3]) -> [f64; 16] {
    let back = unit([0, 1, 2].map(|axis| eye[axis] - interest[axis])).unwrap_or([0.0, 0.0, 1.0]);
    let right = unit(cross(up, back)).or_else(|| unit(cross([0.0, 0.0, 1.0], back)));
    let right = right.or_else(|| unit(cross([0.0, 1.0, 0.0], back))).unwrap_or([1.0, 0.0, 0.0]);
    let [a, b, c] = right;
    let [d, e, f] = cross(back, right);
    let [g, h, i] = back;
    [a, b, c, 0.0, d, e, f, 0.0, g, h, i, 0.0, eye[0], eye[1], eye[2], 1.0]
}

/// A number in a child of this name.
fn number(element: Element<'_>, name: &str, cx: &Context) -> Result<Option<f64>> {
    let Some(child) = element.child(name) else { return Ok(None) };
    Ok(values::parameter(child, 1, cx)?.map(|values| values[0].into()))
}

/// A `camera`; `None` with a finding for one of another kind.
pub(super) fn camera(element: Element<'_>, cx: &Context) -> Result<Option<Camera>> {
    let kind = element.path(&["optics", "technique_common"]).and_then(|common| common.children().next());
    let Some(kind) = kind.filter(|kind| matches!(kind.name(), "perspective" | "orthographic")) else {
        cx.warn_at("camera", "a camera that is neither perspective nor orthographic is left out", element.location());
        return Ok(None);
    };
    let number = |name: &str| number(kind, name, cx);
    let (near, far) = (number("znear")?.unwrap_or(0.1), number("zfar")?);
    let aspect = number("aspect_ratio")?.filter(|&aspect| aspect > 0.0);
    if kind.name() == "perspective" {
        let half = |degrees: f64| (degrees.to_radians() / 2.0).tan();
        let (x, y) = (number("xfov")?.map(half), number("yfov")?.map(half));
        let (y, aspect) = match (x, y, aspect) {
            (Some(x), Some(y), _) => (y, Some(x / y)),
            (Some(x), None, Some(aspect)) => (x / aspect, Some(aspect)),
            // Without an aspect ratio it is that of a square.
            (Some(x), None, None) => (x, None),
            (None, Some(y), aspect) => (y, aspect),
            (None, None, aspect) => {
                cx.tolerate("field-of-view", "a camera without a field of view has 45 degrees", kind.location())?;
                (half(45.0), aspect)
            }
        };
        let yfov = 2.0 * y.atan();
        return Ok(Some(Camera::Perspective { yfov, aspect, near, far: far.filter(|&far| far > near) }));
    }
    let (x, y) = (number("xmag")?, number("ymag")?);
    let (xmag, ymag) = match (x, y, aspect) {
        (Some(x), Some(y), _) => (x, y),
        (Some(x), None, aspect) => (x, x / aspect.unwrap_or(1.0)),
        (None, Some(y), aspect) => (y * aspect.unwrap_or(1.0), y),
        (None, None, aspect) => (aspect.unwrap_or(1.0), 1.0),
    };
    Ok(Some(Camera::Orthographic { xmag, ymag, near, far: far.unwrap_or(near + 1000.0) }))
}

/// A `light`; `None` with a finding for an ambient one.
#[expect(clippy::cast_possible_truncation, reason = "lights are single precision")]
pub(super) fn light(element: Element<'_>, cx: &Context) -> Result<Option<Light>> {
    let kind = element.child("technique_common").and_then(|common| common.children().next());
    let Some(kind) = kind.filter(|kind| matches!(kind.name(), "directional" | "point" | "spot")) else {
        cx.note("ambient-light", "light from everywhere has no place in the record");
        return Ok(None);
    };
    let color = kind.child("color").map(|color| values::parameter(color, 3, cx)).transpose()?.flatten();
    let [r, g, b] = color.map_or([1.0; 3], |color| [0, 1, 2].map(|at| color[at].max(0.0)));
    // Colours above 1 are bright ones.
    let most = r.max(g).max(b).max(1.0);
    let extra = element.descendants().find(|inner| inner.name() == "intensity").map(Element::text);
    let factor = extra.and_then(|text| text.parse::<f32>().ok()).filter(|factor| factor.is_finite() && *factor >= 0.0);
    let attenuation = [("constant_attenuation", 1.0), ("linear_attenuation", 0.0), ("quadratic_attenuation", 0.0)];
    for (name, usual) in attenuation {
        if number(kind, name, cx)?.is_some_and(|value| value != usual) {
            cx.note("attenuation", "how fast lights fade has no place in the record");
            break;
        }
    }
    // The angle of the whole cone.
    let falloff = number(kind, "falloff_angle", cx)?.unwrap_or(180.0);
    let half = (falloff.to_radians() / 2.0).clamp(1e-3, std::f64::consts::FRAC_PI_2) as f32;
    Ok(Some(Light {
        name: element.attribute("name").or_else(|| element.attribute("id")).unwrap_or_default().to_owned(),
        kind: match kind.name() {
            "directional" => "directional",
            "point" => "point",
            _ => "spot",
        },
        color: [r, g, b].map(|value| value / most),
        intensity: most * factor.unwrap_or(1.0),
        range: None,
        cone: (kind.name() == "spot").then_some([0.0, half]),
    }))
}
