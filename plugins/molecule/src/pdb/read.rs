//! The reader: byte columns straight into the columns of the record.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry as Slot, HashMap};

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{BondOrder, BondSource, Cell, Chain, Element, Model, Residue, SecondaryStructure};
use mediary_core::{Context, Error, FormatReader, Location, MediaRecord, Result, Source};
use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::{RECORDS, decode_hybrid36};
use crate::bonds::{BondList, by_distance};
use crate::elements::{by_symbol, is_nonmetal, isotope};
use crate::models::{self, Growth, MODEL_BYTES, POSITION_BYTES};
use crate::records::{Parse, Records};
use crate::template;
use crate::text::{Cursor, Findings, Line, float, integer, word};

/// Bytes of memory that one atom of the first model takes in the columns and in the reader's own.
const ATOM_BYTES: u64 = 112;
/// Columns that say which atom it is: name, alternate location, residue, chain, number, insertion code.
const IDENTITY: (usize, usize) = (12, 27);

/// The name of a record: the first six bytes, filled up with blanks, in capitals.
pub(super) fn record_name(line: &[u8]) -> [u8; 6] {
    let mut name = [b' '; 6];
    let length = line.len().min(6);
    name[..length].copy_from_slice(&line[..length]);
    // `TER` and `END` may be cut or followed by anything: blanks are what counts.
    name.make_ascii_uppercase();
    name
}

pub(super) fn open(source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
    let reader = Reader { cx: cx.clone(), cursor: Cursor::default(), entry: Entry::default(), ended: false };
    Ok(Box::new(Records::new(source, cx, reader)))
}

struct Reader {
    cx: Context,
    cursor: Cursor,
    /// What stands outside the models of the entry at hand.
    entry: Entry,
    /// The last record read was `END`.
    ended: bool,
}

impl Parse for Reader {
    fn next(&mut self, bytes: &[u8]) -> Result<Option<MediaRecord>> {
        self.read(bytes)
    }

    fn is_done(&self, bytes: &[u8]) -> bool {
        bytes[self.cursor.at..].trim_ascii().is_empty()
    }

    fn none(&self) -> Error {
        Error::malformed("expected ATOM or HETATM records, found none")
    }
}

impl Reader {
    /// One record: the first model from here, and those that follow with the same atoms.
    fn read(&mut self, bytes: &[u8]) -> Result<Option<MediaRecord>> {
        let cx = self.cx.clone();
        let mut build = Build::default();
        if self.ended {
            self.ended = false;
            // A title after the end begins another entry; atoms alone continue the last one.
            if starts_entry(self.cursor, bytes) {
                self.entry = Entry::default();
            }
        }
        loop {
            let before = self.cursor;
            let Some(line) = self.cursor.next(bytes) else { break };
            if line.number.is_multiple_of(16_384) {
                cx.checkpoint()?;
            }
            let name = record_name(line.text);
            match &name {
                b"ATOM  " | b"HETATM" => {
                    if build.closed {
                        self.cursor = before;
                        if !self.more_of_the_same(bytes, &mut build, 0)? {
                            break;
                        }
                    } else {
                        build.atom(&line, name == *b"HETATM", bytes, &cx)?;
                    }
                }
                b"MODEL " => {
                    // More than 9999 models run over the columns of the number.
                    let number = integer(line.columns(6, 80)).or_else(|| integer(line.columns(10, 14)));
                    if let Some(number) = number.filter(|&number| number < 1) {
                        build.findings.note("model-number", line.number, || {
                            format!("expected a positive model number, found {number}: the next free one is taken")
                        });
                    }
                    let number = number.unwrap_or(0).max(0);
                    if build.is_empty() {
                        build.model.number = number;
                        build.open = true;
                        continue;
                    }
                    if build.open && !build.closed {
                        build.unclosed(line.number);
                    }
                    build.closed = true;
                    if !self.more_of_the_same(bytes, &mut build, number)? {
                        self.cursor = before;
                        break;
                    }
                }
                b"ENDMDL" => build.closed = !build.is_empty(),
                // `END` alone on its line, however it is filled up.
                [b'E', b'N', b'D', b' ', ..] => {
                    if build.is_empty() {
                        continue;
                    }
                    if build.open && !build.closed {
                        build.unclosed(line.number);
                    }
                    build.closed = true;
                    build.ended = true;
                    if starts_entry(self.cursor, bytes) {
                        self.ended = true;
                        break;
                    }
                }
                [b'T', b'E', b'R', b' ', ..] => build.after_ter = true,
                b"ANISOU" => build.findings.warn("anisou", line.number, || {
                    "anisotropic displacements are set aside, the isotropic B factor is kept".into()
                }),
                b"CRYST1" if !build.is_empty() || self.entry.cell.is_some() => {
                    let cell = cryst1(&line, &mut build.findings).0;
                    if build.is_empty() {
                        build.model.cell = cell.filter(|cell| Some(*cell) != self.entry.cell);
                    } else {
                        build.next_cell = cell.filter(|cell| Some(*cell) != self.entry.cell);
                    }
                }
                _ => self.entry.record(&name, &line, &mut build.findings),
            }
        }
        if build.is_empty() {
            build.findings.report(&cx)?;
            return Ok(None);
        }
        if build.open && !build.closed {
            build.unclosed(self.cursor.lines);
        }
        if !build.ended && self.cursor.at >= bytes.len() {
            build.findings.warn("no-end", self.cursor.lines, || {
                "expected an END record, found the end of the file: it may be cut short".into()
            });
        }
        if self.cursor.at < bytes.len() && !self.ended {
            self.entry.look_ahead(self.cursor, bytes);
        }
        build.finish(&self.entry, &cx).map(Some)
    }

