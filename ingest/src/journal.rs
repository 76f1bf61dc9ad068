//! The journal of a running run: one JSON line a row, appended and synced after the objects the rows name. A line that was
//! torn by a crash is cut when the run goes on; an input without its last row does not count.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use mediary_core::{Error, Result};
use serde::Deserialize;

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
    /// Opens or makes the journal at `path` and cuts a torn end.
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

    /// Appends rows in one write and makes them durable.
    pub(crate) fn append<'r>(&mut self, rows: impl IntoIterator<Item = &'r Row>) -> Result<()> {
        let mut lines = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut lines, row)
                .map_err(|error| Error::io("cannot write the journal", error.into()))?;
            lines.push(b'\n');
        }
        let failed = |error| Error::io("cannot write the journal", error);
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
    /// Bytes up to the end of the last whole line.
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
        let (mut offset, mut good, mut line) = (0_u64, 0_u64, Vec::new());
        let mut torn = None;
        loop {
            line.clear();
            let bytes = reader.read_until(b'\n', &mut line).map_err(failed)?;
            if bytes == 0 {
                return Ok(Self { inputs, good });
            }
            let whole = line.last() == Some(&b'\n');
            match serde_json::from_slice::<Head>(&line) {
                Ok(head) if whole => {
                    if let Some(torn) = torn {
                        return Err(Error::malformed("the journal has a broken line before good ones")
                            .at_byte(torn)
                            .with_hint("the disk or another program changed it; move the run's folder away to go on")
                            .with_path(shown));
                    }
                    good = offset + bytes as u64;
                    let identity = (head.root, head.input);
                    let pass = passes.entry(identity.clone()).or_default();
                    // A pass starts with record 0; what an interrupted pass left behind is dropped.
                    if head.index == 0 {
                        pass.clear();
                    }
                    pass.push(Place { offset, bytes });
                    if head.last == 1
                        && let Some(pass) = passes.remove(&identity)
                    {
                        inputs.insert(identity, pass);
                    }
                }
                _ => torn = torn.or(Some(offset)),
            }
            offset += bytes as u64;
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
