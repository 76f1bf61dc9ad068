//! HTML, a document for a browser.
//!
//! Specification: [HTML Living Standard](https://html.spec.whatwg.org/multipage/parsing.html); encodings:
//! [Encoding Standard](https://encoding.spec.whatwg.org/).
//!
//! The record holds the text in UTF-8, as it stands: nothing is repaired, injected or removed. A tokenizer, not a tree builder,
//! looks at it for two facts:
//!
//! - `title`: the text of the first `title` element that is not inside `svg`, character references decoded, white space
//!   collapsed.
//! - `has_external_refs`: whether showing the document loads anything that is not in the file. That is a URL, other than
//!   `data:`, `blob:`, `about:`, `javascript:` or a fragment, in one of these places, relative ones included:
//!
//! | place | elements |
//! |---|---|
//! | `src` | any (`img`, `script`, `iframe`, `audio`, `video`, `source`, `track`, `embed`, `input`, `frame`) |
//! | `srcset`, `imagesrcset` | any (`img`, `source`, `link`) |
//! | `poster` | `video` |
//! | `data` | `object` |
//! | `background` | any (`body`, `table`, `td`) |
//! | `href` | `link` that loads (not `canonical`, `alternate`, `author`, `license`, `next`, `prev`, `help`, `search`, `me`), and `image`, `use`, `feImage` of SVG (also as `xlink:href`) |
//! | `url(…)`, `@import` | `style` elements and `style` attributes, escapes decoded |
//! | `srcdoc` | any (`iframe`): its document is looked at in the same way |
//!
//! Links (`a`, `area`), forms, `base`, and what scripts load do not count.
//!
//! The encoding is that of the byte order mark, else of a `meta` or else of the XML declaration in the first 1024 bytes, else
//! UTF-8 if the bytes are, else Windows-1252.
//!
//! Diagnostics: `encoding` (none is named and it is not UTF-8; an error in strict mode), `undecodable` (byte sequences that
//! are not of the encoding: U+FFFD stands for them; an error in strict mode), `nul` (NUL characters), `truncated` (the input
//! ends inside of a tag, a comment, or an element of raw text such as `script`; an error in strict mode), `no-markup` (no tag at all; an
//! error in strict mode), `unclosed` (the document
//! opens `html` and never closes it: a note, the end tag is optional). Lenient is as default.
//!
//! Written: the text in UTF-8. A `meta` or XML declaration that names another encoding is pointed out (`html.charset`): the text is not changed.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use mediary_core::record::Html as Document;
use mediary_core::{
    Canonical, Confidence, Context, Error, Format, FormatInfo, FormatReader, Kind, Location, Media, MediaRecord,
    Output, Probe, Result, Severity, Source, register, whole,
};

const INFO: FormatInfo = FormatInfo::new("html", "HTML", &[Kind::Html])
    .extensions(&["html", "htm", "xhtml"])
    .media_types(&["text/html", "application/xhtml+xml"])
    .reads()
    .writes(&[])
    .canonical(&[Canonical { kind: Kind::Html, integer: None }])
    .spec("https://html.spec.whatwg.org/");

/// Bytes in which a `meta` or the XML declaration may name the encoding.
const PRESCAN: usize = 1024;

struct Html;

register!(Html);

impl Format for Html {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        look(probe.head)
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (source, cx) = (source.clone(), cx.clone());
        Ok(whole(move || read(&source, &cx)))
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        use std::io::Write;
        let Media::Html(document) = &record.media else {
            return Err(Error::unsupported(format!("html holds html, not {}", record.media.kind())));
        };
        let named = prescan(document.text.as_bytes()).filter(|encoding| *encoding != UTF_8);
        if let Some(encoding) = named {
            let name = encoding.name();
            cx.warn(
                "charset",
                format!("the text names the encoding {name}, the file is UTF-8 with a mark that overrules it"),
            );
            // The mark is stronger than any name.
            out.write_all(b"\xEF\xBB\xBF")?;
        }
        out.write_all(document.text.as_bytes())?;
        Ok(())
    }
}

