//! OpenEXR, pictures of light.
//!
//! Specification: OpenEXR File Layout and Technical Introduction,
//! <https://openexr.com/en/latest/OpenEXRFileLayout.html>.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | `76 2F 31 01` |
//! | 4 | 4 | version 2, and flags: tiles, long names, deep, many parts; all numbers little-endian |
//! | 8 | n | attributes: name, type, size, value; an empty name ends them; with many parts an empty header ends those |
//! | | 8 n | offsets of the blocks of each part |
//! | block | 8 or 20 + n | (part,) first line or tile and level, bytes, packed samples |
//!
//! Read: scan lines and tiles, halves, floats and whole numbers, which all become floats; the compressions none, RLE,
//! ZIPS, ZIP, PIZ, PXR24, B44 and B44A. The picture is the data window of the first part that has colours: R, G, B and A;
//! luminance Y, with RY and BY at every second pixel, which become RGB as OpenEXR makes them; else those of the first
//! layer, else the first channel. Other channels, parts and the smaller levels of tiles are left out (`exr.channels`,
//! `exr.parts`). Colours are linear light of sRGB primaries; what states others is told (`exr.chromaticities`). They are
//! multiplied by alpha in the file and divided by it here, but where it is 0. Windows, comments and owner become
//! properties. Unsupported: deep data, and the lossy compressions DWAA and DWAB.
//!
//! Written: scan lines of Y or RGB, with A, halves where they are exact and floats elsewhere, ZIP. Lost: profiles and the
//! curve of sRGB, which becomes linear light (`exr.curve`), other properties (`exr.properties`), boxes and masks.
//!
//! Strictness: a block that is missing or broken is an error; lenient leaves its pixels black (`exr.damaged`).

mod header;
mod luma;
mod piz;
mod unpack;
mod write;

use mediary_core::record::facts::ImageFacts;
use mediary_core::record::{ColorSpace, Image, Samples};
use mediary_core::{
    Canonical, Context, Error, Facts, Feature, Format, FormatInfo, FormatReader, Header, Kind, Location, MediaRecord,
    OptionSpec, OptionType, Output, Result, Signature, Source, register, single,
};
use serde_json::{Map, Value};

use crate::decode;
use header::{Channel, Headers, Part, Type};
use unpack::Block;

const MAGIC: [u8; 4] = [0x76, 0x2F, 0x31, 0x01];

/// Coordinates of the primaries and the white of sRGB.
const SRGB: [f32; 8] = [0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329];

const INFO: FormatInfo = FormatInfo::new("exr", "OpenEXR", &[Kind::Image])
    .extensions(&["exr"])
    .media_types(&["image/x-exr", "image/aces"])
    .signatures(&[Signature { offset: 0, bytes: &MAGIC, mask: &[] }])
    .reads()
    .writes(&[Feature::Alpha, Feature::Float])
    .canonical(&[Canonical { kind: Kind::Image, integer: Some(false) }])
    .options(&[OptionSpec::write(
        "samples",
        OptionType::Choice(&["exact", "half", "float"]),
        "exact",
        "`exact` writes halves where none is rounded and floats otherwise",
    )])
    .spec("https://openexr.com/en/latest/OpenEXRFileLayout.html");

struct Exr;

register!(Exr);

impl Format for Exr {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (header, header_cx) = (source.clone(), cx.clone());
        let (source, cx) = (source.clone(), cx.clone());
        Ok(single(move || read_header(&header, &header_cx), move || read(&source, &cx)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write::write(record, out, cx)
    }
}

/// What the channels that are shown mean.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Colors {
    /// Light, gray or red, green and blue.
    Light,
    /// Luminance, and red and blue in proportion to it.
    Luma,
    /// Numbers of any meaning.
    Numbers,
}

/// The channels of a part that make the picture, by their place in its list, alpha last.
struct Choice {
    channels: Vec<usize>,
    colors: Colors,
    alpha: bool,
}

