//! Small categories, kept until the block ends.

use smol_str::SmolStr;

/// The rows of a category.
#[derive(Default)]
pub(super) struct Table {
    pub(super) items: Vec<String>,
    pub(super) rows: Vec<Vec<Option<SmolStr>>>,
}

impl Table {
    pub(super) fn column(&self, item: &str) -> Option<usize> {
        self.items.iter().position(|known| known == item)
    }

    /// Value of `item` in the first row.
    pub(super) fn first(&self, item: &str) -> Option<&SmolStr> {
        self.rows.first()?.get(self.column(item)?)?.as_ref()
    }

    /// A function that takes `item` from a row.
    pub(super) fn item<'t>(&'t self, item: &str) -> impl Fn(&'t [Option<SmolStr>]) -> &'t str + use<'t> {
        let column = self.column(item);
        move |row| column.and_then(|column| row.get(column)?.as_deref()).unwrap_or("")
    }
}

/// Category and item of a name, in lower case: `_atom_site.Cartn_x` is `("atom_site", "cartn_x")`.
pub(super) fn split(name: &[u8]) -> (String, String) {
    let name = String::from_utf8_lossy(&name[1..]).to_ascii_lowercase();
    match name.split_once('.') {
        Some((category, item)) => (category.to_owned(), item.to_owned()),
        None => (String::new(), name),
    }
}
