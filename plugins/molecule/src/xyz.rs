//! XYZ: atoms as a symbol and a position, frame after frame; plain (XMol) and extended.
//!
//! Specification: <https://www.ccl.net/cca/software/SOURCES/C/xyz2mol/Format.html> (plain),
//! <https://github.com/libAtoms/extxyz#readme> (extended). A frame:
//!
//! | Line | Content |
//! |---|---|
//! | 1 | number of atoms |
//! | 2 | comment; extended: `key=value` pairs, quoted where they hold blanks |
//! | 3 … | symbol (or atomic number), x, y, z in Å, more columns |
//!
//! Read: any white space between columns; `Lattice` (row vectors) as the cell; `Properties` for the columns of species, positions
//! and partial charges (`charge`, `charges`, `initial_charges`), all others as the property `columns`; every other pair as a property; labels such as `C12` as
//! name and element; `D` and `T` as isotopes. Consecutive frames of the same atoms are the models of one record, other
//! frames are records of their own.
//!
//! Set aside with a diagnostic: columns that nothing declares, and those of frames behind the first of a record (`column`), the orientation of a lattice that does not lie along the axes in the
//! usual way (`lattice-orientation`; the comment keeps it). Lost on writing, as losses: bonds, residues and names, charges and
//! every other column of atoms but the property `columns`, velocities. Records of the same atoms that are written into one file are models when read again.
//!
//! Strictness: default and strict take an atom line that is none, a count that is none and a cut frame as errors, which end the input: frames are models of one
//! record, and behind a wrong count there is no next frame to find. Lenient keeps what was read before. Strict also refuses symbols that name no element and extra columns that nothing declares.

mod columns;

use std::io::Write as _;

use mediary_core::record::molecule::{Cell, Chain, Element, Model, Residue};
use mediary_core::record::{Buffer, Molecule};
use mediary_core::{
    Confidence, Context, Error, Facts, Feature, Format, FormatInfo, FormatReader, Header, Kind, Media, MediaRecord,
    OptionSpec, OptionType, Output, Probe, Result, Source, SourceBytes,
};
use serde_json::{Map, Value};
use smol_str::SmolStr;

use self::columns::Other;
use crate::bonds::{BondList, by_distance};
use crate::cell;
use crate::elements::by_symbol;
use crate::frames;
use crate::models::{MODEL_BYTES, POSITION_BYTES};
use crate::text::{Cursor, Findings, Line, float, integer, word};

const INFO: FormatInfo = FormatInfo::new("xyz", "XYZ coordinates", &[Kind::Molecule])
    .extensions(&["xyz", "extxyz"])
    .media_types(&["chemical/x-xyz"])
    .probes_without_signature()
    .reads()
    .writes(&[Feature::Models, Feature::DoublePrecision])
    .many_records()
    .options(&[OptionSpec::read(
        "bonds",
        OptionType::Choice(&["none", "distance"]),
        "none",
        "whether bonds are perceived from distances: the format states none",
    )])
    .spec("https://www.ccl.net/cca/software/SOURCES/C/xyz2mol/Format.html");

/// Bytes of the shortest atom line: `C 0 0 0`.
const SHORTEST: u64 = 7;
/// Bytes of memory an atom takes.
const ATOM_BYTES: u64 = 72;

struct Xyz;
mediary_core::register!(Xyz);

