//! All formats of this crate against real files (`tests/data/<id>/README.md` says whose numbers these are) and broken ones.

use std::path::PathBuf;

use mediary_core::record::{AttributeData, ColumnData, PointChunk, Samples, TableChunk};
use mediary_core::{
    ErrorKind, Media, MediaRecord, Output, ReadOptions, Registry, Result, Severity, Source, Strictness, WriteOptions,
};
use serde_json::{Value, json};

fn data() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data"))
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(data().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn source(name: &str, bytes: impl Into<Vec<u8>>) -> Source {
    Source::from_bytes(name.rsplit('/').next().unwrap(), bytes.into())
}

fn options(given: &[(&str, &str)]) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.options = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    options
}

fn record_of(source: &Source, options: &ReadOptions) -> Result<MediaRecord> {
    Registry::builtin().open(source, options)?.next().unwrap()
}

fn read_with(name: &str, given: &[(&str, &str)]) -> Result<MediaRecord> {
    record_of(&source(name, bytes(name)), &options(given))
}

fn read(name: &str) -> MediaRecord {
    read_with(name, &[]).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn csv(text: &[u8], given: &[(&str, &str)]) -> Result<MediaRecord> {
    record_of(&source("a.csv", text), &options(given))
}

fn codes(record: &MediaRecord) -> Vec<String> {
    record.diagnostics.to_vec().into_iter().map(|diagnostic| diagnostic.code.into_owned()).collect()
}

fn rows(record: &mut MediaRecord) -> Vec<TableChunk> {
    let Media::Table(table) = &mut record.media else { panic!("no table") };
    let mut chunks = Vec::new();
    while let Some(chunk) = table.rows.next_chunk().unwrap() {
        chunks.push(chunk);
    }
    chunks
}

/// The cells as JSON, row by row.
fn cells(record: &mut MediaRecord) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    for chunk in rows(record) {
        for row in 0..chunk.rows() {
            let cell = |column: &mediary_core::record::Column| match &column.data {
                _ if column.is_null(row) => Value::Null,
                ColumnData::Bool(cells) => cells[row].into(),
                ColumnData::Int64(cells) => cells[row].into(),
                ColumnData::Float64(cells) => cells[row].into(),
                ColumnData::Text(cells) => String::from_utf8(cells.get(row).to_vec()).unwrap().into(),
                other => panic!("{other:?}"),
            };
            all.push(chunk.columns().iter().map(cell).collect());
        }
    }
    all
}

fn points(record: &mut MediaRecord) -> PointChunk {
    let Media::PointCloud(cloud) = &mut record.media else { panic!("no points") };
    cloud.points.next_chunk().unwrap().unwrap()
}

fn write(record: &mut MediaRecord, format: &str) -> Vec<u8> {
    let mut out = Output::memory();
    Registry::builtin().write(record, format, &mut out, &WriteOptions::default()).unwrap();
    out.finish().unwrap().bytes
}

const GOOD: &[&str] = &[
    "csv/aggregate_test_100.csv",
    "csv/blank-cells.csv",
    "csv/bom.csv",
    "csv/caco3_plastics.csv",
    "csv/escaped_quotes.csv",
    "csv/iris.csv",
    "csv/newlines_crlf.csv",
    "csv/utf16le.csv",
    "html/aria-div-buttons.html",
    "html/bom_utf16le.html",
    "html/medium.html",
    "html/table-polymer-template.html",
    "html/testHTML.html",
    "npy/chessboard_GRAY_U8.npy",
    "npy/structured_dtype_points.npy",
    "npy/threedim.npy",
    "npy/f4_fortran.npy",
    "npy/big_endian_f8.npy",
    "npy/f2_n4.npy",
    "npy/rgb_n6.npy",
    "npy/bool_2d.npy",
    "npy/clip_tchw.npy",
    "npy/scalar.npy",
    "npy/empty.npy",
    "npy/v2.npy",
    "npy/v3.npy",
    "npy/aligned.npy",
    "histogram/normal16.histogram.json",
    "histogram/packed.histogram.json",
];

