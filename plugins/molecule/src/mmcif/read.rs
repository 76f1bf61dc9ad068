//! The reader: tokens straight into the columns of the record.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use mediary_core::record::molecule::{BondOrder, BondSource, Cell, Chain, Element, Model, Residue, SecondaryStructure};
use mediary_core::record::{Buffer, Molecule};
use mediary_core::{Context, Error, FormatReader, Media, MediaRecord, Result, Source};
use serde_json::Map;
use smol_str::SmolStr;

use super::token::{Token, Tokens, Value};
use crate::bonds::{BondList, by_distance, compatible};
use crate::elements::{by_symbol, isotope};
use crate::models::{self, Growth, MODEL_BYTES, POSITION_BYTES};
use crate::records::{Parse, Records};
use crate::template::{self, Members};
use crate::text::{Findings, float, integer, word};

/// Bytes of memory that one atom of the first model takes in the columns and in the reader's own.
const ATOM_BYTES: u64 = 160;

/// Items that are kept as properties.
const PROPERTIES: &[(&str, &str)] = &[
    ("struct.title", "title"),
    ("struct_keywords.pdbx_keywords", "classification"),
    ("struct_keywords.text", "keywords"),
    ("exptl.method", "method"),
    ("pdbx_database_status.recvd_initial_deposition_date", "deposition_date"),
    ("refine.ls_d_res_high", "resolution"),
    ("entry.id", "id"),
];
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

/// The rows of a category.
#[derive(Default)]
struct Table {
    items: Vec<String>,
    rows: Vec<Vec<Option<SmolStr>>>,
}

impl Table {
    fn column(&self, item: &str) -> Option<usize> {
        self.items.iter().position(|known| known == item)
    }

    /// Value of `item` in the first row.
    fn first(&self, item: &str) -> Option<&SmolStr> {
        self.rows.first()?.get(self.column(item)?)?.as_ref()
    }

    /// A function that takes `item` from a row.
    fn item<'t>(&'t self, item: &str) -> impl Fn(&'t [Option<SmolStr>]) -> &'t str + use<'t> {
        let column = self.column(item);
        move |row| column.and_then(|column| row.get(column)?.as_deref()).unwrap_or("")
    }
}

/// Category and item of a name, in lower case: `_atom_site.Cartn_x` is `("atom_site", "cartn_x")`.
fn split(name: &[u8]) -> (String, String) {
    let name = String::from_utf8_lossy(&name[1..]).to_ascii_lowercase();
    match name.split_once('.') {
        Some((category, item)) => (category.to_owned(), item.to_owned()),
        None => (String::new(), name),
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

fn is_complete(tables: &HashMap<String, Table>) -> bool {
    tables.get("entry").and_then(|entry| entry.first("mediary_bonds")).is_some_and(|word| word == "complete")
}

/// Items of `_atom_site` that are read, and their places in a [`Row`].
#[rustfmt::skip]
const READ: [&str; 30] = [
    "group_pdb", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id",
    "label_entity_id", "label_seq_id", "pdbx_pdb_ins_code", "cartn_x", "cartn_y", "cartn_z", "occupancy",
    "b_iso_or_equiv", "pdbx_formal_charge", "auth_seq_id", "auth_comp_id", "auth_asym_id", "auth_atom_id",
    "pdbx_pdb_model_num", "mediary_segment", "mediary_partial_charge", "mediary_radius", "mediary_isotope",
    "mediary_type", "mediary_hydrogens", "mediary_aromatic", "mediary_radical", "mediary_map_number",
];
const GROUP: usize = 0;
const ID: usize = 1;
const SYMBOL: usize = 2;
const LABEL_ATOM: usize = 3;
const ALT: usize = 4;
const LABEL_COMP: usize = 5;
const LABEL_ASYM: usize = 6;
const ENTITY: usize = 7;
const LABEL_SEQ: usize = 8;
const INSERTION: usize = 9;
const X: usize = 10;
const OCCUPANCY: usize = 13;
const B_FACTOR: usize = 14;
const CHARGE: usize = 15;
const AUTH_SEQ: usize = 16;
const AUTH_COMP: usize = 17;
const AUTH_ASYM: usize = 18;
const AUTH_ATOM: usize = 19;
const MODEL: usize = 20;
const SEGMENT: usize = 21;
const PARTIAL: usize = 22;
const RADIUS: usize = 23;
const ISOTOPE: usize = 24;
const TYPE: usize = 25;
const HYDROGENS: usize = 26;
const AROMATIC: usize = 27;
const RADICAL: usize = 28;
const MAP_NUMBER: usize = 29;

/// Columns of the items that are read.
struct Layout([Option<usize>; READ.len()]);

impl Layout {
    fn of(items: &[String]) -> Self {
        Self(READ.map(|item| items.iter().position(|known| known == item)))
    }

    fn check(&self, line: u64) -> Result<()> {
        match (X..X + 3).find(|&item| self.0[item].is_none()) {
            None => Ok(()),
            Some(item) => Err(Error::unsupported(format!("expected _atom_site.{}, found no such item", READ[item]))
                .at_line(line + 1)
                .with_hint("only Cartesian coordinates are read")),
        }
    }

    fn row<'a>(&self, values: &[Value<'a>]) -> Row<'a> {
        Row(self.0.map(|column| column.and_then(|column| values.get(column).copied())))
    }
}

