//! Bonds of standard residues: amino acids, nucleotides, water, and the links between consecutive ones.
//!
//! Bonds and orders are those of the wwPDB Chemical Component Dictionary. In a row, `A-B` is a single, `A=B` a double bond,
//! `A~B` and `A#B` are a single and a double bond of an aromatic ring. Names that a residue does not have are passed over,
//! so one row serves all protonation states and both generations of phosphate names; `*` in a name is read as `'`.
//! Hydrogens take the nearest heavy atom of their residue.

use std::collections::HashMap;
use std::sync::LazyLock;

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Atoms, Bond, BondOrder, BondSource, Residue};
use mediary_core::{Context, Result};
use smol_str::SmolStr;

use crate::bonds::{BondList, by_distance, close, compatible, distance2};

const BACKBONE: &str = "N-CA CA-C C=O C-OXT CA-CB";
const SUGAR: &str = "P=OP1 P-OP2 P-OP3 P=O1P P-O2P P-O3P P-O5' O5'-C5' C5'-C4' C4'-O4' C4'-C3' C3'-O3' C3'-C2' C2'-O2' \
                     C2'-C1' C1'-O4'";
const PURINE: &str = "C1'-N9 N9~C8 N9~C4 C8#N7 N7~C5 C5#C4";
const PYRIMIDINE: &str = "C1'-N1 N1-C2 N1-C6 C2=O2 C5=C6";

/// Residue names, the part they share with their family, the rest.
#[rustfmt::skip]
const RESIDUES: &[(&str, &[&str], &str)] = &[
    ("ALA GLY", &[BACKBONE], ""),
    ("ARG", &[BACKBONE], "CB-CG CG-CD CD-NE NE-CZ CZ-NH1 CZ=NH2"),
    ("ASN", &[BACKBONE], "CB-CG CG=OD1 CG-ND2"),
    ("ASP ASH", &[BACKBONE], "CB-CG CG=OD1 CG-OD2"),
    ("CYS CYX CYM", &[BACKBONE], "CB-SG"),
    ("GLN", &[BACKBONE], "CB-CG CG-CD CD=OE1 CD-NE2"),
    ("GLU GLH", &[BACKBONE], "CB-CG CG-CD CD=OE1 CD-OE2"),
    ("HIS HID HIE HIP HSD HSE HSP", &[BACKBONE], "CB-CG CG~ND1 CG#CD2 ND1#CE1 CD2~NE2 CE1~NE2"),
    ("ILE", &[BACKBONE], "CB-CG1 CB-CG2 CG1-CD1 CG1-CD"),
    ("LEU", &[BACKBONE], "CB-CG CG-CD1 CG-CD2"),
    ("LYS LYN", &[BACKBONE], "CB-CG CG-CD CD-CE CE-NZ"),
    ("MET", &[BACKBONE], "CB-CG CG-SD SD-CE"),
    ("MSE", &[BACKBONE], "CB-CG CG-SE SE-CE"),
    ("PHE", &[BACKBONE], "CB-CG CG#CD1 CG~CD2 CD1~CE1 CD2#CE2 CE1#CZ CE2~CZ"),
    ("PRO", &[BACKBONE], "CB-CG CG-CD CD-N"),
    ("SEC", &[BACKBONE], "CB-SE"),
    ("SER", &[BACKBONE], "CB-OG"),
    ("THR", &[BACKBONE], "CB-OG1 CB-CG2"),
    ("TRP", &[BACKBONE], "CB-CG CG#CD1 CG~CD2 CD1~NE1 CD2#CE2 CD2~CE3 NE1~CE2 CE2~CZ2 CE3#CZ3 CZ2#CH2 CZ3~CH2"),
    ("TYR", &[BACKBONE], "CB-CG CG#CD1 CG~CD2 CD1~CE1 CD2#CE2 CE1#CZ CE2~CZ CZ-OH"),
    ("VAL", &[BACKBONE], "CB-CG1 CB-CG2"),
    ("A DA", &[SUGAR, PURINE], "C5~C6 C6-N6 C6#N1 N1~C2 C2#N3 N3~C4"),
    ("G DG", &[SUGAR, PURINE], "C5-C6 C6=O6 C6-N1 N1-C2 C2-N2 C2=N3 N3-C4"),
    ("I DI", &[SUGAR, PURINE], "C5-C6 C6=O6 C6-N1 N1-C2 C2=N3 N3-C4"),
    ("C DC", &[SUGAR, PYRIMIDINE], "C2-N3 N3=C4 C4-N4 C4-C5"),
    ("T DT", &[SUGAR, PYRIMIDINE], "C2-N3 N3-C4 C4=O4 C4-C5 C5-C7 C5-C5M"),
    ("U DU", &[SUGAR, PYRIMIDINE], "C2-N3 N3-C4 C4=O4 C4-C5"),
    ("HOH WAT H2O DOD SOL TIP TIP3 TIP4 SPC", &[], ""),
];

