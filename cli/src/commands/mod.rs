//! One file a command, and the loop over inputs that several of them share.

pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod detect;
pub(crate) mod doctor;
pub(crate) mod formats;
pub(crate) mod info;
pub(crate) mod ingest;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod plugin;
pub(crate) mod preview;
pub(crate) mod show;
pub(crate) mod verify;

use std::ffi::OsString;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mediary::{Error, ErrorKind, Source};

use crate::args::OnError;
use crate::inputs::{self, Input};
use crate::output::Screen;
use crate::{Exit, Session};

/// Why work on an input ended early.
pub(crate) enum Stop {
    /// The input failed; the next one may be fine.
    Input(Error),
    /// Stdout failed: there is nobody left to work for.
    Stdout(io::Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Input(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Stdout(error)
    }
}

/// How many inputs went well, and how many did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) good: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// Not one good input is a failure; some are "finished, some inputs failed".
    pub(crate) fn exit(self) -> Exit {
        match (self.good, self.failed) {
            (_, 0) => Exit::Good,
            (0, _) => Exit::Failed,
            _ => Exit::Partial,
        }
    }
}

/// Runs `work` on every input. A failing one is reported and does not stop the rest, unless `--on-error stop`.
pub(crate) fn each_input(
    session: &Session,
    arguments: &[OsString],
    screen: &mut Screen,
    mut work: impl FnMut(&mut Screen, &Input, &Source) -> Result<(), Stop>,
) -> anyhow::Result<Exit> {
    let mut tally = Tally::default();
    for input in inputs::collect(arguments, &session.global)? {
        let done = open(session, &input).map_err(Stop::from).and_then(|source| {
            let done = catch_unwind(AssertUnwindSafe(|| work(screen, &input, &source)));
            done.unwrap_or_else(|_| Err(Stop::Input(defect())))
        });
        match done {
            Ok(()) => tally.good += 1,
            Err(Stop::Stdout(error)) => return Err(error.into()),
            Err(Stop::Input(error)) => {
                tally.failed += 1;
                let error = error.with_path(input.shown());
                screen.error(&error)?;
                if error.kind() == ErrorKind::Cancelled {
                    return Ok(Exit::Interrupted);
                }
                if session.global.on_error == OnError::Stop {
                    return Ok(Exit::Failed);
                }
            }
        }
        screen.flush()?;
    }
    Ok(tally.exit())
}

/// Opens an input and refuses an empty one, which holds no media whatever its name says.
pub(crate) fn open(session: &Session, input: &Input) -> mediary::Result<Source> {
    let source = input.open(&session.limits).map_err(|error| error.with_path(input.shown()))?;
    if source.is_empty() {
        return Err(Error::malformed("the input is empty")
            .with_hint("0 bytes hold no media; fetch or copy it again")
            .with_path(input.shown()));
    }
    Ok(source)
}

/// How a command ends that cannot read its store: rows that are not readable are damage.
pub(crate) fn store_failure(error: Error, screen: &mut Screen) -> anyhow::Result<Exit> {
    if error.kind() != ErrorKind::Malformed {
        return Err(error.into());
    }
    screen.error(&error.with_hint("the store is damaged: `mediary verify` tells how much"))?;
    Ok(Exit::Damaged)
}

/// What a panic outside of core's guard becomes: a failed input like any other.
fn defect() -> Error {
    Error::new(ErrorKind::Plugin, "a format broke down on this input")
        .with_hint("this is a defect of mediary: please report the file; -v shows where")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_among_many_is_partial() {
        let exit = |good, failed| Tally { good, failed }.exit();
        assert_eq!(exit(0, 0), Exit::Good);
        assert_eq!(exit(2, 0), Exit::Good);
        assert_eq!(exit(2, 1), Exit::Partial);
        assert_eq!(exit(0, 1), Exit::Failed);
    }
}
