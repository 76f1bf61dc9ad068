//! The connection table in words, each line after `M  V30`.

use std::borrow::Cow;

use mediary_core::record::molecule::BondStereo;
use mediary_core::{Context, Error, Location, Result};

use super::ctab::{ATOM_BYTES, BOND_BYTES, Table, set};
use super::read::cut;
use crate::numbers::{NUMBER_BYTES, Numbers};
use crate::text::{Cursor, float, integer, word};

/// Bytes of the shortest line of an atom, `M  V30 1 C 0 0 0 0`, and of a bond, `M  V30 1 1 1 2`, with their ends.
const SHORTEST_ATOM: u64 = 19;
const SHORTEST_BOND: u64 = 15;

/// A line without `M  V30`, its continuations joined.
struct Joined<'b> {
    text: Cow<'b, [u8]>,
    number: u64,
}

impl Joined<'_> {
    fn error(&self, message: String) -> Error {
        Error::malformed(message).at(Location::line(self.number))
    }
}

/// Reads blocks up to and with `M  END`.
pub(super) fn read(cursor: &mut Cursor, bytes: &[u8], table: &mut Table, cx: &Context) -> Result<()> {
    let mut atoms = Numbers::default();
    let mut counts = (0, 0);
    let mut bonds = 0;
    loop {
        let before = *cursor;
        let Some(line) = next(cursor, bytes, cx)? else {
            let Some(line) = cursor.next(bytes) else {
                table.findings.warn("no-m-end", before.lines, || {
                    "expected M  END, found the end of the file: it may be cut short".into()
                });
                break;
            };
            if line.text.starts_with(b"M  END") {
                break;
            }
            if line.text.starts_with(b"$$$$") || line.text.starts_with(b">") {
                *cursor = before;
                table.findings.warn("no-m-end", line.number, || "expected M  END, found the end of the record".into());
                break;
            }
            if !line.text.trim_ascii().is_empty() {
                table.findings.warn("stray-line", line.number, || {
                    format!("expected a line of M  V30, found {:?}: set aside", word(line.columns(0, 40)))
                });
            }
            continue;
        };
        let mut words = Words(&line.text);
        match (words.next().unwrap_or_default(), words.next().unwrap_or_default()) {
            (b"BEGIN" | b"END", b"CTAB") => {}
            (b"COUNTS", number) => counts = counted(&line, number, words, table, cx, (bytes.len() - cursor.at) as u64)?,
            (b"BEGIN", b"ATOM") => {
                while let Some(line) = block(cursor, bytes, b"ATOM", cx)? {
                    atom(&line, counts.0, &mut atoms, table)?;
                }
            }
            (b"BEGIN", b"BOND") => {
                while let Some(line) = block(cursor, bytes, b"BOND", cx)? {
                    bonds += 1;
                    if bonds > counts.1 {
                        return Err(line.error(format!("expected {} bonds, found more", counts.1)));
                    }
                    bond(&line, &atoms, table)?;
                }
            }
            (b"LINKNODE", _) => keep(&line, table, cx)?,
            (b"BEGIN", name) => {
                let (name, number) = (word(name), line.number);
                table
                    .findings
                    .note("block", number, || format!("the block {name:?} is kept as lines in the property molfile"));
                keep(&line, table, cx)?;
                while let Some(line) = block(cursor, bytes, name.as_bytes(), cx)? {
                    keep(&line, table, cx)?;
                }
                table.lines.push(format!("END {name}").into());
            }
            _ => table.findings.warn("stray-line", line.number, || {
                format!(
                    "expected a block of M  V30, found {:?}: set aside",
                    word(&line.text[..line.text.len().min(40)])
                )
            }),
        }
    }
    for (what, stated, found) in [("atoms", counts.0, table.positions.len()), ("bonds", counts.1, bonds)] {
        if stated > found {
            return Err(Error::malformed(format!("expected {stated} {what}, found {found}"))
                .at_line(cursor.lines)
                .with_hint("the count of the record is wrong, or the file is cut short"));
        }
    }
    table.atoms.serials = atoms.into_serials();
    Ok(())
}

