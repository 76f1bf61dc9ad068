//! The JSON of such files, pulled from a source in bounded memory.

use mediary_core::{Context, Error, Location, Result, Source, Strictness};
use serde_json::{Map, Value};

use crate::decimal::decimal;
use crate::parallel::{TEXT, Taken};

/// Bytes read at a time.
pub(super) const BUFFER: usize = 256 << 10;
/// Longest number that is taken for one.
const NUMBER_BYTES: usize = 1 << 10;
/// Bytes that a JSON value takes in memory, roughly.
const VALUE_BYTES: u64 = 96;

/// Where a scanner stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    byte: u64,
    line: u64,
    line_start: u64,
}

pub(super) struct Scanner {
    source: Source,
    cx: Context,
    buffer: Vec<u8>,
    at: usize,
    /// Offset of the buffer's first byte.
    start: u64,
    line: u64,
    line_start: u64,
    /// NaN, infinite and null numbers so far.
    pub(super) specials: u64,
    pub(super) first_special: Option<Location>,
    /// A number had a point or an exponent.
    pub(super) dotted: bool,
    /// The last row failed for its width, not for what it holds.
    pub(super) depth_hint: bool,
    /// Before here, rows are to be read one by one.
    seen: u64,
}

impl Scanner {
    pub(super) fn new(source: &Source, cx: &Context) -> Self {
        Self::at(source, cx, Place { byte: 0, line: 1, line_start: 0 })
    }

    pub(super) fn at(source: &Source, cx: &Context, place: Place) -> Self {
        Self {
            source: source.clone(),
            cx: cx.clone(),
            buffer: Vec::new(),
            at: 0,
            start: place.byte,
            line: place.line,
            line_start: place.line_start,
            specials: 0,
            first_special: None,
            dotted: false,
            depth_hint: false,
            seen: 0,
        }
    }

    fn offset(&self) -> u64 {
        self.start + self.at as u64
    }

    pub(super) fn place(&self) -> Place {
        Place { byte: self.offset(), line: self.line, line_start: self.line_start }
    }

    pub(super) fn location(&self) -> Location {
        let byte = self.offset();
        Location::line(self.line).with_column(byte.saturating_sub(self.line_start) + 1).with_byte(byte)
    }

    pub(super) fn location_in(&self, row: u64) -> Location {
        Location { element: Some(format!("points[{row}]")), ..self.location() }
    }

    pub(super) fn location_after_space(&mut self) -> Result<Location> {
        self.peek()?;
        Ok(self.location())
    }

    /// Reads on, keeping what is not consumed; `false` at the end of the input.
    #[cold]
    fn fill(&mut self) -> Result<bool> {
        self.fill_by(BUFFER)
    }

    fn fill_by(&mut self, bytes: usize) -> Result<bool> {
        self.cx.checkpoint()?;
        self.buffer.drain(..self.at);
        self.start += self.at as u64;
        self.at = 0;
        let kept = self.buffer.len();
        self.buffer.resize(kept + bytes, 0);
        let read = self.source.read_at(self.start + kept as u64, &mut self.buffer[kept..])?;
        self.buffer.truncate(kept + read);
        Ok(read > 0)
    }

