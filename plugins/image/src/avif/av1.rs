//! AV1: what its sequence header says, and frames.
//!
//! Specification: <https://aomediacodec.github.io/av1-spec/>, sections 5.3 (OBU) and 5.5 (sequence header).

use mediary_core::{Context, Error, Result};
use re_rav1d::dav1d::{self, Picture, PixelLayout, PlanarImageComponent, Plane, Settings};

use super::items::Coding;

const SEQUENCE_HEADER: u8 = 1;

/// Bytes that decoding takes for a pixel: planes of the frame, of those that are referred to, and what goes with blocks.
const STILL: u64 = 12;
const MOVING: u64 = 40;

/// What a sequence header says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sequence {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bits: u8,
    pub(super) is_gray: bool,
    pub(super) coding: Coding,
}

impl Sequence {
    /// That of the first sequence header in `data`.
    pub(super) fn find(mut data: &[u8]) -> Result<Self> {
        let broken = || Error::malformed("expected a sequence header in the AV1 data, found none");
        while let [head, rest @ ..] = data {
            let (kind, extended, sized) = (head >> 3 & 15, head >> 2 & 1 != 0, head >> 1 & 1 != 0);
            if head >> 7 != 0 {
                return Err(broken());
            }
            let rest = if extended { rest.get(1..).ok_or_else(broken)? } else { rest };
            let (length, rest) = if sized { leb128(rest).ok_or_else(broken)? } else { (rest.len(), rest) };
            let (body, behind) = rest.split_at_checked(length).ok_or_else(|| {
                Error::truncated("a unit of the AV1 data", length as u64, rest.len() as u64)
                    .with_hint("the file is cut short; fetch or copy it again")
            })?;
            if kind == SEQUENCE_HEADER {
                return Bits { bytes: body, at: 0 }
                    .sequence()
                    .ok_or_else(|| Error::malformed("the AV1 sequence header ends early"));
            }
            data = behind;
        }
        Err(broken())
    }
}

/// A number of 7 bits a byte, and what follows it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_u64;
    for (place, byte) in bytes.iter().enumerate().take(8) {
        number |= u64::from(byte & 0x7F) << (7 * place);
        if byte >> 7 == 0 {
            return Some((usize::try_from(number).ok()?, &bytes[place + 1..]));
        }
    }
    None
}

/// Bits from the highest of a byte on.
struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Option<u32> {
        let mut number = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            number = number << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(number)
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? != 0)
    }

    /// Leaves out a number with as many bits as zeros before it.
    fn skip_variable(&mut self) -> Option<()> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
        }
        if zeros < 32 { self.take(zeros).map(drop) } else { Some(()) }
    }

    fn sequence(&mut self) -> Option<Sequence> {
        let profile = self.take(3)?;
        let _still = self.flag()?;
        let reduced = self.flag()?;
        if reduced {
            self.take(5)?;
        } else {
            self.operating_points()?;
        }
        let [across, down] = [self.take(4)? + 1, self.take(4)? + 1];
        let [width, height] = [self.take(across)?.checked_add(1)?, self.take(down)?.checked_add(1)?];
        if !reduced && self.flag()? {
            // Lengths of frame numbers.
            self.take(4 + 3)?;
        }
        // Blocks of 128, filters of edges.
        self.take(3)?;
        if !reduced {
            self.tools()?;
        }
        // Superresolution, directional enhancement, restoration.
        self.take(3)?;
        self.colors(profile, width, height)
    }

    fn operating_points(&mut self) -> Option<()> {
        let mut delay_bits = None;
        if self.flag()? {
            self.take(32)?;
            self.take(32)?;
            if self.flag()? {
                self.skip_variable()?;
            }
            if self.flag()? {
                delay_bits = Some(self.take(5)? + 1);
                self.take(32)?;
                self.take(5 + 5)?;
            }
        }
        let has_delay = self.flag()?;
        for _ in 0..=self.take(5)? {
            self.take(12)?;
            if self.take(5)? > 7 {
                self.take(1)?;
            }
            if let Some(bits) = delay_bits
                && self.flag()?
            {
                self.take(bits)?;
                self.take(bits)?;
                self.take(1)?;
            }
            if has_delay && self.flag()? {
                self.take(4)?;
            }
        }
        Some(())
    }

    fn tools(&mut self) -> Option<()> {
        // Interintra, masks, warps, dual filter.
        self.take(4)?;
        let ordered = self.flag()?;
        if ordered {
            self.take(2)?;
        }
        let chooses = self.flag()?;
        let screen = chooses || self.flag()?;
        if screen && !self.flag()? {
            self.take(1)?;
        }
        if ordered {
            self.take(3)?;
        }
        Some(())
    }

    fn colors(&mut self, profile: u32, width: u32, height: u32) -> Option<Sequence> {
        let high = self.flag()?;
        let bits = match high {
            true if profile == 2 && self.flag()? => 12,
            true => 10,
            false => 8,
        };
        let is_gray = profile != 1 && self.flag()?;
        // Not described: unspecified, each of them.
        let [primaries, transfer, matrix] = match self.flag()? {
            true => [self.take(8)? as u16, self.take(8)? as u16, self.take(8)? as u16],
            false => [2; 3],
        };
        // sRGB as it is has no range of its own.
        let full_range = (!is_gray && [primaries, transfer, matrix] == [1, 13, 0]) || self.flag()?;
        let coding = Coding { primaries, transfer, matrix, full_range };
        Some(Sequence { width, height, bits, is_gray, coding })
    }
}

