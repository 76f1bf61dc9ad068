//! [`Registry`]: the formats known, and the way from an input to its records.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use crate::context::{Cancel, Context, Strictness};
use crate::depiction::{Depiction, Draw};
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{BuiltIn, Format, FormatInfo, FormatReader, Header};
use crate::limits::{Budget, Limits};
use crate::operation::{Arrival, BuiltInOperations, Operations};
use crate::options::{OptionUse, Options};
use crate::output::Output;
use crate::packing::{BuiltInPacking, Packing};
use crate::probe::{Detection, Probe};
use crate::record::{Description, Kind, Media, MediaRecord, SourceInfo, describe, stream};
use crate::source::Source;

/// How to read. Options are given as on the command line: `obj.up_axis` = `z`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Caps.
    pub limits: Limits,
    /// The budget to draw on; `None` is a fresh one of `limits.alloc_bytes` for each input.
    pub budget: Option<Budget>,
    /// The dial.
    pub strictness: Strictness,
    /// Id of the format to read as, without looking at the content.
    pub from: Option<String>,
    /// `(format.name, value)`; those of other formats are ignored here, see [`Registry::check_options`].
    pub options: Vec<(String, String)>,
    /// Stops reading.
    pub cancel: Cancel,
    /// Threads that may work on one input at once, where its format can be divided; 0, the default, and 1 are the calling one
    /// alone.
    pub threads: usize,
}

/// How to write.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WriteOptions {
    /// Caps.
    pub limits: Limits,
    /// `(format.name, value)`; those of other formats are ignored here, see [`Registry::check_options`].
    pub options: Vec<(String, String)>,
    /// Stops writing.
    pub cancel: Cancel,
    /// What errors call the input, such as its path; `None` is the name of the record's source.
    pub input: Option<String>,
}

/// Where a format comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Compiled in.
    BuiltIn,
    /// Added by the embedding program.
    Added,
    /// From a loaded plugin.
    Plugin {
        /// Name and version of the plugin.
        name: String,
        /// The file it was loaded from.
        path: PathBuf,
        /// SHA-256 of that file in lower-case hex: what a store's key covers.
        sha256: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::Added => f.write_str("added by the program"),
            Self::Plugin { name, path, .. } => write!(f, "plugin {name}, {}", path.display()),
        }
    }
}

struct Entry {
    format: &'static dyn Format,
    origin: Origin,
}

/// The formats known, by id, and the operations known, by kind.
#[derive(Default)]
pub struct Registry {
    entries: BTreeMap<&'static str, Entry>,
    operations: BTreeMap<&'static str, &'static Operations>,
    packings: Vec<&'static Packing>,
    draw: Option<Draw>,
}

impl Registry {
    /// No formats: embedders add what they want.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Every format and operation that is linked into the program. Use `mediary::Registry`, or name each family crate in your program:
    /// a crate that is never named is not linked and registers nothing.
    ///
    /// # Panics
    /// When two linked formats have one id, two lists of operations one kind, or two depictions are linked: a mistake of the
    /// program, which the suite catches.
    #[must_use]
    pub fn builtin() -> Self {
        let mut registry = Self::empty();
        for BuiltIn(format) in inventory::iter::<BuiltIn> {
            if let Err(error) = registry.insert(*format, Origin::BuiltIn) {
                panic!("{error}");
            }
        }
        for BuiltInOperations(operations) in inventory::iter::<BuiltInOperations> {
            if let Err(error) = registry.add_operations(operations) {
                panic!("{error}");
            }
        }
        for BuiltInPacking(packing) in inventory::iter::<BuiltInPacking> {
            registry.add_packing(packing);
        }
        for Depiction(draw) in inventory::iter::<Depiction> {
            assert!(registry.draw.replace(*draw).is_none(), "two depictions are linked: a registry has one");
        }
        registry
    }

