//! Detection by content: what a format sees of an input, what it answers, and the decision as a value that can be shown.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::format::{Format, FormatInfo, Tier};

/// A bounded view of an input: the first and the last 64 KiB, read once and shared by all formats.
#[derive(Clone, Copy, Debug)]
pub struct Probe<'a> {
    /// The first bytes.
    pub head: &'a [u8],
    /// The last bytes; equal to `head` for a short input.
    pub tail: &'a [u8],
    /// Length of the input in bytes.
    pub len: u64,
    /// File name hint; its extension is weighed by the registry, formats need not look at it.
    pub name: &'a str,
}

impl<'a> Probe<'a> {
    /// Whether the head is the whole input.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.head.len() as u64 == self.len
    }

    /// The head without a UTF-8 byte order mark and leading white space.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        self.head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(self.head).trim_ascii_start()
    }

    /// Whether the head looks like text in an ASCII-based encoding: no control bytes but white space.
    #[must_use]
    pub fn looks_like_text(&self) -> bool {
        !self.head.is_empty()
            && !self.head.iter().any(|&byte| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0C))
    }

    /// The lines of the head, without their ends (LF, CRLF or CR). A last line that the end of the head may have cut is left
    /// out.
    pub fn lines(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let head = self.head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(self.head);
        let end = if self.is_whole() {
            head.len()
        } else {
            head.iter().rposition(|&byte| byte == b'\n' || byte == b'\r').map_or(0, |end| end + 1)
        };
        let mut rest = &head[..end];
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let end = rest.iter().position(|&byte| byte == b'\n' || byte == b'\r');
            let (line, next) = match end {
                None => (rest, rest.len()),
                Some(end) if rest[end..].starts_with(b"\r\n") => (&rest[..end], end + 2),
                Some(end) => (&rest[..end], end + 1),
            };
            rest = &rest[next..];
            Some(line)
        })
    }
}

/// A format's answer to a [`Probe`]. Scores in use: 255 certain (long magic), 200 a signature, 150 a structure that hardly
/// anything else has, 100 typical structure, 50 plausible, 10 anything of this class (any text).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// Not this format.
    No,
    /// Cannot tell from content; only the extension speaks for it.
    Unknown,
    /// This format, with a score from 1 to 255 and the reason in words.
    Yes(u8, Cow<'static, str>),
    /// It broke down on this input: a plugin that crashed.
    Failed(Box<Failure>),
}

/// A format that broke down while it looked at an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Id of the format.
    pub format: &'static str,
    /// `plugin`, `worker`, `limit` …
    #[serde(serialize_with = "kind_as_str")]
    pub kind: ErrorKind,
    /// What happened.
    pub message: String,
}

fn kind_as_str<S: serde::Serializer>(kind: &ErrorKind, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

impl Confidence {
    /// [`Confidence::Yes`].
    pub fn yes(score: u8, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Yes(score.max(1), reason.into())
    }
}

/// One format in a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Id of the format.
    pub format: &'static str,
    /// 0 when only the extension speaks for it.
    pub score: u8,
    /// Why, in words.
    pub reason: String,
    /// Whether the input's name ends as the format's files do.
    pub extension: bool,
    /// Bytes of the signature that matched: longer is more special.
    pub specificity: usize,
    /// Maturity of the format's support.
    pub tier: Tier,
}

impl Candidate {
    /// What decides, best first: a total order that does not depend on registration.
    fn rank(&self) -> impl Ord + use<> {
        use std::cmp::Reverse;
        (Reverse(self.score), Reverse(self.extension), Reverse(self.specificity), self.tier, self.format)
    }

    fn ties_with(&self, other: &Self) -> bool {
        (self.score, self.extension, self.specificity, self.tier)
            == (other.score, other.extension, other.specificity, other.tier)
    }
}

/// How an input was recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detection {
    /// Everything that spoke up, best first. Empty when nothing did.
    pub candidates: Vec<Candidate>,
    /// Those that broke down on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// Set when the format was named by the caller (`--from`) and nothing was weighed.
    pub forced: bool,
    /// The input has an extension of a known format, but its content is of another or of none: the ids that claim the
    /// extension.
    pub extension_mismatch: Vec<&'static str>,
}

impl Detection {
    pub(crate) fn forced(format: &'static str) -> Self {
        let candidate = Candidate {
            format,
            score: 255,
            reason: "named by the caller".into(),
            extension: false,
            specificity: 0,
            tier: Tier::Preferred,
        };
        Self { candidates: vec![candidate], failures: Vec::new(), forced: true, extension_mismatch: Vec::new() }
    }

    /// Weighs `formats`.
    pub(crate) fn weigh<'f>(probe: &Probe<'_>, formats: impl Iterator<Item = &'f dyn Format>) -> Self {
        let mut candidates = Vec::new();
        let mut failures = Vec::new();
        let mut claim_extension = Vec::new();
        for format in formats {
            let info = format.info();
            let extension = info.claims(probe.name);
            if extension {
                claim_extension.push(info.id);
            }
            match consider(format, info, probe, extension) {
                Ok(candidate) => candidates.extend(candidate),
                Err(failure) => failures.push(*failure),
            }
        }
        candidates.sort_by_cached_key(Candidate::rank);
        let mismatch = candidates.first().is_none_or(|winner| !winner.extension);
        let extension_mismatch = if mismatch { claim_extension } else { Vec::new() };
        Self { candidates, failures, forced: false, extension_mismatch }
    }

    /// The id of the format to read with.
    ///
    /// # Errors
    /// `NotRecognised` when nothing spoke up; `Ambiguous` in strict mode when two formats speak equally well.
    pub fn winner(&self, strict: bool) -> Result<&'static str> {
        let hint = "name the format with --from ID; `mediary formats` lists them";
        match &self.candidates[..] {
            [] if !self.failures.is_empty() => {
                let failure = &self.failures[0];
                Err(Error::new(failure.kind, failure.message.clone()).of_format(failure.format).with_hint(hint))
            }
            [] => Err(Error::new(ErrorKind::NotRecognised, "no format recognises the content").with_hint(hint)),
            [first, second, ..] if strict && first.ties_with(second) => Err(Error::new(
                ErrorKind::Ambiguous,
                format!("{} and {} recognise the content equally well", first.format, second.format),
            )
            .with_hint(hint)),
            [first, ..] => Ok(first.format),
        }
    }
}