    /// Reads the model that begins here if its atoms are those of the first; otherwise nothing is taken.
    fn more_of_the_same(&mut self, bytes: &[u8], build: &mut Build, number: i64) -> Result<bool> {
        let (before, known) = (self.cursor, build.models.len());
        let memory = build.starts.len() as u64 * POSITION_BYTES + MODEL_BYTES;
        self.cx.budget().take(memory)?;
        let same = self.later_model(bytes, build, number)?;
        if !same {
            self.cursor = before;
        }
        if build.models.len() == known {
            self.cx.budget().give_back(memory);
        }
        Ok(same)
    }

    /// Reads a model as far as its atoms are those of the first, and says whether they all are. `number` is 0 where none is
    /// stated.
    fn later_model(&mut self, bytes: &[u8], build: &mut Build, number: i64) -> Result<bool> {
        let before = self.cursor.lines;
        let mut positions = Vec::new();
        let mut differing = None;
        loop {
            let here = self.cursor;
            let Some(line) = self.cursor.next(bytes) else { break };
            if line.number.is_multiple_of(16_384) {
                self.cx.checkpoint()?;
            }
            match &record_name(line.text) {
                b"ATOM  " | b"HETATM" => {
                    let Some(first) = build.starts.get(positions.len()).map(|&start| line_at(bytes, start)) else {
                        return Ok(false);
                    };
                    if first.columns(IDENTITY.0, IDENTITY.1) != line.columns(IDENTITY.0, IDENTITY.1) {
                        return Ok(false);
                    }
                    if positions.is_empty() {
                        positions.reserve_exact(build.starts.len());
                    }
                    positions.push(position(&line)?);
                    if first.columns(54, 66).trim_ascii_end() != line.columns(54, 66).trim_ascii_end() {
                        differing.get_or_insert(line.number);
                    }
                }
                b"ENDMDL" => {
                    build.open = false;
                    break;
                }
                b"MODEL " | [b'E', b'N', b'D', b' ', ..] => {
                    self.cursor = here;
                    break;
                }
                // Connections of a later model repeat those of the first, and would count as orders.
                _ => {}
            }
        }
        if positions.is_empty() {
            build.findings.warn("empty-model", before, || "expected the atoms of a model, found none".into());
            return Ok(true);
        }
        if positions.len() != build.starts.len() {
            return Ok(false);
        }
        if let Some(line) = differing {
            build.findings.note("model-values", line, || {
                "occupancies or B factors differ between models: those of the first are kept".into()
            });
        }
        let cell = build.next_cell.take();
        build.models.push(Model { number, positions: positions.into(), cell, ..Model::default() });
        Ok(true)
    }
}

/// Whether what follows is a new entry: a header record comes before the next atom.
fn starts_entry(mut cursor: Cursor, bytes: &[u8]) -> bool {
    while let Some(line) = cursor.next(bytes) {
        match &record_name(line.text) {
            b"HEADER" | b"TITLE " | b"COMPND" => return true,
            b"ATOM  " | b"HETATM" | b"MODEL " | b"CRYST1" => return false,
            _ if line.text.trim_ascii().is_empty() => {}
            _ => return false,
        }
    }
    false
}

