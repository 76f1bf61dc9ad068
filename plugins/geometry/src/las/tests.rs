//! Facts are those of laspy, see `tests/data/las/README.md` and `tests/data/laz/README.md`.

use mediary_core::{ErrorKind, ReadOptions, Strictness};

use super::*;
use crate::testing::{Points, bytes, codes, header_agrees, is_detected, torture};

const LAS_FILES: [&str; 6] = [
    "las/format0.las",
    "las/format3.las",
    "las/format8_extra.las",
    "las/format10.las",
    "las/1.2-empty-geotiff-vlrs.las",
    "las/no-points.las",
];
const LAZ_FILES: [&str; 5] = [
    "laz/format1.laz",
    "laz/format7_extra.laz",
    "laz/variable_chunks.laz",
    "laz/pointwise.laz",
    "laz/point-time-1.4.laz",
];

fn close(name: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{name}: {found} is not {expected}");
    }
}

/// Points, the first, the last, the bounds and the sums of attributes are these.
fn holds(file: &str, count: usize, first: [f64; 3], bounds: [[f64; 3]; 2], sums: &[(&str, &[f64])]) -> Points {
    let points = Points::of_file(file);
    assert_eq!(points.positions.len(), count, "{file}");
    close(file, &points.positions[0], &first);
    close(file, points.bounds().as_flattened(), bounds.as_flattened());
    for (name, expected) in sums {
        close(&format!("{file} {name}"), &points.sums(name), expected);
    }
    points
}

#[test]
fn files_have_the_numbers_of_laspy() {
    let points = holds(
        "las/format3.las",
        120,
        [600133.8, 5000498.91, 1.295],
        [[600004.01, 5000000.49, 0.619], [600996.43, 5000999.1, 195.876]],
        &[
            ("intensity", &[3911966.0]),
            ("return_number", &[456.0]),
            ("number_of_returns", &[487.0]),
            ("scan_direction", &[59.0]),
            ("edge_of_flight_line", &[62.0]),
            ("category", &[1839.0]),
            // 60 synthetic, 53 key points, 59 withheld.
            ("classification_flags", &[60.0 + 2.0 * 53.0 + 4.0 * 59.0]),
            ("scan_angle_rank", &[400.0]),
            ("user_data", &[13841.0]),
            ("point_source_id", &[3707793.0]),
            ("time", &[60792369.484546]),
            ("color", &[3867551.0, 4140881.0, 4041700.0]),
        ],
    );
    close("last", &points.positions[119], &[600172.66, 5000231.66, 128.973]);
    holds(
        "las/format0.las",
        50,
        [600320.06, 5000267.48, 130.163],
        [[600004.93, 5000026.38, 1.046], [600977.02, 5000994.82, 199.876]],
        &[("intensity", &[1624572.0]), ("category", &[816.0]), ("scan_angle_rank", &[30.0])],
    );
    holds(
        "las/format10.las",
        60,
        [600705.79, 5000426.61, 16.734],
        [[600000.84, 5000017.42, 3.497], [600991.76, 5000987.97, 199.167]],
        &[
            ("return_number", &[484.0]),
            ("number_of_returns", &[522.0]),
            ("classification_flags", &[30.0 + 2.0 * 34.0 + 4.0 * 32.0 + 8.0 * 26.0]),
            ("scanner_channel", &[83.0]),
            ("scan_direction", &[32.0]),
            ("edge_of_flight_line", &[30.0]),
            ("category", &[7777.0]),
            ("scan_angle", &[-108485.0]),
            ("point_source_id", &[2023943.0]),
            ("time", &[29466998.61702831]),
            ("color", &[2151978.0, 1890597.0, 1985131.0]),
            ("nir", &[2246267.0]),
            ("wave_size", &[0.0]),
            ("wave_vector", &[0.0; 3]),
        ],
    );
    holds(
        "las/format8_extra.las",
        300,
        [600577.44, 5000817.22, 188.223],
        [[600002.48, 5000006.09, 1.404], [600999.35, 5000990.3, 199.932]],
        &[
            ("nir", &[9425934.0]),
            ("amplitude", &[1467.03]),
            ("tree", &[14388.0]),
            ("dir", &[17.28284394973889, -9.600497372448444, 6.270230220630765]),
        ],
    );
    let geotiff = holds(
        "las/1.2-empty-geotiff-vlrs.las",
        43,
        [-19.929, -14.84025, -12.149],
        [[-25.79175, -15.9695, -13.1125], [211.08525, 81.46075, 3.28325]],
        &[
            ("return_number", &[45.0]),
            ("time", &[1520.5225379]),
            ("amplitude", &[1180.12]),
            ("reflectance", &[-376.31]),
            ("deviation", &[540.0]),
        ],
    );
    assert_eq!(geotiff.record.properties["vlrs"].as_array().unwrap().len(), 5);
    let none = Points::of_file("las/no-points.las");
    assert_eq!((none.positions.len(), &none.record.properties["point_format"]), (0, &3.into()));
    LAS_FILES.iter().for_each(|name| header_agrees(name));
    is_detected("las", &LAS_FILES, &LAZ_FILES);
}