    pub(super) fn skip_byte_order_mark(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            self.fill()?;
        }
        if self.buffer[self.at..].starts_with(b"\xEF\xBB\xBF") {
            self.cx.tolerate("byte-order-mark", "the document begins with a byte order mark", Location::byte(0))?;
            self.at += 3;
        }
        Ok(())
    }

    /// The next byte that is no white space, not consumed.
    pub(super) fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            match self.buffer.get(self.at) {
                Some(b'\n') => {
                    self.at += 1;
                    self.line += 1;
                    self.line_start = self.offset();
                }
                Some(b' ' | b'\t' | b'\r') => self.at += 1,
                Some(&byte) => return Ok(Some(byte)),
                None => {
                    if !self.fill()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    pub(super) fn take(&mut self, byte: u8) -> Result<bool> {
        let found = self.peek()? == Some(byte);
        self.at += usize::from(found);
        Ok(found)
    }

    pub(super) fn expect(&mut self, byte: u8, what: &str) -> Result<()> {
        if self.take(byte)? { Ok(()) } else { Err(self.wrong(what)?) }
    }

    /// After an element: `true` for a comma, `false` for the `close` of the list.
    pub(super) fn another(&mut self, close: u8) -> Result<bool> {
        match self.peek()? {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.wrong(&format!("a comma or {:?}", char::from(close)))?),
        }
    }

    /// What stands here is not what should.
    pub(super) fn wrong(&mut self, expected: &str) -> Result<Error> {
        Ok(match self.peek()? {
            None => Error::malformed(format!("the document ends early: expected {expected}"))
                .at(self.location())
                .with_hint("the file is cut short; fetch or copy it again"),
            Some(_) => {
                let found = &self.buffer[self.at..];
                let found = found[..found.len().min(12)].escape_ascii().to_string();
                Error::malformed(format!("expected {expected}, found \"{found}\"")).at(self.location())
            }
        })
    }

    /// Bytes from here on as long as `of` holds, at most `most`; not consumed.
    fn run(&mut self, most: usize, of: impl Fn(u8) -> bool) -> Result<&[u8]> {
        let mut length = 0;
        loop {
            match self.buffer.get(self.at + length) {
                Some(&byte) if length < most && of(byte) => length += 1,
                Some(_) => break,
                None => {
                    if !self.fill()? {
                        break;
                    }
                }
            }
        }
        Ok(&self.buffer[self.at..self.at + length])
    }

    /// A number, or what stands for one.
    fn number(&mut self) -> Result<f64> {
        let first = self.peek()?;
        if !matches!(first, Some(b'-' | b'0'..=b'9' | b'N' | b'I' | b'n')) {
            return Err(self.wrong("a number")?);
        }
        let token = self.run(NUMBER_BYTES, |byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))?;
        let length = token.len();
        let dotted = token.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
        let value = match token {
            b"NaN" | b"null" | b"-NaN" => f64::NAN,
            b"Infinity" => f64::INFINITY,
            b"-Infinity" => f64::NEG_INFINITY,
            token if is_number(token) => fast_float2::parse(token).unwrap_or(f64::NAN),
            _ => return Err(self.wrong("a number")?),
        };
        if !value.is_finite() {
            let at = self.location();
            if self.cx.strictness() == Strictness::Strict {
                return Err(self.wrong("a finite number")?.with_hint("it is tolerated without --strict"));
            }
            self.specials += 1;
            self.first_special.get_or_insert(at);
        }
        self.at += length;
        self.dotted |= dotted;
        Ok(value)
    }

    /// The rows of `width` finite numbers that come next, each with its comma, as lists of their numbers end to end with what
    /// `make` makes of them, several threads at a time. None where rows are to be read one by one. A row comes next after them.
    pub(super) fn plain_rows<T: Send>(
        &mut self,
        width: usize,
        make: impl Fn(&[f64]) -> T + Sync,
    ) -> Result<Vec<(Vec<f64>, T)>> {
        if self.offset() < self.seen {
            return Ok(Vec::new());
        }
        while self.buffer.len() - self.at < TEXT && self.fill_by(TEXT - (self.buffer.len() - self.at))? {}
        let parts = parts(&self.buffer[self.at..], self.cx.threads());
        let lengths = parts.iter().map(|part| part.len()).collect();
        let found = self.cx.in_parts(parts, |text, cx| {
            cx.checkpoint()?;
            let rows = PlainRows::take(text, width);
            let made = make(&rows.numbers);
            let bytes = rows.bytes;
            Ok((((rows, made), bytes), 0))
        })?;
        let taken = Taken::of(found, lengths);
        self.seen = self.offset() + taken.seen as u64;
        let mut all = Vec::with_capacity(taken.parts.len());
        for (rows, made) in taken.parts {
            if let Some(behind) = rows.line_end {
                self.line_start = self.offset() + behind as u64;
            }
            self.at += rows.bytes;
            self.line += rows.lines;
            self.dotted |= rows.dotted;
            all.push((rows.numbers, made));
        }
        Ok(all)
    }

    /// A row that is buffered whole, on one line, of finite numbers only, as nearly all are: how many. `None`, without moving,
    /// for anything else.
    fn plain_row(&mut self, row: &mut [f64; 6]) -> Option<usize> {
        let (width, end, dotted) = plain_row(&self.buffer[self.at..], row)?;
        self.at += end;
        self.dotted |= dotted;
        Some(width)
    }

    /// A row of 3, 4 or 6 numbers; returns how many.
    pub(super) fn row(&mut self, row: &mut [f64; 6], number: u64) -> Result<usize> {
        self.depth_hint = false;
        if let Some(width) = self.plain_row(row) {
            return Ok(width);
        }
        let named = |scanner: &Self, error: Error| {
            let at = error.location().cloned().unwrap_or_else(|| scanner.location());
            error.at(Location { element: Some(format!("points[{number}]")), ..at })
        };
        self.expect(b'[', "a row of numbers").map_err(|error| named(self, error))?;
        let mut width = 0;
        let mut more = !self.take(b']')?;
        while more {
            let value = self.number().map_err(|error| named(self, error))?;
            if let Some(slot) = row.get_mut(width) {
                *slot = value;
            }
            width += 1;
            more = self.another(b']').map_err(|error| named(self, error))?;
        }
        if !matches!(width, 3 | 4 | 6) {
            self.depth_hint = true;
            let message = format!("a row has 3, 4 or 6 numbers, found {width}");
            return Err(Error::malformed(message).at(self.location_in(number)));
        }
        Ok(width)
    }

    pub(super) fn string(&mut self) -> Result<String> {
        if self.peek()? != Some(b'"') {
            return Err(self.wrong("text in quotes")?);
        }
        let at = self.location();
        let most = usize::try_from(self.cx.limits().string_bytes).unwrap_or(usize::MAX);
        let mut length = 1;
        let mut escaped = false;
        loop {
            match self.buffer.get(self.at + length) {
                Some(b'"') if !escaped => break,
                Some(&byte) => {
                    escaped = byte == b'\\' && !escaped;
                    length += 1;
                    if length > most {
                        return Err(Error::limit("string_bytes", length as u64, most as u64).at(at));
                    }
                }
                None => {
                    if !self.fill()? {
                        let error = Error::malformed("the document ends early: expected the end of a text");
                        return Err(error.at(at).with_hint("the file is cut short; fetch or copy it again"));
                    }
                }
            }
        }
        self.cx.budget().take(length as u64)?;
        let text = serde_json::from_slice(&self.buffer[self.at..=self.at + length])
            .map_err(|error| Error::malformed(format!("a text that is no JSON text: {error}")).at(at))?;
        self.at += length + 1;
        Ok(text)
    }

    /// Any value. Non-finite numbers become null.
    pub(super) fn value(&mut self, depth: u64) -> Result<Value> {
        self.cx.limits().check("depth", depth).map_err(|error| error.at(self.location()))?;
        self.cx.budget().take(VALUE_BYTES)?;
        Ok(match self.peek()? {
            Some(b'"') => Value::String(self.string()?),
            Some(b'[') => {
                self.at += 1;
                let mut values = Vec::new();
                let mut more = !self.take(b']')?;
                while more {
                    values.push(self.value(depth + 1)?);
                    more = self.another(b']')?;
                }
                values.into()
            }
            Some(b'{') => {
                self.at += 1;
                let mut object = Map::new();
                let mut more = !self.take(b'}')?;
                while more {
                    self.peek()?;
                    let key = self.string()?;
                    self.expect(b':', "a colon")?;
                    object.insert(key, self.value(depth + 1)?);
                    more = self.another(b'}')?;
                }
                object.into()
            }
            Some(b't' | b'f' | b'n') => {
                let word = self.run(8, |byte| byte.is_ascii_alphanumeric())?;
                let (value, length) = match word {
                    b"true" => (true.into(), 4),
                    b"false" => (false.into(), 5),
                    b"null" => (Value::Null, 4),
                    _ => return Err(self.wrong("a value")?),
                };
                self.at += length;
                value
            }
            _ => {
                // Whole numbers stay whole: 255 and 255.0 tell colour ranges apart.
                let digits = self.run(NUMBER_BYTES, |byte| byte.is_ascii_digit() || byte == b'-')?.to_vec();
                let before = self.offset();
                let value = self.number()?;
                let consumed = self.offset() - before == digits.len() as u64;
                let whole = std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse::<i64>().ok());
                match whole.filter(|_| consumed && value.abs() < 9e15) {
                    Some(whole) => whole.into(),
                    None => serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number),
                }
            }
        })
    }
}