fn line_at(bytes: &[u8], start: usize) -> Line<'_> {
    Cursor { at: start, lines: 0 }.next(bytes).unwrap_or(Line { text: &[], number: 0, start })
}

/// The coordinates of an atom.
fn position(line: &Line<'_>) -> Result<[f64; 3]> {
    let at = |column| Location::line(line.number).with_column(column).with_byte(line.start as u64 + column - 1);
    if line.text.len() < 54 {
        return Err(Error::malformed(format!(
            "expected coordinates in columns 31 to 54, found a line of {} columns",
            line.text.len()
        ))
        .at(at(line.text.len() as u64 + 1)));
    }
    let number = |from: usize| {
        let field = line.columns(from, from + 8);
        float(field).ok_or_else(|| {
            let found = String::from_utf8_lossy(field).into_owned();
            Error::malformed(format!("expected a coordinate, found {found:?}")).at(at(from as u64 + 1))
        })
    };
    Ok([number(30)?, number(38)?, number(46)?])
}

/// What an entry says outside its models.
#[derive(Default)]
struct Entry {
    name: String,
    properties: Map<String, Value>,
    texts: BTreeMap<&'static str, String>,
    sequences: BTreeMap<String, String>,
    cell: Option<Cell>,
    space_group: Option<String>,
    helices: Vec<Stretch>,
    links: Vec<Link>,
    connections: Vec<(i64, i64)>,
    looked_ahead: bool,
}

struct Stretch {
    kind: &'static str,
    id: SmolStr,
    class: i32,
    start: Place,
    end: Place,
    line: u64,
}

struct Link {
    ends: [(SmolStr, char, Place); 2],
    line: u64,
}

/// Chain, number and insertion code of a residue.
type Place = (SmolStr, Option<i32>, Option<char>);

fn place(line: &Line<'_>, chain: usize, number: usize) -> Place {
    let name = if line.byte(chain) == b' ' { SmolStr::default() } else { word(line.columns(chain - 1, chain + 1)) };
    let (number, insertion) = residue_number(line.columns(number, number + 5));
    (name, number, insertion)
}

/// Number and insertion code of five columns.
fn residue_number(field: &[u8]) -> (Option<i32>, Option<char>) {
    let digits = field.get(..4).unwrap_or(field);
    let code = field.get(4).copied().unwrap_or(b' ');
    if code.is_ascii_digit()
        && let Some(number) = integer(field).filter(|_| !digits.ends_with(b" "))
    {
        return (i32::try_from(number).ok(), None);
    }
    let number = integer(digits).or_else(|| decode_hybrid36(digits, 4));
    (number.and_then(|number| i32::try_from(number).ok()), (code != b' ').then_some(char::from(code)))
}

/// Whether a line has a residue number where an atom has one, and blanks between it and the coordinates.
pub(super) fn has_residue_columns(line: &[u8]) -> bool {
    line.len() >= 54 && residue_number(&line[22..27]).0.is_some() && line[27..30] == *b"   "
}

/// The serial of an atom.
fn serial(line: &Line<'_>) -> Option<i64> {
    // Six digits take the column before, which is blank after `ATOM`.
    let field = line.columns(if line.byte(5).is_ascii_digit() { 5 } else { 6 }, 11);
    serial_field(field)
}

fn serial_field(field: &[u8]) -> Option<i64> {
    integer(field).or_else(|| decode_hybrid36(field, 5)).or_else(|| {
        let text = std::str::from_utf8(field.trim_ascii()).ok()?;
        i64::from_str_radix(text, 16).ok().filter(|_| text.starts_with(|first: char| first.is_ascii_digit()))
    })
}

/// Cell and space group of a `CRYST1` record.
fn cryst1(line: &Line<'_>, findings: &mut Findings) -> (Option<Cell>, Option<String>) {
    let lengths = [(6, 15), (15, 24), (24, 33)].map(|(from, to)| float(line.columns(from, to)));
    let angles = [(33, 40), (40, 47), (47, 54)].map(|(from, to)| float(line.columns(from, to)));
    let [Some(a), Some(b), Some(c)] = lengths else {
        findings.warn("cell", line.number, || "expected three edges in CRYST1, found others: no cell is taken".into());
        return (None, None);
    };
    if angles.contains(&None) {
        findings
            .warn("cell", line.number, || "expected three angles in CRYST1, found fewer: 90 degrees are taken".into());
    }
    let group = word(line.columns(55, 66));
    let group = (!group.is_empty()).then(|| group.to_string());
    // Edges of 1 (or 0) Å stand for "no crystal".
    if [a, b, c].iter().all(|&edge| edge <= 1.0) {
        return (None, None);
    }
    if [a, b, c].iter().any(|&edge| edge <= 0.0) {
        findings
            .warn("cell", line.number, || "expected positive edges in CRYST1, found others: no cell is taken".into());
        return (None, None);
    }
    (Some(Cell { lengths: [a, b, c], angles: angles.map(|angle| angle.unwrap_or(90.0)) }), group)
}