/// The values of an atom.
#[derive(Default)]
struct Row<'a>([Option<Value<'a>>; READ.len()]);

impl<'a> Row<'a> {
    /// A value; empty where it is not given.
    fn get(&self, item: usize) -> &'a [u8] {
        self.0[item].and_then(Value::given).unwrap_or_default()
    }

    /// The first of two items that is given.
    fn either(&self, first: usize, second: usize) -> &'a [u8] {
        let value = self.get(first);
        if value.is_empty() { self.get(second) } else { value }
    }

    /// The author's value, which may say that there is none; the label where the file has no such item.
    fn author(&self, author: usize, label: usize) -> &'a [u8] {
        match self.0[author] {
            Some(value) if value.quoted || value.text != b"?" => value.given().unwrap_or_default(),
            _ => self.get(label),
        }
    }

    /// What tells atoms apart.
    fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for item in [LABEL_ATOM, ALT, LABEL_COMP, LABEL_ASYM, LABEL_SEQ, AUTH_SEQ, INSERTION, AUTH_ASYM] {
            self.get(item).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// What tells residues apart.
    fn residue(&self) -> [&'a [u8]; 6] {
        [LABEL_COMP, LABEL_ASYM, LABEL_SEQ, AUTH_SEQ, INSERTION, AUTH_ASYM].map(|item| self.get(item))
    }

    /// The coordinates; `None` where all three are not given.
    fn position(&self, line: u64) -> Result<Option<[f64; 3]>> {
        if (X..X + 3).all(|item| self.get(item).is_empty()) {
            return Ok(None);
        }
        let number = |item: usize| {
            measured(self.get(item)).ok_or_else(|| {
                let found = word(self.get(item));
                Error::malformed(format!("expected a coordinate, found {found:?}")).at_line(line)
            })
        };
        Ok(Some([number(X)?, number(X + 1)?, number(X + 2)?]))
    }
}

/// A model after the first, while it is read.
struct Later {
    number: i64,
    positions: Vec<[f64; 3]>,
    start: Tokens,
    differing: Option<u64>,
}

/// A record while its first model is read.
#[derive(Default)]
struct Build {
    molecule: Molecule,
    model: Model,
    models: Vec<Model>,
    keys: Vec<u64>,
    growth: Growth,
    /// `label_atom_id` of each atom and `label_comp_id` of each residue: what bonds refer to.
    labels: Vec<SmolStr>,
    components: Vec<SmolStr>,
    chains: HashMap<SmolStr, u32>,
    /// What the last row said of its residue.
    last: Option<([SmolStr; 6], u32)>,
    missing: u64,
    findings: Findings,
}

