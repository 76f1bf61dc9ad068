//! The reader: columns of atoms straight into those of the record, other categories as rows of text.

use std::collections::VecDeque;

use mediary_core::{Context, Error, FormatReader, MediaRecord, Result, Source, SourceBytes};
use smol_str::{SmolStr, ToSmolStr as _};

use super::decode::{Element, Values, missing};
use crate::cif::block::{self, Block, is_kept};
use crate::cif::table::{Table, measured};
use crate::mmcif::atoms::{Build, Step};
use crate::mmcif::entry;
use crate::mmcif::row::{NUMBERS, PLACE, READ, Row, X};
use crate::msgpack::{Decoder, Value};
use crate::records::{Parse, Records};
use crate::text::{Findings, integer};

pub(super) fn open(source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
    let reader = Reader { cx: cx.clone(), next: 0, blocks: None, queue: VecDeque::new(), seen: None };
    Ok(Box::new(Records::new(source, cx, reader)))
}

struct Reader {
    cx: Context,
    /// Index of the next block, and the number of blocks, once it is known.
    next: usize,
    blocks: Option<usize>,
    /// Records of the block that was read last.
    queue: VecDeque<(MediaRecord, Findings)>,
    seen: Option<&'static str>,
}

impl Parse for Reader {
    fn next(&mut self, bytes: &SourceBytes) -> Result<Option<MediaRecord>> {
        if self.queue.is_empty() && self.blocks.is_none_or(|blocks| self.next < blocks) {
            self.read(bytes)?;
        }
        let Some((record, mut findings)) = self.queue.pop_front() else { return Ok(None) };
        findings.report(&self.cx)?;
        Ok(Some(record))
    }

    fn is_done(&self, _: &[u8]) -> bool {
        self.queue.is_empty() && self.blocks.is_some_and(|blocks| self.next >= blocks)
    }

    fn none(&self) -> Error {
        block::none(self.seen)
    }
}

impl Reader {
    /// Reads blocks up to the first with atoms.
    fn read(&mut self, bytes: &[u8]) -> Result<()> {
        let cx = self.cx.clone();
        let taken = cx.budget().taken();
        let mut decoder = Decoder::new(bytes, &cx);
        let file = decoder.value()?;
        // The file's own structure is gone when this ends.
        let structure = cx.budget().taken() - taken;
        let blocks = file.get("dataBlocks").and_then(Value::array);
        let blocks = blocks.ok_or_else(|| missing("dataBlocks", "an array", file.get("dataBlocks")))?;
        self.blocks = Some(blocks.len());
        if decoder.position() < bytes.len() && self.next == 0 {
            let left = bytes.len() - decoder.position();
            cx.warn("trailing-bytes", format!("{left} bytes behind the end are passed over"));
        }
        while self.queue.is_empty() && self.next < blocks.len() {
            let index = self.next;
            self.next += 1;
            let block =
                read_block(&blocks[index], &cx).map_err(|error| inside(error, &format!("dataBlocks[{index}]")))?;
            self.seen = self.seen.or(block.seen);
            block.finish(&mut self.queue, &cx)?;
        }
        cx.budget().give_back(structure);
        Ok(())
    }
}

/// Puts the path of what holds it before the element of an error.
fn inside(error: Error, path: &str) -> Error {
    match error.location().and_then(|location| location.element.clone()) {
        Some(element) => error.at_element(format!("{path}.{element}")),
        None => error.at_element(path.to_owned()),
    }
}

fn read_block(value: &Value<'_>, cx: &Context) -> Result<Block> {
    let header = value.get("header").and_then(Value::text).unwrap_or_default();
    let mut block = Block { name: header.to_owned(), ..Block::default() };
    let categories = value.get("categories").and_then(Value::array);
    for category in categories.ok_or_else(|| missing("categories", "an array", value.get("categories")))? {
        let name = category.get("name").and_then(Value::text);
        let name = name.ok_or_else(|| missing("name", "text", category.get("name")))?;
        let lower = name.trim_start_matches('_').to_ascii_lowercase();
        block.notice(&lower);
        if is_kept(&lower) {
            read_category(&mut block, lower, category, cx).map_err(|error| inside(error, name))?;
        }
    }
    Ok(block)
}

