//! Every reader on broken files: an error or findings, never a panic, never silence about a cut.

use mediary_core::{Diagnostic, MediaRecord, ReadOptions, Registry, Result, Severity, Source};

/// A file of the test data.
pub(crate) fn data(path: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../tests/data/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// All records of `bytes` read as `format`, with default options but those given.
pub(crate) fn read_with(bytes: &[u8], format: &str, change: impl FnOnce(&mut ReadOptions)) -> Result<Vec<MediaRecord>> {
    let mut options = ReadOptions::default();
    options.from = Some(format.into());
    change(&mut options);
    let source = Source::from_bytes("", bytes.to_vec());
    let mut reading = Registry::builtin().open(&source, &options)?;
    let header = reading.header()?;
    let mut records = Vec::new();
    for record in reading {
        let mut record = record?;
        record.media.drain()?;
        if records.is_empty() {
            let (early, late) = (header.facts.to_json(), record.facts().to_json());
            for (name, value) in early {
                assert_eq!(Some(&value), late.get(&name), "{name} of the header");
            }
        }
        records.push(record);
    }
    assert!(header.records.is_none_or(|count| count == records.len() as u64));
    Ok(records)
}

/// All records of `bytes` read as `format`.
pub(crate) fn read(bytes: &[u8], format: &str) -> Result<Vec<MediaRecord>> {
    read_with(bytes, format, |_| ())
}

/// Findings of all records, notes included.
pub(crate) fn findings(records: &[MediaRecord]) -> Vec<Diagnostic> {
    records.iter().flat_map(|record| record.diagnostics.to_vec()).collect()
}

/// So many copies, in each of which up to `most` bytes are others. The same `state` makes the same copies.
pub(crate) fn damaged(bytes: &[u8], copies: usize, most: usize, mut state: u64) -> impl Iterator<Item = Vec<u8>> {
    (0..copies).map(move |_| {
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize
        };
        let mut broken = bytes.to_vec();
        for _ in 0..1 + random() % most {
            let at = random() % broken.len();
            broken[at] = random() as u8;
        }
        broken
    })
}

/// Cuts the file at many places and turns bytes in others. Cuts that take more than white space must be noticed, unless
/// `silent` knows better.
fn torture(path: &str, format: &str, silent: impl Fn(&[u8]) -> bool) {
    let bytes = data(path);
    let whole = read(&bytes, format).unwrap().len();
    let content = bytes.trim_ascii_end().len();
    let step = (bytes.len() / 100).max(1);
    for cut in (1..bytes.len().min(64)).chain((64..bytes.len()).step_by(step)).filter(|&cut| cut < content) {
        let part = &bytes[..cut];
        match read(part, format) {
            Err(error) => assert!(!error.message().is_empty()),
            Ok(records) => {
                let noticed = findings(&records).iter().any(|finding| finding.severity >= Severity::Info);
                assert!(noticed || silent(part), "{path} cut at byte {cut} of {} is accepted in silence", bytes.len());
                assert!(records.len() <= whole + 1);
            }
        }
    }
    for broken in damaged(&bytes, 200, 8, 0x2545_F491_4F6C_DD1D) {
        for strictness in [mediary_core::Strictness::Lenient, mediary_core::Strictness::Strict] {
            let _ = read_with(&broken, format, |options| options.strictness = strictness);
        }
    }
}

#[test]
fn pdb_files_break_loudly() {
    for name in ["2dej_APW", "insertion_codes", "multi-models-example", "1crn", "hybrid36"] {
        torture(&format!("pdb/{name}.pdb"), "pdb", |_| false);
    }
}

#[test]
fn xyz_files_break_loudly() {
    for name in ["uracil", "trajectory", "example_MEP_trj", "extended"] {
        // A cut between frames leaves a whole file.
        torture(&format!("xyz/{name}.xyz"), "xyz", |part| {
            let mut lines = part.split_inclusive(|&byte| byte == b'\n');
            while let Some(count) = lines.next() {
                let Some(count) = crate::text::integer(count) else { return false };
                let frame: Vec<_> = lines.by_ref().take(count as usize + 1).collect();
                if frame.len() <= count as usize || !frame.last().is_some_and(|line| line.ends_with(b"\n")) {
                    return false;
                }
            }
            true
        });
    }
}

#[test]
fn tight_limits_are_errors() {
    for (path, format) in [("pdb/1crn.pdb", "pdb"), ("xyz/extended.xyz", "xyz")] {
        let bytes = data(path);
        for (limit, value) in [("elements", 1), ("alloc_bytes", 1000)] {
            let error = read_with(&bytes, format, |options| assert!(options.limits.set(limit, value))).unwrap_err();
            assert_eq!(error.limit_name(), Some(limit), "{path}: {error}");
        }
    }
}

#[test]
fn molfiles_break_loudly() {
    for (path, format) in [
        ("sdf/rdkit-features.sdf", "sdf"),
        ("sdf/TYR.v3000.sdf", "sdf"),
        ("mol/list-query.mol", "mol"),
        ("mol/box.mol", "mol"),
    ] {
        // A cut behind the end of a table or of a record leaves whole ones.
        torture(path, format, |part| {
            let text = part.trim_ascii_end();
            text.ends_with(b"M  END") || text.ends_with(b"$$$$")
        });
    }
}

#[test]
fn mol2_files_break_loudly() {
    for name in ["adrenalin", "chargedAmidine", "li"] {
        torture(&format!("mol2/{name}.mol2"), "mol2", |_| false);
    }
}

#[test]
fn gro_files_break_loudly() {
    for name in ["water-velocities", "cod_4020641"] {
        // A cut between frames leaves a whole file.
        torture(&format!("gro/{name}.gro"), "gro", |part| part.split(|&byte| byte == b'\n').count() % 10 == 1);
    }
}

#[test]
fn pqr_files_break_loudly() {
    torture("pqr/1A1P_whitespace.pqr", "pqr", |_| false);
}

#[test]
fn mmtf_files_break_loudly() {
    for name in ["3NJW", "3NJW-onlyrequired", "made"] {
        torture(&format!("mmtf/{name}.mmtf"), "mmtf", |_| false);
    }
}
