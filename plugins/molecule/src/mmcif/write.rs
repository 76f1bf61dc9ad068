//! The writer: one data block a record.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Write as _;

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Atoms, Bond, BondOrder, BondStereo, Element};
use mediary_core::{Context, Error, Media, MediaRecord, Output, Result};
use smol_str::SmolStr;

use crate::elements::is_nonmetal;
use crate::models;
use crate::template::{self, Members};

/// Component of residues without a name: "unknown ligand" of the dictionary.
const UNNAMED: &str = "UNL";
/// Look-ups that finding out which bonds all residues of one component share may take; beyond, each is written by itself.
const MOST_LOOKUPS: usize = 20_000_000;

pub(super) fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let Media::Molecule(molecule) = &record.media else {
        return Err(Error::unsupported("mmcif holds molecules only"));
    };
    losses(molecule, cx);
    let name = block_name(record, molecule);
    writeln!(out, "data_{name}")?;
    writeln!(out, "#")?;
    writeln!(out, "_entry.id {}", quote(&name))?;
    writeln!(out, "_entry.mediary_bonds complete")?;
    writeln!(out, "#")?;
    let title = record.properties.get("title").and_then(|value| value.as_str()).unwrap_or(&molecule.name);
    writeln!(out, "_struct.entry_id {}", quote(&name))?;
    writeln!(out, "_struct.title {}", quote_or(title, "?"))?;
    writeln!(out, "_struct.pdbx_descriptor {}", quote_or(&molecule.name, "?"))?;
    writeln!(out, "#")?;
    let lost = record.properties.keys().filter(|key| *key != "title").count();
    cx.lose("properties", lost as u64, "properties");
    if let Some(cell) = &molecule.cell {
        writeln!(out, "_cell.entry_id {}", quote(&name))?;
        for (axis, length) in ["a", "b", "c"].iter().zip(cell.lengths) {
            writeln!(out, "_cell.length_{axis} {length}")?;
        }
        for (axis, angle) in ["alpha", "beta", "gamma"].iter().zip(cell.angles) {
            writeln!(out, "_cell.angle_{axis} {angle}")?;
        }
        writeln!(out, "#")?;
    }
    if let Some(group) = &molecule.space_group {
        writeln!(out, "_symmetry.entry_id {}", quote(&name))?;
        writeln!(out, "_symmetry.space_group_name_H-M {}", quote_or(group, "?"))?;
        writeln!(out, "#")?;
    }
    let mut names = Names::of(molecule, cx)?;
    names.entities(out)?;
    let bonds = Bonds::of(molecule, &mut names, cx)?;
    secondary(molecule, &names, out)?;
    bonds.write(molecule, &names, out, cx)?;
    atom_site(molecule, &names, out, cx)
}

fn losses(molecule: &Molecule, cx: &Context) {
    let velocities: usize = molecule.models.iter().map(|model| model.velocities.len()).sum();
    cx.lose("velocities", velocities as u64, "velocities");
    let cells = molecule.models.iter().filter(|model| model.cell.is_some()).count();
    cx.lose("model-cells", cells as u64, "cells of single models");
    let titles = molecule.models.iter().filter(|model| !model.title.is_empty() && model.title != molecule.name).count();
    cx.lose("model-titles", titles as u64, "titles of models");
    cx.lose("chirality", molecule.atoms.chirality.len() as u64, "handedness of atoms");
    let stereo = molecule.bonds.iter().filter(|bond| bond.stereo != BondStereo::None).count();
    cx.lose("bond-stereo", stereo as u64, "drawing or configuration of bonds");
    let dative = molecule.bonds.iter().filter(|bond| bond.order == BondOrder::Dative).count();
    cx.lose("dative", dative as u64, "dative bonds, written as single ones");
}

/// A name for the data block: no blanks, and told apart from those of records before.
fn block_name(record: &MediaRecord, molecule: &Molecule) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '_' };
    let name: String = molecule.name.trim().chars().take(60).map(legal).collect();
    match (name.is_empty(), record.index) {
        (true, index) => format!("molecule_{}", index + 1),
        (false, 0) => name,
        (false, index) => format!("{name}_{}", index + 1),
    }
}

