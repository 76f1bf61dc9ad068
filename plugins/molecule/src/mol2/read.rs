//! The reader: records of one molecule up to the next `MOLECULE`.

use std::borrow::Cow;
use std::collections::HashMap;

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Bond, BondOrder, Cell, Chain, Element, Model, Residue};
use mediary_core::{Context, Error, FormatReader, Location, MediaRecord, Result, Source, SourceBytes};
use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::{MARK, types};
use crate::models::Growth;
use crate::numbers::{NUMBER_BYTES, Numbers};
use crate::records::{Found, Mend, Parse, Records};
use crate::text::{Cursor, Findings, float, integer, single, word};

/// Bytes of memory that an atom takes, its number included.
const ATOM_BYTES: u64 = 112 + NUMBER_BYTES;
/// Bytes of memory that a bond takes.
const BOND_BYTES: u64 = size_of::<Bond>() as u64;

pub(super) fn open(source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
    let reader = Reader { cx: cx.clone(), cursor: Cursor::default(), begun: false, mend: Mend::default() };
    Ok(Box::new(Records::new(source, cx, reader)))
}

struct Reader {
    cx: Context,
    cursor: Cursor,
    /// A molecule was found, or what is before it was spoken of.
    begun: bool,
    mend: Mend,
}

impl Parse for Reader {
    fn next(&mut self, bytes: &SourceBytes) -> Result<Option<MediaRecord>> {
        let (cx, mut mend) = (self.cx.clone(), std::mem::take(&mut self.mend));
        let next = mend.next(&cx, || match self.find_molecule(bytes)? {
            true => self.molecule(bytes).map(Some),
            false => Ok(None),
        });
        self.mend = mend;
        next
    }

    fn is_done(&self, bytes: &[u8]) -> bool {
        !self.mend.is_pending() && bytes[self.cursor.at..].iter().all(u8::is_ascii_whitespace)
    }

    fn passed(&self) -> usize {
        self.cursor.at
    }

    fn none(&self) -> Error {
        Error::malformed("expected @<TRIPOS>MOLECULE, found none")
    }
}

/// A line with its continuations.
struct Text<'b> {
    text: Cow<'b, [u8]>,
    number: u64,
}

impl Text<'_> {
    fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
    }

    fn error(&self, expected: &str) -> Error {
        let found = word(&self.text[..self.text.len().min(60)]);
        Error::malformed(format!("expected {expected}, found {found:?}")).at(Location::line(self.number))
    }
}

/// A field that is not empty.
fn stated(field: Option<&[u8]>) -> Option<&[u8]> {
    field.filter(|field| !field.iter().all(|&byte| byte == b'*'))
}

/// A molecule as it is read.
#[derive(Default)]
struct Build {
    molecule: Molecule,
    positions: Vec<[f64; 3]>,
    numbers: Numbers,
    /// Residues by the numbers and names of substructures.
    residues: HashMap<(i64, SmolStr), u32>,
    /// What the record `SUBSTRUCTURE` says, by number.
    substructures: HashMap<i64, Substructure>,
    ids: Vec<i64>,
    findings: Findings,
    properties: Map<String, Value>,
    atoms: Growth,
    bonds: Growth,
    groups: Growth,
}

struct Substructure {
    hetero: bool,
    chain: SmolStr,
    residue: SmolStr,
}

