//! What the tests of all image formats share.

use mediary_core::record::{Image, Samples};
use mediary_core::{
    ErrorKind, Header, Media, MediaRecord, Output, ReadOptions, Registry, Result, Source, Strictness, WriteOptions, hex,
};
use sha2::{Digest, Sha256};

/// The bytes of a file under `tests/data`.
pub(crate) fn data(path: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../tests/data/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The names of the files in a folder under `tests/data`, without its README.
pub(crate) fn names(folder: &str) -> Vec<String> {
    let path = format!("{}/../../tests/data/{folder}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_file());
    let mut names: Vec<_> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.ends_with(".md"));
    names.sort();
    assert!(!names.is_empty(), "no files in {folder}");
    names
}

/// Reads the one record of a file, of which header and record agree.
pub(crate) fn read_with(name: &str, bytes: Vec<u8>, options: &ReadOptions) -> Result<MediaRecord> {
    let source = Source::from_bytes(name, bytes);
    let mut reading = Registry::builtin().open(&source, options)?;
    let header = reading.header();
    let mut record = reading.next().unwrap()?;
    let header: Header = header?;
    assert_eq!(header.records, Some(1));
    if !matches!(record.media, Media::Video(_)) {
        assert_eq!(header.facts, record.facts(), "{name}");
    }
    assert!(reading.next().is_none());
    record.format.clear();
    Ok(record)
}

pub(crate) fn read(name: &str, bytes: Vec<u8>) -> Result<MediaRecord> {
    read_with(name, bytes, &ReadOptions::default())
}

/// Reading with these options.
pub(crate) fn reading(given: &[(&str, &str)]) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.options = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    options
}

pub(crate) fn strictly(strictness: Strictness) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.strictness = strictness;
    options
}

/// The codes of a record's findings.
pub(crate) fn codes(record: &MediaRecord) -> Vec<String> {
    record.diagnostics.to_vec().into_iter().map(|diagnostic| diagnostic.code.into_owned()).collect()
}

pub(crate) fn image(record: &MediaRecord) -> &Image {
    let Media::Image(image) = &record.media else { panic!("expected an image, found {}", record.kind()) };
    image
}

/// Pixels as 8-bit RGBA; of 16 bits the upper 8, as Pillow takes them.
pub(crate) fn rgba8(image: &Image) -> Vec<u8> {
    let samples: Vec<u8> = match image.samples() {
        Samples::U8(samples) => samples.to_vec(),
        Samples::U16(samples) => samples.iter().map(|sample| (sample >> 8) as u8).collect(),
        other => panic!("{} bits", other.bits()),
    };
    let pixels = samples.chunks_exact(image.channels().into());
    pixels
        .flat_map(|pixel| match *pixel {
            [gray] => [gray, gray, gray, 255],
            [gray, alpha] => [gray, gray, gray, alpha],
            [r, g, b] => [r, g, b, 255],
            [r, g, b, a] => [r, g, b, a],
            _ => unreachable!(),
        })
        .collect()
}

/// Facts of a file by Pillow: name, channels, bits, SHA-256 of the RGBA pixels.
pub(crate) type Pillow = (&'static str, u8, u8, &'static str);

/// Holds the files of a format, all of them, against Pillow's facts: nothing is found in them.
pub(crate) fn pillow(id: &str, facts: &[Pillow]) {
    for &(name, channels, bits, expected) in facts {
        let record = read(name, data(&format!("{id}/{name}"))).unwrap();
        let image = image(&record);
        assert_eq!((image.channels(), image.source_bits), (channels, bits), "{name}");
        assert_eq!(sha256(&rgba8(image)), expected, "{name}");
        assert_eq!(codes(&record), Vec::<String>::new(), "{name}");
    }
    assert_eq!(facts.len(), names(id).len());
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Means of red, green, blue and alpha.
pub(crate) fn means(rgba: &[u8]) -> [f64; 4] {
    let mut sums = [0.0; 4];
    for pixel in rgba.chunks_exact(4) {
        for (sum, &value) in sums.iter_mut().zip(pixel) {
            *sum += f64::from(value);
        }
    }
    sums.map(|sum| sum / (rgba.len() / 4) as f64)
}

/// Writes a record in memory.
pub(crate) fn write(record: &mut MediaRecord, format: &str, options: &[(&str, &str)]) -> Vec<u8> {
    let mut settings = WriteOptions::default();
    settings.options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut out = Output::memory();
    Registry::builtin().write(record, format, &mut out, &settings).unwrap();
    out.finish().unwrap().bytes
}

/// Reads everything there is in a damaged file. A panic of a decoder is caught by the registry: it is told from a real
/// refusal by its message.
fn survives(id: &str, name: &str, bytes: Vec<u8>, what: &str) -> bool {
    let mut options = ReadOptions::default();
    options.from = Some(id.to_owned());
    let drained = Registry::builtin().open(&Source::from_bytes(name, bytes), &options).and_then(|mut reading| {
        let header = reading.header();
        let mut told = false;
        for record in reading {
            let mut record = record?;
            assert!(header.is_ok(), "{name}, {what}: the record is read, its header is not");
            record.media.drain()?;
            told |= !record.diagnostics.is_empty();
        }
        Ok(told)
    });
    match drained {
        Ok(told) => told,
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains("gave up"), "{name}, {what}: {text}");
            let kinds = [ErrorKind::Malformed, ErrorKind::Unsupported, ErrorKind::Limit];
            assert!(kinds.contains(&error.kind()), "{name}, {what}: {text}");
            true
        }
    }
}

/// Cuts the files of a format at many places, and flips their bytes: an error or a finding each time a file is cut, and
/// never a panic.
pub(crate) fn torture(id: &str) {
    torture_but(id, &[]);
}

/// The same, but for cuts where a file is whole: its name, and how many bytes it needs.
pub(crate) fn torture_but(id: &str, whole: &[(&str, usize)]) {
    torture_files(id, &names(id), whole);
}

/// The same of these files alone, where a decoder is slow.
pub(crate) fn torture_files(id: &str, names: &[String], whole: &[(&str, usize)]) {
    for name in names {
        let bytes = data(&format!("{id}/{name}"));
        let spread = (1..100).map(|part| 64 + (bytes.len().saturating_sub(64)) * part / 100);
        for end in (1..64).chain(spread).chain([bytes.len() - 1]).filter(|&end| end < bytes.len()) {
            let told = survives(id, name, bytes[..end].to_vec(), &format!("cut at {end}"));
            let told = told || whole.contains(&(name.as_str(), end));
            assert!(told, "{name} cut at {end} is read without a word");
        }
        // xorshift: the same bytes each time.
        let mut random = 0x9E37_79B9_u32;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            random as usize % below
        };
        for round in 0..150 {
            let mut flipped = bytes.clone();
            // The first bytes hold what matters.
            let span = if round % 3 == 0 { flipped.len() } else { flipped.len().min(400) };
            for _ in 0..1 + round % 4 {
                let at = next(span);
                flipped[at] = next(256) as u8;
            }
            survives(id, name, flipped, &format!("flipped in round {round}"));
        }
    }
}