#[test]
fn compressed_files_have_the_numbers_of_laspy() {
    let format1 = holds(
        "laz/format1.laz",
        500,
        [600527.29, 5000718.49, 45.079],
        [[600000.95, 5000002.4, 0.303], [600999.25, 5000997.89, 199.498]],
        &[("intensity", &[15971636.0]), ("time", &[243330559.48106283]), ("scan_angle_rank", &[1755.0])],
    );
    for same in ["laz/variable_chunks.laz", "laz/pointwise.laz"] {
        let same = Points::of_file(same);
        assert!(same.positions == format1.positions && same.attributes == format1.attributes);
    }
    holds(
        "laz/format7_extra.laz",
        500,
        [600822.23, 5000221.63, 42.113],
        [[600001.93, 5000001.15, 0.48], [600999.99, 5000998.28, 199.944]],
        &[
            ("scan_angle", &[-216215.0]),
            ("color", &[16655137.0, 16243030.0, 16557394.0]),
            ("amplitude", &[2437.15]),
            ("tree", &[8543.0]),
            ("dir", &[5.340551628381945, 5.500620944891125, 26.856518176355166]),
        ],
    );
    let real = holds(
        "laz/point-time-1.4.laz",
        1065,
        [494428.61, 4877455.58, 131.57],
        [[493994.87, 4877429.62, 123.93], [494993.68, 4878817.02, 178.73]],
        &[("intensity", &[81361.0]), ("user_data", &[134663.0]), ("time", &[263704809.3907848])],
    );
    close("last", &real.positions[1064], &[494490.24, 4878741.67, 129.21]);
    LAZ_FILES.iter().for_each(|name| header_agrees(name));
    is_detected("laz", &LAZ_FILES, &LAS_FILES);
}

#[test]
fn written_files_read_back() {
    for name in LAS_FILES.iter().chain(&LAZ_FILES) {
        let before = Points::of_file(name);
        let Media::PointCloud(cloud) = &before.record.media else { panic!() };
        for format in ["las", "laz"] {
            let (again, record) = Points::again(name, format, &[]);
            assert_eq!(before.positions, again.positions, "{name} {format}");
            let shapes = cloud.schema.iter().filter(|spec| spec.components > 1 && spec.name != "color").count();
            for (attribute, components, values) in &before.attributes {
                match components {
                    1 => assert_eq!(values, again.attribute(attribute), "{name} {format}: {attribute}"),
                    _ if attribute == "color" => assert_eq!(values, again.attribute("color"), "{name} {format}"),
                    _ => {
                        let first: Vec<f64> = values.iter().copied().step_by(*components).collect();
                        assert_eq!(first, again.attribute(&format!("{attribute}_0")), "{name} {format}: {attribute}");
                    }
                }
            }
            let lost: Vec<_> = record.loss.iter().map(|loss| (&*loss.code, loss.count)).collect();
            let code = format!("{format}.attribute-shapes");
            let expected: Vec<_> = if shapes > 0 { vec![(&*code, shapes as u64)] } else { Vec::new() };
            assert_eq!(lost, expected, "{name}");
            assert!(!codes(&again.record).iter().any(|code| code.ends_with("bounds")), "{name}");
            let Media::PointCloud(again) = &again.record.media else { panic!() };
            assert_eq!(cloud.crs, again.crs);
        }
    }
}