impl Entry {
    fn record(&mut self, name: &[u8; 6], line: &Line<'_>, findings: &mut Findings) {
        let continued = |texts: &mut BTreeMap<&'static str, String>, key: &'static str| {
            let text = texts.entry(key).or_default();
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&word(line.columns(10, 80)));
        };
        match name {
            b"HEADER" => {
                for (key, from, to) in [("classification", 10, 50), ("deposition_date", 50, 59), ("id", 62, 66)] {
                    let text = word(line.columns(from, to));
                    if !text.is_empty() {
                        self.properties.insert(key.into(), text.as_str().into());
                        if key == "id" {
                            self.name = text.to_string();
                        }
                    }
                }
            }
            b"TITLE " => continued(&mut self.texts, "title"),
            b"COMPND" => continued(&mut self.texts, "compound"),
            b"SOURCE" => continued(&mut self.texts, "source"),
            b"KEYWDS" => continued(&mut self.texts, "keywords"),
            b"EXPDTA" => continued(&mut self.texts, "method"),
            b"AUTHOR" => continued(&mut self.texts, "authors"),
            b"REMARK" => {
                // `REMARK   2 RESOLUTION.    2.70 ANGSTROMS.`
                if integer(line.columns(7, 10)) == Some(2)
                    && line.columns(11, 22) == b"RESOLUTION."
                    && let Some(resolution) = float(line.columns(22, 30))
                {
                    self.properties.insert("resolution".into(), resolution.into());
                }
            }
            b"SEQRES" => {
                let sequence = self.sequences.entry(word(line.columns(11, 12)).to_string()).or_default();
                for residue in line.columns(19, 70).split(u8::is_ascii_whitespace).filter(|name| !name.is_empty()) {
                    if !sequence.is_empty() {
                        sequence.push(' ');
                    }
                    sequence.push_str(&word(residue));
                }
            }
            b"CRYST1" => (self.cell, self.space_group) = cryst1(line, findings),
            b"HELIX " | b"SHEET " => {
                let helix = name == b"HELIX ";
                let (chain, number, last_chain, last_number) = if helix { (19, 21, 31, 33) } else { (21, 22, 32, 33) };
                self.helices.push(Stretch {
                    kind: if helix { "helix" } else { "sheet" },
                    id: word(line.columns(11, 14)),
                    class: integer(line.columns(38, 40)).and_then(|class| i32::try_from(class).ok()).unwrap_or(0),
                    start: place(line, chain, number),
                    end: place(line, last_chain, last_number),
                    line: line.number,
                });
            }
            b"SSBOND" | b"LINK  " | b"LINKR " => {
                let mates = [line.columns(59, 65), line.columns(66, 72)].map(<[u8]>::trim_ascii);
                if mates[0] != mates[1] && !mates.contains(&&b""[..]) && name != b"LINKR " {
                    return findings
                        .note("symmetry-bond", line.number, || "a bond to a symmetry mate is set aside".into());
                }
                let ends = if name == b"SSBOND" {
                    [(15, 17), (29, 31)].map(|(chain, number)| ("SG".into(), '\0', place(line, chain, number)))
                } else {
                    [(12, 16, 21, 22), (42, 46, 51, 52)].map(|(name, alternate, chain, number)| {
                        (word(line.columns(name, name + 4)), label(line.byte(alternate)), place(line, chain, number))
                    })
                };
                self.links.push(Link { ends, line: line.number });
            }
            b"CONECT" if !self.looked_ahead => self.connect(line, findings),
            _ if RECORDS.contains(&name) || line.text.trim_ascii().is_empty() => {}
            // Records of one word that may be filled up or cut anyhow.
            _ if matches!(word(line.columns(0, 6)).as_str(), "REMARK" | "TER" | "END" | "MASTER") => {}
            _ => findings.note("unknown-record", line.number, || {
                format!("{:?} is no record of the specification: it is passed over", word(line.columns(0, 6)))
            }),
        }
    }

    fn connect(&mut self, line: &Line<'_>, findings: &mut Findings) {
        let field = |from: usize| line.columns(from, from + 5);
        let Some(atom) = serial_field(field(6)) else {
            return findings.warn("conect", line.number, || "expected an atom serial in CONECT, found none".into());
        };
        for from in [11, 16, 21, 26] {
            let partner = field(from);
            if partner.trim_ascii().is_empty() {
                continue;
            }
            match serial_field(partner) {
                Some(partner) => self.connections.push((atom, partner)),
                None => findings.warn("conect", line.number, || "expected an atom serial in CONECT, found none".into()),
            }
        }
    }

    /// Takes what stands behind all models of the entry, once, for the records before the last.
    fn look_ahead(&mut self, mut cursor: Cursor, bytes: &[u8]) {
        if std::mem::replace(&mut self.looked_ahead, true) {
            return;
        }
        while let Some(line) = cursor.next(bytes) {
            match &record_name(line.text) {
                b"CONECT" => self.connect(&line, &mut Findings::default()),
                [b'E', b'N', b'D', b' ', ..] => break,
                _ => {}
            }
        }
    }
}

