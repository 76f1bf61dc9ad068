//! The connection table in columns.

use mediary_core::record::molecule::{Atoms, BondStereo, Element};
use mediary_core::{Context, Error, Location, Result};

use super::ctab::{ATOM_BYTES, BOND_BYTES, Table, set};
use super::read::cut;
use crate::text::{Cursor, Line, float, integer, word};

/// Reads atoms, bonds and properties, up to and with `M  END`.
pub(super) fn read(
    counts: &Line<'_>,
    cursor: &mut Cursor,
    bytes: &[u8],
    table: &mut Table,
    cx: &Context,
) -> Result<()> {
    let (atoms, bonds) = counted(counts, table)?;
    cx.limits().check("elements", atoms.max(bonds) as u64)?;
    cx.budget().take(atoms as u64 * ATOM_BYTES + bonds as u64 * BOND_BYTES)?;
    // Three columns count no more than 999, so that there is nothing to hold against the bytes left.
    table.positions.reserve_exact(atoms);
    table.atoms.elements.reserve_exact(atoms);
    table.atoms.names.reserve_exact(atoms);
    table.atoms.residues.reserve_exact(atoms);
    table.bonds.reserve_exact(bonds);
    for found in 0..atoms {
        let line = next(cursor, bytes, "atoms", atoms, found)?;
        atom(&line, atoms, table)?;
    }
    for found in 0..bonds {
        let line = next(cursor, bytes, "bonds", bonds, found)?;
        bond(&line, table)?;
    }
    properties(cursor, bytes, table, cx)
}

/// Numbers of atoms and bonds.
fn counted(line: &Line<'_>, table: &mut Table) -> Result<(usize, usize)> {
    let count =
        |field: &[u8]| integer(field).and_then(|count| usize::try_from(count).ok()).filter(|&count| count < 1000);
    if let (Some(atoms), Some(bonds)) = (count(line.columns(0, 3)), count(line.columns(3, 6))) {
        return Ok((atoms, bonds));
    }
    let mut words = words(line.text);
    if let (Some(atoms), Some(bonds)) = (words.next().and_then(count), words.next().and_then(count)) {
        out_of_columns(line, "the counts", table);
        return Ok((atoms, bonds));
    }
    let found = word(line.columns(0, 40));
    Err(Error::malformed(format!("expected counts of atoms and bonds, found {found:?}"))
        .at(Location::line(line.number).with_byte(line.start as u64))
        .with_hint("the counts stand in the fourth line of a record, in columns 1 to 3 and 4 to 6"))
}

fn out_of_columns(line: &Line<'_>, what: &str, table: &mut Table) {
    table.findings.warn("columns", line.number, || format!("expected {what} in their columns, found words apart"));
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// A line of the blocks of atoms and bonds.
fn next<'b>(cursor: &mut Cursor, bytes: &'b [u8], what: &str, count: usize, found: usize) -> Result<Line<'b>> {
    let before = *cursor;
    let line = cursor.next(bytes).ok_or_else(|| cut(&format!("{count} {what}"), before.lines))?;
    if line.text.starts_with(b"M  ") || line.text.starts_with(b"$$$$") {
        *cursor = before;
        return Err(Error::malformed(format!("expected {count} {what}, found {found}"))
            .at(Location::line(line.number).with_byte(line.start as u64))
            .with_hint("the count in the fourth line of the record is wrong, or lines are missing"));
    }
    Ok(line)
}

/// A coordinate as nearly all files write it: ten columns, four decimals.
fn coordinate(field: &[u8]) -> Option<f64> {
    let Some(&[a, b, c, d, e, b'.', f, g, h, i]) = field.first_chunk::<10>() else { return float(field) };
    let (mut value, mut negative, mut begun) = (0_u32, false, false);
    for byte in [a, b, c, d, e] {
        match byte {
            b'0'..=b'9' => (value, begun) = (value * 10 + u32::from(byte - b'0'), true),
            b' ' if !begun => {}
            b'-' if !begun => (negative, begun) = (true, true),
            _ => return float(field),
        }
    }
    for byte in [f, g, h, i] {
        if !byte.is_ascii_digit() {
            return float(field);
        }
        value = value * 10 + u32::from(byte - b'0');
    }
    // Both are exact, so that one division rounds correctly.
    let value = f64::from(value) / 1e4;
    Some(if negative { -value } else { value })
}