    /// Adds the operations of a kind.
    ///
    /// # Errors
    /// `Plugin` when the kind has some, or its word is the id of a format: options could mean either.
    pub fn add_operations(&mut self, operations: &'static Operations) -> Result<()> {
        let kind = operations.kind.as_str();
        if self.entries.contains_key(kind) || self.operations.contains_key(kind) {
            return Err(Error::new(ErrorKind::Plugin, format!("the name {kind:?} of operations is taken")));
        }
        self.operations.insert(kind, operations);
        Ok(())
    }

    /// All operations, by kind.
    pub fn operations(&self) -> impl Iterator<Item = &'static Operations> {
        self.operations.values().copied()
    }

    /// Adds a packing: what has one of its signatures, and is of no format, is unpacked before formats look at it.
    pub fn add_packing(&mut self, packing: &'static Packing) {
        self.packings.push(packing);
        // The order of `inventory` is not specified.
        self.packings.sort_by_key(|packing| packing.name);
    }

    /// Sets what draws media for writers that take images, instead of the built-in depiction, if there is one.
    pub fn set_depiction(&mut self, draw: Draw) {
        self.draw = Some(draw);
    }

    /// The same operations and depiction, and no formats.
    #[must_use]
    pub fn without_formats(&self) -> Self {
        let (operations, packings) = (self.operations.clone(), self.packings.clone());
        Self { entries: BTreeMap::new(), operations, packings, draw: self.draw }
    }

    /// The same formats, and no operations: for parts of an input that are read by themselves and arrive as a whole.
    #[must_use]
    pub fn without_operations(mut self) -> Self {
        self.operations.clear();
        self
    }

    /// What draws media for writers that take images.
    pub(crate) fn depiction(&self) -> Option<Draw> {
        self.draw
    }

    /// Adds a format.
    ///
    /// # Errors
    /// `Plugin` when its id is taken or not a lower-case name.
    pub fn add(&mut self, format: &'static dyn Format) -> Result<()> {
        self.insert(format, Origin::Added)
    }

    /// Adds a format that comes from elsewhere.
    ///
    /// # Errors
    /// As [`add`](Self::add); the message names both origins.
    pub fn add_from(&mut self, format: &'static dyn Format, origin: Origin) -> Result<()> {
        self.insert(format, origin)
    }

    fn insert(&mut self, format: &'static dyn Format, origin: Origin) -> Result<()> {
        let info = format.info();
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        if info.id.is_empty() || !info.id.bytes().all(legal) {
            return Err(Error::new(
                ErrorKind::Plugin,
                format!("{:?} is no format id: lower-case letters and digits", info.id),
            ));
        }
        if self.operations.contains_key(info.id) {
            return Err(Error::new(
                ErrorKind::Plugin,
                format!("the format id {:?} is taken: operations on that kind have it", info.id),
            ));
        }
        if let Some(known) = self.entries.get(info.id) {
            return Err(Error::new(
                ErrorKind::Plugin,
                format!(
                    "the format id {:?} is taken: {:?} ({}) and {:?} ({origin})",
                    info.id,
                    known.format.info().name,
                    known.origin,
                    info.name
                ),
            ));
        }
        self.entries.insert(info.id, Entry { format, origin });
        Ok(())
    }

    /// All descriptors, by id.
    pub fn formats(&self) -> impl Iterator<Item = &'static FormatInfo> {
        self.entries.values().map(|entry| entry.format.info())
    }

    /// The format of this id.
    ///
    /// # Errors
    /// `InvalidOption` for an unknown id.
    pub fn get(&self, id: &str) -> Result<&'static dyn Format> {
        self.entries.get(id).map(|entry| entry.format).ok_or_else(|| {
            let known: Vec<_> = self.entries.keys().copied().collect();
            Error::new(ErrorKind::InvalidOption, format!("there is no format {id:?}"))
                .with_hint(format!("known: {}", known.join(", ")))
        })
    }

    /// Where the format of this id comes from.
    #[must_use]
    pub fn origin(&self, id: &str) -> Option<&Origin> {
        self.entries.get(id).map(|entry| &entry.origin)
    }

    /// The format that a file of this name is written as: the longest extension wins, then a format that holds one of `kinds`.
    ///
    /// # Errors
    /// `NotRecognised` when no writable format has the extension.
    pub fn for_output(&self, name: &str, kinds: &[Kind]) -> Result<&'static dyn Format> {
        self.entries
            .values()
            .map(|entry| entry.format)
            .filter(|format| format.info().writes.is_some())
            .filter_map(|format| {
                let info = format.info();
                let longest = info.claimed_extension(name)?.len();
                let holds = info.kinds.iter().any(|kind| kinds.contains(kind));
                Some((longest, holds, std::cmp::Reverse(info.tier), std::cmp::Reverse(info.id), format))
            })
            .max_by_key(|(longest, holds, tier, id, _)| (*longest, *holds, *tier, *id))
            .map(|(.., format)| format)
            .ok_or_else(|| {
                let mut read = self.formats().filter(|info| info.claimed_extension(name).is_some());
                let why = read.next().map_or_else(String::new, |info| format!(": {} is only read here", info.name));
                Error::new(ErrorKind::NotRecognised, format!("no format is written as {name:?}{why}"))
                    .with_hint("name it with --to ID; `mediary formats` lists what can be written")
            })
    }

    /// Checks that every `(format.name, value)` or `(kind.name, value)` fits the schema of a known format or of the operations on
    /// a kind.
    ///
    /// # Errors
    /// `InvalidOption`, naming the valid ones.
    pub fn check_options(&self, options: &[(String, String)]) -> Result<()> {
        for (name, value) in options {
            let (owner, name) = self.split_option(name)?;
            let schema = match self.operations.get(owner) {
                Some(operations) => operations.options,
                None => self.get(owner)?.info().options,
            };
            Options::resolve(owner, schema, OptionUse::Read, &[(name.to_owned(), value.clone())])?;
        }
        Ok(())
    }

    /// Splits `pts.json.ascii` into a known id, or a kind that has operations, and a name.
    fn split_option<'o>(&self, name: &'o str) -> Result<(&'o str, &'o str)> {
        let known = name.match_indices('.').map(|(dot, _)| (&name[..dot], &name[dot + 1..]));
        known
            .filter(|(owner, _)| self.entries.contains_key(owner) || self.operations.contains_key(owner))
            .max_by_key(|(owner, _)| owner.len())
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidOption,
                    format!("option {name:?} names no format and no kind with operations"),
                )
                .with_hint("options are written -o <format>.<name>=<value>, e.g. -o csv.delimiter=;")
            })
    }

    /// Those options that are for the format of this id, or for the operations on this kind, without that name. Ids may hold dots:
    /// an option belongs to the longest one it begins with.
    ///
    /// # Errors
    /// `InvalidOption` for one that names neither.
    pub fn own_options(&self, owner: &str, options: &[(String, String)]) -> Result<Vec<(String, String)>> {
        let mut own = Vec::new();
        for (name, value) in options {
            let (named, name) = self.split_option(name)?;
            if named == owner {
                own.push((name.to_owned(), value.clone()));
            }
        }
        Ok(own)
    }

    fn resolve(&self, info: &'static FormatInfo, usage: OptionUse, options: &[(String, String)]) -> Result<Options> {
        Options::resolve(info.id, info.options, usage, &self.own_options(info.id, options)?)
    }

    /// Whether `options` ask for an operation on this kind between reading and writing, so that a source that is canonical already
    /// is not the result.
    #[must_use]
    pub fn operates_on(&self, kind: Kind, options: &[(String, String)]) -> bool {
        let Some(operations) = self.operations.get(kind.as_str()) else { return false };
        let is_applied = |name: &str| {
            operations.options.iter().any(|option| option.usage == OptionUse::Write && option.name == name)
        };
        self.own_options(kind.as_str(), options).is_ok_and(|own| own.iter().any(|(name, _)| is_applied(name)))
    }

    /// What the records of a format go through as they are read, by kind, and how.
    fn arrivals(&self, info: &FormatInfo, options: &[(String, String)]) -> Result<Vec<(Kind, Arrival, Options)>> {
        let mut arrivals = Vec::new();
        for kind in info.kinds {
            let Some(operations) = self.operations.get(kind.as_str()) else { continue };
            let Some(arrival) = operations.arrival else { continue };
            let own = self.own_options(kind.as_str(), options)?;
            let options = Options::resolve(kind.as_str(), operations.options, OptionUse::Read, &own)?;
            arrivals.push((*kind, arrival, options));
        }
        Ok(arrivals)
    }

    /// Applies the operations on the record's kind that `options` ask for, such as `scene.scale`. What they drop and find is added
    /// to the record. [`write`](Self::write) does this by itself.
    ///
    /// # Errors
    /// `InvalidOption`; what the operations report.
    pub fn operate(&self, record: &mut MediaRecord, options: &WriteOptions) -> Result<()> {
        let kind = record.kind().as_str();
        let Some(operations) = self.operations.get(kind) else { return Ok(()) };
        if !self.operates_on(record.kind(), &options.options) {
            return Ok(());
        }
        let own = self.own_options(kind, &options.options)?;
        let cx = Context::builder(kind)
            .limits(options.limits)
            .options(Options::resolve(kind, operations.options, OptionUse::Write, &own)?)
            .cancel(options.cancel.clone())
            .build();
        guard(|| (operations.apply)(record, cx.options(), &cx))?;
        record.source_is_canonical = false;
        note(record, &cx);
        Ok(())
    }

    /// Looks at an input and weighs all formats. One that is packed is unpacked for that, within the default limits.
    #[must_use]
    pub fn detect(&self, source: &Source) -> Detection {
        match self.unpacked(source, &Limits::default(), &Cancel::default()) {
            Ok(Some(inside)) => self.weigh(&inside),
            _ => self.weigh(source),
        }
    }

    /// What is inside of an input that is packed and of no format as it stands.
    fn unpacked(&self, source: &Source, limits: &Limits, cancel: &Cancel) -> Result<Option<Source>> {
        let has = |packing: &&&Packing| packing.signatures.iter().any(|signature| signature.matches(source.head()));
        let packing = self.packings.iter().find(has);
        match packing.filter(|_| self.weigh(source).candidates.is_empty()) {
            Some(packing) => guard(|| packing.open(source, limits, cancel)).map(Some),
            None => Ok(None),
        }
    }

    fn weigh(&self, source: &Source) -> Detection {
        let probe = Probe { head: source.head(), tail: source.tail(), len: source.len(), name: source.name() };
        Detection::weigh(&probe, self.entries.values().map(|entry| entry.format))
    }

    /// Recognises an input and starts reading it.
    ///
    /// # Errors
    /// `Malformed` for an empty input; `NotRecognised`; `InvalidOption`; what the format reports.
    pub fn open(&self, source: &Source, options: &ReadOptions) -> Result<Reading> {
        self.open_inner(source, options).map_err(|error| error.with_path(shown(source)))
    }

    fn open_inner(&self, source: &Source, options: &ReadOptions) -> Result<Reading> {
        if source.is_empty() {
            return Err(
                Error::malformed("the input is empty").with_hint("0 bytes hold no media; fetch or copy it again")
            );
        }
        let unpacked = self.unpacked(source, &options.limits, &options.cancel)?;
        let inside = unpacked.as_ref().unwrap_or(source);
        let detection = match &options.from {
            Some(id) => Detection::forced(self.get(id)?.info().id),
            None => self.weigh(inside),
        };
        let format = self.get(detection.winner(options.strictness == Strictness::Strict)?)?;
        let info = format.info();
        let mut cx = Context::builder(info.id)
            .limits(options.limits)
            .strictness(options.strictness)
            .options(self.resolve(info, OptionUse::Read, &options.options)?)
            .cancel(options.cancel.clone())
            .threads(options.threads);
        if let Some(budget) = &options.budget {
            cx = cx.budget(budget.clone());
        }
        let cx = cx.build();
        if !detection.extension_mismatch.is_empty() {
            cx.diagnostics().push(Diagnostic::new(
                Severity::Warning,
                "probe.extension-mismatch",
                format!("the name says {}, the content is {}", detection.extension_mismatch.join(" or "), info.id),
            ));
        }
        for failure in &detection.failures {
            cx.diagnostics().push(Diagnostic::new(
                Severity::Warning,
                "probe.failed",
                format!("{} could not look at the input: {}", failure.format, failure.message),
            ));
        }
        let reader = guard(|| format.open(inside, &cx)).map_err(|error| error.of_format(info.id))?;
        Ok(Reading {
            source: source.clone(),
            packed: unpacked.is_some(),
            detection,
            info,
            cx,
            reader,
            arrivals: self.arrivals(info, &options.options)?,
            next: 0,
            failed: false,
            sha256: None,
            before_records: None,
        })
    }

    /// Writes a record as `format` and returns what was lost. The losses are also added to the record.
    ///
    /// # Errors
    /// `Unsupported` when the format cannot hold the record's kind; what the format reports.
    pub fn write(
        &self,
        record: &mut MediaRecord,
        format: &str,
        out: &mut Output,
        options: &WriteOptions,
    ) -> Result<()> {
        let format = self.get(format)?;
        let info = format.info();
        let path = options.input.clone().unwrap_or_else(|| record.source.name.clone());
        let cx = Context::builder(info.id)
            .limits(options.limits)
            .options(self.resolve(info, OptionUse::Write, &options.options)?)
            .cancel(options.cancel.clone())
            .build();
        if info.writes.is_none() {
            return Err(Error::unsupported(format!("{} can only be read", info.name)).of_format(info.id));
        }
        let named = |error: Error| error.of_format(info.id).with_path(path.clone());
        self.operate(record, options).map_err(named)?;
        let kind = record.kind();
        guard(|| crate::convert::adapt(record, format, self, &cx)).map_err(named)?;
        if record.kind() != kind {
            self.operate(record, options).map_err(named)?;
        }
        guard(|| format.write(record, out, &cx)).map_err(named)?;
        note(record, &cx);
        Ok(())
    }

    /// The format in which `media` is kept in a store; `None` when its source bytes are kept.
    #[must_use]
    pub fn canonical(&self, media: &Media) -> Option<&'static FormatInfo> {
        self.entries
            .values()
            .filter(|entry| entry.format.info().writes.is_some() && entry.format.holds(media))
            .map(|entry| entry.format.info())
            .map(|info| (info.canonical_rank(media), std::cmp::Reverse(info.id), info))
            .filter(|(rank, ..)| *rank > 0)
            .max_by_key(|(rank, id, _)| (*rank, *id))
            .map(|(.., info)| info)
    }
}

