//! Below the picture: the classes that are drawn, their colours, and how many boxes have them.

use std::collections::BTreeMap;

use super::tag::tall;
use super::{Chosen, Sheet, Stroke, class_color};
use crate::math::V3;
use crate::text::Text;

/// Rows at most; what does not fit is counted.
const MOST_ROWS: usize = 6;
/// Pixels round entries.
const GAP: usize = 8;

const PAPER: V3 = [0.91, 0.91, 0.92];
const INK: V3 = [0.012, 0.013, 0.016];

/// What the legend says.
#[derive(Default)]
pub(crate) struct Legend {
    entries: Vec<Entry>,
}

enum Entry {
    /// The name of a layer and its stroke.
    Layer(String, Stroke),
    /// The name of a class and its colour.
    Class(String, V3),
}

impl Legend {
    /// Adds the classes of a layer, with its name where there are several.
    pub(super) fn add(&mut self, chosen: &Chosen<'_>, classes: &BTreeMap<i64, usize>, named: bool) {
        if named {
            self.entries.push(Entry::Layer(chosen.name.to_owned(), chosen.stroke));
        }
        for (class, count) in classes {
            let name = chosen.layer.label(*class);
            let words = if *count > 1 { format!("{name} x{count}") } else { name };
            self.entries.push(Entry::Class(words, class_color(*class)));
        }
    }

    /// The picture with the legend below it.
    pub(crate) fn below(self, sheet: Sheet) -> Sheet {
        let tall = tall(&sheet);
        let (row, swatch) = (tall.ceil() as usize + GAP, (tall * 0.7) as usize);
        let mut placed: Vec<(usize, usize, &Entry, Text)> = Vec::new();
        let (mut x, mut y, mut left_out) = (GAP, 0, 0);
        for entry in &self.entries {
            let (Entry::Layer(words, _) | Entry::Class(words, _)) = entry;
            let Some(text) = Text::of_height(words, tall) else { continue };
            let width = sign(entry, swatch) + 4 + text.width() + 2 * GAP;
            let begins = matches!(entry, Entry::Layer(..)) && x > GAP;
            if (begins || x + width > sheet.width) && x > GAP {
                (x, y) = (GAP, y + 1);
            }
            if y >= MOST_ROWS {
                left_out += 1;
                continue;
            }
            placed.push((x, y, entry, text));
            x += width;
        }
        let rows = y.min(MOST_ROWS - 1) + 1 + usize::from(left_out > 0);
        let high = rows * row + GAP;
        let mut page = Sheet { width: sheet.width, height: sheet.height + high, pixels: sheet.pixels };
        let [r, g, b] = PAPER;
        page.pixels.resize(page.width * page.height, [r, g, b, 1.0]);
        let base = sheet.height + GAP;
        let write = |page: &mut Sheet, text: &Text, x: usize, y: usize| {
            text.ink().for_each(|(at, down, share)| page.blend((x + at) as i64, (y + down) as i64, INK, share));
        };
        for (x, y, entry, text) in placed {
            let top = base + y * row;
            let middle = (top + tall as usize / 2) as i64;
            match entry {
                Entry::Class(_, color) => {
                    let top = middle - swatch as i64 / 2;
                    page.fill(x as i64, top, swatch, swatch, *color, 1.0);
                }
                Entry::Layer(_, stroke) => {
                    let wide = (tall / 7.0).max(1.5);
                    for at in 0..sign(entry, swatch) {
                        if stroke.has_ink(at as f32, wide) {
                            page.fill((x + at) as i64, middle - (wide / 2.0) as i64, 1, wide.ceil() as usize, INK, 1.0);
                        }
                    }
                }
            }
            write(&mut page, &text, x + sign(entry, swatch) + 4, top);
        }
        if left_out > 0
            && let Some(text) = Text::of_height(&format!("and {left_out} more"), tall)
        {
            write(&mut page, &text, GAP, base + (rows - 1) * row);
        }
        page
    }
}

/// Pixels across of what stands before the words: a square for a class, a line long enough to show its breaks for a layer.
fn sign(entry: &Entry, swatch: usize) -> usize {
    if matches!(entry, Entry::Layer(..)) { swatch * 5 / 2 } else { swatch }
}
