//! What came of a check, for people and for programs.

use std::fmt;

use serde_json::{Value, json};

/// Lines of failures shown of one case; `to_json` has all of them.
const SHOWN: usize = 10;

/// The result of [`check`](crate::check).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Id of the format.
    pub format: String,
    /// Everything that was looked at, in order.
    pub cases: Vec<Case>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Case {
    /// What, in a few words.
    pub name: &'static str,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds, for so many reads, writes or answers.
    Passed(u64),
    /// It does not hold; one message a sample.
    Failed(Vec<String>),
    /// It was not looked at, and why.
    Skipped(String),
}

impl Report {
    pub(crate) fn new(format: &str) -> Self {
        Self { format: format.to_owned(), cases: Vec::new() }
    }

    pub(crate) fn add(&mut self, name: &'static str, outcome: Outcome) {
        self.cases.push(Case { name, outcome });
    }

    /// Whether nothing failed.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        !self.cases.iter().any(|case| matches!(case.outcome, Outcome::Failed(_)))
    }

    /// Numbers of cases that passed, failed and were skipped.
    #[must_use]
    pub fn tally(&self) -> (usize, usize, usize) {
        let count = |wanted: fn(&Outcome) -> bool| self.cases.iter().filter(|case| wanted(&case.outcome)).count();
        (
            count(|outcome| matches!(outcome, Outcome::Passed(_))),
            count(|outcome| matches!(outcome, Outcome::Failed(_))),
            count(|outcome| matches!(outcome, Outcome::Skipped(_))),
        )
    }

    /// An object of type `conformance`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let cases = self.cases.iter().map(|case| match &case.outcome {
            Outcome::Passed(count) => json!({ "name": case.name, "outcome": "passed", "count": count }),
            Outcome::Failed(messages) => json!({ "name": case.name, "outcome": "failed", "messages": messages }),
            Outcome::Skipped(why) => json!({ "name": case.name, "outcome": "skipped", "why": why }),
        });
        let cases: Vec<Value> = cases.collect();
        json!({ "type": "conformance", "format": self.format, "ok": self.is_ok(), "cases": cases })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.format)?;
        for Case { name, outcome } in &self.cases {
            match outcome {
                Outcome::Passed(count) => writeln!(f, "  passed   {name} ({count})")?,
                Outcome::Skipped(why) => writeln!(f, "  skipped  {name}: {why}")?,
                Outcome::Failed(messages) => {
                    writeln!(f, "  FAILED   {name}")?;
                    for message in messages.iter().take(SHOWN) {
                        writeln!(f, "           {message}")?;
                    }
                    if messages.len() > SHOWN {
                        writeln!(f, "           and {} more", messages.len() - SHOWN)?;
                    }
                }
            }
        }
        let (passed, failed, skipped) = self.tally();
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}