/// Names and data of the columns of a category.
fn columns<'v, 'a>(category: &'v Value<'a>) -> Result<Vec<(String, &'v Value<'a>)>> {
    let list = category.get("columns").and_then(Value::array);
    let list = list.ok_or_else(|| missing("columns", "an array", category.get("columns")))?;
    let named = |column: &'v Value<'a>| {
        let name = column.get("name").and_then(Value::text);
        Ok((name.ok_or_else(|| missing("name", "text", column.get("name")))?.to_ascii_lowercase(), column))
    };
    list.iter().map(named).collect()
}

fn read_category(block: &mut Block, name: String, category: &Value<'_>, cx: &Context) -> Result<()> {
    let rows = category.get("rowCount").and_then(Value::integer).and_then(|rows| usize::try_from(rows).ok());
    let rows = rows.ok_or_else(|| missing("rowCount", "a count", category.get("rowCount")))?;
    let columns = columns(category)?;
    let items: Vec<String> = columns.iter().map(|(item, _)| item.clone()).collect();
    if name == "atom_site" && rows > 0 && entry::is_macromolecular(&items, true) {
        return atoms(block, rows, &columns, cx);
    }
    let mut decoded = Vec::new();
    let taken = cx.budget().taken();
    for (item, column) in &columns {
        let column = Encoded::of(column, rows, cx).and_then(|column| column.all(cx));
        decoded.push(column.map_err(|error| inside(error, item))?);
    }
    let scratch = cx.budget().taken() - taken;
    let mut table = Table { items, rows: Vec::new() };
    for row in 0..rows {
        if row % 16_384 == 0 {
            cx.checkpoint()?;
        }
        table.add(decoded.iter().map(|column| column.shown(row)).collect(), cx)?;
    }
    cx.budget().give_back(scratch);
    block.tables.insert(name, table);
    Ok(())
}

