//! Histogram JSON, the form in which Weights & Biases logs a histogram, and the canonical file of one.
//!
//! Specification: the `histogram` value of <https://docs.wandb.ai/ref/python/sdk/data-types/histogram/>.
//!
//! | key | value |
//! |---|---|
//! | `_type` | `"histogram"` |
//! | `values` | counts, one a bin, finite and not negative |
//! | `bins` | edges, one more than counts, finite and rising |
//! | `packedBins` | instead of `bins`: `{"min", "size", "count"}`, `count` bins of width `size` from `min` on |
//!
//! Numbers are exact: the nearest double of their text. A whole number that no double holds is reported (`inexact`), and so
//! are keys beside these (`unknown-keys`, they become properties); both are errors in strict mode. `NaN` and `Infinity` are no
//! JSON and malformed. Lenient is as default.
//!
//! Written: `_type`, `values`, `bins`, in this order, without spaces; whole counts as integers, edges as floats. Nothing is lost.

use std::fmt::Write as _;
use std::io::Write as _;

use mediary_core::record::Histogram as Counts;
use mediary_core::{
    Canonical, Confidence, Context, Error, Format, FormatInfo, FormatReader, Kind, Location, Media, MediaRecord,
    Output, Probe, Result, Source, register, whole,
};
use serde::Deserialize;
use serde_json::{Map, Number, Value};

const INFO: FormatInfo = FormatInfo::new("histogram", "Histogram JSON", &[Kind::Histogram])
    .extensions(&["histogram.json"])
    .media_types(&["application/vnd.mediary.histogram+json"])
    .reads()
    .writes(&[])
    .canonical(&[Canonical { kind: Kind::Histogram, integer: None }])
    .spec("https://docs.wandb.ai/ref/python/sdk/data-types/histogram/");

/// Memory that a byte of JSON may take once parsed: `[],` is a list of 32 bytes.
const PARSED: u64 = 24;

/// Whole numbers up to this one are all doubles.
const WHOLE: f64 = 9_007_199_254_740_992.0;

struct Histogram;

register!(Histogram);

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "_type")]
    kind: String,
    values: Vec<Number>,
    bins: Option<Vec<Number>>,
    #[serde(rename = "packedBins")]
    packed: Option<Packed>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Packed {
    min: Number,
    size: Number,
    count: u64,
}

impl Format for Histogram {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        if !probe.text().starts_with(b"{") || !has_type(probe.head) && !has_type(probe.tail) {
            return Confidence::No;
        }
        Confidence::yes(200, "a JSON object with \"_type\": \"histogram\"")
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (source, cx) = (source.clone(), cx.clone());
        Ok(whole(move || read(&source, &cx)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, _: &Context) -> Result<()> {
        let Media::Histogram(counts) = &record.media else {
            return Err(Error::unsupported(format!("histogram holds histogram, not {}", record.media.kind())));
        };
        out.write_all(text_of(counts).as_bytes())?;
        Ok(())
    }
}

/// Whether `"_type"`, a colon and `"histogram"` stand anywhere.
fn has_type(json: &[u8]) -> bool {
    let key = b"\"_type\"";
    json.windows(key.len()).enumerate().filter(|(_, window)| window == key).any(|(at, _)| {
        let after = json[at + key.len()..].trim_ascii_start();
        after.strip_prefix(b":").is_some_and(|value| value.trim_ascii_start().starts_with(b"\"histogram\""))
    })
}

fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let bytes = source.bytes(cx)?;
    cx.budget().take((bytes.len() as u64).saturating_mul(PARSED))?;
    let json = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    let raw: Raw = serde_json::from_slice(json).map_err(|error| {
        let at = Location::line(error.line() as u64).with_column(error.column() as u64);
        Error::malformed(format!("no histogram: {error}")).at(at)
    })?;
    if raw.kind != "histogram" {
        return Err(Error::malformed(format!("expected \"histogram\", found {:?}", raw.kind)).at_element("_type"));
    }
    let counts = doubles("values", &raw.values, cx)?;
    let edges = match (&raw.bins, &raw.packed) {
        (Some(bins), None) => doubles("bins", bins, cx)?,
        (None, Some(packed)) => unpack(packed, counts.len(), cx)?,
        (Some(_), Some(_)) => return Err(Error::malformed("expected bins or packedBins, found both")),
        (None, None) => return Err(Error::malformed("expected bins or packedBins, found none")),
    };
    let mut record = MediaRecord::new(Counts::new(edges, counts)?);
    if !raw.others.is_empty() {
        let keys: Vec<&str> = raw.others.keys().map(String::as_str).take(8).collect();
        let message = format!("keys that a histogram does not have: {}", keys.join(", "));
        cx.tolerate("unknown-keys", message, Location::default())?;
        record.properties = raw.others;
    }
    if let Media::Histogram(counts) = &record.media {
        record.source_is_canonical = *text_of(counts).as_bytes() == bytes[..];
    }
    Ok(record)
}