/// A value as CIF spells it; `instead` for an empty one.
fn quote_or<'a>(value: &'a str, instead: &'static str) -> Cow<'a, str> {
    if value.trim().is_empty() { Cow::Borrowed(instead) } else { quote(value) }
}

/// A value as CIF spells it: bare, in quotes, or as a text field that starts a line.
fn quote(value: &str) -> Cow<'_, str> {
    let bytes = value.as_bytes();
    let reserved = |word: &str| value.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let bare = bytes.iter().all(|&byte| byte > b' ' && !b"'\"".contains(&byte) && byte != 0x7F)
        && bytes.first().is_some_and(|first| !b"_#$[];".contains(first))
        && !matches!(value, "." | "?")
        && !["data_", "loop_", "save_", "stop_", "global_"].into_iter().any(reserved);
    if bare {
        return Cow::Borrowed(value);
    }
    let clean: String = value.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect::<String>();
    // A quote ends the value only where white space follows.
    let ends = |quote: char| {
        let mut rest = clean.chars().peekable();
        std::iter::from_fn(|| rest.next().map(|c| (c, rest.peek().copied())))
            .any(|(c, next)| c == quote && next.is_none_or(char::is_whitespace))
    };
    if !clean.contains('\n') {
        for quote in ['\'', '"'] {
            if !ends(quote) {
                return Cow::Owned(format!("{quote}{clean}{quote}"));
            }
        }
    }
    // A semicolon at the start of a line would end the field.
    Cow::Owned(format!("\n;{}\n;", clean.replace("\n;", "\n ;")))
}

/// What atoms, residues and chains are called in the block.
struct Names<'m> {
    molecule: &'m Molecule,
    members: Members,
    /// `label_atom_id`: the atom's name, made unique where it has none.
    atoms: Vec<SmolStr>,
    /// `label_asym_id` of each chain.
    asyms: Vec<String>,
    /// Entity of each chain, from 1, and the type of each entity.
    entities: Vec<usize>,
    types: Vec<&'static str>,
    /// `label_seq_id` of each residue.
    sequence: Vec<Option<i32>>,
}

impl<'m> Names<'m> {
    fn of(molecule: &'m Molecule, cx: &Context) -> Result<Self> {
        cx.budget().take(molecule.atoms.len() as u64 * 32 + molecule.residues.len() as u64 * 32)?;
        let labels: HashSet<&str> = molecule.chains.iter().map(|chain| chain.label.as_str()).collect();
        let usable = labels.len() == molecule.chains.len() && !labels.contains("");
        let asyms = molecule.chains.iter().enumerate().map(|(index, chain)| match usable {
            true => chain.label.to_string(),
            false => letters(index),
        });
        let mut names = Self {
            members: Members::new(molecule),
            atoms: molecule.atoms.names.clone(),
            asyms: asyms.collect(),
            entities: Vec::new(),
            types: Vec::new(),
            sequence: vec![None; molecule.residues.len()],
            molecule,
        };
        names.group();
        for residue in 0..molecule.residues.len() {
            if names.members.of(residue).iter().any(|&atom| names.atoms[atom as usize].is_empty()) {
                names.make_unique(residue);
            }
        }
        Ok(names)
    }

