//! Words on a picture: light, with a dark rim that keeps them legible on anything. The letters are those of Spleen (F. Cambus,
//! BSD-2-Clause), 16 x 32 bits each, scaled down.

use spleen_font::{FONT_16X32, PSF2Font};

use crate::canvas::Canvas;
use crate::math::V3;

/// Bits of a letter.
const WIDE: usize = 16;
const HIGH: usize = 32;
/// Letters of a text; the rest is cut.
const MOST: usize = 48;
/// Pixels round the letters for the rim.
const RIM: usize = 2;
const DARK: V3 = [0.008, 0.009, 0.012];

/// A text as coverage of pixels.
pub(crate) struct Text {
    width: usize,
    height: usize,
    ink: Vec<f32>,
}

impl Text {
    /// For a picture of this size; `None` when there is nothing to write.
    pub(crate) fn new(words: &str, size: usize) -> Option<Self> {
        Self::of_height(words, (size as f32 / 512.0 * 17.0).clamp(11.0, 64.0))
    }

    /// Of letters so many pixels high, the room for their tails included.
    pub(crate) fn of_height(words: &str, tall: f32) -> Option<Self> {
        let mut font = PSF2Font::new(FONT_16X32).ok()?;
        let mut letters: Vec<char> =
            words.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        if letters.len() > MOST {
            letters.truncate(MOST - 3);
            letters.extend("...".chars());
        }
        if letters.iter().all(|letter| letter.is_whitespace()) {
            return None;
        }
        let mut bits = vec![false; letters.len() * WIDE * HIGH];
        let across = letters.len() * WIDE;
        for (place, letter) in letters.iter().enumerate() {
            let mut bytes = [0; 4];
            let glyph = font.glyph_for_utf8(letter.encode_utf8(&mut bytes).as_bytes());
            let Some(glyph) = glyph.or_else(|| font.glyph_for_utf8(b"?")) else { continue };
            for (y, row) in glyph.enumerate().take(HIGH) {
                for (x, bit) in row.enumerate().take(WIDE) {
                    bits[y * across + place * WIDE + x] = bit;
                }
            }
        }
        let scale = HIGH as f32 / tall;
        let (width, height) = ((across as f32 / scale).ceil() as usize, tall.ceil() as usize);
        let (width, height) = (width + 2 * RIM, height + 2 * RIM);
        let mut ink = vec![0.0; width * height];
        for (place, ink) in ink.iter_mut().enumerate() {
            // The share of the bits below the pixel, at four places in each direction.
            let at =
                |pixel: usize, part: usize| ((pixel as f32 + (part as f32 + 0.5) / 4.0 - RIM as f32) * scale).floor();
            let mut sum = 0;
            for part in 0..16 {
                let (x, y) = (at(place % width, part % 4), at(place / width, part / 4));
                let inside = x >= 0.0 && y >= 0.0 && x < across as f32 && y < HIGH as f32;
                sum += u32::from(inside && bits[y as usize * across + x as usize]);
            }
            *ink = sum as f32 / 16.0;
        }
        Some(Self { width, height, ink })
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn height(&self) -> usize {
        self.height
    }

    /// The pixels with ink: across, down, and how much.
    pub(crate) fn ink(&self) -> impl Iterator<Item = (usize, usize, f32)> {
        let pixels = self.ink.iter().enumerate().filter(|(_, ink)| **ink > 0.0);
        pixels.map(|(place, ink)| (place % self.width, place / self.width, *ink))
    }

    /// Writes it with its upper left corner here.
    pub(crate) fn draw(&self, canvas: &mut Canvas, left: i64, top: i64, color: V3) {
        for place in 0..self.ink.len() {
            let (x, y) = (place % self.width, place / self.width);
            let mut rim = 0.0_f32;
            for ny in y.saturating_sub(RIM)..(y + RIM + 1).min(self.height) {
                for nx in x.saturating_sub(RIM)..(x + RIM + 1).min(self.width) {
                    let off = (nx.abs_diff(x).pow(2) + ny.abs_diff(y).pow(2)) as f32;
                    let fade = (1.0 - (off.sqrt() - 1.0).max(0.0) / RIM as f32).max(0.0);
                    rim = rim.max(self.ink[ny * self.width + nx] * fade);
                }
            }
            if rim > 0.0 {
                let (x, y) = (left + x as i64, top + y as i64);
                canvas.blend(x, y, DARK, rim * 0.85);
                canvas.blend(x, y, color, self.ink[place]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_looks_like_itself() {
        // At 512 pixels a letter is about 8 wide and 17 high: an I is a stroke, a dash is a bar.
        let column = |text: &Text, x: usize| (0..text.height).map(|y| text.ink[y * text.width + x]).sum::<f32>();
        let bar = Text::new("|", 512).unwrap();
        let middle = (0..bar.width).max_by(|a, b| column(&bar, *a).total_cmp(&column(&bar, *b))).unwrap();
        assert!(column(&bar, middle) > 8.0 && middle.abs_diff(bar.width / 2) <= 1, "{middle}");
        assert!(column(&bar, RIM) < 1.0 && column(&bar, bar.width - RIM - 1) < 1.0);
        assert_ne!(Text::new("a", 512).unwrap().ink, Text::new("b", 512).unwrap().ink);
        assert_ne!(Text::new("\u{e9}", 512).unwrap().ink, Text::new("?", 512).unwrap().ink, "Latin letters are there");
    }

    #[test]
    fn any_text_is_some_text() {
        assert!(Text::new("", 512).is_none() && Text::new(" \n\t", 512).is_none());
        let long = "x".repeat(10_000);
        assert!(Text::new(&long, 512).unwrap().width() <= MOST * 10);
        for words in ["\u{4f60}\u{597d}", "\u{1f600}", "\u{0}\u{7f}\u{200b}x", "e\u{301}"] {
            for size in [16, 512, 2048] {
                let text = Text::new(words, size).unwrap();
                let mut canvas = Canvas { size, pixels: vec![[0.0; 4]; size * size] };
                text.draw(&mut canvas, -3, size as i64 - 2, [1.0; 3]);
            }
        }
    }
}