fn atom(line: &Line<'_>, count: usize, table: &mut Table) -> Result<()> {
    let coordinates = [(0, 10), (10, 20), (20, 30)].map(|(from, to)| coordinate(line.columns(from, to)));
    let symbol = line.columns(30, 34).trim_ascii();
    let ([Some(x), Some(y), Some(z)], false) = (coordinates, symbol.is_empty()) else {
        return atom_in_words(line, count, table);
    };
    table.atom(symbol, [x, y, z], count, line.number);
    // Nearly all atoms have nothing but zeros behind the symbol.
    let rest = line.columns(34, line.text.len());
    if rest.iter().all(|byte| matches!(byte, b' ' | b'0')) {
        return Ok(());
    }
    let field = |from: usize, to: usize| integer(line.columns(from, to)).unwrap_or(0);
    fields(field(34, 36), field(36, 39), table, count, line.number);
    let index = table.positions.len() - 1;
    if let Ok(number @ 1..) = u32::try_from(field(60, 63)) {
        set(&mut table.atoms.map_numbers, count, index, number);
    }
    // Parities are computed by who reads them; the other fields are of queries and reactions.
    let others = [(42, 45), (45, 48), (48, 51), (63, 66), (66, 69)];
    if others.iter().any(|&(from, to)| field(from, to) != 0) {
        table.findings.warn("atom-fields", line.number, || {
            "hydrogen counts, valences or other query fields of an atom are set aside".into()
        });
    }
    Ok(())
}

/// An atom whose fields are out of their columns.
fn atom_in_words(line: &Line<'_>, count: usize, table: &mut Table) -> Result<()> {
    let mut words = words(line.text);
    let mut coordinates = [0.0; 3];
    for (axis, value) in coordinates.iter_mut().enumerate() {
        let text = words.next().unwrap_or_default();
        *value = float(text).ok_or_else(|| {
            let column = axis as u64 * 10;
            Error::malformed(format!(
                "expected a coordinate, found {:?}",
                word(line.columns(axis * 10, axis * 10 + 10))
            ))
            .at(Location::line(line.number).with_column(column + 1).with_byte(line.start as u64 + column))
        })?;
    }
    let Some(symbol) = words.next() else {
        return Err(Error::malformed("expected the symbol of an atom in columns 32 to 34, found the end of the line")
            .at(Location::line(line.number).with_column(32)));
    };
    out_of_columns(line, "an atom", table);
    table.atom(symbol, coordinates, count, line.number);
    let mut number = || words.next().and_then(integer).unwrap_or(0);
    fields(number(), number(), table, count, line.number);
    Ok(())
}

/// Mass difference and charge of the last atom.
fn fields(difference: i64, charge: i64, table: &mut Table, count: usize, line: u64) {
    let index = table.positions.len() - 1;
    let atoms = &mut table.atoms;
    if difference != 0 {
        let mass = atoms.elements[index].weight().round() as i64 + difference;
        match u16::try_from(mass) {
            Ok(mass) if atoms.elements[index].number() > 0 && (-3..=4).contains(&difference) => {
                set(&mut atoms.isotopes, count, index, mass);
            }
            _ => table.findings.warn("bad-isotope", line, || {
                format!("expected a mass difference of an element from -3 to 4, found {difference}: none is taken")
            }),
        }
    }
    match charge {
        0 => {}
        4 => set(&mut atoms.radicals, count, index, 2),
        1..=7 => set(&mut atoms.formal_charges, count, index, (4 - charge) as i8),
        _ => table.findings.warn("bad-charge", line, || {
            format!("expected a charge code from 0 to 7, found {charge}: no charge is taken")
        }),
    }
}