    /// Sorts chains into entities, and numbers residues.
    fn group(&mut self) {
        let molecule = self.molecule;
        let mut chains: Vec<Vec<u32>> = vec![Vec::new(); molecule.chains.len()];
        for (index, residue) in (0_u32..).zip(&molecule.residues) {
            chains[residue.chain as usize].push(index);
        }
        let mut known: HashMap<(&'static str, Vec<&str>), usize> = HashMap::new();
        for own in &chains {
            let residues = || own.iter().map(|&index| &molecule.residues[index as usize]);
            let polymer = residues().filter(|residue| !residue.hetero).count() * 2 > own.len()
                && residues().any(|residue| !residue.name.is_empty());
            let kind = match () {
                () if residues().all(|residue| template::is_water(&residue.name)) && !own.is_empty() => "water",
                () if polymer => "polymer",
                () => "non-polymer",
            };
            let content =
                if kind == "water" { Vec::new() } else { residues().map(|residue| residue.name.as_str()).collect() };
            let next = known.len();
            let entity = *known.entry((kind, content)).or_insert(next);
            if entity == next {
                self.types.push(kind);
            }
            self.entities.push(entity);
            // Residues of a polymer are numbered; others only where nothing else tells them apart.
            let mut places = HashSet::new();
            let unique = residues().all(|residue| places.insert((residue.number, residue.insertion, &residue.name)));
            let given = residues().any(|residue| residue.label_number.is_some());
            let mut next = 0;
            let mut before = None;
            for &index in own {
                let residue = &molecule.residues[index as usize];
                // Residues that share a place share its number (microheterogeneity).
                let place = (residue.number, residue.insertion, residue.number.is_some());
                let shared = before.is_some_and(|(known, name)| known == place && place.2 && name != &residue.name);
                next += i32::from(!shared);
                before = Some((place, &residue.name));
                self.sequence[index as usize] = match () {
                    () if given && unique => residue.label_number,
                    () if polymer || !unique => Some(next),
                    () => None,
                };
            }
        }
    }

    fn entities(&self, out: &mut Output) -> Result<()> {
        if self.asyms.is_empty() {
            return Ok(());
        }
        writeln!(out, "loop_\n_entity.id\n_entity.type")?;
        for (index, kind) in self.types.iter().enumerate() {
            writeln!(out, "{} {kind}", index + 1)?;
        }
        writeln!(out, "#\nloop_\n_struct_asym.id\n_struct_asym.entity_id")?;
        for (asym, entity) in self.asyms.iter().zip(&self.entities) {
            writeln!(out, "{} {}", quote(asym), entity + 1)?;
        }
        writeln!(out, "#")?;
        Ok(())
    }

    /// Component of a residue.
    fn component(&self, residue: u32) -> &'m str {
        let name = self.molecule.residues[residue as usize].name.as_str();
        if name.is_empty() { UNNAMED } else { name }
    }

    /// Gives every atom of a residue a name of its own.
    fn make_unique(&mut self, residue: usize) {
        let mut taken = HashSet::new();
        let mut next: HashMap<String, usize> = HashMap::new();
        let own = self.members.of(residue);
        for &atom in own {
            taken.insert(self.atoms[atom as usize].clone());
        }
        let mut seen = HashSet::new();
        for &atom in own {
            let name = &self.atoms[atom as usize];
            let label = Atoms::value(&self.molecule.atoms.altlocs, atom as usize, '\0');
            if !name.is_empty() && seen.insert((name.clone(), label)) {
                continue;
            }
            let symbol = self.molecule.atoms.elements[atom as usize].symbol();
            let stem = if name.is_empty() { symbol.to_ascii_uppercase() } else { format!("{name}_") };
            let count = next.entry(stem.clone()).or_insert(0);
            self.atoms[atom as usize] = loop {
                *count += 1;
                let name = SmolStr::new(format!("{stem}{count}"));
                if taken.insert(name.clone()) {
                    break name;
                }
            };
        }
    }

    /// Whether an atom of the same residue has the same name and alternate location.
    fn is_ambiguous(&self, atom: u32) -> bool {
        let residue = self.molecule.atoms.residues[atom as usize] as usize;
        let label = |atom: u32| Atoms::value(&self.molecule.atoms.altlocs, atom as usize, '\0');
        let own = self.members.of(residue).iter().copied();
        let same = |other: u32| self.atoms[other as usize] == self.atoms[atom as usize] && label(other) == label(atom);
        own.filter(|&other| same(other)).nth(1).is_some()
    }
}

/// A, B … Z, AA, BA …, as the Protein Data Bank counts.
fn letters(mut index: usize) -> String {
    let mut name = String::new();
    loop {
        name.push(char::from(b'A' + (index % 26) as u8));
        index /= 26;
        if index == 0 {
            return name;
        }
        index -= 1;
    }
}

