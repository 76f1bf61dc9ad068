//! The logical screen on which pictures are painted over each other.

use mediary_core::record::{Image, Samples};
use mediary_core::{Context, Error, Location, Result};

use super::blocks::{Frame, Palette};
use super::{broken, lzw};

/// Disposal methods, section 23. Some encoders count the last one as 4; browsers know both.
const RESTORE_BACKGROUND: u8 = 2;
const RESTORE_PREVIOUS: [u8; 2] = [3, 4];

const CLEAR: [u8; 4] = [0; 4];

/// Paints pictures, and clears up after them.
pub(super) struct Painter {
    width: usize,
    height: usize,
    screen: Vec<[u8; 4]>,
    /// What the last picture asks to be done before the next.
    pending: Option<Pending>,
    indices: Vec<u8>,
    /// Whether nothing has been painted yet.
    first: bool,
    cx: Context,
}

enum Pending {
    Clear(Area),
    Restore(Vec<[u8; 4]>),
}

/// Pixels of the screen that a picture covers.
#[derive(Clone, Copy)]
struct Area {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Painter {
    /// A transparent screen. The caller has taken the memory from the budget.
    pub(super) fn new(width: u32, height: u32, cx: &Context) -> Self {
        let (width, height) = (width as usize, height as usize);
        Self {
            width,
            height,
            screen: vec![CLEAR; width * height],
            pending: None,
            indices: Vec::new(),
            first: true,
            cx: cx.clone(),
        }
    }

    /// Paints a picture and returns the whole screen.
    pub(super) fn paint(&mut self, frame: &Frame, data: &[u8], global: Option<&Palette>) -> Result<Image> {
        match self.pending.take() {
            Some(Pending::Clear(area)) => self.fill(area),
            Some(Pending::Restore(screen)) => self.screen = screen,
            None => {}
        }
        let area = Area {
            left: usize::from(frame.left).min(self.width),
            top: usize::from(frame.top).min(self.height),
            right: (usize::from(frame.left) + usize::from(frame.width)).min(self.width),
            bottom: (usize::from(frame.top) + usize::from(frame.height)).min(self.height),
        };
        self.pending = match frame.control.disposal {
            RESTORE_BACKGROUND => Some(Pending::Clear(area)),
            method if RESTORE_PREVIOUS.contains(&method) => Some(Pending::Restore(self.screen.clone())),
            _ => None,
        };
        let decoded = self.decode(frame, data)?;
        self.draw(frame, area, decoded, global)?;
        let samples = self.screen.as_flattened().to_vec();
        Image::new(self.width as u32, self.height as u32, 4, Samples::U8(samples.into()))
    }

    fn fill(&mut self, area: Area) {
        for row in self.screen.chunks_exact_mut(self.width).take(area.bottom).skip(area.top) {
            row[area.left.min(area.right)..area.right].fill(CLEAR);
        }
    }

    /// Decodes the indices, in the order of the file, and returns how many there are.
    fn decode(&mut self, frame: &Frame, data: &[u8]) -> Result<usize> {
        self.indices.clear();
        self.indices.resize(usize::from(frame.width) * usize::from(frame.height), 0);
        let decoded = match frame.code_size {
            1..=8 => lzw::decode(data, frame.code_size, &mut self.indices),
            found => {
                let error = Error::malformed(format!("expected an LZW code size from 2 to 8, found {found}"));
                self.cx.unless_lenient("code-size", error.at_byte(frame.at))?;
                return Ok(0);
            }
        };
        if let Some(problem) = decoded.problem {
            let found = decoded.written;
            let text = format!("expected {} pixels in a picture, found {found}: {problem}", self.indices.len());
            broken(&self.cx, "damaged-frame", Error::malformed(text).at_byte(frame.at))?;
        }
        Ok(decoded.written)
    }

    fn draw(&mut self, frame: &Frame, area: Area, decoded: usize, global: Option<&Palette>) -> Result<()> {
        let palette = frame.palette.as_ref().or(global);
        let mut colors: [[u8; 4]; 256] = std::array::from_fn(|index| match palette {
            Some(palette) => palette.get(index).map_or([0, 0, 0, 255], |&[r, g, b]| [r, g, b, 255]),
            // Section 18: without any palette the decoder may use its own. Gray, as Pillow does.
            None => [index as u8, index as u8, index as u8, 255],
        });
        let transparent = frame.control.transparent;
        // The first picture keeps the colour behind its transparent index, as other readers do; it cannot be seen.
        if let Some(index) = transparent {
            colors[usize::from(index)][3] = 0;
        }
        if palette.is_none() {
            self.cx.tolerate("palette", "a picture without any palette, gray is used", Location::byte(frame.at))?;
        }
        let width = usize::from(frame.width);
        let known = palette.map_or(256, Vec::len);
        let mut unknown = false;
        let first = std::mem::replace(&mut self.first, false);
        for (stored, row) in rows(usize::from(frame.height), frame.interlaced).enumerate() {
            let line = area.top + row;
            let (start, end) = (stored * width, ((stored + 1) * width).min(decoded));
            if line >= area.bottom || start >= end {
                continue;
            }
            let indices = &self.indices[start..end];
            let target = &mut self.screen[line * self.width + area.left..line * self.width + area.right.max(area.left)];
            for (pixel, &index) in target.iter_mut().zip(indices) {
                if first || transparent != Some(index) {
                    unknown |= usize::from(index) >= known && transparent != Some(index);
                    *pixel = colors[usize::from(index)];
                }
            }
        }
        if unknown {
            let text = format!("indices beyond the palette of {known} colours are black");
            self.cx.tolerate("palette", text, Location::byte(frame.at))?;
        }
        Ok(())
    }
}

/// The rows of a picture in the order in which they are stored (appendix E).
fn rows(height: usize, interlaced: bool) -> impl Iterator<Item = usize> {
    let passes: &[(usize, usize)] = if interlaced { &[(0, 8), (4, 8), (2, 4), (1, 2)] } else { &[(0, 1)] };
    passes.iter().flat_map(move |&(first, step)| (first..height).step_by(step))
}
