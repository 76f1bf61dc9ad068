//! Columns of values as bytes and encodings: the shortest of those that give the same values back.

use mediary_core::{Error, Result};

use super::pack::Packer;

/// Decimals that numbers in fixed point may have.
const MOST_DECIMALS: i32 = 7;

/// Packs a data element of integers; `false`, and nothing, if one does not fit into 32 bits.
pub(super) fn integers(values: &[i64], out: &mut Packer) -> Result<bool> {
    let Some(encoded) = Encoded::of(values) else { return Ok(false) };
    out.map(2);
    out.text("encoding");
    out.array(encoded.steps.len());
    encoded.write_steps(out);
    out.text("data");
    data(&encoded.bytes, out)?;
    Ok(true)
}

/// Packs a data element of numbers, of single precision or not.
pub(super) fn reals(values: &[f64], single: bool, out: &mut Packer) -> Result<()> {
    let kind = if single { 32 } else { 33 };
    out.map(2);
    out.text("encoding");
    let fixed = (0..=MOST_DECIMALS).find_map(|decimals| {
        let factor = 10_f64.powi(decimals);
        let fixed: Option<Vec<i64>> = values.iter().map(|&value| fixed(value, factor, single)).collect();
        Some((factor, Encoded::of(&fixed?)?))
    });
    if let Some((factor, encoded)) = fixed {
        out.array(encoded.steps.len() + 1);
        out.map(3);
        out.text("kind");
        out.text("FixedPoint");
        out.text("factor");
        out.real(factor);
        out.text("srcType");
        out.integer(kind);
        encoded.write_steps(out);
        out.text("data");
        return data(&encoded.bytes, out);
    }
    out.array(1);
    Step::Bytes(kind as u8).write(out);
    out.text("data");
    let bytes: Vec<u8> = match single {
        true => values.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect(),
        false => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    };
    data(&bytes, out)
}

/// A number as a multiple of 1 / `factor`, if that is exactly it.
fn fixed(value: f64, factor: f64, single: bool) -> Option<i64> {
    let scaled = (value * factor).round();
    if scaled.abs() >= f64::from(i32::MAX) {
        return None;
    }
    let back = scaled / factor;
    (if single { back as f32 == value as f32 } else { back == value }).then_some(scaled as i64)
}

/// Packs a data element of texts.
pub(super) fn texts<'t>(texts: impl Iterator<Item = &'t str>, indices: &[i64], out: &mut Packer) -> Result<()> {
    let mut all = String::new();
    let mut offsets = vec![0];
    for text in texts {
        all.push_str(text);
        offsets.push(all.len() as i64);
    }
    let too_long = || Error::unsupported("BinaryCIF holds texts of 2 GiB in all a column, found more");
    let offsets = Encoded::of(&offsets).ok_or_else(too_long)?;
    let indices = Encoded::of(indices).ok_or_else(too_long)?;
    out.map(2);
    out.text("encoding");
    out.array(1);
    out.map(5);
    out.text("kind");
    out.text("StringArray");
    out.text("dataEncoding");
    out.array(indices.steps.len());
    indices.write_steps(out);
    out.text("stringData");
    out.text(&all);
    out.text("offsetEncoding");
    out.array(offsets.steps.len());
    offsets.write_steps(out);
    out.text("offsets");
    data(&offsets.bytes, out)?;
    out.text("data");
    data(&indices.bytes, out)
}

fn data(bytes: &[u8], out: &mut Packer) -> Result<()> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(Error::unsupported("MessagePack holds 4 GiB a value, found more"));
    }
    out.bytes(bytes);
    Ok(())
}

/// An encoding.
#[derive(Clone, Copy)]
enum Step {
    Delta(i64),
    RunLength(usize),
    Packing {
        bytes: u8,
        unsigned: bool,
        count: usize,
    },
    /// By its type.
    Bytes(u8),
}

impl Step {
    fn write(self, out: &mut Packer) {
        match self {
            Self::Delta(origin) => {
                out.map(3);
                out.text("kind");
                out.text("Delta");
                out.text("origin");
                out.integer(origin);
                out.text("srcType");
                out.integer(3);
            }
            Self::RunLength(count) => {
                out.map(3);
                out.text("kind");
                out.text("RunLength");
                out.text("srcType");
                out.integer(3);
                out.text("srcSize");
                out.integer(count as i64);
            }
            Self::Packing { bytes, unsigned, count } => {
                out.map(4);
                out.text("kind");
                out.text("IntegerPacking");
                out.text("byteCount");
                out.integer(bytes.into());
                out.text("isUnsigned");
                out.truth(unsigned);
                out.text("srcSize");
                out.integer(count as i64);
            }
            Self::Bytes(kind) => {
                out.map(2);
                out.text("kind");
                out.text("ByteArray");
                out.text("type");
                out.integer(kind.into());
            }
        }
    }
}