/// The next line of `M  V30`; `None` and nothing taken for any other.
fn next<'b>(cursor: &mut Cursor, bytes: &'b [u8], cx: &Context) -> Result<Option<Joined<'b>>> {
    let before = *cursor;
    let Some(line) = cursor.next(bytes) else { return Ok(None) };
    let Some(text) = content(line.text) else {
        *cursor = before;
        return Ok(None);
    };
    if line.number.is_multiple_of(16_384) {
        cx.checkpoint()?;
    }
    let Some(begun) = text.strip_suffix(b"-") else {
        return Ok(Some(Joined { text: Cow::Borrowed(text), number: line.number }));
    };
    let mut joined = begun.to_vec();
    loop {
        let more = cursor.next(bytes).ok_or_else(|| cut("the rest of a continued line", line.number))?;
        let text = content(more.text).ok_or_else(|| {
            Error::malformed("expected the rest of a line that ends with -, found another").at_line(more.number)
        })?;
        cx.limits().check("string_bytes", (joined.len() + text.len()) as u64)?;
        cx.budget().take(text.len() as u64)?;
        joined.extend_from_slice(text.strip_suffix(b"-").unwrap_or(text));
        if !text.ends_with(b"-") {
            return Ok(Some(Joined { text: Cow::Owned(joined), number: line.number }));
        }
    }
}

/// What stands behind `M  V30`.
fn content(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"M  V30")?;
    Some(rest.strip_prefix(b" ").unwrap_or(rest).trim_ascii_end())
}

/// The next line of a block; `None` at its end.
fn block<'b>(cursor: &mut Cursor, bytes: &'b [u8], name: &[u8], cx: &Context) -> Result<Option<Joined<'b>>> {
    let missing = |line| {
        Error::malformed(format!("expected END {}, found something else", word(name)))
            .at_line(line)
            .with_hint("the file may be cut short")
    };
    let line = next(cursor, bytes, cx)?.ok_or_else(|| missing(cursor.lines + 1))?;
    let mut words = Words(&line.text);
    let is_end = words.next() == Some(b"END") && words.next() == Some(name);
    Ok((!is_end).then_some(line))
}

fn keep(line: &Joined<'_>, table: &mut Table, cx: &Context) -> Result<()> {
    cx.budget().take(line.text.len() as u64 + 64)?;
    table.lines.push(String::from_utf8_lossy(&line.text).into_owned().into());
    Ok(())
}

/// `COUNTS na nb nsg n3d chiral`; makes room.
fn counted(
    line: &Joined<'_>,
    atoms: &[u8],
    mut words: Words<'_>,
    table: &mut Table,
    cx: &Context,
    left: u64,
) -> Result<(usize, usize)> {
    let count = |field: Option<&[u8]>| field.and_then(integer).and_then(|count| u64::try_from(count).ok());
    let (Some(atoms), Some(bonds)) = (count(Some(atoms)), count(words.next())) else {
        return Err(line.error(format!("expected counts of atoms and bonds, found {:?}", word(&line.text))));
    };
    cx.limits().check("elements", atoms.max(bonds))?;
    let least = atoms.saturating_mul(SHORTEST_ATOM).saturating_add(bonds.saturating_mul(SHORTEST_BOND));
    if least > left {
        return Err(line
            .error(format!("expected {atoms} atoms and {bonds} bonds, found {left} bytes left"))
            .with_hint("the count is wrong, or the file is cut short"));
    }
    cx.budget().take(atoms * (ATOM_BYTES + NUMBER_BYTES) + bonds * BOND_BYTES)?;
    let (atoms, bonds) = (atoms as usize, bonds as usize);
    table.positions.reserve_exact(atoms);
    table.atoms.elements.reserve_exact(atoms);
    table.atoms.names.reserve_exact(atoms);
    table.atoms.residues.reserve_exact(atoms);
    table.bonds.reserve_exact(bonds);
    // The flag of the counts line above is not used in this version.
    match words.nth(2).and_then(integer) {
        Some(1) => drop(table.extras.insert("chiral".into(), true.into())),
        _ => drop(table.extras.remove("chiral")),
    }
    Ok((atoms, bonds))
}

