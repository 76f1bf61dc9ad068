//! Picture files that a scene refers to: found beside the input, and named beside the output.

use std::collections::HashMap;
use std::sync::Arc;

use mediary_core::record::scene::Texture;
use mediary_core::{Context, Error, ErrorKind, Result, Source};

/// The name under which `file` is found, and its bytes. Looks below `folders` (each empty or with a `/` at its end), and
/// there for the bare name: exporters write paths of their own machine. A missing one is a finding and has no bytes.
pub(crate) fn open(file: &str, folders: &[&str], source: &Source, cx: &Context) -> Result<(String, Arc<[u8]>)> {
    let bare = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let mut first: Option<Error> = None;
    let names = [file, bare].into_iter().flat_map(|file| folders.iter().map(move |folder| format!("{folder}{file}")));
    for name in names {
        match source.sibling(&name, cx) {
            Ok(picture) => {
                cx.budget().take(picture.len())?;
                let mut bytes = vec![0; usize::try_from(picture.len()).unwrap_or(usize::MAX)];
                picture.read_exact_at(0, &mut bytes, "picture")?;
                return Ok((name.replace('\\', "/"), bytes.into()));
            }
            Err(error) if error.kind() == ErrorKind::Limit => return Err(error),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    let why = first.map(|error| error.message().to_owned()).unwrap_or_default();
    cx.warn("missing-texture", format!("picture {file:?} is left out: {why}"));
    Ok((file.to_owned(), Arc::from([])))
}

/// Media type by content, else by ending.
pub(crate) fn media_type(bytes: &[u8], name: &str) -> &'static str {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xFF, 0xD8, 0xFF, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'B', b'M', ..] => "image/bmp",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [0xAB, b'K', b'T', b'X', b' ', b'2', b'0', ..] => "image/ktx2",
        [b'D', b'D', b'S', b' ', ..] => "image/vnd-ms.dds",
        _ => match name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
            Some("png") => "image/png",
            Some("jpg" | "jpeg") => "image/jpeg",
            Some("gif") => "image/gif",
            Some("bmp") => "image/bmp",
            Some("webp") => "image/webp",
            Some("tga") => "image/x-tga",
            Some("tif" | "tiff") => "image/tiff",
            Some("ktx2") => "image/ktx2",
            Some("dds") => "image/vnd-ms.dds",
            Some("avif") => "image/avif",
            _ => "",
        },
    }
}

fn ending(media_type: &str) -> &'static str {
    match media_type {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/bmp" => "bmp",
        "image/webp" => "webp",
        "image/ktx2" => "ktx2",
        "image/vnd-ms.dds" => "dds",
        "image/x-tga" => "tga",
        "image/tiff" => "tif",
        "image/avif" => "avif",
        _ => "bin",
    }
}

/// Names of picture files beside an output.
pub(crate) struct FileNames {
    stem: String,
    taken: HashMap<String, u32>,
    asked: usize,
}

impl FileNames {
    /// For an output of this file name without ending, after which pictures without a name of their own are called.
    pub(crate) fn beside(stem: &str) -> Self {
        Self { stem: stem.to_owned(), taken: HashMap::new(), asked: 0 }
    }

    /// A name for this picture: that of the source where it can be a plain file name.
    pub(crate) fn of(&mut self, texture: &Texture, media_type: &str) -> String {
        let index = self.asked;
        self.asked += 1;
        let bare = texture.uri.as_deref().and_then(|uri| uri.rsplit(['/', '\\']).next()).unwrap_or("");
        let is_legal = !bare.is_empty() && bare != "." && bare != ".." && !bare.contains(['\0', '\n', '\r', ':']);
        let (base, end) = match bare.rsplit_once('.') {
            // The ending of a picture: no picture takes the name of the output or of its other files.
            Some((base, end)) if is_legal && !base.is_empty() && !self::media_type(&[], bare).is_empty() => {
                (base.to_owned(), end.to_owned())
            }
            _ => (format!("{}_{index}", self.stem), ending(media_type).to_owned()),
        };
        // Distinct stems, so that no picture takes the name of another, whatever its ending.
        format!("{}.{end}", distinct(base, &mut self.taken))
    }
}

/// `base`, or `base_2`, `base_3`, … where it is taken in any case. `taken` holds the next number to try.
pub(crate) fn distinct(base: String, taken: &mut HashMap<String, u32>) -> String {
    let mut name = base.clone();
    let mut again = taken.get(&base.to_lowercase()).copied().unwrap_or(2);
    while taken.contains_key(&name.to_lowercase()) {
        name = format!("{base}_{again}");
        again += 1;
    }
    taken.insert(base.to_lowercase(), again);
    taken.entry(name.to_lowercase()).or_insert(2);
    name
}