impl Format for Xyz {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        let mut lines = probe.lines();
        let (Some(count), Some(comment)) = (lines.next(), lines.next()) else { return Confidence::No };
        let Some(count @ 1..) = integer(count) else { return Confidence::No };
        if !probe.looks_like_text() {
            return Confidence::No;
        }
        let columns = Columns::of(&pairs(comment));
        // A count above bare coordinates is a point cloud: its second line is a point already.
        let numeric = comment.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let is_point = numeric.clone().count() >= 3 && numeric.clone().all(|word| float(word).is_some());
        let (mut seen, mut broken) = (0, false);
        for line in lines.take(usize::try_from(count).unwrap_or(usize::MAX).min(20)) {
            let line = Line { text: line, number: 0, start: 0 };
            let Ok(atom) = columns.atom(&line) else {
                if !columns.nearly(line.text) {
                    return Confidence::No;
                }
                (seen, broken) = (seen + 1, true);
                continue;
            };
            if is_point && atom.symbol.bytes().all(|byte| byte.is_ascii_digit()) {
                return Confidence::No;
            }
            if species(&atom.symbol).0 == Element::UNKNOWN && !is_dummy(&atom.symbol) {
                return Confidence::No;
            }
            seen += 1;
        }
        match seen {
            0 => Confidence::No,
            _ if broken => Confidence::yes(60, "a count, a comment, and atoms, but a coordinate is no number"),
            _ => Confidence::yes(150, "a count, a comment, and atoms with symbols and coordinates"),
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        Ok(Box::new(Reader {
            source: source.clone(),
            cx: cx.clone(),
            bytes: None,
            cursor: Cursor::default(),
            next: None,
            records: 0,
            header: None,
        }))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        let Media::Molecule(molecule) = &record.media else {
            return Err(Error::unsupported("xyz holds molecules only"));
        };
        write(molecule, &record.properties, out, cx)
    }
}

/// Where the columns of an atom line are.
struct Columns {
    species: usize,
    position: usize,
    charge: Option<usize>,
    /// Columns that are declared; `None` in the plain format.
    declared: Option<usize>,
    /// Declared columns that are kept as they are.
    others: Vec<Other>,
}

/// What is taken of an atom line.
struct AtomLine {
    symbol: SmolStr,
    position: [f64; 3],
    charge: Option<f32>,
    columns: usize,
}

impl Columns {
    const PLAIN: Self = Self { species: 0, position: 1, charge: None, declared: None, others: Vec::new() };

    /// From `Properties=species:S:1:pos:R:3`, as far as that is given and whole.
    fn of(pairs: &[(SmolStr, Option<String>)]) -> Self {
        Self::declared(pairs).unwrap_or(Self::PLAIN)
    }

    fn declared(pairs: &[(SmolStr, Option<String>)]) -> Option<Self> {
        let declared = pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case("properties"))?.1.as_deref()?;
        let fields: Vec<&str> = declared.split(':').collect();
        let (mut species, mut position, mut charge) = (None, None, None);
        let (mut next, mut others) = (0_usize, Vec::new());
        for field in fields.chunks(3) {
            let [name, kind, width] = field else { return None };
            let width: usize = width.parse().ok().filter(|width| (1..=1_000).contains(width))?;
            match (*name, *kind, width) {
                ("species" | "symbols", "S", 1) => species = Some(next),
                ("Z" | "numbers" | "atomic_numbers", "I", 1) if species.is_none() => species = Some(next),
                ("pos" | "positions", "R", 3) => position = Some(next),
                ("charge" | "charges" | "initial_charges", "R", 1) => charge = Some(next),
                _ => others.push(Other {
                    name: (*name).to_owned(),
                    kind: kind.bytes().next().filter(|kind| b"RIL".contains(kind)).unwrap_or(b'S'),
                    start: next,
                    width,
                }),
            }
            next += width;
        }
        Some(Self { species: species?, position: position?, charge, declared: Some(next), others })
    }

    /// Whether a line is an atom but for one coordinate: a symbol and two numbers stand in their columns.
    fn nearly(&self, line: &[u8]) -> bool {
        let fields: Vec<_> = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).collect();
        let numbers = fields.iter().skip(self.position).take(3).filter(|field| float(field).is_some()).count();
        let element = fields.get(self.species).and_then(|symbol| by_symbol(symbol));
        numbers == 2 && element.is_some() && fields.len() >= self.declared.unwrap_or(4)
    }

    fn atom(&self, line: &Line<'_>) -> Result<AtomLine> {
        let mut atom = AtomLine { symbol: SmolStr::default(), position: [0.0; 3], charge: None, columns: 0 };
        for field in line.text.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()) {
            let column = atom.columns;
            atom.columns += 1;
            let number = || {
                float(field).ok_or_else(|| {
                    let found = word(field);
                    Error::malformed(format!("expected a number, found {found:?}")).at_line(line.number)
                })
            };
            if column == self.species {
                atom.symbol = word(field);
            } else if (self.position..self.position + 3).contains(&column) {
                atom.position[column - self.position] = number()?;
            } else if Some(column) == self.charge {
                let charge = number()? as f32;
                if !charge.is_finite() {
                    return Err(
                        Error::malformed(format!("expected a charge, found {:?}", word(field))).at_line(line.number)
                    );
                }
                atom.charge = Some(charge);
            }
        }
        let needed = self.declared.unwrap_or(4);
        if atom.columns < needed {
            return Err(Error::malformed(format!("expected an atom of {needed} columns, found {}", atom.columns))
                .at_line(line.number)
                .with_hint("the count in the first line of the frame may be wrong, or the file cut short"));
        }
        Ok(atom)
    }
}

