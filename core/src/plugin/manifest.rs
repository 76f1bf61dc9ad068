//! The manifest of a plugin: what it is and which formats it has, as JSON in a section of its file, read before the file is
//! loaded. Written at compile time by `declaration.rs`, read by hosts with [`Manifest::parse`].
//!
//! ```json
//! {"manifest":1,"name":"…","version":"…","license":"…","needs":["programs"],"formats":[{"id":"…","name":"…",
//!  "kinds":["table"],"extensions":[],"media_types":[],"signatures":[{"offset":0,"bytes":"hex","mask":"hex"}],
//!  "probes":false,"reads":true,"writes":["colors"],"many_records":false,"siblings":false,
//!  "options":[{"name":"…","use":"read","type":"int","min":0,"max":9,"choices":[],"default":"…","help":"…"}],
//!  "spec":"…","tier":"standard"}]}
//! ```
//!
//! Fields that are not known are ignored, so are features that are not known. `canonical` is not part of it: which format is
//! the canonical asset of a kind is for the built-in formats alone to say.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::format::{Feature, FormatInfo, Signature, Tier};
use crate::options::{OptionSpec, OptionType, OptionUse};
use crate::record::Kind;
use crate::source::PROBE_BYTES;

/// The version of the manifest's JSON.
const MANIFEST: u32 = 1;
/// Formats a plugin may have.
const MOST_FORMATS: usize = 256;
/// Entries a list of a format may have.
const MOST_ENTRIES: usize = 256;
/// Bytes a text may have.
const LONGEST_TEXT: usize = 4 << 10;
/// Bytes a manifest may have.
const LONGEST: usize = 4 << 20;

/// What a plugin wants to do beside reading and writing what it is handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Need {
    /// To start other programs: its sandbox is the wider for it.
    Programs,
}

impl Need {
    /// The word in manifests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Programs => "programs",
        }
    }
}

/// What a plugin says of itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Manifest {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, as an SPDX expression; empty when it does not say.
    pub license: String,
    /// What it needs beside its inputs.
    pub needs: Vec<Need>,
    /// Its formats. They live as long as the process.
    pub formats: Vec<FormatInfo>,
}

impl Manifest {
    /// Reads and checks the bytes of a manifest; NUL bytes at the end are padding. The descriptors are leaked, to be `'static`
    /// as those of built-in formats are: parse once per plugin and process.
    ///
    /// # Errors
    /// `Plugin` when it is no manifest or breaks a rule.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        if end > LONGEST {
            return Err(broken(format!("expected at most {LONGEST} bytes, found {end}")));
        }
        let raw: Raw = serde_json::from_slice(&bytes[..end]).map_err(|error| broken(error.to_string()))?;
        if raw.manifest != MANIFEST {
            return Err(broken(format!("expected version {MANIFEST}, found {}", raw.manifest))
                .with_hint("the plugin was made for another version of mediary"));
        }
        for (what, value) in [("name", &raw.name), ("version", &raw.version)] {
            text(what, value)?;
            if value.is_empty() {
                return Err(broken(format!("its {what} is empty")));
            }
        }
        text("license", &raw.license)?;
        at_most("formats", raw.formats.len(), MOST_FORMATS)?;
        if raw.formats.is_empty() {
            return Err(broken("it has no format"));
        }
        at_most("needs", raw.needs.len(), MOST_ENTRIES)?;
        let needs = raw.needs.iter().map(|need| match need.as_str() {
            "programs" => Ok(Need::Programs),
            _ => {
                Err(broken(format!("it needs {need:?}, which this version does not have")).with_hint("update mediary"))
            }
        });
        let needs = needs.collect::<Result<_>>()?;
        let formats = raw.formats.into_iter().map(|format| {
            let id = format.id.clone();
            format.check().map_err(|error| error.at_element(format!("format {id:?}")))
        });
        let formats = formats.collect::<Result<Vec<Checked>>>()?;
        for (at, format) in formats.iter().enumerate() {
            if formats[..at].iter().any(|other| other.raw.id == format.raw.id) {
                return Err(broken(format!("it has the format id {:?} twice", format.raw.id)));
            }
        }
        // Leaked only now, when nothing is refused any more.
        let formats = formats.into_iter().map(Checked::leak).collect();
        Ok(Self { name: raw.name, version: raw.version, license: raw.license, needs, formats })
    }
}