impl Reader {
    /// Goes on to the line behind the next `@<TRIPOS>MOLECULE`.
    fn find_molecule(&mut self, bytes: &[u8]) -> Result<bool> {
        while let Some(line) = self.cursor.next(bytes) {
            if line.number.is_multiple_of(16_384) {
                self.cx.checkpoint()?;
            }
            let text = line.text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line.text).trim_ascii();
            if text.starts_with(b"@<TRIPOS>MOLECULE") {
                self.begun = true;
                return Ok(true);
            }
            if !self.begun && !text.is_empty() && !text.starts_with(b"#") {
                self.begun = true;
                let found = word(&text[..text.len().min(40)]);
                let message = format!("expected @<TRIPOS>MOLECULE, found {found:?}: passed over");
                self.cx.tolerate("stray-line", message, Location::line(line.number))?;
            }
        }
        Ok(false)
    }

    /// The next line of a record; `None` and nothing taken at the next `@`. Comments are passed over, and so
    /// are blank lines unless they are wanted.
    fn line<'b>(&mut self, bytes: &'b [u8], blank: bool) -> Result<Option<Text<'b>>> {
        loop {
            let before = self.cursor;
            let Some(line) = self.cursor.next(bytes) else { return Ok(None) };
            if line.number.is_multiple_of(16_384) {
                self.cx.checkpoint()?;
            }
            let text = line.text.trim_ascii_end();
            if text.starts_with(b"@") {
                self.cursor = before;
                return Ok(None);
            }
            if text.starts_with(b"#") || (text.is_empty() && !blank) {
                continue;
            }
            let Some(begun) = text.strip_suffix(b"\\") else {
                return Ok(Some(Text { text: Cow::Borrowed(text), number: line.number }));
            };
            let mut joined = begun.to_vec();
            while let Some(more) = self.cursor.next(bytes) {
                let text = more.text.trim_ascii_end();
                self.cx.limits().check("string_bytes", (joined.len() + text.len()) as u64)?;
                self.cx.budget().take(text.len() as u64)?;
                joined.push(b' ');
                joined.extend_from_slice(text.strip_suffix(b"\\").unwrap_or(text));
                if !text.ends_with(b"\\") {
                    break;
                }
            }
            return Ok(Some(Text { text: Cow::Owned(joined), number: line.number }));
        }
    }

    fn molecule(&mut self, bytes: &[u8]) -> Result<Found> {
        let mut build = Build::default();
        let begun = self.cursor.lines;
        let (name, counts) = (self.line(bytes, true)?, self.line(bytes, false)?);
        let (Some(name), Some(counts)) = (name, counts) else {
            return Err(Error::malformed("expected a name and counts behind @<TRIPOS>MOLECULE, found another record")
                .at_line(begun + 1));
        };
        build.molecule.name = String::from_utf8_lossy(name.text.trim_ascii()).into_owned();
        if build.molecule.name.bytes().all(|byte| byte == b'*') {
            build.molecule.name.clear();
        }
        let mut numbers = counts.words().map(|field| integer(field).and_then(|count| u64::try_from(count).ok()));
        let Some(atoms) = numbers.next().flatten() else { return Err(counts.error("a number of atoms")) };
        let (bonds, groups) = (numbers.next().flatten(), numbers.next().flatten());
        self.cx.limits().check("elements", atoms.max(bonds.unwrap_or(0)))?;
        for (key, blank) in [("molecule_type", false), ("charge_type", false), ("status", true), ("comment", true)] {
            let Some(line) = self.line(bytes, blank)? else { break };
            let text = String::from_utf8_lossy(line.text.trim_ascii()).into_owned();
            if !text.is_empty() && key != "status" && !text.bytes().all(|byte| byte == b'*') {
                build.properties.insert(key.into(), text.into());
            }
        }
        let mut done = false;
        loop {
            let before = self.cursor;
            let Some(line) = self.cursor.next(bytes) else { break };
            let Some(record) = line.text.trim_ascii_end().strip_prefix(MARK) else {
                // More comment, or lines of a record that is passed over.
                continue;
            };
            match record {
                b"MOLECULE" => {
                    self.cursor = before;
                    break;
                }
                b"ATOM" => {
                    while let Some(line) = self.line(bytes, false)? {
                        build.atom(&line, &self.cx)?;
                    }
                }
                b"BOND" => {
                    while let Some(line) = self.line(bytes, false)? {
                        build.bond(&line, &self.cx)?;
                        done = true;
                    }
                }
                b"SUBSTRUCTURE" => {
                    while let Some(line) = self.line(bytes, false)? {
                        build.substructure(&line, &self.cx)?;
                    }
                }
                b"CRYSIN" | b"FF_PBC" => {
                    if let Some(line) = self.line(bytes, false)? {
                        build.cell(&line);
                    }
                }
                other => build
                    .findings
                    .note("record", line.number, || format!("the record {:?} is passed over", word(other))),
            }
        }
        let found = build.positions.len() as u64;
        let missing = |what: &str, expected: u64, found: u64| {
            Error::malformed(format!("expected {expected} {what}, found {found}"))
                .at_line(self.cursor.lines)
                .with_hint("the counts behind @<TRIPOS>MOLECULE are wrong, or the file is cut short")
        };
        if found != atoms {
            return Err(missing("atoms", atoms, found));
        }
        let read = build.molecule.bonds.len() as u64 + build.findings.count("no-bond");
        if let Some(bonds) = bonds.filter(|&bonds| bonds != read) {
            return Err(missing("bonds", bonds, read));
        }
        if !done && bonds.is_none() && found > 1 {
            build.findings.note("no-bonds", self.cursor.lines, || "no bonds are stated".into());
        }
        let stated = build.substructures.len() as u64;
        if groups.is_some_and(|groups| groups > stated) {
            build.findings.note("substructure", self.cursor.lines, || {
                format!("expected {} substructures, found {stated}", groups.unwrap_or(0))
            });
        }
        if self.cursor.at >= bytes.len() && !bytes.ends_with(b"\n") {
            build.findings.note("no-last-newline", self.cursor.lines, || {
                "the last line has no end: its last word may be cut short".into()
            });
        }
        build.finish()
    }
}