/// `key=value` pairs of a comment; a key alone has no value. Empty for a plain comment.
fn pairs(comment: &[u8]) -> Vec<(SmolStr, Option<String>)> {
    let text = String::from_utf8_lossy(comment);
    let mut rest = text.trim_start();
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let key = SmolStr::new(rest[..end].trim_matches('"'));
        rest = &rest[end..];
        let after = rest.trim_start();
        let Some(value) = after.strip_prefix('=').map(str::trim_start) else {
            pairs.push((key, None));
            rest = after;
            continue;
        };
        let quote = value.chars().next().and_then(|first| match first {
            '"' => Some('"'),
            '\'' => Some('\''),
            '{' => Some('}'),
            '[' => Some(']'),
            _ => None,
        });
        let (value, next) = match quote.and_then(|close| value[1..].find(close).map(|end| (close, end))) {
            // Brackets are part of the value: arrays are kept as they are written.
            Some((']', end)) => (value[..end + 2].to_owned(), &value[end + 2..]),
            Some((_, end)) => (value[1..=end].to_owned(), &value[end + 2..]),
            None => {
                let end = value.find(char::is_whitespace).unwrap_or(value.len());
                (value[..end].to_owned(), &value[end..])
            }
        };
        pairs.push((key, Some(value)));
        rest = next.trim_start();
    }
    let extended = |(key, value): &(SmolStr, Option<String>)| {
        value.is_some() && (key.eq_ignore_ascii_case("lattice") || key.eq_ignore_ascii_case("properties"))
    };
    if pairs.iter().any(extended) { pairs } else { Vec::new() }
}

/// Element and mass number of a symbol, an atomic number, or a label that begins with a symbol.
fn species(symbol: &str) -> (Element, u16) {
    let bytes = symbol.as_bytes();
    if let Some(element) = by_symbol(bytes) {
        return (element, crate::elements::isotope(bytes));
    }
    if let Some(number) = integer(bytes) {
        let element = u8::try_from(number).ok().and_then(Element::from_number);
        return (element.unwrap_or_default(), 0);
    }
    let letters = bytes.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let found = [2, 1].into_iter().filter(|&length| length <= letters).find_map(|length| by_symbol(&bytes[..length]));
    (found.unwrap_or_default(), 0)
}

/// Symbols that stand for no element.
fn is_dummy(symbol: &str) -> bool {
    ["X", "Xx", "Du", "Q", "0", "Bq", "LP"].iter().any(|known| known.eq_ignore_ascii_case(symbol))
}

struct Reader {
    source: Source,
    cx: Context,
    bytes: Option<SourceBytes>,
    cursor: Cursor,
    /// The frame that comes next, where it had to be read to see that it is of other atoms.
    next: Option<Frame>,
    records: u64,
    header: Option<Header>,
}

