//! What the unit tests of this crate share: reading test data, and files that are cut short or damaged.

use std::path::PathBuf;

use mediary_core::record::Scene;
use mediary_core::{
    Error, ErrorKind, Finished, Kind, Media, MediaRecord, Output, ReadOptions, Registry, Result, Source, Strictness,
    WriteOptions,
};

/// A file of `tests/data`.
pub(crate) fn data(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data")).join(name)
}

pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(data(name)).expect(name)
}

/// Reads the only record of a source, streams to their end.
pub(crate) fn read_source(source: &Source, options: &ReadOptions) -> Result<MediaRecord> {
    let mut record = Registry::builtin().open(source, options)?.next().expect("a reading yields something")?;
    record.media.drain()?;
    Ok(record)
}

pub(crate) fn read(name: &str) -> Result<MediaRecord> {
    let options = ReadOptions::default();
    read_source(&Source::open(data(name), &options.limits)?, &options)
}

pub(crate) fn read_bytes(format: &str, bytes: &[u8], strictness: Strictness) -> Result<MediaRecord> {
    let mut options = ReadOptions::default();
    options.from = Some(format.to_owned());
    options.strictness = strictness;
    read_source(&Source::from_bytes("", bytes), &options)
}

/// What one thread makes of a text and finds in it, or its error, in words. Several threads must make the same.
pub(crate) fn read_in_threads(format: &str, text: &str) -> String {
    let read = |threads| {
        let mut options = ReadOptions::default();
        options.from = Some(format.into());
        options.threads = threads;
        let source = Source::from_bytes("", text.as_bytes());
        let mut record = Registry::builtin().open(&source, &options)?.next().expect("a reading yields something")?;
        if record.kind() == Kind::PointCloud {
            let points = Points::of(record)?;
            let found = points.record.diagnostics.to_vec();
            return Ok(format!("{:?} {:?} {found:?}", points.positions, points.attributes));
        }
        record.media.drain()?;
        Ok(format!("{:?} {:?}", scene(&record), record.diagnostics.to_vec()))
    };
    let read = |threads| read(threads).unwrap_or_else(|error: Error| format!("{error} {:?}", error.location()));
    let alone = read(1);
    for threads in [2, 3] {
        assert!(read(threads) == alone, "{threads} threads");
    }
    alone
}

pub(crate) fn scene(record: &MediaRecord) -> &Scene {
    match &record.media {
        Media::Scene(scene) => scene,
        other => panic!("expected a scene, found {}", other.kind()),
    }
}

pub(crate) fn codes(record: &MediaRecord) -> Vec<String> {
    record.diagnostics.to_vec().into_iter().map(|diagnostic| diagnostic.code.into_owned()).collect()
}

/// A point cloud read whole.
pub(crate) struct Points {
    pub(crate) record: MediaRecord,
    pub(crate) positions: Vec<[f64; 3]>,
    /// Name, components and values of each attribute.
    pub(crate) attributes: Vec<(String, usize, Vec<f64>)>,
}

impl Points {
    /// The first record of a source.
    pub(crate) fn read(source: &Source, options: &ReadOptions) -> Result<Self> {
        Self::of(Registry::builtin().open(source, options)?.next().expect("a reading yields something")?)
    }

    pub(crate) fn of(mut record: MediaRecord) -> Result<Self> {
        let Media::PointCloud(cloud) = &mut record.media else { panic!("expected points, found {}", record.kind()) };
        let mut attributes: Vec<_> =
            cloud.schema.iter().map(|spec| (spec.name.clone(), spec.components, Vec::new())).collect();
        let mut positions = Vec::new();
        while let Some(chunk) = cloud.points.next_chunk()? {
            positions.extend_from_slice(chunk.positions());
            for (all, data) in attributes.iter_mut().zip(chunk.attributes()) {
                all.2.extend((0..data.len()).map(|index| data.get(index)));
            }
        }
        Ok(Self { record, positions, attributes })
    }

    pub(crate) fn of_file(name: &str) -> Self {
        let options = ReadOptions::default();
        Self::read(&Source::open(data(name), &options.limits).expect(name), &options).expect(name)
    }

    pub(crate) fn of_bytes(format: &str, bytes: &[u8], strictness: Strictness) -> Result<Self> {
        let mut options = ReadOptions::default();
        options.from = Some(format.to_owned());
        options.strictness = strictness;
        Self::read(&Source::from_bytes("", bytes), &options)
    }

    /// Written as a format and read again.
    pub(crate) fn again(name: &str, format: &str, options: &[(&str, &str)]) -> (Self, MediaRecord) {
        let reading = ReadOptions::default();
        let source = Source::open(data(name), &reading.limits).expect(name);
        let mut record = Registry::builtin().open(&source, &reading).expect(name).next().expect(name).expect(name);
        let bytes = write(&mut record, format, options).bytes;
        (Self::of_bytes(format, &bytes, Strictness::Strict).expect(name), record)
    }

