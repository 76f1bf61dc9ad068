//! Records from columns: a model, and those behind it that are of the same atoms.

use std::iter::Peekable;
use std::ops::Range;

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{BondOrder, BondSource, Chain, Model, Residue, SecondaryStructure};
use mediary_core::{Context, MediaRecord, Result};
use smol_str::SmolStr;

use super::read::{BondRow, Structure};
use crate::bonds::BondList;
use crate::models::{MODEL_BYTES, POSITION_BYTES};
use crate::text::Findings;

/// Bytes of memory that one atom takes in the columns of a record, without its bonds.
const ATOM_BYTES: u64 = 64;

/// Bytes of memory that a helix or a strand takes, in a vector that has grown.
const STRETCH_BYTES: u64 = 2 * size_of::<SecondaryStructure>() as u64;

/// The structure, and where the next record begins.
pub(super) struct Build {
    all: Structure,
    models: Vec<Span>,
    next: usize,
    /// Whether any group has isotopes, or charges.
    isotopic: bool,
    charged: bool,
}

/// What belongs to a model.
#[derive(Clone)]
struct Span {
    chains: Range<usize>,
    groups: Range<usize>,
    atoms: Range<usize>,
}

impl Build {
    pub(super) fn new(all: Structure, cx: &Context) -> Result<Self> {
        cx.budget().take((all.chains_per_model.len() * size_of::<Span>()) as u64)?;
        let mut models = Vec::with_capacity(all.chains_per_model.len());
        let (mut chain, mut group, mut atom) = (0, 0, 0);
        for &count in &all.chains_per_model {
            let chains = chain..chain + count as usize;
            let counts = &all.groups_per_chain[chains.clone()];
            let groups = group..group + counts.iter().map(|&count| count as usize).sum::<usize>();
            let types = &all.group_types[groups.clone()];
            let atoms = atom..atom + types.iter().map(|&kind| all.types[kind as usize].names.len()).sum::<usize>();
            (chain, group, atom) = (chains.end, groups.end, atoms.end);
            models.push(Span { chains, groups, atoms });
        }
        let isotopic = all.types.iter().any(|kind| kind.isotopes.iter().any(|&isotope| isotope != 0));
        let charged = all.types.iter().any(|kind| kind.charges.iter().any(|&charge| charge != 0));
        Ok(Self { all, models, next: 0, isotopic, charged })
    }

    pub(super) fn is_done(&self) -> bool {
        self.next >= self.models.len()
    }

    /// The next record.
    pub(super) fn next(&mut self, cx: &Context) -> Result<Option<MediaRecord>> {
        let Some(first) = self.models.get(self.next).cloned() else { return Ok(None) };
        let mut findings = Findings::default();
        let mut molecule = self.molecule(&first, &mut findings, cx)?;
        self.columns(&first.atoms, &mut molecule);
        loop {
            self.model(self.next, &mut molecule, cx)?;
            self.next += 1;
            match self.models.get(self.next) {
                Some(other) if self.same_atoms(&first, other) => self.compare(&first, other, &mut findings),
                _ => break,
            }
        }
        findings.report(cx)?;
        let mut record = MediaRecord::new(molecule);
        record.key = self.all.name.clone();
        record.properties = self.all.properties.clone();
        Ok(Some(record))
    }

    /// Columns of the first model of a record; taken whole where there is no other.
    fn columns(&mut self, range: &Range<usize>, molecule: &mut Molecule) {
        fn part<T: Clone + PartialEq>(column: &mut Vec<T>, range: &Range<usize>, alone: bool, default: T) -> Vec<T> {
            let part = column.get(range.clone()).unwrap_or_default();
            match (part.iter().all(|value| *value == default), alone) {
                (true, _) => Vec::new(),
                (false, true) => std::mem::take(column),
                (false, false) => part.to_vec(),
            }
        }
        let alone = self.models.len() == 1;
        let (atoms, all) = (&mut molecule.atoms, &mut self.all);
        atoms.altlocs = part(&mut all.altlocs, range, alone, '\0');
        atoms.occupancies = part(&mut all.occupancies, range, alone, 1.0);
        atoms.b_factors = part(&mut all.b_factors, range, alone, 0.0);
        let serials = all.serials.get(range.clone()).unwrap_or_default();
        if !serials.iter().copied().eq(1..=serials.len() as i64) {
            atoms.serials = if alone { std::mem::take(&mut all.serials) } else { serials.to_vec() };
        }
    }

