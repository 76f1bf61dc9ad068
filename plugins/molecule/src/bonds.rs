//! Bonds: gathered from several sources, merged, and perceived from distances.

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Atoms, Bond, BondOrder, BondSource};
use mediary_core::{Context, OptionSpec, OptionType, Result};

use crate::elements::{covalent_radius, is_nonmetal};

/// Two atoms are bonded when they are closer than the sum of their covalent radii and this, in Å: the tolerance of the
/// Cambridge Structural Database (Meng & Lewis, J. Comput. Chem. 1991, 12, 891).
const TOLERANCE: f64 = 0.4;
/// Atoms closer than this, in Å, are one atom twice.
const TOO_CLOSE: f64 = 0.4;
/// Atoms in a cube of [`CUBE`] that no matter has, not even with ten alternate locations: perception stops there.
const CROWDED: usize = 400;
/// Edge of the cubes of the grid in Å: no two nonmetals are bonded over more.
const CUBE: f64 = 3.4;

/// The option of readers of structures whose files leave out most bonds.
pub(crate) const OPTION: OptionSpec = OptionSpec::read(
    "bonds",
    OptionType::Choice(&["file", "template", "all"]),
    "all",
    "where bonds come from: the file alone, standard residues too, or distances between other atoms as well",
);

/// Bonds as they are found.
#[derive(Default)]
pub(crate) struct BondList(Vec<Bond>);

impl BondList {
    /// Adds a bond; one of an atom with itself is none.
    pub(crate) fn add(&mut self, a: u32, b: u32, order: BondOrder, aromatic: bool, source: BondSource) {
        self.push(Bond { a, b, order, aromatic, source, ..Bond::default() });
    }

    /// [`Self::add`] of a bond with its configuration.
    pub(crate) fn push(&mut self, bond: Bond) {
        if bond.a != bond.b {
            self.0.push(Bond { a: bond.a.min(bond.b), b: bond.a.max(bond.b), ..bond });
        }
    }

    /// Makes room for `more` bonds, which are paid for.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.0.reserve_exact(more);
    }

    /// Takes the memory of the bonds added since there were `before` from the budget; call it every few.
    pub(crate) fn charge(&self, before: usize, cx: &Context) -> Result<()> {
        cx.budget().take((self.0.len() - before) as u64 * size_of::<Bond>() as u64)
    }

    /// Number of bonds so far.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether each of `count` atoms has a bond so far.
    pub(crate) fn bonded(&self, count: usize) -> Vec<bool> {
        let mut bonded = vec![false; count];
        for bond in &self.0 {
            bonded[bond.a as usize] = true;
            bonded[bond.b as usize] = true;
        }
        bonded
    }

    /// One bond a pair, by atoms. The file's word comes first, and takes an order it does not state from the others.
    pub(crate) fn finish(self) -> Vec<Bond> {
        let mut bonds = by_first_atom(self.0);
        bonds.dedup_by(|again, kept| {
            if (again.a, again.b) != (kept.a, kept.b) {
                return false;
            }
            if kept.order == BondOrder::Unknown || (kept.source == again.source && again.order > kept.order) {
                kept.order = again.order;
                kept.aromatic |= again.aromatic;
            }
            true
        });
        bonds
    }
}

/// Runs that it costs little to merge.
const FEW: usize = 8;

/// Bonds sorted by their atoms, then by rank, those of one rank in their order. Each atom has few: they are dealt to the first ones.
fn by_first_atom(bonds: Vec<Bond>) -> Vec<Bond> {
    let key = |bond: &Bond| (bond.a, bond.b, rank(bond.source));
    let last = bonds.iter().map(|bond| bond.a).max().unwrap_or(0) as usize;
    let breaks = bonds.windows(2).filter(|pair| key(&pair[0]) > key(&pair[1])).take(FEW).count();
    // A few runs in order, and few bonds between many atoms, are sorted where they stand.
    if breaks < FEW || last / 8 > bonds.len() {
        let mut bonds = bonds;
        bonds.sort_by_key(key);
        return bonds;
    }
    let mut next = vec![0_u32; last + 2];
    for bond in &bonds {
        next[bond.a as usize + 1] += 1;
    }
    for atom in 1..next.len() {
        next[atom] += next[atom - 1];
    }
    let mut sorted = vec![Bond::default(); bonds.len()];
    for bond in bonds {
        let place = &mut next[bond.a as usize];
        sorted[*place as usize] = bond.clone();
        *place += 1;
    }
    for own in sorted.chunk_by_mut(|x, y| x.a == y.a) {
        own.sort_by_key(key);
    }
    sorted
}

