//! From the document to pixels.

use std::sync::Arc;

use mediary_core::record::facts::ImageFacts;
use mediary_core::record::{ColorSpace, Image, Samples};
use mediary_core::{Context, Error, ErrorKind, Facts, Header, Location, MediaRecord, Result, Source};
use resvg::tiny_skia::{PixmapMut, Transform};
use resvg::usvg::{Options, Size, Tree, fontdb};

use super::document::{self, Survey};
use super::effort::Effort;
use super::fonts::Fonts;
use super::pictures::Pictures;
use crate::decode;

const CHANNELS: u64 = 4;

/// The drawing, its size in pixels, and the scale that it is drawn at.
struct Drawing {
    tree: Tree,
    survey: Survey,
    width: u32,
    height: u32,
    transform: Transform,
    /// Bytes that the largest picture in it takes.
    pictures: u64,
}

pub(super) fn read_header(source: &Source, cx: &Context) -> Result<Header> {
    let (drawing, memory) = decode::quietly(super::INFO.id, cx, |quiet| load(source, quiet))?;
    let mut header = Header::single(Facts::Image(ImageFacts {
        width: Some(drawing.width),
        height: Some(drawing.height),
        channels: Some(CHANNELS as u8),
        bit_depth: Some(8),
        sample_format: Some("uint"),
        color_space: Some(ColorSpace::Srgb.as_str()),
        has_alpha: Some(true),
        frames: Some(1),
        orientation_applied: Some(false),
    }));
    header.memory = Some(memory + u64::from(drawing.width) * u64::from(drawing.height) * CHANNELS * 2);
    Ok(header)
}

pub(super) fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let before = cx.budget().taken();
    let drawing = load(source, cx)?;
    let layers = Effort::of(&drawing.tree, drawing.transform, [drawing.width, drawing.height], cx)?;
    let passing = layers.saturating_add(drawing.pictures);
    cx.budget().take(passing)?;
    let pixels = u64::from(drawing.width) * u64::from(drawing.height);
    let mut samples = decode::buffer::<u8>(cx, pixels * CHANNELS)?;
    cx.checkpoint()?;
    let Some(mut canvas) = PixmapMut::from_bytes(&mut samples, drawing.width, drawing.height) else {
        return Err(Error::limit("pixels", pixels, u64::from(u32::MAX)));
    };
    resvg::render(&drawing.tree, drawing.transform, &mut canvas);
    cx.checkpoint()?;
    for pixel in samples.as_chunks_mut::<4>().0 {
        divide(pixel);
    }
    tell(&drawing.survey, drawing.tree.fontdb().is_empty(), cx)?;
    let image = Image::new(drawing.width, drawing.height, CHANNELS as u8, Samples::U8(samples.into()))?;
    let mut record = MediaRecord::new(image);
    for (name, text) in [("title", drawing.survey.title), ("description", drawing.survey.description)] {
        match text {
            Some(text) if text.len() <= decode::MAX_TEXT => drop(record.properties.insert(name.into(), text.into())),
            Some(text) => cx.warn("text-size", format!("the {name} of {} bytes is left out", text.len())),
            None => {}
        }
    }
    let kept = pixels * CHANNELS;
    cx.budget().give_back(cx.budget().taken().saturating_sub(before + kept));
    Ok(record)
}

/// From premultiplied to what it is without its alpha.
fn divide(pixel: &mut [u8; 4]) {
    let alpha = u32::from(pixel[3]);
    if alpha != 0 && alpha != 255 {
        for color in &mut pixel[..3] {
            *color = ((u32::from(*color) * 255 + alpha / 2) / alpha).min(255) as u8;
        }
    }
}

fn load(source: &Source, cx: &Context) -> Result<Drawing> {
    let bytes = source.bytes(cx)?;
    let text = document::decode(&bytes, cx)?;
    let parsed = document::parse(&text, cx)?;
    let survey = document::survey(&parsed, cx)?;
    cx.checkpoint()?;
    let pictures = Pictures::new(cx);
    let mut options = Options { image_href_resolver: pictures.resolver(), ..Options::default() };
    if cx.options().text("fonts") == "system" && survey.texts > 0 {
        let mut fonts = fontdb::Database::new();
        fonts.load_system_fonts();
        options.fontdb = Arc::new(fonts);
    }
    let fonts = Fonts::default();
    options.font_resolver = fonts.resolver();
    let tree = Tree::from_xmltree(&parsed, &options)
        .map_err(|error| Error::malformed(format!("it cannot be drawn: {error}")))?;
    let pictures = pictures.finish(&survey.external)?;
    if !tree.fontdb().is_empty() {
        fonts.tell(cx);
    }
    let (width, height, transform) = size(&tree, cx)?;
    Ok(Drawing { tree, survey, width, height, transform, pictures })
}

/// Pixels across and down, and the scale that makes them of the drawing.
fn size(tree: &Tree, cx: &Context) -> Result<(u32, u32, Transform)> {
    let own = tree.size();
    let scale = cx.options().float("scale");
    if !(scale > 0.0 && scale <= 1e6) {
        let text = format!("option svg.scale: expected a number above 0, found {scale}");
        return Err(Error::new(ErrorKind::InvalidOption, text));
    }
    let across = cx.options().int("width");
    let scale = if across > 0 { across as f64 / f64::from(own.width()) } else { scale };
    // What is over a whole number by less than single precision tells is that number.
    let side = |length: f32| (f64::from(length) * scale * (1.0 - 1e-6)).ceil().max(1.0);
    let [width, height] = [side(own.width()), side(own.height())];
    cx.limits().check("pixels", (width * height).min(1e18) as u64)?;
    let (width, height) = (width as u32, height as u32);
    decode::check_size(cx, width, height, 0, u64::MAX)?;
    let scaled = Size::from_wh(own.width() * scale as f32, own.height() * scale as f32);
    let (x, y) = scaled.map_or((1.0, 1.0), |scaled| (scaled.width() / own.width(), scaled.height() / own.height()));
    Ok((width, height, Transform::from_scale(x, y)))
}

/// What is not in the picture, or not as it should be.
fn tell(survey: &Survey, no_fonts: bool, cx: &Context) -> Result<()> {
    for id in &survey.loops {
        let text = format!("the filter {id:?} refers to itself; the reference is left out");
        cx.tolerate("loop", text, Location::element(id.clone()))?;
    }
    if survey.texts > 0 && no_fonts {
        let remedy = match cx.options().text("fonts") {
            "system" => "this machine has no fonts",
            _ => "no font is built in; -o svg.fonts=system takes those of this machine",
        };
        cx.warn("text", format!("{} texts are left out: {remedy}", survey.texts));
    }
    if survey.foreign_objects > 0 {
        cx.warn("foreign-object", format!("{} elements that are not SVG are left out", survey.foreign_objects));
    }
    if survey.scripts > 0 {
        cx.warn("script", format!("{} scripts are not run", survey.scripts));
    }
    if survey.animations > 0 {
        cx.note("animation", format!("the picture is that before its {} animations begin", survey.animations));
    }
    if !survey.has_size {
        cx.note("size", "no size is stated; it is that of what is drawn");
    }
    Ok(())
}
