//! The channel mask that WAVE and FLAC share (`dwChannelMask`).

use mediary_core::record::audio::SPEAKERS;

/// The speakers of `channels` channels by a mask; `None` when it does not name as many.
pub(crate) fn speakers(mask: u32, channels: u16) -> Option<Vec<&'static str>> {
    let fits = mask.count_ones() == u32::from(channels) && mask >> SPEAKERS.len() == 0;
    fits.then(|| (0..SPEAKERS.len()).filter(|bit| mask >> bit & 1 == 1).map(|bit| SPEAKERS[bit]).collect())
}

/// The mask that names these speakers in this order, if there is one.
pub(crate) fn mask(speakers: &[&str]) -> Option<u32> {
    let bit = |name: &&str| SPEAKERS.iter().position(|speaker| speaker == name);
    let bits = speakers.iter().map(bit).collect::<Option<Vec<_>>>()?;
    bits.is_sorted_by(|a, b| a < b).then(|| bits.into_iter().fold(0, |mask, bit| mask | 1 << bit))
}
