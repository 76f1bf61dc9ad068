//! The writer: the categories of mmCIF, each gathered as columns until it ends.

use std::collections::HashMap;
use std::io::Write as _;

use mediary_core::{Context, MediaRecord, Output, Result};
use smol_str::{SmolStr, ToSmolStr as _};

use super::encode;
use super::pack::Packer;
use crate::mmcif::sink::{Cell, Sink};
use crate::mmcif::write::write as categories;
use crate::models::Growth;

/// Bytes of memory that a cell takes, its mask and what it is encoded through among them.
const CELL_BYTES: u64 = 32;

pub(super) fn write(record: &MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
    let mut binary = Binary { cx, name: String::new(), count: 0, done: Packer::default(), category: None };
    categories(record, "bcif", &mut binary, cx)?;
    let mut file = Packer::default();
    file.map(3);
    file.text("encoder");
    file.text(concat!("mediary ", env!("CARGO_PKG_VERSION")));
    file.text("version");
    file.text("0.3.0");
    file.text("dataBlocks");
    file.array(1);
    file.map(2);
    file.text("header");
    file.text(&binary.name);
    file.text("categories");
    file.array(binary.count);
    out.write_all(&file.0)?;
    out.write_all(&binary.done.0)?;
    Ok(())
}

struct Binary<'c> {
    cx: &'c Context,
    /// Name of the block.
    name: String,
    /// Categories that are done, and how many.
    done: Packer,
    count: usize,
    category: Option<Category>,
}

struct Category {
    name: String,
    rows: usize,
    columns: Vec<(String, Column)>,
    growth: Growth,
    taken: u64,
}

impl Sink for Binary<'_> {
    fn block(&mut self, name: &str) -> Result<()> {
        self.name = name.to_owned();
        Ok(())
    }

    fn begin(&mut self, category: &str, items: &[&str], _: bool) -> Result<()> {
        self.category = Some(Category {
            name: format!("_{category}"),
            rows: 0,
            columns: items.iter().map(|item| ((*item).to_owned(), Column::default())).collect(),
            growth: Growth::default(),
            taken: self.cx.budget().taken(),
        });
        Ok(())
    }

    fn row(&mut self, cells: &[Cell<'_>]) -> Result<()> {
        let Some(category) = &mut self.category else { return Ok(()) };
        category.growth.make_room(category.rows, cells.len() as u64 * CELL_BYTES, self.cx)?;
        category.rows += 1;
        for ((_, column), &cell) in category.columns.iter_mut().zip(cells) {
            column.push(cell);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some(category) = self.category.take() else { return Ok(()) };
        let before = self.done.0.len();
        let out = &mut self.done;
        out.map(3);
        out.text("name");
        out.text(&category.name);
        out.text("rowCount");
        out.integer(category.rows as i64);
        out.text("columns");
        out.array(category.columns.len());
        for (name, column) in &category.columns {
            self.cx.checkpoint()?;
            out.map(3);
            out.text("name");
            out.text(name);
            out.text("data");
            column.values.write(category.rows, out)?;
            out.text("mask");
            match column.mask.is_empty() {
                true => out.nil(),
                false => {
                    encode::integers(&column.mask, out)?;
                }
            }
        }
        self.count += 1;
        let budget = self.cx.budget();
        budget.give_back(budget.taken().saturating_sub(category.taken));
        budget.take((self.done.0.len() - before) as u64)
    }
}

/// A column while it grows.
#[derive(Default)]
struct Column {
    values: Values,
    /// One a row, as long as any is not 0: 1 for `.`, 2 for `?`.
    mask: Vec<i64>,
    rows: usize,
}

/// The kind of a column is that of its first value.
#[derive(Default)]
enum Values {
    /// That many rows without any value.
    #[default]
    None,
    Integers(Vec<i64>),
    Reals(Vec<f64>, bool),
    Texts(Texts),
}

#[derive(Default)]
struct Texts {
    texts: Vec<SmolStr>,
    places: HashMap<SmolStr, i64>,
    indices: Vec<i64>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        if let Some(&last) = self.indices.last()
            && self.texts[last as usize] == text
        {
            return self.indices.push(last);
        }
        let index = match self.places.get(text) {
            Some(&index) => index,
            None => {
                let (index, text) = (self.texts.len() as i64, SmolStr::new(text));
                self.texts.push(text.clone());
                self.places.insert(text, index);
                index
            }
        };
        self.indices.push(index);
    }
}

