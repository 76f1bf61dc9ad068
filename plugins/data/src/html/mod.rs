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

mod encoding;
mod reference;
mod scan;
mod token;

use encoding_rs::{Encoding, UTF_8};
use mediary_core::record::Html as Document;
use mediary_core::{
    Canonical, Confidence, Context, Error, Format, FormatInfo, FormatReader, Kind, Location, Media, MediaRecord,
    Output, Probe, Result, Severity, Source, register, whole,
};

use encoding::{decode, prescan};
use scan::scan;
use token::starts_with;

const INFO: FormatInfo = FormatInfo::new("html", "HTML", &[Kind::Html])
    .extensions(&["html", "htm", "xhtml"])
    .media_types(&["text/html", "application/xhtml+xml"])
    .reads()
    .writes(&[])
    .canonical(&[Canonical { kind: Kind::Html, integer: None }])
    .spec("https://html.spec.whatwg.org/");

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
        // Nothing else is worth a look at all of the head.
        None if !head.trim_ascii_start().starts_with(b"<") => return Confidence::Unknown,
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