fn look(head: &[u8]) -> Confidence {
    let text = match Encoding::for_bom(head) {
        Some((encoding, mark)) => encoding.decode_without_bom_handling(&head[mark..]).0,
        None => String::from_utf8_lossy(head),
    };
    let mut rest = text.trim_start();
    // Comments, the XML declaration and other doctypes may come first.
    let mut xml = false;
    loop {
        rest = rest.trim_start();
        let skipped = if let Some(comment) = rest.strip_prefix("<!--") {
            comment.split_once("-->").map(|(_, after)| after)
        } else if let Some(declaration) = rest.strip_prefix("<?xml") {
            xml = true;
            declaration.split_once("?>").map(|(_, after)| after)
        } else {
            None
        };
        match skipped {
            Some(after) => rest = after,
            None => break,
        }
    }
    if starts_with(rest, "<!doctype html") {
        return Confidence::yes(250, "<!doctype html>");
    }
    if starts_with_tag(rest, "html") {
        return Confidence::yes(200, "it begins with <html>");
    }
    if xml {
        return Confidence::No;
    }
    let page = ["head", "body", "title", "meta", "script", "style", "link", "base"];
    if let Some(tag) = page.iter().find(|tag| starts_with_tag(rest, tag)) {
        return Confidence::yes(100, format!("it begins with <{tag}>"));
    }
    let part =
        ["div", "p", "h1", "h2", "h3", "table", "ul", "ol", "span", "a", "img", "br", "iframe", "section", "b", "i"];
    match part.iter().find(|tag| starts_with_tag(rest, tag)) {
        Some(tag) => Confidence::yes(50, format!("it begins with <{tag}>")),
        None => Confidence::Unknown,
    }
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

fn starts_with_tag(text: &str, tag: &str) -> bool {
    text.strip_prefix('<').is_some_and(|name| {
        starts_with(name, tag)
            && name
                .as_bytes()
                .get(tag.len())
                .is_some_and(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'))
    })
}

fn read(source: &Source, cx: &Context) -> Result<MediaRecord> {
    let bytes = source.bytes(cx)?;
    let (text, clean) = decode(&bytes, cx)?;
    let scan = scan(&text, 0, cx)?;
    let nuls = text.bytes().filter(|&byte| byte == 0).count();
    if nuls > 0 {
        cx.tolerate("nul", format!("{nuls} NUL characters, which HTML does not hold"), Location::default())?;
    }
    if let Some((at, what)) = scan.truncated {
        cx.tolerate("truncated", format!("the document ends inside of {what}"), Location::byte(at as u64))?;
    } else if !scan.markup {
        cx.tolerate("no-markup", "the document holds no tag: it is plain text", Location::default())?;
    } else if scan.html_opened && !scan.html_closed {
        cx.report(Severity::Info, "unclosed", "the document opens html and does not close it", None);
    }
    let named = prescan(&bytes).is_some_and(|encoding| encoding != UTF_8);
    let mut record =
        MediaRecord::new(Document { title: scan.title.unwrap_or_default(), has_external_refs: scan.external, text });
    record.source_is_canonical = clean && !named && nuls == 0 && scan.truncated.is_none();
    Ok(record)
}

/// The text, and whether the bytes were it already.
fn decode(bytes: &[u8], cx: &Context) -> Result<(String, bool)> {
    let marked = Encoding::for_bom(bytes);
    let (encoding, mark) = match marked {
        Some(marked) => marked,
        None => match prescan(bytes) {
            Some(encoding) => (encoding, 0),
            None if std::str::from_utf8(bytes).is_ok() => (UTF_8, 0),
            None => {
                cx.tolerate(
                    "encoding",
                    "the document names no encoding in its first 1024 bytes and is not UTF-8: it is read as windows-1252",
                    Location::default(),
                )?;
                (WINDOWS_1252, 0)
            }
        },
    };
    // One byte becomes three at most.
    cx.budget().take((bytes.len() as u64).saturating_mul(if encoding == UTF_8 { 1 } else { 3 }))?;
    let body = &bytes[mark..];
    let text = match std::str::from_utf8(body) {
        Ok(text) if encoding == UTF_8 => return Ok((text.to_owned(), mark == 0)),
        Err(error) if encoding == UTF_8 => {
            let text = String::from_utf8_lossy(body).into_owned();
            let at = Location::byte((mark + error.valid_up_to()) as u64);
            cx.tolerate("undecodable", "bytes that are not UTF-8: U+FFFD stands for each sequence", at)?;
            text
        }
        _ => {
            let (text, bad) = encoding.decode_without_bom_handling(body);
            if bad {
                let message = format!("bytes that are not {}: U+FFFD stands for each sequence", encoding.name());
                cx.tolerate("undecodable", message, Location::default())?;
            }
            text.into_owned()
        }
    };
    Ok((text, false))
}

/// The encoding that a `meta` in the first bytes names: `charset=` in its `charset` or `content` attribute; else that of an
/// XML declaration.
fn prescan(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(PRESCAN)]);
    let mut tokens = Tokens::new(&head);
    while let Some(token) = tokens.next() {
        let Token::Open { name, attributes } = token else { continue };
        if !name.eq_ignore_ascii_case("meta") {
            continue;
        }
        for (name, value) in Attributes::new(attributes) {
            let label = if name.eq_ignore_ascii_case("charset") {
                Some(value)
            } else if name.eq_ignore_ascii_case("content") {
                charset_of(value)
            } else {
                None
            };
            if let Some(encoding) = label.and_then(by_label) {
                return Some(encoding);
            }
        }
    }
    xml_encoding(&head).and_then(by_label)
}

