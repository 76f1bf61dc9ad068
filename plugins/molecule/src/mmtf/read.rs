//! The reader: fields into columns, columns into records.

use mediary_core::record::molecule::{Cell, Element};
use mediary_core::{Context, Error, ErrorKind, FormatReader, Location, MediaRecord, Result, Source, SourceBytes};
use serde_json::Map;
use smol_str::SmolStr;

use super::FIELDS;
use super::build::Build;
use super::codec::{Column, decimal, json};
use crate::columns::Unusual;
use crate::elements::{by_symbol, isotope};
use crate::msgpack::{Decoder, Value};
use crate::records::{Parse, Records};
use crate::text::word;

/// The version of the specification that this reader follows.
const VERSION: (u64, u64) = (1, 1);

pub(super) fn open(source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
    Ok(Box::new(Records::new(source, cx, Reader { cx: cx.clone(), build: None })))
}

struct Reader {
    cx: Context,
    build: Option<Build>,
}

impl Parse for Reader {
    fn next(&mut self, bytes: &SourceBytes) -> Result<Option<MediaRecord>> {
        if self.build.is_none() {
            self.build = Some(Build::new(read(bytes, &self.cx)?, &self.cx)?);
        }
        self.build.as_mut().map_or(Ok(None), |build| build.next(&self.cx))
    }

    fn is_done(&self, _bytes: &[u8]) -> bool {
        self.build.as_ref().is_some_and(Build::is_done)
    }

    fn none(&self) -> Error {
        Error::malformed("expected a model, found none")
    }
}

/// A bond: two atoms, the lower first, order and resonance.
pub(super) type BondRow = (u32, u32, i32, i32);

/// Atoms and bonds that groups share.
#[derive(Default)]
pub(super) struct GroupType {
    pub(super) name: SmolStr,
    /// Whether it links into a polymer, by its component.
    pub(super) links: bool,
    pub(super) names: Vec<SmolStr>,
    pub(super) elements: Vec<Element>,
    pub(super) isotopes: Vec<u16>,
    pub(super) charges: Vec<i8>,
    /// By their atoms.
    pub(super) bonds: Vec<BondRow>,
    /// The first group type with the same name and atoms.
    pub(super) same_as: usize,
}

/// Everything that the file holds, decoded.
#[derive(Default)]
pub(super) struct Structure {
    pub(super) name: String,
    pub(super) properties: Map<String, serde_json::Value>,
    pub(super) cell: Option<Cell>,
    pub(super) space_group: Option<String>,
    pub(super) types: Vec<GroupType>,
    pub(super) chains_per_model: Vec<u32>,
    pub(super) groups_per_chain: Vec<u32>,
    pub(super) chain_ids: Vec<SmolStr>,
    pub(super) chain_names: Vec<SmolStr>,
    /// Entity of each chain, from 1; 0 for none. Whether the entity is a polymer, if it says.
    pub(super) entities: Vec<(u32, Option<bool>)>,
    pub(super) group_types: Vec<u32>,
    pub(super) group_numbers: Vec<i32>,
    pub(super) insertions: Vec<char>,
    pub(super) sequence: Vec<i32>,
    pub(super) secondary: Vec<i32>,
    pub(super) positions: Vec<[f64; 3]>,
    pub(super) serials: Vec<i64>,
    pub(super) altlocs: Vec<char>,
    pub(super) occupancies: Vec<f32>,
    pub(super) b_factors: Vec<f32>,
    /// Bonds between groups, by their atoms.
    pub(super) bonds: Vec<BondRow>,
}

fn wrong(name: &str, expected: &str, found: &str) -> Error {
    Error::malformed(format!("expected {expected}, found {found}")).at_element(name)
}

/// A map of fields.
struct Fields<'a, 'c> {
    map: Value<'a>,
    cx: &'c Context,
}

