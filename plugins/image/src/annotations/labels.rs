//! Label images: rasters of class ids, as PNG or npy.
//!
//! Specifications: <https://www.w3.org/TR/png-3/>, <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
//!
//! Two formats that are written: `labels`, a PNG of gray or palette samples (`as`), and `labels.npy`, a numpy array of shape
//! (height, width). Each holds the classes of one layer (`layer`): its mask, over which the regions of its boxes are painted in
//! their order, and `background` (0) elsewhere. 8 bits where all classes fit, 16 otherwise. The names of classes become the text `class_labels` of a PNG,
//! a JSON object by id.
//!
//! Lost: the pixels of the picture (`labels.pixels`), boxes without a region, captions, scores and properties of boxes, what tells
//! objects of one class apart, and names of classes in npy. A class that is the background as well is told (`labels.background`).
//!
//! Read where annotations refer to them and by the option `image.masks`: gray and palette PNG of 1 to 16 bits, of which
//! the sample is the class, whatever its colour; npy of whole numbers.

use std::collections::BTreeMap;
use std::io::Write;

use mediary_core::record::{Layer, Mask, Samples};
use mediary_core::{
    Context, Error, Format, FormatInfo, Kind, Media, MediaRecord, OptionSpec, OptionType, Output, ReadOptions,
    Registry, Result, Source, register,
};
use png::{BitDepth, ColorType, Decoder, DecodingError, Encoder, EncodingError, Info};
use serde_json::{Map, Value};

use super::sheet::WRITE_LAYER;
use super::write::{Keeps, Subject, layer};
use crate::decode;

/// The keyword of the text that has the names of classes.
const KEYWORD: &str = "class_labels";

/// Bytes that the metadata of a label image may take.
const METADATA: usize = 16 << 20;

const BACKGROUND: OptionSpec = OptionSpec::write(
    "background",
    OptionType::Int { min: 0, max: 65_535 },
    "0",
    "class of pixels that are of no object, where the layer has no mask",
);

const PNG: FormatInfo = FormatInfo::new("labels", "Label image", &[Kind::Image])
    .extensions(&["labels.png", "mask.png"])
    .media_types(&["image/png"])
    .writes(&[])
    .options(&[
        WRITE_LAYER,
        BACKGROUND,
        OptionSpec::write(
            "as",
            OptionType::Choice(&["gray", "palette"]),
            "gray",
            "`gray` is the class as a shade; `palette` has the colours of Pascal VOC, up to class 255",
        ),
    ])
    .spec("https://www.w3.org/TR/png-3/");

const NPY: FormatInfo = FormatInfo::new("labels.npy", "Label array", &[Kind::Image])
    .extensions(&["labels.npy"])
    .media_types(&["application/x-npy"])
    .writes(&[])
    .options(&[WRITE_LAYER, BACKGROUND])
    .spec("https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html");

struct Labels;

register!(Labels);

impl Format for Labels {
    fn info(&self) -> &'static FormatInfo {
        &PNG
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        let (mask, layer) = raster(record, out, cx)?;
        let palette = cx.options().text("as") == "palette";
        if palette && mask.classes().iter().any(|&class| class > 255) {
            return Err(Error::unsupported("a palette holds classes up to 255, the mask has others")
                .with_hint("-o labels.as=gray holds them"));
        }
        write_png(out, &mask, &layer.class_labels, palette)
    }
}

struct LabelsNpy;

register!(LabelsNpy);

impl Format for LabelsNpy {
    fn info(&self) -> &'static FormatInfo {
        &NPY
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        let (mask, layer) = raster(record, out, cx)?;
        cx.lose("labels", layer.class_labels.len() as u64, "names of classes");
        let wide = mask.classes().iter().any(|&class| class > 255);
        let descr = if wide { "<u2" } else { "|u1" };
        let shape = format!("({}, {})", mask.height, mask.width);
        let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        // With the ten bytes before it and its line end it fills whole blocks of 64.
        while (header.len() + 11) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        out.write_all(b"\x93NUMPY\x01\x00")?;
        out.write_all(&(header.len() as u16).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        for row in mask.classes().chunks(mask.width.max(1) as usize) {
            let bytes: Vec<u8> = match wide {
                true => row.iter().flat_map(|class| class.to_le_bytes()).collect(),
                false => row.iter().map(|&class| class as u8).collect(),
            };
            out.write_all(&bytes)?;
        }
        Ok(())
    }
}