fn broken(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Plugin, format!("the manifest is broken: {what}"))
}

#[derive(Deserialize)]
struct Raw {
    manifest: u32,
    name: String,
    version: String,
    #[serde(default)]
    license: String,
    #[serde(default)]
    needs: Vec<String>,
    formats: Vec<RawFormat>,
}

#[derive(Deserialize)]
struct RawFormat {
    id: String,
    name: String,
    kinds: Vec<String>,
    #[serde(default)]
    extensions: Vec<String>,
    #[serde(default)]
    media_types: Vec<String>,
    #[serde(default)]
    signatures: Vec<RawSignature>,
    #[serde(default)]
    probes: bool,
    #[serde(default)]
    reads: bool,
    #[serde(default)]
    writes: Option<Vec<String>>,
    #[serde(default)]
    many_records: bool,
    #[serde(default)]
    siblings: bool,
    #[serde(default)]
    options: Vec<RawOption>,
    #[serde(default)]
    spec: String,
    #[serde(default)]
    tier: Tier,
}

#[derive(Deserialize)]
struct RawSignature {
    offset: usize,
    bytes: String,
    #[serde(default)]
    mask: String,
}

#[derive(Deserialize)]
struct RawOption {
    name: String,
    #[serde(rename = "use")]
    usage: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    min: Option<i64>,
    #[serde(default)]
    max: Option<i64>,
    #[serde(default)]
    choices: Vec<String>,
    default: String,
    #[serde(default)]
    help: String,
}

/// A format all of which is legal.
struct Checked {
    raw: RawFormat,
    kinds: Vec<Kind>,
    writes: Option<Vec<Feature>>,
    signatures: Vec<(usize, Vec<u8>, Vec<u8>)>,
}

impl RawFormat {
    fn check(self) -> Result<Checked> {
        if !legal_id(self.id.as_bytes()) || self.id.len() > 64 {
            return Err(broken("an id is of up to 64 lower-case letters, digits, dots and dashes"));
        }
        text("name", &self.name)?;
        text("spec", &self.spec)?;
        if self.name.is_empty() || self.kinds.is_empty() {
            return Err(broken("it has no name or no kinds"));
        }
        if !self.reads && self.writes.is_none() {
            return Err(broken("it neither reads nor writes"));
        }
        for (what, count) in [
            ("kinds", self.kinds.len()),
            ("extensions", self.extensions.len()),
            ("media types", self.media_types.len()),
            ("signatures", self.signatures.len()),
            ("features", self.writes.as_ref().map_or(0, Vec::len)),
            ("options", self.options.len()),
        ] {
            at_most(what, count, MOST_ENTRIES)?;
        }
        let kinds = self.kinds.iter().map(|word| {
            let kind = Kind::ALL.iter().copied().find(|kind| kind.as_str() == word);
            kind.ok_or_else(|| broken(format!("there is no kind {word:?}")))
        });
        let kinds = kinds.collect::<Result<_>>()?;
        let writes = self.writes.as_ref().map(|words| words.iter().filter_map(|word| feature(word)).collect());
        for extension in &self.extensions {
            text("extension", extension)?;
            let plain = |c: char| !c.is_uppercase() && !c.is_whitespace() && !matches!(c, '/' | '\\');
            if extension.is_empty() || extension.starts_with('.') || !extension.chars().all(plain) {
                return Err(broken(format!(
                    "{extension:?} is no file name ending in lower case without its first dot"
                )));
            }
        }
        for media_type in &self.media_types {
            text("media type", media_type)?;
            if !media_type.contains('/') || !media_type.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(broken(format!("{media_type:?} is no media type")));
            }
        }
        let signatures = self.signatures.iter().map(RawSignature::check).collect::<Result<_>>()?;
        for (at, option) in self.options.iter().enumerate() {
            option.check()?;
            if self.options[..at].iter().any(|other| (&other.name, &other.usage) == (&option.name, &option.usage)) {
                return Err(broken(format!("it has the option {:?} twice", option.name)));
            }
        }
        Ok(Checked { kinds, writes, signatures, raw: self })
    }
}

