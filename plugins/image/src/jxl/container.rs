//! The boxes round a codestream.

use std::borrow::Cow;
use std::io::Read;

use brotli_decompressor::Decompressor;
use mediary_core::{Context, Error, Location, Result};

use super::{BARE, CONTAINER};
use crate::boxes::Atoms;

/// Bytes of EXIF or XMP that are read: 16 MiB.
const METADATA: u64 = 16 << 20;

/// Bytes that Brotli reads at once.
const PACKED_AT_ONCE: usize = 4096;

/// What a file holds.
#[derive(Default)]
pub(super) struct Container<'b> {
    pub(super) codestream: Cow<'b, [u8]>,
    pub(super) exif: Option<Cow<'b, [u8]>>,
    pub(super) xmp: Option<Cow<'b, [u8]>>,
}

impl<'b> Container<'b> {
    pub(super) fn parse(file: &'b [u8], cx: &Context) -> Result<Self> {
        if file.starts_with(BARE) {
            return Ok(Self { codestream: Cow::Borrowed(file), ..Self::default() });
        }
        if !file.starts_with(CONTAINER) {
            return Err(Error::malformed("expected the signature of JPEG XL, found none").at_byte(0));
        }
        let mut container = Self::default();
        let mut parts = 0_u32;
        for (number, atom) in Atoms::of_file(file).enumerate() {
            if number % 1024 == 0 {
                cx.checkpoint()?;
            }
            let atom = atom?;
            match &atom.kind {
                b"jxlc" if container.codestream.is_empty() => container.codestream = Cow::Borrowed(atom.body),
                b"jxlp" => {
                    let mut fields = atom.fields();
                    let index = fields.u32()?;
                    if index & 0x7FFF_FFFF != parts {
                        let found = index & 0x7FFF_FFFF;
                        return Err(Error::malformed(format!(
                            "expected part {parts} of the codestream, found {found}"
                        ))
                        .at_byte(atom.at));
                    }
                    parts += 1;
                    cx.budget().take(fields.rest.len() as u64)?;
                    container.codestream.to_mut().extend_from_slice(fields.rest);
                }
                b"Exif" => container.note(*b"Exif", Cow::Borrowed(atom.body)),
                b"xml " => container.note(*b"xml ", Cow::Borrowed(atom.body)),
                b"brob" => {
                    let mut fields = atom.fields();
                    let kind = fields.array::<4>()?;
                    if [*b"Exif", *b"xml "].contains(&kind) {
                        let unpacked = unpack(fields.rest, cx)?;
                        if let Some(unpacked) = unpacked {
                            container.note(kind, Cow::Owned(unpacked));
                        }
                    }
                }
                _ => {}
            }
        }
        if container.codestream.is_empty() {
            return Err(Error::malformed("expected a codestream in the container, found none")
                .with_hint("the file is cut short; fetch or copy it again"));
        }
        Ok(container)
    }

    fn note(&mut self, kind: [u8; 4], data: Cow<'b, [u8]>) {
        let place = if kind == *b"Exif" { &mut self.exif } else { &mut self.xmp };
        place.get_or_insert(data);
    }
}

/// What Brotli has packed, unless it is broken or large.
fn unpack(packed: &[u8], cx: &Context) -> Result<Option<Vec<u8>>> {
    cx.budget().take(METADATA)?;
    let mut unpacked = Vec::new();
    let read = Decompressor::new(packed, PACKED_AT_ONCE).take(METADATA).read_to_end(&mut unpacked);
    cx.budget().give_back(METADATA - unpacked.len() as u64);
    match read {
        Ok(length) if (length as u64) < METADATA => Ok(Some(unpacked)),
        Ok(_) => {
            cx.warn("metadata", format!("EXIF or XMP of {METADATA} bytes or more are left out"));
            Ok(None)
        }
        Err(error) => {
            cx.tolerate("metadata", format!("packed EXIF or XMP are left out: {error}"), Location::element("brob"))?;
            Ok(None)
        }
    }
}
