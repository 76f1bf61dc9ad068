//! What all writers share: an image brought to what a format holds, and the names of what that loses.
//!
//! | loss | when |
//! |---|---|
//! | `alpha` | pixels that are not opaque are laid on white, where a format has no alpha channel |
//! | `depth` | 16-bit samples that are not the same in 8 bits are rounded |
//! | `float`, `range` | float samples are rounded to integers; those outside of 0 to 1 are cut off |
//! | `values` | numbers with a display range of their own ([`Image::range`]) are stretched to that of the format |
//! | `linear`, `curve` | linear light gets the curve of sRGB, or loses it, where a format holds the other alone |
//! | `icc` | a colour profile that the format has no place for |
//! | `properties`, `annotations` | what else the record carries |

use std::borrow::Cow;

use mediary_core::record::{ColorSpace, Image, Samples};
use mediary_core::{Context, Error, Media, MediaRecord, Result, convert};

/// What the numbers in a file mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Light {
    /// Always shown as sRGB.
    Display,
    /// Always linear light.
    Linear,
    /// The file says which.
    Stated,
}

/// What a format holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holds {
    /// Numbers of channels, ascending: 1 gray, 2 gray + alpha, 3 RGB, 4 RGBA.
    pub(crate) channels: &'static [u8],
    /// Unsigned samples of 8 bits.
    pub(crate) eight: bool,
    /// Unsigned samples of 16 bits.
    pub(crate) sixteen: bool,
    /// Float samples of 32 bits, or of a width that is near enough to call them kept.
    pub(crate) float: bool,
    /// What samples mean.
    pub(crate) light: Light,
    /// ICC profiles.
    pub(crate) profile: bool,
}

/// What bringing an image to a format loses, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Lost {
    /// Pixels that were not opaque.
    pub(crate) alpha: u64,
    /// Samples of 16 bits that were rounded to 8.
    pub(crate) depth: u64,
    /// Float samples that were rounded to integers.
    pub(crate) float: u64,
    /// Float samples that were cut off.
    pub(crate) range: u64,
    /// Samples that were stretched from a display range.
    pub(crate) values: u64,
    /// Samples whose linear light was coded.
    pub(crate) linear: u64,
    /// Samples whose code became linear light.
    pub(crate) curve: u64,
    /// Profiles.
    pub(crate) icc: u64,
}

impl Lost {
    /// Reports what was lost.
    pub(crate) fn tell(&self, cx: &Context) {
        cx.lose(
            "alpha",
            self.alpha,
            "pixels that are not opaque are laid on white; -o image.background chooses a colour",
        );
        cx.lose("depth", self.depth, "16-bit samples are rounded to 8 bits");
        cx.lose("float", self.float, "float samples are rounded to integers");
        cx.lose("range", self.range, "samples outside of the range are cut off");
        cx.lose("values", self.values, "numbers are stretched from their display range to that of the format");
        cx.lose("linear", self.linear, "samples of linear light get the curve of sRGB");
        cx.lose("curve", self.curve, "samples with the curve of sRGB become linear light");
        cx.lose("icc", self.icc, "a colour profile");
    }
}

/// Whether a format of animated images takes this: any image, and clips that are such images or arrays. A film gives its first
/// frame, as in any other format of images.
pub(crate) fn is_animation(media: &Media) -> bool {
    const CONTAINERS: [&str; 6] = ["gif", "png", "webp", "avif", "jxl", "npy"];
    match media {
        Media::Video(video) => CONTAINERS.contains(&video.container.as_str()),
        _ => true,
    }
}

/// The image of a record.
pub(crate) fn image(record: &MediaRecord) -> Result<&Image> {
    match &record.media {
        Media::Image(image) => Ok(image),
        other => Err(Error::unsupported(format!("expected an image, found {}", other.kind()))),
    }
}

