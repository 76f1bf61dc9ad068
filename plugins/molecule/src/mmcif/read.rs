//! The reader: tokens straight into the columns of the record.

use std::collections::{HashMap, VecDeque};

use mediary_core::{Context, Error, FormatReader, MediaRecord, Result, Source};

use super::atoms::{Build, Later, is_complete};
use super::row::{B_FACTOR, Layout, MODEL, Row, measured};
use super::table::{Table, split};
use super::token::{Token, Tokens, Value};
use crate::records::{Parse, Records};
use crate::text::{Findings, integer, word};

/// Small categories that are kept until the block ends.
#[rustfmt::skip]
const CATEGORIES: &[&str] = &[
    "entry", "struct", "struct_keywords", "exptl", "pdbx_database_status", "refine", "cell", "symmetry",
    "space_group", "chem_comp_bond", "struct_conn", "struct_conf", "struct_sheet_range",
];

pub(super) fn open(source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
    let reader = Reader { cx: cx.clone(), tokens: Tokens::default(), queue: VecDeque::new(), blocks: 0, seen: None };
    Ok(Box::new(Records::new(source, cx, reader)))
}

struct Reader {
    cx: Context,
    tokens: Tokens,
    /// Records of the block that was read last.
    queue: VecDeque<(MediaRecord, Findings)>,
    blocks: u64,
    /// What a block without atoms holds instead.
    seen: Option<String>,
}

impl Parse for Reader {
    fn next(&mut self, bytes: &[u8]) -> Result<Option<MediaRecord>> {
        while self.queue.is_empty() {
            if !self.block(bytes)? {
                break;
            }
        }
        let Some((record, mut findings)) = self.queue.pop_front() else { return Ok(None) };
        findings.report(&self.cx)?;
        Ok(Some(record))
    }

    fn is_done(&self, bytes: &[u8]) -> bool {
        self.queue.is_empty() && self.tokens.clone().next(bytes).is_ok_and(|token| token.is_none())
    }

    fn none(&self) -> Error {
        let error = Error::unsupported("expected atoms with Cartesian coordinates in _atom_site, found none");
        match &self.seen {
            Some(item) => error.with_hint(format!("the file holds {item} and the like")),
            None => error,
        }
    }
}

