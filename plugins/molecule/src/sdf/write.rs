//! The writer: a header, a connection table of either version, data fields.

use std::io::Write as _;

use mediary_core::record::Molecule;
use mediary_core::record::molecule::{Atoms, Bond, BondOrder, BondStereo, Element};
use mediary_core::{Context, Error, Media, MediaRecord, Output, Result};
use serde_json::{Map, Value};

use crate::losses;

/// Bytes of a line of V3000, with `M  V30 ` and without its end.
const WIDTH: usize = 80;

pub(super) fn write(record: &MediaRecord, sdf: bool, out: &mut Output, cx: &Context) -> Result<()> {
    let format = if sdf { "sdf" } else { "mol" };
    let Media::Molecule(molecule) = &record.media else {
        return Err(Error::unsupported(format!("{format} holds molecules only")));
    };
    let none = Map::new();
    let own = matches!(record.format.as_str(), "sdf" | "mol");
    let extras = record.properties.get("molfile").and_then(Value::as_object).filter(|_| own).unwrap_or(&none);
    let table = Writer { molecule, extras, aliases: own };
    table.losses(cx);
    let version = match cx.options().text("version") {
        "v2000" => match table.obstacle() {
            Some(what) => {
                return Err(Error::unsupported(format!("V2000 does not hold {what}"))
                    .with_hint("leave the option version to auto, or set it to v3000"));
            }
            None => 2000,
        },
        "v3000" => 3000,
        _ if table.obstacle().is_none() => 2000,
        _ => 3000,
    };
    table.header(version, out)?;
    let dropped = match version {
        2000 => table.v2000(out, cx)?,
        _ => table.v3000(out, cx)?,
    };
    cx.lose("molfile-lines", dropped, "lines of SGroups, collections or queries of the other version");
    writeln!(out, "M  END")?;
    let fields = record.properties.iter().filter(|(name, _)| !own || *name != "molfile");
    if !sdf {
        cx.lose("properties", fields.count() as u64, "properties");
        return Ok(());
    }
    let mut blank = 0;
    for (name, value) in fields {
        match value {
            Value::Array(values) if values.iter().all(Value::is_string) => {
                for value in values {
                    field(name, value, &mut blank, out)?;
                }
            }
            _ => field(name, value, &mut blank, out)?,
        }
    }
    cx.lose("blank-lines", blank, "values of data fields with a blank line, at which other readers end them");
    writeln!(out, "$$$$")?;
    Ok(())
}

/// A data field.
fn field(name: &str, value: &Value, blank: &mut u64, out: &mut Output) -> Result<()> {
    let name: String = name.chars().map(|c| if matches!(c, '<' | '>' | '\n' | '\r') { ' ' } else { c }).collect();
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    *blank += u64::from(text.lines().any(|line| line.trim().is_empty()));
    writeln!(out, ">  <{name}>")?;
    for line in text.lines() {
        // What would end the record or begin another field is moved by a blank.
        let guard = if line.starts_with("$$$$") || line.starts_with('>') { " " } else { "" };
        writeln!(out, "{guard}{line}")?;
    }
    writeln!(out)?;
    Ok(())
}

struct Writer<'m> {
    molecule: &'m Molecule,
    /// The property `molfile`.
    extras: &'m Map<String, Value>,
    /// Names of atoms are aliases.
    aliases: bool,
}

/// Text for one line.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