impl Build {
    fn atom(&mut self, row: &Row<'_>, line: u64, cx: &Context) -> Result<()> {
        let count = self.keys.len();
        if count as u64 >= cx.limits().elements {
            cx.limits().check("elements", count as u64 + 1)?;
        }
        self.growth.make_room(count, ATOM_BYTES, cx)?;
        let position = match row.position(line) {
            Ok(position) => position,
            Err(error) => return cx.unless_lenient("bad-atom", error),
        };
        self.missing += u64::from(position.is_none());
        let residue = self.residue(row, line);
        self.keys.push(row.key());
        self.labels.push(word(row.get(LABEL_ATOM)));
        let name = word(row.author(AUTH_ATOM, LABEL_ATOM));
        let symbol = row.get(SYMBOL);
        let element = by_symbol(symbol).unwrap_or_else(|| {
            if !matches!(symbol, b"X" | b"x") {
                self.findings.warn("no-element", line, || {
                    format!("expected an element in type_symbol, found {:?}: unknown", word(symbol))
                });
            }
            Element::UNKNOWN
        });
        let serial = integer(row.get(ID));
        let mut number = |item: usize, default: f32| {
            let field = row.get(item);
            measured(field).map(|value| value as f32).unwrap_or_else(|| {
                if !field.is_empty() {
                    self.findings.warn("bad-number", line, || {
                        format!("expected a number in {}, found {:?}: {default} is taken", READ[item], word(field))
                    });
                }
                default
            })
        };
        let atoms = &mut self.molecule.atoms;
        atoms.occupancies.push(number(OCCUPANCY, 1.0));
        atoms.b_factors.push(number(B_FACTOR, 0.0));
        for (item, column) in [(PARTIAL, &mut atoms.partial_charges), (RADIUS, &mut atoms.radii)] {
            if row.0[item].is_some() {
                column.push(number(item, 0.0));
            }
        }
        let mass = integer(row.get(ISOTOPE)).and_then(|mass| u16::try_from(mass).ok());
        atoms.elements.push(element);
        atoms.names.push(name);
        atoms.residues.push(residue);
        atoms.serials.push(serial.unwrap_or(count as i64 + 1));
        atoms.altlocs.push(first_char(row.get(ALT)).unwrap_or('\0'));
        let charge = integer(row.get(CHARGE)).and_then(|charge| i8::try_from(charge).ok());
        atoms.formal_charges.push(charge.unwrap_or(0));
        atoms.isotopes.push(mass.unwrap_or(isotope(symbol)));
        if row.0[TYPE].is_some() {
            atoms.types.push(word(row.get(TYPE)));
        }
        if row.0[HYDROGENS].is_some() {
            let hydrogens = integer(row.get(HYDROGENS)).and_then(|count| u8::try_from(count).ok());
            atoms.hydrogens.push(hydrogens.unwrap_or(0));
        }
        if row.0[AROMATIC].is_some() {
            atoms.aromatic.push(row.get(AROMATIC) == b"Y");
        }
        if row.0[RADICAL].is_some() {
            atoms.radicals.push(integer(row.get(RADICAL)).and_then(|spin| u8::try_from(spin).ok()).unwrap_or(0));
        }
        if row.0[MAP_NUMBER].is_some() {
            let number = integer(row.get(MAP_NUMBER)).and_then(|number| u32::try_from(number).ok());
            atoms.map_numbers.push(number.unwrap_or(0));
        }
        self.model.positions.to_mut().push(position.unwrap_or_default());
        Ok(())
    }