struct Frame {
    symbols: Vec<SmolStr>,
    positions: Vec<[f64; 3]>,
    charges: Vec<f32>,
    others: Vec<Other>,
    /// One list a column of `others`.
    values: Vec<Vec<Value>>,
    title: String,
    pairs: Vec<(SmolStr, Option<String>)>,
    cell: Option<Cell>,
    findings: Findings,
}

impl FormatReader for Reader {
    fn header(&mut self) -> Result<Header> {
        if self.header.is_none() {
            self.with_bytes(|reader, bytes| {
                if reader.next.is_none() {
                    reader.next = reader.frame(bytes)?;
                }
                reader.keep_header(bytes)
            })?;
        }
        self.header.clone().ok_or_else(|| Error::malformed("expected a frame, found none"))
    }

    fn next_record(&mut self) -> Result<Option<MediaRecord>> {
        self.with_bytes(Self::record)
    }
}

impl Reader {
    fn with_bytes<T>(&mut self, read: impl FnOnce(&mut Self, &[u8]) -> Result<T>) -> Result<T> {
        let bytes = match self.bytes.take() {
            Some(bytes) => bytes,
            None => self.source.bytes(&self.cx)?,
        };
        let done = read(self, &bytes);
        self.bytes = Some(bytes);
        done
    }

    /// Facts of the first frame: the number of models is known only if nothing follows it.
    fn keep_header(&mut self, bytes: &[u8]) -> Result<()> {
        if self.header.is_some() || self.records > 0 {
            return Ok(());
        }
        let Some(frame) = &self.next else { return Ok(()) };
        let alone = bytes[self.cursor.at..].trim_ascii().is_empty();
        let molecule = molecule(frame, &mut Findings::default(), &self.cx)?;
        let mut facts = molecule.facts();
        if !alone {
            facts.models = None;
        }
        self.header = Some(Header { facts: Facts::Molecule(facts), records: alone.then_some(1), memory: None });
        Ok(())
    }

    fn record(&mut self, bytes: &[u8]) -> Result<Option<MediaRecord>> {
        if self.next.is_none() {
            self.next = self.frame(bytes)?;
        }
        self.keep_header(bytes)?;
        let Some(mut first) = self.next.take() else { return Ok(None) };
        let mut findings = std::mem::take(&mut first.findings);
        let mut molecule = molecule(&first, &mut findings, &self.cx)?;
        let mut properties = Map::new();
        for (key, value) in &first.pairs {
            if !key.eq_ignore_ascii_case("properties") {
                properties.insert(key.to_string(), json(value.as_deref()));
            }
        }
        if !first.others.is_empty() {
            let columns = columns::property(&first.others, std::mem::take(&mut first.values));
            if properties.insert("columns".into(), columns).is_some() {
                findings.warn("column", 0, || "a pair has the name of a property, columns: it is set aside".into());
            }
        }
        if cfg!(debug_assertions) {
            molecule.validate()?;
        }
        loop {
            let Some(mut frame) = self.frame(bytes)? else { break };
            if frame.symbols != first.symbols {
                self.next = Some(frame);
                break;
            }
            frame.findings.report(&self.cx)?;
            if !frame.others.is_empty() {
                findings.note("column", 0, || "of later models the columns are set aside".into());
            }
            // Of a later frame the positions are kept.
            let others = columns::bytes(&frame.others);
            self.cx.budget().give_back(frame.symbols.len() as u64 * (ATOM_BYTES - POSITION_BYTES + others));
            molecule.models.push(Model {
                number: molecule.models.len() as i64 + 1,
                title: frame.title,
                positions: frame.positions.into(),
                velocities: Buffer::default(),
                cell: frame.cell.filter(|cell| Some(*cell) != molecule.cell),
            });
        }
        findings.report(&self.cx)?;
        self.records += 1;
        let mut record = MediaRecord::new(molecule);
        if let Media::Molecule(molecule) = &record.media {
            record.key = molecule.name.clone();
        }
        record.properties = properties;
        Ok(Some(record))
    }

