//! The reader of every CIF: data blocks one after the other, each by what it holds. Rows of macromolecular atoms go straight into
//! columns, smaller categories are kept until the block ends.

use std::collections::VecDeque;

use mediary_core::{Context, Error, FormatReader, MediaRecord, Result, Source};

use super::sites;
use super::table::{Table, Tables, split};
use super::token::{Token, Tokens, Value};
use crate::mmcif::atoms::{Build, Step};
use crate::mmcif::row::Layout;
use crate::mmcif::{component, entry};
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
    fn next(&mut self, bytes: &[u8]) -> Result<Option<MediaRecord>> {
        while self.queue.is_empty() {
            let tokens = self.tokens.unwrap_or_else(|| Tokens::new(bytes));
            let mut block = Block::new(tokens, bytes, &self.cx);
            let read = block.read()?;
            self.tokens = Some(block.tokens);
            self.seen = self.seen.or(block.seen);
            if !read {
                break;
            }
            self.blocks += 1;
            block.finish(self.blocks == 1, &mut self.queue)?;
        }
        let Some((record, mut findings)) = self.queue.pop_front() else { return Ok(None) };
        findings.report(&self.cx)?;
        Ok(Some(record))
    }

    fn is_done(&self, bytes: &[u8]) -> bool {
        let tokens = self.tokens.unwrap_or_else(|| Tokens::new(bytes));
        self.queue.is_empty() && tokens.clone().next(bytes).is_ok_and(|token| token.is_none())
    }

    fn none(&self) -> Error {
        let error = Error::unsupported("expected atoms in _atom_site or _chem_comp_atom, found none");
        match self.seen {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

/// What a file holds that has no atoms, by a category.
const OTHERS: [(&str, &str); 6] = [
    ("refln", "the file holds structure factors (_refln), not a structure"),
    ("diffrn_refln", "the file holds diffraction intensities (_diffrn_refln), not a structure"),
    ("pd_data", "the file holds a powder pattern, not a structure"),
    ("item_description", "the file is a dictionary of CIF items"),
    ("chem_comp", "the file lists chemical components without their atoms"),
    ("chem_link", "the file lists links of chemical components"),
];

/// A data block while it is read.
struct Block<'b> {
    bytes: &'b [u8],
    cx: Context,
    tokens: Tokens,
    name: String,
    tables: Tables,
    builds: Vec<Build>,
    /// The layout of the macromolecular atoms.
    is_fractional: bool,
    findings: Findings,
    seen: Option<&'static str>,
}

impl<'b> Block<'b> {
    fn new(tokens: Tokens, bytes: &'b [u8], cx: &Context) -> Self {
        Self {
            bytes,
            cx: cx.clone(),
            tokens,
            name: String::new(),
            tables: Tables::default(),
            builds: Vec::new(),
            is_fractional: false,
            findings: Findings::default(),
            seen: None,
        }
    }

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
                    self.name = word(name).to_string();
                    begun = true;
                }
                Some(Token::Data(_)) => {
                    self.tokens = before;
                    return Ok(true);
                }
                Some(Token::Save(name)) => {
                    frame = !name.is_empty();
                    self.findings
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
                    self.findings
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
        self.notice(&category);
        if keep && is_kept(&category) {
            self.tables.entry(category).set(item, value, &self.cx)?;
        }
        Ok(())
    }

    /// Remembers what a file without atoms holds.
    fn notice(&mut self, category: &str) {
        if let Some((_, hint)) = OTHERS.iter().find(|(known, _)| *known == category) {
            self.seen.get_or_insert(hint);
        }
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
        self.notice(&category);
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
            self.tables.insert(category, table);
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
            self.findings.note("no-end", self.tokens.lines + 1, || {
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
        self.is_fractional = layout.is_fractional;
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
            self.builds.push(std::mem::take(&mut build));
        }
        self.builds.push(build);
        if !values.is_empty() {
            return self.uneven("atom_site", width);
        }
        self.notice_end();
        Ok(())
    }

    /// The records of the block. `first` says that no block stands before it.
    fn finish(mut self, first: bool, queue: &mut VecDeque<(MediaRecord, Findings)>) -> Result<()> {
        let (cx, whole) = (self.cx.clone(), self.tokens.at >= self.bytes.len());
        if whole && !self.bytes.ends_with(b"\n") {
            self.findings.note("no-last-newline", self.tokens.lines + 1, || {
                "the last line has no end: the file may be cut short".into()
            });
        }
        if let Some(table) = self.tables.get("atom_site")
            && self.builds.is_empty()
        {
            let dotted = table.column("label_atom_id").is_some();
            if entry::is_macromolecular(&table.items, dotted) {
                self.builds.extend(entry::single(table, &mut self.is_fractional, &cx)?);
            } else if let Some(record) = sites::record(&self.name, &self.tables, &mut self.findings, &cx)? {
                queue.push_back((record, self.findings));
                return Ok(());
            }
        }
        let mut findings = self.findings;
        if self.builds.is_empty() {
            if let Some(record) = component::record(&self.name, &self.tables, &mut findings, &cx)? {
                queue.push_back((record, findings));
            }
            return Ok(());
        }
        for build in self.builds.into_iter().filter(|build| !build.is_empty()) {
            let found = std::mem::take(&mut findings);
            let block = entry::Block { name: &self.name, tables: &self.tables, is_fractional: self.is_fractional };
            queue.push_back(block.finish(build, found, &cx)?);
        }
        // Our own file of one record needs no writing.
        if let ([(record, _)], true) = (queue.make_contiguous(), first) {
            record.source_is_canonical = whole && self.bytes.ends_with(b"#\n") && entry::is_complete(&self.tables);
        }
        Ok(())
    }
}

/// Categories that are kept until the block ends.
fn is_kept(category: &str) -> bool {
    entry::CATEGORIES.contains(&category) || sites::CATEGORIES.contains(&category) || category == "chem_comp_atom"
}