/// `(file, rows, columns, types)` as pandas 3.1 reads them; text for its uint64.
#[test]
fn csv_files_read_as_pandas_reads_them() {
    for (name, count, types) in [
        (
            "csv/aggregate_test_100.csv",
            100,
            "text int64 int64 int64 int64 int64 int64 int64 int64 text float64 float64 text",
        ),
        ("csv/blank-cells.csv", 5, "int64 text"),
        ("csv/bom.csv", 2, "int64 text"),
        ("csv/caco3_plastics.csv", 9, "text text int64 text text text text text text text float64"),
        ("csv/escaped_quotes.csv", 2, "int64 text"),
        ("csv/iris.csv", 150, "float64 float64 float64 float64 text"),
        ("csv/newlines_crlf.csv", 3, "text int64 int64"),
        ("csv/utf16le.csv", 2, "text text"),
    ] {
        let mut record = read(name);
        let Media::Table(table) = &record.media else { panic!("{name}") };
        let found: Vec<_> = table.schema.iter().map(|column| column.kind.as_str()).collect();
        assert_eq!(found.join(" "), types, "{name}");
        assert_eq!(table.declared_rows, Some(count), "{name}");
        record.media.drain().unwrap();
        assert_eq!(record.to_json()["facts"]["rows"], count, "{name}");
        assert!(record.diagnostics.worst() <= Some(Severity::Info), "{name}");
    }
    assert_eq!(cells(&mut read("csv/newlines_crlf.csv"))[1], [json!("Once upon \na time"), json!(5), json!(6)]);
    let mut bom = read("csv/bom.csv");
    assert_eq!(bom.to_json()["facts"]["columns"][0]["name"], "id");
    assert_eq!(cells(&mut bom)[1], [json!(2), json!("中国人")]);
    assert_eq!(cells(&mut read("csv/blank-cells.csv")).iter().flatten().filter(|cell| cell.is_null()).count(), 1);
}

#[test]
fn malformed_csv_is_never_silent() {
    assert_eq!(codes(&read("csv/malformed/bad.csv")), ["csv.short-rows", "csv.long-rows"]);
    let codes_of_invalid = codes(&read("csv/malformed/invalid.csv"));
    for code in ["csv.short-rows", "csv.long-rows", "csv.unnamed-columns", "csv.duplicate-names"] {
        assert!(codes_of_invalid.iter().any(|found| found == code), "{code} {codes_of_invalid:?}");
    }
    let error = read_with("csv/malformed/unterminated-quote.csv", &[]).unwrap_err();
    assert_eq!((error.kind(), error.location().unwrap().line), (ErrorKind::Malformed, Some(3)));
    let mut lenient = ReadOptions::default();
    lenient.strictness = Strictness::Lenient;
    let name = "csv/malformed/unterminated-quote.csv";
    let mut record = record_of(&source(name, bytes(name)), &lenient).unwrap();
    assert_eq!(record.diagnostics.worst(), Some(Severity::Error));
    assert_eq!(cells(&mut record)[1], [json!(3), json!("four\n5,6\n")]);
    assert_eq!(codes(&read("csv/malformed/nul.csv")), ["csv.nul"]);
    let mut record = read("csv/malformed/latin1.csv");
    assert_eq!(codes(&record), ["csv.encoding"]);
    assert_eq!(cells(&mut record), [[json!("Müller"), json!("Köln")]]);
    let mut strict = ReadOptions::default();
    strict.strictness = Strictness::Strict;
    for name in ["bad", "invalid", "nul", "latin1"] {
        let name = format!("csv/malformed/{name}.csv");
        let error = record_of(&source(&name, bytes(&name)), &strict).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{name}");
    }
}