fn label(byte: u8) -> char {
    if byte == b' ' { '\0' } else { char::from(byte) }
}

/// A record while its first model is read.
#[derive(Default)]
struct Build {
    molecule: Molecule,
    /// The first model.
    model: Model,
    /// Later models.
    models: Vec<Model>,
    /// Offset of the line of each atom.
    starts: Vec<usize>,
    growth: Growth,
    findings: Findings,
    /// Cell of the next model.
    next_cell: Option<Cell>,
    /// A `MODEL` record stands before.
    open: bool,
    /// The first model is at its end.
    closed: bool,
    /// The entry is at its end.
    ended: bool,
    after_ter: bool,
}

impl Build {
    fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    fn unclosed(&mut self, line: u64) {
        self.open = false;
        self.findings.warn("unclosed-model", line, || "expected ENDMDL before the next model or the end".into());
    }

    fn atom(&mut self, line: &Line<'_>, hetero: bool, bytes: &[u8], cx: &Context) -> Result<()> {
        let position = match position(line) {
            Ok(position) => position,
            Err(error) => return cx.unless_lenient("bad-atom", error),
        };
        let count = self.starts.len();
        if count as u64 >= cx.limits().elements {
            cx.limits().check("elements", count as u64 + 1)?;
        }
        self.growth.make_room(count, ATOM_BYTES, cx)?;
        // The same residue as the line before, unless its columns say otherwise.
        let same = !self.after_ter
            && self.starts.last().is_some_and(|&last| {
                let last = line_at(bytes, last);
                last.columns(17, 27) == line.columns(17, 27) && last.columns(72, 76) == line.columns(72, 76)
            });
        let residue =
            if same { self.molecule.atoms.residues.last().copied().unwrap_or(0) } else { self.residue(line, hetero) };
        let (element, isotope, old_style) = self.element(line, residue);
        let atoms = &mut self.molecule.atoms;
        atoms.elements.push(element);
        if isotope != 0 && atoms.isotopes.is_empty() {
            atoms.isotopes = vec![0; count];
        }
        if isotope != 0 || !atoms.isotopes.is_empty() {
            atoms.isotopes.push(isotope);
        }
        atoms.names.push(word(line.columns(12, 16)));
        atoms.residues.push(residue);
        let previous = atoms.serials.last().copied().unwrap_or(0);
        atoms.serials.push(serial(line).unwrap_or_else(|| {
            self.findings.note("serial", line.number, || {
                let found = word(line.columns(6, 11));
                format!("expected an atom serial, found {found:?}: counted on")
            });
            previous + 1
        }));
        atoms.altlocs.push(label(line.byte(16)));
        let mut value = |from: usize, default: f32, what: &str| {
            let field = line.columns(from, from + 6);
            if field.trim_ascii().is_empty() {
                return default;
            }
            float(field).map_or_else(
                || {
                    self.findings.warn("bad-number", line.number, || {
                        format!("expected {what}, found {:?}: {default} is taken", word(field))
                    });
                    default
                },
                |value| value as f32,
            )
        };
        atoms.occupancies.push(value(54, 1.0, "an occupancy"));
        atoms.b_factors.push(value(60, 0.0, "a B factor"));
        let charge = if old_style { Some(0) } else { charge(line.columns(78, 80)) };
        atoms.formal_charges.push(charge.unwrap_or_else(|| {
            self.findings.warn("bad-charge", line.number, || {
                format!("expected a charge such as 2+, found {:?}: 0 is taken", word(line.columns(78, 80)))
            });
            0
        }));
        self.model.positions.to_mut().push(position);
        self.starts.push(line.start);
        Ok(())
    }

