//! Elements of atom types and labels: `Si4+`, `O2-`, `Cl12A`, `D`.

use mediary_core::record::molecule::Element;

use crate::elements::{by_symbol, isotope};

/// What a symbol or a label says.
pub(super) struct Symbol {
    pub(super) element: Element,
    pub(super) charge: i8,
    pub(super) isotope: u16,
}

/// The elements of a formula such as `C6 H12 O6`.
pub(super) fn of_formula(sum: &str) -> Vec<Element> {
    let words = sum.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    words.filter_map(|word| by_symbol(word.as_bytes())).collect()
}

/// Reads a symbol with a charge, or a label that begins with a symbol. Where two letters and the first alone are both
/// elements, the `formula` says which is meant; without it the two are.
pub(super) fn parse(text: &str, formula: &[Element]) -> Symbol {
    let length = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let letters = &text.as_bytes()[..length];
    let two = letters.get(..2).and_then(|two| by_symbol(two).map(|element| (element, two)));
    let one = letters.get(..1).and_then(|one| by_symbol(one).map(|element| (element, one)));
    let is_listed = |found: Option<(Element, &[u8])>| found.is_some_and(|(element, _)| formula.contains(&element));
    let found = if is_listed(one) && !is_listed(two) { one } else { two.or(one) };
    let (element, symbol) = found.unwrap_or((Element::UNKNOWN, b""));
    // A charge stands right behind the letters and ends the text: `4+`, `+4`, `-`.
    let charge = match text.as_bytes()[length..] {
        [sign @ (b'+' | b'-')] => Some((sign, b'1')),
        [digit @ b'0'..=b'9', sign @ (b'+' | b'-')] | [sign @ (b'+' | b'-'), digit @ b'0'..=b'9'] => {
            Some((sign, digit))
        }
        _ => None,
    };
    let charge = charge.map_or(0, |(sign, digit)| if sign == b'-' { -1 } else { 1 } * (digit - b'0') as i8);
    Symbol { element, charge, isotope: isotope(symbol) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_and_labels_tell_elements() {
        let formula = of_formula("C10 H12 Cl N2 O3 Cu");
        for (text, element, charge) in [
            ("Si4+", "Si", 4),
            ("O2-", "O", -2),
            ("Cl-", "Cl", -1),
            ("Fe+3", "Fe", 3),
            ("CL1", "Cl", 0),
            ("C12A", "C", 0),
            ("CA1", "C", 0),
            ("HO2", "H", 0),
            ("CU1", "Cu", 0),
            ("D", "H", 0),
            ("O1-", "O", -1),
            ("Q1", "X", 0),
            ("", "X", 0),
        ] {
            let found = parse(text, &formula);
            assert_eq!((found.element.symbol(), found.charge), (element, charge), "{text}");
        }
        assert_eq!(parse("CA1", &[]).element.symbol(), "Ca");
        assert_eq!(parse("D1", &[]).isotope, 2);
    }
}