/// The numbers as doubles.
fn doubles(what: &str, numbers: &[Number], cx: &Context) -> Result<Vec<f64>> {
    cx.limits().check("elements", numbers.len() as u64)?;
    let mut doubles = Vec::with_capacity(numbers.len());
    for (index, number) in numbers.iter().enumerate() {
        let element = || format!("{what}[{index}]");
        let Some(value) = number.as_f64().filter(|value| value.is_finite()) else {
            return Err(Error::malformed(format!("expected a finite number, found {number}")).at_element(element()));
        };
        // 128 bits hold every 64-bit integer, and so every whole double that one rounds to.
        let whole = number.as_u64().map(i128::from).or(number.as_i64().map(i128::from));
        if whole.is_some_and(|whole| whole != value as i128) {
            let message = format!("no 64-bit float is {number}: {value:.0} stands for it");
            cx.tolerate("inexact", message, Location::element(element()))?;
        }
        doubles.push(value);
    }
    Ok(doubles)
}

fn unpack(packed: &Packed, counts: usize, cx: &Context) -> Result<Vec<f64>> {
    if packed.count != counts as u64 {
        return Err(Error::malformed(format!("expected {counts} bins as there are values, found {}", packed.count))
            .at_element("packedBins.count"));
    }
    let [min, size] = doubles("packedBins", &[packed.min.clone(), packed.size.clone()], cx)?[..] else {
        return Err(Error::malformed("expected min and size").at_element("packedBins"));
    };
    cx.budget().take(counts as u64 * 8)?;
    Ok((0..=counts).map(|bin| min + size * bin as f64).collect())
}

fn text_of(counts: &Counts) -> String {
    let mut text = String::from(r#"{"_type":"histogram","values":["#);
    for (index, &count) in counts.counts().iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        // Whole counts look like counts, as far as every reader holds them exactly; negative zero is no count.
        let _ = match count {
            count if count.fract() == 0.0 && count < WHOLE && count.is_sign_positive() => {
                write!(text, "{comma}{count:.0}")
            }
            count => write!(text, "{comma}{count:?}"),
        };
    }
    text.push_str(r#"],"bins":["#);
    for (index, edge) in counts.edges().iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(text, "{comma}{edge:?}");
    }
    text.push_str("]}");
    text
}

#[cfg(test)]
mod tests {
    use mediary_core::{ErrorKind, ReadOptions, Registry, WriteOptions};

    use super::*;

    fn open(text: &str) -> Result<MediaRecord> {
        let source = Source::from_bytes("a.histogram.json", text.as_bytes());
        let mut options = ReadOptions::default();
        options.from = Some("histogram".into());
        Registry::builtin().open(&source, &options)?.next().unwrap()
    }

    fn counts(record: &MediaRecord) -> &Counts {
        match &record.media {
            Media::Histogram(counts) => counts,
            _ => panic!("no histogram"),
        }
    }

    /// `numpy.histogram([1, 2, 2.5, 3], 4)` in the form that `wandb.Histogram.to_json` gives.
    const OF_WANDB: &str = r#"{"_type":"histogram","values":[1,0,1,2],"bins":[1.0,1.5,2.0,2.5,3.0]}"#;

