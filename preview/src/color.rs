//! Colour: sRGB and linear light, palettes, and how light becomes what a screen shows.

use std::sync::LazyLock;

use mediary_core::convert::{linear_to_srgb, srgb_to_linear};

use crate::math::V3;

static LINEAR: LazyLock<[f32; 256]> =
    LazyLock::new(|| std::array::from_fn(|value| srgb_to_linear(value as f64 / 255.0) as f32));

/// Steps of the table from linear light to sRGB: fine enough for the dark end, where the curve is steep.
const STEPS: usize = 1 << 14;

static SRGB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (0..=STEPS).map(|step| (linear_to_srgb(step as f64 / STEPS as f64) * 255.0).round() as u8).collect()
});

/// An sRGB byte in linear light.
pub(crate) fn linear(value: u8) -> f32 {
    LINEAR[usize::from(value)]
}

/// Linear light as an sRGB byte.
pub(crate) fn srgb(value: f32) -> u8 {
    // NaN becomes 0.
    SRGB[(value.clamp(0.0, 1.0) * STEPS as f32 + 0.5) as usize]
}

/// A share of the full scale as a byte.
pub(crate) fn byte(share: f32) -> u8 {
    // NaN becomes 0.
    (share.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// An sRGB colour `0xRRGGBB` in linear light.
pub(crate) fn hex(rgb: u32) -> V3 {
    [16, 8, 0].map(|shift| linear((rgb >> shift) as u8))
}

/// Light of any strength to what a screen can show. Colours up to `KNEE` stay as they are, so that textures keep their
/// colours; brighter ones are compressed and lose saturation. After the Khronos PBR Neutral tone mapper.
pub(crate) fn tone(color: V3) -> V3 {
    const KNEE: f32 = 0.76;
    const DESATURATION: f32 = 0.15;
    let peak = color[0].max(color[1]).max(color[2]);
    if peak <= KNEE {
        return color;
    }
    let room = 1.0 - KNEE;
    let shown = 1.0 - room * room / (peak + room - KNEE);
    let white = 1.0 - 1.0 / (DESATURATION * (peak - shown) + 1.0);
    color.map(|value| {
        let value = value * shown / peak;
        value + (shown - value) * white
    })
}

/// Colours of categories, told apart with any kind of colour vision: those of Okabe and Ito (2008) without black, then those of
/// Paul Tol's "muted" scheme (2021) that are not near one of them.
const CATEGORIES: [u32; 14] = [
    0x56_B4_E9, 0xE6_9F_00, 0x00_9E_73, 0xCC_79_A7, 0xF0_E4_42, 0x00_72_B2, 0xD5_5E_00, 0x88_22_55, 0x99_99_33,
    0x33_22_88, 0x88_CC_EE, 0xCC_66_77, 0x11_77_33, 0xDD_CC_77,
];

/// The colour of a category, the same in every picture.
pub(crate) fn category(number: i64) -> V3 {
    hex(CATEGORIES[(number.wrapping_sub(1)).rem_euclid(CATEGORIES.len() as i64) as usize])
}

/// Viridis (van der Walt and Smith, 2015, CC0), ten of its published entries at equal steps.
const VIRIDIS: [u32; 10] = [
    0x44_01_54, 0x48_28_78, 0x3E_49_89, 0x31_68_8E, 0x26_82_8E, 0x1F_9E_89, 0x35_B7_79, 0x6D_CD_59, 0xB4_DE_2C,
    0xFD_E7_25,
];

/// A colour for a share from 0 to 1: dark and blue to bright and yellow, in steps that look equal.
pub(crate) fn ramp(share: f32) -> V3 {
    // NaN is 0.
    let share = if share > 0.0 { share.min(1.0) } else { 0.0 };
    let place = share * (VIRIDIS.len() - 1) as f32;
    let below = (place as usize).min(VIRIDIS.len() - 2);
    let channel = |shift: u32| {
        let value = |index: usize| f32::from((VIRIDIS[index] >> shift) as u8) / 255.0;
        // Between entries of an sRGB table the mean is taken in sRGB.
        let between = crate::math::lerp(value(below), value(below + 1), place - below as f32);
        srgb_to_linear(f64::from(between)) as f32
    };
    [channel(16), channel(8), channel(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        for value in 0..=255 {
            assert_eq!(srgb(linear(value)), value);
        }
        assert_eq!((srgb(f32::NAN), srgb(-1.0), srgb(9.0)), (0, 0, 255));
    }

    #[test]
    fn tone_keeps_colours_and_order() {
        assert_eq!(tone([0.5, 0.2, 0.76]), [0.5, 0.2, 0.76]);
        let mut last = 0.0;
        for step in 1..1000 {
            let [value, ..] = tone([step as f32 / 50.0; 3]);
            assert!(value > last && value < 1.0);
            last = value;
        }
        let just_above = tone([0.760_01; 3])[0];
        assert!((just_above - 0.76).abs() < 1e-3, "no step at the knee: {just_above}");
    }

    #[test]
    fn ramps_and_palettes_are_total() {
        assert_eq!(ramp(0.0).map(srgb), hex(VIRIDIS[0]).map(srgb));
        assert_eq!(ramp(9.0).map(srgb), hex(VIRIDIS[9]).map(srgb));
        assert_eq!(ramp(f32::NAN), ramp(0.0));
        assert_eq!(category(1), hex(CATEGORIES[0]));
        assert_eq!(category(15), category(1));
        let _ = (category(i64::MIN), category(i64::MAX));
    }
}