    fn residue(&mut self, row: &Row<'_>, line: u64) -> u32 {
        let key = row.residue();
        if let Some((last, residue)) = &self.last
            && last.iter().zip(key).all(|(known, value)| known.as_bytes() == value)
        {
            return *residue;
        }
        let molecule = &mut self.molecule;
        let asym = word(row.either(LABEL_ASYM, AUTH_ASYM));
        let chain = *self.chains.entry(asym).or_insert_with_key(|label| {
            molecule.chains.push(Chain {
                name: word(row.author(AUTH_ASYM, LABEL_ASYM)),
                label: label.clone(),
                entity: word(row.get(ENTITY)),
            });
            (molecule.chains.len() - 1) as u32
        });
        let number = |item: usize, findings: &mut Findings| {
            let field = row.get(item);
            let number = integer(field).and_then(|number| i32::try_from(number).ok());
            if number.is_none() && !field.is_empty() {
                findings.warn("residue-number", line, || format!("expected a residue number, found {:?}", word(field)));
            }
            number
        };
        let label_number = number(LABEL_SEQ, &mut self.findings);
        let author = if row.0[AUTH_SEQ].is_some() { number(AUTH_SEQ, &mut self.findings) } else { label_number };
        let residue = Residue {
            name: word(row.author(AUTH_COMP, LABEL_COMP)),
            number: author,
            insertion: first_char(row.get(INSERTION)),
            label_number,
            segment: word(row.get(SEGMENT)),
            hetero: row.get(GROUP) == b"HETATM",
            chain,
        };
        // Residues that share a place may alternate atom by atom.
        let alternate = !row.get(ALT).is_empty();
        let recent = molecule.residues.iter().enumerate().rev().take(4);
        let place = |it: &Residue| (it.chain, it.number, it.insertion, it.label_number);
        let shared = recent
            .take_while(|(_, known)| place(known) == place(&residue))
            .find(|(_, known)| alternate && known.name == residue.name)
            .map(|(known, _)| known as u32);
        let index = shared.unwrap_or_else(|| {
            molecule.residues.push(residue);
            self.components.push(word(row.get(LABEL_COMP)));
            (molecule.residues.len() - 1) as u32
        });
        self.last = Some((key.map(word), index));
        index
    }

    /// Bytes of memory that a later model of the same atoms takes.
    fn later_bytes(&self) -> u64 {
        self.keys.len() as u64 * POSITION_BYTES + MODEL_BYTES
    }

    /// Adds a model of the same atoms.
    fn add(&mut self, model: Later, findings: &mut Findings) {
        if let Some(line) = model.differing {
            findings
                .note("model-values", line, || "B factors differ between models: those of the first are kept".into());
        }
        self.models.push(Model { number: model.number, positions: model.positions.into(), ..Model::default() });
    }

