//! Names of items, and the rows of small categories, which are kept until their block ends.

use std::collections::HashMap;

use mediary_core::{Context, Result};
use smol_str::SmolStr;

use super::token::Value;
use crate::text::{float, word};

/// Categories of the core dictionary as names without a dot begin, the longer before the shorter.
#[rustfmt::skip]
const UNDOTTED: &[&str] = &[
    "atom_site_aniso", "atom_site_moment", "atom_site", "cell", "chemical_conn_bond", "chemical_formula", "chemical_name",
    "cod_database", "database_code", "diffrn", "exptl_crystal", "geom_bond", "publ", "space_group_magn",
    "space_group_symop_magn_centering", "space_group_symop_magn_operation", "space_group_symop", "space_group",
    "symmetry_equiv", "symmetry", "refln",
];

/// Category and item of a name, in lower case: `_atom_site.Cartn_x` is `("atom_site", "cartn_x")`, and so is
/// `_atom_site_Cartn_x`. A name without a dot whose category is not known has an empty one.
pub(crate) fn split(name: &[u8]) -> (String, String) {
    let name = String::from_utf8_lossy(&name[1..]).to_ascii_lowercase();
    if let Some((category, item)) = name.split_once('.') {
        // What magnetic files called this category at first.
        if let ("space_group_symop", Some((kind @ ("magn_operation" | "magn_centering"), item))) =
            (category, item.rsplit_once('_'))
        {
            return (format!("space_group_symop_{kind}"), item.to_owned());
        }
        return (category.to_owned(), item.to_owned());
    }
    let item = |category: &&&str| name.strip_prefix(**category).is_some_and(|rest| rest.starts_with('_'));
    match UNDOTTED.iter().filter(item).max_by_key(|category| category.len()) {
        Some(category) => ((*category).to_owned(), name[category.len() + 1..].to_owned()),
        None => (String::new(), name),
    }
}

/// The rows of a category.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) items: Vec<String>,
    pub(crate) rows: Vec<Vec<Option<SmolStr>>>,
}

impl Table {
    pub(crate) fn column(&self, item: &str) -> Option<usize> {
        self.items.iter().position(|known| known == item)
    }

    /// Value of `item` in the first row.
    pub(crate) fn first(&self, item: &str) -> Option<&SmolStr> {
        self.rows.first()?.get(self.column(item)?)?.as_ref()
    }

    /// A function that takes `item` from a row; empty where it is not given.
    pub(crate) fn item(&self, item: &str) -> impl Fn(&[Option<SmolStr>]) -> &str + use<> {
        let column = self.column(item);
        move |row: &[Option<SmolStr>]| column.and_then(|column| row.get(column)?.as_deref()).unwrap_or("")
    }

    /// [`Self::item`] of the first of `names` that the category has.
    pub(crate) fn any(&self, names: &[&str]) -> impl Fn(&[Option<SmolStr>]) -> &str + use<> {
        let name = names.iter().find(|name| self.column(name).is_some());
        self.item(name.unwrap_or(&""))
    }

    /// Puts a single item into the first row.
    pub(crate) fn set(&mut self, item: String, value: Value<'_>, cx: &Context) -> Result<()> {
        cx.budget().take(value.text.len() as u64 + 64)?;
        self.items.push(item);
        if self.rows.is_empty() {
            self.rows.push(Vec::new());
        }
        self.rows[0].push(value.given().map(word));
        Ok(())
    }