impl Writer<'_> {
    fn atoms(&self) -> &Atoms {
        &self.molecule.atoms
    }

    fn losses(&self, cx: &Context) {
        let (molecule, atoms) = (self.molecule, self.atoms());
        let named = atoms.names.iter().filter(|name| !name.is_empty()).count();
        losses::names(molecule, if self.aliases { 0 } else { named }, cx);
        losses::crystal(molecule, cx);
        losses::places(molecule, cx);
        losses::models(molecule, cx);
        losses::notation(molecule, cx);
        cx.lose("partial-charges", atoms.partial_charges.len() as u64, "partial charges");
        cx.lose("radii", atoms.radii.len() as u64, "radii");
        let types = atoms.types.iter().zip(&atoms.elements);
        let types = types.filter(|(kind, element)| !kind.is_empty() && **element != Element::UNKNOWN).count();
        cx.lose("types", types as u64, "atom types");
        let kept = |bond: &&Bond| bond.aromatic && bond.order != BondOrder::Aromatic;
        if molecule.bonds.iter().any(|bond| bond.order == BondOrder::Unknown) {
            cx.note("unknown-order", "bonds of unknown order are written as any (type 8), not as single ones");
        }
        let flagged = molecule.bonds.iter().filter(kept).count();
        cx.lose("aromatic-flags", flagged as u64, "aromatic flags of bonds that have an order");
        let sided = molecule.bonds.iter().filter(|bond| matches!(bond.stereo, BondStereo::Cis | BondStereo::Trans));
        cx.lose("bond-stereo", sided.count() as u64, "configurations of double bonds, which coordinates tell");
        let fourfold = molecule.bonds.iter().filter(|bond| bond.order == BondOrder::Quadruple).count();
        cx.lose("bond-order", fourfold as u64, "quadruple bonds, written as any");
    }

    /// What V2000 has no place for.
    fn obstacle(&self) -> Option<&'static str> {
        let (molecule, atoms) = (self.molecule, self.atoms());
        let lines = self.lines();
        if atoms.len() > 999 {
            Some("more than 999 atoms")
        } else if molecule.bonds.len() > 999 {
            Some("more than 999 bonds")
        } else if molecule.bonds.iter().any(|bond| bond.order == BondOrder::Dative) {
            Some("dative bonds")
        } else if self.positions().iter().flatten().any(|&value| !(-9999.0..99_999.0).contains(&value)) {
            Some("coordinates of more than ten columns")
        } else if atoms.map_numbers.iter().any(|&number| number > 999) {
            Some("atom numbers of more than three columns")
        } else if (0..atoms.len()).any(|index| self.query(index).is_none()) {
            Some("these query atoms")
        } else if lines.clone().next().is_some() && !lines.clone().all(is_v2000)
            || ["atom_attributes", "bond_attributes"].iter().any(|key| self.extras.contains_key(*key))
        {
            Some("blocks and attributes of V3000")
        } else {
            None
        }
    }

    fn lines(&self) -> impl Iterator<Item = &str> + Clone {
        let lines = self.extras.get("lines").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        lines.iter().filter_map(Value::as_str)
    }

    fn positions(&self) -> &[[f64; 3]] {
        self.molecule.models.first().map_or(&[], |model| &model.positions)
    }

    fn position(&self, index: usize) -> [f64; 3] {
        self.positions().get(index).copied().unwrap_or_default()
    }

    /// The symbol of an atom in V2000 and what stands in a line of its own; `None` if there is no such.
    fn query(&self, index: usize) -> Option<(&str, Option<Query<'_>>)> {
        let element = self.atoms().elements[index];
        if element != Element::UNKNOWN {
            return Some((element.symbol(), None));
        }
        let kind = self.kind(index);
        if let Some(group) = kind.strip_prefix('R').and_then(|group| group.parse().ok()).filter(|&group| group < 1000) {
            return Some(("R#", Some(Query::Group(group))));
        }
        let (not, rest) = kind.strip_prefix("NOT").map_or((false, kind), |rest| (true, rest.trim_start()));
        if let Some(list) = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let names: Vec<_> = list.split(',').map(str::trim).collect();
            let fits = names.len() <= 16 && names.iter().all(|name| name.len() <= 4);
            return fits.then_some(("L", Some(Query::List(not, names))));
        }
        let fits = kind.len() <= 3 && kind.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then_some((kind, None))
    }

    /// What a query atom stands for.
    fn kind(&self, index: usize) -> &str {
        self.atoms().types.get(index).map(|kind| kind.as_str()).filter(|kind| !kind.is_empty()).unwrap_or("*")
    }

    fn header(&self, version: u32, out: &mut Output) -> Result<()> {
        let comment = self.extras.get("comment").and_then(Value::as_str).unwrap_or_default();
        let stated = self.extras.get("dimensions").and_then(Value::as_str);
        let flat = self.positions().iter().all(|position| position[2] == 0.0);
        let dimensions = stated.unwrap_or(if flat { "2D" } else { "3D" });
        writeln!(out, "{}", line(&self.molecule.name))?;
        writeln!(out, "  mediary           {dimensions}")?;
        writeln!(out, "{}", line(comment))?;
        let (atoms, bonds) = if version == 2000 { (self.atoms().len(), self.molecule.bonds.len()) } else { (0, 0) };
        writeln!(out, "{atoms:3}{bonds:3}  0  0{:3}  0  0  0  0  0999 V{version}", u8::from(self.chiral()))?;
        Ok(())
    }

    fn chiral(&self) -> bool {
        self.extras.get("chiral") == Some(&Value::Bool(true))
    }

    /// The type of a bond as the format numbers it.
    fn bond_type(&self, index: usize) -> u64 {
        match self.molecule.bonds[index].order {
            BondOrder::Single => 1,
            BondOrder::Double => 2,
            BondOrder::Triple => 3,
            BondOrder::Aromatic => 4,
            BondOrder::Dative => 9,
            _ => {
                let stated = self.extras.get("query_bonds").and_then(|bonds| bonds.get((index + 1).to_string()));
                stated.and_then(Value::as_u64).filter(|kind| *kind < 100).unwrap_or(8)
            }
        }
    }

    /// Writes columns; says how many kept lines are dropped.
    fn v2000(&self, out: &mut Output, cx: &Context) -> Result<u64> {
        let atoms = self.atoms();
        let mut rounded = 0_u64;
        let (mut groups, mut lists) = (Vec::new(), Vec::new());
        for index in 0..atoms.len() {
            let mut text = String::with_capacity(72);
            for value in self.position(index) {
                let field = format!("{value:10.4}");
                rounded += u64::from(field.trim_start().parse() != Ok(value));
                text.push_str(&field);
            }
            let (symbol, query) = self.query(index).unwrap_or(("*", None));
            match query {
                Some(Query::Group(group)) => groups.push((index, group)),
                Some(Query::List(not, names)) => lists.push((index, not, names)),
                None => {}
            }
            let map = Atoms::value(&atoms.map_numbers, index, 0);
            writeln!(out, "{text} {symbol:<3} 0  0  0  0  0  0  0  0  0{map:3}  0  0")?;
        }
        cx.lose("precision", rounded, "coordinates of more than four decimals");
        for (index, bond) in self.molecule.bonds.iter().enumerate() {
            let stereo = match (bond.stereo, bond.order) {
                (BondStereo::Up, _) => 1,
                (BondStereo::Down, _) => 6,
                (BondStereo::Either, BondOrder::Double) => 3,
                (BondStereo::Either, _) => 4,
                _ => 0,
            };
            writeln!(out, "{:3}{:3}{:3}{stereo:3}", bond.a + 1, bond.b + 1, self.bond_type(index))?;
        }
        if self.aliases {
            for (index, name) in atoms.names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                writeln!(out, "A  {:3}\n{}", index + 1, line(name))?;
            }
        }
        pairs("CHG", sparse(&atoms.formal_charges), out)?;
        pairs("RAD", sparse(&atoms.radicals), out)?;
        pairs("ISO", sparse(&atoms.isotopes), out)?;
        pairs("RGP", groups, out)?;
        for (index, not, names) in lists {
            let flag = if not { 'T' } else { 'F' };
            let names: String = names.iter().map(|name| format!("{name:<4}")).collect();
            writeln!(out, "M  ALS {:3}{:3} {flag} {names}", index + 1, names.len() / 4)?;
        }
        let mut dropped = 0;
        for text in self.lines() {
            match text.split_once('\n') {
                // A group and its text.
                Some((group, label)) if is_v2000(text) => writeln!(out, "{group}\n{}", line(label))?,
                None if is_v2000(text) => writeln!(out, "{text}")?,
                _ => dropped += 1,
            }
        }
        Ok(dropped)
    }

    /// Writes words; says how many kept lines are dropped.
    fn v3000(&self, out: &mut Output, cx: &Context) -> Result<u64> {
        let atoms = self.atoms();
        let blocks = self.lines().filter(|text| !is_v2000(text));
        let groups = blocks.clone().filter(|text| *text == "BEGIN SGROUP").count();
        // The numbers of the file, where lines refer to them.
        let usable = atoms.serials.len() == atoms.len() && self.aliases;
        let number = |index: usize| if usable { atoms.serials[index] } else { index as i64 + 1 };
        let attributes = |key: &str, index: usize| {
            let text = self.extras.get(key).and_then(|values| values.get((index + 1).to_string()));
            text.and_then(Value::as_str).map_or(String::new(), |text| format!(" {}", line(text)))
        };
        words(out, "BEGIN CTAB")?;
        let chiral = u8::from(self.chiral());
        // The number of SGroups is that of the lines in their block which begin with a number.
        let mut inside = false;
        let sgroups = blocks.clone().filter(|text| {
            inside = (inside || *text == "BEGIN SGROUP") && *text != "END SGROUP";
            inside && text.starts_with(|first: char| first.is_ascii_digit())
        });
        let sgroups = if groups > 0 { sgroups.count() } else { 0 };
        words(out, &format!("COUNTS {} {} {sgroups} 0 {chiral}", atoms.len(), self.molecule.bonds.len()))?;
        words(out, "BEGIN ATOM")?;
        for index in 0..atoms.len() {
            if index % 16_384 == 0 {
                cx.checkpoint()?;
            }
            let [x, y, z] = self.position(index);
            let kind = match atoms.elements[index] {
                Element::UNKNOWN => self.kind(index),
                element => element.symbol(),
            };
            let (kind, group) = match kind.strip_prefix('R').and_then(|group| group.parse::<u32>().ok()) {
                Some(group) => ("R#", format!(" RGROUPS=(1 {group})")),
                None => (kind, String::new()),
            };
            let kind = quoted(line(kind));
            let mut text =
                format!("{} {kind} {x} {y} {z} {}", number(index), Atoms::value(&atoms.map_numbers, index, 0));
            for (key, value) in [
                ("CHG", i64::from(Atoms::value(&atoms.formal_charges, index, 0))),
                ("RAD", Atoms::value(&atoms.radicals, index, 0).into()),
                ("MASS", Atoms::value(&atoms.isotopes, index, 0).into()),
            ] {
                if value != 0 {
                    text.push_str(&format!(" {key}={value}"));
                }
            }
            words(out, &(text + &group + &attributes("atom_attributes", index)))?;
        }
        words(out, "END ATOM")?;
        if !self.molecule.bonds.is_empty() {
            words(out, "BEGIN BOND")?;
            for (index, bond) in self.molecule.bonds.iter().enumerate() {
                let stereo = match bond.stereo {
                    BondStereo::Up => " CFG=1",
                    BondStereo::Either => " CFG=2",
                    BondStereo::Down => " CFG=3",
                    _ => "",
                };
                let (a, b) = (number(bond.a as usize), number(bond.b as usize));
                let attributes = attributes("bond_attributes", index);
                words(out, &format!("{} {} {a} {b}{stereo}{attributes}", index + 1, self.bond_type(index)))?;
            }
            words(out, "END BOND")?;
        }
        for text in blocks {
            words(out, &line(text))?;
        }
        words(out, "END CTAB")?;
        let aliases = atoms.names.iter().filter(|name| self.aliases && !name.is_empty()).count();
        cx.lose("names", aliases as u64, "aliases of atoms, which V3000 does not have");
        Ok(self.lines().filter(|text| is_v2000(text)).count() as u64)
    }
}