#[test]
fn csv_options_decide() {
    let text = b"a;b\n007;NA\n1,5;\"\"\n";
    assert_eq!(cells(&mut csv(text, &[]).unwrap()), [[json!("007"), json!("NA")], [json!("1,5"), json!("")]]);
    assert_eq!(cells(&mut csv(text, &[("csv.nulls", "x,NA")]).unwrap())[0][1], Value::Null);
    assert_eq!(cells(&mut csv(text, &[("csv.header", "no")]).unwrap()).len(), 3);
    assert_eq!(cells(&mut csv(text, &[("csv.delimiter", "tab")]).unwrap())[0], [json!("007;NA")]);
    assert_eq!(cells(&mut csv(b"a,b\n1,2\n", &[("csv.types", "text")]).unwrap()), [[json!("1"), json!("2")]]);
    let mut record = csv(b"a,b\n1.50,x\n2,y\n", &[("csv.types", "exact")]).unwrap();
    assert_eq!(cells(&mut record)[0][0], json!("1.50"));
    assert_eq!(cells(&mut csv(b"a\n\xC0\n", &[("csv.encoding", "koi8-r")]).unwrap()), [[json!("ю")]]);
    assert_eq!(csv(b"a\n", &[("csv.encoding", "no-such")]).unwrap_err().kind(), ErrorKind::InvalidOption);
}

