//! Arrays of numbers and names, and the accessors that step through them.

use std::collections::HashMap;
use std::sync::Arc;

use mediary_core::{Context, Result, Severity};

use super::document::Element;
use super::geometry::or_less;
use crate::text;

/// Stands for a negative index, which is one that is nowhere.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Numbers in the text of an element.
#[expect(clippy::cast_possible_truncation, reason = "scenes are single precision")]
pub(super) fn floats(element: Element<'_>, cx: &Context) -> Result<Vec<f32>> {
    let mut values = Vec::new();
    each_number(element, cx, |value| values.push(value as f32))?;
    Ok(values)
}

/// Numbers in the text of an element, in double precision: there are few.
pub(super) fn doubles(element: Element<'_>, cx: &Context) -> Result<Vec<f64>> {
    let mut values = Vec::new();
    each_number(element, cx, |value| values.push(value))?;
    Ok(values)
}

/// Exactly `N` finite numbers in the text of an element.
pub(super) fn exactly<const N: usize>(element: Element<'_>, cx: &Context) -> Result<[f64; N]> {
    let values = doubles(element, cx)?;
    let finite = values.iter().all(|value| value.is_finite());
    let found = <[f64; N]>::try_from(values).ok().filter(|_| finite);
    found.ok_or_else(|| element.wrong(&format!("{N} finite numbers"), element.text()))
}

/// At least so many finite numbers of a parameter that the scene can do without; `None`, with a finding, for anything else.
pub(super) fn parameter(element: Element<'_>, least: usize, cx: &Context) -> Result<Option<Vec<f32>>> {
    let values = floats(element, cx).and_then(|values| {
        let good = values.len() >= least && values.iter().all(|value| value.is_finite());
        if good { Ok(values) } else { Err(element.wrong(&format!("{least} finite numbers at least"), element.text())) }
    });
    or_less(values, "parameter", element.location(), cx)
}

fn each_number(element: Element<'_>, cx: &Context, mut put: impl FnMut(f64)) -> Result<()> {
    let all = element.text().as_bytes();
    // A number and the blank behind it are two bytes at least.
    cx.budget().take(all.len() as u64 / 2 * 8)?;
    let mut at = 0;
    let (mut count, mut commas) = (0_u64, 0);
    loop {
        at += all[at..].iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(all.len() - at);
        if at == all.len() {
            let message = "numbers with commas are read with points";
            cx.report_times(Severity::Warning, "commas", message, Some(element.location()), commas);
            return Ok(());
        }
        let word = &all[at..];
        let is_end = |at: usize| word.get(at).is_none_or(u8::is_ascii_whitespace);
        let (mut value, mut length) = text::number(word).unwrap_or((0.0, 0));
        if word.get(length) == Some(&b',') {
            // The locale of an exporter; numbers between blanks leave no doubt.
            let end = (0..64).find(|&at| is_end(at)).unwrap_or(0);
            let point: Vec<u8> = word[..end].iter().map(|&byte| if byte == b',' { b'.' } else { byte }).collect();
            (value, length) = text::number(&point).unwrap_or((0.0, 0));
            commas += 1;
        }
        if length == 0 || !is_end(length) {
            return Err(element.wrong("numbers", element.text().get(at..).unwrap_or_default()));
        }
        put(value);
        at += length;
        count += 1;
        if count.is_multiple_of(1 << 16) {
            cx.checkpoint()?;
        }
    }
}

/// Whole numbers in the text of an element; negative ones and those beyond 32 bits are [`NOWHERE`].
pub(super) fn integers(element: Element<'_>, cx: &Context) -> Result<Vec<u32>> {
    let all = element.text().as_bytes();
    cx.budget().take(all.len() as u64 / 2 * 4)?;
    let mut values = Vec::new();
    let mut at = 0;
    while at < all.len() {
        if all[at].is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let start = at;
        let negative = all[at] == b'-';
        at += usize::from(negative || all[at] == b'+');
        let first = at;
        let mut value = 0_u32;
        while let Some(digit) = all.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
            value = value.saturating_mul(10).saturating_add(digit.into());
            at += 1;
        }
        if at == first || all.get(at).is_some_and(|byte| !byte.is_ascii_whitespace()) {
            return Err(element.wrong("whole numbers", element.text().get(start..).unwrap_or_default()));
        }
        values.push(if negative && value > 0 { NOWHERE } else { value });
        if values.len().is_multiple_of(1 << 16) {
            cx.checkpoint()?;
        }
    }
    Ok(values)
}

/// Rows of numbers: what the accessor of a source makes of its array.
#[derive(Clone)]
pub(super) struct Values {
    data: Arc<[f32]>,
    start: usize,
    stride: usize,
    /// Places of the values of a row.
    columns: Vec<usize>,
    /// Number of rows.
    pub(super) count: u32,
}

impl Values {
    /// A row that is there, filled up with what `default` says.
    pub(super) fn row<const N: usize>(&self, index: u32, default: [f32; N]) -> [f32; N] {
        let row = self.start + index as usize * self.stride;
        let mut values = default;
        for (value, column) in values.iter_mut().zip(&self.columns) {
            *value = self.data[row + column];
        }
        values
    }

    /// How many values a row has.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// All values of a row that is there.
    pub(super) fn all(&self, index: u32) -> impl Iterator<Item = f32> {
        let row = self.start + index as usize * self.stride;
        self.columns.iter().map(move |column| self.data[row + column])
    }
}

