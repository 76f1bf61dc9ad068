//! Elements from the names of atoms, for formats without columns or symbols to tell them.

use mediary_core::record::molecule::Element;

use crate::elements::by_symbol;
use crate::template;

/// Two letters that are meant where a name begins with them in capitals, outside standard residues.
const COMMON: [&[u8]; 8] = [b"CL", b"BR", b"LI", b"SI", b"SE", b"ZN", b"FE", b"MG"];

/// The element that the name of an atom tells in a residue; unknown for dummies and beads.
pub(crate) fn element(name: &str, residue: &str) -> Element {
    let letters = |text: &str| text.bytes().filter(u8::is_ascii_alphabetic).collect::<Vec<_>>();
    let leading = name.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).as_bytes();
    let Some(&first) = leading.first() else { return Element::UNKNOWN };
    let single = by_symbol(&[first]);
    if template::is_known(residue) {
        // Sites of water that carry charge alone are no atoms: `MW`, `LP1`.
        let selenium = leading.starts_with(b"SE").then(|| by_symbol(b"SE")).flatten();
        return selenium.or(single.filter(|_| !matches!(first, b'M' | b'L'))).unwrap_or_default();
    }
    let (own, group) = (letters(name), letters(residue));
    // An ion is a residue of its own name: `NA`, `CA2`, `Cl-`.
    if own.eq_ignore_ascii_case(&group)
        && let Some(element) = by_symbol(&own)
    {
        return element;
    }
    let two = leading.get(..2).filter(|two| two[1].is_ascii_alphabetic());
    let meant = two.filter(|two| {
        (first.is_ascii_uppercase() && two[1].is_ascii_lowercase()) || COMMON.contains(&&*two.to_ascii_uppercase())
    });
    meant.and_then(by_symbol).or(single).or_else(|| two.and_then(by_symbol)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_elements() {
        for (name, residue, expected) in [
            ("CA", "ALA", "C"),
            ("CA", "CA", "Ca"),
            ("CA2+", "CA2", "Ca"),
            ("NA", "NA", "Na"),
            ("NA", "HEM", "N"),
            ("Cl-", "Cl-", "Cl"),
            ("CL1", "LIG", "Cl"),
            ("1HB", "ALA", "H"),
            ("HG21", "VAL", "H"),
            ("OW", "SOL", "O"),
            ("HW1", "SOL", "H"),
            ("MW", "SOL", "X"),
            ("SE", "MSE", "Se"),
            ("Zn", "XYZ", "Zn"),
            ("FE", "HEM", "Fe"),
            ("H5T", "DA", "H"),
            ("12", "LIG", "X"),
        ] {
            assert_eq!(element(name, residue).symbol(), expected, "{name} {residue}");
        }
    }
}
