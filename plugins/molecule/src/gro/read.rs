//! The reader: frames, of which those of the same atoms become models.

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Cell, Chain, Element, Model, Residue};
use mediary_core::{Context, Error, FormatReader, Location, MediaRecord, Result, Source, SourceBytes};

use crate::cell;
use crate::frames;
use crate::models::{MODEL_BYTES, POSITION_BYTES};
use crate::names;
use crate::records::{Parse, Records};
use crate::template;
use crate::text::{Cursor, Findings, Line, float, integer, word};

/// Bytes of the shortest line of an atom: four columns of five, three numbers such as `0.000` in five columns each.
const SHORTEST: u64 = 35;
/// Bytes of memory that an atom takes in a frame and in the columns of the record.
const ATOM_BYTES: u64 = 112;
/// Columns that say which atom it is: residue number, residue, atom.
const IDENTITY: (usize, usize) = (0, 15);
/// Where numbers of atoms and residues begin again.
const WRAP: i64 = 100_000;

pub(super) fn open(source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
    let reader = Reader { cx: cx.clone(), cursor: Cursor::default(), next: None };
    Ok(Box::new(Records::new(source, cx, reader)))
}

struct Reader {
    cx: Context,
    cursor: Cursor,
    /// The frame that comes next, where it had to be read to see that it is of other atoms.
    next: Option<Frame>,
}

struct Frame {
    title: String,
    /// Offsets of the lines of atoms.
    starts: Vec<usize>,
    positions: Vec<[f64; 3]>,
    velocities: Vec<[f64; 3]>,
    cell: Option<Cell>,
    findings: Findings,
    /// Line of the title.
    line: u64,
}

impl Parse for Reader {
    fn next(&mut self, bytes: &SourceBytes) -> Result<Option<MediaRecord>> {
        let first = match self.next.take() {
            Some(frame) => Some(frame),
            None => self.frame(bytes)?,
        };
        let Some(mut first) = first else { return Ok(None) };
        let mut findings = std::mem::take(&mut first.findings);
        let mut molecule = molecule(&first, bytes, &mut findings, &self.cx)?;
        while let Some(mut frame) = self.frame(bytes)? {
            if !same_atoms(&first.starts, &frame.starts, bytes) {
                self.next = Some(frame);
                break;
            }
            findings.append(std::mem::take(&mut frame.findings));
            // Of a later frame positions and velocities are kept.
            self.cx.budget().give_back(frame.starts.len() as u64 * (ATOM_BYTES - 2 * POSITION_BYTES));
            molecule.models.push(Model {
                number: molecule.models.len() as i64 + 1,
                title: frame.title,
                positions: frame.positions.into(),
                velocities: frame.velocities.into(),
                cell: frame.cell.filter(|cell| Some(*cell) != molecule.cell),
            });
        }
        let positions = &first.positions;
        molecule.bonds = template::perceive(&molecule, positions, self.cx.options().text("bonds"), &self.cx)?;
        molecule.models[0].positions = first.positions.into();
        molecule.models[0].velocities = first.velocities.into();
        findings.report(&self.cx)?;
        let mut record = MediaRecord::new(molecule);
        record.key = first.title;
        Ok(Some(record))
    }

    fn is_done(&self, bytes: &[u8]) -> bool {
        self.next.is_none() && bytes[self.cursor.at..].iter().all(u8::is_ascii_whitespace)
    }

    fn none(&self) -> Error {
        Error::malformed("expected a title, a number of atoms and atoms, found none")
    }
}

fn line_at(bytes: &[u8], start: usize) -> Line<'_> {
    Cursor { at: start, lines: 0 }.next(bytes).unwrap_or(Line { text: &[], number: 0, start })
}

fn same_atoms(first: &[usize], other: &[usize], bytes: &[u8]) -> bool {
    let identity = |start: usize| bytes.get(start + IDENTITY.0..start + IDENTITY.1);
    first.len() == other.len() && first.iter().zip(other).all(|(&a, &b)| identity(a) == identity(b))
}

/// How many columns a number of an atom line takes: the distance of its first two decimal points.
pub(super) fn width(line: &Line<'_>) -> Option<usize> {
    let rest = line.columns(20, line.text.len());
    let mut points = rest.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at);
    let (first, second) = (points.next()?, points.next()?);
    Some(second - first).filter(|width| (5..=30).contains(width))
}

/// Three numbers of `width` columns, from the column of number `first` on, in ten times their unit.
pub(super) fn triple(line: &Line<'_>, first: usize, width: usize) -> Option<[f64; 3]> {
    let mut values = [0.0; 3];
    for (index, value) in values.iter_mut().enumerate() {
        let from = 20 + (first + index) * width;
        let field = line.columns(from, from + width).trim_ascii();
        let decimals = field.iter().rev().position(|&byte| byte == b'.')?;
        *value = tenfold(float(field)?, decimals);
    }
    Some(values)
}