    /// The next frame.
    fn frame(&mut self, bytes: &[u8]) -> Result<Option<Frame>> {
        let cx = &self.cx;
        let line = loop {
            match self.cursor.next(bytes) {
                None => return Ok(None),
                Some(line) if line.text.trim_ascii().is_empty() => {}
                Some(line) => break line,
            }
        };
        let text =
            if line.start == 0 { line.text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line.text) } else { line.text };
        let count = integer(text).and_then(|count| u64::try_from(count).ok());
        let Some(count) = count else {
            let found = word(&text[..text.len().min(40)]);
            let error = Error::malformed(format!("expected the number of atoms of a frame, found {found:?}"))
                .at_line(line.number)
                .with_hint("the count of the frame before may be wrong");
            cx.unless_lenient("bad-count", error)?;
            self.cursor.at = bytes.len();
            return Ok(None);
        };
        cx.limits().check("elements", count)?;
        let mut findings = Findings::default();
        let comment = self.cursor.next(bytes).map_or(&[][..], |line| line.text);
        let pairs = pairs(comment);
        let columns = Columns::of(&pairs);
        if columns.declared.is_none() && pairs.iter().any(|(key, _)| key.eq_ignore_ascii_case("properties")) {
            findings.warn("properties", line.number + 1, || {
                "expected Properties with species:S:1 and pos:R:3, found others: plain columns are read".into()
            });
        }
        let is_atom = |line: &Line<'_>| !line.text.trim_ascii().is_empty();
        let room = frames::room(count, SHORTEST, self.cursor, bytes, is_atom, cx)?;
        let others = columns.others.clone();
        let each = ATOM_BYTES.saturating_add(columns::bytes(&others));
        cx.budget().take(room.saturating_mul(each).saturating_add(MODEL_BYTES + comment.len() as u64))?;
        let mut frame = Frame {
            symbols: Vec::with_capacity(room as usize),
            positions: Vec::with_capacity(room as usize),
            charges: Vec::new(),
            values: vec![Vec::new(); others.len()],
            others,
            title: String::from_utf8_lossy(comment).trim().to_owned(),
            cell: lattice(&pairs, line.number + 1, &mut findings),
            pairs,
            findings,
        };
        for index in 0..count {
            if index % 16_384 == 0 {
                cx.checkpoint()?;
            }
            let Some(line) = self.cursor.next(bytes) else {
                cx.unless_lenient("cut-frame", frames::cut(count, index, self.cursor.lines))?;
                break;
            };
            let atom = match columns.atom(&line) {
                Ok(atom) => atom,
                // A last line without its end may be a cut one.
                Err(_) if self.cursor.at >= bytes.len() && line.text.trim_ascii().is_empty() => {
                    cx.unless_lenient("cut-frame", frames::cut(count, index, line.number))?;
                    break;
                }
                Err(error) => {
                    cx.unless_lenient("bad-atom", error)?;
                    continue;
                }
            };
            if self.cursor.at >= bytes.len() && !bytes.ends_with(b"\n") {
                frame.findings.note("no-last-newline", line.number, || {
                    "the last line has no end: its last number may be cut short".into()
                });
            }
            let expected = columns.declared.unwrap_or(4);
            if atom.columns > expected {
                let found = atom.columns;
                frame.findings.note("column", line.number, || {
                    format!("expected {expected} columns, found {found}: the others are set aside")
                });
            }
            if let Some(charge) = atom.charge {
                frame.charges.resize(frame.symbols.len(), 0.0);
                frame.charges.push(charge);
            }
            if !frame.others.is_empty() {
                columns::add(line.text, &frame.others, &mut frame.values);
            }
            frame.symbols.push(atom.symbol);
            frame.positions.push(atom.position);
        }
        if !frame.charges.is_empty() {
            frame.charges.resize(frame.symbols.len(), 0.0);
        }
        Ok(Some(frame))
    }
}