fn bond(line: &Line<'_>, table: &mut Table) -> Result<()> {
    let mut numbers = [(0, 3), (3, 6), (6, 9), (9, 12)].map(|(from, to)| integer(line.columns(from, to)));
    if numbers[..3].contains(&None) {
        let mut words = words(line.text);
        numbers = [(); 4].map(|()| words.next().and_then(integer));
        out_of_columns(line, "a bond", table);
    }
    let [Some(a), Some(b), Some(kind), stereo] = numbers else {
        let found = word(line.columns(0, 40));
        return Err(Error::malformed(format!("expected two atoms and the type of a bond, found {found:?}"))
            .at(Location::line(line.number).with_byte(line.start as u64)));
    };
    let count = table.positions.len();
    let atom = |number: i64| {
        number
            .checked_sub(1)
            .and_then(|index| u32::try_from(index).ok())
            .filter(|&index| (index as usize) < count)
            .ok_or_else(|| {
                Error::malformed(format!("expected an atom from 1 to {count}, found {number}"))
                    .at(Location::line(line.number).with_byte(line.start as u64))
            })
    };
    let stereo = match (kind, stereo.unwrap_or(0)) {
        (_, 0) => BondStereo::None,
        (2, 3) | (1, 4) => BondStereo::Either,
        (1, 1) => BondStereo::Up,
        (1, 6) => BondStereo::Down,
        (_, other) => {
            table.findings.note("bond-stereo", line.number, || {
                format!("the stereo {other} means nothing for a bond of type {kind}: none is taken")
            });
            BondStereo::None
        }
    };
    let (a, b) = (atom(a)?, atom(b)?);
    table.bond(a, b, kind, stereo, line.number);
    Ok(())
}

/// Lines between bonds and `M  END`.
fn properties(cursor: &mut Cursor, bytes: &[u8], table: &mut Table, cx: &Context) -> Result<()> {
    // The first line of charges or radicals, and of isotopes, replaces all that atom lines state.
    let (mut charges, mut isotopes) = (false, false);
    loop {
        let before = *cursor;
        let Some(line) = cursor.next(bytes) else {
            table.findings.warn("no-m-end", before.lines, || {
                "expected M  END, found the end of the file: it may be cut short".into()
            });
            return Ok(());
        };
        if line.number.is_multiple_of(16_384) {
            cx.checkpoint()?;
        }
        let text = line.text;
        if text.starts_with(b"$$$$") || text.starts_with(b">") {
            *cursor = before;
            table.findings.warn("no-m-end", line.number, || "expected M  END, found the end of the record".into());
            return Ok(());
        }
        match text.get(..6).unwrap_or(text) {
            b"M  END" => return Ok(()),
            b"M  CHG" | b"M  RAD" => {
                if !std::mem::replace(&mut charges, true) {
                    table.atoms.formal_charges = Vec::new();
                    table.atoms.radicals = Vec::new();
                }
                let is_charge = text.starts_with(b"M  CHG");
                pairs(&line, table, |atoms, count, index, value| {
                    if is_charge {
                        set(&mut atoms.formal_charges, count, index, i8::try_from(value).ok()?);
                    } else {
                        set(&mut atoms.radicals, count, index, u8::try_from(value).ok().filter(|&spin| spin < 4)?);
                    }
                    Some(())
                });
            }
            b"M  ISO" => {
                if !std::mem::replace(&mut isotopes, true) {
                    table.atoms.isotopes = Vec::new();
                }
                pairs(&line, table, |atoms, count, index, value| {
                    set(&mut atoms.isotopes, count, index, u16::try_from(value).ok().filter(|&mass| mass < 400)?);
                    Some(())
                });
            }
            b"M  RGP" => pairs(&line, table, |atoms, count, index, value| {
                set(&mut atoms.types, count, index, format!("R{value}").into());
                Some(())
            }),
            b"M  ALS" => list(&line, table),
            _ if text.starts_with(b"A  ") => {
                let Some(alias) = cursor.next(bytes) else { return Err(cut("the text of an alias", line.number)) };
                match index(integer(line.columns(3, 6)), table) {
                    Some(index) => table.atoms.names[index] = word(alias.text),
                    None => stray(&line, table),
                }
            }
            // Skipped lines, group abbreviations and values of atoms have lines of their own behind them.
            _ if text.starts_with(b"S  SKP") => {
                for _ in 0..integer(line.columns(6, 9)).unwrap_or(0) {
                    if cursor.next(bytes).is_none() {
                        return Err(cut("lines to be skipped", line.number));
                    }
                }
            }
            _ if text.starts_with(b"G  ") => {
                let Some(next) = cursor.next(bytes) else { return Err(cut("the text of a group", line.number)) };
                // The two lines of a group are one entry.
                keep(&[line.text.trim_ascii_end(), b"\n", next.text].concat(), table, cx)?;
            }
            _ if text.starts_with(b"V  ") => keep(text, table, cx)?,
            _ if text.starts_with(b"M  ") && text.len() > 6 => {
                if text[3] == b'S' && text.get(..6) != Some(b"M  SUB") {
                    table
                        .findings
                        .note("sgroup", line.number, || "SGroups are kept as lines in the property molfile".into());
                } else {
                    table.findings.note("property", line.number, || {
                        format!("lines {:?} are kept in the property molfile", word(line.columns(0, 6)))
                    });
                }
                keep(text, table, cx)?;
            }
            _ if text.trim_ascii().is_empty() => {}
            _ if matches!(line.byte(4), b'T' | b'F') && integer(line.columns(0, 3)).is_some() => old_list(&line, table),
            _ => stray(&line, table),
        }
    }
}