/// Ten times a number of so many decimals, rounded once.
fn tenfold(value: f64, decimals: usize) -> f64 {
    match i32::try_from(decimals) {
        Ok(decimals @ 1..=9) if value.abs() < 1e6 => {
            (value * 10_f64.powi(decimals)).round() / 10_f64.powi(decimals - 1)
        }
        _ => value * 10.0,
    }
}

impl Reader {
    /// The next frame.
    fn frame(&mut self, bytes: &[u8]) -> Result<Option<Frame>> {
        let cx = &self.cx;
        // Blank lines may stand behind a frame; a blank title has a count behind it.
        let title = loop {
            let before = self.cursor;
            match self.cursor.next(bytes) {
                None => return Ok(None),
                Some(line) if !line.text.trim_ascii().is_empty() => break line,
                Some(line) => {
                    let mut ahead = self.cursor;
                    let next = ahead.next(bytes).map_or(&[][..], |line| line.text);
                    if integer(next).is_some() {
                        break line;
                    }
                    if bytes[before.at..].iter().all(u8::is_ascii_whitespace) {
                        self.cursor.at = bytes.len();
                        return Ok(None);
                    }
                }
            }
        };
        let text = title.text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(title.text);
        let counts = self.cursor.next(bytes);
        let count = counts.and_then(|line| integer(line.text)).and_then(|count| u64::try_from(count).ok());
        let Some(count) = count else {
            let found = counts.map_or_else(Default::default, |line| word(line.columns(0, 40)));
            let error = Error::malformed(format!("expected the number of atoms of a frame, found {found:?}"))
                .at_line(self.cursor.lines)
                .with_hint("the count of the frame before may be wrong");
            cx.unless_lenient("bad-count", error)?;
            self.cursor.at = bytes.len();
            return Ok(None);
        };
        cx.limits().check("elements", count)?;
        let is_atom = |line: &Line<'_>| width(line).is_some_and(|width| triple(line, 0, width).is_some());
        let room = frames::room(count, SHORTEST, self.cursor, bytes, is_atom, cx)?;
        cx.budget().take(room.saturating_mul(ATOM_BYTES).saturating_add(MODEL_BYTES + text.len() as u64))?;
        let mut frame = Frame {
            title: String::from_utf8_lossy(text).trim().to_owned(),
            starts: Vec::with_capacity(room as usize),
            positions: Vec::with_capacity(room as usize),
            velocities: Vec::new(),
            cell: None,
            findings: Findings::default(),
            line: title.number,
        };
        for index in 0..count {
            if index % 16_384 == 0 {
                cx.checkpoint()?;
            }
            let Some(line) = self.cursor.next(bytes) else {
                cx.unless_lenient("cut-frame", frames::cut(count, index, self.cursor.lines))?;
                return Ok(Some(frame));
            };
            if let Err(error) = frame.atom(&line) {
                cx.unless_lenient("bad-atom", error)?;
            }
        }
        frame.velocities.resize(if frame.velocities.is_empty() { 0 } else { frame.positions.len() }, [0.0; 3]);
        match self.cursor.next(bytes) {
            None => frame.findings.warn("no-box", self.cursor.lines, || {
                "expected the box behind the atoms, found the end of the file: it may be cut short".into()
            }),
            Some(line) => {
                frame.cell = box_of(&line, &mut frame.findings);
                if self.cursor.at >= bytes.len() && !bytes.ends_with(b"\n") {
                    frame.findings.note("no-last-newline", line.number, || {
                        "the last line has no end: its last number may be cut short".into()
                    });
                }
            }
        }
        Ok(Some(frame))
    }
}

impl Frame {
    fn atom(&mut self, line: &Line<'_>) -> Result<()> {
        let width = width(line).unwrap_or(8);
        let Some(position) = triple(line, 0, width) else {
            let found = word(line.columns(20, 80));
            return Err(Error::malformed(format!("expected three coordinates from column 21 on, found {found:?}"))
                .at(Location::line(line.number).with_column(21).with_byte(line.start as u64)));
        };
        if line.columns(10, 15).trim_ascii().is_empty() || integer(line.columns(0, 5)).is_none() {
            let found = word(line.columns(0, 20));
            return Err(Error::malformed(format!("expected a residue number and an atom name, found {found:?}"))
                .at(Location::line(line.number).with_byte(line.start as u64)));
        }
        let behind = line.columns(20 + 3 * width, line.text.len());
        let index = self.positions.len();
        match triple(line, 3, width) {
            Some(velocity) => {
                if self.velocities.len() < index {
                    if self.velocities.is_empty() {
                        self.incomplete(line.number);
                    }
                    self.velocities.resize(index, [0.0; 3]);
                }
                self.velocities.push(velocity);
            }
            None if !behind.trim_ascii().is_empty() => self.findings.warn("velocity", line.number, || {
                format!("expected three velocities, found {:?}: none are taken", word(behind))
            }),
            None if !self.velocities.is_empty() => {
                self.incomplete(line.number);
                self.velocities.push([0.0; 3]);
            }
            None => {}
        }
        self.starts.push(line.start);
        self.positions.push(position);
        Ok(())
    }

