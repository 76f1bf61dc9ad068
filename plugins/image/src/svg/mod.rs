//! SVG, Scalable Vector Graphics: drawings as XML, which become pixels.
//!
//! Specification: SVG 1.1, <https://www.w3.org/TR/SVG11/>, and what the crate `resvg` draws of SVG 2. It is read with the feature
//! `svg`, which is off by default for its build time: without it the format is recognised and refused.
//!
//! | element | becomes |
//! |---|---|
//! | `width`, `height` of `svg` | the size in pixels, 96 an inch, rounded up; a missing or relative one is that of `viewBox`, and without one that of what is drawn |
//! | options `scale`, `width` | another size, drawn and not resized: `width` sets the pixels across, the height follows |
//! | shapes, paths, gradients, patterns, masks, clips, filters, markers, `use`, `switch`, style sheets | what is drawn, RGBA in 8 bits, not premultiplied; where nothing is drawn it is transparent |
//! | `image` with a `data:` URL | drawn: PNG, JPEG, GIF (the first frame), WebP, and SVG in SVG |
//! | `text` | drawn with the option `fonts=system`, in the nearest font where theirs is missing; by default left out and told (`text`), because the same bytes must give the same picture on every machine and no font is built in |
//! | `title`, `desc` | properties `title`, `description` |
//!
//! Nothing is loaded from anywhere: references to files and addresses, style sheets that import, are left out and told
//! (`external`). Findings: `text`, `font` (one that stands for another), `external`, `image` (one that cannot be read), `encoding`, `loop` (a filter that refers
//! to itself; the reference is left out), `foreign-object`, `script`, `animation` (the picture is that before it begins), `size`
//! (none in the file). Strict mode refuses what is left out because it is broken: `image`, `encoding`, `loop`.
//!
//! Drawing cannot be interrupted, so it is measured first: depth and number of elements as they are once every `use`, pattern,
//! mask and marker is followed, the size of each layer, and the pixels that are touched in all, filters by what they cost. What
//! goes over a limit is refused, and so is an element that shows itself.
//!
//! SVG is not written.

#[cfg(feature = "svg")]
mod document;
#[cfg(feature = "svg")]
mod draw;
#[cfg(feature = "svg")]
mod effort;
#[cfg(feature = "svg")]
mod fonts;
#[cfg(feature = "svg")]
mod pictures;
#[cfg(test)]
mod tests;

use mediary_core::{
    Confidence, Context, Format, FormatInfo, FormatReader, Kind, OptionSpec, OptionType, Probe, Result, Source,
};

const INFO: FormatInfo = FormatInfo::new("svg", "Scalable Vector Graphics", &[Kind::Image])
    .extensions(&["svg"])
    .media_types(&["image/svg+xml"])
    .probes_without_signature()
    .reads()
    .options(&[
        OptionSpec::read("scale", OptionType::Float, "1", "pixels for each one of the drawing's own size"),
        OptionSpec::read(
            "width",
            OptionType::Int { min: 0, max: 65_535 },
            "0",
            "pixels across, in place of `scale`; the height follows. 0: the drawing's own width",
        ),
        OptionSpec::read(
            "fonts",
            OptionType::Choice(&["none", "system"]),
            "none",
            "where fonts come from: `none` leaves texts out and says so, `system` takes those of this machine",
        ),
    ])
    .spec("https://www.w3.org/TR/SVG11/");

struct Svg;

mediary_core::register!(Svg);

impl Format for Svg {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        match root(&narrow(probe.head)) {
            Some(b"svg") => Confidence::yes(200, "an XML document whose first element is svg"),
            _ => Confidence::No,
        }
    }

    #[cfg(feature = "svg")]
    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let (header, header_cx) = (source.clone(), cx.clone());
        let (source, cx) = (source.clone(), cx.clone());
        Ok(mediary_core::single(move || draw::read_header(&header, &header_cx), move || draw::read(&source, &cx)))
    }

    #[cfg(not(feature = "svg"))]
    fn open(&self, _source: &Source, _cx: &Context) -> Result<Box<dyn FormatReader>> {
        Err(mediary_core::Error::unsupported("this build has no reader of SVG")
            .with_hint("build it with the feature `svg`"))
    }
}

/// The head as bytes of ASCII, if it is in UTF-16; and without its mark.
fn narrow(head: &[u8]) -> Vec<u8> {
    let wide = |high: usize| {
        head.as_chunks::<2>().0.iter().map(move |pair| if pair[high] == 0 { pair[1 - high] } else { b'?' })
    };
    match head {
        [0xFF, 0xFE, ..] | [b'<', 0, ..] => wide(1).skip_while(|byte| *byte == b'?').collect(),
        [0xFE, 0xFF, ..] | [0, b'<', ..] => wide(0).skip_while(|byte| *byte == b'?').collect(),
        _ => head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).to_vec(),
    }
}

/// The local name of the first element behind declarations, comments and a document type.
fn root(head: &[u8]) -> Option<&[u8]> {
    let mut rest = head.trim_ascii_start();
    loop {
        let find =
            |end: &[u8]| rest.windows(end.len()).position(|window| window == end).map(|at| &rest[at + end.len()..]);
        rest = match rest {
            [b'<', b'!', b'-', b'-', ..] => find(b"-->")?,
            [b'<', b'?', ..] => find(b"?>")?,
            [b'<', b'!', ..] => {
                // The declarations of a document type stand in brackets.
                let open = rest.iter().position(|byte| matches!(byte, b'[' | b'>'))?;
                if rest[open] == b'[' { find(b"]")?.trim_ascii_start().strip_prefix(b">")? } else { &rest[open + 1..] }
            }
            [b'<', name @ ..] => {
                let length = name.iter().position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'))?;
                return name[..length].rsplit(|byte| *byte == b':').next();
            }
            _ => return None,
        }
        .trim_ascii_start();
    }
}