/// Atoms beyond which a run under one residue name is no residue.
const LARGEST: usize = 160;
/// Farthest partners of a peptide bond (1.34 Å) and of a phosphodiester bond (1.60 Å): one and a half times the length.
const PEPTIDE: f64 = 2.0;
const PHOSPHODIESTER: f64 = 2.4;

struct Part {
    a: u32,
    b: u32,
    order: BondOrder,
    aromatic: bool,
}

static TEMPLATES: LazyLock<HashMap<&'static str, Vec<Part>>> = LazyLock::new(|| {
    let mut templates = HashMap::new();
    for (names, shared, own) in RESIDUES {
        for name in names.split(' ') {
            let parts = shared.iter().chain([own]).flat_map(|row| row.split_whitespace()).filter_map(part);
            templates.insert(name, parts.collect());
        }
    }
    templates
});

fn part(text: &str) -> Option<Part> {
    let at = text.find(['-', '=', '~', '#'])?;
    let (order, aromatic) = match text.as_bytes()[at] {
        b'-' => (BondOrder::Single, false),
        b'=' => (BondOrder::Double, false),
        b'~' => (BondOrder::Single, true),
        _ => (BondOrder::Double, true),
    };
    Some(Part { a: pack(&text[..at]), b: pack(&text[at + 1..]), order, aromatic })
}

/// A name of at most four bytes as a number; 0 for a longer one.
fn pack(name: &str) -> u32 {
    if name.len() > 4 {
        return 0;
    }
    name.bytes().fold(0, |packed, byte| packed << 8 | u32::from(if byte == b'*' { b'\'' } else { byte }))
}

/// Templates by name, those looked up before without hashing.
struct Recent([Option<Looked>; 64]);

/// A name and its template, if there is one.
type Looked = (SmolStr, Option<&'static [Part]>);

impl Recent {
    fn get(&mut self, name: &SmolStr) -> Option<&'static [Part]> {
        let slot = name.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into())) % 64;
        let slot = &mut self.0[slot as usize];
        match slot {
            Some((known, template)) if known == name => *template,
            _ => slot.insert((name.clone(), TEMPLATES.get(name.as_str()).map(Vec::as_slice))).1,
        }
    }
}

/// Whether there is a template for a residue of this name.
pub(crate) fn is_known(residue: &str) -> bool {
    TEMPLATES.contains_key(residue)
}

/// Whether the name is one of water.
pub(crate) fn is_water(residue: &str) -> bool {
    TEMPLATES.get(residue).is_some_and(Vec::is_empty)
}