fn consider(
    format: &dyn Format,
    info: &'static FormatInfo,
    probe: &Probe<'_>,
    extension: bool,
) -> std::result::Result<Option<Candidate>, Box<Failure>> {
    if !info.reads {
        return Ok(None);
    }
    let signature =
        info.signatures.iter().filter(|signature| signature.matches(probe.head)).max_by_key(|s| s.bytes.len());
    if !info.signatures.is_empty() && signature.is_none() && !info.probes_without_signature {
        return Ok(None);
    }
    let candidate = |score, reason: String| {
        let specificity = signature.map_or(0, |signature| signature.bytes.len());
        Ok(Some(Candidate { format: info.id, score, reason, extension, specificity, tier: info.tier }))
    };
    // A probe that panics has seen nothing it knows.
    let answer = catch_unwind(AssertUnwindSafe(|| format.probe(probe))).unwrap_or(Confidence::No);
    match (answer, signature) {
        (Confidence::No, _) => Ok(None),
        (Confidence::Failed(failure), _) => Err(failure),
        (Confidence::Yes(score, reason), _) => candidate(score, reason.into_owned()),
        (Confidence::Unknown, Some(signature)) => {
            candidate(200, format!("signature {} at byte {}", signature.bytes.escape_ascii(), signature.offset))
        }
        (Confidence::Unknown, None) if extension => candidate(0, "only its extension".into()),
        (Confidence::Unknown, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Signature;
    use crate::record::Kind;

    struct Fake(FormatInfo, u8);

    impl Format for Fake {
        fn info(&self) -> &'static FormatInfo {
            Box::leak(Box::new(self.0))
        }

        fn probe(&self, _: &Probe<'_>) -> Confidence {
            if self.1 == 0 { Confidence::Unknown } else { Confidence::yes(self.1, "it says so") }
        }
    }

    const BASE: FormatInfo = FormatInfo::new("a", "A", &[Kind::Table]).extensions(&["a"]).reads();
    const SHORT: &[Signature] = &[Signature { offset: 0, bytes: b"AB", mask: &[] }];
    const LONG: &[Signature] = &[Signature { offset: 0, bytes: b"AB?D", mask: &[1, 1, 0, 1] }];

    fn named(id: &'static str) -> FormatInfo {
        FormatInfo { id, ..BASE }
    }

    fn decide(name: &str, formats: &[Fake]) -> Detection {
        let probe = Probe { head: b"ABCD", tail: b"ABCD", len: 4, name };
        let forward = Detection::weigh(&probe, formats.iter().map(|format| format as &dyn Format));
        let backward = Detection::weigh(&probe, formats.iter().rev().map(|format| format as &dyn Format));
        assert_eq!(forward.candidates, backward.candidates, "the order of registration must not matter");
        forward
    }

    #[test]
    fn score_then_extension_then_longer_signature_then_id_decide() {
        let by_score = decide("x.a", &[Fake(BASE, 10), Fake(named("b").extensions(&["b"]), 20)]);
        assert_eq!(by_score.winner(true).unwrap(), "b");
        assert_eq!(by_score.extension_mismatch, ["a"]);

        let by_extension = decide("x.b", &[Fake(BASE, 10), Fake(named("b").extensions(&["b"]), 10)]);
        assert_eq!(by_extension.winner(true).unwrap(), "b");
        assert!(by_extension.extension_mismatch.is_empty());

        let by_signature = decide("x", &[Fake(named("a").signatures(SHORT), 0), Fake(named("b").signatures(LONG), 0)]);
        assert_eq!(by_signature.winner(true).unwrap(), "b");

        let tie = decide("x", &[Fake(named("b"), 10), Fake(BASE, 10)]);
        assert_eq!(tie.winner(false).unwrap(), "a");
        assert_eq!(tie.winner(true).unwrap_err().kind(), ErrorKind::Ambiguous);
    }

    #[test]
    fn an_extension_alone_is_the_weakest_voice_and_silence_is_an_error() {
        assert_eq!(decide("x.a", &[Fake(BASE, 0), Fake(named("b"), 1)]).winner(false).unwrap(), "b");
        assert_eq!(decide("x.a", &[Fake(BASE, 0)]).winner(true).unwrap(), "a");
        assert_eq!(decide("x.y", &[Fake(BASE, 0)]).winner(false).unwrap_err().kind(), ErrorKind::NotRecognised);
        const OTHER: &[Signature] = &[Signature { offset: 2, bytes: b"ZZ", mask: &[] }];
        assert!(decide("x.a", &[Fake(BASE.signatures(OTHER), 9)]).candidates.is_empty(), "its signature is missing");
    }

    #[test]
    fn lines_end_with_lf_crlf_or_cr_and_a_cut_one_is_left_out() {
        let probe = |head: &'static [u8], len| Probe { head, tail: head, len, name: "" };
        let lines: Vec<_> = probe(b"\xEF\xBB\xBFa\r\nb\rc\n\nd", 12).lines().collect();
        assert_eq!(lines, [&b"a"[..], b"b", b"c", b"", b"d"]);
        assert_eq!(probe(b"a\nb", 100).lines().count(), 1);
    }
}
