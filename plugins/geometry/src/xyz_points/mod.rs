//! XYZ points: a point a line, as text. Also Leica's PTS and what CloudCompare, Agisoft, MeshLab and PDAL write.
//!
//! There is no specification but the habits of programs; CloudCompare's are written down at
//! <https://www.cloudcompare.org/doc/wiki/index.php/FILE_I/O>. The molecules of `xyz` are another format: they have a count, a comment
//! and symbols of elements.
//!
//! | line | read as |
//! |---|---|
//! | `# …`, `% …`, `// …` | a comment; one that names `X`, `Y` and `Z` names the columns (`//X Y Z R G B`) |
//! | words before the first row, `"X","Y","Z"` | the names of the columns |
//! | one whole number before a row | the number of points that follow (PTS; several scans may follow each other) |
//! | 3 or more numbers | a point: as many columns in every row, between them blanks, or a comma or a semicolon |
//!
//! Names become lower case; `r g b [a]` (`red`, `Rf`, …) are `color`, `nx ny nz` are `normal`, `classification` is `category`.
//! Without names the first three columns are the position, and the rest is found by looking at the first rows:
//!
//! | columns | taken for |
//! |---|---|
//! | 4 | `intensity` |
//! | 6 | `normal` where all have unit length; `color` where all are whole numbers up to 255 or 65535, or lie from 0 to 1 |
//! | 7 | `intensity` and `color` (PTS), or `color` and a further column |
//! | 9, 10 | `color` and `normal` in either order, with a further column between them |
//!
//! Other columns are `column_4` and so on. Colours are `u8` or `u16` by their first rows, floats where those are 0 to 1; everything
//! else is `f64`. Colours that later rows hold and that do not fit are rounded and clamped (`color`).
//!
//! Written: `X Y Z` and every attribute, the shortest digits that read back, with a line `//X Y Z …` of names. Lost, with a code
//! each: `attribute-types` (all numbers but colours are read back as `f64`), `attribute-shapes`, `attribute-names`, `precision`,
//! `names` (without header), `boxes`, `vectors`, `scene-type`, `crs`, `properties`.
//!
//! Findings: `empty`, `by-content` (neither names nor the extension say that the numbers are points), `non-finite-token`, `color`, `count`, `names`, `scans`, `comments`, `no-final-newline`. Rows of different lengths and words
//! among numbers are errors; lenient ends the cloud before them (`bad-row`). A count that is not met is an error; lenient reads what
//! is there.

mod head;
mod layout;
mod read;
mod write;

use mediary_core::{
    Confidence, Context, Error, Feature, Format, FormatInfo, FormatReader, Header, Kind, Media, MediaRecord,
    OptionSpec, OptionType, Output, Probe, Result, Source, single,
};

use head::Head;

use crate::text::Digits;

const INFO: FormatInfo = FormatInfo::new("xyz-points", "XYZ points (also PTS, ASC)", &[Kind::PointCloud])
    .extensions(&["xyz", "pts", "asc", "xyzrgb", "xyzn", "xyzi"])
    .media_types(&["text/plain"])
    .probes_without_signature()
    .reads()
    .writes(&[Feature::Colors, Feature::DoublePrecision])
    .options(&[
        Digits::OPTION,
        OptionSpec::write(
            "separator",
            OptionType::Choice(&["space", "tab", "comma", "semicolon"]),
            "space",
            "What stands between columns.",
        ),
        OptionSpec::write("header", OptionType::Bool, "true", "Whether the first line names the columns."),
    ])
    .spec("https://www.cloudcompare.org/doc/wiki/index.php/FILE_I/O");

struct XyzPoints;

mediary_core::register!(XyzPoints);

impl Format for XyzPoints {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        if !probe.looks_like_text() {
            return Confidence::No;
        }
        let Ok(head) = Head::read(probe.head, probe.is_whole()) else { return Confidence::No };
        let rows = head.rows();
        let columns = head.width;
        if columns == 0 && head.commented && probe.is_whole() {
            return Confidence::yes(60, "names of coordinates without points");
        }
        if columns < 3 || rows == 0 {
            return Confidence::No;
        }
        if head.ragged {
            return Confidence::yes(20, "rows of numbers of different lengths");
        }
        let named = head.names.is_some();
        match head.separator {
            _ if head.commented => Confidence::yes(100, "rows of numbers under names of coordinates"),
            // Tables of numbers look the same: the extension decides between them, so the score is that of a table.
            b',' if columns > 2 && rows + usize::from(named) > 2 => Confidence::yes(55, "rows of numbers"),
            b',' | b';' => Confidence::yes(40, "rows of numbers"),
            _ if named => Confidence::yes(100, "rows of numbers under names of coordinates"),
            _ if head.count.is_some() => Confidence::yes(100, "a count of points and rows of numbers"),
            _ if columns > 16 || rows < 2 => Confidence::yes(20, "rows of numbers"),
            _ => Confidence::yes(50, format!("rows of {columns} numbers")),
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let record = read::read(source, cx)?;
        let facts = record.facts();
        Ok(single(move || Ok(Header::single(facts.clone())), move || Ok(record)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        cx.lose("properties", record.properties.len() as u64, "properties of the record");
        match &mut record.media {
            Media::PointCloud(cloud) => write::write(cloud, out, cx),
            other => Err(Error::unsupported(format!("XYZ holds points, not {}", other.kind()))),
        }
    }
}

#[cfg(test)]
mod tests;