/// Bonds sorted into those that all residues of a component share, and the others.
#[derive(Default)]
struct Bonds<'m> {
    /// By component and names.
    shared: BTreeMap<(&'m str, SmolStr, SmolStr), (BondOrder, bool)>,
    single: Vec<&'m Bond>,
}

impl<'m> Bonds<'m> {
    fn of(molecule: &'m Molecule, names: &mut Names<'m>, cx: &Context) -> Result<Self> {
        cx.budget().take(molecule.bonds.len() as u64 * 96)?;
        let found = Self::sort(molecule, names);
        // A bond that is written by itself names its atoms: where names repeat, they are made unique first.
        let ends = found.single.iter().flat_map(|bond| [bond.a, bond.b]);
        let unclear: BTreeSet<u32> = ends
            .filter(|&atom| names.members.of(molecule.atoms.residues[atom as usize] as usize).len() > 1)
            .filter(|&atom| names.is_ambiguous(atom))
            .map(|atom| molecule.atoms.residues[atom as usize])
            .collect();
        if unclear.is_empty() {
            return Ok(found);
        }
        for residue in unclear {
            names.make_unique(residue as usize);
        }
        Ok(Self::sort(molecule, names))
    }

    fn sort(molecule: &'m Molecule, names: &Names<'m>) -> Self {
        let residue = |atom: u32| molecule.atoms.residues[atom as usize];
        let key = |bond: &Bond| {
            let (first, second) = (&names.atoms[bond.a as usize], &names.atoms[bond.b as usize]);
            let component = names.component(residue(bond.a));
            if first <= second {
                (component, first.clone(), second.clone())
            } else {
                (component, second.clone(), first.clone())
            }
        };
        let within = |bond: &&Bond| residue(bond.a) == residue(bond.b);
        let mut shared = BTreeMap::new();
        let mut differing = BTreeSet::new();
        for bond in molecule.bonds.iter().filter(within) {
            let key = key(bond);
            let found = (bond.order, bond.aromatic);
            if *shared.entry(key.clone()).or_insert(found) != found || key.1 == key.2 {
                differing.insert(key);
            }
        }
        // A bond stands for all residues of its component only if all that have its atoms have it.
        let mut bonded: Vec<(u32, u32)> =
            molecule.bonds.iter().filter(within).map(|bond| (bond.a.min(bond.b), bond.a.max(bond.b))).collect();
        bonded.sort_unstable();
        let mut by_component: BTreeMap<&str, Vec<(SmolStr, SmolStr)>> = BTreeMap::new();
        for (component, first, second) in shared.keys() {
            by_component.entry(component).or_default().push((first.clone(), second.clone()));
        }
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for index in 0..molecule.residues.len() {
            *counts.entry(names.component(index as u32)).or_default() += 1;
        }
        for index in 0..molecule.residues.len() {
            let component = names.component(index as u32);
            let Some(pairs) = by_component.get(component) else { continue };
            if pairs.len().saturating_mul(counts[component]) > MOST_LOOKUPS {
                continue;
            }
            let mut own: Vec<(&str, u32)> =
                names.members.of(index).iter().map(|&atom| (names.atoms[atom as usize].as_str(), atom)).collect();
            own.sort_unstable();
            let named = |name: &str| {
                let from = own.partition_point(|&(known, _)| known < name);
                let to = own.partition_point(|&(known, _)| known <= name);
                &own[from..to]
            };
            for (first, second) in pairs {
                let (a, b) = (named(first), named(second));
                let all = a.len() * b.len() <= 256
                    && a.iter().flat_map(|a| b.iter().map(move |b| (a.1.min(b.1), a.1.max(b.1)))).all(|pair| {
                        !crate::bonds::compatible(&molecule.atoms, pair.0, pair.1)
                            || bonded.binary_search(&pair).is_ok()
                    });
                if !all {
                    differing.insert((component, first.clone(), second.clone()));
                }
            }
        }
        shared.retain(|key, _| {
            !differing.contains(key) && by_component[key.0].len().saturating_mul(counts[key.0]) <= MOST_LOOKUPS
        });
        let atoms = &molecule.atoms;
        let single = molecule.bonds.iter().filter(|bond| {
            !within(bond) || !shared.contains_key(&key(bond)) || !crate::bonds::compatible(atoms, bond.a, bond.b)
        });
        Self { single: single.collect(), shared }
    }