#[test]
fn an_extent_without_a_step_is_refused() {
    let reading = ReadOptions::default();
    let registry = mediary_core::Registry::builtin();
    let far = Source::from_bytes("a.xyz", &b"1e308 0 0\n-1e308 0 0\n"[..]);
    let mut record = registry.open(&far, &reading).unwrap().next().unwrap().unwrap();
    let error = registry.write(&mut record, "las", &mut Output::memory(), &Default::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[test]
fn other_points_are_written_to_a_step_that_suits_them() {
    let (again, record) = Points::again("xyz-points/points_agisoft.xyz", "las", &[]);
    let before = Points::of_file("xyz-points/points_agisoft.xyz");
    for (before, again) in before.positions.iter().zip(&again.positions) {
        assert!((0..3).all(|axis| (before[axis] - again[axis]).abs() <= 5.1e-5), "{before:?} {again:?}");
    }
    let lost: Vec<_> = record.loss.iter().map(|loss| &*loss.code).collect();
    assert_eq!(lost, ["las.precision", "las.color-depth"]);
    assert_eq!(again.sums("color"), [8699.0 * 257.0, 6646.0 * 257.0, 5696.0 * 257.0]);
    let (again, record) = Points::again("xyz-points/leica.pts", "laz", &[("laz.scale", "0.0001")]);
    close("bounds", again.bounds().as_flattened(), Points::of_file("xyz-points/leica.pts").bounds().as_flattened());
    assert!(record.loss.iter().any(|loss| loss.code == "laz.attribute-types"), "negative intensities");
    // 120 km at a micrometre do not fit.
    let far = b"0 0 0\n120000 0 0\n";
    let mut options = mediary_core::WriteOptions::default();
    options.options = vec![("las.scale".into(), "0.000001".into())];
    let registry = mediary_core::Registry::builtin();
    let reading = ReadOptions::default();
    let mut source = registry.open(&Source::from_bytes("a.xyz", &far[..]), &reading).unwrap();
    let mut record = source.next().unwrap().unwrap();
    let error = registry.write(&mut record, "las", &mut Output::memory(), &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint().unwrap().contains("las.scale"));
}

#[test]
fn colours_of_8_bits_are_told_from_those_of_16() {
    let mut las = bytes("las/format3.las");
    let body = u32::from_le_bytes([las[96], las[97], las[98], las[99]]) as usize;
    for row in las[body..].chunks_exact_mut(34) {
        [29, 31, 33].iter().for_each(|&high| row[high] = 0);
    }
    let points = Points::of_bytes("las", &las, Strictness::Default).unwrap();
    assert_eq!(codes(&points.record), ["las.colors-8bit"]);
    let color = points.attributes.iter().find(|(name, ..)| name == "color").unwrap();
    assert!(color.2.iter().all(|&value| value <= 255.0));
}

#[test]
fn hostile_files_are_refused() {
    let read = |format: &str, name: &str, strictness| {
        Points::of_bytes(format, &bytes(&format!("{format}/malformed/{name}.{format}")), strictness)
    };
    for (format, name, words) in [
        ("las", "huge-count", "4294967295 points are announced, 120 are there"),
        ("las", "short-points", "have 34 bytes or more, found 10"),
        ("las", "zero-scale", "no numbers to compute with"),
        ("laz", "cut", "break off"),
        ("laz", "huge-items", "for 65535 items"),
        ("laz", "huge-layer", "layers"),
        ("laz", "variable-without-table", "chunk"),
    ] {
        let error = read(format, name, Strictness::Default).err().expect(name);
        assert_eq!(error.kind(), ErrorKind::Malformed, "{name}: {error}");
        assert!(error.message().contains(words), "{name}: {error}");
    }
    assert_eq!(read("las", "huge-count", Strictness::Lenient).unwrap().positions.len(), 120);
    let cut = read("laz", "cut", Strictness::Lenient).unwrap();
    assert!((1..500).contains(&cut.positions.len()));
    let whole = Points::of_file("laz/format1.laz");
    // The last of them may have been made of missing bytes.
    let sound = cut.positions.len() - 20;
    assert_eq!(cut.positions[..sound], whole.positions[..sound]);
    for name in ["bad_vlr_count", "huge-vlr-count"] {
        assert_eq!(codes(&read("las", name, Strictness::Default).unwrap().record), ["las.vlr"], "{name}");
    }
}

#[test]
fn cut_and_damaged_files_do_not_break_it() {
    ["las/format3.las", "las/format8_extra.las"].iter().for_each(|name| torture("las", name, true));
    LAZ_FILES[1..4].iter().for_each(|name| torture("laz", name, false));
}
