//! Elements by symbol, one table look-up each, and what bond perception needs to know of them.

use std::sync::LazyLock;

use mediary_core::record::molecule::Element;

/// Elements by the letters of their symbol, 32 a first letter; 255 is none.
static BY_SYMBOL: LazyLock<[u8; 1024]> = LazyLock::new(|| {
    let mut table = [255; 1024];
    for element in (1..=118).filter_map(Element::from_number) {
        if let Some(slot) = slot(element.symbol().as_bytes()) {
            table[slot] = element.number();
        }
    }
    for isotope in [b"D", b"T"] {
        if let Some(slot) = slot(isotope) {
            table[slot] = 1;
        }
    }
    table
});

fn slot(symbol: &[u8]) -> Option<usize> {
    let letter = |byte: u8| byte.is_ascii_alphabetic().then(|| usize::from(byte & 31));
    match *symbol {
        [first] => Some(letter(first)? * 32),
        [first, second] => Some(letter(first)? * 32 + letter(second)?),
        _ => None,
    }
}

/// The element of a symbol of one or two letters, in any case. `D` and `T` are hydrogen.
pub(crate) fn by_symbol(symbol: &[u8]) -> Option<Element> {
    Element::from_number(BY_SYMBOL[slot(symbol)?])
}

/// Mass number that a symbol states: 2 for `D`, 3 for `T`, 0 for the natural mixture.
pub(crate) fn isotope(symbol: &[u8]) -> u16 {
    match symbol {
        b"D" | b"d" => 2,
        b"T" | b"t" => 3,
        _ => 0,
    }
}

/// Covalent radii in 0.01 Å by atomic number, 1 to 96: Cordero et al., "Covalent radii revisited", Dalton Trans. 2008,
/// 2832 (sp3 carbon, low-spin manganese, iron and cobalt).
#[rustfmt::skip]
const COVALENT_RADII: [u16; 96] = [
    31, 28,
    128, 96, 84, 76, 71, 66, 57, 58,
    166, 141, 121, 111, 107, 105, 102, 106,
    203, 176, 170, 160, 153, 139, 139, 132, 126, 124, 132, 122, 122, 120, 119, 120, 120, 116,
    220, 195, 190, 175, 164, 154, 147, 146, 142, 139, 145, 144, 142, 139, 139, 138, 139, 140,
    244, 215, 207, 204, 203, 201, 199, 198, 198, 196, 194, 192, 192, 189, 190, 187, 187,
    175, 170, 162, 151, 144, 141, 136, 136, 132, 145, 146, 148, 140, 150, 150,
    260, 221, 215, 206, 200, 196, 190, 187, 180, 169,
];

/// Covalent radius in Å; `None` for an unknown element.
pub(crate) fn covalent_radius(element: Element) -> Option<f64> {
    let index = usize::from(element.number()).checked_sub(1)?;
    Some(COVALENT_RADII.get(index).map_or(1.7, |&radius| f64::from(radius) / 100.0))
}

/// Whether the element is no metal: only such atoms are bonded by distance, coordination is the file's to state.
pub(crate) fn is_nonmetal(element: Element) -> bool {
    matches!(element.number(), 1 | 2 | 5..=10 | 14..=18 | 32..=36 | 51..=54 | 85 | 86)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_the_scan_of_the_core() {
        for first in b'A'..=b'Z' {
            for second in (b'a'..=b'z').map(Some).chain([None]) {
                let symbol: Vec<u8> = [Some(first), second].into_iter().flatten().collect();
                let text = std::str::from_utf8(&symbol).unwrap();
                assert_eq!(by_symbol(&symbol), Element::from_symbol(text), "{text}");
            }
        }
        assert_eq!(by_symbol(b"CL"), Element::from_number(17));
        assert_eq!(by_symbol(b"1"), None);
        assert_eq!(by_symbol(b"X"), None);
    }

    #[test]
    fn radii_stand_at_their_elements() {
        // Values of the paper: H 0.31, C 0.76, Fe 1.32, I 1.39, W 1.62, Cm 1.69.
        for (symbol, radius) in [("H", 0.31), ("C", 0.76), ("Fe", 1.32), ("I", 1.39), ("W", 1.62), ("Cm", 1.69)] {
            assert_eq!(covalent_radius(Element::from_symbol(symbol).unwrap()), Some(radius), "{symbol}");
        }
    }
}