impl RawSignature {
    fn check(&self) -> Result<(usize, Vec<u8>, Vec<u8>)> {
        let (bytes, mask) = (unhex(&self.bytes)?, unhex(&self.mask)?);
        if bytes.is_empty() || self.offset.saturating_add(bytes.len()) > PROBE_BYTES {
            return Err(broken(format!("a signature is of 1 or more of the first {PROBE_BYTES} bytes")));
        }
        if !mask.is_empty() && (mask.len() != bytes.len() || mask.iter().all(|&byte| byte == 0)) {
            return Err(broken("a mask is as long as its signature and leaves something to match"));
        }
        Ok((self.offset, bytes, mask))
    }
}

impl RawOption {
    fn check(&self) -> Result<()> {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.bytes().all(legal) {
            return Err(broken(format!("{:?} is no option name: lower-case letters, digits, _ and -", self.name)));
        }
        for (what, value) in [("default", &self.default), ("help", &self.help)] {
            text(what, value)?;
        }
        at_most("choices", self.choices.len(), MOST_ENTRIES)?;
        self.choices.iter().try_for_each(|choice| text("choice", choice))?;
        let wrong = |what: &str| Err(broken(format!("option {:?}: {what}", self.name)));
        if !matches!(&*self.usage, "read" | "write") {
            return wrong("its use is neither \"read\" nor \"write\"");
        }
        let fits = match &*self.kind {
            "bool" => matches!(&*self.default, "true" | "false"),
            "int" => {
                let (min, max) = (self.min.unwrap_or(i64::MIN), self.max.unwrap_or(i64::MAX));
                self.default.parse().is_ok_and(|value: i64| (min..=max).contains(&value))
            }
            "float" => self.default.parse().is_ok_and(f64::is_finite),
            "text" => true,
            "choice" => self.choices.contains(&self.default),
            _ => return wrong("its type is none of bool, int, float, text, choice"),
        };
        if fits { Ok(()) } else { wrong("its default is none of its values") }
    }
}

impl Checked {
    fn leak(self) -> FormatInfo {
        let Self { raw, kinds, writes, signatures } = self;
        let signatures = signatures.into_iter().map(|(offset, bytes, mask)| Signature {
            offset,
            bytes: bytes.leak(),
            mask: mask.leak(),
        });
        FormatInfo {
            id: raw.id.leak(),
            name: raw.name.leak(),
            kinds: kinds.leak(),
            extensions: words(raw.extensions),
            media_types: words(raw.media_types),
            signatures: signatures.collect::<Vec<_>>().leak(),
            probes_without_signature: raw.probes,
            reads: raw.reads,
            writes: writes.map(|features| &*features.leak()),
            many_records: raw.many_records,
            siblings: raw.siblings,
            canonical: &[],
            options: raw.options.into_iter().map(RawOption::leak).collect::<Vec<_>>().leak(),
            spec: raw.spec.leak(),
            tier: raw.tier,
        }
    }
}

impl RawOption {
    fn leak(self) -> OptionSpec {
        let kind = match &*self.kind {
            "bool" => OptionType::Bool,
            "int" => OptionType::Int { min: self.min.unwrap_or(i64::MIN), max: self.max.unwrap_or(i64::MAX) },
            "float" => OptionType::Float,
            "choice" => OptionType::Choice(words(self.choices)),
            _ => OptionType::Text,
        };
        let usage = if self.usage == "read" { OptionUse::Read } else { OptionUse::Write };
        OptionSpec { name: self.name.leak(), usage, kind, default: self.default.leak(), help: self.help.leak() }
    }
}