impl<'a> Fields<'a, '_> {
    fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.map.get(name).filter(|value| **value != Value::Nil)
    }

    fn need(&self, name: &str) -> Result<&Value<'a>> {
        self.get(name).ok_or_else(|| wrong(name, "a required field", "none"))
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>> {
        let text = |value: &Value<'a>| value.text().ok_or_else(|| wrong(name, "text", value.name()));
        self.get(name).map(text).transpose()
    }

    fn number(&self, name: &str) -> Result<Option<f64>> {
        let number = |value: &Value<'_>| value.number().ok_or_else(|| wrong(name, "a number", value.name()));
        self.get(name).map(number).transpose()
    }

    fn count(&self, name: &str) -> Result<u64> {
        let value = self.need(name)?;
        let count = value.integer().and_then(|count| u64::try_from(count).ok());
        let count = count.ok_or_else(|| wrong(name, "a count", value.name()))?;
        self.cx.limits().check("elements", count)?;
        Ok(count)
    }

    fn list(&self, name: &str) -> Result<&[Value<'a>]> {
        let value = self.need(name)?;
        value.array().ok_or_else(|| wrong(name, "an array", value.name()))
    }

    /// Counts of an array that add up to `total`.
    fn counts(&self, name: &str, total: u64) -> Result<Vec<u32>> {
        let list = self.list(name)?;
        self.cx.budget().take(list.len() as u64 * 4)?;
        let count = |value: &Value<'_>| value.integer().and_then(|count| u32::try_from(count).ok());
        let counts: Option<Vec<u32>> = list.iter().map(count).collect();
        let counts = counts.ok_or_else(|| wrong(name, "counts", "something else"))?;
        let sum: u64 = counts.iter().map(|&count| u64::from(count)).sum();
        match sum == total {
            true => Ok(counts),
            false => Err(wrong(name, &format!("a sum of {total}"), &sum.to_string())),
        }
    }

    /// The packed column of a field: `count` values of `bytes` in memory, paid for. `None` where the field is absent or empty.
    fn column<'f>(&'f self, name: &'f str, count: u64, bytes: u64) -> Result<Option<Values<'f, 'a>>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let values = match value {
            Value::Array(values) => {
                let message = format!("expected a packed column of {name}, found a plain array: taken as it is");
                self.cx.tolerate("plain-array", message, Location::element(name))?;
                Values::Plain(values, name)
            }
            _ => match value.bytes() {
                Some([]) => return Ok(None),
                Some(bytes) => Values::Packed(Column::of(bytes, name)?),
                None => return Err(wrong(name, "a packed column", value.name())),
            },
        };
        let length = values.length();
        if length == 0 && count > 0 {
            return Ok(None);
        }
        if length != count {
            return Err(wrong(name, &format!("{count} values"), &length.to_string()));
        }
        self.cx.checkpoint()?;
        self.cx.budget().take(count.saturating_mul(bytes))?;
        Ok(Some(values))
    }

    fn integers<T>(&self, name: &str, count: u64, make: impl Fn(i32) -> T) -> Result<Vec<T>> {
        let mut made = Vec::new();
        if let Some(column) = self.column(name, count, size_of::<T>() as u64)? {
            made.reserve_exact(count as usize);
            column.integers(|values| made.extend(values.iter().map(|&value| make(value))))?;
        }
        Ok(made)
    }

    /// Integers that are left out as long as they are the usual ones.
    fn unusual<T: PartialEq>(
        &self,
        name: &str,
        count: u64,
        usual: impl Fn(usize) -> T,
        make: impl Fn(i32) -> T,
    ) -> Result<Vec<T>> {
        let mut made = Unusual::new(count, usual);
        if let Some(column) = self.column(name, count, size_of::<T>() as u64)? {
            column.integers(|values| made.extend(values.iter().map(|&value| make(value))))?;
        }
        Ok(made.into_values())
    }

    fn characters(&self, name: &str, count: u64) -> Result<Vec<char>> {
        let character = |code| u32::try_from(code).ok().and_then(char::from_u32).filter(|&text| text != ' ');
        self.unusual(name, count, |_| '\0', |code| character(code).unwrap_or('\0'))
    }

    /// Numbers that are left out as long as they are `usual`.
    fn singles(&self, name: &str, count: u64, usual: f32) -> Result<Vec<f32>> {
        let mut made = Unusual::new(count, |_| usual);
        if let Some(column) = self.column(name, count, size_of::<f32>() as u64)? {
            column.numbers(|values| made.extend(values.iter().map(|&value| value as f32)))?;
        }
        let made = made.into_values();
        if made.iter().any(|value| !value.is_finite()) {
            return Err(wrong(name, "finite numbers", "others"));
        }
        Ok(made)
    }

    fn strings(&self, name: &str, count: u64) -> Result<Vec<SmolStr>> {
        let mut made = Vec::new();
        if let Some(column) = self.column(name, count, size_of::<SmolStr>() as u64)? {
            column.strings(|text| made.push(text))?;
        }
        Ok(made)
    }
}

