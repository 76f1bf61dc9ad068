//! Compressions around whole inputs: gzip.
#![forbid(unsafe_code)]

use std::io::Read;

use flate2::read::MultiGzDecoder;
use mediary_core::Packing;

/// gzip, RFC 1952: one member or several, one after the other, as `bgzip` and `cat` make them.
const GZIP: Packing =
    Packing { name: "gzip", extensions: &["gz", "gzip"], signature: &[0x1F, 0x8B, 8], unpack: gunzip };

mediary_core::register_packing!(&GZIP);

fn gunzip<'r>(packed: Box<dyn Read + 'r>) -> Box<dyn Read + 'r> {
    Box::new(MultiGzDecoder::new(packed))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use mediary_core::{ErrorKind, Limits, ReadOptions, Registry, Source};
    // Linked, so that there is a format to recognise what is inside.
    use mediary_molecule as _;

    const WATER: &[u8] = b"3\nwater\nO 0 0 0\nH 0 0 1\nH 0 1 0\n";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
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
}