impl Choice {
    /// `None` for a part without channels.
    fn of(part: &Part) -> Option<Self> {
        let find = |name: &str| part.channels.iter().position(|channel| channel.name == name);
        // Names of layers stand before their channels, in the order of the list.
        let layers = part.channels.iter().filter_map(|channel| channel.name.rsplit_once('.').map(|(layer, _)| layer));
        let prefixes = std::iter::once(String::new()).chain(layers.map(|layer| format!("{layer}.")));
        for prefix in prefixes {
            let of = |name: &str| find(&format!("{prefix}{name}"));
            let alpha = of("A");
            let (mut channels, colors) = match (of("R"), of("G"), of("B"), of("Y"), of("RY"), of("BY")) {
                (Some(r), Some(g), Some(b), ..) => (vec![r, g, b], Colors::Light),
                (.., Some(y), Some(ry), Some(by)) => (vec![y, ry, by], Colors::Luma),
                (.., Some(y), _, _) => (vec![y], Colors::Light),
                _ => continue,
            };
            channels.extend(alpha);
            return Some(Self { channels, colors, alpha: alpha.is_some() });
        }
        let first =
            ["R", "G", "B", "Z"].iter().find_map(|name| find(name)).or((!part.channels.is_empty()).then_some(0))?;
        Some(Self { channels: vec![first], colors: Colors::Numbers, alpha: false })
    }

    fn space(&self, part: &Part) -> ColorSpace {
        let whole = self.channels.iter().any(|&channel| part.channels[channel].kind == Type::Uint);
        if self.colors == Colors::Numbers || whole { ColorSpace::Unknown } else { ColorSpace::Linear }
    }

    /// The most bits of a channel.
    fn bits(&self, part: &Part) -> u8 {
        let bits = self.channels.iter().map(|&channel| 8 * part.channels[channel].kind.bytes() as u8);
        bits.max().unwrap_or(32)
    }
}

/// The picture of a file: its part, and the channels of that.
struct Picture {
    headers: Headers,
    part: usize,
    choice: Choice,
    width: u32,
    height: u32,
}

impl Picture {
    fn find(source: &Source, cx: &Context) -> Result<Self> {
        let headers = Headers::read(source, cx)?;
        let choices = headers.parts.iter().enumerate().filter(|(_, part)| !part.deep);
        let mut choices: Vec<_> = choices.filter_map(|(index, part)| Some((index, Choice::of(part)?))).collect();
        let best = choices.iter().position(|(_, choice)| choice.colors != Colors::Numbers).unwrap_or(0);
        if choices.is_empty() {
            let error = if headers.parts.iter().any(|part| part.deep) {
                Error::unsupported("deep data are not read")
            } else {
                Error::malformed("expected channels, found none")
            };
            return Err(error.at_byte(8));
        }
        let (part, choice) = choices.swap_remove(best);
        let of = &headers.parts[part];
        let (width, height) = of.data.size().ok_or_else(|| Error::malformed("expected a picture, found none"))?;
        let bits: u64 = choice.channels.iter().map(|&channel| 8 * of.channels[channel].kind.bytes() as u64).sum();
        decode::check_size(cx, width, height, bits, source.len())?;
        for &channel in &choice.channels {
            let Channel { name, sampling, .. } = &of.channels[channel];
            let usual =
                if choice.colors == Colors::Luma && name.ends_with('Y') && name != "Y" { (2, 2) } else { (1, 1) };
            if *sampling != usual && *sampling != (1, 1) {
                let text = format!("the channel {name:?} has a sample at every {sampling:?} pixels, which is not read");
                return Err(Error::unsupported(text).at(Location::element(name.clone())));
            }
        }
        Ok(Self { headers, part, choice, width, height })
    }

    fn part(&self) -> &Part {
        &self.headers.parts[self.part]
    }

    /// Entries of the table of offsets of a part.
    fn entries(part: &Part) -> u64 {
        let (width, height) = part.data.size().unwrap_or((0, 0));
        match part.tiles {
            Some((across, down)) => u64::from(width.div_ceil(across)) * u64::from(height.div_ceil(down)),
            None => u64::from(height.div_ceil(part.packing.map_or(1, |packing| packing.lines()))),
        }
    }