/// The encoding of a label that was itself read as ASCII.
fn by_label(label: &str) -> Option<&'static Encoding> {
    let encoding = Encoding::for_label(label.as_bytes())?;
    // What could be read at all is not in UTF-16.
    Some(if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding })
}

/// `utf-8` of `<?xml version="1.0" encoding="utf-8"?>`.
fn xml_encoding(head: &str) -> Option<&str> {
    let (declaration, _) = head.strip_prefix("<?xml")?.split_once('>')?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_ascii_start().strip_prefix('=')?.trim_ascii_start();
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    value[1..].split_once(quote).map(|(label, _)| label)
}

/// `utf-8` of `text/html; charset=utf-8`.
fn charset_of(content: &str) -> Option<&str> {
    let at = content.to_ascii_lowercase().find("charset")?;
    let value = content[at + "charset".len()..].trim_start().strip_prefix('=')?.trim_start();
    let value = value.trim_start_matches(['"', '\'']);
    Some(value.split([';', ' ', '"', '\'']).next().unwrap_or(value))
}

/// What one pass over the tokens finds.
#[derive(Default)]
struct Scan {
    title: Option<String>,
    external: bool,
    /// Whether there is a tag at all.
    markup: bool,
    html_opened: bool,
    html_closed: bool,
    truncated: Option<(usize, &'static str)>,
}

/// Looks at a document, or at one inside of `depth` others.
fn scan(text: &str, depth: u64, cx: &Context) -> Result<Scan> {
    cx.limits().check("depth", depth)?;
    let mut found = Scan::default();
    let mut tokens = Tokens::new(text);
    let mut svg = 0_u32;
    let mut next_check = 0;
    while let Some(token) = tokens.next() {
        if tokens.at >= next_check {
            cx.checkpoint()?;
            next_check = tokens.at + (1 << 20);
        }
        match token {
            Token::Close(name) => {
                found.html_closed |= name.eq_ignore_ascii_case("html");
                if name.eq_ignore_ascii_case("svg") {
                    svg = svg.saturating_sub(1);
                }
            }
            Token::Raw { name, text } => {
                if name.eq_ignore_ascii_case("title") && svg == 0 && found.title.is_none() {
                    found.title = Some(collapse(&unescape(text)));
                }
                found.external |= name.eq_ignore_ascii_case("style") && style_loads(text);
            }
            Token::Open { name, attributes } => {
                found.markup = true;
                found.html_opened |= name.eq_ignore_ascii_case("html");
                if name.eq_ignore_ascii_case("svg") && !attributes.trim_end().ends_with('/') {
                    svg += 1;
                }
                // Inside of SVG a title describes a shape, and its content is markup.
                if svg > 0 && tokens.raw.is_some_and(|raw| raw.eq_ignore_ascii_case("title")) {
                    tokens.raw = None;
                }
                found.external = found.external || tag_loads(name, attributes) || inner_loads(attributes, depth, cx)?;
            }
        }
    }
    found.truncated = tokens.truncated;
    Ok(found)
}

/// Whether showing this element loads something from outside of the document.
fn tag_loads(tag: &str, attributes: &str) -> bool {
    let is = |names: &[&str]| names.iter().any(|name| tag.eq_ignore_ascii_case(name));
    let rel_loads = || {
        let apart = ["canonical", "alternate", "author", "license", "next", "prev", "help", "search", "me"];
        let rel = Attributes::new(attributes).find(|(name, _)| name.eq_ignore_ascii_case("rel"));
        // An alternate style sheet is loaded, an alternate page is not.
        rel.is_some_and(|(_, words)| {
            words.split_ascii_whitespace().any(|word| !apart.iter().any(|other| word.eq_ignore_ascii_case(other)))
        })
    };
    Attributes::new(attributes).any(|(name, value)| {
        let value = unescape(value);
        match name.to_ascii_lowercase().as_str() {
            "src" | "background" => is_external(&value),
            "srcset" | "imagesrcset" => srcset_loads(&value),
            "poster" => is(&["video"]) && is_external(&value),
            "data" => is(&["object"]) && is_external(&value),
            "href" | "xlink:href" if is(&["link"]) => rel_loads() && is_external(&value),
            "href" | "xlink:href" => is(&["image", "use", "feimage"]) && is_external(&value),
            "style" => style_loads(&value),
            _ => false,
        }
    })
}

/// Whether the document of an attribute `srcdoc` loads something.
fn inner_loads(attributes: &str, depth: u64, cx: &Context) -> Result<bool> {
    let Some((_, document)) = Attributes::new(attributes).find(|(name, _)| name.eq_ignore_ascii_case("srcdoc")) else {
        return Ok(false);
    };
    // Decoded, it is never longer.
    let bytes = document.len() as u64;
    cx.budget().take(bytes)?;
    let external = scan(&unescape(document), depth + 1, cx)?.external;
    cx.budget().give_back(bytes);
    Ok(external)
}

/// Whether a URL leads out of the document.
fn is_external(url: &str) -> bool {
    let url = url.trim();
    let inside = ["data:", "blob:", "about:", "javascript:", "#"];
    !url.is_empty() && !inside.iter().any(|prefix| starts_with(url, prefix))
}

/// Whether any candidate of a `srcset` is external: URLs end at white space; commas part candidates.
fn srcset_loads(value: &str) -> bool {
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        if rest.is_empty() {
            return false;
        }
        let end = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
        let (url, after) = rest.split_at(end);
        if is_external(url) {
            return true;
        }
        // Without descriptors the comma stands at the end of the URL.
        rest = if url.ends_with(',') { after } else { after.split_once(',').map_or("", |(_, after)| after) };
    }
}