/// Divides rows into parts for so many threads, which end behind the comma that follows a row.
fn parts(bytes: &[u8], threads: usize) -> Vec<&[u8]> {
    let size = bytes.len() / threads.max(1);
    let (mut parts, mut rest) = (Vec::new(), bytes);
    let mut at = size;
    while threads > 1
        && let Some(length) = rest.get(at..).and_then(|after| memchr::memchr(b']', after))
    {
        at += length + 1;
        if rest.get(at) == Some(&b',') {
            let (part, after) = rest.split_at(at + 1);
            parts.push(part);
            (rest, at) = (after, size);
        }
    }
    parts.push(rest);
    parts
}

/// Rows with nothing odd about them.
struct PlainRows {
    numbers: Vec<f64>,
    /// What they take, commas included.
    bytes: usize,
    /// Line ends among them, and where the last one is behind.
    lines: u64,
    line_end: Option<usize>,
    /// One has a point or an exponent.
    dotted: bool,
}

impl PlainRows {
    fn take(text: &[u8], width: usize) -> Self {
        let mut all = Self { numbers: Vec::new(), bytes: 0, lines: 0, line_end: None, dotted: false };
        let mut row = [0.0; 6];
        let (mut at, mut lines, mut line_end) = (0, 0, None);
        loop {
            while let Some(byte @ (b' ' | b'\t' | b'\r' | b'\n')) = text.get(at) {
                at += 1;
                if *byte == b'\n' {
                    lines += 1;
                    line_end = Some(at);
                }
            }
            match plain_row(&text[at..], &mut row) {
                Some((found, length, dotted)) if found == width && text.get(at + length) == Some(&b',') => {
                    at += length + 1;
                    all.dotted |= dotted;
                }
                _ => return all,
            }
            all.numbers.extend_from_slice(&row[..width]);
            (all.bytes, all.lines, all.line_end) = (at, lines, line_end);
        }
    }
}