#[test]
fn csv_quirks() {
    // The last line without an end, CR alone, blank lines, quoted numbers, a quoted empty cell in numbers.
    assert_eq!(
        cells(&mut csv(b"a,b\r1,\"2\"\r\r3,\"\"", &[]).unwrap()),
        [[json!(1), json!(2)], [json!(3), Value::Null]]
    );
    // What a float rounds is counted, what it cannot hold stays text.
    let mut record = csv(b"a,b\n9007199254740993.0,1e400\n1.5,2\n", &[]).unwrap();
    assert_eq!(codes(&record), ["csv.rounded"]);
    assert_eq!(cells(&mut record)[0], [json!(9_007_199_254_740_992.0), json!("1e400")]);
    assert_eq!(codes(&csv(b"a\n0.5\n9007199254740993\n9007199254740992\n", &[]).unwrap()), ["csv.rounded"]);
    // A title before the table.
    let record = csv(b"Report\na,b\n1,2\n3,4\n", &[]).unwrap();
    assert_eq!((codes(&record), &record.properties["preamble"]), (vec!["csv.preamble".into()], &json!(["Report"])));
    // Excel's line that names the delimiter.
    let mut record = csv(b"sep=;\r\na;b,c\r\n1;2\r\n", &[]).unwrap();
    assert_eq!((codes(&record), &record.properties["delimiter"]), (vec!["csv.sep-line".into()], &json!(";")));
    assert_eq!(record.to_json()["facts"]["columns"][1]["name"], "b,c");
    assert_eq!(cells(&mut record), [[json!(1), json!(2)]]);
    // No header.
    let record = csv(b"1,2\n3,4\n", &[]).unwrap();
    assert_eq!(record.to_json()["facts"]["columns"][1]["name"], "column_2");
    assert_eq!(codes(&record), ["csv.no-header"]);
    // UTF-8 that stops being it after 64 KiB of ASCII.
    let mut late = b"name,n\n".to_vec();
    (0..20_000).for_each(|n| late.extend_from_slice(format!("x,{n}\n").as_bytes()));
    late.extend_from_slice(b"M\xFCller,1\n");
    let mut record = csv(&late, &[]).unwrap();
    assert_eq!(codes(&record), ["csv.encoding"]);
    assert_eq!(cells(&mut record).last().unwrap()[0], json!("Müller"));
    // A head that is UTF-8 stays it.
    let mut mixed = "nämé,n\n".as_bytes().to_vec();
    mixed.extend_from_slice(&late[7..]);
    let mut record = csv(&mixed, &[]).unwrap();
    assert_eq!(codes(&record), ["csv.undecodable"]);
    assert_eq!(cells(&mut record).last().unwrap()[0], json!("M\u{FFFD}ller"));
    assert_eq!(csv(b"\n\n", &[]).unwrap_err().kind(), ErrorKind::Malformed);
    // Wide heads with short rows: cells are bounded by what the source is worth.
    let mut bomb = vec![b','; 90_000];
    bomb.extend_from_slice(&b"\n1".repeat(100_000));
    assert_eq!(csv(&bomb, &[]).unwrap_err().limit_name(), Some("expansion_ratio"));
    // So are columns.
    assert_eq!(csv(&vec![b','; 100_000], &[]).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(csv(&vec![b','; 99_999], &[]).unwrap().to_json()["facts"]["columns"].as_array().unwrap().len(), 100_000);
}

/// Cells longer than the read buffer, and chunks of several.
#[test]
fn csv_records_may_be_longer_than_a_block() {
    let long = "x\n\"\"".repeat(400_000);
    let text = format!("a,b\n\"{long}\",1\ny,2\n");
    let mut record = csv(text.as_bytes(), &[]).unwrap();
    let found = cells(&mut record);
    assert_eq!(found[0][0].as_str().unwrap().len(), 3 * 400_000);
    assert_eq!(found[1], [json!("y"), json!(2)]);
}

#[test]
fn a_large_csv_header_agrees_with_the_full_read() {
    let mut text = b"n,f,t\n".to_vec();
    for n in 0..100_000 {
        text.extend_from_slice(format!("{n},{n}.5,t{n}\n").as_bytes());
    }
    let source = source("a.csv", text);
    let mut reading = Registry::builtin().open(&source, &ReadOptions::default()).unwrap();
    let header = reading.header_json().unwrap()["facts"].clone();
    assert_eq!(header, json!({"columns": [{"name": "n"}, {"name": "f"}, {"name": "t"}], "truncated": false}));
    let mut record = reading.next().unwrap().unwrap();
    let chunks = rows(&mut record);
    assert!(chunks.len() > 1);
    assert_eq!(chunks.iter().map(TableChunk::rows).sum::<usize>(), 100_000);
    assert_eq!(record.to_json()["facts"]["columns"][1], json!({"name": "f", "type": "float64"}));
}

#[test]
fn csv_survives_a_round_trip() {
    let text = "a,b,c,\"1\",e;f,,t\n1,1.0,true,\"\",x,,\"say \"\"hi\"\"\"\n,NaN,false,\"p|q\",\"  \",,\"u\tv\"\n-5,1e300,,z,\"a\nb\",,-\n";
    let mut first = csv(text.as_bytes(), &[]).unwrap();
    let written = write(&mut first, "csv");
    assert!(first.loss.is_empty());
    let mut again = csv(&written, &[]).unwrap();
    let mut first = csv(text.as_bytes(), &[]).unwrap();
    let (Media::Table(a), Media::Table(b)) = (&first.media, &again.media) else { panic!() };
    assert_eq!(a.schema, b.schema);
    assert_eq!(format!("{:?}", rows(&mut first)), format!("{:?}", rows(&mut again)));
    // A null in a single column is a blank line: it cannot be told from an empty text.
    let mut single = csv(b"a,\"\"\nx,\n", &[]).unwrap();
    let _ = write(&mut single, "csv");
    assert!(single.loss.is_empty());
    assert_eq!(write(&mut csv(b"\"sep=.\"\nx\n", &[]).unwrap(), "csv"), b"\"sep=.\"\nx\n");
    let mut numbers = csv(b"a,b\n1,2\n", &[("csv.types", "text")]).unwrap();
    let _ = write(&mut numbers, "csv");
    assert_eq!(numbers.loss[0].code, "csv.text-columns");
}

/// Facts as html5lib 1.1 states them.
#[test]
fn html_titles_are_those_of_html5lib() {
    for (name, title) in [
        ("html/aria-div-buttons.html", "ARIA div buttons"),
        ("html/bom_utf16le.html", "UTF-16LE Encoded Korean Page with BOM"),
        ("html/medium.html", "Medium HTML"),
        ("html/table-polymer-template.html", ""),
        ("html/testHTML.html", "Title : Test Indexation Html"),
    ] {
        assert_eq!(read(name).to_json()["facts"]["title"], title, "{name}");
    }
    assert_eq!(codes(&read("html/malformed/truncated.html")), ["html.truncated"]);
    assert_eq!(codes(&read("html/malformed/nul.html")), ["html.nul"]);
}

/// Values as numpy prints them.
/// A plain array of doubles.
fn array(shape: &str, values: &[f64]) -> MediaRecord {
    let head = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&u16::try_from(head.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(head.as_bytes());
    values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    let source = Source::from_bytes("a.npy", bytes);
    Registry::builtin().open(&source, &ReadOptions::default()).unwrap().next().unwrap().unwrap()
}

/// Where the SDK of wandb turns pictures black, wraps or squeezes them: its doings are in the comments.
#[test]
fn npy_pictures_have_one_rule_for_their_range() {
    let shown = |dtype: &str, values: &[f64], range: &str| {
        let head = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': (1, {}), }}\n", values.len());
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&u16::try_from(head.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(head.as_bytes());
        for value in values {
            match dtype {
                "<f8" => bytes.extend(value.to_le_bytes()),
                "<i4" => bytes.extend((*value as i32).to_le_bytes()),
                _ => bytes.extend((*value as u16).to_le_bytes()),
            }
        }
        let mut options = ReadOptions::default();
        options.options = vec![("npy.range".into(), range.into()), ("npy.as".into(), "image".into())];
        let source = Source::from_bytes("a.npy", bytes);
        let record = Registry::builtin().open(&source, &options)?.next().unwrap()?;
        let Media::Image(image) = &record.media else { panic!() };
        Ok::<_, mediary_core::Error>((image.range, codes(&record)))
    };
    let auto = |dtype: &str, values: &[f64]| shown(dtype, values, "auto").unwrap().0;
    // All black.
    assert_eq!(auto("<f8", &[0.0, 0.5, 1.0]), Some([0.0, 1.0]));
    // Mostly black, and -1 white.
    assert_eq!(auto("<f8", &[-1.0, 0.0, 0.5]), Some([-1.0, 1.0]));
    // One pixel of 1.0001 makes the rest black.
    let (range, codes) = shown("<f8", &[0.0, 0.5, 1.0001], "auto").unwrap();
    assert_eq!(
        (range, &codes[..2]),
        (Some([0.0, 1.0001]), &["npy.range-guess".to_owned(), "npy.range".to_owned()][..])
    );
    assert_eq!(auto("<f8", &[0.0, 17.0, 255.0]), Some([0.0, 255.0]));
    assert_eq!(auto("<f8", &[-3.0, f64::NAN, 9.0]), Some([-3.0, 9.0]));
    // 300 becomes 44.
    assert_eq!(auto("<i4", &[20.0, 300.0, 7.0]), Some([7.0, 300.0]));
    assert_eq!(auto("<i4", &[0.0, 1.0, 1.0]), Some([0.0, 1.0]));
    assert_eq!(auto("<i4", &[4000.0; 3]), Some([0.0, 4000.0]));
    // 4095 becomes 255, 256 becomes 0.
    assert_eq!(auto("<u2", &[0.0, 256.0, 4095.0]), None);
    // A mask of 0 and 1 is black.
    assert_eq!(auto("<u2", &[0.0, 1.0, 1.0]), Some([0.0, 1.0]));
    assert_eq!(auto("<u2", &[0.0, 0.0, 0.0]), None);
    assert_eq!(shown("<u2", &[0.0, 256.0, 4095.0], "0,4095").unwrap().0, Some([0.0, 4095.0]));
    assert_eq!(shown("<f8", &[0.0, 0.5, 0.7], "minmax").unwrap().0, Some([0.0, 0.7]));
    assert!(shown("<f8", &[0.0, 0.5, 0.7], "big").unwrap_err().message().contains("expected a rule or two numbers"));
}

#[test]
fn npy_arrays_become_what_they_are_of() {
    let Media::Image(image) = read("npy/chessboard_GRAY_U8.npy").media else { panic!() };
    let Samples::U8(samples) = image.samples() else { panic!() };
    assert_eq!((image.width(), image.height(), image.channels()), (200, 200, 1));
    assert_eq!(samples.iter().map(|&sample| u64::from(sample)).sum::<u64>(), 5_100_000);

    let Media::Image(image) = read("npy/f4_fortran.npy").media else { panic!() };
    let Samples::F32(samples) = image.samples() else { panic!() };
    assert_eq!((image.width(), image.height(), samples[1], samples[5], samples[14]), (5, 3, 0.25, 1.25, 3.5));

    let record = read("npy/bool_2d.npy");
    assert_eq!(codes(&record), ["npy.range"]);
    let Media::Image(image) = record.media else { panic!() };
    assert_eq!((image.samples(), image.range), (&Samples::U8(vec![1, 0, 1].into()), Some([0.0, 1.0])));

    let mut record = read("npy/structured_dtype_points.npy");
    let chunk = points(&mut record);
    assert_eq!(chunk.positions()[0], [63_701_224.0, 84_902_831.0, 43_166.0]);
    assert_eq!(chunk.attributes()[0].get(0), 68.0);
    record.media.drain().unwrap();
    let facts = record.to_json()["facts"].clone();
    assert_eq!(facts["points"], 1065);
    assert_eq!(facts["bounds"]["max"], json!([63_898_255.0, 85_353_543.0, 58_638.0]));
    assert_eq!(
        facts["attributes"],
        json!([
            "color",
            "intensity",
            "flag_byte",
            "raw_classification",
            "scan_angle_rank",
            "user_data",
            "pt_src_id",
            "gps_time"
        ])
    );

    assert_eq!(points(&mut read("npy/big_endian_f8.npy")).positions(), [[1.5, -2.0, 3.0], [4.0, 5.0, 6.25]]);
    let chunk = points(&mut read("npy/f2_n4.npy"));
    assert_eq!(
        (chunk.positions()[1], &chunk.attributes()[0]),
        ([1.0, 2.0, 3.0], &AttributeData::I32(vec![1, 2].into()))
    );
    let chunk = points(&mut read("npy/rgb_n6.npy"));
    assert_eq!(chunk.attributes()[0], AttributeData::U8(vec![255, 0, 1, 4, 5, 6].into()));

    let mut record = array("(2, 6)", &[0.5, 1.0, 2.0, 76.5, 127.25, 255.0, -1.0, 0.0, 0.0, 0.0, 1.0, 254.75]);
    assert_eq!(codes(&record), ["npy.byte-colors"]);
    let chunk = points(&mut record);
    let color = AttributeData::U8(vec![77, 127, 255, 0, 1, 255].into());
    let exact = AttributeData::F64(vec![76.5, 127.25, 255.0, 0.0, 1.0, 254.75].into());
    assert_eq!(chunk.attributes(), [color, exact]);
    let mut record = read("npy/clip_tchw.npy");
    let Media::Video(clip) = &mut record.media else { panic!() };
    let frames = clip.frames.as_mut().unwrap();
    frames.next_chunk().unwrap().unwrap();
    let second = frames.next_chunk().unwrap().unwrap().image;
    assert_eq!((second.width(), second.height(), second.channels()), (5, 4, 3));
    // a[1, :, 0, 0] and a[1, :, 0, 1]
    let Samples::U8(samples) = second.samples() else { panic!() };
    assert_eq!(samples[..6], [60, 80, 100, 61, 81, 101]);

    let mut record = read("npy/threedim.npy");
    assert_eq!(record.to_json()["facts"]["columns"][2], json!({"name": "Intensity", "type": "int64"}));
    assert_eq!(cells(&mut record).len(), 24);
    assert_eq!(cells(&mut read("npy/scalar.npy")), [[json!(7)]]);
    assert_eq!(cells(&mut read("npy/v2.npy")), [[json!(0)], [json!(1)], [json!(2)]]);
    let mut record = read("npy/v3.npy");
    assert_eq!(record.to_json()["facts"]["columns"][0]["name"], "größe");
    assert_eq!(cells(&mut record), [[json!(1), json!(2.5)]]);
    assert!(cells(&mut read("npy/empty.npy")).is_empty());
    // A field `p` of three floats is none of the names of positions: a table.
    assert_eq!(cells(&mut read("npy/aligned.npy"))[1], [json!(5), json!(6.0), json!(7.0), json!(8.0)]);
}

#[test]
fn npy_can_be_told_what_it_is_of() {
    let kind = |name, wanted| read_with(name, &[("npy.as", wanted)]).map(|record| record.kind().as_str());
    assert_eq!(kind("npy/big_endian_f8.npy", "image").unwrap(), "image");
    assert_eq!(kind("npy/big_endian_f8.npy", "table").unwrap(), "table");
    assert_eq!(kind("npy/clip_tchw.npy", "image").unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(kind("npy/scalar.npy", "point_cloud").unwrap_err().kind(), ErrorKind::Unsupported);
    let mut record = read_with("npy/v2.npy", &[("npy.as", "audio"), ("npy.sample_rate", "8000")]).unwrap();
    record.media.drain().unwrap();
    let facts = record.to_json()["facts"].clone();
    assert_eq!(
        (&facts["frames"], &facts["sample_rate"], &facts["codec"]),
        (&json!(3), &json!(8000), &json!("pcm_s16"))
    );
    let mut record = read("npy/malformed/u8_wide.npy");
    assert_eq!(record.media.drain().unwrap_err().kind(), ErrorKind::Unsupported);
}

/// An array of 32-bit floats, version 1.0.
fn npy(descr: &str, shape: &str, floats: &[f32]) -> Vec<u8> {
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend_from_slice(&u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    floats.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    bytes
}

/// Colours of arrays are those of a display, float colours of a record are linear light.
#[test]
fn npy_float_colors_keep_their_look() {
    let cloud = |descr: &str, shape: &str, floats: &[f32]| {
        let mut record = record_of(&source("a.npy", npy(descr, shape, floats)), &options(&[])).unwrap();
        let Media::PointCloud(cloud) = &record.media else { panic!() };
        let name = cloud.schema[0].name.clone();
        (name, points(&mut record).attributes()[0].clone(), codes(&record))
    };
    let (name, data, notes) = cloud("'<f4'", "(1, 6)", &[1.0, 2.0, 3.0, 54.0 / 255.0, 0.0, 1.0]);
    assert_eq!((name.as_str(), data, notes.len()), ("color", AttributeData::U8(vec![54, 0, 255].into()), 0));
    let (name, data, notes) = cloud("'<f4'", "(1, 6)", &[1.0, 2.0, 3.0, 0.2117, 0.0, 1.0]);
    assert_eq!((name.as_str(), notes), ("color", vec!["npy.linear-colors".to_owned()]));
    assert!((mediary_core::convert::linear_to_srgb(data.get(0)) - 0.2117).abs() < 1e-6 && data.get(2) == 1.0);
    let (name, data, _) =
        cloud("[('xyz', '<f4', (3,)), ('color', '<f4', (3,))]", "(1,)", &[1.0, 2.0, 3.0, 0.5, 0.5, 7.0]);
    assert_eq!((name.as_str(), data), ("rgb", AttributeData::F32(vec![0.5, 0.5, 7.0].into())));
}

#[test]
fn malformed_npy_is_an_error() {
    for (name, kind) in [
        ("short-data", ErrorKind::Malformed),
        ("huge-shape", ErrorKind::Malformed),
        ("bad-key", ErrorKind::Malformed),
        ("header-length", ErrorKind::Malformed),
        ("version-9", ErrorKind::Unsupported),
        ("object", ErrorKind::Unsupported),
        ("complex", ErrorKind::Unsupported),
    ] {
        assert_eq!(read_with(&format!("npy/malformed/{name}.npy"), &[]).unwrap_err().kind(), kind, "{name}");
    }
    assert_eq!(codes(&read("npy/malformed/trailing.npy")), ["npy.trailing-bytes"]);
}

/// `numpy.histogram` of 1000 numbers in 16 bins.
#[test]
fn histograms_read() {
    let record = read("histogram/normal16.histogram.json");
    let facts = json!({"bins": 16, "min": -3.251_438_415_496_538_3, "max": 2.571_668_882_910_292_7, "count": 1000.0});
    assert_eq!(record.to_json()["facts"], facts);
    assert!(record.source_is_canonical);
    let packed = json!({"bins": 4, "min": -2.0, "max": -1.0, "count": 6.5});
    assert_eq!(read("histogram/packed.histogram.json").to_json()["facts"], packed);
    for name in ["nan", "negative", "unsorted"] {
        let name = format!("histogram/malformed/{name}.histogram.json");
        assert_eq!(read_with(&name, &[]).unwrap_err().kind(), ErrorKind::Malformed, "{name}");
    }
}

#[test]
fn headers_agree_and_reading_twice_gives_the_same() {
    for name in GOOD {
        let source = source(name, bytes(name));
        let mut reading = Registry::builtin().open(&source, &ReadOptions::default()).unwrap();
        let header = reading.header_json().unwrap();
        let mut record = reading.next().unwrap().unwrap();
        record.media.drain().unwrap();
        assert!(reading.next().is_none(), "{name}");
        let full = record.to_json();
        for (fact, value) in header["facts"].as_object().unwrap() {
            assert_eq!(&full["facts"][fact], value, "{name}: {fact}");
        }
        let mut again = record_of(&source, &ReadOptions::default()).unwrap();
        again.media.drain().unwrap();
        assert_eq!(again.to_json(), full, "{name}");
    }
}

/// Each file is recognised by content alone, except tables of one column and the like.
#[test]
fn content_is_recognised_without_a_name() {
    for name in GOOD {
        let format = name.split('/').next().unwrap();
        let candidates = Registry::builtin().detect(&Source::from_bytes("", bytes(name))).candidates;
        assert_eq!(candidates.first().map(|found| found.format), Some(format), "{name}");
    }
    for text in [
        "# obj\nv 0 0 0\nv 1, 0, 0\nf 1 2 3\n",
        "OFF\n3 1 0\n0 0 0\n",
        "{\"a\": 1,\n\"b\": 2,\n\"c\": 3}\n",
        "2\ncomment\nC 0 0 0\nO 0 0 1\n",
        "<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
        "<?xml version=\"1.0\"?><gpx/>",
        "ATOM      1  N   ALA A   1      11.104   6.134  -6.504  1.00  0.00           N\n",
    ] {
        assert!(Registry::builtin().detect(&source("", text)).candidates.is_empty(), "{text:?}");
    }
}

/// Reads all records of broken bytes: an error, or a record; never a panic (which the registry turns into an error that says
/// the decoder gave up), never long.
fn survive(what: &str, name: &str, broken: Vec<u8>) -> bool {
    let begun = std::time::Instant::now();
    let source = source(name, broken);
    let format = name.split('/').next().unwrap();
    let mut forced = ReadOptions::default();
    forced.from = Some(format.to_owned());
    let mut silent = true;
    let mut check = |result: Result<()>| {
        if let Err(error) = result {
            assert!(!error.message().contains("gave up"), "{what} {name}: {error}");
            silent = false;
        }
    };
    match Registry::builtin().open(&source, &forced) {
        Err(error) => check(Err(error)),
        Ok(mut reading) => {
            check(reading.header().map(drop));
            for record in reading.by_ref() {
                check(record.and_then(|mut record| record.media.drain()));
            }
            silent &= reading.context().diagnostics().is_empty();
        }
    }
    assert!(begun.elapsed().as_secs() < 5, "{what} {name} takes too long");
    silent
}

#[test]
fn truncated_files_are_survived() {
    for name in GOOD {
        let whole = bytes(name);
        let even = (1..100).map(|part| whole.len() * part / 100);
        for end in (0..whole.len().min(64)).chain(even).filter(|&end| end < whole.len()) {
            let silent = survive(&format!("cut at {end}"), name, whole[..end].to_vec());
            // Text that ends early may be whole text; an array or a JSON object may not.
            let must_tell = name.starts_with("npy/") || (name.starts_with("histogram/") && end + 1 < whole.len());
            assert!(!(silent && must_tell), "{name} cut at {end} is read without a word");
        }
    }
}

#[test]
fn flipped_bytes_are_survived() {
    let mut state = 0x9E37_79B9_u32;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize
    };
    for name in GOOD {
        let whole = bytes(name);
        for round in 0..60 {
            let mut broken = whole.clone();
            for _ in 0..=round % 4 {
                // Most of the structure is in the first bytes.
                let at = random() % if round % 2 == 0 { whole.len() } else { whole.len().min(128) };
                broken[at] ^= 1 << (random() % 8);
            }
            survive(&format!("flip {round}"), name, broken);
        }
    }
}