/// Whether CSS loads something: `url(…)`, or `@import` with a text.
fn style_loads(css: &str) -> bool {
    let lower = unescape_css(css).to_ascii_lowercase();
    // Where a URL ends does not matter: how it begins does.
    let begins = |at: usize| {
        is_external(lower[at..].trim_start_matches(['"', '\'']).split([')', '"', '\'']).next().unwrap_or(""))
    };
    let after_space = |at: usize| at + lower[at..].len() - lower[at..].trim_start().len();
    let in_url = lower.match_indices("url(").any(|(at, found)| begins(after_space(at + found.len())));
    in_url
        || lower.match_indices("@import").any(|(at, found)| {
            let from = after_space(at + found.len());
            lower[from..].starts_with(['"', '\'']) && begins(from)
        })
}

/// Decodes the escapes of CSS: a backslash and up to six hexadecimal digits with one white space, or any one character.
fn unescape_css(css: &str) -> Cow<'_, str> {
    let mut parts = css.split('\\');
    let first = parts.next().unwrap_or_default();
    if first.len() == css.len() {
        return Cow::Borrowed(css);
    }
    let mut out = first.to_owned();
    let mut literal = false;
    for part in parts {
        // After `\\` the next part stands as it is.
        if std::mem::take(&mut literal) {
            out.push_str(part);
            continue;
        }
        let digits = part.bytes().take(6).take_while(u8::is_ascii_hexdigit).count();
        let (code, rest) = part.split_at(digits);
        match u32::from_str_radix(code, 16) {
            Ok(code) => {
                out.push(char::from_u32(code).unwrap_or('\u{FFFD}'));
                out.push_str(rest.strip_prefix("\r\n").or(rest.strip_prefix([' ', '\t', '\n', '\r'])).unwrap_or(rest));
            }
            Err(_) => {
                literal = part.is_empty();
                out.push_str(if literal { "\\" } else { rest });
            }
        }
    }
    Cow::Owned(out)
}