/// The values of a column.
enum Values<'f, 'a> {
    Packed(Column<'f>),
    Plain(&'f [Value<'a>], &'f str),
}

impl Values<'_, '_> {
    fn length(&self) -> u64 {
        match self {
            Self::Packed(column) => column.length,
            Self::Plain(values, _) => values.len() as u64,
        }
    }

    fn integers(&self, mut put: impl FnMut(&[i32])) -> Result<()> {
        let (values, name) = match self {
            Self::Packed(column) => return column.integers(put),
            Self::Plain(values, name) => (values, name),
        };
        for value in *values {
            // Characters may be texts.
            let first = value.text().map(|text| text.chars().next().map_or(0, |first| i64::from(u32::from(first))));
            let number = first.or(value.integer()).and_then(|number| i32::try_from(number).ok());
            put(&[number.ok_or_else(|| wrong(name, "integers", value.name()))?]);
        }
        Ok(())
    }

    fn numbers(&self, mut put: impl FnMut(&[f64])) -> Result<()> {
        match self {
            Self::Packed(column) => column.numbers(put),
            Self::Plain(values, name) => values.iter().try_for_each(|value| {
                put(&[value.number().ok_or_else(|| wrong(name, "numbers", value.name()))?]);
                Ok(())
            }),
        }
    }

