//! Pictures within the drawing: measured before they are handed over, and what is elsewhere told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mediary_core::{Context, Error, ErrorKind, Facts, Location, ReadOptions, Registry, Result, Source};
use resvg::usvg::{ImageHrefResolver, ImageKind, Options, Tree};

use super::document;

/// Drawings in drawings.
const MOST_NESTED: u32 = 8;

/// Letters of a reference that are shown.
const SHOWN: usize = 80;

/// What was met while the drawing is taken in.
#[derive(Default)]
struct Met {
    nested: u32,
    /// Bytes that the largest picture takes decoded: there is one at a time.
    largest: u64,
    problems: Vec<String>,
    external: Vec<String>,
    failed: Option<Error>,
}

/// Who is asked for every picture.
#[derive(Clone)]
pub(super) struct Pictures {
    met: Arc<Mutex<Met>>,
    cx: Context,
}

impl Pictures {
    pub(super) fn new(cx: &Context) -> Self {
        Self { met: Arc::default(), cx: cx.clone() }
    }

    pub(super) fn resolver(&self) -> ImageHrefResolver<'static> {
        let (data, elsewhere) = (self.clone(), self.clone());
        ImageHrefResolver {
            resolve_data: Box::new(move |media_type, bytes, options| data.take(media_type, bytes, options)),
            resolve_string: Box::new(move |reference, _| {
                elsewhere.met().external.push(reference.to_owned());
                None
            }),
        }
    }

    /// Tells what was left out. Returns the bytes that decoding takes.
    pub(super) fn finish(&self, external: &[String]) -> Result<u64> {
        let mut met = std::mem::take(&mut *self.met());
        if let Some(error) = met.failed {
            return Err(error);
        }
        for problem in &met.problems {
            self.cx.tolerate("image", format!("a picture is left out: {problem}"), Location::element("image"))?;
        }
        met.external.extend(external.iter().cloned());
        for reference in &met.external {
            let shown: String = reference.chars().take(SHOWN).collect();
            self.cx.warn("external", format!("{shown:?} is left out: nothing outside the file is loaded"));
        }
        Ok(met.largest)
    }

    fn met(&self) -> MutexGuard<'_, Met> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, media_type: &str, bytes: Arc<Vec<u8>>, options: &Options<'_>) -> Option<ImageKind> {
        let taken = match media_type {
            "image/svg+xml" => self.drawing(&bytes, options),
            _ if bytes.trim_ascii_start().starts_with(b"<") => self.drawing(&bytes, options),
            _ => self.raster(bytes),
        };
        match taken {
            Ok(kind) => Some(kind),
            Err(error) => {
                let mut met = self.met();
                // A limit holds for all of the drawing.
                if error.limit_name().is_some() || error.kind() == ErrorKind::Cancelled {
                    met.failed.get_or_insert(error);
                } else {
                    met.problems.push(error.message().to_owned());
                }
                None
            }
        }
    }

    fn raster(&self, bytes: Arc<Vec<u8>>) -> Result<ImageKind> {
        let mut options = ReadOptions::default();
        options.limits = *self.cx.limits();
        let source = Source::from_bytes("", bytes.as_slice());
        let mut reading = Registry::builtin().open(&source, &options)?;
        let format = reading.format().id;
        let (width, height) = match reading.header()?.facts {
            Facts::Image(facts) => (facts.width, facts.height),
            Facts::Video(facts) => (facts.width, facts.height),
            _ => (None, None),
        };
        let kind = match format {
            "png" => ImageKind::PNG(bytes),
            "jpeg" => ImageKind::JPEG(bytes),
            "gif" => ImageKind::GIF(bytes),
            "webp" => ImageKind::WEBP(bytes),
            other => return Err(Error::unsupported(format!("expected PNG, JPEG, GIF or WebP, found {other}"))),
        };
        let pixels = u64::from(width.unwrap_or(0)) * u64::from(height.unwrap_or(0));
        self.cx.limits().check("pixels", pixels)?;
        // What the decoder makes, in 16 bits perhaps, and the copy of it.
        let size = pixels.saturating_mul(12);
        let mut met = self.met();
        met.largest = met.largest.max(size);
        Ok(kind)
    }

    fn drawing(&self, bytes: &[u8], options: &Options<'_>) -> Result<ImageKind> {
        {
            let mut met = self.met();
            if met.nested >= MOST_NESTED {
                return Err(Error::limit("depth", u64::from(met.nested) + 1, u64::from(MOST_NESTED)));
            }
            met.nested += 1;
        }
        let taken = self.nested(bytes, options);
        self.met().nested -= 1;
        taken
    }

    fn nested(&self, bytes: &[u8], options: &Options<'_>) -> Result<ImageKind> {
        let text = document::decode(bytes, &self.cx)?;
        let parsed = document::parse(&text, &self.cx)?;
        // Each counts against the budget, so that many of them meet its end.
        let survey = document::survey(&parsed, &self.cx)?;
        self.met().external.extend(survey.external);
        let tree = Tree::from_data_nested(text.as_bytes(), options)
            .map_err(|error| Error::malformed(format!("the drawing within is broken: {error}")))?;
        Ok(ImageKind::SVG(tree))
    }
}
