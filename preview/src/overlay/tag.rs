//! Words beside boxes, each on a plate of the colour of its box.

use super::{Sheet, ink_on};
use crate::math::V3;
use crate::text::Text;

/// Pixels between words and the rim of their plate.
const PAD: usize = 3;

/// Plates up to now: left, top, right, bottom.
pub(super) struct Tags {
    placed: Vec<[i64; 4]>,
    tall: f32,
}

impl Tags {
    pub(super) fn new(sheet: &Sheet) -> Self {
        Self { placed: Vec::new(), tall: tall(sheet) }
    }

    /// Puts words to a box where they hide the fewest others: above it, inside of its corners, below it.
    pub(super) fn put(&mut self, sheet: &mut Sheet, [left, top, right, bottom]: [f32; 4], words: &str, color: V3) {
        let Some(text) = Text::of_height(words, self.tall) else { return };
        let (width, height) = (text.width() + 2 * PAD, text.height());
        let (wide, high) = (width as i64, height as i64);
        let [left, top, right, bottom] = [left, top, right, bottom].map(|value| value.round() as i64);
        let places = [
            (left - 1, top - high),
            (left, top + 1),
            (left - 1, bottom),
            (right - wide + 1, top - high),
            (right - wide, top + 1),
            (left, bottom - high - 1),
            (right - wide, bottom - high - 1),
            (right - wide + 1, bottom),
            (left + 1, (top + bottom - high) / 2),
        ];
        let kept = |(x, y): (i64, i64)| {
            // Never outside of the picture: words that are cut are none.
            let x = x.min(sheet.width as i64 - wide).max(0);
            let y = y.min(sheet.height as i64 - high).max(0);
            [x, y, x + wide, y + high]
        };
        let hidden = |plate: &[i64; 4]| self.placed.iter().map(|other| shared(plate, other)).sum::<i64>();
        let moved = |plate: &[i64; 4], (x, y): (i64, i64)| (plate[0] - x).abs() + (plate[1] - y).abs();
        let best = places
            .iter()
            .map(|place| (kept(*place), *place))
            .min_by_key(|(plate, place)| (hidden(plate), moved(plate, *place)));
        let Some((plate, _)) = best else { return };
        self.placed.push(plate);
        sheet.fill(plate[0], plate[1], width, height, color, 0.92);
        let ink = ink_on(color);
        text.ink().for_each(|(x, y, share)| sheet.blend(plate[0] + (PAD + x) as i64, plate[1] + y as i64, ink, share));
    }
}

/// The height of words on a picture of this size.
pub(super) fn tall(sheet: &Sheet) -> f32 {
    (sheet.width.max(sheet.height) as f32 / 512.0 * 15.0).clamp(12.0, 48.0)
}

/// Pixels that two plates share.
fn shared(a: &[i64; 4], b: &[i64; 4]) -> i64 {
    let along = |axis: usize| (a[axis + 2].min(b[axis + 2]) - a[axis].max(b[axis])).max(0);
    along(0) * along(1)
}