    fn model(&mut self, index: usize, molecule: &mut Molecule, cx: &Context) -> Result<()> {
        let atoms = self.models[index].atoms.clone();
        let positions = match self.models.len() {
            1 => std::mem::take(&mut self.all.positions),
            _ => {
                cx.budget().take(atoms.len() as u64 * POSITION_BYTES)?;
                self.all.positions[atoms].to_vec()
            }
        };
        cx.budget().take(MODEL_BYTES)?;
        molecule.models.push(Model { number: index as i64 + 1, positions: positions.into(), ..Model::default() });
        Ok(())
    }

    /// Whether two models have the same chains, groups and alternate locations.
    fn same_atoms(&self, first: &Span, other: &Span) -> bool {
        let all = &self.all;
        let both = |compare: &dyn Fn(usize, usize) -> bool, a: &Range<usize>, b: &Range<usize>| {
            a.len() == b.len() && a.clone().zip(b.clone()).all(|(a, b)| compare(a, b))
        };
        let kind = |group: usize| all.types[all.group_types[group] as usize].same_as;
        both(
            &|a, b| {
                all.groups_per_chain[a] == all.groups_per_chain[b]
                    && all.chain_ids.get(a) == all.chain_ids.get(b)
                    && all.chain_names.get(a) == all.chain_names.get(b)
            },
            &first.chains,
            &other.chains,
        ) && both(
            &|a, b| {
                kind(a) == kind(b)
                    && all.group_numbers.get(a) == all.group_numbers.get(b)
                    && all.insertions.get(a) == all.insertions.get(b)
            },
            &first.groups,
            &other.groups,
        ) && all.altlocs.get(first.atoms.clone()) == all.altlocs.get(other.atoms.clone())
    }

    /// Notes what a later model says and the record does not hold.
    fn compare(&self, first: &Span, other: &Span, findings: &mut Findings) {
        let all = &self.all;
        let differ = |column: &[f32]| column.get(first.atoms.clone()) != column.get(other.atoms.clone());
        if differ(&all.occupancies) || differ(&all.b_factors) {
            findings.note("model-values", 0, || {
                "occupancies or B factors differ between models: those of the first are kept".into()
            });
        }
        let bonds = |span: &Span| {
            let start = span.atoms.start as u32;
            self.between(span).iter().map(move |&(a, b, order, _)| (a - start, b.wrapping_sub(start), order))
        };
        let kinds = |span: &Span| &all.group_types[span.groups.clone()];
        let within = |&kind: &u32| &all.types[kind as usize].bonds;
        let same = kinds(first).iter().map(within).eq(kinds(other).iter().map(within));
        if !same || !bonds(first).eq(bonds(other)) {
            findings.note("model-bonds", 0, || "bonds differ between models: those of the first are kept".into());
        }
    }

    /// Bonds between groups whose first atom is of a model.
    fn between(&self, span: &Span) -> &[BondRow] {
        let bonds = &self.all.bonds;
        let before = |end: usize| bonds.partition_point(|&(a, ..)| (a as usize) < end);
        &bonds[before(span.atoms.start)..before(span.atoms.end)]
    }

