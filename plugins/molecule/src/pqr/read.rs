//! The reader: words where they are apart, columns where they touch.

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Chain, Element, Model, Residue};
use mediary_core::{Context, Error, FormatReader, Location, MediaRecord, Result, Source, SourceBytes};
use smol_str::SmolStr;

use crate::models::Growth;
use crate::names;
use crate::records::{Parse, Records};
use crate::template;
use crate::text::{Cursor, Findings, Line, float, integer, word};

/// Bytes of memory that an atom takes.
const ATOM_BYTES: u64 = 128;

pub(super) fn open(source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
    let reader = Reader { cx: cx.clone(), cursor: Cursor::default() };
    Ok(Box::new(Records::new(source, cx, reader)))
}

struct Reader {
    cx: Context,
    cursor: Cursor,
}

/// What an atom line says.
#[derive(Debug, PartialEq)]
pub(super) struct Fields<'l> {
    pub(super) serial: Option<i64>,
    pub(super) name: &'l [u8],
    pub(super) residue: &'l [u8],
    pub(super) chain: &'l [u8],
    pub(super) number: i32,
    pub(super) insertion: Option<char>,
    /// x, y, z, charge, radius.
    pub(super) values: [f64; 5],
}

pub(super) fn is_atom(line: &[u8]) -> bool {
    line.get(..6).is_some_and(|name| matches!(&name.to_ascii_uppercase()[..], b"HETATM"))
        || line.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"ATOM"))
}

/// The fields of an atom line.
pub(super) fn fields(line: &[u8]) -> Option<Fields<'_>> {
    in_words(line).or_else(|| in_columns(line))
}

/// Residue number and insertion code: `12`, `-3`, `12B`.
fn number(field: &[u8]) -> Option<(i32, Option<char>)> {
    let code = field.last().filter(|last| last.is_ascii_alphabetic());
    let digits = &field[..field.len() - usize::from(code.is_some())];
    Some((i32::try_from(integer(digits)?).ok()?, code.map(|&code| char::from(code))))
}

fn in_words(line: &[u8]) -> Option<Fields<'_>> {
    // A serial of six digits leaves no blank behind `HETATM`.
    let start = if line.get(..6).is_some_and(|name| name.eq_ignore_ascii_case(b"HETATM")) { 6 } else { 4 };
    let mut words: [&[u8]; 11] = [&[]; 11];
    let mut count = 0;
    for word in line[start..].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        *words.get_mut(count)? = word;
        count += 1;
    }
    let words = &words[..count];
    // Some writers add the element.
    let last = if words.last().and_then(|word| float(word)).is_none() { count.checked_sub(1)? } else { count };
    let (head, tail) = words[..last].split_at_checked(last.checked_sub(5)?)?;
    let mut values = [0.0; 5];
    for (value, word) in values.iter_mut().zip(tail) {
        *value = float(word)?;
    }
    let (serial, name, residue, chain, place) = match *head {
        [serial, name, residue, chain, place] => (serial, name, residue, chain, place),
        // The chain is missing, or its letter stands right before the number.
        [serial, name, residue, place] if number(place).is_some() => (serial, name, residue, &b""[..], place),
        [serial, name, residue, place] => (serial, name, residue, place.get(..1)?, place.get(1..)?),
        _ => return None,
    };
    let (number, insertion) = number(place)?;
    Some(Fields { serial: integer(serial), name, residue, chain, number, insertion, values })
}

/// The columns of PDB as far as the coordinates, two words behind them.
fn in_columns(text: &[u8]) -> Option<Fields<'_>> {
    let line = Line { text, number: 0, start: 0 };
    let mut values = [0.0; 5];
    for (value, from) in values.iter_mut().zip([30, 38, 46]) {
        *value = float(line.columns(from, from + 8))?;
    }
    let rest = line.columns(54, text.len());
    let mut words = rest.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let pair = (words.next().and_then(float), words.next().and_then(float));
    let (charge, radius) = match pair {
        (Some(charge), Some(radius)) => (charge, radius),
        _ => (float(line.columns(54, 62))?, float(line.columns(62, 70))?),
    };
    (values[3], values[4]) = (charge, radius);
    let (number, insertion) = number(line.columns(22, 27).trim_ascii())?;
    Some(Fields {
        serial: integer(line.columns(6, 11)),
        name: line.columns(12, 16).trim_ascii(),
        residue: line.columns(17, 21).trim_ascii(),
        chain: line.columns(21, 22).trim_ascii(),
        number,
        insertion,
        values,
    })
}

#[derive(Default)]
struct Build {
    molecule: Molecule,
    positions: Vec<[f64; 3]>,
    serials: Vec<i64>,
    findings: Findings,
    atoms: Growth,
    residues: Growth,
    after_ter: bool,
    ended: bool,
}

