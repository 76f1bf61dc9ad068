//! What a cell may be, and what a column therefore is.
//!
//! | type | all its cells, besides null ones |
//! |---|---|
//! | null | none |
//! | bool | `true`/`false` in lower case, upper case or with a capital |
//! | int64 | `0`, or `-` and digits without a leading zero, from -2^63 to 2^63 - 1 |
//! | float64 | as int64, or with a point and an exponent, or `NaN`, `nan`, `inf`, `-inf`, `Infinity`, `-Infinity` |
//! | text | anything |
//!
//! Names of numbers stay text: a leading zero (`007`), a leading plus (`+49 30`), whole numbers beyond 64 bits, and numbers
//! beyond 64-bit floats (`1e400`), which would be infinite. Numbers that a float rounds are counted (`rounded`): those whose
//! digits its own print does not give again. Spaces around a number do not count. A quoted empty cell is an empty text; in a column of numbers it is null.
//! With `types=exact` a column is typed only if writing its values gives the very cells again: `1.50`, `1e3`, `True` and
//! `" 1"` stay text. With `types=text` every column is text.

use mediary_core::record::ColumnType;

/// How cells become types: option `types`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Types {
    Numbers,
    Exact,
    Text,
}

impl Types {
    pub(super) fn of(option: &str) -> Self {
        match option {
            "exact" => Self::Exact,
            "text" => Self::Text,
            _ => Self::Numbers,
        }
    }
}

/// What the text of one cell may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Bool,
    Int,
    Float,
    /// A decimal that a 64-bit float rounds.
    LongFloat,
    Text,
}

/// Significant digits that a 64-bit float always keeps, of numbers it has an exponent for.
const FLOAT_DIGITS: usize = 15;

/// Characters of a decimal, and of its exponent, that cannot lead out of the range of a 64-bit float.
const SAFE_LENGTH: usize = 64;
const SAFE_EXPONENT: usize = 2;

/// Classifies a cell.
pub(super) fn classify(text: &[u8], types: Types) -> Class {
    if types == Types::Text {
        return Class::Text;
    }
    let class = classify_loosely(trim(text));
    if types == Types::Exact && !is_canonical(text, class) {
        return Class::Text;
    }
    class
}

fn trim(text: &[u8]) -> &[u8] {
    // Most cells have no space: two looks instead of a search.
    match text {
        [b' ', ..] | [.., b' '] => text.trim_ascii(),
        _ => text,
    }
}

fn classify_loosely(text: &[u8]) -> Class {
    match text {
        b"true" | b"false" | b"True" | b"False" | b"TRUE" | b"FALSE" => return Class::Bool,
        b"NaN" | b"nan" | b"inf" | b"-inf" | b"Infinity" | b"-Infinity" => return Class::Float,
        _ => {}
    }
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(unsigned);
    if whole > 1 && unsigned[0] == b'0' {
        return Class::Text;
    }
    let mut rest = &unsigned[whole..];
    if rest.is_empty() {
        return match whole {
            0 => Class::Text,
            // The sign of a negative zero is kept by floats alone.
            1 if text == b"-0" => Class::Float,
            1..=18 => Class::Int,
            _ if parse_int(text).is_some() => Class::Int,
            _ => Class::Text,
        };
    }
    let mut significant = whole;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if whole + length == 0 {
            return Class::Text;
        }
        let zeros =
            if unsigned[..whole].iter().all(|&byte| byte == b'0') { leading_zeros(&fraction[..length]) } else { 0 };
        significant += length - zeros;
        rest = &fraction[length..];
    } else if whole == 0 {
        return Class::Text;
    }
    let mut exponent = &rest[..0];
    if let [b'e' | b'E', signed @ ..] = rest {
        exponent = signed.strip_prefix(b"-").or(signed.strip_prefix(b"+")).unwrap_or(signed);
        if exponent.is_empty() || digits(exponent) != exponent.len() {
            return Class::Text;
        }
        rest = b"";
    }
    match rest {
        [] if significant <= FLOAT_DIGITS && text.len() <= SAFE_LENGTH && exponent.len() <= SAFE_EXPONENT => {
            Class::Float
        }
        [] => classify_long(text),
        _ => Class::Text,
    }
}

/// Classifies a decimal that a float may round, or not hold at all.
fn classify_long(text: &[u8]) -> Class {
    match parse_float(text) {
        Some(value) if value.is_finite() => {
            let literal = significant_digits(text);
            // The shortest text of a float is not always the nearest one of as many digits, which others print.
            let kept = literal == significant_digits(format!("{value:e}").as_bytes())
                || (1..=17).contains(&literal.len())
                    && literal == significant_digits(format!("{value:.*e}", literal.len() - 1).as_bytes());
            if kept { Class::Float } else { Class::LongFloat }
        }
        _ => Class::Text,
    }
}

/// The digits of a decimal without its sign, point, exponent, and zeros at both ends.
fn significant_digits(text: &[u8]) -> Vec<u8> {
    let mantissa = text.split(|byte| matches!(byte, b'e' | b'E')).next().unwrap_or_default();
    let mut digits: Vec<u8> = mantissa.iter().copied().filter(u8::is_ascii_digit).skip_while(|&d| d == b'0').collect();
    digits.truncate(digits.iter().rposition(|&digit| digit != b'0').map_or(0, |last| last + 1));
    digits
}

fn leading_zeros(digits: &[u8]) -> usize {
    digits.iter().take_while(|&&byte| byte == b'0').count()
}