    /// Everything but the models.
    fn molecule(&self, span: &Span, findings: &mut Findings, cx: &Context) -> Result<Molecule> {
        let all = &self.all;
        let kinds = &all.group_types[span.groups.clone()];
        let within: u64 = kinds.iter().map(|&kind| all.types[kind as usize].bonds.len() as u64).sum();
        cx.budget().take(
            (span.atoms.len() as u64).saturating_mul(ATOM_BYTES)
                + (span.groups.len() * size_of::<Residue>() + span.chains.len() * size_of::<Chain>()) as u64
                + (within + self.between(span).len() as u64) * size_of::<mediary_core::record::molecule::Bond>() as u64,
        )?;
        let mut molecule = Molecule {
            name: all.name.clone(),
            cell: all.cell,
            space_group: all.space_group.clone(),
            ..Molecule::default()
        };
        let count = span.atoms.len();
        molecule.residues.reserve_exact(span.groups.len());
        molecule.atoms.elements.reserve_exact(count);
        molecule.atoms.names.reserve_exact(count);
        molecule.atoms.residues.reserve_exact(count);
        molecule.atoms.isotopes.reserve_exact(if self.isotopic { count } else { 0 });
        molecule.atoms.formal_charges.reserve_exact(if self.charged { count } else { 0 });
        let mut bonds = BondList::default();
        bonds.reserve(within as usize + self.between(span).len());
        let is_inside = |&&(_, b, ..): &&BondRow| (b as usize) < span.atoms.end;
        let mut between = self.between(span).iter().filter(is_inside).peekable();
        let (mut group, mut first, mut numbers) = (span.groups.start, span.atoms.start as u32, [0_u32; 2]);
        for chain in span.chains.clone() {
            let (entity, polymer) = all.entities.get(chain).copied().unwrap_or_default();
            let label = all.chain_ids.get(chain).cloned().unwrap_or_default();
            let name = all.chain_names.get(chain).cloned().unwrap_or_else(|| label.clone());
            let entity = if entity == 0 { "".into() } else { entity.to_string().into() };
            molecule.chains.push(Chain { name, label, entity });
            let groups = group..group + all.groups_per_chain[chain] as usize;
            group = groups.end;
            cx.checkpoint()?;
            for group in groups.clone() {
                self.group(group, polymer, &mut molecule);
                self.bonds(group, &mut first, span.atoms.start as u32, &mut between, &mut bonds);
            }
            cx.budget().take(STRETCH_BYTES * self.stretches(&groups))?;
            self.secondary(groups, span.groups.start, &mut numbers, &mut molecule, findings);
        }
        let atoms = &mut molecule.atoms;
        fn given<T: Default + PartialEq>(column: &mut Vec<T>) {
            if column.iter().all(|value| *value == T::default()) {
                *column = Vec::new();
            }
        }
        given(&mut atoms.formal_charges);
        given(&mut atoms.isotopes);
        for _ in self.between(span).iter().filter(|bond| !is_inside(bond)) {
            findings.warn("bond", 0, || "a bond joins atoms of two models: set aside".into());
        }
        let within = kinds.iter().flat_map(|&kind| &all.types[kind as usize].bonds);
        let both = within.chain(self.between(span).iter().filter(is_inside));
        let resonant = both.filter(|&&(_, _, order, resonance)| order > 0 && resonance == 1).count();
        if resonant > 0 {
            findings.note("resonance", 0, || {
                format!("{resonant} bonds have resonance beside their order: the order is kept")
            });
        }
        molecule.bonds = bonds.finish();
        if molecule.chains.is_empty() {
            molecule.chains.push(Chain::default());
        }
        Ok(molecule)
    }