/// A row on one line at the start of `bytes`, of finite numbers only: how many, where it ends, and whether one has a point or an
/// exponent. `None` for anything else.
fn plain_row(bytes: &[u8], row: &mut [f64; 6]) -> Option<(usize, usize, bool)> {
    let past_blanks = |mut at: usize| {
        while bytes.get(at) == Some(&b' ') {
            at += 1;
        }
        at
    };
    let mut at = past_blanks(0);
    if bytes.get(at) != Some(&b'[') {
        return None;
    }
    let mut dotted = false;
    for (width, slot) in (1..).zip(row.iter_mut()) {
        at = past_blanks(at + 1);
        let number = decimal(&bytes[at..])?;
        let signed = usize::from(matches!(bytes[at], b'-' | b'+'));
        let is_json = bytes[at] != b'+'
            && (number.whole == 1 || number.whole > 1 && bytes[at + signed] != b'0')
            && number.fraction != Some(0);
        if !is_json || !number.value.is_finite() {
            return None;
        }
        *slot = number.value;
        dotted |= number.length > signed + number.whole;
        at = past_blanks(at + number.length);
        match bytes.get(at) {
            Some(b',') => {}
            Some(b']') if matches!(width, 3 | 4 | 6) => return Some((width, at + 1, dotted)),
            _ => return None,
        }
    }
    None
}

/// Whether a token is a number by the grammar of RFC 8259.
fn is_number(token: &[u8]) -> bool {
    let mut rest = token.strip_prefix(b"-").unwrap_or(token);
    let mut digits = || {
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, after) = rest.split_at(count);
        rest = after;
        digits
    };
    let whole = digits();
    if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
        return false;
    }
    if let Some(after) = rest.strip_prefix(b".") {
        let count = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return false;
        }
        rest = &after[count..];
    }
    match rest {
        [] => true,
        [b'e' | b'E', exponent @ ..] => {
            let exponent = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
            !exponent.is_empty() && exponent.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}