impl Parse for Reader {
    fn next(&mut self, bytes: &SourceBytes) -> Result<Option<MediaRecord>> {
        let mut build = Build::default();
        loop {
            let before = self.cursor;
            let Some(line) = self.cursor.next(bytes) else { break };
            if line.number.is_multiple_of(16_384) {
                self.cx.checkpoint()?;
            }
            let text =
                if line.start == 0 { line.text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line.text) } else { line.text };
            if is_atom(text) {
                if let Err(error) = build.atom(&Line { text, ..line }, &self.cx) {
                    if error.limit_name().is_some() {
                        return Err(error);
                    }
                    self.cx.unless_lenient("bad-atom", error)?;
                }
                continue;
            }
            match text.split(u8::is_ascii_whitespace).next().unwrap_or_default() {
                b"TER" => build.after_ter = true,
                b"END" | b"ENDMDL" => build.ended = !build.positions.is_empty(),
                b"MODEL" if !build.positions.is_empty() => {
                    self.cursor = before;
                    build.ended = true;
                    break;
                }
                _ => {}
            }
        }
        if build.positions.is_empty() {
            return Ok(None);
        }
        if !build.ended {
            build.findings.note("no-end", self.cursor.lines, || {
                "expected END, found the end of the file: it may be cut short".into()
            });
        }
        build.finish(&self.cx).map(Some)
    }

    fn is_done(&self, bytes: &[u8]) -> bool {
        self.cursor.at >= bytes.len()
    }

    fn none(&self) -> Error {
        Error::malformed("expected ATOM or HETATM records, found none")
    }
}

impl Build {
    fn atom(&mut self, line: &Line<'_>, cx: &Context) -> Result<()> {
        let holds = |it: &Fields<'_>| it.values[3..].iter().all(|&value| (value as f32).is_finite());
        let Some(it) = fields(line.text).filter(holds) else {
            let found = word(line.columns(0, 80));
            return Err(Error::malformed(format!(
                "expected names, a residue number, three coordinates, a charge and a radius, found {found:?}"
            ))
            .at(Location::line(line.number).with_byte(line.start as u64)));
        };
        let index = self.positions.len();
        self.atoms.make_room(index, ATOM_BYTES, cx)?;
        cx.limits().check("elements", index as u64 + 1)?;
        let hetero = line.text[..1].eq_ignore_ascii_case(b"H");
        let residue = self.residue(&it, hetero, cx)?;
        let name = word(it.name);
        let element = names::element(&name, &self.molecule.residues[residue as usize].name);
        if element == Element::UNKNOWN {
            self.findings.note("unknown-element", line.number, || format!("the atom name {name:?} tells no element"));
        }
        let [x, y, z, charge, radius] = it.values;
        let atoms = &mut self.molecule.atoms;
        atoms.elements.push(element);
        atoms.names.push(name);
        atoms.residues.push(residue);
        atoms.partial_charges.push(charge as f32);
        atoms.radii.push(radius as f32);
        self.serials.push(it.serial.unwrap_or(index as i64 + 1));
        self.positions.push([x, y, z]);
        Ok(())
    }

    fn residue(&mut self, it: &Fields<'_>, hetero: bool, cx: &Context) -> Result<u32> {
        let molecule = &mut self.molecule;
        let (name, chain) = (word(it.residue), word(it.chain));
        let new_chain = self.after_ter || molecule.chains.last().is_none_or(|last| last.name != chain);
        self.after_ter = false;
        if let Some(last) = molecule.residues.last().filter(|_| !new_chain)
            && (&last.name, last.number, last.insertion) == (&name, Some(it.number), it.insertion)
        {
            return Ok(molecule.residues.len() as u32 - 1);
        }
        self.residues.make_room(
            molecule.residues.len(),
            size_of::<Residue>() as u64 + size_of::<Chain>() as u64,
            cx,
        )?;
        if new_chain {
            molecule.chains.push(Chain { name: chain, ..Chain::default() });
        }
        molecule.residues.push(Residue {
            name,
            number: Some(it.number),
            insertion: it.insertion,
            label_number: None,
            segment: SmolStr::default(),
            hetero,
            chain: molecule.chains.len() as u32 - 1,
        });
        Ok(molecule.residues.len() as u32 - 1)
    }

    fn finish(mut self, cx: &Context) -> Result<MediaRecord> {
        let molecule = &mut self.molecule;
        if !self.serials.iter().copied().eq(1..=self.serials.len() as i64) {
            molecule.atoms.serials = self.serials;
        }
        molecule.bonds = template::perceive(molecule, &self.positions, cx.options().text("bonds"), cx)?;
        molecule.models.push(Model { number: 1, positions: self.positions.into(), ..Model::default() });
        self.findings.report(cx)?;
        Ok(MediaRecord::new(self.molecule))
    }
}
