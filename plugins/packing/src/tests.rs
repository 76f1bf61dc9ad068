use std::io::Write;
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use mediary_core::{Error, ErrorKind, Limits, ReadOptions, Registry, Source};
// Linked, so that there is a format to recognise what is inside.
use mediary_molecule as _;

const WATER: &[u8] = b"3\nwater\nO 0 0 0\nH 0 0 1\nH 0 1 0\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A sample, packed by the program of the packing: the first 120 000 bytes of it are three atoms and a long comment.
fn data(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../tests/data/packing/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn open(name: &str, bytes: Vec<u8>, options: &ReadOptions) -> Result<String, Error> {
    let mut reading = Registry::builtin().open(&Source::from_bytes(name, bytes), options)?;
    let record = reading.next().unwrap()?;
    Ok(record.facts().to_json()["formula"].as_str().unwrap().to_owned())
}

#[test]
fn formats_see_what_is_inside() {
    // Two members are one input.
    let packed = [gzip(&WATER[..10]), gzip(&WATER[10..])].concat();
    let source = Source::from_bytes("water.xyz.gz", packed.clone());
    let registry = Registry::builtin();
    assert_eq!(registry.detect(&source).winner(true).unwrap(), "xyz");
    let mut reading = registry.open(&source, &ReadOptions::default()).unwrap();
    let record = reading.next().unwrap().unwrap();
    assert_eq!(record.facts().to_json()["formula"], "H2O");
    // The record is of the file as it stands.
    assert_eq!((&*record.source.name, record.source.bytes), ("water.xyz.gz", packed.len() as u64));
    assert!(record.diagnostics.is_empty(), "{:?}", record.diagnostics);
    let mut forced = ReadOptions::default();
    forced.from = Some("xyz".into());
    assert!(registry.open(&source, &forced).unwrap().header().is_ok());
}

#[test]
fn broken_and_oversized_data_is_an_error() {
    let registry = Registry::builtin();
    let packed = gzip(WATER);
    for cut in 3..packed.len() {
        let error = registry.open(&Source::from_bytes("x.gz", packed[..cut].to_vec()), &ReadOptions::default());
        assert_eq!(error.err().map(|error| error.kind()), Some(ErrorKind::Malformed), "{cut}");
    }
    let bomb = gzip(&vec![0; 64 << 20]);
    let mut options = ReadOptions::default();
    options.limits = Limits::preset("untrusted").unwrap();
    let error = registry.open(&Source::from_bytes("x.gz", bomb), &options).err().unwrap();
    assert_eq!(error.limit_name(), Some("expansion_ratio"), "{error}");
}

/// Every sample holds water; `two` is of two members, `levels` of blocks with and without runs.
#[test]
fn samples_of_the_programs_are_unpacked() {
    for name in
        ["water.xyz.zst", "water.xyz.xz", "water.xyz.bz2", "two.xyz.zst", "two.xyz.xz", "two.xyz.bz2", "crc64.xyz.xz"]
    {
        let bytes = data(name);
        let source = Source::from_bytes(name, bytes.clone());
        assert_eq!(Registry::builtin().detect(&source).winner(true).unwrap(), "xyz", "{name}");
        assert_eq!(open(name, bytes, &ReadOptions::default()).unwrap(), "H2O", "{name}");
    }
}

#[test]
fn cuts_and_flips_are_errors() {
    let mut options = ReadOptions::default();
    options.from = Some("xyz".into());
    for name in ["water.xyz.zst", "water.xyz.xz", "water.xyz.bz2", "two.xyz.bz2"] {
        let bytes = data(name);
        for cut in 6..bytes.len() {
            // Between two members is no cut.
            if let Err(error) = open(name, bytes[..cut].to_vec(), &options) {
                assert_eq!(error.kind(), ErrorKind::Malformed, "{name} {cut}: {error}");
            } else {
                assert!(name.starts_with("two"), "{name} is accepted when cut at {cut} of {}", bytes.len());
            }
        }
        let mut accepted = 0;
        for at in 6..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 1 << (at % 8);
            match open(name, broken, &options) {
                Ok(formula) => {
                    accepted += 1;
                    assert_eq!(formula, "H2O", "{name} {at}");
                }
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Limit), "{name} {at}: {error}")
                }
            }
        }
        // Bits that are of no account, such as those that fill up a byte.
        assert!(accepted < 12, "{name}: {accepted} of {} flips are accepted", bytes.len());
    }
}

/// Zeros, packed a hundred thousand times smaller.
#[test]
fn bombs_are_errors() {
    let mut options = ReadOptions::default();
    options.limits = Limits::preset("untrusted").unwrap();
    for name in ["bomb.zst", "bomb.xz", "bomb.bz2"] {
        let error = open(name, data(name), &options).unwrap_err();
        assert_eq!(error.limit_name(), Some("expansion_ratio"), "{name}: {error}");
    }
}

/// A window that no machine has is refused before it is allocated.
#[test]
fn windows_are_bounded() {
    // A frame header with a window of 3.75 TiB.
    let frame = b"\x28\xB5\x2F\xFD\x00\xFF\x01\x00\x00";
    let error = open("x.zst", frame.to_vec(), &ReadOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    let xz = data("dictionary.xyz.xz");
    let error = open("x.xz", xz, &ReadOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
}

/// Random texts through the program itself, where it is installed.
#[test]
fn bzip2_unpacks_what_the_program_packs() {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for round in 0..12 {
        let letters = [1, 2, 3, 20, 255][round % 5];
        let mut text = Vec::new();
        while text.len() < [0, 1, 5, 4000, 260_000][round % 5] + round {
            let (byte, times) = ((random() % letters) as u8, 1 + random() % [1, 3, 9, 700][round % 4]);
            text.extend(std::iter::repeat_n(byte, times));
        }
        let Ok(mut program) =
            Command::new("bzip2").args(["-c", "-1"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
        else {
            return;
        };
        let mut stdin = program.stdin.take().unwrap();
        let given = text.clone();
        let writer = std::thread::spawn(move || stdin.write_all(&given).unwrap());
        let packed = program.wait_with_output().unwrap().stdout;
        writer.join().unwrap();
        let mut unpacked = Vec::new();
        std::io::Read::read_to_end(&mut crate::bzip2::Decoder::new(&packed[..]), &mut unpacked).unwrap();
        assert!(unpacked == text, "round {round}");
    }
}

/// The title of a frame without atoms, which no format recognises as it stands.
#[test]
fn a_text_that_begins_as_a_packing_does_is_none() {
    let mut options = ReadOptions::default();
    options.from = Some("gro".into());
    for title in ["BZh", "BZh9", "BZh91AY&SX"] {
        let text = format!("{title}\n    0\n   1.00000   1.00000   1.00000\n");
        let mut reading = Registry::builtin().open(&Source::from_bytes("x", text.into_bytes()), &options).unwrap();
        assert!(reading.next().unwrap().is_ok(), "{title}");
    }
    // Nothing, as bzip2 packs it.
    let nothing = b"BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0";
    let mut reading = Registry::builtin().open(&Source::from_bytes("x", *nothing), &options).unwrap();
    assert_eq!(reading.header().unwrap_err().message(), "expected a title, a number of atoms and atoms, found none");
}