    /// Adds a row of values of a text.
    pub(crate) fn push(&mut self, row: &[Value<'_>], cx: &Context) -> Result<()> {
        self.add(row.iter().map(|value| value.given().map(word)).collect(), cx)
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, row: Vec<Option<SmolStr>>, cx: &Context) -> Result<()> {
        // Longer values than these are apart from their row.
        let apart = |value: &&SmolStr| value.len() > 23;
        let apart: u64 = row.iter().flatten().filter(apart).map(|value| value.len() as u64 + 16).sum();
        cx.budget().take(row.len() as u64 * 24 + 24 + apart)?;
        self.rows.push(row);
        Ok(())
    }
}

/// The categories of a block.
#[derive(Default)]
pub(crate) struct Tables(HashMap<String, Table>);

impl Tables {
    pub(crate) fn get(&self, category: &str) -> Option<&Table> {
        self.0.get(category)
    }

    /// The category, made if it is not there.
    pub(crate) fn entry(&mut self, category: String) -> &mut Table {
        self.0.entry(category).or_default()
    }

    pub(crate) fn insert(&mut self, category: String, table: Table) {
        self.0.insert(category, table);
    }

    /// Value of an item in its first row.
    pub(crate) fn first(&self, category: &str, item: &str) -> Option<&SmolStr> {
        self.get(category)?.first(item)
    }

    /// A number in the first row of a category.
    pub(crate) fn number(&self, category: &str, item: &str) -> Option<f64> {
        measured(self.first(category, item)?.as_bytes())
    }
}

/// A number, with or without its standard uncertainty, which is dropped: `10.123(4)`.
pub(crate) fn measured(field: &[u8]) -> Option<f64> {
    if field.last() != Some(&b')') {
        return float(field);
    }
    float(uncertain(field)?.0)
}

/// The number and the digits of its uncertainty.
fn uncertain(field: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = field.strip_suffix(b")")?;
    let open = inner.iter().position(|&byte| byte == b'(')?;
    let digits = &inner[open + 1..];
    (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then_some((&inner[..open], digits))
}

/// The standard uncertainty of a number, in its unit: 0.004 of `10.123(4)`.
pub(crate) fn uncertainty(field: &str) -> Option<f64> {
    let (number, digits) = uncertain(field.as_bytes())?;
    let decimals = number.iter().position(|&byte| byte == b'.').map_or(0, |point| number.len() - point - 1);
    // Written as a decimal number, it is rounded once.
    format!("{}e-{decimals}", std::str::from_utf8(digits).ok()?).parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_a_dot_are_the_same() {
        for (name, category, item) in [
            ("_atom_site.Cartn_x", "atom_site", "cartn_x"),
            ("_atom_site_fract_x", "atom_site", "fract_x"),
            ("_atom_site_aniso_U_11", "atom_site_aniso", "u_11"),
            ("_atom_site_moment_crystalaxis_x", "atom_site_moment", "crystalaxis_x"),
            ("_atom_site_moment.crystalaxis_x", "atom_site_moment", "crystalaxis_x"),
            ("_symmetry_equiv_pos_as_xyz", "symmetry_equiv", "pos_as_xyz"),
            ("_symmetry_space_group_name_H-M", "symmetry", "space_group_name_h-m"),
            ("_space_group_symop_magn_operation.xyz", "space_group_symop_magn_operation", "xyz"),
            ("_space_group_symop.magn_operation_xyz", "space_group_symop_magn_operation", "xyz"),
            ("_space_group_symop_operation_xyz", "space_group_symop", "operation_xyz"),
            ("_cells_x", "", "cells_x"),
            ("_cell", "", "cell"),
        ] {
            assert_eq!(split(name.as_bytes()), (category.to_owned(), item.to_owned()), "{name}");
        }
    }

    #[test]
    fn uncertainties_are_of_the_last_digits() {
        for (text, value, own) in [
            ("0.123(4)", Some(0.123), Some(0.004)),
            ("12(3)", Some(12.0), Some(3.0)),
            ("-1.50(12)", Some(-1.5), Some(0.12)),
            ("1.5", Some(1.5), None),
            ("1.5()", None, None),
            ("(2)", None, Some(2.0)),
        ] {
            assert_eq!((measured(text.as_bytes()), uncertainty(text)), (value, own), "{text}");
        }
    }
}
