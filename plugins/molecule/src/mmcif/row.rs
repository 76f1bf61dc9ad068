//! The items of `_atom_site` that are read, and a row of them, whatever encodes it.

use mediary_core::{Error, Result};
use smol_str::SmolStr;

use crate::cif::table::measured;
use crate::cif::token::Value;
use crate::text::{integer, word};

/// Items of `_atom_site` that are read, by the constants below.
#[rustfmt::skip]
pub(crate) const READ: [&str; 30] = [
    "group_pdb", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id",
    "label_entity_id", "label_seq_id", "pdbx_pdb_ins_code", "cartn_x", "cartn_y", "cartn_z", "occupancy",
    "b_iso_or_equiv", "pdbx_formal_charge", "auth_seq_id", "auth_comp_id", "auth_asym_id", "auth_atom_id",
    "pdbx_pdb_model_num", "mediary_segment", "mediary_partial_charge", "mediary_radius", "mediary_isotope",
    "mediary_type", "mediary_hydrogens", "mediary_aromatic", "mediary_radical", "mediary_map_number",
];
pub(crate) const GROUP: usize = 0;
pub(crate) const ID: usize = 1;
pub(crate) const SYMBOL: usize = 2;
pub(crate) const LABEL_ATOM: usize = 3;
pub(crate) const ALT: usize = 4;
pub(crate) const LABEL_COMP: usize = 5;
pub(crate) const LABEL_ASYM: usize = 6;
pub(crate) const ENTITY: usize = 7;
pub(crate) const LABEL_SEQ: usize = 8;
pub(crate) const INSERTION: usize = 9;
pub(crate) const X: usize = 10;
pub(crate) const OCCUPANCY: usize = 13;
pub(crate) const B_FACTOR: usize = 14;
pub(crate) const CHARGE: usize = 15;
pub(crate) const AUTH_SEQ: usize = 16;
pub(crate) const AUTH_COMP: usize = 17;
pub(crate) const AUTH_ASYM: usize = 18;
pub(crate) const AUTH_ATOM: usize = 19;
pub(crate) const MODEL: usize = 20;
pub(crate) const SEGMENT: usize = 21;
pub(crate) const PARTIAL: usize = 22;
pub(crate) const RADIUS: usize = 23;
pub(crate) const ISOTOPE: usize = 24;
pub(crate) const TYPE: usize = 25;
pub(crate) const HYDROGENS: usize = 26;
pub(crate) const AROMATIC: usize = 27;
pub(crate) const RADICAL: usize = 28;
pub(crate) const MAP_NUMBER: usize = 29;

/// Items whose values are numbers and nothing else.
pub(crate) const NUMBERS: [usize; 14] =
    [ID, X, X + 1, X + 2, OCCUPANCY, B_FACTOR, CHARGE, MODEL, PARTIAL, RADIUS, ISOTOPE, HYDROGENS, RADICAL, MAP_NUMBER];

/// What tells residues apart, what changes most often first.
pub(crate) const PLACE: [usize; 6] = [LABEL_SEQ, AUTH_SEQ, LABEL_COMP, LABEL_ASYM, AUTH_ASYM, INSERTION];

/// The values of an atom.
pub(crate) trait Row {
    /// Whether there is such an item.
    fn has(&self, item: usize) -> bool;

    /// Whether the value is `?`, or there is no such item.
    fn is_unknown(&self, item: usize) -> bool;

    /// A value as text; empty where it is not given.
    fn text(&self, item: usize) -> &[u8];

    /// [`Self::text`], owned.
    fn word(&self, item: usize) -> SmolStr {
        word(self.text(item))
    }

    /// A whole number.
    fn integer(&self, item: usize) -> Option<i64> {
        integer(self.text(item))
    }

    /// A number.
    fn number(&self, item: usize) -> Option<f64> {
        measured(self.text(item))
    }

    /// A number that single precision holds.
    fn single(&self, item: usize) -> Option<f32> {
        self.number(item).map(|value| value as f32).filter(|value| value.is_finite())
    }

    /// Whether no value is given.
    fn is_missing(&self, item: usize) -> bool {
        self.text(item).is_empty()
    }

    /// The first of two items that is given.
    fn either(&self, first: usize, second: usize) -> &[u8] {
        let value = self.text(first);
        if value.is_empty() { self.text(second) } else { value }
    }

    /// Which of two items to take: the author's, which may say that there is none; the label where the file has no such item.
    fn author_item(&self, author: usize, label: usize) -> usize {
        if self.is_unknown(author) { label } else { author }
    }

    /// The author's value, which may say that there is none; the label where the file has no such item.
    fn author(&self, author: usize, label: usize) -> &[u8] {
        self.text(self.author_item(author, label))
    }

    /// Whether the row is known to be of the same residue as the row before.
    fn continues(&self) -> bool {
        false
    }

    /// The coordinates; `None` where all three are not given.
    fn position(&self, line: u64) -> Result<Option<[f64; 3]>> {
        match [self.number(X), self.number(X + 1), self.number(X + 2)] {
            [Some(x), Some(y), Some(z)] => Ok(Some([x, y, z])),
            _ if (X..X + 3).all(|item| self.is_missing(item)) => Ok(None),
            found => {
                let bad = X + found.iter().position(Option::is_none).unwrap_or(0);
                let found = word(self.text(bad));
                Err(Error::malformed(format!("expected a coordinate, found {found:?}")).at_line(line))
            }
        }
    }
}

/// Columns of the items that are read.
pub(crate) struct Layout {
    /// Index of the column of each item; that of the value behind the last where there is no such item.
    columns: [u32; READ.len()],
    width: u32,
    /// The coordinates are fractions of the edges of the cell.
    pub(crate) is_fractional: bool,
}

impl Layout {
    /// `None` without coordinates.
    pub(crate) fn of(items: &[String]) -> Option<Self> {
        let width = items.len() as u32;
        let place = |name: &str| items.iter().position(|known| known == name).map(|column| column as u32);
        let mut columns = READ.map(|item| place(item).unwrap_or(width));
        let mut is_fractional = false;
        if columns[X..X + 3].contains(&width) {
            is_fractional = true;
            for (axis, name) in ["fract_x", "fract_y", "fract_z"].into_iter().enumerate() {
                columns[X + axis] = place(name)?;
            }
        }
        Some(Self { columns, width, is_fractional })
    }

    /// A row of `values`, behind which stands [`Value::UNKNOWN`].
    pub(crate) fn row<'a, 'v>(&'v self, values: &'v [Value<'a>]) -> TextRow<'a, 'v> {
        TextRow { values, layout: self }
    }
}

/// A row of values as a text has them.
#[derive(Clone, Copy)]
pub(crate) struct TextRow<'a, 'v> {
    values: &'v [Value<'a>],
    layout: &'v Layout,
}

impl<'a> TextRow<'a, '_> {
    fn value(&self, item: usize) -> Value<'a> {
        self.values.get(self.layout.columns[item] as usize).copied().unwrap_or(Value::UNKNOWN)
    }
}

impl Row for TextRow<'_, '_> {
    fn has(&self, item: usize) -> bool {
        self.layout.columns[item] < self.layout.width
    }

    fn is_unknown(&self, item: usize) -> bool {
        let value = self.value(item);
        !value.quoted && value.text == b"?"
    }

    fn text(&self, item: usize) -> &[u8] {
        self.value(item).given().unwrap_or_default()
    }
}