impl Build {
    fn atom(&mut self, line: &Text<'_>, cx: &Context) -> Result<()> {
        let index = self.positions.len();
        self.atoms.make_room(index, ATOM_BYTES, cx)?;
        cx.limits().check("elements", index as u64 + 1)?;
        let mut words = line.words();
        let (number, name) = (words.next().and_then(integer), words.next());
        let [x, y, z] = [(); 3].map(|()| words.next().and_then(float));
        let (Some(number), Some(name), Some(x), Some(y), Some(z), Some(kind)) = (number, name, x, y, z, words.next())
        else {
            return Err(line.error("number, name, coordinates and type of an atom"));
        };
        if !self.numbers.add(number) {
            return Err(line.error("another number for each atom"));
        }
        let element = types::element(kind).unwrap_or_else(|| {
            let guessed = types::guess(name, kind);
            self.findings.note("atom-type", line.number, || {
                format!(
                    "{:?} is no type of SYBYL: the element is taken from the atom name {:?}",
                    word(kind),
                    word(name)
                )
            });
            guessed.unwrap_or_else(|| {
                self.findings.warn("unknown-element", line.number, || {
                    format!("expected an element, found the atom {:?} of type {:?}", word(name), word(kind))
                });
                Element::UNKNOWN
            })
        });
        let (id, group) = (words.next().and_then(integer), stated(words.next()));
        let charge = words.next();
        let atoms = &mut self.molecule.atoms;
        atoms.elements.push(element);
        atoms.names.push(stated(Some(name)).map(word).unwrap_or_default());
        atoms.types.push(word(kind));
        if let Some(charge) = stated(charge) {
            let value = single(charge).unwrap_or_else(|| {
                self.findings.warn("bad-charge", line.number, || {
                    format!("expected a partial charge, found {:?}: 0 is taken", word(charge))
                });
                0.0
            });
            atoms.partial_charges.resize(index, 0.0);
            atoms.partial_charges.push(value);
        }
        let group = group.map(word).unwrap_or_default();
        let id = id.unwrap_or(0);
        let residue = match self.residues.get(&(id, group.clone())) {
            Some(&residue) => residue,
            None => {
                self.groups.make_room(self.ids.len(), size_of::<Residue>() as u64 + 80, cx)?;
                let number = i32::try_from(id).ok().filter(|_| !group.is_empty());
                self.molecule.residues.push(Residue { name: group.clone(), number, ..Residue::default() });
                self.ids.push(id);
                self.residues.insert((id, group), self.ids.len() as u32 - 1);
                self.ids.len() as u32 - 1
            }
        };
        self.molecule.atoms.residues.push(residue);
        self.positions.push([x, y, z]);
        Ok(())
    }

    fn bond(&mut self, line: &Text<'_>, cx: &Context) -> Result<()> {
        self.bonds.make_room(self.molecule.bonds.len(), BOND_BYTES, cx)?;
        let mut words = line.words();
        let [_, a, b] = [(); 3].map(|()| words.next().and_then(integer));
        let (Some(a), Some(b), Some(kind)) = (a, b, words.next()) else {
            return Err(line.error("number, atoms and type of a bond"));
        };
        let find =
            |number| self.numbers.find(number).ok_or_else(|| line.error(&format!("an atom of the number {number}")));
        let (a, b) = (find(a)?, find(b)?);
        let (order, aromatic) = match kind {
            b"1" => (BondOrder::Single, false),
            // An amide bond is a single one, which the types of its atoms tell.
            b"am" | b"AM" => (BondOrder::Single, false),
            b"2" => (BondOrder::Double, false),
            b"3" => (BondOrder::Triple, false),
            b"ar" | b"AR" | b"Ar" => (BondOrder::Aromatic, true),
            b"un" | b"du" | b"UN" | b"DU" => (BondOrder::Unknown, false),
            b"nc" | b"NC" => {
                self.findings
                    .note("no-bond", line.number, || "atoms that are stated not to be connected have no bond".into());
                return Ok(());
            }
            _ => {
                self.findings.warn("bond-type", line.number, || {
                    format!("expected a bond type such as 1, 2, 3, am or ar, found {:?}: unknown", word(kind))
                });
                (BondOrder::Unknown, false)
            }
        };
        if a == b {
            self.findings.warn("no-bond", line.number, || "a bond joins an atom with itself: left out".into());
            return Ok(());
        }
        self.molecule.bonds.push(Bond { a, b, order, aromatic, ..Bond::default() });
        Ok(())
    }

