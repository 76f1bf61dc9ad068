//! The file: an image or an animation, and the notes that go with it.

use mediary_core::record::facts::ImageFacts;
use mediary_core::record::{ColorSpace, Stream, Video};
use mediary_core::{Context, Error, Facts, Header, Location, MediaRecord, Result, Severity, Source};
use serde_json::{Map, Value};

use super::items::Items;
use super::picture::{self, Picture};
use super::sequence::Animation;
use crate::boxes::{Atom, Atoms};
use crate::decode;
use crate::exif::Exif;

/// Bytes of EXIF or XMP that are read: 16 MiB.
const METADATA: u64 = 16 << 20;

/// The boxes of a file that matter.
enum Content<'b> {
    Still(Box<Items<'b>>),
    Moving(Atom<'b>),
}

impl<'b> Content<'b> {
    fn find(file: &'b [u8], cx: &Context) -> Result<Self> {
        let (mut meta, mut moov, mut is_animation) = (None, None, false);
        for (number, atom) in Atoms::of_file(file).enumerate() {
            if number % 1024 == 0 {
                cx.checkpoint()?;
            }
            let atom = match atom {
                Ok(atom) => atom,
                // Too few bytes for a box, behind all that is needed.
                Err(error) => match error.location().and_then(|location| location.byte) {
                    Some(at) if file.len() as u64 - at < 8 && (meta.is_some() || moov.is_some()) => {
                        let text = format!("{} bytes behind the last box, they are left out", file.len() as u64 - at);
                        cx.tolerate("trailing-bytes", text, Location::byte(at))?;
                        break;
                    }
                    _ => return Err(error),
                },
            };
            match &atom.kind {
                b"ftyp" => is_animation = atom.body.starts_with(b"avis"),
                b"meta" if meta.is_none() => meta = Some(atom),
                b"moov" if moov.is_none() => moov = Some(atom),
                _ => {}
            }
        }
        match (meta, moov) {
            (_, Some(moov)) if is_animation => Ok(Self::Moving(moov)),
            (Some(meta), _) => Ok(Self::Still(Box::new(Items::parse(file, &meta, cx)?))),
            (None, Some(moov)) => Ok(Self::Moving(moov)),
            (None, None) => Err(Error::malformed("expected a box meta or moov, found none")
                .with_hint("the file is cut short; fetch or copy it again")),
        }
    }
}

pub(super) fn read_header(source: &Source, cx: &Context) -> Result<Header> {
    decode::quietly(super::INFO.id, cx, |quiet| header(source, quiet)).map(|(header, _)| header)
}

fn header(source: &Source, cx: &Context) -> Result<Header> {
    let file = source.bytes(cx)?;
    match Content::find(&file, cx)? {
        Content::Still(items) => {
            let picture = Picture::of(&items, items.primary, cx)?;
            let (width, height) = picture.size();
            let mut header = Header::single(Facts::Image(ImageFacts {
                width: Some(width),
                height: Some(height),
                channels: Some(picture.channels()),
                bit_depth: Some(picture.bits()),
                sample_format: Some("uint"),
                color_space: Some(picture.color_space().as_str()),
                has_alpha: Some(matches!(picture.channels(), 2 | 4)),
                frames: Some(1),
                orientation_applied: Some(picture.is_turned()),
            }));
            header.memory = Some(picture.memory() + source.len());
            Ok(header)
        }
        Content::Moving(moov) => {
            let animation = Animation::parse(&moov, source, cx)?;
            let mut header = Header::single(Facts::Video(decode::animation(animation.track())));
            header.memory = Some(animation.memory() + source.len());
            Ok(header)
        }
    }
}

pub(super) fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let file = source.bytes(cx)?;
    match Content::find(&file, cx)? {
        Content::Still(items) => {
            let picture = Picture::of(&items, items.primary, cx)?;
            let mut record = MediaRecord::new(picture.read(&items, cx)?);
            notes(&items, cx, &mut record.properties)?;
            Ok(record)
        }
        Content::Moving(moov) => {
            let animation = Animation::parse(&moov, source, cx)?;
            let track = animation.track();
            if picture::color_space(animation.color.coding().unwrap_or(animation.sequence.coding))
                == ColorSpace::Unknown
            {
                picture::unknown_colors(cx);
            }
            let mut record = MediaRecord::new(Video {
                container: "avif".into(),
                duration_seconds: track.duration_seconds,
                tracks: vec![track],
                playable: true,
                frames: Some(Stream::new(animation.frames(source, cx)?)),
            });
            record.source_is_canonical = cx.diagnostics().worst().is_none_or(|worst| worst == Severity::Info);
            Ok(record)
        }
    }
}

/// EXIF and XMP of the shown picture.
fn notes(items: &Items<'_>, cx: &Context, properties: &mut Map<String, Value>) -> Result<()> {
    for (is_exif, id) in items.notes(items.primary) {
        let length = items.length(id)?;
        if length > METADATA {
            cx.warn("metadata", format!("{length} bytes of EXIF or XMP are left out, the most is {METADATA}"));
            continue;
        }
        let data = items.data(id, cx)?;
        if is_exif {
            // Before the block stands how far it is away, mostly 0; `Exif` and two zeros may come first.
            let skip = data.first_chunk::<4>().map_or(0, |offset| u32::from_be_bytes(*offset) as usize);
            let block = data.get(4..).and_then(|rest| rest.get(skip..)).unwrap_or_default();
            let exif = Exif::parse(block.strip_prefix(b"Exif\0\0").unwrap_or(block), false);
            exif.report(cx)?;
            if !exif.tags.is_empty() {
                properties.insert("exif".into(), exif.tags.into());
            }
        } else {
            decode::keep_xmp(&data, cx, properties);
        }
        cx.budget().give_back(data.len() as u64);
    }
    Ok(())
}
