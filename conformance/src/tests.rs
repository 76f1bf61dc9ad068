//! The checks find what they look for: a sound format passes, and each defect fails its own case.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use mediary_core::record::Html;
use mediary_core::{
    Confidence, Context, Error, Format, FormatInfo, FormatReader, Kind, MediaRecord, OptionSpec, OptionType, Output,
    Probe, Registry, Result, Signature, Source, single,
};

use crate::{Outcome, Report, check};

const MAGIC: &[u8] = b"TINY";

const INFO: FormatInfo = FormatInfo::new("tiny", "Tiny page", &[Kind::Html])
    .extensions(&["tiny"])
    .media_types(&["text/x-tiny"])
    .signatures(&[Signature { offset: 0, bytes: MAGIC, mask: &[] }])
    .reads()
    .writes(&[])
    .spec("https://example.org/tiny");

const BAD_OPTIONS: &[OptionSpec] = &[OptionSpec::read("o", OptionType::Bool, "?", "")];

/// What is wrong with a format. Its files are `TINY`, the length of the text as a byte, the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    None,
    Descriptor,
    Greedy,
    Header,
    Forgetful,
    Panic,
    Silent,
    Hang,
    Unlimited,
    Deaf,
    Restless,
    Lossy,
}

struct Tiny(&'static FormatInfo, Defect);

/// Grows with every use: what a format must not depend on.
static CLOCK: AtomicU64 = AtomicU64::new(0);

fn page(text: &str) -> MediaRecord {
    MediaRecord::new(Html { text: text.to_owned(), title: text.to_owned(), has_external_refs: false })
}

fn read(source: &Source, cx: &Context, defect: Defect) -> Result<String> {
    if defect == Defect::Deaf && cx.cancel().is_cancelled() {
        return Err(Error::malformed("not now"));
    }
    cx.checkpoint()?;
    if defect != Defect::Unlimited {
        cx.budget().take(source.len() * 16)?;
    }
    let mut bytes = vec![0; usize::try_from(source.len()).unwrap()];
    source.read_exact_at(0, &mut bytes, "the file")?;
    let Some((&len, text)) = bytes.strip_prefix(MAGIC).and_then(|rest| rest.split_first()) else {
        return Err(Error::malformed("expected TINY and a length"));
    };
    if text.len() < len.into() {
        assert!(defect != Defect::Panic, "too short");
        if defect == Defect::Hang && bytes.len() == 8 {
            loop {
                cx.checkpoint()?;
            }
        }
        if defect != Defect::Silent {
            return Err(Error::truncated("the text", len.into(), text.len() as u64));
        }
    }
    let mut text = String::from_utf8_lossy(text).into_owned();
    if defect == Defect::Forgetful {
        text += &CLOCK.fetch_add(1, Ordering::Relaxed).to_string();
    }
    Ok(text)
}

impl Format for Tiny {
    fn info(&self) -> &'static FormatInfo {
        self.0
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        if self.1 == Defect::Greedy && !probe.head.starts_with(MAGIC) {
            return Confidence::yes(255, "everything is mine");
        }
        Confidence::Unknown
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let defect = self.1;
        let (again, same) = (source.clone(), cx.clone());
        let header = move || {
            let title = if defect == Defect::Header { "x".into() } else { read(&again, &same, defect)? };
            Ok(mediary_core::Header::single(page(&title).facts()))
        };
        let (source, cx) = (source.clone(), cx.clone());
        Ok(single(header, move || Ok(page(&read(&source, &cx, defect)?))))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, _cx: &Context) -> Result<()> {
        use std::io::Write as _;
        let mediary_core::Media::Html(page) = &record.media else { return Err(Error::unsupported("no page")) };
        let text = match self.1 {
            Defect::Restless => format!("{}{}", page.text, CLOCK.fetch_add(1, Ordering::Relaxed)),
            Defect::Lossy => "gone".into(),
            _ => page.text.clone(),
        };
        out.write_all(MAGIC)?;
        out.write_all(&[text.len() as u8])?;
        Ok(out.write_all(text.as_bytes())?)
    }
}

fn report(defect: Defect) -> Report {
    let info = match defect {
        Defect::Descriptor => INFO.extensions(&[".TINY"]).options(BAD_OPTIONS),
        Defect::Greedy => INFO.probes_without_signature(),
        _ => INFO,
    };
    let format: &'static Tiny = Box::leak(Box::new(Tiny(Box::leak(Box::new(info)), defect)));
    let mut registry = Registry::empty();
    registry.add(format).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tiny");
    std::fs::write(&path, b"TINY\x05hello").unwrap();
    check(&registry, "tiny", &[path])
}

fn failed(report: &Report) -> Vec<&str> {
    let failed = report.cases.iter().filter(|case| matches!(case.outcome, Outcome::Failed(_)));
    failed.map(|case| case.name).collect()
}

#[test]
fn a_sound_format_passes_and_every_case_was_looked_at() {
    let report = report(Defect::None);
    assert!(report.is_ok(), "{report}");
    assert_eq!(report.tally(), (report.cases.len(), 0, 0), "{report}");
    assert!(report.to_string().contains("  passed   truncated (9)\n"), "{report}");
    assert_eq!(report.to_json()["ok"], true);
}

#[test]
fn every_defect_fails_its_case() {
    for (defect, case) in [
        (Defect::Descriptor, "descriptor"),
        (Defect::Greedy, "no file of it"),
        (Defect::Header, "header equals full read"),
        (Defect::Forgetful, "read twice is equal"),
        (Defect::Panic, "truncated"),
        (Defect::Silent, "truncated"),
        (Defect::Unlimited, "stopped by a limit"),
        (Defect::Deaf, "cancelled"),
        (Defect::Restless, "written and read again"),
        (Defect::Lossy, "written and read again"),
    ] {
        let report = report(defect);
        assert!(failed(&report).contains(&case), "{defect:?}: {report}");
        assert!(!report.is_ok() && report.to_json()["ok"] == false, "{defect:?}");
    }
}

#[test]
fn a_format_that_hangs_is_stopped_and_told() {
    let begun = Instant::now();
    let report = report(Defect::Hang);
    assert!(failed(&report).contains(&"truncated"), "{report}");
    assert!(begun.elapsed() < 4 * crate::PATIENCE, "{:?}", begun.elapsed());
}

#[test]
fn without_samples_what_needs_them_is_skipped() {
    let mut registry = Registry::empty();
    registry.add(&Tiny(&INFO, Defect::None)).unwrap();
    let report = check(&registry, "tiny", &[] as &[PathBuf]);
    let (passed, failed, skipped) = report.tally();
    assert_eq!((passed, failed), (2, 0), "{report}");
    assert_eq!(passed + skipped, report.cases.len());
    assert!(!check(&registry, "nothing", &[]).is_ok());
}