impl Column {
    fn push(&mut self, cell: Cell<'_>) {
        let state = match cell {
            Cell::Inapplicable => 1,
            Cell::Unknown => 2,
            _ => 0,
        };
        if state != 0 && self.mask.is_empty() {
            self.mask = vec![0; self.rows];
        }
        if state != 0 || !self.mask.is_empty() {
            self.mask.push(state);
        }
        if let Values::None = self.values {
            let rows = self.rows;
            self.values = match cell {
                Cell::Integer(_) => Values::Integers(vec![0; rows]),
                Cell::Single(_) => Values::Reals(vec![0.0; rows], true),
                Cell::Double(_) => Values::Reals(vec![0.0; rows], false),
                Cell::Text(_) => {
                    let mut texts = Texts::default();
                    (0..rows).for_each(|_| texts.push(""));
                    Values::Texts(texts)
                }
                Cell::Unknown | Cell::Inapplicable => Values::None,
            };
        }
        self.rows += 1;
        self.values.push(cell);
    }
}

impl Values {
    fn push(&mut self, cell: Cell<'_>) {
        match (&mut *self, cell) {
            (Self::None, _) => {}
            (Self::Integers(values), Cell::Integer(value)) => values.push(value),
            (Self::Reals(values, _), Cell::Single(value)) => values.push(value.into()),
            (Self::Reals(values, _), Cell::Double(value)) => values.push(value),
            (Self::Texts(texts), Cell::Text(text)) => texts.push(text),
            // What the mask covers is the value before, which takes least room.
            (Self::Integers(values), Cell::Unknown | Cell::Inapplicable) => {
                values.push(values.last().copied().unwrap_or(0));
            }
            (Self::Reals(values, _), Cell::Unknown | Cell::Inapplicable) => {
                values.push(values.last().copied().unwrap_or(0.0));
            }
            (Self::Texts(texts), Cell::Unknown | Cell::Inapplicable) => match texts.indices.last().copied() {
                Some(last) => texts.indices.push(last),
                None => texts.push(""),
            },
            (Self::Texts(texts), Cell::Integer(value)) => texts.push(&value.to_smolstr()),
            (Self::Texts(texts), Cell::Single(value)) => texts.push(&value.to_smolstr()),
            (Self::Texts(texts), Cell::Double(value)) => texts.push(&value.to_smolstr()),
            // A column of two kinds is one of texts.
            (Self::Integers(_) | Self::Reals(..), _) => {
                *self = Self::Texts(self.as_texts());
                self.push(cell);
            }
        }
    }

    fn as_texts(&self) -> Texts {
        let mut texts = Texts::default();
        match self {
            Self::None | Self::Texts(_) => {}
            Self::Integers(values) => values.iter().for_each(|value| texts.push(&value.to_smolstr())),
            Self::Reals(values, true) => values.iter().for_each(|&value| texts.push(&(value as f32).to_smolstr())),
            Self::Reals(values, false) => values.iter().for_each(|value| texts.push(&value.to_smolstr())),
        }
        texts
    }

    fn write(&self, rows: usize, out: &mut Packer) -> Result<()> {
        let write = |texts: &Texts, out: &mut Packer| {
            encode::texts(texts.texts.iter().map(SmolStr::as_str), &texts.indices, out)
        };
        match self {
            Self::Integers(values) => match encode::integers(values, out)? {
                true => Ok(()),
                // Integers of more than 32 bits have no type.
                false => write(&self.as_texts(), out),
            },
            Self::Reals(values, single) => encode::reals(values, *single, out),
            Self::Texts(texts) => write(texts, out),
            Self::None => encode::texts(std::iter::once(""), &vec![0; rows], out),
        }
    }
}
