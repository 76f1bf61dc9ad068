//! The rows of a whole store: a merge of its runs, which are sorted, in memory bounded by one row group a run.

use std::iter::Peekable;

use mediary_core::Result;

use crate::journal::{Index, JournalReader};
use crate::manifest::ManifestReader;
use crate::row::Row;
use crate::store::{JOURNAL, MANIFEST, Store};

type Cursor = Peekable<Box<dyn Iterator<Item = Result<Row>> + Send>>;

/// Rows sorted by root, input and index. When several runs have an input, the newest run has all its rows.
pub struct Records {
    /// Oldest first.
    runs: Vec<Cursor>,
    /// The run that has the input at hand, and the input.
    current: Option<(usize, (String, String))>,
    failed: bool,
}

impl Records {
    pub(crate) fn open(store: &Store, wanted: Option<&'static [&'static str]>) -> Result<Self> {
        let mut runs = Vec::new();
        for run in store.runs()? {
            runs.push(open_run(store, run, wanted)?.peekable());
        }
        Ok(Self { runs, current: None, failed: false })
    }

    fn advance(&mut self) -> Result<Option<Row>> {
        loop {
            if let Some((run, identity)) = &self.current {
                let same = |row: &Result<Row>| {
                    row.as_ref().map_or(true, |row| row.identity() == (identity.0.as_str(), identity.1.as_str()))
                };
                if let Some(row) = self.runs[*run].next_if(same) {
                    return row.map(Some);
                }
            }
            let mut first: Option<(&str, &str)> = None;
            for run in &mut self.runs {
                if let Some(Ok(row)) = run.peek() {
                    first = Some(first.map_or(row.identity(), |first| first.min(row.identity())));
                }
            }
            let owned = first.map(|(root, input)| (root.to_owned(), input.to_owned()));
            let mut newest = None;
            for (number, run) in self.runs.iter_mut().enumerate() {
                match run.peek() {
                    Some(Err(_)) => return run.next().transpose(),
                    Some(Ok(row)) if owned.as_ref().is_some_and(|(root, input)| row.identity() == (root, input)) => {
                        newest = Some(number);
                    }
                    _ => {}
                }
            }
            let (Some(newest), Some(identity)) = (newest, owned) else { return Ok(None) };
            for run in &mut self.runs[..newest] {
                while run
                    .next_if(|row| row.as_ref().is_ok_and(|row| row.identity() == (&identity.0, &identity.1)))
                    .is_some()
                {}
            }
            self.current = Some((newest, identity));
        }
    }
}

impl Iterator for Records {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.advance().transpose();
        self.failed = matches!(next, Some(Err(_)) | None);
        next
    }
}

/// The rows of one run, sorted.
pub(crate) fn open_run(
    store: &Store,
    run: u64,
    wanted: Option<&'static [&'static str]>,
) -> Result<Box<dyn Iterator<Item = Result<Row>> + Send>> {
    let folder = store.run_folder(run);
    let (journal, manifest) = (folder.join(JOURNAL), folder.join(MANIFEST));
    if !manifest.exists() {
        let index = Index::read(&journal)?;
        // The run may be finished between the two looks: its manifest is there before its journal goes.
        if !index.is_empty()
            && let Ok(reader) = JournalReader::open(&journal, index)
        {
            return Ok(Box::new(reader));
        }
        if !manifest.exists() {
            return Ok(Box::new(std::iter::empty()));
        }
    }
    Ok(Box::new(ManifestReader::open(&manifest, wanted)?))
}