/// An input being read: an iterator of records.
pub struct Reading {
    /// The input as it stands.
    source: Source,
    /// What is read is inside of it.
    packed: bool,
    detection: Detection,
    info: &'static FormatInfo,
    cx: Context,
    reader: Box<dyn FormatReader>,
    arrivals: Vec<(Kind, Arrival, Options)>,
    next: u64,
    failed: bool,
    sha256: Option<String>,
    /// Bytes the reader had taken before its first record, and siblings it had opened.
    before_records: Option<(u64, usize)>,
}

impl Reading {
    /// The format it is read as.
    #[must_use]
    pub fn format(&self) -> &'static FormatInfo {
        self.info
    }

    /// How it was recognised.
    #[must_use]
    pub fn detection(&self) -> &Detection {
        &self.detection
    }

    /// The context of the operation.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.cx
    }

    /// The SHA-256 that records are to carry; ingest has hashed the source before.
    pub fn set_sha256(&mut self, sha256: impl Into<String>) {
        self.sha256 = Some(sha256.into());
    }

    /// Facts of the first record without its payload.
    ///
    /// # Errors
    /// When the header is broken.
    pub fn header(&mut self) -> Result<Header> {
        let reader = &mut self.reader;
        let mut header = guard(|| reader.header()).map_err(|error| self.at_boundary(error))?;
        if let Some((_, arrival, options)) = self.arrivals.iter().find(|(kind, ..)| *kind == header.facts.kind()) {
            (arrival.facts)(&mut header.facts, options);
        }
        Ok(header)
    }

    /// The record JSON of the first record as far as the header tells, with `records`, the number of all, when it is known.
    ///
    /// # Errors
    /// When the header is broken.
    pub fn header_json(&mut self) -> Result<serde_json::Value> {
        let header = self.header()?;
        let mut json = describe(&Description {
            facts: &header.facts,
            format: self.info.id,
            media_type: self.info.media_type(),
            key: "",
            index: 0,
            source: &self.source_info(),
            annotations: &crate::record::Annotations::new(),
            properties: &serde_json::Map::new(),
            caption: None,
            step: None,
            loss: &[],
            diagnostics: &self.cx.diagnostics(),
            assets: &[],
        });
        if let (Some(json), Some(records)) = (json.as_object_mut(), header.records) {
            let beside = json.keys().position(|key| key == "index").map_or(json.len(), |index| index + 1);
            json.shift_insert(beside, "records".into(), records.into());
        }
        Ok(json)
    }

    fn source_info(&self) -> SourceInfo {
        SourceInfo {
            name: self.source.name().to_owned(),
            bytes: self.source.len(),
            sha256: self.sha256.clone(),
            siblings: self.source.siblings_used(),
        }
    }

    fn at_boundary(&self, error: Error) -> Error {
        error.of_format(self.info.id).with_path(shown(&self.source))
    }

    fn read_next(&mut self) -> Result<Option<MediaRecord>> {
        if self.next > 0 {
            self.cx.renew_diagnostics();
        }
        // The record before was the caller's to keep or to drop: the budget is that of one record.
        let budget = self.cx.budget();
        let (bytes, siblings) =
            *self.before_records.get_or_insert_with(|| (budget.taken(), self.source.siblings_used().len()));
        budget.give_back(budget.taken().saturating_sub(bytes));
        self.source.forget_siblings(siblings);
        let reader = &mut self.reader;
        let Some(mut record) = guard(|| reader.next_record())? else { return Ok(None) };
        self.cx.limits().check("records", self.next + 1)?;
        record.media.validate(self.cx.limits().depth)?;
        if let Some((_, arrival, options)) = self.arrivals.iter().find(|(kind, ..)| *kind == record.kind()) {
            guard(|| (arrival.record)(&mut record, &self.source, options, &self.cx))?;
        }
        record.format = self.info.id.to_owned();
        if record.media_type.is_empty() {
            record.media_type = self.info.media_type().to_owned();
        }
        record.index = self.next;
        record.source_is_canonical &= !self.packed;
        record.source = self.source_info();
        record.diagnostics = self.cx.diagnostics();
        record.media.set_origin(stream::Origin {
            format: self.info.id,
            path: shown(&self.source),
            diagnostics: record.diagnostics.clone(),
        });
        self.next += 1;
        Ok(Some(record))
    }
}

impl Iterator for Reading {
    type Item = Result<MediaRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.read_next().map_err(|error| self.at_boundary(error)).transpose();
        self.failed = matches!(next, None | Some(Err(_)));
        if next.is_none() && self.next == 0 {
            return Some(Err(self.at_boundary(Error::malformed("the input holds no record"))));
        }
        next
    }
}

/// Adds what was lost and found to the record.
fn note(record: &mut MediaRecord, cx: &Context) {
    record.loss.extend(cx.losses().to_vec());
    for diagnostic in cx.diagnostics().to_vec() {
        record.diagnostics.push(diagnostic);
    }
}

/// What errors call an input: its path, or its name.
fn shown(source: &Source) -> String {
    source.path().map_or_else(|| source.name().to_owned(), |path| path.display().to_string())
}

/// Runs format code; a panic becomes an error.
fn guard<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(stream::panicked(&*panic)))
}