    fn group(&self, group: usize, polymer: Option<bool>, molecule: &mut Molecule) {
        let all = &self.all;
        let kind = &all.types[all.group_types[group] as usize];
        let residue = molecule.residues.len() as u32;
        let sequence = all.sequence.get(group).copied().filter(|&index| index >= 0);
        molecule.residues.push(Residue {
            name: kind.name.clone(),
            number: all.group_numbers.get(group).copied(),
            insertion: all.insertions.get(group).copied().filter(|&code| code != '\0'),
            label_number: sequence.map(|index| index.saturating_add(1)),
            segment: SmolStr::default(),
            // Where no entity says what its chain is, the component does.
            hetero: !polymer.unwrap_or(kind.links),
            chain: molecule.chains.len() as u32 - 1,
        });
        let atoms = &mut molecule.atoms;
        let count = atoms.elements.len() + kind.names.len();
        atoms.names.extend_from_slice(&kind.names);
        atoms.elements.extend_from_slice(&kind.elements);
        if self.isotopic {
            atoms.isotopes.extend_from_slice(&kind.isotopes);
        }
        if self.charged {
            atoms.formal_charges.extend_from_slice(&kind.charges);
            atoms.formal_charges.resize(count, 0);
        }
        atoms.residues.resize(count, residue);
    }

    /// Bonds of a group from the atom `first` on, and of `between` those that begin in it: by their atoms, so that nothing is left
    /// to sort. Atoms of the record are counted from `start`.
    fn bonds<'s>(
        &self,
        group: usize,
        first: &mut u32,
        start: u32,
        between: &mut Peekable<impl Iterator<Item = &'s BondRow>>,
        bonds: &mut BondList,
    ) {
        let kind = &self.all.types[self.all.group_types[group] as usize];
        let mut add = |a: u32, b: u32, order: i32, resonance: i32| {
            bonds.add(a - start, b - start, order_of(order, resonance), false, BondSource::File);
        };
        for &(a, b, order, resonance) in &kind.bonds {
            let (a, b) = (*first + a, *first + b);
            while let Some(&(a, b, order, resonance)) = between.next_if(|other| (other.0, other.1) < (a, b)) {
                add(a, b, order, resonance);
            }
            add(a, b, order, resonance);
        }
        *first += kind.names.len() as u32;
        while let Some(&(a, b, order, resonance)) = between.next_if(|other| other.0 < *first) {
            add(a, b, order, resonance);
        }
    }

    /// How many stretches of one code there are, at most.
    fn stretches(&self, groups: &Range<usize>) -> u64 {
        let codes = self.all.secondary.get(groups.clone()).unwrap_or_default();
        codes.chunk_by(|a, b| a == b).count() as u64
    }

    /// Helices and strands of the groups of a chain; `numbers` counts those of the model.
    fn secondary(
        &self,
        groups: Range<usize>,
        start: usize,
        numbers: &mut [u32; 2],
        molecule: &mut Molecule,
        findings: &mut Findings,
    ) {
        let codes = &self.all.secondary;
        let mut group = groups.start;
        while let Some(&code) = codes.get(group).filter(|_| group < groups.end) {
            let run = codes[group..groups.end.min(codes.len())].iter().take_while(|&&other| other == code).count();
            let (kind, class) = match code {
                0 => ("helix", 3),
                2 => ("helix", 1),
                4 => ("helix", 5),
                3 => ("sheet", 0),
                1 | 5 | 6 => {
                    findings.note("secondary", 0, || "turns, bends and bridges are set aside".into());
                    group += run;
                    continue;
                }
                _ => {
                    group += run;
                    continue;
                }
            };
            let (first, last) = ((group - start) as u32, (group + run - 1 - start) as u32);
            let number = &mut numbers[usize::from(kind == "sheet")];
            *number += 1;
            let id = number.to_string().into();
            molecule.secondary.push(SecondaryStructure { kind, start: first, end: last, class, id });
            group += run;
        }
    }
}

fn order_of(order: i32, resonance: i32) -> BondOrder {
    match order {
        1 => BondOrder::Single,
        2 => BondOrder::Double,
        3 => BondOrder::Triple,
        4 => BondOrder::Quadruple,
        _ if resonance == 1 => BondOrder::Aromatic,
        _ => BondOrder::Unknown,
    }
}