fn stray(line: &Line<'_>, table: &mut Table) {
    table.findings.warn("stray-line", line.number, || {
        format!("expected a property of the molecule, found {:?}: set aside", word(line.columns(0, 40)))
    });
}

fn keep(text: &[u8], table: &mut Table, cx: &Context) -> Result<()> {
    cx.limits().check("string_bytes", text.len() as u64)?;
    cx.budget().take(text.len() as u64 + 64)?;
    table.lines.push(String::from_utf8_lossy(text.trim_ascii_end()).into_owned().into());
    Ok(())
}

/// The index of an atom that is numbered from 1.
fn index(number: Option<i64>, table: &Table) -> Option<usize> {
    let index = usize::try_from(number?.checked_sub(1)?).ok()?;
    (index < table.positions.len()).then_some(index)
}

/// Pairs of an atom and a value: `M  CHG  2   1   1   3  -1`.
fn pairs(line: &Line<'_>, table: &mut Table, mut put: impl FnMut(&mut Atoms, usize, usize, i64) -> Option<()>) {
    let mut words = words(line.columns(6, line.text.len())).map(integer);
    let stated = words.next().flatten();
    let mut found = 0;
    while let Some(number) = words.next() {
        let count = table.positions.len();
        let place = index(number, table);
        let done = match (place, words.next().flatten()) {
            (Some(index), Some(value)) => put(&mut table.atoms, count, index, value),
            _ => None,
        };
        if done.is_none() {
            return stray(line, table);
        }
        found += 1;
    }
    if stated != Some(found) {
        table.findings.warn("pair-count", line.number, || {
            format!("expected {} pairs of an atom and a value, found {found}", stated.unwrap_or(0))
        });
    }
}

/// `M  ALS   1  2 F C   N   `: the elements that a query atom stands for.
fn list(line: &Line<'_>, table: &mut Table) {
    let Some(index) = index(integer(line.columns(7, 10)), table) else { return stray(line, table) };
    let names: Vec<_> = words(line.columns(16, line.text.len())).map(word).collect();
    let not = if line.byte(14) == b'T' { "NOT " } else { "" };
    let count = table.positions.len();
    set(&mut table.atoms.types, count, index, format!("{not}[{}]", names.join(",")).into());
}

/// `  6 F    3   6   7  15`: a list by atomic numbers, as it stood behind the bonds before `M  ALS`.
fn old_list(line: &Line<'_>, table: &mut Table) {
    let Some(index) = index(integer(line.columns(0, 3)), table) else { return stray(line, table) };
    let numbers = words(line.columns(5, line.text.len())).skip(1);
    let element = |number: &[u8]| u8::try_from(integer(number)?).ok().and_then(Element::from_number);
    let Some(names) = numbers.map(|number| Some(element(number)?.symbol())).collect::<Option<Vec<_>>>() else {
        return stray(line, table);
    };
    let not = if line.byte(4) == b'T' { "NOT " } else { "" };
    let count = table.positions.len();
    set(&mut table.atoms.types, count, index, format!("{not}[{}]", names.join(",")).into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_read_as_the_standard_library_reads_them() {
        for text in ["    0.0000", "   -0.0001", "12345.6789", "-1234.5678", "  -12.5000", "     .5000", "    -.2500"] {
            let expected: f64 = text.trim().parse().unwrap();
            assert_eq!(coordinate(text.as_bytes()).map(f64::to_bits), Some(expected.to_bits()), "{text}");
        }
        for text in ["  1 2.5000", "    1.25 0", "   --1.000", "   1e5", "    nan   "] {
            assert_eq!(coordinate(text.as_bytes()), float(text.as_bytes()), "{text}");
        }
    }
}