/// Adds the bonds of standard residues and between consecutive ones; says for each residue whether it is standard.
pub(crate) fn add_bonds(
    molecule: &Molecule,
    positions: &[[f64; 3]],
    bonds: &mut BondList,
    cx: &Context,
) -> Result<Vec<bool>> {
    let atoms = &molecule.atoms;
    cx.budget().take(atoms.len() as u64 * 8 + molecule.residues.len() as u64 * 24)?;
    let members = Members::new(molecule);
    let names: Vec<u32> = atoms.names.iter().map(|name| pack(name)).collect();
    let mut known = Vec::with_capacity(molecule.residues.len());
    let mut templates = Recent([const { None }; 64]);
    for (r, residue) in molecule.residues.iter().enumerate() {
        if r % 4096 == 0 {
            cx.checkpoint()?;
        }
        let own = members.of(r);
        let template = templates.get(&residue.name).filter(|_| own.len() <= LARGEST);
        known.push(template.is_some());
        let Some(template) = template else { continue };
        let before = bonds.len();
        for part in template {
            for &a in own.iter().filter(|&&a| names[a as usize] == part.a) {
                for &b in own.iter().filter(|&&b| names[b as usize] == part.b) {
                    if compatible(atoms, a, b) {
                        bonds.add(a, b, part.order, part.aromatic, BondSource::Template);
                    }
                }
            }
        }
        for &hydrogen in own.iter().filter(|&&atom| atoms.elements[atom as usize].number() == 1) {
            let heavy = own
                .iter()
                .copied()
                .filter(|&atom| atoms.elements[atom as usize].number() != 1)
                .filter(|&atom| compatible(atoms, hydrogen, atom) && close(molecule, positions, hydrogen, atom))
                .min_by(|&a, &b| distance2(positions, hydrogen, a).total_cmp(&distance2(positions, hydrogen, b)));
            if let Some(heavy) = heavy {
                bonds.add(hydrogen, heavy, BondOrder::Single, false, BondSource::Template);
            }
        }
        bonds.charge(before, cx)?;
    }
    let [c, n, o3, p] = ["C", "N", "O3'", "P"].map(pack);
    for (r, residue) in molecule.residues.iter().enumerate().filter(|&(r, _)| known[r]) {
        // The next residue, and those that share its place (microheterogeneity).
        let place = |residue: &Residue| (residue.chain, residue.number, residue.insertion);
        let later = molecule.residues[r + 1..].iter().take_while(|next| next.chain == residue.chain);
        let skipped = later.clone().take(8).take_while(|next| place(next) == place(residue)).count();
        let mut next = r + 1 + skipped;
        let Some(first) = later.clone().nth(skipped).map(place) else { continue };
        while molecule.residues.get(next).is_some_and(|other| place(other) == first) && next < r + 16 {
            for (end, start, farthest) in [(c, n, PEPTIDE), (o3, p, PHOSPHODIESTER)] {
                for &a in members.of(r).iter().filter(|&&a| names[a as usize] == end) {
                    for &b in members.of(next).iter().filter(|&&b| known[next] && names[b as usize] == start) {
                        if compatible(atoms, a, b) && distance2(positions, a, b) <= farthest * farthest {
                            bonds.add(a, b, BondOrder::Single, false, BondSource::Template);
                        }
                    }
                }
            }
            next += 1;
        }
    }
    cx.budget().give_back(atoms.len() as u64 * 8 + molecule.residues.len() as u64 * 24);
    Ok(known)
}

/// Bonds of a molecule whose file states none: of standard residues, and (`all`) of all others by distance.
pub(crate) fn perceive(molecule: &Molecule, positions: &[[f64; 3]], wanted: &str, cx: &Context) -> Result<Vec<Bond>> {
    let mut bonds = BondList::default();
    if matches!(wanted, "template" | "all") {
        let standard = add_bonds(molecule, positions, &mut bonds, cx)?;
        if wanted == "all" && standard.contains(&false) {
            let open = |atom: u32| !standard[molecule.atoms.residues[atom as usize] as usize];
            by_distance(molecule, positions, open, |_, _| true, &mut bonds, cx)?;
        }
    }
    Ok(bonds.finish())
}

/// Atoms of each residue, in order.
pub(crate) struct Members {
    atoms: Vec<u32>,
    starts: Vec<u32>,
}

impl Members {
    pub(crate) fn new(molecule: &Molecule) -> Self {
        let mut starts = vec![0_u32; molecule.residues.len() + 1];
        for &residue in &molecule.atoms.residues {
            starts[residue as usize + 1] += 1;
        }
        for residue in 1..starts.len() {
            starts[residue] += starts[residue - 1];
        }
        let mut next = starts.clone();
        let mut atoms = vec![0; molecule.atoms.len()];
        for (atom, &residue) in (0_u32..).zip(&molecule.atoms.residues) {
            atoms[next[residue as usize] as usize] = atom;
            next[residue as usize] += 1;
        }
        Self { atoms, starts }
    }

    /// The atoms of residue `r`.
    pub(crate) fn of(&self, r: usize) -> &[u32] {
        &self.atoms[self.starts[r] as usize..self.starts[r + 1] as usize]
    }
}

/// Atoms of a residue in the order of their names and alternate locations.
pub(crate) struct Named<'n>(Vec<(&'n str, char, u32)>);

impl<'n> Named<'n> {
    /// Of these atoms, which have these names.
    pub(crate) fn of(own: &[u32], atoms: &Atoms, name: impl Fn(u32) -> &'n str) -> Self {
        let label = |atom: u32| Atoms::value(&atoms.altlocs, atom as usize, '\0');
        let mut named: Vec<_> = own.iter().map(|&atom| (name(atom), label(atom), atom)).collect();
        named.sort_unstable();
        Self(named)
    }

    /// The atoms of a name, in one alternate location or in all.
    pub(crate) fn find(&self, name: &str, label: Option<char>) -> impl Iterator<Item = u32> + Clone {
        let least = (name, label.unwrap_or('\0'));
        let most = (name, label.unwrap_or(char::MAX));
        let from = self.0.partition_point(|&(name, label, _)| (name, label) < least);
        let to = self.0.partition_point(|&(name, label, _)| (name, label) <= most);
        self.0[from..to].iter().map(|&(.., atom)| atom)
    }
}
