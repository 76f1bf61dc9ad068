//! CIF, the Crystallographic Information File of the International Union of Crystallography: crystals of small molecules, minerals
//! and magnetic structures.
//!
//! Specification: CIF 1.1, <https://www.iucr.org/resources/cif/spec/version1.1/cifsyntax>, and the core dictionary,
//! <https://www.iucr.org/resources/cif/dictionaries/cif_core>; magnetic structures by
//! <https://www.iucr.org/resources/cif/dictionaries/cif_mag>. Names with an underscore (`_atom_site_fract_x`) and with a dot
//! (`_atom_site.fract_x`) are the same. Lists and triple quotes are known where the first line says CIF 2.0. One data block with
//! atoms a record; blocks without are passed over.
//!
//! | Category | Content |
//! |---|---|
//! | `_atom_site` | the sites as they are written, which is the asymmetric unit: symmetry is not applied, and `atoms` counts these |
//! | `_cell` | unit cell; coordinates become Cartesian in Å with a along x and b in the plane of x and y |
//! | `_atom_site_type_symbol`, label | element, charge (`Si4+`), isotope (`D`); a label where the type is missing, read by the formula |
//! | `_atom_site_occupancy`, `_disorder_group` | occupancy; alternate location: the number of the group without its sign |
//! | `_atom_site_U_iso_or_equiv`, `_B_iso_or_equiv`, `_atom_site_aniso_U` | B factor, 8 π² U; of an anisotropic U its mean |
//! | `_geom_bond` | bonds within the asymmetric unit, and orders where `_ccdc_geom_bond_type` states them |
//! | `_chemical_conn_bond` | bonds of the chemical diagram, with orders, between sites of its atoms that are as close as a bond |
//! | `_space_group`, `_symmetry` | Hermann–Mauguin symbol |
//! | `_atom_site_moment` | property `moments`, in Bohr magnetons: one triple an atom or null, along what `moment_axes` says |
//!
//! Standard uncertainties, the `(4)` of `0.123(4)`, are no part of the numbers: those of the coordinates are the property
//! `fract_uncertainties`, one triple of fractions an atom, those of the cell `cell_uncertainties`. Other properties: `title`, `id`,
//! `chemical_name`, `formula_sum`, `formula_moiety`, `formula_weight`, `formula_units` (Z), `space_group_number`,
//! `space_group_hall`, `symmetry_operators`, `magnetic_space_group`, `magnetic_operators`, `magnetic_centerings`, `temperature` (K),
//! `pressure` (kPa), `density` (g/cm³).
//!
//! Atoms that both leave out get bonds by distance, see the option `bonds`. Bonds to symmetry mates are set aside with a
//! note (`symmetry-bond`). The reader is that of [`mmcif`](crate::mmcif), which also takes the blocks of its dictionary.
//! A file without atoms is refused, and the hint says what it holds: structure factors, a powder pattern, a dictionary.
//!
//! Strictness: default and strict take a coordinate that is no number, a loop that is cut and a cell that encloses no volume as
//! errors; lenient takes 0, or leaves the coordinates out. Strict also refuses unknown elements and numbers that are none.

pub(crate) mod block;
mod bonds;
mod crystal;
pub(crate) mod read;
mod sites;
mod symbol;
pub(crate) mod table;
pub(crate) mod token;

use mediary_core::{Confidence, Context, Format, FormatInfo, FormatReader, Kind, Probe, Result, Source};

const INFO: FormatInfo = FormatInfo::new("cif", "Crystallographic Information File", &[Kind::Molecule])
    .extensions(&["cif", "mcif"])
    .media_types(&["chemical/x-cif"])
    .probes_without_signature()
    .reads()
    .options(&[crate::bonds::OPTION])
    .many_records()
    .spec("https://www.iucr.org/resources/cif/spec/version1.1/cifsyntax");

struct Cif;
mediary_core::register!(Cif);

impl Format for Cif {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        match look(probe) {
            Look::Block(block) if block.crystals => Confidence::yes(200, "a CIF data block with sites of a crystal"),
            Look::Block(block) if block.macromolecules || block.components || block.macromolecular => Confidence::No,
            Look::Block(block) if block.core => Confidence::yes(100, "a CIF data block of the core dictionary"),
            _ => Confidence::No,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        read::open(source, cx)
    }
}

/// What the head of an input is, to the formats that share this syntax.
pub(crate) enum Look {
    /// No CIF.
    Other,
    /// Nothing but comments so far.
    Comment,
    /// A data block.
    Block(Contents),
}

/// What item names at the start of lines tell of a data block.
#[derive(Default)]
pub(crate) struct Contents {
    /// Atoms of the macromolecular dictionary.
    pub(crate) macromolecules: bool,
    /// Atoms of chemical components.
    pub(crate) components: bool,
    /// Sites of the core dictionary.
    pub(crate) crystals: bool,
    /// Other categories of the macromolecular dictionary.
    pub(crate) macromolecular: bool,
    /// Other names without a dot.
    pub(crate) core: bool,
}

/// Looks at the head of an input.
pub(crate) fn look(probe: &Probe<'_>) -> Look {
    if !probe.looks_like_text() {
        return Look::Other;
    }
    let mut lines = probe.lines().map(<[u8]>::trim_ascii).filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    match lines.next() {
        Some(line) if starts(line, b"data_") || line.eq_ignore_ascii_case(b"global_") => {}
        // The head may be all comment.
        None if !probe.is_whole() => return Look::Comment,
        _ => return Look::Other,
    }
    let mut contents = Contents::default();
    let names =
        lines.filter_map(|line| line.split(u8::is_ascii_whitespace).next()).filter(|name| name.starts_with(b"_"));
    for name in names {
        let dotted = name.contains(&b'.');
        let (category, item) = table::split(name);
        match (category.as_str(), item.as_str()) {
            ("atom_site", "label_atom_id" | "auth_atom_id" | "group_pdb") => contents.macromolecules = true,
            ("atom_site", "cartn_x") if dotted => contents.macromolecules |= !contents.crystals,
            ("atom_site", "label" | "fract_x" | "cartn_x") => contents.crystals = true,
            ("chem_comp_atom", _) => contents.components = true,
            _ if dotted => contents.macromolecular |= is_macromolecular(&category),
            _ => contents.core = true,
        }
    }
    Look::Block(contents)
}

fn starts(line: &[u8], word: &[u8]) -> bool {
    line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// Whether the mmCIF dictionary has the category: its groups by their prefixes, and what files commonly begin with.
fn is_macromolecular(category: &str) -> bool {
    const GROUPS: [&str; 8] = ["pdbx_", "struct_", "entity_", "em_", "database_", "citation_", "audit_", "chem_comp_"];
    #[rustfmt::skip]
    const CATEGORIES: [&str; 20] = [
        "entry", "struct", "entity", "citation", "audit", "software", "exptl", "exptl_crystal", "cell", "symmetry",
        "space_group", "diffrn", "refine", "reflns", "refln", "chem_comp", "atom_sites", "atom_site_anisotrop",
        "atom_type", "database",
    ];
    GROUPS.iter().any(|group| category.starts_with(group)) || CATEGORIES.contains(&category)
}

#[cfg(test)]
mod tests;