    fn finish(
        mut self,
        block: &str,
        tables: &HashMap<String, Table>,
        mut findings: Findings,
        cx: &Context,
    ) -> Result<(MediaRecord, Findings)> {
        let molecule = &mut self.molecule;
        let atoms = &mut molecule.atoms;
        // A column of defaults is no column.
        fn clear<T: Default + PartialEq>(column: &mut Vec<T>) {
            if column.iter().all(|value| *value == T::default()) {
                *column = Vec::new();
            }
        }
        clear(&mut atoms.altlocs);
        clear(&mut atoms.formal_charges);
        clear(&mut atoms.isotopes);
        let count = atoms.len() as u64;
        if self.missing == count {
            self.model.positions = Buffer::default();
            self.models.iter_mut().for_each(|model| model.positions = Buffer::default());
        } else if self.missing > 0 {
            findings.warn("no-position", 0, || {
                format!("{} of {count} atoms have no coordinates: 0, 0, 0 are taken", self.missing)
            });
        }
        let value = |category: &str, item: &str| tables.get(category).and_then(|table| table.first(item));
        let complete = is_complete(tables);
        let own_name = value("struct", "pdbx_descriptor").filter(|_| complete);
        molecule.name = match (complete, own_name) {
            (true, name) => name.map(ToString::to_string).unwrap_or_default(),
            (false, _) => value("entry", "id").map_or_else(|| block.to_owned(), ToString::to_string),
        };
        let edge = |item: &str| value("cell", item).and_then(|text| measured(text.as_bytes()));
        let edges = (edge("length_a"), edge("length_b"), edge("length_c"));
        if let (Some(a), Some(b), Some(c)) = edges {
            // Edges of 1 (or 0) Å stand for "no crystal".
            if [a, b, c].iter().all(|&edge| edge > 0.0) && [a, b, c].iter().any(|&edge| edge > 1.0) {
                let angle = |item: &str| edge(item).unwrap_or(90.0);
                let angles = [angle("angle_alpha"), angle("angle_beta"), angle("angle_gamma")];
                molecule.cell = Some(Cell { lengths: [a, b, c], angles });
            }
        }
        let group = value("symmetry", "space_group_name_h-m").or_else(|| value("space_group", "name_h-m_alt"));
        molecule.space_group = group.map(ToString::to_string);
        let places = Places::new(molecule, &self.components);
        secondary(molecule, tables, &places, &mut findings);
        let links = Links { labels: &self.labels, components: &self.components, places: &places, complete };
        molecule.bonds = links.bonds(molecule, &self.model.positions, tables, &mut findings, cx)?;
        molecule.models.push(self.model);
        molecule.models.append(&mut self.models);
        models::number(&mut molecule.models, |stated, number| {
            findings.note("model-number", 0, || {
                format!("model number {stated} is repeated or not positive: {number} is taken, the next free one")
            });
        });
        let mut properties = Map::new();
        for (item, property) in PROPERTIES {
            let Some((category, item)) = item.split_once('.') else { continue };
            let Some(text) = value(category, item).filter(|text| !text.is_empty()) else { continue };
            if *text == molecule.name || (complete && *property == "id") {
                continue;
            }
            let number = (*property == "resolution").then(|| measured(text.as_bytes())).flatten();
            properties.insert((*property).into(), number.map_or_else(|| text.as_str().into(), Into::into));
        }
        findings.append(self.findings);
        let mut record = MediaRecord::new(self.molecule);
        if let Media::Molecule(molecule) = &record.media {
            record.key = molecule.name.clone();
        }
        record.properties = properties;
        Ok((record, findings))
    }
}

fn first_char(text: &[u8]) -> Option<char> {
    word(text).chars().next()
}

/// A number, with or without its standard uncertainty, which is dropped: `10.123(4)`.
fn measured(field: &[u8]) -> Option<f64> {
    let before_uncertainty = || {
        let inner = field.strip_suffix(b")")?;
        let open = inner.iter().position(|&byte| byte == b'(')?;
        let digits = &inner[open + 1..];
        (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then_some(&inner[..open])
    };
    float(before_uncertainty().unwrap_or(field))
}

/// Residues as other categories refer to them.
struct Places(HashMap<Place, u32>);

/// Chain, component, number, whether that is `label_seq_id`, insertion code.
type Place = (SmolStr, SmolStr, Option<i32>, bool, Option<char>);

impl Places {
    fn new(molecule: &Molecule, components: &[SmolStr]) -> Self {
        let mut places = HashMap::new();
        for (index, residue) in (0_u32..).zip(&molecule.residues) {
            let asym = &molecule.chains[residue.chain as usize].label;
            let component = &components[index as usize];
            if residue.label_number.is_some() {
                let key = (asym.clone(), component.clone(), residue.label_number, true, None);
                places.entry(key).or_insert(index);
            }
            let key = (asym.clone(), component.clone(), residue.number, false, residue.insertion);
            places.entry(key).or_insert(index);
        }
        Self(places)
    }

    /// By `label_seq_id` where it is given, by the author's number otherwise.
    fn find(&self, asym: &str, component: &str, sequence: &str, author: &str, insertion: &str) -> Option<u32> {
        let number = |text: &str| integer(text.as_bytes()).and_then(|number| i32::try_from(number).ok());
        let (asym, component) = (SmolStr::new(asym), SmolStr::new(component));
        let key = match number(sequence) {
            Some(sequence) => (asym, component, Some(sequence), true, None),
            None => (asym, component, number(author), false, insertion.chars().next()),
        };
        self.0.get(&key).copied()
    }
}

fn secondary(molecule: &mut Molecule, tables: &HashMap<String, Table>, places: &Places, findings: &mut Findings) {
    for (category, kind, id, class) in [
        ("struct_conf", "helix", "pdbx_pdb_helix_id", "pdbx_pdb_helix_class"),
        ("struct_sheet_range", "sheet", "sheet_id", "mediary_sense"),
    ] {
        let Some(table) = tables.get(category) else { continue };
        let end = |end: &str| {
            let items = ["label_asym_id", "label_comp_id", "label_seq_id", "auth_seq_id"];
            let [asym, component, sequence, author] = items.map(|item| table.item(&format!("{end}_{item}")));
            let insertion = table.item(&format!("pdbx_{end}_pdb_ins_code"));
            move |row| places.find(asym(row), component(row), sequence(row), author(row), insertion(row))
        };
        let (start, end) = (end("beg"), end("end"));
        let (kind_of, id, class) = (table.item("conf_type_id"), table.item(id), table.item(class));
        for row in &table.rows {
            let word = kind_of(row);
            if kind == "helix" && !word.is_empty() && !word.to_ascii_uppercase().starts_with("HELX") {
                continue;
            }
            let (Some(start), Some(end)) = (start(row), end(row)) else {
                findings.note("secondary", 0, || format!("a {kind} runs between residues that are not there"));
                continue;
            };
            let class = class(row).parse().unwrap_or(0);
            molecule.secondary.push(SecondaryStructure { kind, start, end, class, id: id(row).into() });
        }
    }
}

/// What bonds are found by.
struct Links<'b> {
    labels: &'b [SmolStr],
    components: &'b [SmolStr],
    places: &'b Places,
    /// The file states every bond.
    complete: bool,
}