/// The classes of the layer that is written, and what is lost of it.
fn raster<'r>(record: &'r MediaRecord, out: &Output, cx: &Context) -> Result<(Mask, &'r Layer)> {
    let subject = Subject::of(record, out, cx)?;
    let (name, layer) = layer(record, cx)?;
    if layer.mask.is_none() && !layer.has_regions() {
        return Err(Error::unsupported(format!(
            "expected a mask or outlines in the layer {name:?}, found {} boxes",
            layer.boxes.len()
        ))
        .with_hint("boxes alone do not tell which pixels are theirs"));
    }
    let is_bare = |one: &&mediary_core::record::Box2| one.runs.is_none() && one.polygons.is_empty();
    let bare = layer.boxes.iter().filter(is_bare).count() as u64;
    cx.lose("boxes", bare, "boxes without an outline");
    cx.lose("objects", layer.boxes.len() as u64 - bare, "what tells objects of one class apart, and what others cover");
    let keeps = Keeps { polygons: true, runs: true, mask: true, properties: Some(&[]), ..Keeps::default() };
    keeps.lose(layer, cx);
    let background = cx.options().int("background") as u16;
    let same = layer.boxes.iter().filter(|one| !is_bare(one) && one.class_id == i64::from(background)).count() as u64;
    if layer.mask.is_none() {
        cx.lose(
            "background",
            same,
            format!("objects of class {background}, which is the background: -o labels.background=N gives it another"),
        );
    }
    let at = |error: Error| {
        let part = error.location().and_then(|place| place.element.clone()).unwrap_or_default();
        if part.is_empty() { error } else { error.at_element(format!("{name}.{part}")) }
    };
    Ok((layer.raster(subject.width, subject.height, background, cx).map_err(at)?, layer))
}

/// Writes a mask as PNG.
pub(super) fn write_png(
    out: &mut (impl Write + ?Sized),
    mask: &Mask,
    labels: &BTreeMap<i64, String>,
    palette: bool,
) -> Result<()> {
    let wide = mask.classes().iter().any(|&class| class > 255);
    let mut info = Info::with_size(mask.width, mask.height);
    info.color_type = if palette { ColorType::Indexed } else { ColorType::Grayscale };
    info.bit_depth = if wide { BitDepth::Sixteen } else { BitDepth::Eight };
    if palette {
        info.palette = Some((0..=255_u8).flat_map(color).collect::<Vec<u8>>().into());
    }
    if !labels.is_empty() {
        let names: Map<String, Value> =
            labels.iter().map(|(id, name)| (id.to_string(), name.as_str().into())).collect();
        info.utf8_text.push(png::text_metadata::ITXtChunk::new(KEYWORD, Value::from(names).to_string()));
    }
    let unwritten = |error: EncodingError| match error {
        EncodingError::IoError(error) => Error::from(error),
        other => std::io::Error::other(other).into(),
    };
    let mut writer = Encoder::with_info(out, info).and_then(Encoder::write_header).map_err(unwritten)?;
    let bytes: Vec<u8> = match wide {
        true => mask.classes().iter().flat_map(|class| class.to_be_bytes()).collect(),
        false => mask.classes().iter().map(|&class| class as u8).collect(),
    };
    writer.write_image_data(&bytes).map_err(unwritten)?;
    writer.finish().map_err(unwritten)
}

/// The colour of a class in Pascal VOC: bits 0, 3 and 6 of the class are the highest of red, 1, 4 and 7 those of green, 2
/// and 5 those of blue.
fn color(class: u8) -> [u8; 3] {
    let part = |first: u8| {
        (0..3).map(|place| (class.checked_shr((first + 3 * place).into()).unwrap_or(0) & 1) << (7 - place)).sum()
    };
    [part(0), part(1), part(2)]
}

/// Reads a label image, and the names of its classes where it has them.
pub(super) fn read(source: &Source, cx: &Context) -> Result<(Mask, BTreeMap<i64, String>)> {
    let read = match source.head() {
        [0x89, b'P', b'N', b'G', ..] => read_png(source, cx),
        [0x93, b'N', b'U', b'M', ..] => read_npy(source, cx).map(|mask| (mask, BTreeMap::new())),
        _ => Err(Error::malformed("expected a label image, a PNG or an npy, found neither")),
    };
    read.map_err(|error| error.with_path(source.name().to_owned()))
}

