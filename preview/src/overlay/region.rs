//! Which pixels are which class: translucent, with a firm rim.

use std::collections::BTreeSet;

use mediary_core::{Context, Result};

use super::{Chosen, Sheet, class_color};
use crate::math::V3;

/// How much of a class's colour is laid over the picture, inside of a region and on its rim.
const INSIDE: f32 = 0.45;
const RIM: f32 = 0.95;

/// Samples to the side of a pixel.
const SAMPLES: usize = 3;

/// Draws the mask of a layer, and returns the classes in it that are shown.
pub(super) fn mask(sheet: &mut Sheet, chosen: &Chosen<'_>, wide: f32) -> Result<BTreeSet<u16>> {
    let Some(mask) = &chosen.layer.mask else { return Ok(BTreeSet::new()) };
    let is_shown = |class: &u16| chosen.shows((*class).into()) && !chosen.is_background((*class).into());
    let shown: BTreeSet<u16> = mask.occurring().into_iter().filter(is_shown).collect();
    let size = [mask.width as usize, mask.height as usize];
    let key = |x: usize, y: usize| {
        let class = mask.classes()[y * size[0] + x];
        if shown.contains(&class) { u32::from(class) + 1 } else { 0 }
    };
    paint(sheet, size, wide, key, |key| class_color(i64::from(key) - 1));
    Ok(shown)
}

/// Draws the regions of the boxes, each with a rim of its own.
pub(super) fn instances(sheet: &mut Sheet, chosen: &Chosen<'_>, size: [u32; 2], wide: f32, cx: &Context) -> Result<()> {
    if !chosen.layer.has_regions() {
        return Ok(());
    }
    let [width, height] = size.map(|side| side as usize);
    let taken = (width * height * 4) as u64;
    cx.budget().take(taken)?;
    let mut owners = vec![0_u32; width * height];
    for (number, one) in chosen.boxes.iter().enumerate() {
        cx.checkpoint()?;
        let Some(runs) = one.region(size[0], size[1], cx)? else { continue };
        // Runs go down one column after the other.
        for place in runs.inside().flatten() {
            let (x, y) = ((place / u64::from(runs.height)) as usize, (place % u64::from(runs.height)) as usize);
            if x < width && y < height {
                owners[y * width + x] = number as u32 + 1;
            }
        }
    }
    let color = |owner: u32| class_color(chosen.boxes[owner as usize - 1].class_id);
    paint(sheet, [width, height], wide, |x, y| owners[y * width + x], color);
    cx.budget().give_back(taken);
    Ok(())
}

/// Lays the colours of keys over the picture: 0 is nothing. Keys are asked for by column and row of a raster of this `size`.
fn paint(sheet: &mut Sheet, size: [usize; 2], wide: f32, key: impl Fn(usize, usize) -> u32, color: impl Fn(u32) -> V3) {
    let [width, height] = [sheet.width, sheet.height];
    let place = |at: usize, part: f32, side: usize, most: usize| {
        (((at as f32 + part) / side as f32 * most as f32) as usize).min(most - 1)
    };
    let middle: Vec<u32> = (0..width * height)
        .map(|at| key(place(at % width, 0.5, width, size[0]), place(at / width, 0.5, height, size[1])))
        .collect();
    // The rim is as wide as the lines of boxes.
    let reach = (wide.round() as i64 - 1).max(1);
    for y in 0..height {
        for x in 0..width {
            let own = middle[y * width + x];
            let mut is_rim = false;
            for dy in -reach..=reach {
                for dx in -reach..=reach {
                    let (nx, ny) = (x as i64 + dx, y as i64 + dy);
                    let is_inside = (0..width as i64).contains(&nx) && (0..height as i64).contains(&ny);
                    // The edge of the picture is none of the region.
                    is_rim |= is_inside
                        && dx * dx + dy * dy <= reach * reach
                        && middle[ny as usize * width + nx as usize] != own;
                }
            }
            if own == 0 && !is_rim {
                continue;
            }
            if is_rim {
                if own != 0 {
                    sheet.blend(x as i64, y as i64, color(own), RIM);
                }
                continue;
            }
            // Inside, all samples of a pixel are mostly alike; where they are not, each has its share.
            let mut shares: Vec<(u32, usize)> = Vec::new();
            for sample in 0..SAMPLES * SAMPLES {
                let part = |at: usize| (at as f32 + 0.5) / SAMPLES as f32;
                let column = place(x, part(sample % SAMPLES), width, size[0]);
                let row = place(y, part(sample / SAMPLES), height, size[1]);
                let found = key(column, row);
                match shares.iter_mut().find(|(known, _)| *known == found) {
                    Some((_, count)) => *count += 1,
                    None => shares.push((found, 1)),
                }
            }
            for (found, count) in shares.into_iter().filter(|(found, _)| *found != 0) {
                let share = count as f32 / (SAMPLES * SAMPLES) as f32;
                sheet.blend(x as i64, y as i64, color(found), INSIDE * share);
            }
        }
    }
}
