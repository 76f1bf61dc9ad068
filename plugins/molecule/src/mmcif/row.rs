//! The items of `_atom_site` that are read.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use mediary_core::{Error, Result};

use super::token::Value;
use crate::text::{float, word};

/// Items of `_atom_site` that are read, and their places in a [`Row`].
#[rustfmt::skip]
pub(super) const READ: [&str; 30] = [
    "group_pdb", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id",
    "label_entity_id", "label_seq_id", "pdbx_pdb_ins_code", "cartn_x", "cartn_y", "cartn_z", "occupancy",
    "b_iso_or_equiv", "pdbx_formal_charge", "auth_seq_id", "auth_comp_id", "auth_asym_id", "auth_atom_id",
    "pdbx_pdb_model_num", "mediary_segment", "mediary_partial_charge", "mediary_radius", "mediary_isotope",
    "mediary_type", "mediary_hydrogens", "mediary_aromatic", "mediary_radical", "mediary_map_number",
];
pub(super) const GROUP: usize = 0;
pub(super) const ID: usize = 1;
pub(super) const SYMBOL: usize = 2;
pub(super) const LABEL_ATOM: usize = 3;
pub(super) const ALT: usize = 4;
pub(super) const LABEL_COMP: usize = 5;
pub(super) const LABEL_ASYM: usize = 6;
pub(super) const ENTITY: usize = 7;
pub(super) const LABEL_SEQ: usize = 8;
pub(super) const INSERTION: usize = 9;
pub(super) const X: usize = 10;
pub(super) const OCCUPANCY: usize = 13;
pub(super) const B_FACTOR: usize = 14;
pub(super) const CHARGE: usize = 15;
pub(super) const AUTH_SEQ: usize = 16;
pub(super) const AUTH_COMP: usize = 17;
pub(super) const AUTH_ASYM: usize = 18;
pub(super) const AUTH_ATOM: usize = 19;
pub(super) const MODEL: usize = 20;
pub(super) const SEGMENT: usize = 21;
pub(super) const PARTIAL: usize = 22;
pub(super) const RADIUS: usize = 23;
pub(super) const ISOTOPE: usize = 24;
pub(super) const TYPE: usize = 25;
pub(super) const HYDROGENS: usize = 26;
pub(super) const AROMATIC: usize = 27;
pub(super) const RADICAL: usize = 28;
pub(super) const MAP_NUMBER: usize = 29;

/// Columns of the items that are read.
pub(super) struct Layout(pub(super) [Option<usize>; READ.len()]);

impl Layout {
    pub(super) fn of(items: &[String]) -> Self {
        Self(READ.map(|item| items.iter().position(|known| known == item)))
    }

    pub(super) fn check(&self, line: u64) -> Result<()> {
        match (X..X + 3).find(|&item| self.0[item].is_none()) {
            None => Ok(()),
            Some(item) => Err(Error::unsupported(format!("expected _atom_site.{}, found no such item", READ[item]))
                .at_line(line + 1)
                .with_hint("only Cartesian coordinates are read")),
        }
    }

    pub(super) fn row<'a>(&self, values: &[Value<'a>]) -> Row<'a> {
        Row(self.0.map(|column| column.and_then(|column| values.get(column).copied())))
    }
}

/// The values of an atom.
#[derive(Default)]
pub(super) struct Row<'a>(pub(super) [Option<Value<'a>>; READ.len()]);

impl<'a> Row<'a> {
    /// A value; empty where it is not given.
    pub(super) fn get(&self, item: usize) -> &'a [u8] {
        self.0[item].and_then(Value::given).unwrap_or_default()
    }

    /// The first of two items that is given.
    pub(super) fn either(&self, first: usize, second: usize) -> &'a [u8] {
        let value = self.get(first);
        if value.is_empty() { self.get(second) } else { value }
    }

    /// The author's value, which may say that there is none; the label where the file has no such item.
    pub(super) fn author(&self, author: usize, label: usize) -> &'a [u8] {
        match self.0[author] {
            Some(value) if value.quoted || value.text != b"?" => value.given().unwrap_or_default(),
            _ => self.get(label),
        }
    }

    /// What tells atoms apart.
    pub(super) fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for item in [LABEL_ATOM, ALT, LABEL_COMP, LABEL_ASYM, LABEL_SEQ, AUTH_SEQ, INSERTION, AUTH_ASYM] {
            self.get(item).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// What tells residues apart.
    pub(super) fn residue(&self) -> [&'a [u8]; 6] {
        [LABEL_COMP, LABEL_ASYM, LABEL_SEQ, AUTH_SEQ, INSERTION, AUTH_ASYM].map(|item| self.get(item))
    }

    /// The coordinates; `None` where all three are not given.
    pub(super) fn position(&self, line: u64) -> Result<Option<[f64; 3]>> {
        if (X..X + 3).all(|item| self.get(item).is_empty()) {
            return Ok(None);
        }
        let number = |item: usize| {
            measured(self.get(item)).ok_or_else(|| {
                let found = word(self.get(item));
                Error::malformed(format!("expected a coordinate, found {found:?}")).at_line(line)
            })
        };
        Ok(Some([number(X)?, number(X + 1)?, number(X + 2)?]))
    }
}

/// A number, with or without its standard uncertainty, which is dropped: `10.123(4)`.
pub(super) fn measured(field: &[u8]) -> Option<f64> {
    let before_uncertainty = || {
        let inner = field.strip_suffix(b")")?;
        let open = inner.iter().position(|&byte| byte == b'(')?;
        let digits = &inner[open + 1..];
        (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then_some(&inner[..open])
    };
    float(before_uncertainty().unwrap_or(field))
}
