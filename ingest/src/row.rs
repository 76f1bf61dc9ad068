//! [`Row`]: one record, or one failure. The fields are listed once; the journal line (JSON), the Parquet schema and both
//! directions of the manifest derive from the list.

use mediary_core::{Error, MediaRecord, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What became of an input or of one of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// A record.
    Ok,
    /// A failure: see the error columns.
    Error,
    /// Not a file that can hold media: a FIFO, a device, a link that loops.
    Skipped,
}

impl Status {
    /// The text in the `status` column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }
}

/// One value of a column as the manifest holds it.
pub(crate) enum Cell {
    /// UTF-8 text.
    Text(Option<String>),
    /// A 64-bit integer.
    Int(Option<i64>),
}

/// A field type of [`Row`].
pub(crate) trait Field: Sized {
    const TEXT: bool;
    const REQUIRED: bool;
    fn cell(&self) -> Cell;
    fn from_cell(cell: Cell) -> Self;
}

impl Field for String {
    const TEXT: bool = true;
    const REQUIRED: bool = true;
    fn cell(&self) -> Cell {
        Cell::Text(Some(self.clone()))
    }
    fn from_cell(cell: Cell) -> Self {
        Option::<Self>::from_cell(cell).unwrap_or_default()
    }
}

impl Field for Option<String> {
    const TEXT: bool = true;
    const REQUIRED: bool = false;
    fn cell(&self) -> Cell {
        Cell::Text(self.clone())
    }
    fn from_cell(cell: Cell) -> Self {
        match cell {
            Cell::Text(text) => text,
            Cell::Int(_) => None,
        }
    }
}

impl Field for i64 {
    const TEXT: bool = false;
    const REQUIRED: bool = true;
    fn cell(&self) -> Cell {
        Cell::Int(Some(*self))
    }
    fn from_cell(cell: Cell) -> Self {
        Option::<Self>::from_cell(cell).unwrap_or_default()
    }
}

impl Field for Option<i64> {
    const TEXT: bool = false;
    const REQUIRED: bool = false;
    fn cell(&self) -> Cell {
        Cell::Int(*self)
    }
    fn from_cell(cell: Cell) -> Self {
        match cell {
            Cell::Int(value) => value,
            Cell::Text(_) => None,
        }
    }
}

/// A column of the manifest.
pub(crate) struct ColumnSpec {
    pub(crate) name: &'static str,
    pub(crate) text: bool,
    pub(crate) required: bool,
}

