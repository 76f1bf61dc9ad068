//! The rows of PLY, read column by column in bounded pieces, whatever they hold and however they are written.

use mediary_core::record::{AttributeData, ScalarType};
use mediary_core::{Context, Error, ErrorKind, Location, Result, Source};

use super::header::{Element, Encoding, Header, Property, size};
use crate::columns::{append, gather, holds, typed};
use crate::parallel::{TEXT, of_lines};
use crate::text::{Scanner, plain_line};

/// Bytes read at once.
const WINDOW: usize = 1 << 20;
/// Longest row of the usual faces.
const LONG_ROW: usize = 1 + 255 * 4;
/// Most rows of a piece, and about the most bytes of one.
const PIECE_ROWS: u64 = 1 << 16;
const PIECE_BYTES: u64 = 4 << 20;

/// Values of one property in some rows.
#[derive(Clone)]
pub(super) enum Column {
    /// One a row.
    Scalars(AttributeData),
    /// Lengths, and the values end to end.
    List { sizes: Vec<u32>, values: AttributeData },
    /// Not wanted.
    Skipped,
}

impl Column {
    fn new(property: &Property, wanted: bool, rows: usize) -> Self {
        match (wanted, property.list) {
            (false, _) => Self::Skipped,
            (true, None) => Self::Scalars(AttributeData::with_capacity(property.scalar, rows)),
            (true, Some(_)) => Self::List {
                sizes: Vec::with_capacity(rows),
                values: AttributeData::with_capacity(property.scalar, rows),
            },
        }
    }

    /// One of the same kind without rows.
    fn fresh(&self) -> Self {
        match self {
            Self::Scalars(values) => Self::Scalars(AttributeData::with_capacity(values.scalar(), 0)),
            Self::List { values, .. } => {
                Self::List { sizes: Vec::new(), values: AttributeData::with_capacity(values.scalar(), 0) }
            }
            Self::Skipped => Self::Skipped,
        }
    }

    /// Adds the rows of one of the same kind.
    fn append(&mut self, other: Self) {
        match (self, other) {
            (Self::Scalars(all), Self::Scalars(own)) => append(all, own),
            (Self::List { sizes: all_sizes, values: all }, Self::List { sizes, values }) => {
                all_sizes.extend(sizes);
                append(all, values);
            }
            _ => {}
        }
    }

    /// Cuts back to whole rows.
    fn truncate(&mut self, rows: usize) {
        match self {
            Self::Scalars(values) => truncate(values, rows),
            Self::List { sizes, values } => {
                sizes.truncate(rows);
                truncate(values, sizes.iter().map(|&size| size as usize).sum());
            }
            Self::Skipped => {}
        }
    }
}

/// Some rows.
pub(super) struct Rows {
    pub(super) columns: Vec<Column>,
    pub(super) count: usize,
    /// The input ended or broke off here: there is no further row.
    pub(super) cut: bool,
    /// Bytes taken from the budget for lists: give them back with the rows.
    pub(super) charged: u64,
}

fn truncate(values: &mut AttributeData, count: usize) {
    typed!(values, values: _T => values.to_mut().truncate(count));
}

/// One number.
fn decode(scalar: ScalarType, bytes: &[u8], big: bool) -> f64 {
    let mut value = AttributeData::with_capacity(scalar, 1);
    gather(&mut value, bytes, bytes.len(), 0, big);
    value.get(0)
}

/// A position in the rows of a file.
pub(super) struct Body {
    source: Source,
    cx: Context,
    encoding: Encoding,
    end_of_line: u8,
    buffer: Vec<u8>,
    start: usize,
    /// Offset in the source behind the buffer.
    next: u64,
    line: u64,
}

impl Body {
    pub(super) fn new(source: &Source, header: &Header, cx: &Context) -> Self {
        Self {
            source: source.clone(),
            cx: cx.clone(),
            encoding: header.encoding,
            end_of_line: if header.cr { b'\r' } else { b'\n' },
            buffer: Vec::new(),
            start: 0,
            next: header.body,
            line: header.line,
        }
    }