    /// Starts a residue, and a chain where one starts.
    fn residue(&mut self, line: &Line<'_>, hetero: bool) -> u32 {
        let molecule = &mut self.molecule;
        let (mut name, mut chain) = (line.columns(17, 20), line.columns(21, 22));
        match (line.byte(20), line.byte(21)) {
            (b' ', b' ') => chain = b"",
            (b' ', _) => {}
            (_, b' ') => (name, chain) = (line.columns(17, 21), b""),
            // Two columns of chain, unless the residue is of a water or lipid model with a name of four letters.
            _ if template::is_known(&word(line.columns(17, 21))) => name = line.columns(17, 21),
            _ => chain = line.columns(20, 22),
        }
        let chain = word(chain);
        let new_chain = self.after_ter || molecule.chains.last().is_none_or(|last| last.name != chain);
        self.after_ter = false;
        if new_chain {
            molecule.chains.push(Chain { name: chain, ..Chain::default() });
        }
        let field = line.columns(22, 27);
        let (number, insertion) = residue_number(field);
        if number.is_none() && !field.trim_ascii().is_empty() {
            self.findings
                .warn("residue-number", line.number, || format!("expected a residue number, found {:?}", word(field)));
        }
        let segment = line.columns(72, 76);
        let segment = if is_old_style(line) { SmolStr::default() } else { word(segment) };
        let chain = (molecule.chains.len() - 1) as u32;
        let residue = Residue { name: word(name), number, insertion, label_number: None, segment, hetero, chain };
        // Residues that share a place may alternate atom by atom.
        let recent = molecule.residues.iter().enumerate().rev().take(4);
        let mut shared = recent.take_while(|(_, known)| {
            !new_chain && (known.chain, known.number, known.insertion) == (chain, number, insertion)
        });
        let alternate = line.byte(16) != b' ';
        if let Some((known, _)) =
            shared.find(|(_, known)| alternate && known.name == residue.name && known.segment == residue.segment)
        {
            return known as u32;
        }
        molecule.residues.push(residue);
        (molecule.residues.len() - 1) as u32
    }

    /// Element and mass number; whether columns 73 to 80 are of the old style, without an element.
    fn element(&mut self, line: &Line<'_>, residue: u32) -> (Element, u16, bool) {
        let symbol = line.columns(76, 78).trim_ascii();
        if let Some(element) = by_symbol(symbol) {
            return (element, isotope(symbol), false);
        }
        let residue = self.molecule.residues[residue as usize].name.as_str();
        let name = line.columns(12, 16);
        let (element, isotope) = guess(name, residue);
        // `X` is the unknown element, of dummies.
        if symbol.eq_ignore_ascii_case(b"X") {
            return (Element::UNKNOWN, 0, false);
        }
        self.findings.warn("no-element", line.number, || {
            let found = if symbol.is_empty() { "blanks".into() } else { format!("{:?}", word(symbol)) };
            format!("expected an element in columns 77 and 78, found {found}: taken from the atom name")
        });
        if element == Element::UNKNOWN {
            self.findings
                .warn("unknown-element", line.number, || format!("the atom name {:?} tells no element", word(name)));
        }
        (element, isotope, is_old_style(line))
    }