    fn facts(&self) -> ImageFacts {
        ImageFacts {
            width: Some(self.width),
            height: Some(self.height),
            channels: Some(self.choice.channels.len() as u8),
            bit_depth: Some(self.choice.bits(self.part())),
            sample_format: Some("float"),
            color_space: Some(self.choice.space(self.part()).as_str()),
            has_alpha: Some(self.choice.alpha),
            frames: Some(1),
            orientation_applied: Some(false),
        }
    }
}

fn read_header(source: &Source, cx: &Context) -> Result<Header> {
    let picture = Picture::find(source, cx)?;
    let mut header = Header::single(Facts::Image(picture.facts()));
    let samples = u64::from(picture.width) * u64::from(picture.height) * picture.choice.channels.len() as u64;
    header.memory = Some(samples * 4);
    Ok(header)
}

fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let picture = Picture::find(source, cx)?;
    let (part, choice) = (picture.part(), &picture.choice);
    let channels = choice.channels.len();
    let count = u64::from(picture.width) * u64::from(picture.height) * channels as u64;
    let mut samples = decode::buffer::<f32>(cx, count)?;
    pixels(source, &picture, &mut samples, cx)?;
    if choice.colors == Colors::Luma {
        let subsampled = part.channels[choice.channels[1]].sampling != (1, 1);
        let weights = luma::weights(part.chromaticities.unwrap_or(SRGB));
        let weights = if weights.iter().all(|weight| weight.is_finite()) { weights } else { luma::weights(SRGB) };
        let size = (picture.width as usize, picture.height as usize);
        luma::to_rgb(&mut samples, size, channels, subsampled, weights, cx)?;
    }
    if choice.alpha {
        for pixel in samples.chunks_exact_mut(channels) {
            if let Some((&mut alpha, colors)) = pixel.split_last_mut()
                && alpha != 0.0
                && alpha != 1.0
            {
                colors.iter_mut().for_each(|color| *color /= alpha);
            }
        }
    }
    let mut image = Image::new(picture.width, picture.height, channels as u8, Samples::F32(samples.into()))?;
    image.color_space = choice.space(part);
    if image.color_space == ColorSpace::Unknown {
        image.range = decode::range(&image, None);
    }
    image.source_bits = choice.bits(part);
    let mut record = MediaRecord::new(image);
    report(&picture, cx);
    properties(part, &mut record.properties);
    Ok(record)
}

/// Says what is left out.
fn report(picture: &Picture, cx: &Context) {
    let (part, choice) = (picture.part(), &picture.choice);
    let chosen = |index: usize| choice.channels.contains(&index);
    let others: Vec<_> = part
        .channels
        .iter()
        .enumerate()
        .filter(|(index, _)| !chosen(*index))
        .map(|(_, channel)| &*channel.name)
        .collect();
    if !others.is_empty() {
        cx.warn("channels", format!("channels are left out: {}", others.join(", ")));
    }
    if picture.headers.parts.len() > 1 {
        let parts = picture.headers.parts.iter().enumerate().filter(|(index, _)| *index != picture.part);
        let names: Vec<_> = parts.map(|(_, part)| format!("{:?}", part.name)).collect();
        cx.warn("parts", format!("parts are left out: {}", names.join(", ")));
    }
    if let Some(found) = part.chromaticities
        && found.iter().zip(SRGB).any(|(found, usual)| (found - usual).abs() > 0.002)
    {
        cx.warn("chromaticities", format!("colours of the primaries and white {found:?} are shown as those of sRGB"));
    }
}

fn properties(part: &Part, properties: &mut Map<String, Value>) {
    let window = |window: header::Window| vec![window.min.0, window.min.1, window.max.0, window.max.1];
    if part.data != part.display {
        properties.insert("data_window".into(), window(part.data).into());
        properties.insert("display_window".into(), window(part.display).into());
    }
    for (name, text) in [("comment", &part.comments), ("owner", &part.owner)] {
        if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
            properties.insert(name.into(), text.clone().into());
        }
    }
    if let Some(aspect) = part.pixel_aspect.filter(|aspect| aspect.is_finite() && *aspect != 1.0) {
        properties.insert("pixel_aspect".into(), aspect.into());
    }
    if part.channels.len() > 4 || part.channels.iter().any(|channel| channel.name.contains('.')) {
        let names: Vec<_> = part.channels.iter().map(|channel| channel.name.clone()).collect();
        properties.insert("channels".into(), names.into());
    }
}