    pub(crate) fn attribute(&self, name: &str) -> &[f64] {
        &self.attributes.iter().find(|(known, ..)| known == name).unwrap_or_else(|| panic!("no {name}")).2
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.attributes.iter().map(|(name, ..)| name.as_str()).collect()
    }

    /// Sum of an attribute without NaN, component by component.
    pub(crate) fn sums(&self, name: &str) -> Vec<f64> {
        let (_, components, values) = self.attributes.iter().find(|(known, ..)| known == name).expect(name);
        let sum = |component| values.iter().skip(component).step_by(*components).filter(|it| !it.is_nan()).sum();
        (0..*components).map(sum).collect()
    }

    pub(crate) fn bounds(&self) -> [[f64; 3]; 2] {
        let facts = self.record.facts().to_json();
        let side = |side: &str| [0, 1, 2].map(|axis| facts["bounds"][side][axis].as_f64().expect("a number"));
        [side("min"), side("max")]
    }
}

/// The facts of the header agree with those of the whole record, where they are known.
pub(crate) fn header_agrees(name: &str) {
    let options = ReadOptions::default();
    let source = Source::open(data(name), &options.limits).expect(name);
    let early = Registry::builtin().open(&source, &options).and_then(|mut reading| reading.header()).expect(name);
    let late = read_source(&source, &options).expect(name).facts().to_json();
    for (fact, value) in early.facts.to_json() {
        assert_eq!(late.get(&fact), Some(&value), "{name}: {fact}");
    }
}

pub(crate) fn write(record: &mut MediaRecord, format: &str, options: &[(&str, &str)]) -> Finished {
    let mut out = Output::memory();
    let mut write = WriteOptions::default();
    write.options = options.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Registry::builtin().write(record, format, &mut out, &write).expect("written");
    out.finish().expect("finished")
}

/// The triangles and the bounds of a file are these, by another tool.
pub(crate) fn triangles_and_bounds(name: &str, triangles: u64, min: [f64; 3], max: [f64; 3]) -> MediaRecord {
    let record = read(name).expect(name);
    assert_eq!(record.facts().to_json()["triangles"], triangles, "{name}");
    let bounds = scene(&record).bounds().expect(name);
    for axis in 0..3 {
        assert!((bounds.min[axis] - min[axis]).abs() < 1e-4 && (bounds.max[axis] - max[axis]).abs() < 1e-4, "{name}");
    }
    header_agrees(name);
    record
}

/// The content of files decides, without their names, whether they are `format`.
pub(crate) fn is_detected(format: &str, names: &[&str], others: &[&str]) {
    let winner = |name: &&str| Registry::builtin().detect(&Source::from_bytes("", bytes(name))).winner(false);
    names.iter().for_each(|name| assert_eq!(winner(name).expect(name), format, "{name}"));
    others.iter().for_each(|name| assert!(!winner(name).is_ok_and(|winner| winner == format), "{name}"));
}

/// Cuts a file at many places and damages it in many ways. Nothing may panic; `cut` says whether every cut must be noticed.
pub(crate) fn torture(format: &str, name: &str, cut: bool) {
    torture_bytes(format, name, &bytes(name), cut, |_| {});
}

/// As [`torture`], for `bytes`; `visit` sees every record that is read of damaged ones.
pub(crate) fn torture_bytes(format: &str, name: &str, bytes: &[u8], cut: bool, visit: impl Fn(&mut MediaRecord)) {
    let noticed = |result: &Result<MediaRecord>| match result {
        Ok(record) => !record.diagnostics.is_empty(),
        Err(error) => {
            sound(error, name);
            true
        }
    };
    let step = (bytes.len() / 100).max(1);
    for end in (1..bytes.len().min(64)).chain((64..bytes.len()).step_by(step)) {
        for strictness in [Strictness::Default, Strictness::Lenient, Strictness::Strict] {
            let noticed = noticed(&read_bytes(format, &bytes[..end], strictness));
            assert!(noticed || !cut, "{name} cut at {end} is accepted silently ({strictness:?})");
        }
    }
    // A fixed linear congruence: the same damage in every run.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for round in 0..150 {
        let mut damaged = bytes.to_vec();
        // Every other round spares all but the start, where headers are.
        let end = if round % 2 == 0 { bytes.len() } else { bytes.len().min(2000) };
        for _ in 0..=round % 8 {
            damaged[next(end)] ^= 1 << next(8);
        }
        for strictness in [Strictness::Default, Strictness::Lenient, Strictness::Strict] {
            let mut result = read_bytes(format, &damaged, strictness);
            noticed(&result);
            if let Ok(record) = &mut result {
                visit(record);
            }
        }
    }
}

/// Bad input gives a typed error, never the trace of a panic.
pub(crate) fn sound(error: &Error, name: &str) {
    assert!(
        matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Unsupported | ErrorKind::Limit),
        "{name}: {error}"
    );
    assert!(!error.message().contains("gave up"), "{name}: {error}");
}
