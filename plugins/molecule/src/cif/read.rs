//! The reader of every CIF: data blocks one after the other, each by what it holds. Rows of macromolecular atoms go straight into
//! columns, smaller categories are kept until the block ends.

use std::collections::VecDeque;

use mediary_core::{Context, Error, FormatReader, MediaRecord, Result, Source, SourceBytes};

use super::block::{self, Block, is_kept};
use super::table::{Table, split};
use super::token::{Token, Tokens, Value};
use crate::mmcif::atoms::{Build, Step};
use crate::mmcif::entry;
use crate::mmcif::row::Layout;
use crate::records::{Parse, Records};
use crate::text::{Findings, word};

/// Opens a CIF, whichever format it was taken for.
pub(crate) fn open(source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
    let reader = Reader { cx: cx.clone(), tokens: None, queue: VecDeque::new(), blocks: 0, seen: None };
    Ok(Box::new(Records::new(source, cx, reader)))
}

struct Reader {
    cx: Context,
    /// Where the next block begins; `None` before the first.
    tokens: Option<Tokens>,
    /// Records of the block that was read last.
    queue: VecDeque<(MediaRecord, Findings)>,
    blocks: u64,
    /// What a file without atoms holds instead: the hint to give.
    seen: Option<&'static str>,
}

impl Parse for Reader {
    fn next(&mut self, bytes: &SourceBytes) -> Result<Option<MediaRecord>> {
        while self.queue.is_empty() {
            let tokens = self.tokens.unwrap_or_else(|| Tokens::new(bytes));
            let mut text = Text { bytes, source: bytes, cx: self.cx.clone(), tokens, block: Block::default() };
            let read = text.read()?;
            self.tokens = Some(text.tokens);
            self.seen = self.seen.or(text.block.seen);
            if !read {
                break;
            }
            self.blocks += 1;
            let whole = text.tokens.at >= bytes.len();
            if whole && !bytes.ends_with(b"\n") {
                text.block.findings.note("no-last-newline", text.tokens.lines + 1, || {
                    "the last line has no end: the file may be cut short".into()
                });
            }
            let complete = text.block.is_complete();
            text.block.finish(&mut self.queue, &self.cx)?;
            // Our own file of one record needs no writing.
            if let ([(record, _)], 1) = (self.queue.make_contiguous(), self.blocks) {
                record.source_is_canonical = whole && complete && bytes.ends_with(b"#\n");
            }
        }
        let Some((record, mut findings)) = self.queue.pop_front() else { return Ok(None) };
        findings.report(&self.cx)?;
        Ok(Some(record))
    }

    fn is_done(&self, bytes: &[u8]) -> bool {
        let tokens = self.tokens.unwrap_or_else(|| Tokens::new(bytes));
        self.queue.is_empty() && tokens.clone().next(bytes).is_ok_and(|token| token.is_none())
    }

    fn passed(&self) -> usize {
        self.tokens.map_or(0, |tokens| tokens.at)
    }

    fn none(&self) -> Error {
        block::none(self.seen)
    }
}

/// A place in a text, and the block that is read there.
struct Text<'b> {
    bytes: &'b [u8],
    source: &'b SourceBytes,
    cx: Context,
    tokens: Tokens,
    block: Block,
}

