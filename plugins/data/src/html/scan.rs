//! What a document says of itself: its title, and whether it loads anything.

use std::borrow::Cow;

use mediary_core::{Context, Result};

use super::reference::unescape;
use super::token::{Attributes, Token, Tokens, starts_with};

/// What one pass over the tokens finds.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) title: Option<String>,
    pub(super) external: bool,
    /// Whether there is a tag at all.
    pub(super) markup: bool,
    pub(super) html_opened: bool,
    pub(super) html_closed: bool,
    pub(super) truncated: Option<(usize, &'static str)>,
}

/// Looks at a document, or at one inside of `depth` others.
pub(super) fn scan(text: &str, depth: u64, cx: &Context) -> Result<Scan> {
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