fn words(words: Vec<String>) -> &'static [&'static str] {
    words.into_iter().map(|word| &*word.leak()).collect::<Vec<_>>().leak()
}

pub(super) const fn legal_id(id: &[u8]) -> bool {
    let mut at = 0;
    while at < id.len() {
        if !(id[at].is_ascii_lowercase() || id[at].is_ascii_digit() || id[at] == b'.' || id[at] == b'-') {
            return false;
        }
        at += 1;
    }
    !id.is_empty()
}

/// Text that is shown to people: bounded, without control characters.
fn text(what: &str, text: &str) -> Result<()> {
    at_most(what, text.len(), LONGEST_TEXT)?;
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(broken(format!("its {what} has the control character {c:?}"))),
        None => Ok(()),
    }
}

fn at_most(what: &str, found: usize, most: usize) -> Result<()> {
    if found > most { Err(broken(format!("{what}: expected at most {most}, found {found}"))) } else { Ok(()) }
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    at_most("hex digits", text.len(), LONGEST_TEXT)?;
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect::<Option<_>>().ok_or_else(|| broken(format!("{text:?} is no row of hex digits")))
}

fn feature(word: &str) -> Option<Feature> {
    Feature::ALL.iter().copied().find(|feature| feature.as_str() == word)
}

#[cfg(test)]
mod tests {
    use super::super::declaration::Declaration;
    use super::*;

    const FULL: FormatInfo = FormatInfo::new("x.y-1", "Ex \"Why\" \\ é", &[Kind::Table, Kind::PointCloud])
        .extensions(&["x.y", "xy"])
        .media_types(&["text/x-y"])
        .signatures(&[
            Signature { offset: 0, bytes: b"\x00\x7f\xff", mask: &[] },
            Signature { offset: 65_000, bytes: b"AB", mask: &[0, 1] },
        ])
        .probes_without_signature()
        .reads()
        .writes(&[Feature::Colors, Feature::SixteenBit])
        .many_records()
        .siblings()
        .options(&[
            OptionSpec::read("a", OptionType::Bool, "true", "An a."),
            OptionSpec::write("a", OptionType::Int { min: i64::MIN, max: i64::MAX }, "-7", ""),
            OptionSpec::read("c_c", OptionType::Float, "0.5", "A c."),
            OptionSpec::read("d", OptionType::Text, "", "A d."),
            OptionSpec::read("e", OptionType::Choice(&["x", "y"]), "y", "An e."),
        ])
        .spec("https://example.org/")
        .tier(Tier::Fallback);
    const PLAIN: FormatInfo = FormatInfo::new("p", "Plain", &[Kind::Image]).writes(&[]);
    const DECLARATION: Declaration = Declaration {
        name: "two",
        version: "1.2.3",
        license: "MIT",
        needs: &[Need::Programs],
        formats: &[FULL, PLAIN],
    };
    static JSON: [u8; DECLARATION.measure()] = DECLARATION.json();

    fn json() -> serde_json::Value {
        serde_json::from_slice(&JSON).unwrap()
    }

    fn refusal(change: impl FnOnce(&mut serde_json::Value)) -> String {
        let mut json = json();
        change(&mut json);
        let error = Manifest::parse(json.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Plugin);
        error.message().to_owned()
    }

    #[test]
    fn every_field_comes_back_as_it_was_declared() {
        let mut padded = JSON.to_vec();
        padded.extend([0; 9]);
        let manifest = Manifest::parse(&padded).unwrap();
        assert_eq!((&*manifest.name, &*manifest.version, &*manifest.license), ("two", "1.2.3", "MIT"));
        assert_eq!(manifest.needs, [Need::Programs]);
        assert_eq!(format!("{:?}", manifest.formats), format!("{:?}", [FULL, PLAIN]));
    }