    fn incomplete(&mut self, line: u64) {
        self.findings
            .warn("velocity", line, || "expected a velocity of every atom, found some without: 0 is taken".into());
    }
}

/// Numbers without blanks between them, which end so many digits behind their points as the last one does.
fn glued(mut text: &[u8]) -> Option<Vec<f64>> {
    let decimals = text.iter().rev().position(|&byte| byte == b'.')?;
    let mut numbers = Vec::new();
    while !text.is_empty() && numbers.len() < 9 {
        let end = text.iter().position(|&byte| byte == b'.')? + 1 + decimals;
        numbers.push(float(text.get(..end)?)?);
        text = &text[end..];
    }
    Some(numbers)
}

/// The cell of a box line: three or nine numbers.
fn box_of(line: &Line<'_>, findings: &mut Findings) -> Option<Cell> {
    let words = line.text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let mut numbers: Option<Vec<f64>> = words.map(float).collect();
    if numbers.as_ref().is_none_or(|numbers| !matches!(numbers.len(), 3 | 9)) {
        // Large boxes leave no blanks: all numbers have as many decimals as the last.
        numbers = glued(line.text.trim_ascii());
    }
    let numbers: Vec<f64> = numbers.unwrap_or_default().iter().map(|value| tenfold(*value, 5)).collect();
    let vectors = match numbers[..] {
        [ax, by, cz] => [[ax, 0.0, 0.0], [0.0, by, 0.0], [0.0, 0.0, cz]],
        [ax, by, cz, ay, az, bx, bz, cx, cy] => [[ax, ay, az], [bx, by, bz], [cx, cy, cz]],
        _ => {
            findings.warn("box", line.number, || {
                format!(
                    "expected three or nine numbers of a box, found {:?}: no cell is taken",
                    word(line.columns(0, 80))
                )
            });
            return None;
        }
    };
    if numbers.iter().all(|&value| value == 0.0) {
        return None;
    }
    let Some((cell, usual)) = cell::from_vectors(vectors) else {
        findings.note("box", line.number, || {
            "expected three edges of a box, found some of length 0: no cell is taken".into()
        });
        return None;
    };
    if !usual {
        findings.note("box-orientation", line.number, || {
            "the box is turned against the usual axes: the cell holds its edges and angles only".into()
        });
    }
    Some(cell)
}

/// The molecule of a frame, without its positions.
fn molecule(frame: &Frame, bytes: &[u8], findings: &mut Findings, cx: &Context) -> Result<Molecule> {
    let mut molecule =
        Molecule { name: frame.title.clone(), chains: vec![Chain::default()], cell: frame.cell, ..Molecule::default() };
    let mut serials = Vec::new();
    let (mut wrapped, mut last) = (0, None);
    let (mut atom_wrapped, mut last_atom) = (0, 0);
    for (index, &start) in frame.starts.iter().enumerate() {
        if index % 16_384 == 0 {
            cx.checkpoint()?;
        }
        let line = line_at(bytes, start);
        let (number, name) = (integer(line.columns(0, 5)).unwrap_or(0), line.columns(5, 10).trim_ascii());
        if last.is_none_or(|last| last != (number, name)) {
            // Residue 0 behind 99999 is the hundred thousandth.
            if last.is_some_and(|(last, _)| last == WRAP - 1 && number < last) {
                wrapped += WRAP;
            }
            last = Some((number, name));
            cx.budget().take(size_of::<Residue>() as u64 * 2)?;
            let number = i32::try_from(number + wrapped).ok();
            molecule.residues.push(Residue { name: word(name), number, ..Residue::default() });
        }
        let residue = molecule.residues.len() - 1;
        let atoms = &mut molecule.atoms;
        let name = word(line.columns(10, 15));
        let element = names::element(&name, &molecule.residues[residue].name);
        if element == Element::UNKNOWN {
            findings.note("unknown-element", frame.line + 2 + index as u64, || {
                format!("the atom name {name:?} tells no element")
            });
        }
        let serial = integer(line.columns(15, 20)).unwrap_or(index as i64 + 1);
        if last_atom == WRAP - 1 && serial < last_atom {
            atom_wrapped += WRAP;
        }
        last_atom = serial;
        serials.push(serial + atom_wrapped);
        atoms.elements.push(element);
        atoms.names.push(name);
        atoms.residues.push(residue as u32);
    }
    if !serials.iter().copied().eq(1..=serials.len() as i64) {
        molecule.atoms.serials = serials;
    }
    if molecule.residues.is_empty() {
        molecule.residues.push(Residue::default());
    }
    molecule.models.push(Model { number: 1, title: frame.title.clone(), ..Model::default() });
    Ok(molecule)
}