impl Links<'_> {
    fn bonds(
        &self,
        molecule: &Molecule,
        positions: &[[f64; 3]],
        tables: &HashMap<String, Table>,
        findings: &mut Findings,
        cx: &Context,
    ) -> Result<Vec<mediary_core::record::molecule::Bond>> {
        let mut bonds = BondList::default();
        let members = Members::new(molecule);
        let mut stated: HashMap<&str, Vec<(&str, &str, BondOrder, bool)>> = HashMap::new();
        if let Some(table) = tables.get("chem_comp_bond") {
            let items = ["comp_id", "atom_id_1", "atom_id_2", "value_order", "pdbx_aromatic_flag"];
            let [component, first, second, order, aromatic] = items.map(|item| table.item(item));
            for row in &table.rows {
                let bond = (first(row), second(row), parse_order(order(row)), aromatic(row) == "Y");
                stated.entry(component(row)).or_default().push(bond);
            }
        }
        for (residue, component) in self.components.iter().enumerate() {
            let Some(parts) = stated.get(component.as_str()) else { continue };
            if residue % 1024 == 0 {
                cx.checkpoint()?;
            }
            let mut own: Vec<(&str, u32)> =
                members.of(residue).iter().map(|&atom| (self.labels[atom as usize].as_str(), atom)).collect();
            own.sort_unstable();
            let named = |name: &str| {
                let from = own.partition_point(|&(known, _)| known < name);
                let to = own.partition_point(|&(known, _)| known <= name);
                &own[from..to]
            };
            for &(first, second, order, aromatic) in parts {
                let (first, second) = (named(first), named(second));
                cx.budget().take((first.len() * second.len()) as u64 * BOND_BYTES)?;
                for (&(_, a), &(_, b)) in first.iter().flat_map(|a| second.iter().map(move |b| (a, b))) {
                    if compatible(&molecule.atoms, a, b) {
                        bonds.add(a, b, order, aromatic, BondSource::File);
                    }
                }
            }
        }
        let before = bonds.len();
        if let Some(table) = tables.get("struct_conn") {
            self.connections(molecule, table, &members, findings, &mut bonds);
        }
        bonds.charge(before, cx)?;
        let wanted = cx.options().text("bonds");
        if self.complete || wanted == "file" || positions.is_empty() {
            return Ok(bonds.finish());
        }
        let mut known = template::add_bonds(molecule, positions, &mut bonds, cx)?;
        for (known, component) in known.iter_mut().zip(self.components) {
            *known |= stated.contains_key(component.as_str());
        }
        if wanted != "template" && known.contains(&false) {
            let is_known = |atom: u32| known[molecule.atoms.residues[atom as usize] as usize];
            by_distance(molecule, positions, |atom| !is_known(atom), |_, _| true, &mut bonds, cx)?;
        }
        Ok(bonds.finish())
    }

    fn connections(
        &self,
        molecule: &Molecule,
        table: &Table,
        members: &Members,
        findings: &mut Findings,
        bonds: &mut BondList,
    ) {
        let kind = table.item("conn_type_id");
        let order = table.item("pdbx_value_order");
        let aromatic = table.item("mediary_aromatic_flag");
        let ends = [1, 2].map(|partner| {
            let items = ["label_asym_id", "label_comp_id", "label_seq_id", "label_atom_id", "auth_seq_id", "symmetry"];
            let plain = items.map(|item| table.item(&format!("ptnr{partner}_{item}")));
            let alt = table.item(&format!("pdbx_ptnr{partner}_label_alt_id"));
            (plain, alt, table.item(&format!("pdbx_ptnr{partner}_pdb_ins_code")))
        });
        for row in &table.rows {
            let it = kind(row).to_ascii_lowercase();
            if ["hydrog", "saltbr", "mismat"].contains(&it.as_str()) {
                continue;
            }
            let symmetry = ends.each_ref().map(|([.., symmetry], _, _)| symmetry(row));
            if symmetry[0] != symmetry[1] && !symmetry.contains(&"") {
                findings.note("symmetry-bond", 0, || "a bond to a symmetry mate is set aside".into());
                continue;
            }
            let atoms = ends.each_ref().map(|([asym, component, sequence, name, author, _], alt, insertion)| {
                let place = (asym(row), component(row), sequence(row), author(row), insertion(row));
                let residue = self.places.find(place.0, place.1, place.2, place.3, place.4);
                let own = residue.map_or(&[][..], |residue| members.of(residue as usize));
                let label = alt(row).chars().next();
                let fits = |&&atom: &&u32| {
                    let known = molecule.atoms.altlocs.get(atom as usize).copied().unwrap_or('\0');
                    self.labels[atom as usize] == name(row)
                        && (label.is_none_or(|label| label == known)
                            && (!self.complete || label.is_some() || known == '\0'))
                };
                own.iter().filter(fits).take(8).copied().collect::<Vec<_>>()
            });
            if atoms.iter().any(Vec::is_empty) {
                findings.note("connection", 0, || "a connection joins atoms that are not there".into());
            }
            let stated = parse_order(order(row));
            let implied = matches!(it.as_str(), "covale" | "disulf") && !self.complete;
            let order = if stated == BondOrder::Unknown && implied { BondOrder::Single } else { stated };
            for &a in &atoms[0] {
                for &b in &atoms[1] {
                    if self.complete || compatible(&molecule.atoms, a, b) {
                        bonds.add(a, b, order, aromatic(row) == "Y", BondSource::File);
                    }
                }
            }
        }
    }
}

/// Bytes of a bond in memory.
const BOND_BYTES: u64 = size_of::<mediary_core::record::molecule::Bond>() as u64;

/// An order as `value_order` spells it, in any case and in full or short.
fn parse_order(word: &str) -> BondOrder {
    match word.get(..4).map(str::to_ascii_lowercase).as_deref() {
        Some("sing") => BondOrder::Single,
        Some("doub") => BondOrder::Double,
        Some("trip") => BondOrder::Triple,
        Some("quad") => BondOrder::Quadruple,
        Some("arom" | "delo") => BondOrder::Aromatic,
        _ => BondOrder::Unknown,
    }
}