/// Reports what a format that holds pixels alone has no place for: boxes, masks and all properties but those `kept`.
pub(crate) fn lose_rest(record: &MediaRecord, kept: &[&str], cx: &Context) {
    let marks = record.annotations.values().filter(|layer| !layer.boxes.is_empty() || layer.mask.is_some());
    cx.lose("annotations", marks.count() as u64, "layers of boxes and masks");
    let others = record.properties.keys().filter(|name| !kept.contains(&name.as_str()));
    cx.lose("properties", others.count() as u64, "properties");
}

/// The image as the format holds it. What that loses is reported.
pub(crate) fn fit<'i>(image: &'i Image, holds: &Holds, cx: &Context) -> Result<Cow<'i, Image>> {
    let mut lost = Lost::default();
    let fitted = fitted(image, holds, &mut lost, cx)?;
    lost.tell(cx);
    Ok(fitted)
}

/// The image as the format holds it, with what that loses added to `lost`. What the copy takes stays taken from the budget.
pub(crate) fn fitted<'i>(image: &'i Image, holds: &Holds, lost: &mut Lost, cx: &Context) -> Result<Cow<'i, Image>> {
    let plan = Plan::of(image, holds);
    lost.icc += u64::from(!holds.profile && image.color_space == ColorSpace::Icc && image.icc.is_some());
    if plan.is_nothing(image) {
        return Ok(Cow::Borrowed(image));
    }
    plan.count(image, lost);
    let pixels = u64::from(image.width()) * u64::from(image.height());
    let width = match plan.target {
        Target::Eight => 1,
        Target::Sixteen => 2,
        Target::Float => 4,
    };
    let taken = pixels.saturating_mul(u64::from(plan.channels.max(image.channels())) * width);
    cx.budget().take(taken)?;
    cx.checkpoint()?;
    let samples = match plan.target {
        Target::Eight => Samples::U8(plan.samples(image, 255, lost, |value| (value * 255.0).round() as u8).into()),
        Target::Sixteen => {
            Samples::U16(plan.samples(image, 65535, lost, |value| (value * 65535.0).round() as u16).into())
        }
        Target::Float => Samples::F32(plan.samples(image, 1.0, lost, |value| value as f32).into()),
    };
    let mut fitted = Image::new(image.width(), image.height(), plan.channels, samples)?;
    fitted.color_space = plan.space;
    fitted.icc = image.icc.clone().filter(|_| holds.profile && plan.space == ColorSpace::Icc);
    fitted.source_bits = if plan.target == Target::of(image) { image.source_bits } else { fitted.source_bits };
    (fitted.frames, fitted.orientation_applied) = (image.frames, image.orientation_applied);
    Ok(Cow::Owned(fitted))
}

#[derive(Clone, Copy, PartialEq)]
enum Target {
    Eight,
    Sixteen,
    Float,
}

impl Target {
    fn of(image: &Image) -> Self {
        match image.samples() {
            Samples::U8(_) => Self::Eight,
            Samples::U16(_) => Self::Sixteen,
            _ => Self::Float,
        }
    }
}

/// What becomes of a sample's curve.
#[derive(Clone, Copy, PartialEq)]
enum Curve {
    Keep,
    ToSrgb,
    ToLinear,
}

struct Plan {
    target: Target,
    channels: u8,
    space: ColorSpace,
    curve: Curve,
    /// Values that become 0 and 1; `None` is the whole range of the type.
    range: Option<[f64; 2]>,
    /// Raw numbers stay as they are.
    raw: bool,
}

