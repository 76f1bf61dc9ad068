//! `mediary info`: what an input is.

use mediary::{Context, Source};

use super::{Stop, each_input};
use crate::args::InfoArgs;
use crate::inputs::Input;
use crate::output::{Screen, text};
use crate::{Exit, Session};

pub(crate) fn run(session: &Session, args: &InfoArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    each_input(session, &args.inputs, screen, |screen, input, source| {
        if args.full { full(session, screen, input, source) } else { header(session, screen, input, source) }
    })
}

/// The first record as far as the header tells: no payload is read.
fn header(session: &Session, screen: &mut Screen, input: &Input, source: &Source) -> Result<(), Stop> {
    let mut reading = session.registry.open(source, &session.read_options())?;
    let json = reading.header_json()?;
    if screen.json {
        return Ok(screen.json(&json)?);
    }
    Ok(screen.text(&text::record(screen.paint, &input.shown(), &json))?)
}

/// Every record, each shown once it was read to its end and looked at whole: before that, facts and diagnostics are not complete.
fn full(session: &Session, screen: &mut Screen, input: &Input, source: &Source) -> Result<(), Stop> {
    let mut reading = session.registry.open(source, &session.read_options())?;
    reading.set_sha256(source.sha256()?);
    let format = reading.format().id;
    for record in reading {
        let mut record = record?;
        record.media.drain().map_err(|error| error.of_format(format))?;
        let cx = Context::builder(format).limits(session.limits).cancel(session.interrupt.cancel()).build();
        let facts = record.media.examine(&cx).map_err(|error| error.of_format(format))?;
        let json = record.to_json_with(&facts);
        if screen.json {
            screen.json(&json)?;
        } else {
            screen.text(&text::record(screen.paint, &input.shown(), &json))?;
        }
    }
    Ok(())
}
