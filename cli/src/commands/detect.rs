//! `mediary detect`: which format an input has, and how that was decided.

use mediary::{Candidate, Detection, Origin, Registry, Source, Strictness};
use serde_json::{Value, json};

use super::formats::add_origins;
use super::{Stop, each_input};
use crate::args::DetectArgs;
use crate::inputs::Input;
use crate::output::text::Paint;
use crate::output::{self, Screen, text};
use crate::{Exit, Session};

pub(crate) fn run(session: &Session, args: &DetectArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    each_input(session, &args.inputs, screen, |screen, input, source| detect(session, args, screen, input, source))
}

fn detect(
    session: &Session,
    args: &DetectArgs,
    screen: &mut Screen,
    input: &Input,
    source: &Source,
) -> Result<(), Stop> {
    // A forced detection is the registry's to make, with its reason.
    let detection = match &session.global.from {
        Some(_) => session.registry.open(source, &session.read_options())?.detection().clone(),
        None => session.registry.detect(source),
    };
    let winner = detection.winner(session.global.strictness() == Strictness::Strict);
    let shown = input.shown();
    if screen.json {
        screen.json(&to_json(&session.registry, &shown, winner.as_ref().ok().copied(), &detection))?;
    } else if args.explain {
        screen.text(&explain(screen.paint, &session.registry, &shown, &detection))?;
    } else if let Ok(winner) = &winner {
        screen.text(&format!("{}: {winner}\n", text::clean(&shown)))?;
    }
    winner.map(drop).map_err(Stop::from)
}

fn to_json(registry: &Registry, shown: &str, winner: Option<&str>, detection: &Detection) -> Value {
    let mut json = json!({ "type": "detection", "path": shown, "format": winner, "decided_by": decided_by(detection) });
    if let (Value::Object(json), Ok(Value::Object(detection))) = (&mut json, serde_json::to_value(detection)) {
        json.extend(detection);
    }
    for (index, candidate) in detection.candidates.iter().enumerate() {
        json["candidates"][index]["origin"] = output::json::origin(origin(registry, candidate.format));
    }
    json
}

/// What set the first candidate before the second, in the order in which the registry compares.
fn decided_by(detection: &Detection) -> &'static str {
    if detection.forced {
        return "the caller";
    }
    match &detection.candidates[..] {
        [] => "nothing",
        [_] => "it is the only candidate",
        [first, second, ..] => first_difference(first, second),
    }
}

fn first_difference(first: &Candidate, second: &Candidate) -> &'static str {
    if first.score != second.score {
        "score"
    } else if first.extension != second.extension {
        "extension"
    } else if first.specificity != second.specificity {
        "length of the signature"
    } else if first.tier != second.tier {
        "tier"
    } else {
        "id, in alphabetical order: the content speaks for both"
    }
}

fn origin<'r>(registry: &'r Registry, id: &str) -> &'r Origin {
    registry.origin(id).unwrap_or(&Origin::BuiltIn)
}

fn explain(paint: Paint, registry: &Registry, shown: &str, detection: &Detection) -> String {
    let mut report = format!("{}\n", paint.title(&text::clean(shown)));
    for failure in &detection.failures {
        let origin = origin(registry, failure.format);
        let told = format!("{} ({origin}) could not look at it: {}: {}", failure.format, failure.kind, failure.message);
        report += &format!("{} {}\n", paint.bad("failed:"), text::clean(&told));
    }
    if detection.candidates.is_empty() {
        let claim = match &detection.extension_mismatch[..] {
            [] => "and none claims the extension".to_owned(),
            ids => format!("though the name says {}", ids.join(" or ")),
        };
        return report + &format!("no format recognises the content, {claim}\n\n");
    }
    let mut rows: Vec<Vec<String>> = detection
        .candidates
        .iter()
        .map(|it| {
            let tier = format!("{:?}", it.tier).to_lowercase();
            let extension = if it.extension { "yes" } else { "no" };
            vec![
                it.format.into(),
                it.score.to_string(),
                extension.into(),
                it.specificity.to_string(),
                tier,
                it.reason.clone(),
            ]
        })
        .collect();
    let mut heading = vec!["format", "score", "extension", "signature", "tier", "reason"];
    let origins = detection.candidates.iter().map(|candidate| origin(registry, candidate.format));
    add_origins(&mut heading, &mut rows, "origin", origins);
    report += &text::table(paint, &heading, &rows);
    report += &format!("decided by: {}\n", decided_by(detection));
    if !detection.extension_mismatch.is_empty() {
        report += &format!(
            "{} the name says {}, the content does not\n",
            paint.odd("warning:"),
            detection.extension_mismatch.join(" or ")
        );
    }
    report + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use mediary::Tier;

    fn candidate(format: &'static str, score: u8, extension: bool, specificity: usize, tier: Tier) -> Candidate {
        Candidate { format, score, reason: "r".into(), extension, specificity, tier }
    }

    #[test]
    fn the_first_difference_decides() {
        let a = candidate("a", 100, false, 4, Tier::Standard);
        for (other, by) in [
            (candidate("b", 50, true, 9, Tier::Preferred), "score"),
            (candidate("b", 100, true, 9, Tier::Preferred), "extension"),
            (candidate("b", 100, false, 3, Tier::Preferred), "length of the signature"),
            (candidate("b", 100, false, 4, Tier::Fallback), "tier"),
            (candidate("b", 100, false, 4, Tier::Standard), "id, in alphabetical order: the content speaks for both"),
        ] {
            assert_eq!(first_difference(&a, &other), by);
        }
    }

    #[test]
    fn a_mismatch_is_told() {
        let detection = Detection {
            candidates: vec![candidate("png", 200, false, 8, Tier::Standard)],
            failures: Vec::new(),
            forced: false,
            extension_mismatch: vec!["jpeg"],
        };
        let report = explain(Paint(false), &Registry::empty(), "a.jpg", &detection);
        assert!(report.contains("png     200    no         8          standard  r\n"), "{report}");
        assert!(report.contains("decided by: it is the only candidate\nwarning: the name says jpeg"), "{report}");
        let json = to_json(&Registry::empty(), "a.jpg", Some("png"), &detection);
        assert_eq!(json["candidates"][0]["score"], 200);
        assert_eq!(json["extension_mismatch"][0], "jpeg");
    }
}