/// Arrays, each read once.
pub(super) struct Arrays<'c> {
    known: HashMap<u32, Arc<[f32]>>,
    cx: &'c Context,
}

impl<'c> Arrays<'c> {
    pub(super) fn new(cx: &'c Context) -> Self {
        Self { known: HashMap::new(), cx }
    }

    fn array(&mut self, element: Element<'_>) -> Result<Arc<[f32]>> {
        if let Some(known) = self.known.get(&element.index()) {
            return Ok(Arc::clone(known));
        }
        let array: Arc<[f32]> = floats(element, self.cx)?.into();
        if let Some(count) = element.number("count").filter(|&count| count as usize != array.len()) {
            let message = format!("an array that claims {count} values has {}", array.len());
            self.cx.tolerate("count", message, element.location())?;
        }
        self.known.insert(element.index(), Arc::clone(&array));
        Ok(array)
    }

    /// The rows of a `source`.
    pub(super) fn values(&mut self, source: Element<'_>) -> Result<Values> {
        const ARRAYS: &[&str] = &["float_array", "int_array"];
        let Some(accessor) = source.path(&["technique_common", "accessor"]) else {
            return Err(source.wrong("an accessor in technique_common", ""));
        };
        let inner = source.children().find(|child| ARRAYS.contains(&child.name()));
        let found = match (accessor.target("source", ARRAYS), inner) {
            (Ok(found), _) => found,
            // The array in the source itself is what is meant.
            (Err(error), Some(inner)) => {
                self.cx.tolerate("reference", error.message().to_owned(), accessor.location())?;
                inner
            }
            (Err(error), None) => return Err(error),
        };
        let data = self.array(found)?;
        // A parameter without a name is stepped over, unless none has one.
        let named = accessor.all("param").any(|param| param.attribute("name").is_some_and(|name| !name.is_empty()));
        let mut columns = Vec::new();
        let mut total = 0_usize;
        for param in accessor.all("param") {
            let width = match param.attribute("type").unwrap_or_default() {
                "float4x4" => 16,
                "float3x3" => 9,
                "float4" | "float2x2" => 4,
                "float3" => 3,
                "float2" => 2,
                _ => 1,
            };
            if !named || param.attribute("name").is_some_and(|name| !name.is_empty()) {
                columns.extend(total..total + width);
            }
            total += width;
        }
        let stride = accessor.number("stride").unwrap_or(1) as usize;
        if columns.is_empty() {
            columns.extend(0..stride.clamp(1, 16));
        }
        if stride < total.max(1) {
            let message = format!("a stride of {stride} for {total} parameters");
            self.cx.tolerate("stride", message, accessor.location())?;
        }
        let stride = stride.max(total).max(1);
        let start = accessor.number("offset").unwrap_or(0) as usize;
        let last = columns.last().copied().unwrap_or(0);
        let there =
            data.len().checked_sub(start.saturating_add(last).saturating_add(1)).map_or(0, |rest| rest / stride + 1);
        let there = u32::try_from(there).unwrap_or(NOWHERE - 1);
        let count = match accessor.number("count") {
            Some(count) if count <= there => count,
            claimed => {
                let claimed = claimed.map_or("no number".to_owned(), |count| count.to_string());
                let message = format!("an accessor claims {claimed} of rows, its array has {there}");
                self.cx.tolerate("count", message, accessor.location())?;
                there
            }
        };
        Ok(Values { data, start, stride, columns, count })
    }
}

/// An `input` of vertices, of a primitive, of a sampler and so on.
#[derive(Clone, Copy)]
pub(super) struct Input<'d> {
    pub(super) semantic: &'d str,
    pub(super) source: Element<'d>,
    /// Place of its index among those of a corner.
    pub(super) offset: usize,
    pub(super) set: Option<u32>,
}

/// The inputs of an element. Their offsets are below 256.
pub(super) fn inputs(element: Element<'_>) -> Result<Vec<Input<'_>>> {
    let mut all = Vec::new();
    for child in element.all("input") {
        let offset = child.number("offset").unwrap_or(0) as usize;
        if offset > 255 {
            return Err(child.wrong("an offset below 256", &offset.to_string()));
        }
        let semantic = child.attribute("semantic").unwrap_or_default();
        let source = child.target("source", &["source", "vertices"])?;
        all.push(Input { semantic, source, offset, set: child.number("set") });
    }
    Ok(all)
}

/// The source of the first input of this semantic.
pub(super) fn input<'d>(inputs: &[Input<'d>], semantic: &str) -> Option<Input<'d>> {
    inputs.iter().find(|input| input.semantic == semantic).copied()
}

/// Names in the array of a source: `Name_array` (sids) or `IDREF_array` (ids).
pub(super) fn names(source: Element<'_>) -> Option<Vec<&str>> {
    const ARRAYS: &[&str] = &["Name_array", "IDREF_array", "SIDREF_array", "token_array"];
    let accessor = source.path(&["technique_common", "accessor"]);
    let array = accessor.and_then(|accessor| accessor.target("source", ARRAYS).ok());
    let array = array.or_else(|| source.children().find(|child| ARRAYS.contains(&child.name())))?;
    Some(array.text().split_ascii_whitespace().collect())
}