/// Integers as bytes, and what made these.
struct Encoded {
    bytes: Vec<u8>,
    /// In the order in which they were made.
    steps: Vec<Step>,
}

impl Encoded {
    /// `None` for integers of more than 32 bits.
    fn of(values: &[i64]) -> Option<Self> {
        let fits = |values: &[i64]| values.iter().all(|&value| i32::try_from(value).is_ok());
        if !fits(values) {
            let fits = values.iter().all(|&value| u32::try_from(value).is_ok());
            let bytes = values.iter().flat_map(|&value| (value as u32).to_le_bytes());
            return fits.then(|| Self { bytes: bytes.collect(), steps: vec![Step::Bytes(6)] });
        }
        let runs = |values: &[i64]| -> Vec<i64> {
            values.chunk_by(|a, b| a == b).flat_map(|run| [run[0], run.len() as i64]).collect()
        };
        let origin = values.first().copied().unwrap_or(0);
        let mut before = origin;
        let deltas: Vec<i64> = values.iter().map(|&value| value - std::mem::replace(&mut before, value)).collect();
        let (count, delta, run) = (values.len(), Step::Delta(origin), Step::RunLength(values.len()));
        let mut best: Option<(usize, Packing, Vec<i64>, &[Step])> = None;
        let (run_steps, delta_steps, both) = ([run], [delta], [delta, run]);
        for (steps, values) in [
            (&[][..], values.to_vec()),
            (&run_steps[..], runs(values)),
            (&both[..], runs(&deltas)),
            (&delta_steps[..], deltas),
        ] {
            if !fits(&values) || (count == 0 && !steps.is_empty()) {
                continue;
            }
            let (packing, size) = Packing::best(&values);
            // Another step costs about as many bytes as it takes to name it.
            let size = size + steps.len() * 40;
            if best.as_ref().is_none_or(|(known, ..)| size < *known) {
                best = Some((size, packing, values, steps));
            }
        }
        let (_, packing, values, steps) = best?;
        let mut encoded = Self { bytes: Vec::new(), steps: steps.to_vec() };
        packing.apply(&values, &mut encoded);
        Some(encoded)
    }

    fn write_steps(&self, out: &mut Packer) {
        self.steps.iter().for_each(|step| step.write(out));
    }
}

/// How integers of up to 32 bits become shorter ones.
#[derive(Clone, Copy)]
struct Packing {
    /// 1, 2, or 4 for none.
    bytes: usize,
    unsigned: bool,
}

impl Packing {
    /// Ends of the range: a value that is one goes on in the next.
    fn ends(self) -> (i64, i64) {
        match (self.bytes, self.unsigned) {
            (1, true) => (0xFF, -1),
            (1, false) => (0x7F, -0x80),
            (_, true) => (0xFFFF, -1),
            (_, false) => (0x7FFF, -0x8000),
        }
    }

    /// The shortest, and its size in bytes.
    fn best(values: &[i64]) -> (Self, usize) {
        let unsigned = values.iter().all(|&value| value >= 0);
        let mut best = (Self { bytes: 4, unsigned: false }, values.len() * 4);
        for bytes in [1, 2] {
            let packing = Self { bytes, unsigned };
            let (upper, lower) = packing.ends();
            let parts = |value: i64| (value / if value >= 0 { upper } else { lower }) as usize + 1;
            let size = values.iter().map(|&value| parts(value)).sum::<usize>() * bytes;
            if size < best.1 {
                best = (packing, size);
            }
        }
        best
    }

    fn apply(self, values: &[i64], encoded: &mut Encoded) {
        let bytes = &mut encoded.bytes;
        if self.bytes == 4 {
            bytes.extend(values.iter().flat_map(|&value| (value as i32).to_le_bytes()));
            encoded.steps.push(Step::Bytes(3));
            return;
        }
        let (upper, lower) = self.ends();
        let mut push = |value: i64| match self.bytes {
            1 => bytes.push(value as u8),
            _ => bytes.extend_from_slice(&(value as u16).to_le_bytes()),
        };
        for &value in values {
            let end = if value >= 0 { upper } else { lower };
            let mut rest = value;
            while (value >= 0 && rest >= end) || (value < 0 && rest <= end) {
                push(end);
                rest -= end;
            }
            push(rest);
        }
        let kind = match (self.bytes, self.unsigned) {
            (1, true) => 4,
            (1, false) => 1,
            (_, true) => 5,
            (_, false) => 2,
        };
        encoded.steps.push(Step::Packing { bytes: self.bytes as u8, unsigned: self.unsigned, count: values.len() });
        encoded.steps.push(Step::Bytes(kind));
    }
}