macro_rules! row {
    ($( $(#[$doc:meta])* $name:ident: $type:ty, )*) => {
        /// One record, or one failure, of one input. Columns that end in JSON text say so; absent is null.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub struct Row { $( $(#[$doc])* pub $name: $type, )* }

        /// The columns, in order.
        pub(crate) const COLUMNS: &[ColumnSpec] = &[ $( ColumnSpec {
            name: stringify!($name),
            text: <$type as Field>::TEXT,
            required: <$type as Field>::REQUIRED,
        }, )* ];

        impl Row {
            /// Its values in the order of [`COLUMNS`].
            pub(crate) fn cells(&self) -> Vec<Cell> {
                vec![ $( Field::cell(&self.$name), )* ]
            }

            /// A row of values in the order of [`COLUMNS`].
            pub(crate) fn from_cells(mut cells: impl FnMut() -> Cell) -> Self {
                $( let $name = Field::from_cell(cells()); )*
                Self { $( $name, )* }
            }
        }
    };
}

row! {
    /// Name of the walked folder, or of the folder that holds a file given by itself.
    root: String,
    /// Path of the input relative to its root, with `/` separators.
    input: String,
    /// Number of the record in its input, from 0; of a failure, that of the record that failed.
    index: i64,
    /// 1 on the last row of an input, otherwise 0: an input without it was interrupted and does not count.
    last: i64,
    /// `ok`, `error` or `skipped`, see [`Status`].
    status: String,
    /// Kind of the media.
    kind: Option<String>,
    /// Id of the format it was read as.
    format: Option<String>,
    /// Media type of the source.
    media_type: Option<String>,
    /// Name of the record among those of its source.
    key: Option<String>,
    /// Text to show with it.
    caption: Option<String>,
    /// Step of a run.
    step: Option<i64>,
    /// File name of the source.
    source_name: String,
    /// Length of the source in bytes.
    source_bytes: Option<i64>,
    /// SHA-256 of the source in lower-case hex.
    source_sha256: Option<String>,
    /// Files beside the source that were asked for, on the last row; JSON: `[{"name","bytes","sha256"}]`, of a missing one
    /// `{"name"}` alone.
    siblings: Option<String>,
    /// Facts; JSON object.
    facts: Option<String>,
    /// What the source carried beside the media; JSON object.
    properties: Option<String>,
    /// Boxes and masks; JSON object.
    annotations: Option<String>,
    /// Findings; JSON array.
    diagnostics: Option<String>,
    /// What the canonical asset dropped; JSON array.
    loss: Option<String>,
    /// Role of the first asset: `canonical` or `source`.
    asset_role: Option<String>,
    /// Media type of the first asset.
    asset_media_type: Option<String>,
    /// Length of the first asset in bytes.
    asset_bytes: Option<i64>,
    /// SHA-256 of the first asset.
    asset_sha256: Option<String>,
    /// Path of the first asset, relative to the store.
    asset_path: Option<String>,
    /// Every asset; JSON array as in the record.
    assets: Option<String>,
    /// The record; JSON of the schema `mediary.record/1`.
    record: Option<String>,
    /// Kind of the error, e.g. `malformed`.
    error_code: Option<String>,
    /// What was expected and found.
    error: Option<String>,
    /// Where; JSON object.
    error_location: Option<String>,
    /// What to do about it.
    hint: Option<String>,
    /// SHA-256 over source, format, version and options: equal keys give equal rows. Empty when the source could not be read.
    idempotency_key: String,
    /// Version of mediary that wrote the row.
    version: String,
}

impl Row {
    /// Whether it is a failure.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.status == Status::Error.as_str()
    }

    /// The assets, from their JSON.
    ///
    /// # Errors
    /// `Malformed` when the column is no JSON array.
    pub fn asset_list(&self) -> Result<Vec<Value>> {
        let Some(text) = &self.assets else { return Ok(Vec::new()) };
        serde_json::from_str(text)
            .map_err(|error| Error::malformed(format!("the assets of {:?} are no JSON array: {error}", self.input)))
    }

    /// The line that `--json` output has for a failure.
    #[must_use]
    pub fn error_json(&self) -> Value {
        let location = self.error_location.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        serde_json::json!({
            "type": "error",
            "path": self.path(),
            "code": self.error_code,
            "format": self.format,
            "message": self.error,
            "location": location,
            "hint": self.hint,
        })
    }

    /// Root and input in one: how the row is called in messages.
    #[must_use]
    pub fn path(&self) -> String {
        if self.root.is_empty() { self.input.clone() } else { format!("{}/{}", self.root, self.input) }
    }

    /// What rows are sorted and replaced by: the input.
    pub(crate) fn identity(&self) -> (&str, &str) {
        (&self.root, &self.input)
    }

    /// Fills the columns of a record.
    pub(crate) fn describe(&mut self, record: &MediaRecord) {
        let json = |value: &Value| (!value.is_null()).then(|| value.to_string());
        let whole = record.to_json();
        self.status = Status::Ok.as_str().into();
        self.index = i64::try_from(record.index).unwrap_or(i64::MAX);
        self.kind = Some(record.kind().as_str().into());
        self.format = Some(record.format.clone());
        self.media_type = Some(record.media_type.clone());
        self.key = Some(record.key.clone());
        self.caption.clone_from(&record.caption);
        self.step = record.step;
        self.facts = json(&whole["facts"]);
        self.properties = json(&whole["properties"]);
        self.annotations = json(&whole["annotations"]);
        self.diagnostics = json(&whole["diagnostics"]);
        self.loss = json(&whole["loss"]);
        self.assets = json(&whole["assets"]);
        if let Some(asset) = record.assets.first() {
            self.asset_role = Some(asset.role.into());
            self.asset_media_type = Some(asset.media_type.clone());
            self.asset_bytes = Some(i64::try_from(asset.bytes).unwrap_or(i64::MAX));
            self.asset_sha256 = Some(asset.sha256.clone());
            self.asset_path = Some(asset.path.clone());
        }
        self.record = Some(whole.to_string());
    }

    /// Fills the columns of a failure.
    pub(crate) fn fail(&mut self, error: &Error) {
        self.status = Status::Error.as_str().into();
        self.error_code = Some(error.kind().as_str().into());
        self.error = Some(error.message().into());
        self.error_location = error.location().and_then(|location| serde_json::to_string(location).ok());
        self.hint = error.hint().map(Into::into);
        if self.format.is_none() {
            self.format = error.format().map(Into::into);
        }
    }
}