/// Rows of macromolecular atoms.
fn atoms(block: &mut Block, rows: usize, columns: &[(String, &Value<'_>)], cx: &Context) -> Result<()> {
    cx.limits().check("elements", rows as u64)?;
    let taken = cx.budget().taken();
    let mut encoded = Vec::new();
    let place = |name: &str| columns.iter().find(|(item, _)| item == name);
    let axes = ["fract_x", "fract_y", "fract_z"];
    block.is_fractional = READ[X..X + 3].iter().any(|item| place(item).is_none());
    for (item, name) in READ.into_iter().enumerate() {
        let name = if block.is_fractional && (X..X + 3).contains(&item) { axes[item - X] } else { name };
        match place(name) {
            Some((_, column)) => {
                encoded.push((item, name, Encoded::of(column, rows, cx).map_err(|error| inside(error, name))?));
            }
            None if (X..X + 3).contains(&item) => {
                return Err(Error::unsupported("expected the columns Cartn_x, Cartn_y and Cartn_z, found fewer"));
            }
            None => {}
        }
    }
    let scratch = cx.budget().taken() - taken;
    let mut window = Window { encoded, blocks: VecDeque::new(), first: 0 };
    let mut build = Build::default();
    let (mut row, mut start) = (0, 0);
    loop {
        let step = if row < rows {
            if row % BLOCK == 0 {
                // Only a model behind the first may be gone through again.
                window.reach(row, if build.is_first() { row } else { start }, cx)?;
            }
            build.add(&window.site(row), 0, cx)?
        } else if build.close(cx) {
            break;
        } else {
            Step::Back
        };
        match step {
            Step::Begun => start = row,
            Step::Taken => {}
            Step::Here | Step::Back => {
                // Other atoms: another record, from the start of this model.
                row = if step == Step::Here { row } else { start };
                block.builds.push(std::mem::take(&mut build));
                continue;
            }
        }
        row += 1;
    }
    block.builds.push(build);
    window.end(cx)?;
    cx.budget().give_back(scratch);
    Ok(())
}

/// A column of values as it is encoded, with the mask that says which are none.
struct Encoded<'a> {
    data: Element<'a>,
    mask: Option<Element<'a>>,
    /// How many values there should be, and how many were decoded.
    rows: usize,
    row: usize,
}

impl<'a> Encoded<'a> {
    fn of(column: &Value<'a>, rows: usize, cx: &Context) -> Result<Self> {
        let data = column.get("data").ok_or_else(|| missing("data", "a map", None))?;
        let mask = column.get("mask").filter(|mask| **mask != Value::Nil);
        let mask = mask.map(|mask| Element::of(mask, cx)).transpose()?;
        Ok(Self { data: Element::of(data, cx)?, mask, rows, row: 0 })
    }

    /// The values of the next block.
    fn next(&mut self) -> Result<Column> {
        let count = BLOCK.min(self.rows - self.row);
        let values = self.data.next(count)?;
        let mask = self.mask.as_mut().map(|mask| mask.next(count)).transpose()?;
        self.column(values, mask, count)
    }

    /// All values.
    fn all(mut self, cx: &Context) -> Result<Column> {
        let values = self.data.all(cx)?;
        let mask = self.mask.as_mut().map(|mask| mask.all(cx)).transpose()?;
        self.column(values, mask, self.rows)
    }

    /// `count` values, behind those before.
    fn column(&mut self, values: Values, mask: Option<Values>, count: usize) -> Result<Column> {
        if values.len() != count {
            return Err(self.wrong("values", values.len()));
        }
        let mask = match mask {
            None => None,
            Some(Values::Integers(mask)) if mask.len() == count => Some(mask),
            Some(other) => return Err(self.wrong("integers of a mask", other.len())),
        };
        self.row += count;
        Ok(Column { values, mask: mask.filter(|mask| mask.iter().any(|&value| value != 0)) })
    }

    /// Holds it to have no values behind the last row.
    fn end(&mut self) -> Result<()> {
        let more = self.data.next(1)?.len();
        if more > 0 {
            return Err(self.wrong("values", more));
        }
        match self.mask.as_mut().map_or(Ok(0), |mask| mask.next(1).map(|more| more.len()))? {
            0 => Ok(()),
            more => Err(self.wrong("integers of a mask", more)),
        }
    }

    fn wrong(&self, what: &str, found: usize) -> Error {
        Error::malformed(format!("expected {} {what}, found {} or more", self.rows, self.row + found))
    }
}

/// Values of a column, with the mask that says which are none.
struct Column {
    values: Values,
    /// 1 for `.`, 2 for `?`.
    mask: Option<Vec<i32>>,
}

impl Column {
    /// 0 where a value is given.
    fn masked(&self, row: usize) -> i32 {
        self.mask.as_ref().map_or(0, |mask| mask[row])
    }

    /// A value as mmCIF writes it.
    fn shown(&self, row: usize) -> Option<SmolStr> {
        if self.masked(row) != 0 {
            return None;
        }
        match &self.values {
            Values::Integers(values) => Some(values[row].to_smolstr()),
            Values::Reals(values, true) => Some((values[row] as f32).to_smolstr()),
            Values::Reals(values, false) => Some(values[row].to_smolstr()),
            Values::Texts(texts, indices) => usize::try_from(indices[row]).ok().map(|index| texts[index].clone()),
        }
    }

    /// Numbers as texts: one a run of the same.
    fn into_text(self) -> Self {
        let values = match self.values {
            Values::Integers(values) => by_runs(&values, |value| value.to_smolstr()),
            Values::Reals(values, _) => by_runs(&values, |value| value.to_smolstr()),
            texts @ Values::Texts(..) => texts,
        };
        Self { values, mask: self.mask }
    }
}

fn by_runs<T: PartialEq>(values: &[T], shown: impl Fn(&T) -> SmolStr) -> Values {
    let (mut texts, mut indices) = (Vec::new(), Vec::with_capacity(values.len()));
    for (row, value) in values.iter().enumerate() {
        if row == 0 || values[row - 1] != *value {
            texts.push(shown(value));
        }
        indices.push(texts.len() as i32 - 1);
    }
    Values::Texts(texts.into(), indices)
}

/// Rows that are decoded at once.
const BLOCK: usize = 4096;
/// Bytes of memory that a value of them takes with its mask, at most.
const VALUE_BYTES: usize = size_of::<SmolStr>() + 2 * size_of::<i32>();

/// Rows of atoms as they come to hand.
struct Window<'a> {
    /// Columns, by the items of [`READ`], with their names.
    encoded: Vec<(usize, &'static str, Encoded<'a>)>,
    blocks: VecDeque<Sites>,
    /// Row that the first block begins with.
    first: usize,
}