/// Reads the blocks of the picture.
fn pixels(source: &Source, picture: &Picture, samples: &mut [f32], cx: &Context) -> Result<()> {
    let part = picture.part();
    let before = picture.headers.parts[..picture.part].iter();
    let skipped: u64 = before.map(|part| part.chunks.unwrap_or_else(|| Picture::entries(part))).sum();
    let start = picture.headers.end.saturating_add(skipped.saturating_mul(8));
    let count = Picture::entries(part);
    let left = source.len().saturating_sub(start);
    let mut table =
        cx.budget().vec::<u8>("blocks", count.saturating_mul(8), 1, left).map_err(|error| error.at_byte(start))?;
    table.resize((count * 8) as usize, 0);
    source.read_exact_at(start, &mut table, "the table of offsets")?;
    for (number, offset) in table.as_chunks::<8>().0.iter().enumerate() {
        cx.checkpoint()?;
        let at = u64::from_le_bytes(*offset);
        if let Err(error) = block(source, picture, number as u64, at, samples, cx) {
            if error.kind() != mediary_core::ErrorKind::Malformed {
                return Err(error);
            }
            let place = Location { byte: Some(at), ..Location::element(format!("blocks[{number}]")) };
            cx.unless_lenient("damaged", error.at(place))?;
        }
    }
    cx.budget().give_back(table.capacity() as u64);
    Ok(())
}

/// Reads one block into its place.
fn block(source: &Source, picture: &Picture, number: u64, at: u64, samples: &mut [f32], cx: &Context) -> Result<()> {
    let part = picture.part();
    let (Some(packing), many) = (part.packing, picture.headers.many) else { return Ok(()) };
    if at >= source.len() || at < picture.headers.end {
        let text =
            format!("expected a block at byte {at}, the blocks are from {} to {}", picture.headers.end, source.len());
        return Err(Error::malformed(text));
    }
    let fields = usize::from(many) + if part.tiles.is_some() { 5 } else { 2 };
    let mut head = [0; 24];
    let head = &mut head[..4 * fields];
    source.read_exact_at(at, head, "the head of a block")?;
    let fields: Vec<i32> = head.as_chunks::<4>().0.iter().map(|field| i32::from_le_bytes(*field)).collect();
    let fields = if many {
        if usize::try_from(fields[0]) != Ok(picture.part) {
            return Err(Error::malformed(format!(
                "expected a block of part {}, found one of {}",
                picture.part, fields[0]
            )));
        }
        &fields[1..]
    } else {
        &fields[..]
    };
    // Where it should be, by its number.
    let (left, top, size, expected) = match part.tiles {
        Some((across, down)) => {
            let row = u64::from(picture.width.div_ceil(across));
            let (x, y) = ((number % row) as u32, (number / row) as u32);
            let (left, top) = (x * across, y * down);
            let size = (across.min(picture.width - left), down.min(picture.height - top));
            (left, top, size, vec![x as i32, y as i32, 0, 0])
        }
        None => {
            let top = number as u32 * packing.lines();
            let size = (picture.width, packing.lines().min(picture.height - top));
            (0, top, size, vec![part.data.min.1 + top as i32])
        }
    };
    let Some((&length, place)) = fields.split_last() else { return Ok(()) };
    // Lines may be listed in any order: a block says itself which it is.
    let top = if part.tiles.is_none() {
        let line = u32::try_from(i64::from(place[0]) - i64::from(part.data.min.1)).ok();
        let line = line.filter(|line| *line < picture.height && line % packing.lines() == 0);
        line.ok_or_else(|| Error::malformed(format!("expected the first line of a block, found line {}", place[0])))?
    } else {
        if place != expected {
            return Err(Error::malformed(format!("expected the tile {expected:?}, found {place:?}")));
        }
        top
    };
    let size = (size.0, if part.tiles.is_none() { packing.lines().min(picture.height - top) } else { size.1 });
    let origin = (part.data.min.0 + left as i32, part.data.min.1 + top as i32);
    let block = Block { channels: &part.channels, at: origin, size };
    let start = at + head.len() as u64;
    let left_bytes = source.len().saturating_sub(start);
    let length = u64::try_from(length).map_err(|_| Error::malformed(format!("expected a length, found {length}")))?;
    if length > left_bytes {
        return Err(Error::truncated("the block", length, left_bytes));
    }
    let bytes = block.bytes();
    decode::check_expansion(cx, bytes, length)?;
    let mut packed = decode::buffer::<u8>(cx, length)?;
    source.read_exact_at(start, &mut packed, "the block")?;
    let mut values = decode::buffer::<u8>(cx, bytes)?;
    // Decoders hold the samples twice.
    cx.budget().take(bytes)?;
    unpack::unpack(packing, &packed, &block, &mut values)?;
    place_samples(picture, &block, (left, top), &values, samples);
    cx.budget().give_back(length + 2 * bytes);
    Ok(())
}