impl Plan {
    fn of(image: &Image, holds: &Holds) -> Self {
        let target = match Target::of(image) {
            Target::Eight if holds.eight => Target::Eight,
            Target::Eight | Target::Sixteen if holds.sixteen => Target::Sixteen,
            Target::Eight | Target::Sixteen if holds.eight => Target::Eight,
            Target::Float if holds.float => Target::Float,
            Target::Float if holds.sixteen => Target::Sixteen,
            Target::Float if holds.eight => Target::Eight,
            _ => Target::Float,
        };
        let has_alpha = matches!(image.channels(), 2 | 4);
        let is_color = image.channels() > 2;
        let enough = |channels: &u8| (*channels > 2 || !is_color) && (matches!(channels, 2 | 4) || !has_alpha);
        let without_alpha = |channels: &u8| *channels > 2 || !is_color;
        let channels = holds.channels.iter().copied();
        let channels = channels.clone().find(enough).or_else(|| channels.clone().find(without_alpha));
        let channels = channels.or_else(|| holds.channels.last().copied()).unwrap_or(image.channels());
        let space = match (image.color_space, holds.light) {
            (ColorSpace::Icc, Light::Display | Light::Stated) if holds.profile => ColorSpace::Icc,
            (ColorSpace::Unknown, _) => ColorSpace::Unknown,
            (ColorSpace::Linear, Light::Stated) if target == Target::of(image) => ColorSpace::Linear,
            (ColorSpace::Srgb, Light::Stated) => ColorSpace::Srgb,
            (_, Light::Linear) => ColorSpace::Linear,
            _ => ColorSpace::Srgb,
        };
        let curve = match (image.color_space, space) {
            (ColorSpace::Linear, ColorSpace::Srgb) => Curve::ToSrgb,
            (ColorSpace::Srgb | ColorSpace::Icc, ColorSpace::Linear) => Curve::ToLinear,
            _ => Curve::Keep,
        };
        let raw = target == Target::of(image) && target == Target::Float;
        Self { target, channels, space, curve, range: image.range.filter(|_| !raw), raw }
    }

    fn is_nothing(&self, image: &Image) -> bool {
        let same = self.target == Target::of(image) && self.channels == image.channels() && self.range.is_none();
        same && self.curve == Curve::Keep && self.space == image.color_space
    }

    fn count(&self, image: &Image, lost: &mut Lost) {
        let count = image.samples().len() as u64;
        match self.curve {
            // Of floats the rounding says it.
            Curve::ToSrgb if !matches!(image.samples(), Samples::F32(_)) => lost.linear += count,
            Curve::ToLinear => lost.curve += count,
            _ => {}
        }
        match (image.samples(), self.target) {
            (Samples::U16(samples), Target::Eight) if self.range.is_none() => {
                lost.depth += samples.iter().filter(|sample| !sample.is_multiple_of(257)).count() as u64;
            }
            (Samples::F32(_), Target::Eight | Target::Sixteen) => lost.float += count,
            _ => {}
        }
        lost.values += if self.range.is_some() { count } else { 0 };
    }

    /// All samples by `make`, from numbers of 0 to 1, in the channels of the target. `full` is what 1 becomes.
    fn samples<T>(&self, image: &Image, full: T::Wide, lost: &mut Lost, make: impl Fn(f64) -> T) -> Vec<T>
    where
        T: Sample,
    {
        let channels = usize::from(image.channels());
        let alpha = matches!(channels, 2 | 4).then_some(channels - 1);
        let [low, high] = self.range.unwrap_or(match image.samples() {
            Samples::U8(_) => [0.0, 255.0],
            Samples::U16(_) => [0.0, 65535.0],
            _ => [0.0, 1.0],
        });
        let top = match image.samples() {
            Samples::U8(_) => 255.0,
            Samples::U16(_) => 65535.0,
            _ => 1.0,
        };
        let color = |value: f64| {
            let value = if self.raw { value } else { (value - low) / (high - low) };
            let value = if self.target == Target::Float { value } else { within(value) };
            make(match self.curve {
                Curve::Keep => value,
                Curve::ToSrgb => convert::linear_to_srgb(value.max(0.0)),
                Curve::ToLinear => convert::srgb_to_linear(value.max(0.0)),
            })
        };
        let clear = |value: f64| make(within(value / top));
        let mut samples = Vec::with_capacity(image.samples().len() / channels * usize::from(self.channels));
        let mut put = |pixel: &[T]| self.put(pixel, full, &mut samples, &mut lost.alpha);
        // Of integers there are few: each is worked out once.
        match image.samples() {
            Samples::U8(values) => {
                let tables = [0, 1].map(|is_alpha| {
                    (0..=255_u8).map(|v| if is_alpha == 1 { clear(v.into()) } else { color(v.into()) }).collect()
                });
                each(values, channels, alpha, |value, table| tables_at(&tables, table, usize::from(value)), &mut put);
            }
            Samples::U16(values) => {
                let tables = [0, 1].map(|is_alpha| {
                    (0..=65535_u16).map(|v| if is_alpha == 1 { clear(v.into()) } else { color(v.into()) }).collect()
                });
                each(values, channels, alpha, |value, table| tables_at(&tables, table, usize::from(value)), &mut put);
            }
            Samples::F32(values) => {
                if self.target != Target::Float {
                    let range = low as f32..=high as f32;
                    lost.range += values.iter().filter(|value| !range.contains(value)).count() as u64;
                }
                let one = |value: f32, is_alpha| if is_alpha { clear(value.into()) } else { color(value.into()) };
                each(values, channels, alpha, one, &mut put);
            }
            _ => {}
        }
        samples
    }