impl Window<'_> {
    /// Brings the block that begins with `row` to hand, and lets go of those before the one of `needed`.
    fn reach(&mut self, row: usize, needed: usize, cx: &Context) -> Result<()> {
        cx.checkpoint()?;
        let memory = (self.encoded.len() * BLOCK * VALUE_BYTES) as u64;
        while self.first + BLOCK <= needed && self.blocks.pop_front().is_some() {
            cx.budget().give_back(memory);
            self.first += BLOCK;
        }
        if row < self.first + self.blocks.len() * BLOCK {
            return Ok(());
        }
        cx.budget().take(memory)?;
        let mut columns = [const { None }; READ.len()];
        for (item, name, encoded) in &mut self.encoded {
            let column = encoded.next().map_err(|error| inside(error, name))?;
            columns[*item] = Some(if NUMBERS.contains(item) { column } else { column.into_text() });
        }
        self.blocks.push_back(Sites::of(columns));
        Ok(())
    }

    fn site(&self, row: usize) -> Site<'_> {
        let row = row - self.first;
        Site { sites: &self.blocks[row / BLOCK], row: row % BLOCK }
    }

    /// Holds all columns to end with the last row.
    fn end(mut self, cx: &Context) -> Result<()> {
        self.encoded
            .iter_mut()
            .try_for_each(|(_, name, encoded)| encoded.end().map_err(|error| inside(error, name)))?;
        cx.budget().give_back((self.blocks.len() * self.encoded.len() * BLOCK * VALUE_BYTES) as u64);
        Ok(())
    }
}

/// The columns of a block of atoms, by the items of [`READ`].
struct Sites {
    columns: [Option<Column>; READ.len()],
    /// Whether each row is known to be of the same residue as the row before.
    continues: Vec<bool>,
}

impl Sites {
    fn of(columns: [Option<Column>; READ.len()]) -> Self {
        let mut continues = vec![true; BLOCK];
        continues[0] = false;
        for column in PLACE.iter().filter_map(|&item| columns[item].as_ref()) {
            let mut mark = |values: &[i32]| {
                for (flag, pair) in continues[1..].iter_mut().zip(values.windows(2)) {
                    *flag &= pair[0] == pair[1];
                }
            };
            if let Values::Texts(_, indices) = &column.values {
                mark(indices);
            }
            if let Some(mask) = &column.mask {
                mark(mask);
            }
        }
        Self { columns, continues }
    }
}

/// A row of them.
struct Site<'s> {
    sites: &'s Sites,
    row: usize,
}

impl Site<'_> {
    /// The column of an item, where a value is given.
    fn given(&self, item: usize) -> Option<&Column> {
        self.sites.columns[item].as_ref().filter(|column| column.masked(self.row) == 0)
    }

    /// A text of a column.
    fn string(&self, item: usize) -> Option<&SmolStr> {
        let Values::Texts(texts, indices) = &self.given(item)?.values else { return None };
        texts.get(usize::try_from(indices[self.row]).ok()?)
    }
}

impl Row for Site<'_> {
    fn has(&self, item: usize) -> bool {
        self.sites.columns[item].is_some()
    }

    fn is_unknown(&self, item: usize) -> bool {
        self.sites.columns[item].as_ref().is_none_or(|column| {
            let is_text = matches!(column.values, Values::Texts(..));
            column.masked(self.row) == 2 || (is_text && column.masked(self.row) == 0 && self.string(item).is_none())
        })
    }

    fn text(&self, item: usize) -> &[u8] {
        self.string(item).map_or(b"", |text| text.as_bytes())
    }

    fn word(&self, item: usize) -> SmolStr {
        self.string(item).cloned().unwrap_or_default()
    }

    fn integer(&self, item: usize) -> Option<i64> {
        match &self.given(item)?.values {
            Values::Integers(values) => Some(values[self.row].into()),
            Values::Reals(values, _) => {
                Some(values[self.row]).filter(|value| value.fract() == 0.0).map(|value| value as i64)
            }
            Values::Texts(..) => integer(self.text(item)),
        }
    }

    fn number(&self, item: usize) -> Option<f64> {
        match &self.given(item)?.values {
            Values::Integers(values) => Some(values[self.row].into()),
            Values::Reals(values, _) => Some(values[self.row]).filter(|value| value.is_finite()),
            Values::Texts(..) => measured(self.text(item)),
        }
    }

    fn continues(&self) -> bool {
        self.sites.continues[self.row]
    }

    fn is_missing(&self, item: usize) -> bool {
        match self.given(item) {
            None => true,
            Some(column) => matches!(column.values, Values::Texts(..)) && self.text(item).is_empty(),
        }
    }
}
