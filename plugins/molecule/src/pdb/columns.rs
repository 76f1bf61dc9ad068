//! What stands in the columns of an atom's line.

use mediary_core::record::molecule::Element;
use mediary_core::{Error, Location, Result};
use smol_str::SmolStr;

use super::decode_hybrid36;
use crate::elements::{by_symbol, isotope};
use crate::template;
use crate::text::{Line, float, integer, word};

/// The name of a record: the first six bytes, filled up with blanks, in capitals.
pub(super) fn record_name(line: &[u8]) -> [u8; 6] {
    let mut name = [b' '; 6];
    let length = line.len().min(6);
    name[..length].copy_from_slice(&line[..length]);
    // `TER` and `END` may be cut or followed by anything: blanks are what counts.
    name.make_ascii_uppercase();
    name
}

/// The coordinates of an atom.
pub(super) fn position(line: &Line<'_>) -> Result<[f64; 3]> {
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
        field.first_chunk().and_then(three_decimals).or_else(|| float(field)).ok_or_else(|| {
            let found = String::from_utf8_lossy(field).into_owned();
            Error::malformed(format!("expected a coordinate, found {found:?}")).at(at(from as u64 + 1))
        })
    };
    Ok([number(30)?, number(38)?, number(46)?])
}

/// A number as nearly all coordinates are written, `%8.3f`: all bytes at once, without a branch on where it begins. `None` is not
/// that it is no number.
fn three_decimals(field: &[u8; 8]) -> Option<f64> {
    let [.., b'.', _, _, _] = field else { return None };
    let word = u64::from_be_bytes(*field);
    let (whole, part) = ((word >> 32) as u32, word as u32 & 0xFF_FFFF);
    // Blanks and signs miss a bit that all digits have.
    let before = (whole & 0x1010_1010).leading_zeros() & !7;
    let blanks = 0x2020_2020_u32.checked_shr(32 - before).unwrap_or(0);
    let sign = whole.checked_shr(32 - before).unwrap_or(0) ^ blanks;
    let negative = sign == u32::from(b'-' ^ b' ');
    let digits = whole.checked_shl(before)?.wrapping_shr(before) ^ (0x3030_3030 >> before);
    let decimals = part ^ 0x30_3030;
    let beyond_nine = |digits: u32| digits.wrapping_add(0x7676_7676) | digits;
    if (sign != 0 && !negative) || (beyond_nine(digits) | beyond_nine(decimals)) & 0x8080_8080 != 0 {
        return None;
    }
    let number = |digits: u32| digits.to_be_bytes().iter().fold(0, |sum, &digit| sum * 10 + u32::from(digit));
    let value = f64::from(number(digits) * 1000 + number(decimals)) / 1000.0;
    Some(if negative { -value } else { value })
}

/// Chain, number and insertion code of a residue.
pub(super) type Place = (SmolStr, Option<i32>, Option<char>);

pub(super) fn place(line: &Line<'_>, chain: usize, number: usize) -> Place {
    let name = if line.byte(chain) == b' ' { SmolStr::default() } else { word(line.columns(chain - 1, chain + 1)) };
    let (number, insertion) = residue_number(line.columns(number, number + 5));
    (name, number, insertion)
}

/// Number and insertion code of five columns.
pub(super) fn residue_number(field: &[u8]) -> (Option<i32>, Option<char>) {
    let digits = field.get(..4).unwrap_or(field);
    let code = field.get(4).copied().unwrap_or(b' ');
    // Behind a number of fewer digits than its columns, a digit is an insertion code.
    if field.iter().all(u8::is_ascii_digit)
        && let Some(number) = integer(field)
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
pub(super) fn serial(line: &Line<'_>) -> Option<i64> {
    // Six digits take the column before, which is blank after `ATOM`.
    let field = line.columns(if line.byte(5).is_ascii_digit() { 5 } else { 6 }, 11);
    serial_field(field)
}

pub(super) fn serial_field(field: &[u8]) -> Option<i64> {
    integer(field).or_else(|| decode_hybrid36(field, 5)).or_else(|| {
        let text = std::str::from_utf8(field.trim_ascii()).ok()?;
        i64::from_str_radix(text, 16).ok().filter(|_| text.starts_with(|first: char| first.is_ascii_digit()))
    })
}
pub(super) fn label(byte: u8) -> char {
    if byte == b' ' { '\0' } else { char::from(byte) }
}
/// Columns 73 to 80 of files before 1996: entry and line number.
pub(super) fn is_old_style(line: &Line<'_>) -> bool {
    line.columns(76, 80).len() == 4
        && line.columns(76, 80).iter().all(|&byte| byte.is_ascii_digit() || byte == b' ')
        && line.byte(79).is_ascii_digit()
        && line.byte(72).is_ascii_alphanumeric()
}

/// A formal charge: `2+`, `+2`, `2-`, `+`, blanks.
pub(super) fn charge(field: &[u8]) -> Option<i8> {
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
pub(super) fn guess(name: &[u8], residue: &str) -> (Element, u16) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_decimals_are_read_as_any_number() {
        for whole in [
            "    ", "   0", "   7", "  -0", "  -7", " -12", "-123", "1234", "  12", " 123", "+123", "  +1", " - 1",
            "-  1", "1  2", "   -", "12-3", "\t\t 1", " \u{b}-1", "a123",
        ] {
            for part in ["000", "001", "999", "50 ", " 50", "5-0", "1:0", "/00", "5e1"] {
                let field = format!("{whole}.{part}");
                let field: &[u8; 8] = field.as_bytes().first_chunk().unwrap();
                let found = three_decimals(field);
                assert!(
                    found.is_none() || found.map(f64::to_bits) == float(field).map(f64::to_bits),
                    "{field:?} {found:?}"
                );
            }
        }
        for text in ["   0.001", "  -0.000", "-999.999", "9999.999", "  12.345"] {
            assert_eq!(three_decimals(text.as_bytes().first_chunk().unwrap()), text.trim().parse().ok(), "{text}");
        }
    }
}