fn rank(source: BondSource) -> u8 {
    match source {
        BondSource::File => 0,
        BondSource::Template => 1,
        _ => 2,
    }
}

/// Whether two atoms can be there at once: in the same alternate location, or one of them in all.
pub(crate) fn compatible(atoms: &Atoms, a: u32, b: u32) -> bool {
    let label = |atom: u32| Atoms::value(&atoms.altlocs, atom as usize, '\0');
    label(a) == '\0' || label(b) == '\0' || label(a) == label(b)
}

/// Square of the distance of two atoms in Å².
pub(crate) fn distance2(positions: &[[f64; 3]], a: u32, b: u32) -> f64 {
    let (p, q) = (positions[a as usize], positions[b as usize]);
    (0..3).map(|axis| (p[axis] - q[axis]).powi(2)).sum()
}

/// Whether two atoms are as close as a bond.
pub(crate) fn close(molecule: &Molecule, positions: &[[f64; 3]], a: u32, b: u32) -> bool {
    let radius = |atom: u32| covalent_radius(molecule.atoms.elements[atom as usize]);
    let (Some(first), Some(second)) = (radius(a), radius(b)) else { return false };
    let distance = distance2(positions, a, b);
    distance > TOO_CLOSE * TOO_CLOSE && distance <= (first + second + TOLERANCE).powi(2)
}

/// Bonds the nonmetals that `open` names with any others, by distance, where `wanted` says that a pair is to be looked at.
/// Hydrogen takes its nearest neighbour alone. Time is linear in the atoms: a crowd denser than matter ends it, with a diagnostic.
pub(crate) fn by_distance(
    molecule: &Molecule,
    positions: &[[f64; 3]],
    open: impl Fn(u32) -> bool,
    wanted: impl Fn(u32, u32) -> bool,
    bonds: &mut BondList,
    cx: &Context,
) -> Result<()> {
    let atoms = &molecule.atoms;
    let nonmetal = |atom: u32| is_nonmetal(atoms.elements[atom as usize]);
    if !(0..atoms.len() as u32).any(|atom| open(atom) && nonmetal(atom)) {
        return Ok(());
    }
    let cube = |value: f64| (value / CUBE).floor() as i64;
    cx.budget().take(atoms.len() as u64 * 32)?;
    let mut grid: Vec<([i64; 3], u32)> = (0_u32..)
        .zip(positions)
        .filter(|&(atom, _)| nonmetal(atom))
        .map(|(atom, position)| (position.map(cube), atom))
        .collect();
    grid.sort_unstable();
    if grid.chunk_by(|a, b| a.0 == b.0).any(|crowd| crowd.len() > CROWDED) {
        cx.note("crowded", "atoms stand closer than in matter: no bonds are perceived from distances");
        cx.budget().give_back(atoms.len() as u64 * 32);
        return Ok(());
    }
    let is_hydrogen = |atom: u32| atoms.elements[atom as usize].number() == 1;
    for (index, &(home, a)) in grid.iter().enumerate().filter(|(_, cell)| open(cell.1)) {
        if index % 16_384 == 0 {
            cx.checkpoint()?;
        }
        let before = bonds.len();
        let mut nearest: Option<(f64, u32)> = None;
        // Cubes of one row are neighbours in the order of the grid: nine searches instead of 27.
        for (dx, dy) in (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (dx, dy))) {
            let [x, y, z] = [home[0].saturating_add(dx), home[1].saturating_add(dy), home[2]];
            let (first, last) = ([x, y, z.saturating_sub(1)], [x, y, z.saturating_add(1)]);
            let from = grid.partition_point(|&(cube, _)| cube < first);
            for &(_, b) in grid[from..].iter().take_while(|&&(cube, _)| cube <= last) {
                let hydrogens = (is_hydrogen(a), is_hydrogen(b));
                // A pair may be met twice: a hydrogen looks for its partner, of heavy atoms the first does.
                if a == b || hydrogens.1 || (!hydrogens.0 && b < a && open(b)) {
                    continue;
                }
                if !wanted(a, b) || !compatible(atoms, a, b) || !close(molecule, positions, a, b) {
                    continue;
                }
                if hydrogens.0 {
                    let candidate = (distance2(positions, a, b), b);
                    nearest =
                        Some(nearest.map_or(candidate, |known| if candidate < known { candidate } else { known }));
                } else {
                    bonds.add(a, b, BondOrder::Unknown, false, BondSource::Distance);
                }
            }
        }
        if let Some((_, heavy)) = nearest {
            bonds.add(a, heavy, BondOrder::Single, false, BondSource::Distance);
        }
        bonds.charge(before, cx)?;
    }
    cx.budget().give_back(atoms.len() as u64 * 32);
    Ok(())
}
