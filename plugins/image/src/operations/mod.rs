//! Operations on images, whatever format they are from or go to.
//!
//! | option | as a record is read |
//! |---|---|
//! | `image.icc` | `srgb`: pixels with a colour profile are converted to sRGB; `keep`: the profile stays beside them |
//! | `image.annotations`, `image.masks` | boxes and masks in files beside the picture are read too |
//!
//! | option | between reading and writing, in this order |
//! |---|---|
//! | `image.background` | transparent pixels are laid on this colour, and the alpha channel is dropped |
//! | `image.width`, `image.height`, `image.fit`, `image.filter`, `image.light` | the size; boxes and masks follow |
//! | `image.mode` | gray or RGB, with or without alpha |
//! | `image.depth` | 8, 16 or 32 bits a sample |
//! | `image.strip` | drops properties: EXIF, XMP, texts |
//!
//! A picture of one colour that is in its alpha channel alone, which turns black where alpha is dropped, is told (`alpha-only`).
//! A profile that is broken is left out with the diagnostic `icc`; its pixels are taken as sRGB.

mod background;
mod mode;
mod profile;
mod resize;
#[cfg(test)]
mod tests;

use mediary_core::record::{Image, Samples};
use mediary_core::{
    Arrival, Context, Error, ErrorKind, Facts, Kind, Media, MediaRecord, Operations, OptionSpec, OptionType, Options,
    Result, Source,
};

use crate::annotations;

static IMAGE: Operations = Operations {
    kind: Kind::Image,
    options: &[
        OptionSpec::read(
            "icc",
            OptionType::Choice(&["srgb", "keep"]),
            "srgb",
            "Convert pixels that have a colour profile to sRGB, or keep the profile.",
        ),
        annotations::ANNOTATIONS,
        annotations::MASKS,
        OptionSpec::write(
            "background",
            OptionType::Text,
            "",
            "Lay transparent pixels on this colour, `#rrggbb`, `white` or `black`, and drop the alpha channel.",
        ),
        OptionSpec::write("width", SIDE, "0", "Pixels across; 0 follows the height."),
        OptionSpec::write("height", SIDE, "0", "Pixels down; 0 follows the width."),
        OptionSpec::write(
            "fit",
            OptionType::Choice(&["inside", "cover", "pad", "stretch"]),
            "inside",
            "With a width and a height: the largest that fits inside, cut to cover it, padded to it, or stretched.",
        ),
        OptionSpec::write(
            "filter",
            OptionType::Choice(&["lanczos3", "bicubic", "bilinear", "box", "nearest"]),
            "lanczos3",
            "What a new pixel takes from its neighbours.",
        ),
        OptionSpec::write(
            "light",
            OptionType::Choice(&["coded", "linear"]),
            "coded",
            "Resize the numbers as they are, as most tools do, or the light they stand for.",
        ),
        OptionSpec::write(
            "mode",
            OptionType::Choice(&["keep", "gray", "gray-alpha", "rgb", "rgba"]),
            "keep",
            "Colour channels; gray is 0.299 red + 0.587 green + 0.114 blue.",
        ),
        OptionSpec::write(
            "depth",
            OptionType::Choice(&["keep", "8", "16", "32"]),
            "keep",
            "Bits a sample; 32 are floats of linear light.",
        ),
        OptionSpec::write("strip", OptionType::Bool, "false", "Drop EXIF, XMP, texts and other properties."),
    ],
    arrival: Some(Arrival { record: arrive, facts }),
    apply,
};
mediary_core::register_operations!(IMAGE);

const SIDE: OptionType = OptionType::Int { min: 0, max: 65_535 };

fn arrive(record: &mut MediaRecord, source: &Source, options: &Options, cx: &Context) -> Result<()> {
    let Media::Image(image) = &mut record.media else { return Ok(()) };
    if options.text("icc") == "srgb" {
        if let Some(described) = profile::described(image) {
            record.properties.insert("color_profile".into(), described);
        }
        profile::to_srgb(image, cx)?;
    }
    if background::is_alpha_alone(image) {
        cx.note(
            "alpha-only",
            "all pixels have one colour: the picture is in its alpha channel alone; -o image.background shows it",
        );
    }
    annotations::annotate(record, source, options, cx)
}

fn facts(facts: &mut Facts, options: &Options) {
    if let Facts::Image(facts) = facts
        && facts.color_space == Some("icc")
        && options.text("icc") == "srgb"
    {
        facts.color_space = Some("srgb");
    }
}

fn apply(record: &mut MediaRecord, options: &Options, cx: &Context) -> Result<()> {
    let Media::Image(image) = &mut record.media else { return Ok(()) };
    let background = background::color(options.text("background"))?;
    if let Some(color) = background {
        background::lay(image, color, cx)?;
    }
    if let Some(plan) = resize::Plan::of(image, options)? {
        plan.image(image, background, cx)?;
        plan.annotations(&mut record.annotations, cx)?;
    }
    mode::channels(image, options.text("mode"), cx)?;
    mode::depth(image, options.text("depth"), cx)?;
    if options.bool("strip") {
        cx.lose("properties", record.properties.len() as u64, "properties: image.strip is set");
        record.properties.clear();
    }
    Ok(())
}

/// The image with these pixels in the place of its own; what it says of colours stays.
fn replace(image: &mut Image, width: u32, height: u32, channels: u8, samples: Samples) -> Result<()> {
    let mut new = Image::new(width, height, channels, samples)?;
    (new.color_space, new.range, new.icc) = (image.color_space, image.range, image.icc.take());
    (new.frames, new.orientation_applied) = (image.frames, image.orientation_applied);
    new.source_bits = if new.samples().bits() == image.samples().bits() { image.source_bits } else { new.source_bits };
    *image = new;
    Ok(())
}

fn invalid(message: String, hint: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOption, message).with_hint(hint)
}