    fn write(&self, molecule: &Molecule, names: &Names<'_>, out: &mut Output, cx: &Context) -> Result<()> {
        if !self.shared.is_empty() {
            writeln!(
                out,
                "loop_\n_chem_comp_bond.comp_id\n_chem_comp_bond.atom_id_1\n_chem_comp_bond.atom_id_2\n\
                 _chem_comp_bond.value_order\n_chem_comp_bond.pdbx_aromatic_flag"
            )?;
            for ((component, first, second), &(order, aromatic)) in &self.shared {
                let flag = if aromatic { 'Y' } else { 'N' };
                writeln!(out, "{} {} {} {} {flag}", quote(component), quote(first), quote(second), word(order))?;
            }
            writeln!(out, "#")?;
        }
        if self.single.is_empty() {
            return Ok(());
        }
        write!(out, "loop_\n_struct_conn.id\n_struct_conn.conn_type_id\n")?;
        for partner in 1..=2 {
            for item in ["label_asym_id", "label_comp_id", "label_seq_id", "label_atom_id"] {
                writeln!(out, "_struct_conn.ptnr{partner}_{item}")?;
            }
            writeln!(out, "_struct_conn.pdbx_ptnr{partner}_label_alt_id")?;
            for item in ["auth_asym_id", "auth_comp_id", "auth_seq_id"] {
                writeln!(out, "_struct_conn.ptnr{partner}_{item}")?;
            }
            writeln!(out, "_struct_conn.pdbx_ptnr{partner}_PDB_ins_code\n_struct_conn.ptnr{partner}_symmetry")?;
        }
        writeln!(out, "_struct_conn.pdbx_value_order\n_struct_conn.mediary_aromatic_flag")?;
        for (index, bond) in self.single.iter().enumerate() {
            if index % 16_384 == 0 {
                cx.checkpoint()?;
            }
            let ends = [bond.a, bond.b];
            let elements = ends.map(|atom| molecule.atoms.elements[atom as usize]);
            let kind = match () {
                () if elements.iter().all(|element| element.number() == 16) => "disulf",
                () if elements.iter().any(|&element| element != Element::UNKNOWN && !is_nonmetal(element)) => "metalc",
                () => "covale",
            };
            write!(out, "{kind}{} {kind}", index + 1)?;
            for atom in ends {
                let residue = molecule.atoms.residues[atom as usize];
                let it = &molecule.residues[residue as usize];
                let label = Atoms::value(&molecule.atoms.altlocs, atom as usize, '\0');
                write!(
                    out,
                    " {} {} {} {} {} {} {} {} {} 1_555",
                    quote(&names.asyms[it.chain as usize]),
                    quote(names.component(residue)),
                    number(names.sequence[residue as usize]),
                    quote(&names.atoms[atom as usize]),
                    letter(Some(label).filter(|&label| label != '\0'), "?"),
                    quote_or(&molecule.chains[it.chain as usize].name, "."),
                    quote_or(&it.name, "."),
                    number(it.number),
                    letter(it.insertion, "?"),
                )?;
            }
            writeln!(out, " {} {}", word(bond.order), if bond.aromatic { 'Y' } else { 'N' })?;
        }
        writeln!(out, "#")?;
        Ok(())
    }
}

/// `value_order` of an order.
fn word(order: BondOrder) -> &'static str {
    match order {
        BondOrder::Single | BondOrder::Dative => "sing",
        BondOrder::Double => "doub",
        BondOrder::Triple => "trip",
        BondOrder::Quadruple => "quad",
        BondOrder::Aromatic => "arom",
        _ => "?",
    }
}

fn number(value: Option<i32>) -> String {
    value.map_or_else(|| ".".into(), |value| value.to_string())
}