/// `index type x y z map KEY=value …`
fn atom(line: &Joined<'_>, count: usize, numbers: &mut Numbers, table: &mut Table) -> Result<()> {
    let mut words = Words(&line.text);
    let number = words.next().and_then(integer);
    let mut symbol = Cow::Borrowed(words.next().unwrap_or_default());
    // `NOT [C,N]` may be two words.
    if *symbol == *b"NOT" && words.0.trim_ascii_start().starts_with(b"[") {
        symbol = [b"NOT ", words.next().unwrap_or_default()].concat().into();
    }
    // Quotes inside of quotes are doubled.
    if symbol.contains(&b'"') {
        symbol = String::from_utf8_lossy(&symbol).replace("\"\"", "\"").into_bytes().into();
    }
    let [x, y, z] = [(); 3].map(|()| words.next().and_then(float));
    let (Some(number), Some(x), Some(y), Some(z)) = (number, x, y, z) else {
        return Err(
            line.error(format!("expected the number, symbol and coordinates of an atom, found {:?}", word(&line.text)))
        );
    };
    let index = table.positions.len();
    if index >= count {
        return Err(line.error(format!("expected {count} atoms, found more")));
    }
    if !numbers.add(number) {
        return Err(line.error(format!("expected another number for each atom, found {number} again")));
    }
    let map = words.next().and_then(integer).and_then(|map| u32::try_from(map).ok());
    table.atom(&symbol, [x, y, z], count, line.number);
    let atoms = &mut table.atoms;
    if let Some(map @ 1..) = map {
        set(&mut atoms.map_numbers, count, index, map);
    }
    let mut others = Vec::new();
    for attribute in words {
        let (key, value) = split(attribute);
        let number = integer(value);
        let taken = match key {
            b"CHG" => number.and_then(|value| i8::try_from(value).ok()).map(|charge| {
                if charge != 0 {
                    set(&mut atoms.formal_charges, count, index, charge);
                }
            }),
            b"RAD" => number.and_then(|value| u8::try_from(value).ok()).filter(|&spin| spin < 4).map(|spin| {
                if spin != 0 {
                    set(&mut atoms.radicals, count, index, spin);
                }
            }),
            // A mass may have decimals.
            b"MASS" => float(value).map(f64::round).filter(|mass| (1.0..400.0).contains(mass)).map(|mass| {
                set(&mut atoms.isotopes, count, index, mass as u16);
            }),
            // The parity is computed by who reads it.
            b"CFG" => Some(()),
            b"RGROUPS" => value.trim_ascii().strip_suffix(b")").and_then(|list| {
                let mut words = list.split(|byte| b" (".contains(byte)).filter(|word| !word.is_empty()).skip(1);
                let group = words.next().and_then(integer)?;
                set(&mut atoms.types, count, index, format!("R{group}").into());
                Some(())
            }),
            _ => None,
        };
        if taken.is_none() {
            others.push(String::from_utf8_lossy(attribute).into_owned());
        }
    }
    if !others.is_empty() {
        table.findings.note("attributes", line.number, || {
            format!("attributes such as {:?} are kept in the property molfile", others[0])
        });
        table.attribute("atom_attributes", index, others.join(" ").into());
    }
    Ok(())
}

/// `index type atom atom KEY=value …`
fn bond(line: &Joined<'_>, numbers: &Numbers, table: &mut Table) -> Result<()> {
    let mut words = Words(&line.text);
    let [_, kind, a, b] = [(); 4].map(|()| words.next().and_then(integer));
    let (Some(kind), Some(a), Some(b)) = (kind, a, b) else {
        return Err(line.error(format!("expected the number, type and atoms of a bond, found {:?}", word(&line.text))));
    };
    let find = |number| {
        numbers.find(number).ok_or_else(|| line.error(format!("expected the number of an atom, found {number}")))
    };
    let (a, b) = (find(a)?, find(b)?);
    let mut stereo = BondStereo::None;
    let mut others = Vec::new();
    for attribute in words {
        match split(attribute) {
            (b"CFG", b"0") => {}
            (b"CFG", b"1") => stereo = BondStereo::Up,
            (b"CFG", b"2") => stereo = BondStereo::Either,
            (b"CFG", b"3") => stereo = BondStereo::Down,
            _ => others.push(String::from_utf8_lossy(attribute).into_owned()),
        }
    }
    if !others.is_empty() && a != b {
        table.findings.note("attributes", line.number, || {
            format!("attributes such as {:?} are kept in the property molfile", others[0])
        });
        table.attribute("bond_attributes", table.bonds.len(), others.join(" ").into());
    }
    table.bond(a, b, kind, stereo, line.number);
    Ok(())
}

/// Key and value of an attribute.
fn split(attribute: &[u8]) -> (&[u8], &[u8]) {
    match attribute.iter().position(|&byte| byte == b'=') {
        Some(at) => (&attribute[..at], &attribute[at + 1..]),
        None => (attribute, &[]),
    }
}

/// Words of a line; what stands in quotes, brackets or parentheses belongs together.
struct Words<'l>(&'l [u8]);

impl<'l> Iterator for Words<'l> {
    type Item = &'l [u8];

    fn next(&mut self) -> Option<&'l [u8]> {
        let rest = self.0.trim_ascii_start();
        let first = *rest.first()?;
        let mut until = None;
        let end = rest.iter().position(|&byte| {
            match until {
                Some(close) if byte == close => until = None,
                Some(_) => {}
                None => {
                    until = match byte {
                        b'"' => Some(b'"'),
                        b'(' => Some(b')'),
                        b'[' => Some(b']'),
                        b' ' | b'\t' => return true,
                        _ => None,
                    }
                }
            }
            false
        });
        let word = &rest[..end.unwrap_or(rest.len())];
        self.0 = &rest[word.len()..];
        let quoted = word.strip_prefix(b"\"").and_then(|word| word.strip_suffix(b"\"")).filter(|_| first == b'"');
        Some(quoted.unwrap_or(word))
    }
}
