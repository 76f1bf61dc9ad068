//! The journal of a running run: batches of rows, each a JSON line a row and a line with the length and the hash of those lines,
//! appended and synced after the objects the rows name. Of a batch that a crash tore, or that power loss left holes in, nothing
//! counts, and it is cut when the run goes on; it is the last one, as each is synced before the next. An input without its
//! last row does not count.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use mediary_core::{Error, Result, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::objects::Durability;
use crate::row::Row;

/// What the index needs of a line.
#[derive(Deserialize)]
struct Head {
    root: String,
    input: String,
    index: i64,
    last: i64,
}

/// The line that ends a batch.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    /// Bytes of the lines of the batch.
    bytes: usize,
    sha256: String,
}

impl Mark {
    fn of(lines: &[u8]) -> Self {
        Self { bytes: lines.len(), sha256: hex(&Sha256::digest(lines)) }
    }

    /// Where the batch begins in what was read before this line; `None` when it is not whole.
    fn start(&self, read: &[u8]) -> Option<usize> {
        let start = read.len().checked_sub(self.bytes)?;
        (Self::of(&read[start..]).sha256 == self.sha256).then_some(start)
    }
}

/// Where a row stands in the journal.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    bytes: usize,
}

/// The open journal.
pub(crate) struct Journal {
    file: File,
    durability: Durability,
}

impl Journal {
    /// Opens or makes the journal at `path` and cuts what comes after its last whole batch.
    pub(crate) fn resume(path: &Path, durability: Durability) -> Result<Self> {
        let failed = |error| Error::io("cannot open the journal", error).with_path(path.display().to_string());
        let file = OpenOptions::new().create(true).read(true).append(true).open(path).map_err(failed)?;
        let good = Index::read(path)?.good;
        if good < file.metadata().map_err(failed)?.len() {
            file.set_len(good).map_err(failed)?;
            file.sync_all().map_err(failed)?;
        }
        Ok(Self { file, durability })
    }

    /// Appends rows as a batch, in one write, and makes them durable.
    pub(crate) fn append<'r>(&mut self, rows: impl IntoIterator<Item = &'r Row>) -> Result<()> {
        let failed = |error| Error::io("cannot write the journal", error);
        let mut lines = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut lines, row).map_err(|error| failed(error.into()))?;
            lines.push(b'\n');
        }
        let mark = Mark::of(&lines);
        serde_json::to_writer(&mut lines, &mark).map_err(|error| failed(error.into()))?;
        lines.push(b'\n');
        self.file.write_all(&lines).map_err(failed)?;
        if self.durability != Durability::None {
            self.file.sync_data().map_err(failed)?;
        }
        Ok(())
    }
}

/// The rows of complete inputs by identity, in memory as places alone.
pub(crate) struct Index {
    inputs: BTreeMap<(String, String), Vec<Place>>,
    /// Bytes up to the end of the last whole batch.
    good: u64,
}

impl Index {
    /// Reads a journal. A missing one is empty. A torn end is left out.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let failed = |error| Error::io("cannot read the journal", error).with_path(shown.clone());
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { inputs: BTreeMap::new(), good: 0 });
            }
            Err(error) => return Err(failed(error)),
        };
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let mut passes: BTreeMap<(String, String), Vec<Place>> = BTreeMap::new();
        let mut inputs = BTreeMap::new();
        // What was read since the end of the last whole batch.
        let (mut good, mut read) = (0_u64, Vec::new());
        loop {
            let line = read.len();
            if reader.read_until(b'\n', &mut read).map_err(failed)? == 0 {
                return Ok(Self { inputs, good });
            }
            let mark = serde_json::from_slice::<Mark>(&read[line..]).ok().filter(|_| read.ends_with(b"\n"));
            let Some(start) = mark.and_then(|mark| mark.start(&read[..line])) else { continue };
            if start > 0 {
                return Err(Error::malformed("the journal has a broken batch before a whole one")
                    .at_byte(good)
                    .with_hint("the disk or another program changed it; move the run's folder away to go on")
                    .with_path(shown));
            }
            let mut offset = good;
            for line in read[..line].split_inclusive(|byte| *byte == b'\n') {
                let head: Head = serde_json::from_slice(line).map_err(|error| {
                    Error::malformed(format!("the journal's line is no row: {error}"))
                        .at_byte(offset)
                        .with_path(shown.clone())
                })?;
                let identity = (head.root, head.input);
                let pass = passes.entry(identity.clone()).or_default();
                // A pass starts with record 0; what an interrupted pass left behind is dropped.
                if head.index == 0 {
                    pass.clear();
                }
                pass.push(Place { offset, bytes: line.len() });
                if head.last == 1
                    && let Some(pass) = passes.remove(&identity)
                {
                    inputs.insert(identity, pass);
                }
                offset += line.len() as u64;
            }
            good += read.len() as u64;
            read.clear();
        }
    }

    /// Whether no input is complete.
    pub(crate) fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }
}

/// Reads the rows of complete inputs, sorted by identity and index.
pub(crate) struct JournalReader {
    file: File,
    places: std::vec::IntoIter<Place>,
}

impl JournalReader {
    /// Opens the journal whose index was read.
    pub(crate) fn open(path: &Path, index: Index) -> Result<Self> {
        let file = File::open(path)
            .map_err(|error| Error::io("cannot open the journal", error).with_path(path.display().to_string()))?;
        let places: Vec<_> = index.inputs.into_values().flatten().collect();
        Ok(Self { file, places: places.into_iter() })
    }

    fn row(&mut self, place: Place) -> Result<Row> {
        let failed = |error| Error::io("cannot read the journal", error);
        self.file.seek(SeekFrom::Start(place.offset)).map_err(failed)?;
        let mut line = vec![0; place.bytes];
        self.file.read_exact(&mut line).map_err(failed)?;
        serde_json::from_slice(&line)
            .map_err(|error| Error::malformed(format!("the journal's line is no row: {error}")).at_byte(place.offset))
    }
}

impl Iterator for JournalReader {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        let place = self.places.next()?;
        Some(self.row(place))
    }
}