fn read_png(source: &Source, cx: &Context) -> Result<(Mask, BTreeMap<i64, String>)> {
    let failed = |error: DecodingError| match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::malformed("the label image ends early").with_hint("the file is cut short; fetch or copy it again")
        }
        DecodingError::IoError(error) => error.into(),
        DecodingError::LimitsExceeded => Error::limit("alloc_bytes", METADATA as u64 + 1, METADATA as u64),
        other => Error::malformed(format!("the label image is broken: {}", other.to_string().trim_end_matches('.'))),
    };
    let mut decoder = Decoder::new_with_limits(source.reader(), png::Limits { bytes: METADATA });
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(failed)?;
    let (width, height) = (reader.info().width, reader.info().height);
    let depth = reader.info().bit_depth as u8;
    if !matches!(reader.info().color_type, ColorType::Grayscale | ColorType::Indexed) {
        let found = reader.info().color_type;
        return Err(Error::malformed(format!("expected one class a pixel, found colours ({found:?})"))
            .with_hint("a label image is gray, or has a palette of which the index is the class"));
    }
    let pixels = decode::check_size(cx, width, height, depth.into(), source.len())?;
    let mut packed = decode::buffer::<u8>(cx, reader.output_buffer_size().unwrap_or(usize::MAX) as u64)?;
    reader.next_frame(&mut packed).map_err(failed)?;
    reader.finish().map_err(failed)?;
    let mut classes = decode::buffer::<u16>(cx, pixels)?;
    let line = packed.len() / height.max(1) as usize;
    for (row, bytes) in classes.chunks_mut(width as usize).zip(packed.chunks(line.max(1))) {
        for (x, class) in row.iter_mut().enumerate() {
            *class = match depth {
                16 => u16::from_be_bytes([bytes[2 * x], bytes[2 * x + 1]]),
                8 => bytes[x].into(),
                bits => {
                    let at = x * usize::from(bits);
                    (bytes[at / 8] >> (8 - usize::from(bits) - at % 8) & ((1 << bits) - 1)).into()
                }
            };
        }
    }
    cx.budget().give_back(packed.len() as u64);
    let text =
        reader.info().utf8_text.iter().find(|text| text.keyword == KEYWORD).and_then(|text| text.get_text().ok());
    let latin = reader
        .info()
        .uncompressed_latin1_text
        .iter()
        .find(|text| text.keyword == KEYWORD)
        .map(|text| text.text.clone());
    let names: Option<BTreeMap<i64, String>> = text.or(latin).and_then(|text| serde_json::from_str(&text).ok());
    Ok((Mask::new(width, height, classes)?, names.unwrap_or_default()))
}

/// Through the format of numpy arrays.
fn read_npy(source: &Source, cx: &Context) -> Result<Mask> {
    let mut options = ReadOptions::default();
    options.limits = *cx.limits();
    options.budget = Some(cx.budget().clone());
    options.cancel = cx.cancel().clone();
    options.from = Some("npy".into());
    options.options = vec![("npy.as".into(), "image".into())];
    let record = Registry::builtin().without_operations().open(source, &options)?.next().transpose()?;
    let Some(Media::Image(image)) = record.map(|record| record.media) else {
        return Err(Error::malformed("expected an array of two axes, found another"));
    };
    if image.channels() != 1 {
        return Err(Error::malformed(format!("expected one class a pixel, found {} channels", image.channels())));
    }
    let (width, height) = (image.width(), image.height());
    let count = u64::from(width) * u64::from(height);
    let classes = match image.into_samples() {
        Samples::U16(classes) => return Mask::new(width, height, classes),
        Samples::U8(classes) => {
            cx.budget().take(count * 2)?;
            classes.iter().map(|&class| class.into()).collect()
        }
        Samples::F32(classes) => {
            cx.budget().take(count * 2)?;
            let whole = |(at, &class): (usize, &f32)| {
                if class.fract() == 0.0 && (0.0..=65_535.0).contains(&class) {
                    return Ok(class as u16);
                }
                let place = format!("[{}, {}]", at / width.max(1) as usize, at % width.max(1) as usize);
                Err(Error::malformed(format!("expected a class from 0 to 65535, found {class}")).at_element(place))
            };
            classes.iter().enumerate().map(whole).collect::<Result<Vec<u16>>>()?
        }
        _ => return Err(Error::unsupported("samples of a new type are no classes")),
    };
    Mask::new(width, height, classes)
}