impl Reader {
    /// Reads one data block into the queue; `false` at the end of the file.
    fn block(&mut self, bytes: &[u8]) -> Result<bool> {
        let cx = self.cx.clone();
        let name = match self.tokens.next(bytes)? {
            None => return Ok(false),
            Some(Token::Data(name)) => word(name),
            Some(other) => {
                return Err(Error::malformed(format!("expected data_, found {other:?}")).at_line(self.tokens.lines + 1));
            }
        };
        self.blocks += 1;
        let mut tables: HashMap<String, Table> = HashMap::new();
        let mut builds: Vec<Build> = Vec::new();
        let mut findings = Findings::default();
        // One atom may be given as single items.
        let mut single: (Vec<String>, Vec<Value<'_>>) = Default::default();
        loop {
            let before = self.tokens;
            let line = before.lines + 1;
            let token = match self.tokens.next(bytes) {
                Ok(token) => token,
                Err(error) => {
                    cx.unless_lenient("cut-value", error)?;
                    self.tokens.at = bytes.len();
                    None
                }
            };
            match token {
                None => break,
                Some(Token::Data(_)) => {
                    self.tokens = before;
                    break;
                }
                Some(Token::Item(item)) => {
                    let (category, item) = split(item);
                    let Some(Token::Value(value)) = self.tokens.next(bytes)? else {
                        cx.unless_lenient(
                            "no-value",
                            Error::malformed(format!("expected a value of _{category}.{item}, found none"))
                                .at_line(line),
                        )?;
                        continue;
                    };
                    self.notice(&category, &item);
                    if category == "atom_site" {
                        single.0.push(item);
                        single.1.push(value);
                    } else if CATEGORIES.contains(&category.as_str()) {
                        cx.budget().take(value.text.len() as u64 + 64)?;
                        let table = tables.entry(category).or_default();
                        table.items.push(item);
                        if table.rows.is_empty() {
                            table.rows.push(Vec::new());
                        }
                        table.rows[0].push(value.given().map(word));
                    }
                }
                Some(Token::Loop) => self.read_loop(bytes, &mut tables, &mut builds, &mut findings)?,
                Some(Token::Value(value)) => {
                    let found = word(&value.text[..value.text.len().min(40)]);
                    let error = Error::malformed(format!("expected an item, found the value {found:?}"));
                    cx.unless_lenient("stray-value", error.at_line(line))?;
                }
                Some(Token::Reserved(text)) => findings
                    .warn("reserved", line, || format!("{:?} is no part of a data file: passed over", word(text))),
            }
        }
        if !single.0.is_empty() && builds.is_empty() {
            let mut build = Build::default();
            let layout = Layout::of(&single.0);
            layout.check(self.tokens.lines)?;
            build.atom(&layout.row(&single.1), self.tokens.lines, &cx)?;
            builds.push(build);
        }
        if self.tokens.at >= bytes.len() && !bytes.ends_with(b"\n") {
            findings.note("no-last-newline", self.tokens.lines + 1, || {
                "the last line has no end: the file may be cut short".into()
            });
        }
        for build in builds.into_iter().filter(|build| !build.molecule.atoms.is_empty()) {
            let found = std::mem::take(&mut findings);
            let record = build.finish(&name, &tables, found, &cx)?;
            self.queue.push_back(record);
        }
        // Our own file of one record needs no writing.
        if let ([(record, _)], 1) = (self.queue.make_contiguous(), self.blocks) {
            let whole = self.tokens.at >= bytes.len() && bytes.ends_with(b"#\n");
            record.source_is_canonical = whole && is_complete(&tables);
        }
        Ok(true)
    }

    /// Remembers what a file without atoms holds.
    fn notice(&mut self, category: &str, item: &str) {
        if self.seen.is_none() && matches!(category, "refln" | "chem_comp_atom" | "") {
            self.seen = Some(format!("_{category}{}{item}", if category.is_empty() { "" } else { "." }));
        }
    }

    fn read_loop(
        &mut self,
        bytes: &[u8],
        tables: &mut HashMap<String, Table>,
        builds: &mut Vec<Build>,
        findings: &mut Findings,
    ) -> Result<()> {
        let cx = self.cx.clone();
        let line = self.tokens.lines + 1;
        let mut items = Vec::new();
        let mut category = String::new();
        let mut before = self.tokens;
        while let Some(Token::Item(name)) = self.tokens.next(bytes)? {
            let (of, item) = split(name);
            self.notice(&of, &item);
            category = of;
            items.push(item);
            cx.limits().check("elements", items.len() as u64)?;
            before = self.tokens;
        }
        self.tokens = before;
        if items.is_empty() {
            return cx.unless_lenient(
                "empty-loop",
                Error::malformed("expected items after loop_, found none").at_line(line),
            );
        }
        if category == "atom_site" {
            return self.atoms(bytes, &items, builds, findings);
        }
        let keep = CATEGORIES.contains(&category.as_str());
        let width = items.len();
        let mut table = Table { items, rows: Vec::new() };
        let mut row = Vec::new();
        let mut count = 0_u64;
        loop {
            let before = self.tokens;
            let Some(Token::Value(value)) = self.tokens.next(bytes)? else {
                self.tokens = before;
                break;
            };
            count += 1;
            if count.is_multiple_of(65_536) {
                cx.checkpoint()?;
            }
            if keep {
                row.push(value.given().map(word));
                if row.len() == width {
                    cx.budget().take(width as u64 * 24 + 24)?;
                    table.rows.push(std::mem::take(&mut row));
                }
            }
        }
        if !count.is_multiple_of(width as u64) {
            return self.uneven(&category, width);
        }
        if keep {
            tables.insert(category, table);
        }
        Ok(())
    }

    fn uneven(&self, category: &str, width: usize) -> Result<()> {
        let error = Error::malformed(format!("expected rows of {width} values in _{category}, found a shorter one"));
        self.cx.unless_lenient("short-row", error.at_line(self.tokens.lines + 1).with_hint("the file may be cut short"))
    }

    /// Rows of atoms: the first model whole, of those that follow with the same atoms the positions alone.
    fn atoms(
        &mut self,
        bytes: &[u8],
        items: &[String],
        builds: &mut Vec<Build>,
        findings: &mut Findings,
    ) -> Result<()> {
        let cx = self.cx.clone();
        let layout = Layout::of(items);
        layout.check(self.tokens.lines)?;
        let width = items.len();
        let mut values: Vec<Value<'_>> = Vec::with_capacity(width);
        let mut build = Build::default();
        let mut later: Option<Later> = None;
        let mut current: Option<i64> = None;
        let mut rows = 0_u64;
        loop {
            let start = self.tokens;
            values.clear();
            while values.len() < width {
                let before = self.tokens;
                let Some(Token::Value(value)) = self.tokens.next(bytes)? else {
                    self.tokens = before;
                    break;
                };
                values.push(value);
            }
            rows += 1;
            if rows.is_multiple_of(16_384) {
                cx.checkpoint()?;
            }
            let line = start.lines + 2;
            let whole = values.len() == width;
            let row = if whole { layout.row(&values) } else { Row::default() };
            let number = integer(row.get(MODEL)).unwrap_or(1);
            if !whole || current.is_some_and(|known| known != number) {
                // A model is at its end.
                match later.take() {
                    Some(model) if model.positions.len() < build.keys.len() => {
                        self.tokens = model.start;
                        cx.budget().give_back(build.later_bytes());
                        builds.push(std::mem::take(&mut build));
                        current = None;
                        continue;
                    }
                    Some(model) => build.add(model, findings),
                    None => {}
                }
                if !whole {
                    break;
                }
            }
            if current != Some(number) {
                current = Some(number);
                if build.keys.is_empty() {
                    build.model.number = number;
                } else {
                    cx.budget().take(build.later_bytes())?;
                    later = Some(Later { number, positions: Vec::new(), start, differing: None });
                }
            }
            let Some(model) = &mut later else {
                build.atom(&row, line, &cx)?;
                continue;
            };
            let index = model.positions.len();
            if build.keys.get(index) != Some(&row.key()) {
                // Other atoms: another record, from the start of this model.
                self.tokens = model.start;
                cx.budget().give_back(build.later_bytes());
                builds.push(std::mem::take(&mut build));
                (later, current) = (None, None);
                continue;
            }
            if index == 0 {
                model.positions.reserve_exact(build.keys.len());
            }
            model.positions.push(row.position(line)?.unwrap_or_default());
            let b_factor = measured(row.get(B_FACTOR)).map(|value| value as f32);
            if b_factor.is_some_and(|value| build.molecule.atoms.b_factors.get(index) != Some(&value)) {
                model.differing.get_or_insert(line);
            }
        }
        builds.push(build);
        if !values.is_empty() {
            return self.uneven("atom_site", width);
        }
        if bytes[self.tokens.at..].trim_ascii().is_empty() {
            findings.note("no-end", self.tokens.lines + 1, || {
                "the file ends in its list of atoms, without the # that ends it: it may be cut short".into()
            });
        }
        Ok(())
    }
}