/// White space collapsed to single spaces, none at the ends.
fn collapse(text: &str) -> String {
    text.split([' ', '\t', '\n', '\r', '\u{C}']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Decodes numeric character references and the usual named ones; others stay as they are.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match reference(rest) {
            Some((decoded, length)) => {
                out.push(decoded);
                rest = &rest[length..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// The named references of Latin text and typography. Those marked are also known without the semicolon.
#[rustfmt::skip]
const NAMED: [(&str, bool, char); 118] = [
    ("amp", true, '&'), ("lt", true, '<'), ("gt", true, '>'), ("quot", true, '"'), ("apos", false, '\''),
    ("AMP", true, '&'), ("LT", true, '<'), ("GT", true, '>'), ("QUOT", true, '"'),
    ("nbsp", true, '\u{A0}'), ("iexcl", true, '¡'), ("cent", true, '¢'), ("pound", true, '£'), ("curren", true, '¤'),
    ("yen", true, '¥'), ("brvbar", true, '¦'), ("sect", true, '§'), ("uml", true, '¨'), ("copy", true, '©'),
    ("ordf", true, 'ª'), ("laquo", true, '«'), ("not", true, '¬'), ("shy", true, '\u{AD}'), ("reg", true, '®'),
    ("macr", true, '¯'), ("deg", true, '°'), ("plusmn", true, '±'), ("sup2", true, '²'), ("sup3", true, '³'),
    ("acute", true, '´'), ("micro", true, 'µ'), ("para", true, '¶'), ("middot", true, '·'), ("cedil", true, '¸'),
    ("sup1", true, '¹'), ("ordm", true, 'º'), ("raquo", true, '»'), ("frac14", true, '¼'), ("frac12", true, '½'),
    ("frac34", true, '¾'), ("iquest", true, '¿'), ("Agrave", true, 'À'), ("Aacute", true, 'Á'), ("Acirc", true, 'Â'),
    ("Atilde", true, 'Ã'), ("Auml", true, 'Ä'), ("Aring", true, 'Å'), ("AElig", true, 'Æ'), ("Ccedil", true, 'Ç'),
    ("Egrave", true, 'È'), ("Eacute", true, 'É'), ("Ecirc", true, 'Ê'), ("Euml", true, 'Ë'), ("Igrave", true, 'Ì'),
    ("Iacute", true, 'Í'), ("Icirc", true, 'Î'), ("Iuml", true, 'Ï'), ("ETH", true, 'Ð'), ("Ntilde", true, 'Ñ'),
    ("Ograve", true, 'Ò'), ("Oacute", true, 'Ó'), ("Ocirc", true, 'Ô'), ("Otilde", true, 'Õ'), ("Ouml", true, 'Ö'),
    ("times", true, '×'), ("Oslash", true, 'Ø'), ("Ugrave", true, 'Ù'), ("Uacute", true, 'Ú'), ("Ucirc", true, 'Û'),
    ("Uuml", true, 'Ü'), ("Yacute", true, 'Ý'), ("THORN", true, 'Þ'), ("szlig", true, 'ß'), ("agrave", true, 'à'),
    ("aacute", true, 'á'), ("acirc", true, 'â'), ("atilde", true, 'ã'), ("auml", true, 'ä'), ("aring", true, 'å'),
    ("aelig", true, 'æ'), ("ccedil", true, 'ç'), ("egrave", true, 'è'), ("eacute", true, 'é'), ("ecirc", true, 'ê'),
    ("euml", true, 'ë'), ("igrave", true, 'ì'), ("iacute", true, 'í'), ("icirc", true, 'î'), ("iuml", true, 'ï'),
    ("eth", true, 'ð'), ("ntilde", true, 'ñ'), ("ograve", true, 'ò'), ("oacute", true, 'ó'), ("ocirc", true, 'ô'),
    ("otilde", true, 'õ'), ("ouml", true, 'ö'), ("divide", true, '÷'), ("oslash", true, 'ø'), ("ugrave", true, 'ù'),
    ("uacute", true, 'ú'), ("ucirc", true, 'û'), ("uuml", true, 'ü'), ("yacute", true, 'ý'), ("thorn", true, 'þ'),
    ("yuml", true, 'ÿ'), ("ndash", false, '–'), ("mdash", false, '—'), ("lsquo", false, '‘'), ("rsquo", false, '’'),
    ("ldquo", false, '“'), ("rdquo", false, '”'), ("bull", false, '•'), ("hellip", false, '…'), ("trade", false, '™'),
    ("euro", false, '€'), ("rarr", false, '→'), ("larr", false, '←'), ("minus", false, '−'),
];

/// The character that `text`, which begins with `&`, stands for, and the bytes the reference takes.
fn reference(text: &str) -> Option<(char, usize)> {
    let name = &text[1..];
    if let Some(number) = name.strip_prefix('#') {
        let hex = number.starts_with(['x', 'X']);
        let digits = if hex { &number[1..] } else { number };
        let radix = if hex { 16 } else { 10 };
        let length = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        if length == 0 {
            return None;
        }
        let code = u32::from_str_radix(&digits[..length], radix).unwrap_or(u32::MAX);
        let semicolon = usize::from(digits[length..].starts_with(';'));
        return Some((character(code), 2 + usize::from(hex) + length + semicolon));
    }
    let length = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
    let closed = name[length..].starts_with(';');
    let exact = NAMED.iter().find(|(known, bare, _)| name[..length] == **known && (closed || *bare));
    if let Some((_, _, decoded)) = exact {
        return Some((*decoded, 1 + length + usize::from(closed)));
    }
    // `&copyright` is the character and the rest of the word.
    let (known, _, decoded) =
        NAMED.iter().filter(|(known, bare, _)| *bare && name.starts_with(known)).max_by_key(|n| n.0.len())?;
    Some((*decoded, 1 + known.len()))
}

/// The character of a numeric reference: the C1 range means Windows-1252, what is no character U+FFFD.
fn character(code: u32) -> char {
    match u8::try_from(code) {
        Ok(0) => '\u{FFFD}',
        Ok(byte @ 0x80..=0x9F) => {
            WINDOWS_1252.decode_without_bom_handling(&[byte]).0.chars().next().unwrap_or('\u{FFFD}')
        }
        _ => char::from_u32(code).unwrap_or('\u{FFFD}'),
    }
}

/// A piece of markup; text between tags is skipped.
enum Token<'a> {
    Open {
        name: &'a str,
        attributes: &'a str,
    },
    Close(&'a str),
    /// The content of an element whose content is no markup.
    Raw {
        name: &'a str,
        text: &'a str,
    },
}

/// Elements whose content is no markup.
const RAW: [&str; 8] = ["script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"];

struct Tokens<'a> {
    text: &'a str,
    at: usize,
    /// The raw element that was opened last.
    raw: Option<&'a str>,
    /// Where the input ends inside of something, and of what.
    truncated: Option<(usize, &'static str)>,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, raw: None, truncated: None }
    }

    /// The end of the tag that begins at `start`: the offset of its `>`, outside of quotes.
    fn tag_end(&self, start: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = start;
        let mut quote = None;
        let mut after_equals = false;
        while let Some(&byte) = bytes.get(at) {
            match quote {
                Some(open) if byte == open => quote = None,
                Some(_) => {}
                None if byte == b'>' => return Some(at),
                // A quote opens a value only after the equals sign.
                None if after_equals && matches!(byte, b'"' | b'\'') => quote = Some(byte),
                None => {}
            }
            after_equals = quote.is_none() && (byte == b'=' || (after_equals && byte.is_ascii_whitespace()));
            at += 1;
        }
        None
    }

    fn next(&mut self) -> Option<Token<'a>> {
        if let Some(name) = self.raw.take() {
            return Some(self.raw_text(name));
        }
        loop {
            let start = self.at + self.text[self.at..].find('<')?;
            let rest = &self.text[start..];
            if let Some(comment) = rest.strip_prefix("<!--") {
                // `<!-->` is a whole comment.
                let end = if comment.starts_with('>') { Some(0) } else { comment.find("-->").map(|end| end + 2) };
                let Some(end) = end else { return self.cut(start, "a comment") };
                self.at = start + 4 + end + 1;
                continue;
            }
            let closing = rest.starts_with("</");
            let from = start + 1 + usize::from(closing);
            let first = self.text.as_bytes().get(from);
            if matches!(first, Some(b'!' | b'?')) && !closing {
                let Some(end) = rest.find('>') else { return self.cut(start, "a declaration") };
                self.at = start + end + 1;
                continue;
            }
            match first {
                Some(byte) if byte.is_ascii_alphabetic() => {}
                None => return self.cut(start, "a tag"),
                // A lone `<` is text.
                Some(_) => {
                    self.at = start + 1;
                    continue;
                }
            }
            let Some(end) = self.tag_end(from) else { return self.cut(start, "a tag") };
            let tag = &self.text[from..end];
            let length = tag.find(|c: char| c.is_ascii_whitespace() || c == '/').unwrap_or(tag.len());
            let (name, attributes) = tag.split_at(length);
            self.at = end + 1;
            if closing {
                return Some(Token::Close(name));
            }
            self.raw = RAW.iter().any(|raw| name.eq_ignore_ascii_case(raw)).then_some(name);
            return Some(Token::Open { name, attributes });
        }
    }

    /// The text up to the end tag of `name`.
    fn raw_text(&mut self, name: &'a str) -> Token<'a> {
        let from = self.at;
        let text = &self.text[from..];
        let closes = |(at, _): &(usize, &str)| {
            let after = &text[at + 2..];
            starts_with(after, name)
                && after.as_bytes().get(name.len()).is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'))
        };
        let end = text.match_indices("</").find(closes).map(|(at, _)| at);
        if end.is_none() {
            self.truncated = Some((from, "an element of raw text"));
        }
        let end = end.unwrap_or(text.len());
        self.at = from + end;
        Token::Raw { name, text: &text[..end] }
    }

    fn cut(&mut self, at: usize, what: &'static str) -> Option<Token<'a>> {
        self.truncated = Some((at, what));
        self.at = self.text.len();
        None
    }
}

/// Names and values of the attributes of a tag, as they stand.
struct Attributes<'a>(&'a str);

impl<'a> Attributes<'a> {
    fn new(text: &'a str) -> Self {
        Self(text)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.0.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if text.is_empty() {
            return None;
        }
        // A leading equals sign is part of the name.
        let first = text.chars().next().map_or(0, char::len_utf8);
        let end = text[first..]
            .find(|c: char| c.is_ascii_whitespace() || matches!(c, '=' | '/'))
            .map_or(text.len(), |end| end + first);
        let (name, rest) = text.split_at(end);
        let Some(value) = rest.trim_ascii_start().strip_prefix('=') else {
            self.0 = rest;
            return Some((name, ""));
        };
        let value = value.trim_ascii_start();
        let (value, rest) = match value.as_bytes().first() {
            Some(&quote @ (b'"' | b'\'')) => {
                let inner = &value[1..];
                inner.split_once(char::from(quote)).unwrap_or((inner, ""))
            }
            _ => value.split_at(value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len())),
        };
        self.0 = rest;
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use mediary_core::{ReadOptions, Registry, WriteOptions};

    use super::*;

    fn document(bytes: &[u8]) -> MediaRecord {
        let source = Source::from_bytes("a.html", bytes);
        Registry::builtin().open(&source, &ReadOptions::default()).unwrap().next().unwrap().unwrap()
    }

    fn parts(record: &MediaRecord) -> &Document {
        match &record.media {
            Media::Html(document) => document,
            _ => panic!("no document"),
        }
    }

    /// Expected values from html5lib 1.1: `parse(text).find(".//{*}title").text`, white space collapsed.
    #[test]
    fn titles() {
        for (text, expected) in [
            ("<title>A</title>", "A"),
            ("<!doctype html><TITLE lang=en>\n A &amp; B \t</TITLE><title>C</title>", "A & B"),
            (
                "<html><title>&lt;&#x41;&#66;&nbsp;&eacute;&copy2&hellip;&unknown;&#128;</title>",
                "<AB\u{A0}é©2…&unknown;€",
            ),
            ("<html><svg><title>S</title></svg><title>T</title>", "T"),
            ("<html><!-- <title>no</title> --><script>'<title>no</title>'</script><title>yes</title>", "yes"),
            ("<html a='>'><title>q</title>", "q"),
            ("<html><title>a < b <b>c</b></title>", "a < b <b>c</b>"),
            ("<html><body>none", ""),
        ] {
            assert_eq!(parts(&document(text.as_bytes())).title, expected, "{text:?}");
        }
    }

    #[test]
    fn external_references() {
        for (body, expected) in [
            ("<img src=a.png>", true),
            ("<img src='data:image/png;base64,AA=='>", false),
            ("<a href=https://example.org>x</a>", false),
            ("<link rel=stylesheet href=//example.org/a.css>", true),
            ("<link rel=canonical href=https://example.org>", false),
            ("<img srcset='data:, 1x, b.png 2x'>", true),
            ("<style>a { background: url( 'x.png' ) }</style>", true),
            ("<style>a { background: url(#x) } @import 'b.css';</style>", true),
            ("<p style='background:url(data:,)'>", false),
            ("<script>var src='a.js'</script>", false),
            ("<script src=a.js></script>", true),
            ("<object data=x></object>", true),
            ("<svg><use href='#a'/><image xlink:href='b.png'/></svg>", true),
            ("<!-- <img src=a.png> -->", false),
            ("<img data-src=a.png alt='src=b.png'>", false),
            ("<iframe srcdoc='<img src=a.png>'></iframe>", true),
            ("<iframe srcdoc=\"&lt;iframe srcdoc='&amp;lt;img src=a.png&amp;gt;'&gt;\"></iframe>", true),
            ("<iframe srcdoc='<p>x</p><img src=data:,>'></iframe>", false),
            (r"<style>a{background:u\72l(https://example.org/a.png)}</style>", true),
            (r"<style>a{background:\000075 rl(x.png)}</style>", true),
            (r"<style>a{background:url(\64 ata:,)}</style>", false),
            (r"<style>a{content:'u\\72l(x.png)'}</style>", false),
        ] {
            let text = format!("<!doctype html><html>{body}</html>");
            assert_eq!(parts(&document(text.as_bytes())).has_external_refs, expected, "{body}");
        }
    }

    /// Each level doubles nothing but the references of the next: deep ones are cheap to write.
    #[test]
    fn documents_inside_of_documents_are_bounded() {
        let mut text = String::from("<p>x</p>");
        for _ in 0..200 {
            text = format!(
                "<iframe srcdoc={}></iframe>",
                text.replace('&', "&amp;").replace('>', "&gt;").replace(' ', "/")
            );
        }
        let source = Source::from_bytes("a.html", text.into_bytes());
        let error = Registry::builtin().open(&source, &ReadOptions::default()).unwrap().next().unwrap().unwrap_err();
        assert_eq!(error.limit_name(), Some("depth"));
    }

    #[test]
    fn encodings_become_utf8() {
        let utf16: Vec<u8> =
            "\u{FEFF}<html><title>한</title></html>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let record = document(&utf16);
        assert_eq!((parts(&record).title.as_str(), record.source_is_canonical), ("한", false));
        let record = document(b"<html><meta charset=iso-8859-2><title>\xB1</title></html>");
        assert_eq!(parts(&record).title, "ą");
        let record =
            document(b"<html><meta http-equiv=x content='text/html; charset=koi8-r'><title>\xC1</title></html>");
        assert_eq!(parts(&record).title, "а");
        assert!(record.diagnostics.is_empty());
        let record =
            document(b"<?xml version='1.0' encoding='windows-1251'?><html><title>\xFF</title><meta charset=x></html>");
        assert_eq!(parts(&record).title, "я");
        assert!(record.diagnostics.is_empty());
        let record = document(b"<html><title>\xE9</title></html>");
        assert_eq!(parts(&record).title, "é");
        assert_eq!(record.diagnostics.to_vec()[0].code, "html.encoding");
        let record = document("<html><title>é</title></html>".as_bytes());
        assert!(record.source_is_canonical && record.diagnostics.is_empty());
    }

    #[test]
    fn a_cut_document_is_reported() {
        for text in ["<html><p", "<html><!-- x", "<html><script>x", "<html><title>x</ti", "<html><a b='"] {
            let record = document(text.as_bytes());
            assert_eq!(record.diagnostics.to_vec()[0].code, "html.truncated", "{text:?}");
        }
        let mut forced = ReadOptions::default();
        forced.from = Some("html".into());
        let plain = Source::from_bytes("a", &b"a < b"[..]);
        let record = Registry::builtin().open(&plain, &forced).unwrap().next().unwrap().unwrap();
        assert_eq!(record.diagnostics.to_vec()[0].code, "html.no-markup");
        assert_eq!(document(b"<html><p>").diagnostics.to_vec()[0].code, "html.unclosed");
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for bytes in [&b"<html><meta charset=koi8-r><title>\xC1</title></html>"[..], b"<html>\xC3\xA9</html>"] {
            let mut record = document(bytes);
            let mut out = Output::memory();
            Registry::builtin().write(&mut record, "html", &mut out, &WriteOptions::default()).unwrap();
            let again = document(&out.finish().unwrap().bytes);
            assert_eq!(parts(&again), parts(&record));
        }
    }
}
