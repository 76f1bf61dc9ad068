//! What a writer declares survives: every sample of every format, written as every format of its kind, read again.

use mediary::record::molecule::Atoms;
use mediary::record::{AttributeData, AudioChunk, Column, ColumnData, PointChunk, Samples, ScalarType, TableChunk};
use mediary::{
    Feature, Finished, FormatInfo, Kind, Limits, Media, MediaRecord, MemorySiblings, Output, ReadOptions, Registry,
    Source, WriteOptions,
};

use crate::common::{Bulk, collect, samples};

/// A record read, with its bulk apart.
struct Read {
    record: MediaRecord,
    bulk: Bulk,
}

fn read(registry: &Registry, source: &Source) -> Vec<Read> {
    let reading = registry.open(source, &ReadOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    reading
        .map(|record| {
            let mut record = record.unwrap_or_else(|error| panic!("{error}"));
            let bulk = collect(&mut record).unwrap_or_else(|error| panic!("{error}"));
            Read { record, bulk }
        })
        .collect()
}

/// Writes the first record of `source`; `None` when the format cannot express it, which it must say as a typed error.
fn write(registry: &Registry, source: &Source, to: &'static FormatInfo) -> Option<(MediaRecord, Finished)> {
    let mut reading = registry.open(source, &ReadOptions::default()).unwrap();
    let mut record = reading.next().unwrap().unwrap();
    let mut out = Output::memory();
    match registry.write(&mut record, to.id, &mut out, &WriteOptions::default()) {
        Ok(()) => Some((record, out.finish().unwrap())),
        Err(error) => {
            assert_eq!(error.kind(), mediary::ErrorKind::Unsupported, "{error}");
            None
        }
    }
}

fn each_pair(check: impl Fn(&str, &Registry, &Source, &'static FormatInfo)) {
    let registry = Registry::builtin();
    let formats: Vec<_> = registry.formats().collect();
    let (mut pairs, mut failed) = (0, Vec::new());
    for from in formats.iter().filter(|info| info.reads) {
        for path in samples(from) {
            let source = Source::open(&path, &Limits::default()).unwrap();
            let kind = registry.open(&source, &ReadOptions::default()).unwrap().header().unwrap().facts.kind();
            for to in formats.iter().filter(|info| info.writes.is_some() && info.kinds.contains(&kind)) {
                let what = format!("{} → {}", path.file_name().unwrap().to_string_lossy(), to.id);
                let run = std::panic::AssertUnwindSafe(|| check(&what, &registry, &source, to));
                if std::panic::catch_unwind(run).is_err() {
                    failed.push(what.clone());
                }
                pairs += 1;
            }
        }
    }
    assert!(pairs > 50, "only {pairs} pairs");
    assert!(failed.is_empty(), "{} of {pairs}: {failed:#?}", failed.len());
}

#[test]
fn writing_twice_gives_the_same_bytes() {
    each_pair(|what, registry, source, to| {
        let once = write(registry, source, to).map(|(_, written)| (written.bytes, written.siblings));
        let again = write(registry, source, to).map(|(_, written)| (written.bytes, written.siblings));
        assert!(once == again, "{what}: not deterministic");
    });
}

#[test]
fn facts_are_complete_after_writing() {
    each_pair(|what, registry, source, to| {
        let full = read(registry, source).remove(0).record.facts();
        if let Some((record, _)) = write(registry, source, to) {
            assert_eq!(record.facts(), full, "{what}: the writer did not consume the record");
        }
    });
}

#[test]
fn what_a_writer_declares_survives() {
    each_pair(|what, registry, source, to| {
        if !to.reads {
            return;
        }
        let before = read(registry, source).remove(0);
        let Some((written, files)) = write(registry, source, to) else { return };
        let name = format!("again.{}", to.extension());
        let siblings = files.siblings.into_iter();
        let siblings = siblings.fold(MemorySiblings::default(), |all, (name, bytes)| all.with(name, bytes));
        let mut again = read(registry, &Source::from_bytes(name, files.bytes).with_siblings(siblings));
        assert_eq!(again.len(), 1, "{what}: one record becomes one");
        let after = again.remove(0);
        assert_eq!(after.record.kind(), before.record.kind(), "{what}");
        let lost = |code: &str| written.loss.iter().any(|loss| loss.code.contains(code));
        compare(what, to, &before, &after, &lost);
    });
}

fn compare(what: &str, to: &FormatInfo, before: &Read, after: &Read, lost: &dyn Fn(&str) -> bool) {
    match (&before.record.media, &after.record.media) {
        (Media::Image(a), Media::Image(b)) => {
            assert_eq!((a.width(), a.height()), (b.width(), b.height()), "{what}: size");
            // A format may hold gray as RGB: what is seen must be the same, or the difference must be said.
            let same = a.samples() == b.samples() || rgba(a).is_some() && rgba(a) == rgba(b);
            let kept = match a.samples() {
                Samples::U16(_) => to.keeps(Feature::SixteenBit),
                Samples::F32(_) => to.keeps(Feature::Float),
                _ => false,
            };
            assert!(same || !kept && lost(""), "{what}: pixels changed without a word");
            if to.keeps(Feature::ColorProfile) {
                assert_eq!(a.icc, b.icc, "{what}: profile");
            }
        }
        (Media::Scene(a), Media::Scene(b)) => scenes(what, to, a, b, lost),
        (Media::PointCloud(a), Media::PointCloud(b)) => {
            let (p, q) = (points(&before.bulk), points(&after.bulk));
            assert_eq!(p.len(), q.len(), "{what}: points");
            if to.keeps(Feature::DoublePrecision) {
                assert!(p == q, "{what}: positions");
            }
            // Colours of other depths may be scaled; those of 8 bits are kept to the bit.
            let bytes = a.schema.iter().any(|spec| spec.name == "color" && spec.scalar == ScalarType::U8);
            if to.keeps(Feature::Colors) && bytes {
                assert!(attribute(a, &before.bulk, "color") == attribute(b, &after.bulk, "color"), "{what}: colours");
            }
            if to.keeps(Feature::Attributes) {
                assert_eq!(a.schema, b.schema, "{what}: attributes");
                for spec in &a.schema {
                    let (x, y) = (attribute(a, &before.bulk, &spec.name), attribute(b, &after.bulk, &spec.name));
                    assert!(x == y, "{what}: attribute {}", spec.name);
                }
            }
            if to.keeps(Feature::Boxes) {
                assert_eq!((&a.boxes, &a.vectors), (&b.boxes, &b.vectors), "{what}: boxes and vectors");
            } else {
                assert!(a.boxes.is_empty() || lost("boxes"), "{what}: boxes dropped without a word");
            }
        }
        (Media::Molecule(a), Media::Molecule(b)) => molecules(what, to, a, b, lost),
        (Media::Audio(a), Media::Audio(b)) => {
            assert_eq!((a.sample_rate, a.channels), (b.sample_rate, b.channels), "{what}");
            let kept = to.keeps(if a.integer { Feature::Integer } else { Feature::Float });
            if kept {
                assert!(audio(&before.bulk) == audio(&after.bulk), "{what}: samples");
            } else {
                assert!(lost(""), "{what}: samples changed without a word");
            }
        }
        (Media::Table(a), Media::Table(b)) => {
            let names = |table: &mediary::record::Table| -> Vec<String> {
                table.schema.iter().map(|column| column.name.clone()).collect()
            };
            assert!(names(a) == names(b) || lost("names"), "{what}: names");
            assert!(cells(&before.bulk) == cells(&after.bulk), "{what}: cells");
            if to.keeps(Feature::ColumnTypes) {
                assert_eq!(a.schema, b.schema, "{what}: types");
            }
        }
        (Media::Html(a), Media::Html(b)) => assert_eq!(a, b, "{what}"),
        (Media::Histogram(a), Media::Histogram(b)) => assert_eq!(a, b, "{what}"),
        (Media::Video(a), Media::Video(b)) => {
            assert_eq!(a.facts().frames, b.facts().frames, "{what}: frames");
        }
        (a, b) => panic!("{what}: {} became {}", a.kind(), b.kind()),
    }
}

fn scenes(
    what: &str,
    to: &FormatInfo,
    a: &mediary::record::Scene,
    b: &mediary::record::Scene,
    lost: &dyn Fn(&str) -> bool,
) {
    let (x, y) = (a.facts(), b.facts());
    assert_eq!(x.triangles, y.triangles, "{what}: triangles");
    if let (Some(x), Some(y)) = (x.bounds, y.bounds) {
        let size = (0..3).map(|axis| x.max[axis] - x.min[axis]).fold(1e-6, f64::max);
        for axis in 0..3 {
            assert!((x.min[axis] - y.min[axis]).abs() <= 1e-5 * size, "{what}: bounds {x:?} {y:?}");
            assert!((x.max[axis] - y.max[axis]).abs() <= 1e-5 * size, "{what}: bounds {x:?} {y:?}");
        }
    } else {
        assert_eq!(x.bounds, y.bounds, "{what}");
    }
    // Formats of one mesh join primitives: what counts is that none of the content is gone.
    let count = |scene: &mediary::record::Scene, has: fn(&mediary::record::scene::Primitive) -> bool| {
        scene.primitives().any(|primitive| !primitive.positions.is_empty() && has(primitive))
    };
    let polygons = |scene: &mediary::record::Scene| -> Vec<u32> {
        let mut sizes: Vec<u32> = scene.primitives().flat_map(|primitive| primitive.face_sizes.clone()).collect();
        sizes.sort_unstable();
        sizes
    };
    if to.keeps(Feature::Polygons) {
        let quads = |sizes: Vec<u32>| sizes.into_iter().filter(|&size| size > 3).count();
        assert_eq!(quads(polygons(a)), quads(polygons(b)), "{what}: polygons");
    } else {
        assert!(polygons(a).iter().all(|&size| size == 3) || lost("polygons"), "{what}: polygons cut without a word");
    }
    if to.keeps(Feature::Materials) {
        assert_eq!(x.materials, y.materials, "{what}: materials");
        for (a, b) in a.materials.iter().zip(&b.materials) {
            // Formats that refer by name must make one up where there is none.
            assert!(a.name == b.name || a.name.is_empty(), "{what}: material names");
        }
    } else {
        assert!(a.materials.is_empty() || lost("material"), "{what}: materials dropped without a word");
    }
    if to.keeps(Feature::Textures) {
        assert_eq!(x.textures, y.textures, "{what}: textures");
    }
    if to.keeps(Feature::NodeTree) {
        assert_eq!(x.nodes, y.nodes, "{what}: nodes");
        let names = |scene: &mediary::record::Scene| -> Vec<String> {
            scene.nodes.iter().map(|node| node.name.clone()).collect()
        };
        assert_eq!(names(a), names(b), "{what}: node names");
    }
    if to.keeps(Feature::Animations) {
        assert_eq!((&a.animations, a.skins.len()), (&b.animations, b.skins.len()), "{what}: animations");
    } else {
        assert!(a.animations.is_empty() || lost("animation"), "{what}: animations dropped without a word");
    }
    if to.keeps(Feature::Normals) {
        let normals: fn(&mediary::record::scene::Primitive) -> bool = |primitive| !primitive.normals.is_empty();
        assert_eq!(count(a, normals), count(b, normals), "{what}: normals");
    }
    if to.keeps(Feature::Texcoords) {
        let texcoords: fn(&mediary::record::scene::Primitive) -> bool = |primitive| !primitive.texcoords.is_empty();
        assert_eq!(count(a, texcoords), count(b, texcoords), "{what}: texture coordinates");
    }
    if to.keeps(Feature::Colors) {
        let colors: fn(&mediary::record::scene::Primitive) -> bool = |primitive| !primitive.colors.is_empty();
        assert_eq!(count(a, colors), count(b, colors), "{what}: colours");
    }
}

fn molecules(
    what: &str,
    to: &FormatInfo,
    a: &mediary::record::Molecule,
    b: &mediary::record::Molecule,
    lost: &dyn Fn(&str) -> bool,
) {
    assert_eq!(a.atoms.elements, b.atoms.elements, "{what}: elements");
    if to.keeps(Feature::Models) {
        assert_eq!(a.models.len(), b.models.len(), "{what}: models");
    }
    for (x, y) in a.models.iter().zip(&b.models) {
        assert_eq!(x.positions.len(), y.positions.len(), "{what}: positions");
        for (p, q) in x.positions.iter().zip(&y.positions) {
            // PDB and mmCIF hold three decimals.
            assert!(p.iter().zip(q).all(|(p, q)| (p - q).abs() <= 5.1e-4), "{what}: {p:?} {q:?}");
        }
    }
    if to.keeps(Feature::Residues) {
        // Where there is no name, formats with a column for it make one up.
        let same = |index: usize| a.atoms.names[index].is_empty() || a.atoms.names[index] == b.atoms.names[index];
        assert!((0..a.atoms.len()).all(same), "{what}: names");
        let residues = |molecule: &mediary::record::Molecule| -> Vec<_> {
            molecule.residues.iter().map(|residue| (residue.name.clone(), residue.number, residue.insertion)).collect()
        };
        let named = a.residues.iter().any(|residue| !residue.name.is_empty());
        assert!(!named || residues(a) == residues(b), "{what}: residues");
    } else {
        assert!(a.residues.len() < 2 || lost("names"), "{what}: residues dropped without a word");
    }
    if to.keeps(Feature::Bonds) {
        let bonds = |molecule: &mediary::record::Molecule| {
            let mut bonds: Vec<_> =
                molecule.bonds.iter().map(|bond| (bond.a.min(bond.b), bond.a.max(bond.b), bond.order)).collect();
            bonds.sort_unstable();
            bonds
        };
        assert_eq!(bonds(a), bonds(b), "{what}: bonds");
    } else {
        // What a format implies (the bonds of standard residues) need not be written.
        let pairs = |molecule: &mediary::record::Molecule| {
            let mut pairs: Vec<_> =
                molecule.bonds.iter().map(|bond| (bond.a.min(bond.b), bond.a.max(bond.b))).collect();
            pairs.sort_unstable();
            pairs
        };
        let after = pairs(b);
        let kept = pairs(a).iter().all(|pair| after.binary_search(pair).is_ok());
        assert!(kept || lost("bond"), "{what}: bonds dropped without a word");
    }
    if to.keeps(Feature::Cell) {
        assert_eq!(a.cell, b.cell, "{what}: cell");
    }
    if to.keeps(Feature::Altlocs) {
        for index in 0..a.atoms.len() {
            let altloc = |atoms: &Atoms| Atoms::value(&atoms.altlocs, index, '\0');
            assert_eq!(altloc(&a.atoms), altloc(&b.atoms), "{what}: altloc of atom {index}");
        }
    }
}

/// 8-bit pixels as red, green, blue and alpha.
fn rgba(image: &mediary::record::Image) -> Option<Vec<[u8; 4]>> {
    let Samples::U8(samples) = image.samples() else { return None };
    let pixel = |pixel: &[u8]| match *pixel {
        [gray] => [gray, gray, gray, 255],
        [gray, alpha] => [gray, gray, gray, alpha],
        [r, g, b] => [r, g, b, 255],
        [r, g, b, a] => [r, g, b, a],
        _ => panic!("{} channels", pixel.len()),
    };
    Some(samples.chunks(image.channels().into()).map(pixel).collect())
}

fn points(bulk: &Bulk) -> Vec<[f64; 3]> {
    let Bulk::Points(chunks) = bulk else { panic!("no points") };
    chunks.iter().flat_map(PointChunk::positions).copied().collect()
}

fn attribute(cloud: &mediary::record::PointCloud, bulk: &Bulk, name: &str) -> Vec<u64> {
    let Bulk::Points(chunks) = bulk else { panic!("no points") };
    let Some(index) = cloud.schema.iter().position(|spec| spec.name == name) else { return Vec::new() };
    let values = |data: &AttributeData| -> Vec<u64> { (0..data.len()).map(|i| data.get(i).to_bits()).collect() };
    chunks.iter().flat_map(|chunk| values(&chunk.attributes()[index])).collect()
}

/// Samples as exact integers, or as the bits of floats.
fn audio(bulk: &Bulk) -> Vec<i64> {
    let Bulk::Audio(chunks) = bulk else { panic!("no samples") };
    chunks
        .iter()
        .flat_map(|chunk| match chunk {
            AudioChunk::Int { samples, .. } => samples.iter().map(|&sample| i64::from(sample)).collect::<Vec<_>>(),
            AudioChunk::Float { samples, .. } => samples.iter().map(|sample| i64::from(sample.to_bits())).collect(),
            _ => panic!("unknown samples"),
        })
        .collect()
}

/// Cells as text, row by row.
fn cells(bulk: &Bulk) -> Vec<Vec<Option<String>>> {
    let Bulk::Rows(chunks) = bulk else { panic!("no rows") };
    chunks.iter().flat_map(|chunk| (0..chunk.rows()).map(|row| row_of(chunk, row))).collect()
}

fn row_of(chunk: &TableChunk, row: usize) -> Vec<Option<String>> {
    let cell = |column: &Column| match &column.data {
        ColumnData::Null(_) => String::new(),
        ColumnData::Bool(cells) => cells[row].to_string(),
        ColumnData::Int64(cells) => cells[row].to_string(),
        ColumnData::Float64(cells) => format!("{:?}", cells[row]),
        ColumnData::Text(cells) | ColumnData::Binary(cells) => String::from_utf8_lossy(cells.get(row)).into_owned(),
        _ => panic!("unknown cells"),
    };
    chunk.columns().iter().map(|column| (!column.is_null(row)).then(|| cell(column))).collect()
}

#[test]
fn scene_and_point_cloud_convert_into_each_other() {
    let registry = Registry::builtin();
    let cloud = crate::common::samples(registry.get("pts.json").unwrap().info()).remove(0);
    let source = Source::open(&cloud, &Limits::default()).unwrap();
    let points = read(&registry, &source).remove(0).record.facts().to_json()["points"].clone();
    let (written, glb) = write(&registry, &source, registry.get("glb").unwrap().info()).unwrap();
    assert_eq!(written.kind(), Kind::Scene);
    let scene = read(&registry, &Source::from_bytes("x.glb", glb.bytes)).remove(0).record.facts().to_json();
    assert_eq!((&scene["vertices"], &scene["triangles"]), (&points, &0.into()));

    let mesh = crate::common::samples(registry.get("stl").unwrap().info()).remove(0);
    let source = Source::open(&mesh, &Limits::default()).unwrap();
    let (written, _) = write(&registry, &source, registry.get("pts.json").unwrap().info()).unwrap();
    assert_eq!(written.kind(), Kind::PointCloud);
    assert!(written.loss.iter().any(|loss| loss.code == "pts.json.faces"), "{:?}", written.loss);
}
