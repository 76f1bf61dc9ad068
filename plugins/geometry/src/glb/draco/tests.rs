//! Streams of other encoders against the values of the reference decoder, and hostile ones.

use mediary_core::{ErrorKind, Limits};
use serde_json::Value;

use super::*;
use crate::testing;

/// A file, its faces and points, the CRC-32 of its indices (32 bits each) and those of its attributes, little-endian and one
/// value a point: by draco3d 1.5.9.
type Expected = (&'static str, [u64; 2], u32, &'static [(&'static str, u32)]);

#[rustfmt::skip]
const EXPECTED: &[Expected] = &[
    ("draco_one", [1, 3], 0x1d760e7a, &[("POSITION", 0x88a3708f), ("NORMAL", 0x6641445d), ("_A2", 0x8c01a6f9), ("_A3", 0xf99b56a7), ("_A4", 0xaec17b0d)]),
    ("draco_two", [2, 4], 0x7322e5ea, &[("POSITION", 0x220a4a05), ("NORMAL", 0x16fb1586), ("COLOR_0", 0x9fc2884e)]),
    ("draco_soup", [3, 7], 0xe5011333, &[("POSITION", 0x89c0235c), ("NORMAL", 0x082246e4), ("TEXCOORD_0", 0xe11c3fa1), ("COLOR_0", 0x6b1775ab), ("_A4", 0x01fb1eff), ("_A5", 0x0f5b8f3b)]),
    ("draco_parts", [148, 102], 0x3c700e7c, &[("POSITION", 0x840b4c48)]),
    ("draco_voxels", [100, 64], 0x6353aca3, &[("POSITION", 0xd3c0200d)]),
    ("draco_integers", [2, 6], 0x850cf83d, &[("POSITION", 0xe46dd162), ("NORMAL", 0x27ef961e), ("TEXCOORD_0", 0x8861c88e), ("_A3", 0x86807faf), ("_A4", 0x50f6418e)]),
    ("draco_mobius", [20, 22], 0x831a8150, &[("POSITION", 0xd6a18b31)]),
    ("draco_holes", [121, 76], 0x2173b3c0, &[("POSITION", 0x5e91e43c), ("COLOR_0", 0xf30e035c)]),
    ("draco_valence", [120, 340], 0xa9c7c5b8, &[("POSITION", 0x243bbd6e), ("NORMAL", 0x9f7cbaf2), ("COLOR_0", 0x8dde06c5)]),
    ("draco_plain", [120, 340], 0xa9c7c5b8, &[("POSITION", 0x243bbd6e), ("NORMAL", 0x9f7cbaf2), ("COLOR_0", 0x8dde06c5)]),
    ("draco_indices", [2, 4], 0xfe255702, &[("POSITION", 0x6518e846)]),
    ("draco_2_1", [120, 72], 0xbe33b1f9, &[("POSITION", 0xe3cac2e7), ("NORMAL", 0xd0d6a5c5), ("TEXCOORD_0", 0x8c3b9775)]),
    ("draco_2_0", [170, 99], 0x479b8efa, &[("POSITION", 0x985201b2), ("NORMAL", 0x2ad78fdc)]),
];

/// The stream of a file of one primitive, and the ids of its attributes.
fn stream(name: &str) -> (Vec<u8>, Vec<(String, u32)>) {
    let bytes = testing::bytes(&format!("glb/{name}.glb"));
    let size = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]) as usize;
    let document: Value = serde_json::from_slice(&bytes[20..20 + size]).unwrap();
    let length = document["bufferViews"][0]["byteLength"].as_u64().unwrap() as usize;
    let ids = &document["meshes"][0]["primitives"][0]["extensions"]["KHR_draco_mesh_compression"]["attributes"];
    let ids = ids.as_object().unwrap().iter().map(|(name, id)| (name.clone(), id.as_u64().unwrap() as u32));
    (bytes[28 + size..][..length].to_vec(), ids.collect())
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn context(alloc_bytes: u64) -> Context {
    let mut limits = Limits::desktop();
    limits.alloc_bytes = alloc_bytes;
    Context::builder("glb").limits(limits).build()
}

fn decoded(data: &[u8], [faces, points]: [u64; 2], cx: &Context) -> Result<Decoded> {
    decode(data, faces * 3, points, &[0, 1, 2, 3, 4, 5, 6, 7], cx)
}

#[test]
fn values_are_those_of_the_reference_decoder() {
    for (name, counts, indices, attributes) in EXPECTED {
        let (data, ids) = stream(name);
        let cx = Context::new("glb");
        let wanted: Vec<u32> = ids.iter().map(|(_, id)| *id).collect();
        let found = decode(&data, counts[0] * 3, counts[1], &wanted, &cx).unwrap();
        assert_eq!(crc(&found.indices), *indices, "{name}");
        assert_eq!(ids.len(), attributes.len(), "{name}");
        let mut bytes = found.indices.len();
        for (attribute, expected) in *attributes {
            let id = ids.iter().find(|(name, _)| name == attribute).unwrap().1;
            let values = &found.attributes[&id];
            assert_eq!(crc(&values.bytes), *expected, "{name} {attribute}");
            bytes += values.bytes.len();
        }
        assert_eq!(cx.budget().taken(), bytes as u64, "{name}: what is kept stays taken, nothing else");
    }
}

#[test]
fn the_document_and_the_stream_must_agree() {
    for (name, [faces, points], ..) in EXPECTED {
        let (data, _) = stream(name);
        for counts in [[faces + 1, *points], [faces - 1, *points], [*faces, points + 1], [*faces, points - 1], [0, 0]] {
            let error = decoded(&data, counts, &Context::new("glb")).err().expect("a refusal");
            assert_eq!(error.kind(), ErrorKind::Malformed, "{name}: {error}");
            assert!(error.message().contains("expected"), "{name}: {error}");
        }
        let error = decoded(&data, [u64::MAX / 3, *points], &context(u64::MAX)).err().unwrap();
        assert!(matches!(error.kind(), ErrorKind::Limit | ErrorKind::Unsupported), "{error}");
        let unwanted = decode(&data, faces * 3, *points, &[], &Context::new("glb")).unwrap();
        assert!(unwanted.attributes.is_empty());
    }
}

#[test]
fn versions_and_geometries_that_are_not_read_are_named() {
    let (data, _) = stream("draco_one");
    for (at, byte, words) in [(5, 1, "found 1.2"), (6, 3, "found 2.3"), (7, 0, "a point cloud"), (11, 1, "predicted")] {
        let mut data = data.clone();
        data[at] = byte;
        let error = decoded(&data, [1, 3], &Context::new("glb")).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains(words), "{error}");
    }
}

#[test]
fn cut_streams_say_where_they_end() {
    for (name, counts, ..) in EXPECTED {
        let (data, _) = stream(name);
        for length in 0..data.len() {
            let cx = Context::new("glb");
            let error = decoded(&data[..length], *counts, &cx).err().expect("a refusal");
            assert_eq!(error.kind(), ErrorKind::Malformed, "{name} {length}: {error}");
            let place = error.location().and_then(|place| place.byte).expect("a byte");
            assert!(place <= length as u64, "{name} {length}: {error}");
            assert_eq!(cx.budget().taken(), 0, "{name} {length}: all is given back");
        }
    }
}

#[test]
fn changed_streams_never_panic_and_never_take_what_is_not_there() {
    for (name, counts, ..) in EXPECTED {
        let (data, _) = stream(name);
        for at in 0..data.len() {
            for change in [1, 0xff] {
                let mut data = data.clone();
                data[at] ^= change;
                if let Err(error) = decoded(&data, *counts, &context(16 << 20)) {
                    let fair = [ErrorKind::Malformed, ErrorKind::Unsupported, ErrorKind::Limit];
                    assert!(fair.contains(&error.kind()), "{name} {at}: {error}");
                }
            }
        }
    }
}

#[test]
fn a_small_budget_is_a_limit() {
    for (name, counts, ..) in EXPECTED {
        let (data, _) = stream(name);
        let error = decoded(&data, *counts, &context(64)).err().expect("a refusal");
        assert_eq!((error.kind(), error.limit_name()), (ErrorKind::Limit, Some("alloc_bytes")), "{name}: {error}");
    }
}

/// A stream of indices as symbols, whose alphabet is said to have 2^32 - 1 of them.
#[test]
fn an_alphabet_that_lies_costs_nothing() {
    let header = [b"DRACO".as_slice(), &[2, 2, 1, 0, 0, 0]].concat();
    let data = [&header[..], &[1, 3, 0, 1, 18, 0xff, 0xff, 0xff, 0xff, 0x0f], &[0xff; 60]].concat();
    let error = decoded(&data, [1, 3], &context(8 << 20)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    assert!(error.message().contains("frequencies"), "{error}");
}