    #[test]
    fn the_form_of_wandb_is_canonical() {
        let record = open(OF_WANDB).unwrap();
        assert_eq!(counts(&record).edges(), [1.0, 1.5, 2.0, 2.5, 3.0]);
        assert_eq!(counts(&record).counts(), [1.0, 0.0, 1.0, 2.0]);
        assert!(record.source_is_canonical && record.diagnostics.is_empty());
        assert!(!open(&OF_WANDB.replace(',', ", ")).unwrap().source_is_canonical);
    }

    #[test]
    fn packed_bins_are_unpacked() {
        let record =
            open(r#"{"_type":"histogram","values":[1,2],"packedBins":{"min":-1,"size":0.5,"count":2},"x":1}"#).unwrap();
        assert_eq!(counts(&record).edges(), [-1.0, -0.5, 0.0]);
        assert_eq!(record.diagnostics.to_vec()[0].code, "histogram.unknown-keys");
        assert_eq!(record.properties["x"], 1);
    }

    #[test]
    fn numbers_are_exact() {
        let text = r#"{"_type":"histogram","values":[0.30000000000000004,9007199254740993,1e-320,2.2250738585072011e-308],"bins":[-1.7976931348623157e308,-1e-7,0,0.1,123456789.12345679]}"#;
        let record = open(text).unwrap();
        assert_eq!(
            counts(&record).counts()[..],
            [0.1 + 0.2, 9_007_199_254_740_992.0, 1e-320, 2.225_073_858_507_201_1e-308]
        );
        assert_eq!(record.diagnostics.to_vec()[0].code, "histogram.inexact");
        let mut record = record;
        let mut out = Output::memory();
        Registry::builtin().write(&mut record, "histogram", &mut out, &WriteOptions::default()).unwrap();
        let again = open(std::str::from_utf8(&out.finish().unwrap().bytes).unwrap()).unwrap();
        assert_eq!(counts(&again), counts(&record));
    }

    #[test]
    fn what_is_no_histogram_is_malformed() {
        for text in [
            r#"{"_type":"histogram","values":[NaN],"bins":[0,1]}"#,
            r#"{"_type":"histogram","values":[-1],"bins":[0,1]}"#,
            r#"{"_type":"histogram","values":[1],"bins":[0,0]}"#,
            r#"{"_type":"histogram","values":[1],"bins":[0]}"#,
            r#"{"_type":"histogram","values":[1],"bins":[0,1e999]}"#,
            r#"{"_type":"histogram","values":[],"bins":[0]}"#,
            r#"{"_type":"histogram","values":[1],"values":[2],"bins":[0,1]}"#,
            r#"{"_type":"histogram","values":["1"],"bins":[0,1]}"#,
            r#"{"_type":"histogram","values":[1]}"#,
            r#"{"_type":"histogram","values":[1],"packedBins":{"min":0,"size":0,"count":1}}"#,
            r#"{"_type":"histogram","values":[1],"packedBins":{"min":0,"size":1,"count":4000000000}}"#,
            r#"{"_type":"table","values":[1],"bins":[0,1]}"#,
            r#"{"_type":"histogram","values":[1],"bins":[0,1]} x"#,
            "[]",
        ] {
            assert_eq!(open(text).unwrap_err().kind(), ErrorKind::Malformed, "{text}");
        }
        for end in 0..OF_WANDB.len() {
            assert!(open(&OF_WANDB[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn it_is_recognised_by_its_type() {
        let detect = |text: &str| {
            let source = Source::from_bytes("a.json", text.as_bytes());
            Registry::builtin().detect(&source).candidates.iter().any(|found| found.format == "histogram")
        };
        assert!(detect(OF_WANDB));
        assert!(detect("\n{ \"values\": [1], \"_type\" :\n\"histogram\"}"));
        assert!(!detect(r#"{"_type":"histogram2"}"#));
        assert!(!detect(r#"["_type", "histogram"]"#));
    }
}