    /// A pixel with the channels of the target.
    fn put<T: Sample>(&self, pixel: &[T], full: T::Wide, samples: &mut Vec<T>, unclear: &mut u64) {
        let full = T::narrow(full);
        let ([r, g, b], a) = match *pixel {
            [v] => ([v; 3], full),
            [v, a] => ([v; 3], a),
            [r, g, b] => ([r, g, b], full),
            [r, g, b, a] => ([r, g, b], a),
            _ => return,
        };
        let is_opaque = a == full;
        match self.channels {
            2 => return samples.extend([r, a]),
            4 => return samples.extend([r, g, b, a]),
            _ => {}
        }
        *unclear += u64::from(!is_opaque);
        let on_white = |value: T| if is_opaque { value } else { value.over_white(a) };
        match self.channels {
            1 => samples.push(on_white(r)),
            _ => samples.extend([r, g, b].map(on_white)),
        }
    }
}

fn within(value: f64) -> f64 {
    // A NaN becomes 0.
    if value > 0.0 { value.min(1.0) } else { 0.0 }
}

fn tables_at<T: Copy>(tables: &[Vec<T>; 2], is_alpha: bool, value: usize) -> T {
    tables[usize::from(is_alpha)][value]
}

/// Every pixel's samples through `one`, which is told whether a sample is alpha.
fn each<V: Copy, T: Copy + Default>(
    values: &[V],
    channels: usize,
    alpha: Option<usize>,
    one: impl Fn(V, bool) -> T,
    put: &mut impl FnMut(&[T]),
) {
    let mut pixel = [T::default(); 4];
    for source in values.chunks_exact(channels) {
        for (channel, (to, from)) in pixel.iter_mut().zip(source).enumerate() {
            *to = one(*from, alpha == Some(channel));
        }
        put(&pixel[..channels]);
    }
}

/// A sample of a file.
pub(crate) trait Sample: Copy + Default + PartialEq {
    /// A type that holds its products.
    type Wide: Copy;
    /// Back from it.
    fn narrow(wide: Self::Wide) -> Self;
    /// This colour, covering as much of white as `alpha` says.
    fn over_white(self, alpha: Self) -> Self;
}

macro_rules! whole_sample {
    ($type:ty, $full:expr) => {
        impl Sample for $type {
            type Wide = u64;

            fn narrow(wide: u64) -> Self {
                wide as Self
            }

            fn over_white(self, alpha: Self) -> Self {
                let (value, alpha) = (u64::from(self), u64::from(alpha));
                ((value * alpha + $full * ($full - alpha) + $full / 2) / $full) as Self
            }
        }
    };
}

whole_sample!(u8, 255);
whole_sample!(u16, 65535);

impl Sample for f32 {
    type Wide = f32;

    fn narrow(wide: f32) -> Self {
        wide
    }