/// A decoder of frames that follow each other.
pub(super) struct Decoder {
    inner: dav1d::Decoder,
    expected: Sequence,
    taken: u64,
    cx: Context,
}

impl Decoder {
    pub(super) fn new(expected: Sequence, is_moving: bool, cx: &Context) -> Result<Self> {
        let pixels = u64::from(expected.width) * u64::from(expected.height);
        cx.limits().check("pixels", pixels)?;
        let taken = pixels.saturating_mul(if is_moving { MOVING } else { STILL });
        cx.budget().take(taken)?;
        let mut settings = Settings::new();
        // On this thread, where a panic of it is met.
        settings.set_n_threads(1);
        settings.set_max_frame_delay(1);
        settings.set_all_layers(false);
        settings.set_frame_size_limit(u32::try_from(pixels).unwrap_or(u32::MAX));
        let inner = dav1d::Decoder::with_settings(&settings).map_err(failed)?;
        Ok(Self { inner, expected, taken, cx: cx.clone() })
    }

    /// The frame that is shown of `data`.
    pub(super) fn frame(&mut self, data: Vec<u8>) -> Result<Frame> {
        self.cx.checkpoint()?;
        let mut shown = None;
        let mut sent = self.inner.send_data(data, None, None, None);
        loop {
            let waits = match sent {
                Ok(()) => false,
                Err(dav1d::Error::Again) => true,
                Err(error) => return Err(failed(error)),
            };
            match self.inner.get_picture() {
                Ok(picture) => shown = Some(picture),
                Err(dav1d::Error::Again) if !waits => break,
                // It takes no more, and gives nothing.
                Err(error) => return Err(failed(error)),
            }
            self.cx.checkpoint()?;
            sent = self.inner.send_pending_data();
        }
        let picture = shown.ok_or_else(|| Error::malformed("expected a frame in the AV1 data, found none"))?;
        Frame::of(picture, &self.expected)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        self.cx.budget().give_back(self.taken);
    }
}

fn failed(error: dav1d::Error) -> Error {
    match error {
        dav1d::Error::NotEnoughMemory => Error::limit("alloc_bytes", u64::MAX, u64::MAX - 1),
        dav1d::Error::UnsupportedBitstream => Error::unsupported("AV1 of a profile that cannot be decoded"),
        _ => Error::malformed("the AV1 data are broken")
            .with_hint("the file is cut short or damaged; fetch or copy it again"),
    }
}

/// A decoded frame.
pub(super) struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bits: u8,
    /// Luma, and two of chroma unless it is gray.
    planes: Vec<(Plane, usize)>,
    /// By how much chroma is smaller: 0 or 1 for each axis.
    pub(super) shift: [u8; 2],
}

impl Frame {
    fn of(picture: Picture, expected: &Sequence) -> Result<Self> {
        let (width, height, bits) = (picture.width(), picture.height(), picture.bit_depth() as u8);
        let layout = picture.pixel_layout();
        let is_gray = layout == PixelLayout::I400;
        if (width, height, bits, is_gray) != (expected.width, expected.height, expected.bits, expected.is_gray) {
            let kind = |gray: bool| if gray { "gray" } else { "colour" };
            return Err(Error::malformed(format!(
                "expected {} x {} pixels of {} in {} bits as the file says, found {width} x {height} of {} in {bits}",
                expected.width,
                expected.height,
                kind(expected.is_gray),
                expected.bits,
                kind(is_gray),
            )));
        }
        let components = [PlanarImageComponent::Y, PlanarImageComponent::U, PlanarImageComponent::V];
        let shown = if is_gray { 1 } else { 3 };
        let planes =
            components[..shown].iter().map(|&component| (picture.plane(component), picture.stride(component) as usize));
        let shift = match layout {
            PixelLayout::I420 => [1, 1],
            PixelLayout::I422 => [1, 0],
            PixelLayout::I400 | PixelLayout::I444 => [0, 0],
        };
        Ok(Self { width, height, bits, planes: planes.collect(), shift })
    }

    /// A row of samples of a plane.
    pub(super) fn row(&self, plane: usize, row: u32, into: &mut Vec<f32>) {
        let (data, stride) = &self.planes[plane];
        let shift = if plane == 0 { 0 } else { self.shift[0] };
        let count = (self.width as usize + usize::from(shift)) >> shift;
        let bytes = &data.as_ref()[row as usize * stride..];
        into.clear();
        if self.bits == 8 {
            into.extend(bytes[..count].iter().map(|sample| f32::from(*sample)));
        } else {
            let pairs = bytes[..count * 2].as_chunks::<2>().0;
            into.extend(pairs.iter().map(|pair| f32::from(u16::from_ne_bytes(*pair))));
        }
    }
}