    #[test]
    fn canonical_is_not_for_plugins_to_say() {
        const CLAIMS: FormatInfo = PLAIN.canonical(&[crate::Canonical { kind: Kind::Image, integer: None }]);
        const ONE: Declaration = Declaration { formats: &[CLAIMS], ..DECLARATION };
        let json: [u8; ONE.measure()] = ONE.json();
        assert!(Manifest::parse(&json).unwrap().formats[0].canonical.is_empty());
    }

    #[test]
    fn the_words_are_those_of_serde() {
        for tier in [Tier::Preferred, Tier::Standard, Tier::Fallback] {
            assert_eq!(serde_json::to_value(tier).unwrap(), tier.as_str());
        }
        for known in Feature::ALL {
            assert_eq!(serde_json::to_value(known).unwrap(), known.as_str());
            assert_eq!(feature(known.as_str()), Some(*known));
        }
        assert_eq!(serde_json::to_value(Need::Programs).unwrap(), Need::Programs.as_str());
    }

    #[test]
    fn what_is_not_known_is_ignored_where_it_can_be() {
        let mut json = json();
        json["later"] = 1.into();
        json["formats"][0]["later"] = 1.into();
        json["formats"][0]["writes"][0] = "later".into();
        let manifest = Manifest::parse(json.to_string().as_bytes()).unwrap();
        assert_eq!(manifest.formats[0].writes, Some(&[Feature::SixteenBit][..]));
        assert!(refusal(|json| json["formats"][0]["kinds"][0] = "smell".into()).contains("smell"));
        assert!(refusal(|json| json["needs"][0] = "root".into()).contains("root"));
        assert!(refusal(|json| json["manifest"] = 2.into()).contains("expected version 1, found 2"));
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        let long = "x".repeat(LONGEST_TEXT + 1);
        for (pointer, value) in [
            ("/name", ""),
            ("/version", "1\u{1b}[2J"),
            ("/license", &*long),
            ("/formats/0/id", "UP"),
            ("/formats/0/id", ""),
            ("/formats/1/id", "x.y-1"),
            ("/formats/0/name", ""),
            ("/formats/0/extensions/0", "XY"),
            ("/formats/0/extensions/0", ".xy"),
            ("/formats/0/extensions/0", "../x"),
            ("/formats/0/media_types/0", "text"),
            ("/formats/0/signatures/0/bytes", ""),
            ("/formats/0/signatures/0/bytes", "0"),
            ("/formats/0/signatures/0/bytes", "0g"),
            ("/formats/0/signatures/0/mask", "ff"),
            ("/formats/0/signatures/0/mask", "000000"),
            ("/formats/0/options/0/name", "a.b"),
            ("/formats/0/options/0/use", "both"),
            ("/formats/0/options/0/type", "date"),
            ("/formats/0/options/0/default", "maybe"),
            ("/formats/0/options/2/default", "inf"),
            ("/formats/0/options/2/name", "a"),
            ("/formats/0/options/4/default", "z"),
            ("/formats/0/tier", "best"),
        ] {
            refusal(|json| *json.pointer_mut(pointer).unwrap() = value.into());
        }
        refusal(|json| json["formats"][0]["signatures"][0]["offset"] = u64::MAX.into());
        refusal(|json| json["formats"][1]["writes"] = serde_json::Value::Null);
        refusal(|json| json["formats"] = serde_json::json!([]));
        refusal(|json| json["formats"] = vec![json["formats"][0].clone(); MOST_FORMATS + 1].into());
        for bytes in [&b""[..], b"\0\0", b"{", b"[]", &JSON[..JSON.len() - 1]] {
            assert_eq!(Manifest::parse(bytes).unwrap_err().kind(), ErrorKind::Plugin);
        }
    }
}