/// The molecule of one frame.
fn molecule(frame: &Frame, findings: &mut Findings, cx: &Context) -> Result<Molecule> {
    let mut molecule = Molecule {
        residues: vec![Residue::default()],
        chains: vec![Chain::default()],
        cell: frame.cell,
        ..Molecule::default()
    };
    let name = frame.pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case("name"));
    molecule.name = match name {
        Some((_, Some(name))) => name.clone(),
        _ if frame.pairs.is_empty() => frame.title.clone(),
        _ => String::new(),
    };
    let atoms = &mut molecule.atoms;
    for symbol in &frame.symbols {
        let (element, isotope) = species(symbol);
        if element == Element::UNKNOWN && !is_dummy(symbol) {
            findings.warn("unknown-element", 0, || format!("expected an element, found {symbol:?}"));
        }
        let plain = symbol.eq_ignore_ascii_case(element.symbol())
            || isotope != 0
            || symbol.bytes().all(|byte| byte.is_ascii_digit());
        atoms.elements.push(element);
        atoms.names.push(if plain { SmolStr::default() } else { symbol.clone() });
        atoms.isotopes.push(isotope);
    }
    if atoms.isotopes.iter().all(|&isotope| isotope == 0) {
        atoms.isotopes = Vec::new();
    }
    atoms.residues = vec![0; frame.symbols.len()];
    atoms.partial_charges = frame.charges.clone();
    if cx.options().text("bonds") == "distance" {
        let mut bonds = BondList::default();
        by_distance(&molecule, &frame.positions, |_| true, |_, _| true, &mut bonds, cx)?;
        molecule.bonds = bonds.finish();
    }
    molecule.models.push(Model {
        number: 1,
        title: frame.title.clone(),
        positions: frame.positions.clone().into(),
        ..Model::default()
    });
    Ok(molecule)
}

/// A value of the comment line: `T` and `F`, numbers, text.
fn json(value: Option<&str>) -> Value {
    let Some(text) = value else { return Value::Bool(true) };
    match text {
        "T" | "true" | "True" => Value::Bool(true),
        "F" | "false" | "False" => Value::Bool(false),
        _ => match (integer(text.as_bytes()), float(text.as_bytes())) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            _ => text.into(),
        },
    }
}

/// The cell of `Lattice`: three vectors, one after the other.
fn lattice(pairs: &[(SmolStr, Option<String>)], line: u64, findings: &mut Findings) -> Option<Cell> {
    let (_, text) = pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case("lattice"))?;
    let separators = |c: char| c.is_whitespace() || ",[]".contains(c);
    let numbers: Vec<f64> = text
        .as_deref()
        .unwrap_or_default()
        .split(separators)
        .filter(|word| !word.is_empty())
        .map_while(|word| float(word.as_bytes()))
        .collect();
    let mut bad = || {
        findings.warn("lattice", line, || "expected nine numbers of a lattice, found others: no cell is taken".into());
        None
    };
    let Ok([ax, ay, az, bx, by, bz, cx, cy, cz]) = <[f64; 9]>::try_from(numbers) else { return bad() };
    let Some((cell, usual)) = cell::from_vectors([[ax, ay, az], [bx, by, bz], [cx, cy, cz]]) else { return bad() };
    if !usual {
        findings.note("lattice-orientation", line, || {
            "the lattice is turned against the usual axes: the cell holds its edges and angles only".into()
        });
    }
    Some(cell)
}