/// Whether the writer spells the value of this cell with the very same bytes.
fn is_canonical(text: &[u8], class: Class) -> bool {
    match class {
        Class::Bool => matches!(text, b"true" | b"false"),
        // The loose grammar of whole numbers admits one spelling each.
        Class::Int => trim(text).len() == text.len(),
        Class::Float | Class::LongFloat => {
            parse_float(text).is_some_and(|value| super::writer::float(value).as_bytes() == text)
        }
        Class::Text => true,
    }
}

pub(super) fn parse_bool(text: &[u8]) -> Option<bool> {
    match trim(text) {
        b"true" | b"True" | b"TRUE" => Some(true),
        b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

pub(super) fn parse_int(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(trim(text)).ok()?.parse().ok()
}

pub(super) fn parse_float(text: &[u8]) -> Option<f64> {
    fast_float2::parse(trim(text)).ok()
}

/// Whether a float does not hold this whole number.
fn is_rounded(text: &[u8]) -> bool {
    parse_int(text).is_some_and(|value| value as f64 as i128 != i128::from(value))
}

/// What the cells of a column so far allow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inferred {
    bools: bool,
    ints: bool,
    floats: bool,
    texts: bool,
    quoted_empties: bool,
    long_ints: u64,
    long_floats: u64,
}

impl Inferred {
    /// Adds a cell that is not null.
    pub(super) fn observe(&mut self, text: &[u8], quoted: bool, types: Types) {
        if self.texts {
            return;
        }
        if quoted && text.is_empty() && types != Types::Text {
            self.quoted_empties = true;
            return;
        }
        match classify(text, types) {
            Class::Bool => self.bools = true,
            Class::Int => {
                self.ints = true;
                self.long_ints += u64::from(text.len() > FLOAT_DIGITS && is_rounded(text));
            }
            Class::Float => self.floats = true,
            Class::LongFloat => {
                self.floats = true;
                self.long_floats += 1;
            }
            Class::Text => self.texts = true,
        }
    }

    /// The type of the column.
    pub(super) fn kind(&self, types: Types) -> ColumnType {
        let numbers = self.ints || self.floats;
        if types == Types::Exact && (self.ints && self.floats || self.quoted_empties && (numbers || self.bools)) {
            return ColumnType::Text;
        }
        match self {
            Self { texts: true, .. }
            | Self { bools: true, ints: true, .. }
            | Self { bools: true, floats: true, .. } => ColumnType::Text,
            Self { bools: true, .. } => ColumnType::Bool,
            Self { floats: true, .. } => ColumnType::Float64,
            Self { ints: true, .. } => ColumnType::Int64,
            Self { quoted_empties: true, .. } => ColumnType::Text,
            _ => ColumnType::Null,
        }
    }

    /// Cells that lose digits in a column of floats.
    pub(super) fn rounded(&self) -> u64 {
        self.long_floats + self.long_ints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_cells() {
        let cases = [
            ("0", Class::Int),
            ("-12", Class::Int),
            (" 7 ", Class::Int),
            ("9223372036854775807", Class::Int),
            ("-9223372036854775808", Class::Int),
            ("9223372036854775808", Class::Text),
            ("007", Class::Text),
            ("+1", Class::Text),
            ("-0", Class::Float),
            ("-", Class::Text),
            (".", Class::Text),
            ("-.5", Class::Float),
            ("5.", Class::Float),
            ("1.50", Class::Float),
            ("1e5", Class::Float),
            ("1E-5", Class::Float),
            ("1e", Class::Text),
            ("1e+", Class::Text),
            ("e5", Class::Text),
            (".e5", Class::Text),
            ("00.5", Class::Text),
            ("0.00000000000000012345", Class::Float),
            ("0.123456789012345678", Class::LongFloat),
            ("12345678901234567.5", Class::LongFloat),
            ("9007199254740993.0", Class::LongFloat),
            ("9007199254740992.0", Class::Float),
            ("0.30000000000000004", Class::Float),
            ("0.30000000000000005", Class::LongFloat),
            ("0.10000000000000000000", Class::Float),
            // 2^-44: the shortest text that reads as it, and the nearest of as many digits.
            ("5.684341886080802e-14", Class::Float),
            ("5.6843418860808015e-14", Class::Float),
            ("1.7976931348623157e308", Class::Float),
            ("1e400", Class::Text),
            ("-1e309", Class::Text),
            ("1e-400", Class::LongFloat),
            ("0e999", Class::Float),
            ("1,5", Class::Text),
            ("1_0", Class::Text),
            ("0x10", Class::Text),
            ("NaN", Class::Float),
            ("NA", Class::Text),
            ("True", Class::Bool),
            ("tRUE", Class::Text),
            ("", Class::Text),
        ];
        for (text, expected) in cases {
            assert_eq!(classify(text.as_bytes(), Types::Numbers), expected, "{text:?}");
            // What is taken for a number is one.
            match expected {
                Class::Int => assert!(parse_int(text.as_bytes()).is_some(), "{text:?}"),
                Class::Float | Class::LongFloat => assert!(parse_float(text.as_bytes()).is_some(), "{text:?}"),
                _ => {}
            }
        }
    }

    #[test]
    fn exact_types_keep_spellings() {
        for (text, expected) in [
            ("1.5", Class::Float),
            ("1.50", Class::Text),
            ("2.0", Class::Float),
            ("1e3", Class::Text),
            ("1", Class::Int),
            (" 1", Class::Text),
            ("True", Class::Text),
            ("NaN", Class::Float),
            ("nan", Class::Text),
        ] {
            assert_eq!(classify(text.as_bytes(), Types::Exact), expected, "{text:?}");
        }
    }
}