    fn buffered(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn offset(&self) -> u64 {
        self.next - self.buffered() as u64
    }

    fn left(&self) -> u64 {
        self.source.len().saturating_sub(self.offset())
    }

    fn place(&self) -> Location {
        if self.encoding == Encoding::Ascii { Location::line(self.line) } else { Location::byte(self.offset()) }
    }

    /// Has at least `count` bytes buffered; `false` when the input ends before.
    fn fill(&mut self, count: usize) -> Result<bool> {
        if self.buffered() >= count {
            return Ok(true);
        }
        if count as u64 > self.left() {
            return Ok(false);
        }
        self.cx.checkpoint()?;
        self.buffer.drain(..self.start);
        self.start = 0;
        let kept = self.buffer.len();
        self.buffer.resize(count.max(WINDOW), 0);
        let read = self.source.read_at(self.next, &mut self.buffer[kept..])?;
        self.buffer.truncate(kept + read);
        self.next += read as u64;
        Ok(self.buffered() >= count)
    }

    /// The next line that is not blank, as a range of the buffer.
    fn next_line(&mut self) -> Result<Option<std::ops::Range<usize>>> {
        let mut searched = 0;
        loop {
            let fresh = &self.buffer[self.start + searched..];
            let found = fresh.iter().position(|&byte| byte == self.end_of_line);
            let length = match found {
                Some(at) => searched + at,
                None => {
                    searched = self.buffered();
                    self.cx
                        .limits()
                        .check("string_bytes", searched as u64)
                        .map_err(|error| error.at_line(self.line))?;
                    if self.fill(searched + 1)? {
                        continue;
                    }
                    if searched == 0 {
                        return Ok(None);
                    }
                    searched
                }
            };
            let line = self.start..self.start + length;
            self.start = (line.end + 1).min(self.buffer.len());
            self.line += 1;
            searched = 0;
            if !self.buffer[line.clone()].trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    /// Rows of a piece of `element`.
    fn piece(element: &Element) -> u64 {
        (PIECE_BYTES / element.least_bytes().max(1)).clamp(1, PIECE_ROWS)
    }

    /// Checks an announced number of rows against what is left: the number that can be read, which is less only when lenient.
    pub(super) fn available(&self, element: &Element) -> Result<u64> {
        let least = match self.encoding {
            // A digit and a blank a value; the last line may lack its end.
            Encoding::Ascii => element.properties.len() as u64 * 2,
            _ => element.least_bytes(),
        };
        let left = self.left() + u64::from(self.encoding == Encoding::Ascii);
        let there = left.checked_div(least).unwrap_or(element.count).min(element.count);
        if there < element.count {
            let error = Error::malformed(format!(
                "element {:?} announces {} rows, at most {there} are there",
                element.name, element.count
            ))
            .at(self.place())
            .with_hint("the file is cut short or its count is wrong");
            self.cx.unless_lenient("truncated", error)?;
        }
        if !element.properties.is_empty() {
            self.cx.limits().check("elements", there).map_err(|error| error.at(self.place()))?;
        }
        Ok(there)
    }

    /// The next rows of `element`, at most `left` and a piece. Fewer than asked for, with a finding, when the input ends.
    pub(super) fn rows(&mut self, element: &Element, wanted: &[bool], done: u64, left: u64) -> Result<Rows> {
        let most = left.min(Self::piece(element)) as usize;
        let columns =
            element.properties.iter().zip(wanted).map(|(property, &wanted)| Column::new(property, wanted, most));
        let mut rows = Rows { columns: columns.collect(), count: 0, cut: false, charged: 0 };
        if element.properties.is_empty() {
            rows.count = most;
            return Ok(rows);
        }
        let read = match self.encoding {
            Encoding::Ascii => self.ascii_rows(element, &mut rows, most),
            _ if element.has_lists() => self.listed_rows(element, &mut rows, most),
            _ => self.plain_rows(element, &mut rows, most),
        };
        rows.cut = match read {
            Ok(cut) => cut,
            Err(error) if error.kind() == ErrorKind::Malformed => {
                self.cx.unless_lenient("bad-row", error)?;
                true
            }
            Err(error) => return Err(error),
        };
        let count = rows.count;
        rows.columns.iter_mut().for_each(|column| column.truncate(count));
        if rows.cut {
            let error = Error::malformed(format!(
                "element {:?} announces {} rows, found {}",
                element.name,
                element.count,
                done + count as u64
            ))
            .at(self.place())
            .with_hint("the file is cut short or its count is wrong");
            self.cx.unless_lenient("truncated", error)?;
        }
        Ok(rows)
    }

    /// Binary rows of one length: column by column. Whether the input ended early.
    fn plain_rows(&mut self, element: &Element, rows: &mut Rows, most: usize) -> Result<bool> {
        let stride = element.least_bytes() as usize;
        let count = most.min(usize::try_from(self.left() / stride as u64).unwrap_or(usize::MAX));
        self.fill(count * stride)?;
        let bytes = &self.buffer[self.start..self.start + count * stride];
        let mut offset = 0;
        for (column, property) in rows.columns.iter_mut().zip(&element.properties) {
            if let Column::Scalars(values) = column {
                gather(values, bytes, stride, offset, self.encoding == Encoding::Big);
            }
            offset += size(property.scalar) as usize;
        }
        self.start += count * stride;
        rows.count = count;
        Ok(count < most)
    }

    /// Binary rows with lists: row by row.
    fn listed_rows(&mut self, element: &Element, rows: &mut Rows, most: usize) -> Result<bool> {
        let big = self.encoding == Encoding::Big;
        while rows.count < most {
            // The last rows of the buffer, and of the file, go the long way.
            self.fill(WINDOW.min(usize::try_from(self.left()).unwrap_or(WINDOW)).min(LONG_ROW))?;
            self.short_lists(element, rows, most);
            if rows.count == most {
                break;
            }
            for (column, property) in rows.columns.iter_mut().zip(&element.properties) {
                let item = size(property.scalar) as usize;
                let mut count = 1;
                if let Some(length) = property.list {
                    let bytes = size(length) as usize;
                    if !self.fill(bytes)? {
                        return Ok(true);
                    }
                    let found = match &self.buffer[self.start..self.start + bytes] {
                        [length_byte] if length == ScalarType::U8 => f64::from(*length_byte),
                        found => decode(length, found, big),
                    };
                    count = list_length(found).map_err(|error| error.at(self.place()))?;
                    self.start += bytes;
                }
                let Some(bytes) = count.checked_mul(item).filter(|&bytes| bytes as u64 <= self.left()) else {
                    return Ok(true);
                };
                if bytes > WINDOW && matches!(column, Column::Skipped) {
                    self.skip_bytes(bytes as u64);
                    continue;
                }
                if !self.fill(bytes)? {
                    return Ok(true);
                }
                let found = &self.buffer[self.start..self.start + bytes];
                match column {
                    Column::Scalars(values) => gather(values, found, item, 0, big),
                    Column::List { sizes, values } => {
                        if bytes > 1 << 10 {
                            self.cx.budget().take(bytes as u64 * 2)?;
                            rows.charged += bytes as u64 * 2;
                        }
                        gather(values, found, item, 0, big);
                        sizes.push(count as u32);
                    }
                    Column::Skipped => {}
                }
                self.start += bytes;
            }
            rows.count += 1;
        }
        Ok(false)
    }

    /// Takes the buffered rows of the usual faces: nothing but a list of 32-bit integers whose length is a byte, little-endian.
    fn short_lists(&mut self, element: &Element, rows: &mut Rows, most: usize) {
        let [Property { list: Some(ScalarType::U8), .. }] = element.properties[..] else { return };
        let [Column::List { sizes, values }] = &mut rows.columns[..] else { return };
        if self.encoding == Encoding::Big {
            return;
        }
        match values {
            AttributeData::I32(values) => {
                let words = values.to_mut();
                self.start += take_lists(&self.buffer[self.start..], most - rows.count, sizes, |item| {
                    words.push(i32::from_le_bytes(item));
                });
            }
            AttributeData::U32(values) => {
                let words = values.to_mut();
                self.start += take_lists(&self.buffer[self.start..], most - rows.count, sizes, |item| {
                    words.push(u32::from_le_bytes(item));
                });
            }
            _ => {}
        }
        rows.count = sizes.len();
    }

    /// Takes the rows of buffered lines that hold their numbers and nothing else. Returns where those end that were looked at.
    fn plain_lines(&mut self, element: &Element, rows: &mut Rows, most: usize) -> Result<u64> {
        self.fill(TEXT.min(usize::try_from(self.left()).unwrap_or(TEXT)))?;
        let fresh: Vec<_> = rows.columns.iter().map(Column::fresh).collect();
        let taken = of_lines(&self.buffer[self.start..], most - rows.count, &self.cx, |text| {
            Lines::take(text, element, fresh.clone())
        })?;
        let seen = self.offset() + taken.seen as u64;
        self.start += taken.bytes;
        for lines in taken.parts {
            self.line += lines.count as u64;
            rows.count += lines.count;
            rows.columns.iter_mut().zip(lines.columns).for_each(|(all, own)| all.append(own));
        }
        Ok(seen)
    }

    /// A row a line.
    fn ascii_rows(&mut self, element: &Element, rows: &mut Rows, most: usize) -> Result<bool> {
        // Each line is looked at twice at most.
        let mut seen = self.offset();
        while rows.count < most {
            if self.end_of_line == b'\n' && self.offset() >= seen {
                seen = self.plain_lines(element, rows, most)?.max(self.offset() + 1);
                continue;
            }
            let line = self.line;
            let Some(range) = self.next_line()? else { return Ok(true) };
            // Blank lines before it were counted as well.
            let line = line.max(self.line - 1);
            let mut scanner = Scanner::new(&self.buffer[range]);
            let mut odd = None;
            let mut next = |scanner: &mut Scanner<'_>, property: &Property, scalar: ScalarType| {
                let Some(value) = scanner.number() else {
                    let found = crate::text::decode(scanner.word()).chars().take(40).collect::<String>();
                    return Err(Error::malformed(format!(
                        "expected a number for {:?}, found {found:?}",
                        property.name
                    ))
                    .at_line(line));
                };
                if !holds(scalar, value) {
                    odd.get_or_insert_with(|| format!("{value} does not fit the type of {:?}", property.name));
                }
                Ok(value)
            };
            for (column, property) in rows.columns.iter_mut().zip(&element.properties) {
                let Some(length) = property.list else {
                    let value = next(&mut scanner, property, property.scalar)?;
                    if let Column::Scalars(values) = column {
                        values.push(value);
                    }
                    continue;
                };
                let count = list_length(next(&mut scanner, property, length)?).map_err(|error| error.at_line(line))?;
                if let Column::List { sizes, .. } = column {
                    sizes.push(count as u32);
                }
                for _ in 0..count {
                    let value = next(&mut scanner, property, property.scalar)?;
                    if let Column::List { values, .. } = column {
                        values.push(value);
                    }
                }
                if count > 1 << 8 {
                    self.cx.budget().take(count as u64 * 16)?;
                    rows.charged += count as u64 * 16;
                }
            }
            if let Some(message) = odd {
                self.cx.tolerate("out-of-range", message, Location::line(line))?;
            }
            if !scanner.word().is_empty() {
                let message = format!("a row of {:?} has more values than properties", element.name);
                self.cx.tolerate("extra-values", message, Location::line(line))?;
            }
            rows.count += 1;
        }
        Ok(false)
    }

    fn skip_bytes(&mut self, bytes: u64) {
        let buffered = self.buffered() as u64;
        if bytes <= buffered {
            self.start += bytes as usize;
        } else {
            self.next += bytes - buffered;
            self.buffer.clear();
            self.start = 0;
        }
    }

    /// Steps over the rows of an element.
    pub(super) fn skip(&mut self, element: &Element) -> Result<()> {
        if element.properties.is_empty() {
            return Ok(());
        }
        let count = self.available(element)?;
        if self.encoding != Encoding::Ascii && !element.has_lists() {
            self.skip_bytes(count * element.least_bytes());
            return Ok(());
        }
        let wanted = vec![false; element.properties.len()];
        let mut done = 0;
        while done < count {
            let rows = self.rows(element, &wanted, done, count - done)?;
            if rows.count == 0 {
                break;
            }
            done += rows.count as u64;
        }
        Ok(())
    }

    /// Reports what follows the last row.
    pub(super) fn finish(&mut self) -> Result<()> {
        let place = self.place();
        let last = self.start.checked_sub(1).and_then(|last| self.buffer.get(last));
        if self.encoding == Encoding::Ascii && self.left() == 0 && last.is_some_and(|&byte| byte != self.end_of_line) {
            self.cx.note("no-final-newline", "the last row has no end of line: the file may be cut short");
        }
        let trailing = match self.encoding {
            Encoding::Ascii => self.next_line()?.is_some(),
            _ => self.left() > 0,
        };
        if trailing {
            self.cx.tolerate("trailing-bytes", "the file goes on behind its last row", place)
        } else {
            Ok(())
        }
    }
}

/// Rows of text, a line each.
struct Lines {
    columns: Vec<Column>,
    count: usize,
}

impl Lines {
    /// The rows before the first that is odd in any way: another number of values, or one that is none of its type. And the
    /// bytes they take.
    fn take(text: &[u8], element: &Element, mut columns: Vec<Column>) -> (Self, usize) {
        let (mut count, mut bytes) = (0, 0);
        let mut values = Vec::new();
        while let Some(end) = plain_line(text, bytes, &mut values) {
            if !fits(element, &values) {
                break;
            }
            let mut rest = &values[..];
            for (column, property) in columns.iter_mut().zip(&element.properties) {
                let length = if property.list.is_some() { rest[0] as usize } else { 1 };
                let (own, after) = rest[usize::from(property.list.is_some())..].split_at(length);
                rest = after;
                match column {
                    Column::Scalars(values) => values.push(own[0]),
                    Column::List { sizes, values } => {
                        sizes.push(length as u32);
                        own.iter().for_each(|&value| values.push(value));
                    }
                    Column::Skipped => {}
                }
            }
            count += 1;
            bytes = end;
        }
        (Self { columns, count }, bytes)
    }
}

/// Whether these are the values of a row, with lists of usual lengths.
fn fits(element: &Element, values: &[f64]) -> bool {
    let mut rest = values;
    for property in &element.properties {
        let mut length = 1;
        if property.list.is_some() {
            let Some((&given, after)) = rest.split_first() else { return false };
            if !(0.0..=255.0).contains(&given) || given.fract() != 0.0 {
                return false;
            }
            (length, rest) = (given as usize, after);
        }
        let Some((own, after)) = rest.split_at_checked(length) else { return false };
        if !own.iter().all(|&value| holds(property.scalar, value)) {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

/// Takes whole lists of items of 4 bytes behind a length of one, at most `most`; returns the bytes they took.
fn take_lists(bytes: &[u8], most: usize, sizes: &mut Vec<u32>, mut add: impl FnMut([u8; 4])) -> usize {
    let mut at = 0;
    for _ in 0..most {
        let Some(&size) = bytes.get(at) else { break };
        let Some(items) = bytes.get(at + 1..at + 1 + usize::from(size) * 4) else { break };
        items.as_chunks::<4>().0.iter().for_each(|&item| add(item));
        sizes.push(size.into());
        at += 1 + items.len();
    }
    at
}

fn list_length(value: f64) -> Result<usize> {
    if value >= 0.0 && value <= f64::from(u32::MAX) && value.fract() == 0.0 {
        Ok(value as usize)
    } else {
        Err(Error::malformed(format!("expected the length of a list, found {value}")))
    }
}