fn write(molecule: &Molecule, properties: &Map<String, Value>, out: &mut Output, cx: &Context) -> Result<()> {
    let atoms = &molecule.atoms;
    if molecule.models.iter().all(|model| model.positions.is_empty()) && !atoms.is_empty() {
        return Err(crate::losses::no_coordinates("xyz"));
    }
    cx.lose("bonds", molecule.bonds.len() as u64, "bonds");
    let named = atoms.names.iter().filter(|name| !name.is_empty()).count();
    cx.lose("names", named as u64, "atom names, residues and chains");
    cx.lose("charges", (atoms.formal_charges.len() + atoms.partial_charges.len()) as u64, "charges");
    cx.lose("altlocs", atoms.altlocs.iter().filter(|&&label| label != '\0').count() as u64, "alternate locations");
    let differing = |column: &[f32], default: f32| column.iter().filter(|&&value| value != default).count() as u64;
    cx.lose("occupancies", differing(&atoms.occupancies, 1.0), "occupancies");
    cx.lose("b-factors", differing(&atoms.b_factors, 0.0), "B factors");
    cx.lose("radii", atoms.radii.len() as u64, "radii");
    cx.lose("types", atoms.types.len() as u64, "atom types");
    cx.lose("radicals", atoms.radicals.iter().filter(|&&spin| spin > 0).count() as u64, "radicals");
    let velocities = molecule.models.iter().map(|model| model.velocities.len() as u64).sum();
    cx.lose("velocities", velocities, "velocities");
    let (columns, mut declared) = columns::written(properties, atoms.len(), cx);
    let models = molecule.models.iter().filter(|model| model.positions.len() == atoms.len());
    for (number, model) in models.enumerate() {
        cx.checkpoint()?;
        // The columns are those of the first model.
        let columns = if number == 0 { &columns[..] } else { &[] };
        if number > 0 {
            declared.clear();
        }
        writeln!(out, "{}", atoms.len())?;
        writeln!(out, "{}", comment(molecule, model, &declared))?;
        for (index, [x, y, z]) in model.positions.iter().enumerate() {
            let element = atoms.elements[index];
            let symbol = match atoms.isotopes.get(index) {
                Some(2) if element.number() == 1 => "D",
                Some(3) if element.number() == 1 => "T",
                _ => element.symbol(),
            };
            write!(out, "{symbol} {x} {y} {z}")?;
            for column in columns {
                column.write(index, out)?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

/// The comment line: the frame's own, with the cell and the columns that are written.
fn comment(molecule: &Molecule, model: &Model, declared: &str) -> String {
    let title = if model.title.is_empty() { &molecule.name } else { &model.title };
    let title = title.replace(['\n', '\r'], " ");
    let known = pairs(title.as_bytes());
    let cell = model.cell.or(molecule.cell);
    if known.is_empty() && cell.is_none() && declared.is_empty() {
        return title;
    }
    let stated = known.iter().find(|(key, _)| key.eq_ignore_ascii_case("lattice")).and_then(|(_, value)| value.clone());
    let lattice = stated.or_else(|| {
        cell.map(|cell| cell::vectors(&cell).as_flattened().iter().map(f64::to_string).collect::<Vec<_>>().join(" "))
    });
    let mut text = lattice.map_or(String::new(), |lattice| format!("Lattice=\"{lattice}\" "));
    text.push_str("Properties=species:S:1:pos:R:3");
    text.push_str(declared);
    let quoted = |value: &str| {
        let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || "\"'={}[]".contains(c));
        if plain || value.starts_with('[') { value.to_owned() } else { format!("\"{}\"", value.replace('"', "'")) }
    };
    for (key, value) in &known {
        if key.eq_ignore_ascii_case("lattice") || key.eq_ignore_ascii_case("properties") {
            continue;
        }
        text.push(' ');
        text.push_str(key);
        if let Some(value) = value {
            text.push('=');
            text.push_str(&quoted(value));
        }
    }
    if known.is_empty() && !title.is_empty() {
        text.push_str(&format!(" name={}", quoted(&title)));
    }
    text
}

#[cfg(test)]
mod tests;
