//! From outside: unit tests would build the resampler once more, which takes a minute.

use mediary_scale::{Depth, Filter, Pixels};

#[test]
fn what_does_not_fit_is_an_error() {
    let pixels = Pixels { bytes: &[0; 12], size: [2, 2], channels: 3, depth: Depth::U8 };
    assert_eq!(pixels.whole([4, 1], Filter::Box).unwrap(), [0; 12]);
    assert!(Pixels { channels: 4, ..pixels }.whole([4, 1], Filter::Box).is_err(), "too few bytes");
    assert!(Pixels { channels: 5, ..pixels }.whole([4, 1], Filter::Box).is_err(), "no such pixels");
    assert!(pixels.scaled([1.0, 0.0, 2.0, 2.0], [1, 1], Filter::Box).is_err(), "a part outside");
}

#[test]
fn the_mean_is_the_mean() {
    let values = [1.0_f32, 2.0, 3.0, 6.0];
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
    let pixels = Pixels { bytes: &bytes, size: [4, 1], channels: 1, depth: Depth::F32 };
    assert_eq!(pixels.whole([1, 1], Filter::Box).unwrap(), 3.0_f32.to_ne_bytes());
    let right = pixels.scaled([2.0, 0.0, 2.0, 1.0], [1, 1], Filter::Box).unwrap();
    assert_eq!(right, 4.5_f32.to_ne_bytes());
}