    fn over_white(self, alpha: Self) -> Self {
        self * alpha + 1.0 - alpha
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: Holds =
        Holds { channels: &[3], eight: true, sixteen: false, float: false, light: Light::Display, profile: false };
    const FLOATS: Holds =
        Holds { channels: &[1, 3, 4], eight: false, sixteen: false, float: true, light: Light::Linear, profile: false };

    fn fit_to(image: &Image, holds: &Holds) -> (Samples, u8, Lost) {
        let mut lost = Lost::default();
        let fitted = fitted(image, holds, &mut lost, &Context::new("test")).unwrap().into_owned();
        (fitted.samples().clone(), fitted.channels(), lost)
    }

    #[test]
    fn what_fits_is_not_copied() {
        let image = Image::new(1, 1, 3, Samples::U8(vec![1, 2, 3].into())).unwrap();
        let cx = Context::new("test");
        assert!(matches!(fit(&image, &BYTES, &cx).unwrap(), Cow::Borrowed(_)));
        assert!(cx.losses().to_vec().is_empty());
    }

    #[test]
    fn transparent_pixels_are_laid_on_white() {
        let image = Image::new(3, 1, 2, Samples::U8(vec![10, 255, 10, 0, 0, 128].into())).unwrap();
        let (samples, channels, lost) = fit_to(&image, &BYTES);
        assert_eq!((samples, channels), (Samples::U8(vec![10, 10, 10, 255, 255, 255, 127, 127, 127].into()), 3));
        assert_eq!(lost, Lost { alpha: 2, ..Lost::default() });
    }

    #[test]
    fn only_samples_that_change_are_counted() {
        let image = Image::new(1, 1, 3, Samples::U16(vec![0, 257 * 9, 257 * 9 + 100].into())).unwrap();
        let (samples, _, lost) = fit_to(&image, &BYTES);
        assert_eq!(samples, Samples::U8(vec![0, 9, 9].into()));
        assert_eq!(lost, Lost { depth: 1, ..Lost::default() });
    }

    #[test]
    fn numbers_with_a_range_of_their_own_are_neither_black_nor_wrapped() {
        let mut image = Image::new(2, 1, 1, Samples::F32(vec![-2.0, 2.0].into())).unwrap();
        (image.color_space, image.range) = (ColorSpace::Unknown, Some([-2.0, 2.0]));
        let (samples, channels, lost) = fit_to(&image, &BYTES);
        assert_eq!((samples, channels), (Samples::U8(vec![0, 0, 0, 255, 255, 255].into()), 3));
        assert_eq!(lost, Lost { float: 2, values: 2, ..Lost::default() });
        // A format of floats keeps them.
        assert_eq!(fit_to(&image, &FLOATS), (image.samples().clone(), 1, Lost::default()));
        let mut bits = Image::new(2, 1, 1, Samples::U8(vec![0, 1].into())).unwrap();
        (bits.color_space, bits.range) = (ColorSpace::Unknown, Some([0.0, 1.0]));
        assert_eq!(fit_to(&bits, &BYTES).0, Samples::U8(vec![0, 0, 0, 255, 255, 255].into()));
    }

    #[test]
    fn light_gets_and_loses_its_curve() {
        let mut image = Image::new(4, 1, 1, Samples::F32(vec![0.5, 7.0, f32::NAN, -1.0].into())).unwrap();
        image.color_space = ColorSpace::Linear;
        let (samples, _, lost) = fit_to(&image, &BYTES);
        let Samples::U8(bytes) = samples else { panic!("not bytes") };
        // Half of the light is 188 in sRGB (IEC 61966-2-1).
        assert_eq!(bytes.iter().step_by(3).copied().collect::<Vec<_>>(), [188, 255, 0, 0]);
        assert_eq!(lost, Lost { float: 4, range: 3, ..Lost::default() });
        let coded = Image::new(1, 1, 1, Samples::U8(vec![188].into())).unwrap();
        let (samples, _, lost) = fit_to(&coded, &FLOATS);
        let Samples::F32(light) = samples else { panic!("not floats") };
        assert!((light[0] - 0.5).abs() < 0.005, "{}", light[0]);
        assert_eq!(lost, Lost { curve: 1, ..Lost::default() });
    }
}