/// Puts the samples of a block into the picture. Those of channels that have fewer go to the pixels they are of.
fn place_samples(picture: &Picture, block: &Block<'_>, (left, top): (u32, u32), values: &[u8], samples: &mut [f32]) {
    let (width, count) = (picture.width as usize, picture.choice.channels.len());
    let mut rest = values;
    for (line, index) in block.lines() {
        let channel = &block.channels[index];
        let (bytes, tail) = rest.split_at(block.across(channel) * channel.kind.bytes());
        rest = tail;
        let Some(to) = picture.choice.channels.iter().position(|&chosen| chosen == index) else { continue };
        let step = channel.sampling.0 as usize;
        // The first pixel of the line that has a sample.
        let first = (-i64::from(block.at.0)).rem_euclid(step as i64) as usize;
        let start = ((top + line) as usize * width + left as usize + first) * count + to;
        let start = start.min(samples.len());
        let places = samples[start..].iter_mut().step_by(step * count);
        match channel.kind {
            Type::Half => bytes.as_chunks::<2>().0.iter().zip(places).for_each(|(value, place)| {
                *place = decode::half(u16::from_le_bytes(*value));
            }),
            Type::Float => bytes.as_chunks::<4>().0.iter().zip(places).for_each(|(value, place)| {
                *place = f32::from_le_bytes(*value);
            }),
            Type::Uint => bytes.as_chunks::<4>().0.iter().zip(places).for_each(|(value, place)| {
                *place = u32::from_le_bytes(*value) as f32;
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use mediary_core::{ErrorKind, Strictness};

    use super::*;
    use crate::testing;

    fn good(name: &str) -> Vec<u8> {
        testing::data(&format!("exr/{name}"))
    }

    fn floats(record: &MediaRecord) -> &[f32] {
        let Samples::F32(samples) = testing::image(record).samples() else { panic!("expected floats") };
        samples
    }

    /// The mean and the last value.
    type Channel = (f64, f64);

    /// What OpenEXR 3.5.3 states: name, bits, and its channels.
    const OPENEXR: &[(&str, u8, &[Channel])] = &[
        ("piz.exr", 16, &[(3.575_518_32, 3.722_656_25), (7.816_466_58, 8.328_125), (13.078_738_3, 13.414_062_5)]),
        ("b44.exr", 16, &[(3.575_734_5, 3.722_656_25), (7.816_697_84, 8.328_125), (13.077_139_6, 13.414_062_5)]),
        ("pxr24.exr", 32, &[(3.575_518_32, 3.722_656_25), (7.816_466_58, 8.328_125), (13.078_738_3, 13.414_062_5)]),
        ("tiles.exr", 16, &[(3.575_518_32, 3.722_656_25), (7.816_466_58, 8.328_125), (13.078_738_3, 13.414_062_5)]),
        ("rle.exr", 16, &[(7.816_466_58, 8.328_125)]),
        ("zips.exr", 32, &[(781.646_658, 832.8125)]),
        ("uint.exr", 32, &[(388.0, 776.0)]),
    ];

    #[test]
    fn values_are_those_of_openexr() {
        for &(name, bits, channels) in OPENEXR {
            let record = testing::read("a.exr", good(name)).unwrap();
            let image = testing::image(&record);
            assert_eq!((image.width(), image.height(), image.source_bits), (37, 21, bits), "{name}");
            assert_eq!(usize::from(image.channels()), channels.len(), "{name}");
            for (index, &(mean, last)) in channels.iter().enumerate() {
                let values: Vec<_> = floats(&record).iter().skip(index).step_by(channels.len()).collect();
                let found = values.iter().map(|value| f64::from(**value)).sum::<f64>() / values.len() as f64;
                assert!((found / mean - 1.0).abs() < 1e-8, "{name}: {found} {mean}");
                assert_eq!(f64::from(*values[values.len() - 1]), last, "{name}");
            }
            let space = if channels.len() == 3 || name == "rle.exr" { ColorSpace::Linear } else { ColorSpace::Unknown };
            assert_eq!(image.color_space, space, "{name}");
            assert_eq!(testing::codes(&record), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn alpha_is_divided_out() {
        let record = testing::read("a.exr", good("alpha.exr")).unwrap();
        let plain = testing::read("a.exr", good("piz.exr")).unwrap();
        let mut seen = 0;
        for (pixel, color) in floats(&record).as_chunks::<4>().0.iter().zip(floats(&plain).as_chunks::<3>().0) {
            let expected = if pixel[3] == 0.0 { [0.0; 3] } else { *color };
            // Products with a quarter and a half are exact in halves.
            assert_eq!(pixel[..3], expected);
            seen += usize::from(pixel[3] > 0.0 && pixel[3] < 1.0);
        }
        assert!(seen > 100, "{seen}");
    }

    #[test]
    fn layers_are_left_out_with_a_word() {
        let record = testing::read("a.exr", good("layers.exr")).unwrap();
        assert_eq!(floats(&record)[..4], [0.25, 0.5, 0.75, 4.0]);
        assert_eq!(testing::codes(&record), ["exr.channels"]);
        assert_eq!(record.properties["channels"].as_array().map(Vec::len), Some(10));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (name, halves) in [("piz.exr", true), ("alpha.exr", true), ("pxr24.exr", true), ("zips.exr", false)] {
            let mut record = testing::read("a.exr", good(name)).unwrap();
            for samples in ["exact", "float"] {
                let bytes = testing::write(&mut record, "exr", &[("exr.samples", samples)]);
                let again = testing::read("a.exr", bytes).unwrap();
                assert_eq!(floats(&record), floats(&again), "{name}");
                let bits = if halves && samples == "exact" { 16 } else { 32 };
                assert_eq!(testing::image(&again).source_bits, bits, "{name}");
            }
            assert!(record.loss.is_empty(), "{name}: {:?}", record.loss);
        }
        let mut record = testing::read("a.exr", good("zips.exr")).unwrap();
        record.properties.insert("comment".into(), "far".into());
        let bytes = testing::write(&mut record, "exr", &[("exr.samples", "half")]);
        assert_eq!(testing::read("a.exr", bytes).unwrap().properties["comment"], "far");
        assert_eq!(record.loss[0].code, "exr.half");
    }

    #[test]
    fn broken_files_are_refused_by_name() {
        for (name, kind, text) in [
            ("bomb.exr", ErrorKind::Limit, "pixels: 2147395600 wanted, the limit is 268435456"),
            ("zero-tilesize.exr", ErrorKind::Malformed, "expected"),
            ("invalid_integer_bounds.exr", ErrorKind::Unsupported, "expected version 2, found 34"),
            ("truncated-piz.exr", ErrorKind::Malformed, "the block ends early: expected 3701 bytes, found 3501"),
        ] {
            let error = testing::read("a.exr", testing::data(&format!("exr/malformed/{name}"))).unwrap_err();
            assert_eq!(error.kind(), kind, "{name}: {error}");
            assert!(error.message().starts_with(text), "{name}: {error}");
        }
        let bytes = testing::data("exr/malformed/truncated-piz.exr");
        let record = testing::read_with("a.exr", bytes, &testing::strictly(Strictness::Lenient)).unwrap();
        assert_eq!(testing::codes(&record), ["exr.damaged"]);
    }

    #[test]
    fn damaged_files_do_no_harm() {
        testing::torture("exr");
    }
}
