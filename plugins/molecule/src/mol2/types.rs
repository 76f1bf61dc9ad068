//! Atom types of SYBYL: the element they stand for, and the type of an atom by its bonds.

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{BondOrder, Element};

use crate::elements::by_symbol;

/// Types that stand for no element.
const DUMMIES: [&[u8]; 9] = [b"Du", b"Du.C", b"LP", b"Any", b"Hal", b"Het", b"Hev", b"X", b"****"];

/// The element of a type: `C` of `C.ar`. `None` if it is no type of SYBYL.
pub(super) fn element(kind: &[u8]) -> Option<Element> {
    if DUMMIES.contains(&kind) {
        return Some(Element::UNKNOWN);
    }
    let symbol = kind.split(|&byte| byte == b'.').next().unwrap_or(kind);
    // Lower case is another force field's: `ca` is aromatic carbon there.
    symbol.first().filter(|first| first.is_ascii_uppercase()).and_then(|_| by_symbol(symbol))
}

/// The element that the name of an atom and a foreign type tell.
pub(super) fn guess(name: &[u8], kind: &[u8]) -> Option<Element> {
    let letters = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let start = name.iter().position(u8::is_ascii_alphabetic)?;
    let name = &name[start..];
    let two = name.get(..2).filter(|_| letters(name) >= 2);
    // Two letters where the second is small, or where the type begins with both.
    let both = two
        .filter(|two| two[1].is_ascii_lowercase() || kind.get(..2).is_some_and(|kind| kind.eq_ignore_ascii_case(two)));
    // `ca` and `cd` are carbon, `cl` and `br` what they look like.
    let both = both
        .filter(|two| two[1].is_ascii_lowercase() || matches!(&two[..], b"CL" | b"BR" | b"LI" | b"NA" | b"SI" | b"ZN"));
    both.and_then(by_symbol).or_else(|| by_symbol(&name[..1])).or_else(|| two.and_then(by_symbol))
}

/// Bonds of one atom as types need them.
#[derive(Clone, Copy, Default)]
struct Valence {
    neighbours: u8,
    doubles: u8,
    triples: u8,
    aromatic: u8,
    /// Double bonds to oxygen.
    oxo: u8,
    /// A neighbour has a double or an aromatic bond.
    conjugated: bool,
    /// A neighbour is carbon with a double bond to oxygen or sulfur.
    acyl: bool,
}

/// Types of all atoms by their elements and bonds.
pub(super) fn perceive(molecule: &Molecule) -> Vec<&'static str> {
    let elements = &molecule.atoms.elements;
    let mut valences = vec![Valence::default(); elements.len()];
    for bond in &molecule.bonds {
        for (own, other) in [(bond.a, bond.b), (bond.b, bond.a)] {
            let it = &mut valences[own as usize];
            it.neighbours = it.neighbours.saturating_add(1);
            let aromatic = bond.aromatic || bond.order == BondOrder::Aromatic;
            it.aromatic = it.aromatic.saturating_add(aromatic.into());
            it.doubles = it.doubles.saturating_add((bond.order == BondOrder::Double && !aromatic).into());
            it.triples = it.triples.saturating_add((bond.order == BondOrder::Triple).into());
            let oxo = bond.order == BondOrder::Double && matches!(elements[other as usize].number(), 8 | 16);
            it.oxo = it.oxo.saturating_add(oxo.into());
        }
    }
    let seen = valences.clone();
    for bond in &molecule.bonds {
        for (own, other) in [(bond.a, bond.b), (bond.b, bond.a)] {
            let neighbour = seen[other as usize];
            let it = &mut valences[own as usize];
            it.conjugated |= neighbour.doubles + neighbour.aromatic > 0;
            it.acyl |= elements[other as usize].number() == 6 && neighbour.oxo > 0;
        }
    }
    elements.iter().zip(valences).map(|(element, valence)| kind(*element, valence)).collect()
}

fn kind(element: Element, it: Valence) -> &'static str {
    let multiple = (it.triples, it.doubles, it.aromatic > 0);
    match (element.number(), multiple) {
        (0, _) => "Du",
        (6, (1.., ..) | (_, 2.., _)) => "C.1",
        (6, (.., true)) => "C.ar",
        (6, (_, 1, _)) => "C.2",
        (6, _) => "C.3",
        (7, (1.., ..) | (_, 2.., _)) if it.neighbours <= 2 => "N.1",
        (7, (.., true)) => "N.ar",
        (7, _) if it.neighbours >= 4 => "N.4",
        (7, (_, 1, _)) if it.neighbours <= 2 => "N.2",
        (7, _) if it.acyl => "N.am",
        (7, _) if it.conjugated || it.doubles > 0 => "N.pl3",
        (7, _) => "N.3",
        (8, (_, 1.., _) | (.., true)) => "O.2",
        (8, _) => "O.3",
        (15, _) => "P.3",
        (16, _) if it.oxo >= 2 => "S.o2",
        (16, _) if it.oxo == 1 && it.neighbours >= 3 => "S.o",
        (16, (_, 1.., _) | (.., true)) => "S.2",
        (16, _) => "S.3",
        (24, _) if it.neighbours <= 4 => "Cr.th",
        (24, _) => "Cr.oh",
        (27, _) => "Co.oh",
        _ => element.symbol(),
    }
}