    fn finish(mut self, entry: &Entry, cx: &Context) -> Result<MediaRecord> {
        let molecule = &mut self.molecule;
        molecule.name = entry.name.clone();
        molecule.cell = entry.cell;
        molecule.space_group = entry.space_group.clone();
        let atoms = &mut molecule.atoms;
        // A column of defaults is no column.
        if atoms.altlocs.iter().all(|&label| label == '\0') {
            atoms.altlocs = Vec::new();
        }
        if atoms.formal_charges.iter().all(|&charge| charge == 0) {
            atoms.formal_charges = Vec::new();
        }
        let residues = Places::new(molecule);
        for stretch in &entry.helices {
            let ends = (residues.find(&stretch.start), residues.find(&stretch.end));
            let (Some(start), Some(end)) = ends else {
                self.findings.note("secondary", stretch.line, || {
                    format!("a {} runs between residues that are not there", stretch.kind)
                });
                continue;
            };
            let Stretch { kind, class, ref id, .. } = *stretch;
            molecule.secondary.push(SecondaryStructure { kind, start, end, class, id: id.clone() });
        }
        let bonds = bonds(molecule, &self.model.positions, entry, &residues, &mut self.findings, cx)?;
        molecule.bonds = bonds;
        molecule.models.push(self.model);
        molecule.models.append(&mut self.models);
        models::number(&mut molecule.models, |stated, number| {
            // Frames without a number are nothing to speak of.
            if stated > 0 {
                self.findings.note("model-number", 0, || {
                    format!("model number {stated} is repeated: {number} is taken, the next free one")
                });
            }
        });
        let mut properties = entry.properties.clone();
        for (key, text) in &entry.texts {
            if !text.is_empty() {
                properties.insert((*key).into(), text.as_str().into());
            }
        }
        if !entry.sequences.is_empty() {
            let sequences = entry.sequences.iter().map(|(chain, names)| (chain.clone(), names.as_str().into()));
            properties.insert("sequences".into(), Value::Object(sequences.collect()));
        }
        if molecule.name.is_empty() {
            molecule.name = entry.texts.get("title").cloned().unwrap_or_default();
        }
        self.findings.report(cx)?;
        let mut record = MediaRecord::new(self.molecule);
        if let mediary_core::Media::Molecule(molecule) = &record.media {
            record.key = molecule.name.clone();
        }
        record.properties = properties;
        Ok(record)
    }
}

/// Columns 73 to 80 of files before 1996: entry and line number.
fn is_old_style(line: &Line<'_>) -> bool {
    line.columns(76, 80).len() == 4
        && line.columns(76, 80).iter().all(|&byte| byte.is_ascii_digit() || byte == b' ')
        && line.byte(79).is_ascii_digit()
        && line.byte(72).is_ascii_alphanumeric()
}

/// A formal charge: `2+`, `+2`, `2-`, `+`, blanks.
fn charge(field: &[u8]) -> Option<i8> {
    let (sign, digit) = match *field.trim_ascii() {
        [] => return Some(0),
        [sign @ (b'+' | b'-')] => (sign, b'1'),
        [sign @ (b'+' | b'-'), digit] | [digit, sign @ (b'+' | b'-')] => (sign, digit),
        [b'0'] => (b'+', b'0'),
        _ => return None,
    };
    let value = i8::try_from(char::from(digit).to_digit(10)?).ok()?;
    Some(if sign == b'-' { -value } else { value })
}

/// The element that the columns of an atom name tell, in a residue.
fn guess(name: &[u8], residue: &str) -> (Element, u16) {
    let byte = |at: usize| name.get(at).copied().unwrap_or(b' ');
    let trimmed = name.trim_ascii();
    let single = |letter: u8| by_symbol(&[letter]).map(|element| (element, isotope(&[letter])));
    let double = |at: usize| by_symbol(&[byte(at), byte(at + 1)]).map(|element| (element, 0));
    let first = trimmed.iter().copied().find(u8::is_ascii_alphabetic);
    let unknown = (Element::UNKNOWN, 0);
    let Some(first) = first else { return unknown };
    // Standard residues have C, H, N, O, P, S, and selenium by name; some programs write their names left-aligned.
    if template::is_known(residue) {
        if trimmed.starts_with(b"SE") {
            return by_symbol(b"SE").map_or(unknown, |element| (element, 0));
        }
        return single(first).unwrap_or(unknown);
    }
    if byte(0).is_ascii_alphabetic() {
        let whole = trimmed.len() == 4;
        let common = matches!(&[byte(0), byte(1)], b"CL" | b"BR" | b"FE" | b"ZN" | b"MG" | b"MN" | b"SE" | b"SI");
        // Names of four letters fill their columns, so that those tell nothing: `HG11` is hydrogen, `CA12` carbon.
        if byte(1).is_ascii_alphabetic()
            && (!whole || common || single(first).is_none())
            && let Some(found) = double(0)
        {
            return found;
        }
        return single(first).or_else(|| double(0)).unwrap_or(unknown);
    }
    // ` CA ` and `1HB `: one letter from the second column on, or two where one is no element.
    let at = name.iter().position(u8::is_ascii_alphabetic).unwrap_or(0);
    single(first).or_else(|| double(at)).unwrap_or(unknown)
}

/// Residues by chain, number and insertion code.
struct Places(HashMap<Place, u32>);

impl Places {
    fn new(molecule: &Molecule) -> Self {
        let mut places = HashMap::new();
        for (index, residue) in (0_u32..).zip(&molecule.residues) {
            let chain = molecule.chains[residue.chain as usize].name.clone();
            if let Slot::Vacant(slot) = places.entry((chain, residue.number, residue.insertion)) {
                slot.insert(index);
            }
        }
        Self(places)
    }