fn letter(value: Option<char>, none: &'static str) -> Cow<'static, str> {
    value.map_or(Cow::Borrowed(none), |value| Cow::Owned(quote(value.encode_utf8(&mut [0; 4])).into_owned()))
}

fn secondary(molecule: &Molecule, names: &Names<'_>, out: &mut Output) -> Result<()> {
    let place = |out: &mut Output, residue: u32| -> Result<()> {
        let it = &molecule.residues[residue as usize];
        let chain = it.chain as usize;
        let (asym, component) = (quote(&names.asyms[chain]), quote(names.component(residue)));
        let sequence = number(names.sequence[residue as usize]);
        let (author, code) = (quote_or(&molecule.chains[chain].name, "."), letter(it.insertion, "?"));
        write!(out, " {asym} {component} {sequence} {author} {} {code}", number(it.number))?;
        Ok(())
    };
    let items = |out: &mut Output, category: &str| -> Result<()> {
        for end in ["beg", "end"] {
            for item in ["label_asym_id", "label_comp_id", "label_seq_id", "auth_asym_id", "auth_seq_id"] {
                writeln!(out, "_{category}.{end}_{item}")?;
            }
            writeln!(out, "_{category}.pdbx_{end}_PDB_ins_code")?;
        }
        Ok(())
    };
    let of = |kind: &'static str| molecule.secondary.iter().filter(move |stretch| stretch.kind == kind);
    if of("helix").next().is_some() {
        writeln!(
            out,
            "loop_\n_struct_conf.conf_type_id\n_struct_conf.id\n_struct_conf.pdbx_PDB_helix_id\n\
             _struct_conf.pdbx_PDB_helix_class"
        )?;
        items(out, "struct_conf")?;
        for (index, stretch) in of("helix").enumerate() {
            write!(out, "HELX_P HELX_P{} {} {}", index + 1, quote_or(&stretch.id, "?"), stretch.class)?;
            place(out, stretch.start)?;
            place(out, stretch.end)?;
            writeln!(out)?;
        }
        writeln!(out, "#")?;
    }
    if of("sheet").next().is_some() {
        writeln!(
            out,
            "loop_\n_struct_sheet_range.sheet_id\n_struct_sheet_range.id\n_struct_sheet_range.mediary_sense"
        )?;
        items(out, "struct_sheet_range")?;
        for (index, stretch) in of("sheet").enumerate() {
            write!(out, "{} {} {}", quote_or(&stretch.id, "?"), index + 1, stretch.class)?;
            place(out, stretch.start)?;
            place(out, stretch.end)?;
            writeln!(out)?;
        }
        writeln!(out, "#")?;
    }
    Ok(())
}

/// Items of every row, in order.
#[rustfmt::skip]
const ITEMS: [&str; 21] = [
    "group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id",
    "label_entity_id", "label_seq_id", "pdbx_PDB_ins_code", "Cartn_x", "Cartn_y", "Cartn_z", "occupancy",
    "B_iso_or_equiv", "pdbx_formal_charge", "auth_seq_id", "auth_comp_id", "auth_asym_id", "auth_atom_id",
    "pdbx_PDB_model_num",
];

fn atom_site(molecule: &Molecule, names: &Names<'_>, out: &mut Output, cx: &Context) -> Result<()> {
    let atoms = &molecule.atoms;
    if atoms.is_empty() {
        return Ok(());
    }
    writeln!(out, "loop_")?;
    for item in ITEMS {
        writeln!(out, "_atom_site.{item}")?;
    }
    let segments = molecule.residues.iter().any(|residue| !residue.segment.is_empty());
    let own = [
        ("mediary_segment", segments),
        ("mediary_partial_charge", !atoms.partial_charges.is_empty()),
        ("mediary_radius", !atoms.radii.is_empty()),
        ("mediary_isotope", !atoms.isotopes.is_empty()),
        ("mediary_type", !atoms.types.is_empty()),
        ("mediary_hydrogens", !atoms.hydrogens.is_empty()),
        ("mediary_aromatic", !atoms.aromatic.is_empty()),
        ("mediary_radical", !atoms.radicals.is_empty()),
        ("mediary_map_number", !atoms.map_numbers.is_empty()),
    ];
    for (item, _) in own.iter().filter(|(_, present)| *present) {
        writeln!(out, "_atom_site.{item}")?;
    }
    // What an atom says before and behind its coordinates is the same in every model.
    cx.budget().take(atoms.len() as u64 * 160)?;
    let (mut fronts, mut middles, mut backs) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..atoms.len() {
        if index % 16_384 == 0 {
            cx.checkpoint()?;
        }
        let residue = atoms.residues[index];
        let it = &molecule.residues[residue as usize];
        let chain = it.chain as usize;
        let label = Atoms::value(&atoms.altlocs, index, '\0');
        fronts.push(format!(
            "{} {} {} {} {} {} {} {}",
            symbol(atoms.elements[index], Atoms::value(&atoms.isotopes, index, 0)),
            quote(&names.atoms[index]),
            letter(Some(label).filter(|&label| label != '\0'), "."),
            quote(names.component(residue)),
            quote(&names.asyms[chain]),
            names.entities[chain] + 1,
            number(names.sequence[residue as usize]),
            letter(it.insertion, "?"),
        ));
        let charge = atoms.formal_charges.get(index).map_or_else(|| "?".into(), ToString::to_string);
        middles.push(format!(
            "{} {} {charge} {} {} {} {}",
            Atoms::value(&atoms.occupancies, index, 1.0),
            Atoms::value(&atoms.b_factors, index, 0.0),
            number(it.number),
            quote_or(&it.name, "."),
            quote_or(&molecule.chains[chain].name, "."),
            quote_or(&atoms.names[index], "."),
        ));
        let mut back = String::new();
        let mut add = |text: &str| {
            back.push(' ');
            back.push_str(text);
        };
        if segments {
            add(&quote_or(&it.segment, "."));
        }
        for column in [&atoms.partial_charges, &atoms.radii] {
            if let Some(value) = column.get(index) {
                add(&value.to_string());
            }
        }
        if let Some(value) = atoms.isotopes.get(index) {
            add(&value.to_string());
        }
        if let Some(value) = atoms.types.get(index) {
            add(&quote_or(value, "."));
        }
        if let Some(value) = atoms.hydrogens.get(index) {
            add(&value.to_string());
        }
        if let Some(value) = atoms.aromatic.get(index) {
            add(if *value { "Y" } else { "N" });
        }
        if let Some(value) = atoms.radicals.get(index) {
            add(&value.to_string());
        }
        if let Some(value) = atoms.map_numbers.get(index) {
            add(&value.to_string());
        }
        backs.push(back);
    }
    let given = &atoms.serials;
    let usable = molecule.models.len() == 1
        && given.len() == atoms.len()
        && given.windows(2).all(|pair| pair[0] < pair[1])
        && given.first().is_some_and(|&first| first > 0);
    let mut row = Vec::with_capacity(256);
    let mut id = 0;
    for (model, number) in molecule.models.iter().zip(models::written(&molecule.models)) {
        for index in 0..atoms.len() {
            if index % 16_384 == 0 {
                cx.checkpoint()?;
            }
            id = if usable { given[index] } else { id + 1 };
            let residue = &molecule.residues[atoms.residues[index] as usize];
            let group = if residue.hetero { "HETATM" } else { "ATOM" };
            row.clear();
            write!(row, "{group} {id} {} ", fronts[index])?;
            match model.positions.get(index) {
                Some([x, y, z]) => write!(row, "{x} {y} {z}")?,
                None => write!(row, "? ? ?")?,
            }
            writeln!(row, " {} {}{}", middles[index], number, backs[index])?;
            out.write_all(&row)?;
        }
    }
    writeln!(out, "#")?;
    Ok(())
}

/// `type_symbol`; hydrogen isotopes have symbols of their own.
fn symbol(element: Element, isotope: u16) -> String {
    match (element.number(), isotope) {
        (1, 2) => "D".into(),
        (1, 3) => "T".into(),
        _ => element.symbol().to_ascii_uppercase(),
    }
}
