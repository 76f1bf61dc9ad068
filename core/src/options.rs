//! Option schemas of formats, and option values validated against them.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};

/// What values an option takes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum OptionType {
    /// `true` or `false` (also `yes`, `no`, `on`, `off`, `1`, `0`).
    Bool,
    /// A whole number in a closed range.
    Int {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
    },
    /// A finite decimal number.
    Float,
    /// Any text.
    Text,
    /// One of a list of words.
    Choice(&'static [&'static str]),
}

impl OptionType {
    /// The type in words, for help and error messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Bool => "true or false".into(),
            Self::Int { min, max } => format!("a whole number from {min} to {max}"),
            Self::Float => "a decimal number".into(),
            Self::Text => "text".into(),
            Self::Choice(words) => words.join(" | "),
        }
    }
}

/// When an option applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionUse {
    /// On reading.
    Read,
    /// On writing.
    Write,
}

/// One option of a format: a row of help, of `mediary formats ID`, and of the docs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptionSpec {
    /// Name without the format: `-o <format>.<name>=<value>`.
    pub name: &'static str,
    /// On reading or on writing.
    pub usage: OptionUse,
    /// What values it takes.
    pub kind: OptionType,
    /// The default, spelled as a user would.
    pub default: &'static str,
    /// One sentence.
    pub help: &'static str,
}

impl OptionSpec {
    /// An option for reading.
    #[must_use]
    pub const fn read(name: &'static str, kind: OptionType, default: &'static str, help: &'static str) -> Self {
        Self { name, usage: OptionUse::Read, kind, default, help }
    }

    /// An option for writing.
    #[must_use]
    pub const fn write(name: &'static str, kind: OptionType, default: &'static str, help: &'static str) -> Self {
        Self { name, usage: OptionUse::Write, kind, default, help }
    }

    fn parse(&self, format: &str, text: &str) -> Result<OptionValue> {
        let wrong = || {
            Error::new(
                ErrorKind::InvalidOption,
                format!("option {format}.{}: expected {}, found {text:?}", self.name, self.kind.describe()),
            )
        };
        Ok(match self.kind {
            OptionType::Bool => match text {
                "true" | "yes" | "on" | "1" => OptionValue::Bool(true),
                "false" | "no" | "off" | "0" => OptionValue::Bool(false),
                _ => return Err(wrong()),
            },
            OptionType::Int { min, max } => match text.parse() {
                Ok(value) if (min..=max).contains(&value) => OptionValue::Int(value),
                _ => return Err(wrong()),
            },
            OptionType::Float => match text.parse::<f64>() {
                Ok(value) if value.is_finite() => OptionValue::Float(value),
                _ => return Err(wrong()),
            },
            OptionType::Text => OptionValue::Text(text.into()),
            OptionType::Choice(words) => match words.iter().find(|word| **word == text) {
                Some(word) => OptionValue::Text((*word).into()),
                None => return Err(wrong()),
            },
        })
    }
}

/// A checked value.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionValue {
    /// Of [`OptionType::Bool`].
    Bool(bool),
    /// Of [`OptionType::Int`].
    Int(i64),
    /// Of [`OptionType::Float`].
    Float(f64),
    /// Of [`OptionType::Text`] and [`OptionType::Choice`].
    Text(String),
}

/// The options of one format in one operation: given ones checked, the others at their defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    values: BTreeMap<&'static str, OptionValue>,
}

impl Options {
    /// Checks `given` (name without the format, value) against the schema of `format` for one use.
    ///
    /// # Errors
    /// `InvalidOption` for an unknown name (the valid ones are named) or an ill-typed value.
    pub fn resolve(
        format: &str,
        schema: &'static [OptionSpec],
        usage: OptionUse,
        given: &[(String, String)],
    ) -> Result<Self> {
        let mut values = BTreeMap::new();
        for spec in schema.iter().filter(|spec| spec.usage == usage) {
            values.insert(spec.name, spec.parse(format, spec.default)?);
        }
        for (name, text) in given {
            // An option of the other direction is legal in one command line: `convert a.obj b.obj -o obj.weld=true`.
            let Some(spec) = schema.iter().find(|spec| spec.name == name) else {
                let mut names: Vec<_> = schema.iter().map(|spec| format!("{format}.{}", spec.name)).collect();
                names.sort_unstable();
                names.dedup();
                return Err(Error::new(ErrorKind::InvalidOption, format!("format {format} has no option {name:?}"))
                    .with_hint(if names.is_empty() {
                        format!("{format} has no options")
                    } else {
                        format!("it has {}", names.join(", "))
                    }));
            };
            for spec in schema.iter().filter(|other| other.name == spec.name) {
                let value = spec.parse(format, text)?;
                if spec.usage == usage {
                    values.insert(spec.name, value);
                }
            }
        }
        Ok(Self { values })
    }

    /// Every option with its value as a user would spell it: `true`, `12`, `0.5`.
    pub fn spelled(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.values.iter().map(|(name, value)| {
            let text = match value {
                OptionValue::Bool(value) => value.to_string(),
                OptionValue::Int(value) => value.to_string(),
                OptionValue::Float(value) => value.to_string(),
                OptionValue::Text(value) => value.clone(),
            };
            (*name, text)
        })
    }

    /// The value of a `Bool` option; `false` if the schema has none of that name.
    #[must_use]
    pub fn bool(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(OptionValue::Bool(true)))
    }

    /// The value of an `Int` option; 0 if the schema has none of that name.
    #[must_use]
    pub fn int(&self, name: &str) -> i64 {
        match self.values.get(name) {
            Some(OptionValue::Int(value)) => *value,
            _ => 0,
        }
    }

    /// The value of a `Float` option; 0 if the schema has none of that name.
    #[must_use]
    pub fn float(&self, name: &str) -> f64 {
        match self.values.get(name) {
            Some(OptionValue::Float(value)) => *value,
            _ => 0.0,
        }
    }

    /// The value of a `Text` or `Choice` option; empty if the schema has none of that name.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        match self.values.get(name) {
            Some(OptionValue::Text(value)) => value,
            _ => "",
        }
    }
}