    fn find(&self, place: &Place) -> Option<u32> {
        // The chain column before may belong to a name.
        self.0.get(place).copied().or_else(|| {
            let last = place.0.chars().last()?;
            self.0.get(&(SmolStr::new(last.encode_utf8(&mut [0; 4])), place.1, place.2)).copied()
        })
    }
}

fn bonds(
    molecule: &Molecule,
    positions: &[[f64; 3]],
    entry: &Entry,
    residues: &Places,
    findings: &mut Findings,
    cx: &Context,
) -> Result<Vec<mediary_core::record::molecule::Bond>> {
    let mut bonds = BondList::default();
    let atoms = &molecule.atoms;
    cx.budget().take(entry.connections.len() as u64 * 40)?;
    connections(molecule, entry, findings, &mut bonds);
    if !entry.links.is_empty() {
        let members = template::Members::new(molecule);
        for link in &entry.links {
            let ends = link.ends.each_ref().map(|(name, alternate, place)| {
                let residue = residues.find(place);
                let own = residue.map_or(&[][..], |residue| members.of(residue as usize));
                let named = own.iter().copied().filter(|&atom| atoms.names[atom as usize] == *name);
                let fits = |&atom: &u32| {
                    let label = atoms.altlocs.get(atom as usize).copied().unwrap_or('\0');
                    *alternate == '\0' || label == *alternate
                };
                named.filter(fits).take(8).collect::<Vec<_>>()
            });
            let [first, second] = &ends;
            if first.is_empty() || second.is_empty() {
                findings.note("link", link.line, || "a bond joins atoms that are not there".into());
            }
            for (&a, &b) in first.iter().flat_map(|a| second.iter().map(move |b| (a, b))) {
                if crate::bonds::compatible(atoms, a, b) {
                    let covalent = [a, b].iter().all(|&atom| is_nonmetal(atoms.elements[atom as usize]));
                    let order = if covalent { BondOrder::Single } else { BondOrder::Unknown };
                    bonds.add(a, b, order, false, BondSource::File);
                }
            }
        }
    }
    bonds.charge(0, cx)?;
    let wanted = cx.options().text("bonds").to_owned();
    if wanted == "file" {
        return Ok(bonds.finish());
    }
    let stated = bonds.bonded(atoms.len());
    let standard = template::add_bonds(molecule, positions, &mut bonds, cx)?;
    // Without options (tests by hand) as by default.
    if wanted != "template" && standard.contains(&false) {
        let is_standard = |atom: u32| standard[atoms.residues[atom as usize] as usize];
        // Atoms that the file connects have all their bonds from there.
        let open = |a: u32, b: u32| !(stated[a as usize] && stated[b as usize]);
        by_distance(molecule, positions, |atom| !is_standard(atom), open, &mut bonds, cx)?;
    }
    Ok(bonds.finish())
}

/// Bonds of `CONECT`: listed from both ends, and repeated for their order.
fn connections(molecule: &Molecule, entry: &Entry, findings: &mut Findings, bonds: &mut BondList) {
    if entry.connections.is_empty() {
        return;
    }
    let mut by_serial: Vec<(i64, u32)> = molecule.atoms.serials.iter().copied().zip(0..).collect();
    by_serial.sort_unstable();
    let find = |serial: i64| {
        let at = by_serial.partition_point(|&(known, _)| known < serial);
        by_serial.get(at).filter(|&&(known, _)| known == serial).map(|&(_, atom)| atom)
    };
    let mut pairs = Vec::with_capacity(entry.connections.len());
    for &(first, second) in &entry.connections {
        match (find(first), find(second)) {
            (Some(a), Some(b)) if a != b => pairs.push((a, b)),
            _ => findings.note("conect-atom", 0, || {
                format!("CONECT joins atoms {first} and {second}, of which one is not there or both are one")
            }),
        }
    }
    pairs.sort_unstable();
    let counted: Vec<((u32, u32), usize)> = pairs.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
    // Where no bond is repeated, being listed once says nothing of the order.
    let orders = counted.iter().any(|&(_, count)| count > 1);
    for ((a, b), count) in counted {
        let order = match count {
            1 if !orders => BondOrder::Unknown,
            1 => BondOrder::Single,
            2 => BondOrder::Double,
            _ => BondOrder::Triple,
        };
        bonds.add(a, b, order, false, BondSource::File);
    }
}