    fn substructure(&mut self, line: &Text<'_>, cx: &Context) -> Result<()> {
        let mut words = line.words();
        let Some(number) = words.next().and_then(integer) else {
            self.findings.warn("substructure", line.number, || {
                "expected the number of a substructure, found another word".into()
            });
            return Ok(());
        };
        // Name and root atom stand before the type, a dictionary behind it.
        let kind = words.nth(2);
        let (chain, residue) = (words.nth(1), words.next());
        let text = |field| stated(field).map(word).unwrap_or_default();
        cx.budget().take(112)?;
        let it = Substructure { hetero: kind == Some(b"GROUP"), chain: text(chain), residue: text(residue) };
        self.substructures.insert(number, it);
        Ok(())
    }

    fn cell(&mut self, line: &Text<'_>) {
        let numbers: Vec<_> = line.words().map_while(float).collect();
        let [a, b, c, alpha, beta, gamma, rest @ ..] = &numbers[..] else {
            self.findings
                .warn("cell", line.number, || "expected six numbers of a cell, found fewer: no cell is taken".into());
            return;
        };
        if [a, b, c].iter().any(|&&edge| edge <= 0.0) {
            self.findings
                .warn("cell", line.number, || "expected positive edges of a cell, found others: no cell".into());
            return;
        }
        self.molecule.cell = Some(Cell { lengths: [*a, *b, *c], angles: [*alpha, *beta, *gamma] });
        if let Some(group) = rest.first() {
            self.properties.insert("space_group_number".into(), (*group as i64).into());
        }
    }

    fn finish(mut self) -> Result<Found> {
        let mut chains: HashMap<SmolStr, u32> = HashMap::new();
        let molecule = &mut self.molecule;
        for (residue, id) in molecule.residues.iter_mut().zip(&self.ids) {
            let it = self.substructures.get(id);
            if let Some(it) = it {
                residue.hetero = it.hetero;
                if let Some((number, insertion)) = rest(&residue.name, &it.residue) {
                    residue.name = it.residue.clone();
                    (residue.number, residue.insertion) = (number, insertion);
                }
            }
            let name = it.map(|it| it.chain.clone()).unwrap_or_default();
            residue.chain = *chains.entry(name).or_insert_with_key(|name| {
                molecule.chains.push(Chain { name: name.clone(), ..Chain::default() });
                molecule.chains.len() as u32 - 1
            });
        }
        let atoms = &mut molecule.atoms;
        if !atoms.partial_charges.is_empty() {
            atoms.partial_charges.resize(atoms.elements.len(), 0.0);
        }
        // Without charges their column holds zeros.
        if self.properties.get("charge_type").is_some_and(|kind| kind == "NO_CHARGES") {
            atoms.partial_charges = Vec::new();
        }
        if molecule.chains.is_empty() {
            molecule.chains.push(Chain::default());
        }
        atoms.serials = self.numbers.into_serials();
        molecule.models.push(Model { number: 1, positions: self.positions.into(), ..Model::default() });
        let key = molecule.name.clone();
        let mut record = MediaRecord::new(self.molecule);
        record.key = key;
        record.properties = self.properties;
        Ok((record, self.findings))
    }
}

/// Number and insertion code of a substructure that is named after its residue: `ALA12`, `ALA12B`, `ALA`.
fn rest(name: &str, residue: &str) -> Option<(Option<i32>, Option<char>)> {
    let rest = name.strip_prefix(residue).filter(|_| !residue.is_empty())?;
    if rest.is_empty() {
        return Some((None, None));
    }
    let insertion = rest.chars().last().filter(|last| !last.is_ascii_digit());
    let digits = &rest[..rest.len() - insertion.map_or(0, char::len_utf8)];
    Some((Some(digits.parse().ok()?), insertion))
}