/// What a query atom needs beside its symbol.
enum Query<'m> {
    Group(u32),
    /// Whether it is of elements that it does not stand for.
    List(bool, Vec<&'m str>),
}

/// Whether a kept line is one of V2000.
fn is_v2000(text: &str) -> bool {
    ["M  ", "G  ", "V  "].iter().any(|start| text.starts_with(start))
}

/// Entries of a column that are not the default.
fn sparse<T: Copy + Default + PartialEq>(column: &[T]) -> Vec<(usize, T)> {
    column.iter().copied().enumerate().filter(|(_, value)| *value != T::default()).collect()
}

/// `M  CHG` and its like: eight pairs a line.
fn pairs<T: std::fmt::Display>(name: &str, values: Vec<(usize, T)>, out: &mut Output) -> Result<()> {
    for eight in values.chunks(8) {
        write!(out, "M  {name}{:3}", eight.len())?;
        for (index, value) in eight {
            write!(out, " {:3} {value:3}", index + 1)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// A word of V3000: in quotes where it would be none by itself, quotes in it doubled.
fn quoted(text: String) -> String {
    let list = text.strip_prefix("NOT").unwrap_or(&text).strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match list.unwrap_or(&text).contains(|c: char| c.is_whitespace() || "\"()[]".contains(c)) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

/// A line of V3000, continued where it is too long.
fn words(out: &mut Output, text: &str) -> Result<()> {
    let mut rest = text;
    let room = WIDTH - "M  V30 ".len();
    while rest.len() > room {
        // The last byte is for the hyphen.
        let end = rest.floor_char_boundary(room - 1);
        writeln!(out, "M  V30 {}-", &rest[..end])?;
        rest = &rest[end..];
    }
    // A hyphen of its own at the end would be one.
    let continued = if rest.trim_end().ends_with('-') { "-\nM  V30 " } else { "" };
    writeln!(out, "M  V30 {}{continued}", rest.trim_end())?;
    Ok(())
}