impl Text<'_> {
    /// Reads up to the next block; `false` at the end of the file.
    fn read(&mut self) -> Result<bool> {
        // Monomer libraries say something of all blocks in a `global_` before the first.
        let (mut begun, mut global, mut frame) = (false, false, false);
        loop {
            let before = self.tokens;
            let line = before.lines + 1;
            let token = match self.tokens.next(self.bytes) {
                Ok(token) => token,
                Err(error) => {
                    self.cx.unless_lenient("cut-value", error)?;
                    self.tokens.at = self.bytes.len();
                    None
                }
            };
            match token {
                None => return Ok(begun),
                Some(Token::Data(name)) if !begun => {
                    self.block.name = word(name).to_string();
                    begun = true;
                }
                Some(Token::Data(_)) => {
                    self.tokens = before;
                    return Ok(true);
                }
                Some(Token::Save(name)) => {
                    frame = !name.is_empty();
                    self.block
                        .findings
                        .warn("save-frame", line, || "a save frame is passed over: those are of dictionaries".into());
                }
                Some(token @ (Token::Item(_) | Token::Loop)) if !begun && !global => {
                    return Err(Error::malformed(format!("expected data_, found {}", token.name())).at_line(line));
                }
                Some(Token::Item(name)) => self.item(name, line, begun && !frame)?,
                Some(Token::Loop) => self.read_loop(begun && !frame)?,
                Some(Token::Value(value)) => {
                    let found = word(&value.text[..value.text.len().min(40)]);
                    let expected = if begun { "an item" } else { "data_" };
                    let error = Error::malformed(format!("expected {expected}, found the value {found:?}"));
                    self.cx.unless_lenient("stray-value", error.at_line(line))?;
                }
                Some(Token::Reserved(text)) => {
                    global |= text.len() == 7;
                    let found = word(text);
                    self.block
                        .findings
                        .note("reserved", line, || format!("{found:?} is no part of a data file: passed over"));
                }
            }
        }
    }

    /// A name and its value.
    fn item(&mut self, name: &[u8], line: u64, keep: bool) -> Result<()> {
        let (category, item) = split(name);
        let before = self.tokens;
        let Some(Token::Value(value)) = self.tokens.next(self.bytes)? else {
            self.tokens = before;
            let error = Error::malformed(format!("expected a value of {}, found none", word(name)));
            return self.cx.unless_lenient("no-value", error.at_line(line));
        };
        self.block.notice(&category);
        if keep && is_kept(&category) {
            self.block.tables.entry(category).set(item, value, &self.cx)?;
        }
        Ok(())
    }

    fn read_loop(&mut self, keep: bool) -> Result<()> {
        let line = self.tokens.lines + 1;
        let mut names: Vec<(String, String)> = Vec::new();
        let mut dotted = false;
        let mut before = self.tokens;
        while let Some(Token::Item(name)) = self.tokens.next(self.bytes)? {
            dotted |= name.contains(&b'.');
            names.push(split(name));
            self.cx.limits().check("elements", names.len() as u64)?;
            self.cx.budget().take(64 + name.len() as u64)?;
            before = self.tokens;
        }
        // Old files put items of several categories into one loop, of which one is looked at.
        let main = names.iter().position(|(category, _)| is_kept(category)).unwrap_or(0);
        let category = names.get(main).map(|(category, _)| category.clone()).unwrap_or_default();
        let own = |(of, item): (String, String)| if of == category { item } else { format!("{of}.{item}") };
        let items: Vec<String> = names.into_iter().map(own).collect();
        self.tokens = before;
        self.block.notice(&category);
        if items.is_empty() {
            let error = Error::malformed("expected items after loop_, found none");
            return self.cx.unless_lenient("empty-loop", error.at_line(line));
        }
        if keep && category == "atom_site" && entry::is_macromolecular(&items, dotted) {
            return self.atoms(&items);
        }
        let keep = keep && is_kept(&category);
        let width = items.len();
        let mut table = Table { items, rows: Vec::new() };
        let mut row = Vec::new();
        let mut count = 0_u64;
        loop {
            let before = self.tokens;
            let Some(Token::Value(value)) = self.tokens.next(self.bytes)? else {
                self.tokens = before;
                break;
            };
            count += 1;
            if count.is_multiple_of(65_536) {
                self.cx.checkpoint()?;
            }
            if keep {
                row.push(value);
                if row.len() == width {
                    self.cx.limits().check("elements", table.rows.len() as u64 + 1)?;
                    table.push(&row, &self.cx)?;
                    row.clear();
                }
            }
        }
        if !count.is_multiple_of(width as u64) {
            self.uneven(&category, width)?;
        }
        if keep {
            if category == "atom_site" {
                self.notice_end();
            }
            self.block.tables.insert(category, table);
        }
        Ok(())
    }

    fn uneven(&self, category: &str, width: usize) -> Result<()> {
        let error = Error::malformed(format!("expected rows of {width} values in _{category}, found a shorter one"));
        self.cx.unless_lenient("short-row", error.at_line(self.tokens.lines + 1).with_hint("the file may be cut short"))
    }

    /// A list of atoms that the file ends in may be cut.
    fn notice_end(&mut self) {
        if self.bytes[self.tokens.at..].trim_ascii().is_empty() {
            self.block.findings.note("no-end", self.tokens.lines + 1, || {
                "the file ends in its list of atoms, without the # that ends it: it may be cut short".into()
            });
        }
    }

    /// Rows of macromolecular atoms.
    fn atoms(&mut self, items: &[String]) -> Result<()> {
        let Some(layout) = Layout::of(items) else {
            return Err(Error::unsupported("expected _atom_site.Cartn_x, Cartn_y and Cartn_z, found fewer")
                .at_line(self.tokens.lines + 1)
                .with_hint("without coordinates there is nothing to tell atoms by"));
        };
        self.block.is_fractional = layout.is_fractional;
        let width = items.len();
        let mut values: Vec<Value<'_>> = Vec::with_capacity(width + 1);
        let mut build = Build::default();
        // The first row of the model that is being read.
        let mut start = self.tokens;
        let mut rows = 0_u64;
        loop {
            let before = self.tokens;
            values.clear();
            while values.len() < width {
                let before = self.tokens;
                let Some(Token::Value(value)) = self.tokens.next(self.bytes)? else {
                    self.tokens = before;
                    break;
                };
                values.push(value);
            }
            rows += 1;
            if rows.is_multiple_of(16_384) {
                self.cx.checkpoint()?;
                self.source.pass(before.at);
            }
            let step = if values.len() < width {
                if build.close(&self.cx) {
                    break;
                }
                Step::Back
            } else {
                values.push(Value::UNKNOWN);
                build.add(&layout.row(&values), before.lines + 2, &self.cx)?
            };
            match step {
                Step::Taken => continue,
                Step::Begun => {
                    start = before;
                    continue;
                }
                Step::Here => start = before,
                Step::Back => {}
            }
            // Other atoms: another record, from the start of this model.
            self.tokens = start;
            self.block.builds.push(std::mem::take(&mut build));
        }
        self.block.builds.push(build);
        if !values.is_empty() {
            return self.uneven("atom_site", width);
        }
        self.notice_end();
        Ok(())
    }
}