    fn strings(&self, mut put: impl FnMut(SmolStr)) -> Result<()> {
        match self {
            Self::Packed(column) => column.strings(put),
            Self::Plain(values, name) => values.iter().try_for_each(|value| {
                put(value.bytes().map(word).ok_or_else(|| wrong(name, "texts", value.name()))?);
                Ok(())
            }),
        }
    }
}

/// Reads the whole file.
fn read(bytes: &[u8], cx: &Context) -> Result<Structure> {
    let mut decoder = Decoder::new(bytes, cx);
    let map = decoder.value()?;
    if !matches!(map, Value::Map(_)) {
        return Err(Error::malformed(format!("expected a map of fields, found {}", map.name())).at_byte(0));
    }
    let rest = bytes.len() - decoder.position();
    if rest > 0 {
        let message = format!("expected the end behind the map, found {rest} more bytes: passed over");
        cx.tolerate("trailing-bytes", message, Location::byte(decoder.position() as u64))?;
    }
    let fields = Fields { map, cx };
    version(&fields)?;
    let atoms = fields.count("numAtoms")?;
    let groups = fields.count("numGroups")?;
    let chains = fields.count("numChains")?;
    let models = fields.count("numModels")?;
    let mut all = Structure {
        chains_per_model: fields.counts("chainsPerModel", chains)?,
        groups_per_chain: fields.counts("groupsPerChain", groups)?,
        types: group_types(&fields)?,
        ..Structure::default()
    };
    for (name, expected, found) in [
        ("chainsPerModel", models, all.chains_per_model.len() as u64),
        ("groupsPerChain", chains, all.groups_per_chain.len() as u64),
    ] {
        if expected != found {
            return Err(wrong(name, &format!("{expected} values"), &found.to_string()));
        }
    }
    all.group_types = fields.integers("groupTypeList", groups, |index| index as u32)?;
    if all.group_types.len() as u64 != groups {
        return Err(wrong("groupTypeList", &format!("{groups} values"), "none"));
    }
    // Groups say how many atoms there are, before any memory is asked for them.
    let mut sum = 0_u64;
    for (index, &group) in all.group_types.iter().enumerate() {
        let Some(kind) = all.types.get(group as usize) else {
            let count = all.types.len();
            return Err(wrong(
                &format!("groupTypeList[{index}]"),
                &format!("an index below {count}"),
                &(group as i32).to_string(),
            ));
        };
        sum += kind.names.len() as u64;
    }
    if sum != atoms {
        return Err(wrong("numAtoms", &format!("the {sum} atoms of all groups"), &atoms.to_string()));
    }
    all.group_numbers = fields.integers("groupIdList", groups, |number| number)?;
    all.insertions = fields.characters("insCodeList", groups)?;
    all.sequence = fields.integers("sequenceIndexList", groups, |index| index)?;
    // It may stand for the first model alone.
    let first: u64 = all
        .chains_per_model
        .first()
        .map_or(0, |&count| all.groups_per_chain.iter().take(count as usize).map(|&count| u64::from(count)).sum());
    let stated = fields.column("secStructList", groups, 0).or_else(|_| fields.column("secStructList", first, 0))?;
    let stated = stated.map_or(0, |column| column.length());
    all.secondary = fields.integers("secStructList", stated, |code| code)?;
    all.chain_ids = fields.strings("chainIdList", chains)?;
    all.chain_names = fields.strings("chainNameList", chains)?;
    positions(&fields, atoms, &mut all)?;
    // Those of another model do not begin with 1.
    let serial = |index: usize| if models == 1 { index as i64 + 1 } else { i64::MIN };
    all.serials = fields.unusual("atomIdList", atoms, serial, i64::from)?;
    all.altlocs = fields.characters("altLocList", atoms)?;
    all.occupancies = fields.singles("occupancyList", atoms, 1.0)?;
    all.b_factors = fields.singles("bFactorList", atoms, 0.0)?;
    bonds(&fields, atoms, &mut all)?;
    entities(&fields, &mut all)?;
    header(&fields, &mut all)?;
    Ok(all)
}

fn version(fields: &Fields<'_, '_>) -> Result<()> {
    let Some(text) = fields.text("mmtfVersion")? else {
        return fields.cx.tolerate(
            "version",
            "expected a version in mmtfVersion, found none: 1.1 is taken",
            Location::element("mmtfVersion"),
        );
    };
    let mut parts = text.split('.').map(|part| part.parse::<u64>().ok());
    let (major, minor) = (parts.next().flatten(), parts.next().flatten().unwrap_or(0));
    let location = Location::element("mmtfVersion");
    match major {
        None => {
            let message = format!("expected a version such as 1.1, found {text:?}: 1.1 is taken");
            fields.cx.tolerate("version", message, location)
        }
        Some(major) if major > VERSION.0 => {
            let error = Error::unsupported(format!("expected version 1, found {text:?}, which may break with it"));
            fields.cx.unless_lenient("version", error.at(location).with_hint("--lenient reads it as version 1.1"))
        }
        Some(major) if (major, minor) > VERSION => {
            let message = format!("version {text:?} is later than 1.1: fields that it adds are passed over");
            fields.cx.warn_at("version", message, location);
            Ok(())
        }
        Some(_) => Ok(()),
    }
}

fn group_types(fields: &Fields<'_, '_>) -> Result<Vec<GroupType>> {
    let list = fields.list("groupList")?;
    fields.cx.budget().take(list.len() as u64 * size_of::<GroupType>() as u64)?;
    let mut types: Vec<GroupType> = Vec::with_capacity(list.len());
    let mut known = std::collections::HashMap::new();
    for (index, value) in list.iter().enumerate() {
        if index % 1024 == 0 {
            fields.cx.checkpoint()?;
        }
        let path = |field: &str| format!("groupList[{index}].{field}");
        let mut group = group_type(value, fields.cx, path)?;
        let identity = (group.name.clone(), group.names.clone(), group.elements.clone(), group.charges.clone());
        group.same_as = *known.entry(identity).or_insert(index);
        types.push(group);
    }
    Ok(types)
}

fn group_type(value: &Value<'_>, cx: &Context, path: impl Fn(&str) -> String) -> Result<GroupType> {
    let list = |field: &str, needed: bool| match value.get(field) {
        Some(Value::Array(values)) => Ok(values.as_slice()),
        None | Some(Value::Nil) if !needed => Ok(&[][..]),
        other => Err(wrong(&path(field), "an array", other.map_or("none", Value::name))),
    };
    let text = |field: &str| match value.get(field) {
        Some(text @ (Value::Text(_) | Value::Bytes(_))) => Ok(text.bytes().map(word).unwrap_or_default()),
        None | Some(Value::Nil) => Ok(SmolStr::default()),
        Some(other) => Err(wrong(&path(field), "text", other.name())),
    };
    let names = list("atomNameList", true)?;
    let count = names.len();
    cx.budget().take(count as u64 * 2 * (size_of::<SmolStr>() as u64 + 4))?;
    let column = |field: &str| {
        let values = list(field, false)?;
        if !values.is_empty() && values.len() != count {
            return Err(wrong(&path(field), &format!("{count} values"), &values.len().to_string()));
        }
        Ok(values)
    };
    let component = text("chemCompType")?.to_ascii_uppercase();
    let links = ["LINKING", "TERMINUS", "PEPTIDE"].iter().any(|word| component.contains(word));
    let mut group = GroupType { name: text("groupName")?, links, ..GroupType::default() };
    for value in names {
        group.names.push(value.bytes().map(word).ok_or_else(|| wrong(&path("atomNameList"), "texts", value.name()))?);
    }
    for value in column("elementList")? {
        let symbol = value.bytes().ok_or_else(|| wrong(&path("elementList"), "texts", value.name()))?.trim_ascii();
        let element = by_symbol(symbol);
        if element.is_none() && !matches!(symbol, b"" | b"X" | b"x") {
            let message = format!("expected the symbol of an element, found {:?}: unknown", word(symbol));
            cx.tolerate("no-element", message, Location::element(path("elementList")))?;
        }
        group.elements.push(element.unwrap_or_default());
        group.isotopes.push(isotope(symbol));
    }
    group.elements.resize(count, Element::UNKNOWN);
    group.isotopes.resize(count, 0);
    for value in column("formalChargeList")? {
        let charge = value.integer().and_then(|charge| i8::try_from(charge).ok());
        group.charges.push(charge.ok_or_else(|| wrong(&path("formalChargeList"), "charges", value.name()))?);
    }
    let pairs = list("bondAtomList", false)?;
    let (orders, resonances) = (list("bondOrderList", false)?, list("bondResonanceList", false)?);
    cx.budget().take(pairs.len() as u64 * 8)?;
    for (index, pair) in pairs.chunks(2).enumerate() {
        let atom = |value: &Value<'_>| value.integer().and_then(|atom| u32::try_from(atom).ok());
        let ends = match pair {
            [a, b] => atom(a).zip(atom(b)).filter(|&(a, b)| a.max(b) < count as u32 && a != b),
            _ => None,
        };
        let Some((a, b)) = ends else {
            let message = format!("expected pairs of different atoms below {count}, found others: set aside");
            cx.tolerate("bond", message, Location::element(path("bondAtomList")))?;
            continue;
        };
        let of = |list: &[Value<'_>]| list.get(index).and_then(Value::integer).map_or(-1, |value| value as i32);
        group.bonds.push((a.min(b), a.max(b), of(orders), of(resonances)));
    }
    // In order, so that those of the molecule are nearly so.
    group.bonds.sort_by_key(|&(a, b, ..)| (a, b));
    Ok(group)
}

fn positions(fields: &Fields<'_, '_>, atoms: u64, all: &mut Structure) -> Result<()> {
    fields.cx.budget().take(atoms.saturating_mul(size_of::<[f64; 3]>() as u64))?;
    for (axis, name) in ["xCoordList", "yCoordList", "zCoordList"].into_iter().enumerate() {
        let Some(column) = fields.column(name, atoms, 0)? else {
            if atoms == 0 {
                return Ok(());
            }
            return Err(wrong(name, "a required field", "none"));
        };
        let mut finite = true;
        if axis == 0 {
            all.positions.reserve_exact(atoms as usize);
            column.numbers(|values| {
                finite &= values.iter().all(|value| value.is_finite());
                all.positions.extend(values.iter().map(|&x| [x, 0.0, 0.0]));
            })?;
        } else {
            let mut places = all.positions.iter_mut();
            column.numbers(|values| {
                finite &= values.iter().all(|value| value.is_finite());
                values.iter().zip(&mut places).for_each(|(&value, place)| place[axis] = value);
            })?;
        }
        if !finite {
            return Err(wrong(name, "finite coordinates", "others"));
        }
    }
    Ok(())
}

fn bonds(fields: &Fields<'_, '_>, atoms: u64, all: &mut Structure) -> Result<()> {
    let cx = fields.cx;
    let length = |name: &str| match fields.get(name) {
        None => Ok(0),
        Some(Value::Array(values)) => Ok(values.len() as u64),
        Some(value) => match value.bytes() {
            Some([]) => Ok(0),
            Some(bytes) => Ok(Column::of(bytes, name)?.length),
            None => Err(wrong(name, "a packed column", value.name())),
        },
    };
    let count = length("bondAtomList")?;
    cx.limits().check("elements", count)?;
    let pairs = fields.integers("bondAtomList", count, |atom| atom)?;
    let column = |name: &str| match length(name)? {
        0 => Ok(Vec::new()),
        _ => fields.integers(name, count / 2, |value| value),
    };
    let (orders, resonances) = (column("bondOrderList")?, column("bondResonanceList")?);
    cx.budget().take(count.saturating_mul(8))?;
    all.bonds.reserve_exact(pairs.len() / 2);
    let mut strays = u64::from(!count.is_multiple_of(2));
    for (index, pair) in pairs.as_chunks::<2>().0.iter().enumerate() {
        let [a, b] = pair.map(|atom| u64::try_from(atom).ok().filter(|&atom| atom < atoms));
        match (a, b) {
            (Some(a), Some(b)) if a != b => {
                let of = |list: &[i32]| list.get(index).copied().unwrap_or(-1);
                all.bonds.push((a.min(b) as u32, a.max(b) as u32, of(&orders), of(&resonances)));
            }
            _ => strays += 1,
        }
    }
    all.bonds.sort_by_key(|&(a, b, ..)| (a, b));
    if strays > 0 {
        let message = format!("expected pairs of different atoms below {atoms}, found {strays} others: set aside");
        cx.tolerate("bond", message, Location::element("bondAtomList"))?;
    }
    let within: u64 = all.group_types.iter().map(|&group| all.types[group as usize].bonds.len() as u64).sum();
    let (stated, found) = (fields.count("numBonds")?, within + all.bonds.len() as u64 + strays);
    // Of the first files, which do without bonds between groups, some count otherwise.
    if stated != found {
        let message = format!("expected {stated} bonds, as numBonds says, found {found}");
        cx.tolerate("bond-count", message, Location::element("numBonds"))?;
    }
    Ok(())
}

fn entities(fields: &Fields<'_, '_>, all: &mut Structure) -> Result<()> {
    let Some(list) = fields.get("entityList") else { return Ok(()) };
    let list = list.array().ok_or_else(|| wrong("entityList", "an array", list.name()))?;
    let chains = all.groups_per_chain.len();
    fields.cx.budget().take(chains as u64 * 8)?;
    all.entities = vec![(0, None); chains];
    for (number, entity) in (1..).zip(list) {
        let kind = entity.get("type").and_then(Value::text).filter(|kind| !kind.is_empty());
        let polymer = kind.map(|kind| kind == "polymer");
        for chain in entity.get("chainIndexList").and_then(Value::array).unwrap_or_default() {
            let chain = chain.integer().and_then(|chain| usize::try_from(chain).ok());
            match chain.and_then(|chain| all.entities.get_mut(chain)) {
                Some(slot) => *slot = (number, polymer),
                None => fields.cx.tolerate(
                    "entity",
                    format!("expected chains below {chains}, found others: set aside"),
                    Location::element(format!("entityList[{}].chainIndexList", number - 1)),
                )?,
            }
        }
    }
    Ok(())
}

/// Name, cell and properties.
fn header(fields: &Fields<'_, '_>, all: &mut Structure) -> Result<()> {
    let cx = fields.cx;
    let title = fields.text("title")?;
    all.name = fields.text("structureId")?.or(title).unwrap_or_default().to_owned();
    all.space_group = fields.text("spaceGroup")?.filter(|symbol| !symbol.is_empty()).map(ToOwned::to_owned);
    if let Some(cell) = fields.get("unitCell") {
        let numbers = |values: &[Value<'_>]| values.iter().map(|value| value.number().map(decimal)).collect();
        let numbers: Option<Vec<f64>> = cell.array().and_then(numbers);
        match numbers.as_deref() {
            Some(&[a, b, c, alpha, beta, gamma]) => {
                // Edges of 1 (or 0) Å stand for "no crystal".
                let crystal = [a, b, c].iter().all(|&edge| edge > 0.0) && [a, b, c].iter().any(|&edge| edge > 1.0);
                let cell = Cell { lengths: [a, b, c], angles: [alpha, beta, gamma] };
                all.cell = Some(cell).filter(|_| crystal);
            }
            Some([]) => {}
            _ => cx.tolerate(
                "cell",
                "expected six numbers of a cell, found others: no cell is taken",
                Location::element("unitCell"),
            )?,
        }
    }
    let mut keep = |name: &str, value: serde_json::Value| drop(all.properties.insert(name.to_owned(), value));
    for (field, name) in [
        ("structureId", "id"),
        ("title", "title"),
        ("depositionDate", "deposition_date"),
        ("releaseDate", "release_date"),
        ("mmtfVersion", "version"),
        ("mmtfProducer", "producer"),
    ] {
        if let Some(text) = fields.text(field)?.filter(|text| !text.is_empty()) {
            keep(name, text.into());
        }
    }
    for (field, name) in [("resolution", "resolution"), ("rFree", "r_free"), ("rWork", "r_work")] {
        if let Some(number) = fields.number(field)? {
            keep(name, decimal(number).into());
        }
    }
    if let Some(methods) = fields.get("experimentalMethods").and_then(Value::array) {
        let methods: Vec<_> = methods.iter().filter_map(Value::text).collect();
        if !methods.is_empty() {
            keep("method", methods.join("; ").into());
        }
    }
    let others = [
        ("entityList", "entities"),
        ("bioAssemblyList", "assemblies"),
        ("ncsOperatorList", "ncs_operators"),
        ("bondProperties", "bondProperties"),
        ("atomProperties", "atomProperties"),
        ("groupProperties", "groupProperties"),
        ("chainProperties", "chainProperties"),
        ("modelProperties", "modelProperties"),
        ("extraProperties", "extraProperties"),
    ];
    for (field, name) in others {
        let is_empty = |value: &Value<'_>| matches!(value, Value::Array(list) if list.is_empty());
        let Some(value) = fields.get(field).filter(|value| !is_empty(value)) else { continue };
        match json(value, field, cx) {
            Ok(value) => keep(name, value),
            Err(error) if error.kind() == ErrorKind::Limit => return Err(error),
            Err(error) => cx.warn_at("properties", format!("{field} is set aside: {error}"), Location::element(field)),
        }
    }
    let Value::Map(pairs) = &fields.map else { return Ok(()) };
    let is_other = |key: &&Value<'_>| key.text().is_none_or(|key| key != "extraProperties" && !FIELDS.contains(&key));
    let others: Vec<_> = pairs.iter().map(|(key, _)| key).filter(is_other).collect();
    if let Some(first) = others.first() {
        let message = format!("fields that are not in the specification are set aside, such as {:?}", first.text());
        cx.report_times(mediary_core::Severity::Info, "unknown-field", message, None, others.len() as u64);
    }
    Ok(())
}
