//! The manifest as a plugin declares it: written at compile time from its [`FormatInfo`]s, so that the file says what the code
//! does. [`super::manifest`] has the JSON.

use super::manifest::{Need, legal_id};
use crate::format::{FormatInfo, Signature};
use crate::options::{OptionSpec, OptionType, OptionUse};

/// What a plugin declares, for the macro.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Declaration {
    pub name: &'static str,
    pub version: &'static str,
    pub license: &'static str,
    pub needs: &'static [Need],
    pub formats: &'static [FormatInfo],
}

impl Declaration {
    /// Bytes of its JSON.
    #[must_use]
    pub const fn measure(&self) -> usize {
        let mut pen = Pen { out: &mut [], at: 0 };
        pen.declaration(self);
        pen.at
    }

    /// Its JSON; `N` is what [`measure`](Self::measure) says.
    #[must_use]
    pub const fn json<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        let mut pen = Pen { out: &mut out, at: 0 };
        pen.declaration(self);
        assert!(pen.at == N, "N is not the length of the manifest");
        out
    }
}

/// Writes JSON at compile time. Beyond the end of `out` it only counts.
struct Pen<'o> {
    out: &'o mut [u8],
    at: usize,
}

/// A list: `$each` for every `$item`, with commas.
macro_rules! list {
    ($pen:ident, $items:expr, |$item:ident| $each:expr) => {{
        let items = $items;
        let mut at = 0;
        $pen.raw("[");
        while at < items.len() {
            if at > 0 {
                $pen.raw(",");
            }
            let $item = &items[at];
            $each;
            at += 1;
        }
        $pen.raw("]");
    }};
}

impl Pen<'_> {
    const fn byte(&mut self, byte: u8) {
        if self.at < self.out.len() {
            self.out[self.at] = byte;
        }
        self.at += 1;
    }

    const fn raw(&mut self, text: &str) {
        let text = text.as_bytes();
        let mut at = 0;
        while at < text.len() {
            self.byte(text[at]);
            at += 1;
        }
    }

    const fn nibble(&mut self, nibble: u8) {
        self.byte(if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble });
    }

    const fn text(&mut self, text: &str) {
        let text = text.as_bytes();
        let mut at = 0;
        self.byte(b'"');
        while at < text.len() {
            match text[at] {
                byte @ (b'"' | b'\\') => {
                    self.byte(b'\\');
                    self.byte(byte);
                }
                byte @ 0..0x20 => {
                    self.raw("\\u00");
                    self.nibble(byte >> 4);
                    self.nibble(byte & 15);
                }
                byte => self.byte(byte),
            }
            at += 1;
        }
        self.byte(b'"');
    }

    const fn hex(&mut self, bytes: &[u8]) {
        let mut at = 0;
        self.byte(b'"');
        while at < bytes.len() {
            self.nibble(bytes[at] >> 4);
            self.nibble(bytes[at] & 15);
            at += 1;
        }
        self.byte(b'"');
    }

    const fn number(&mut self, number: i64) {
        if number < 0 {
            self.byte(b'-');
        }
        let number = number.unsigned_abs();
        let mut unit = 1;
        while number / unit >= 10 {
            unit *= 10;
        }
        while unit > 0 {
            self.byte(b'0' + (number / unit % 10) as u8);
            unit /= 10;
        }
    }

    const fn truth(&mut self, truth: bool) {
        self.raw(if truth { "true" } else { "false" });
    }

    const fn declaration(&mut self, plugin: &Declaration) {
        self.raw("{\"manifest\":1,\"name\":");
        self.text(plugin.name);
        self.raw(",\"version\":");
        self.text(plugin.version);
        self.raw(",\"license\":");
        self.text(plugin.license);
        self.raw(",\"needs\":");
        list!(self, plugin.needs, |need| self.text(need.as_str()));
        self.raw(",\"formats\":");
        list!(self, plugin.formats, |format| self.format(format));
        self.raw("}");
    }

    const fn format(&mut self, format: &FormatInfo) {
        assert!(legal_id(format.id.as_bytes()), "a format id is of lower-case letters, digits, dots and dashes");
        self.raw("{\"id\":");
        self.text(format.id);
        self.raw(",\"name\":");
        self.text(format.name);
        self.raw(",\"kinds\":");
        list!(self, format.kinds, |kind| self.text(kind.as_str()));
        self.raw(",\"extensions\":");
        list!(self, format.extensions, |extension| self.text(extension));
        self.raw(",\"media_types\":");
        list!(self, format.media_types, |media_type| self.text(media_type));
        self.raw(",\"signatures\":");
        list!(self, format.signatures, |signature| self.signature(signature));
        self.raw(",\"probes\":");
        self.truth(format.probes_without_signature);
        self.raw(",\"reads\":");
        self.truth(format.reads);
        self.raw(",\"writes\":");
        match format.writes {
            Some(features) => list!(self, features, |feature| self.text(feature.as_str())),
            None => self.raw("null"),
        }
        self.raw(",\"many_records\":");
        self.truth(format.many_records);
        self.raw(",\"siblings\":");
        self.truth(format.siblings);
        self.raw(",\"options\":");
        list!(self, format.options, |option| self.option(option));
        self.raw(",\"spec\":");
        self.text(format.spec);
        self.raw(",\"tier\":");
        self.text(format.tier.as_str());
        self.raw("}");
    }

    const fn signature(&mut self, signature: &Signature) {
        let (bytes, mask) = (signature.bytes, signature.mask);
        assert!(mask.is_empty() || mask.len() == bytes.len(), "a mask is empty or as long as its signature");
        self.raw("{\"offset\":");
        self.number(signature.offset as i64);
        self.raw(",\"bytes\":");
        self.hex(bytes);
        self.raw(",\"mask\":");
        self.hex(mask);
        self.raw("}");
    }

    const fn option(&mut self, option: &OptionSpec) {
        self.raw("{\"name\":");
        self.text(option.name);
        self.raw(match option.usage {
            OptionUse::Read => ",\"use\":\"read\",\"type\":",
            OptionUse::Write => ",\"use\":\"write\",\"type\":",
        });
        match option.kind {
            OptionType::Bool => self.raw("\"bool\""),
            OptionType::Int { min, max } => {
                self.raw("\"int\",\"min\":");
                self.number(min);
                self.raw(",\"max\":");
                self.number(max);
            }
            OptionType::Float => self.raw("\"float\""),
            OptionType::Text => self.raw("\"text\""),
            OptionType::Choice(choices) => {
                self.raw("\"choice\",\"choices\":");
                list!(self, choices, |choice| self.text(choice));
            }
        }
        self.raw(",\"default\":");
        self.text(option.default);
        self.raw(",\"help\":");
        self.text(option.help);
        self.raw("}");
    }
}
