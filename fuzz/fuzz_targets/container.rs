//! Bytes brought into the shape that a reader looks into: what a fuzzer would have to guess (checksums, lengths) is made right.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Stands between an input and the one file beside it.
const BESIDE: &[u8] = b"\n-- beside --\n";

/// An input, and the file beside it, if there is one: it answers to every name.
pub fn split(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    match bytes.windows(BESIDE.len()).position(|window| window == BESIDE) {
        Some(at) => (&bytes[..at], Some(&bytes[at + BESIDE.len()..])),
        None => (bytes, None),
    }
}

/// The input as a file of the format `id`.
pub fn closed(id: &str, bytes: &[u8]) -> Vec<u8> {
    match id {
        "e57" => summed(bytes.to_vec()),
        "3mf" if !bytes.starts_with(b"PK") => package(bytes),
        _ => bytes.to_vec(),
    }
}

/// Pages of E57 with the right checksums.
fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    for page in bytes.chunks_exact_mut(1024) {
        let (content, sum) = page.split_at_mut(1020);
        sum.copy_from_slice(&castagnoli(content).to_be_bytes());
    }
    bytes
}

fn castagnoli(bytes: &[u8]) -> u32 {
    let shift = |value: u32, _| if value & 1 == 1 { value >> 1 ^ 0x82F6_3B78 } else { value >> 1 };
    !bytes.iter().fold(!0, |sum, &byte| (0..8).fold(sum ^ u32::from(byte), shift))
}

/// A 3MF package around a model.
fn package(model: &[u8]) -> Vec<u8> {
    let types = r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/></Types>"#;
    let relations = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Target="/3D/3dmodel.model" Id="r" Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>"#;
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in
        [("[Content_Types].xml", types.as_bytes()), ("_rels/.rels", relations.as_bytes()), ("3D/3dmodel.model", model)]
    {
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        archive.start_file(name, stored).expect("memory");
        archive.write_all(content).expect("memory");
    }
    archive.finish().expect("memory").into_inner()
}
