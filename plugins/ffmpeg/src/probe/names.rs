//! Names of ffmpeg: containers, speakers, codecs, pixels.

/// Containers by the first of ffprobe's names: our name, the media type with pictures, that of sound alone.
pub(super) const CONTAINERS: &[(&str, &str, &str, &str)] = &[
    ("matroska", "matroska", "video/x-matroska", "audio/x-matroska"),
    ("mov", "mp4", "video/mp4", "audio/mp4"),
    ("avi", "avi", "video/x-msvideo", "video/x-msvideo"),
    ("mpegts", "mpegts", "video/mp2t", "video/mp2t"),
    ("mpeg", "mpeg", "video/mpeg", "video/mpeg"),
    ("mpegvideo", "mpegvideo", "video/mpeg", "video/mpeg"),
    ("flv", "flv", "video/x-flv", "video/x-flv"),
    ("asf", "asf", "video/x-ms-asf", "audio/x-ms-wma"),
    ("ogg", "ogg", "video/ogg", "audio/ogg"),
    ("mxf", "mxf", "application/mxf", "application/mxf"),
    ("mp3", "mp3", "audio/mpeg", "audio/mpeg"),
    ("aac", "aac", "audio/aac", "audio/aac"),
    ("ac3", "ac3", "audio/ac3", "audio/ac3"),
    ("aiff", "aiff", "audio/aiff", "audio/aiff"),
    ("amr", "amr", "audio/amr", "audio/amr"),
    ("au", "au", "audio/basic", "audio/basic"),
    ("caf", "caf", "audio/x-caf", "audio/x-caf"),
    ("flac", "flac", "audio/flac", "audio/flac"),
    ("wav", "wav", "audio/wav", "audio/wav"),
    ("wv", "wv", "audio/x-wavpack", "audio/x-wavpack"),
    ("ape", "ape", "audio/x-ape", "audio/x-ape"),
];

/// Speakers of the layouts that `ffprobe` names; those of one and two channels go without saying.
pub(super) const LAYOUTS: &[(&str, &[&str])] = &[
    ("2.1", &["FL", "FR", "LFE"]),
    ("3.0", &["FL", "FR", "FC"]),
    ("3.1", &["FL", "FR", "FC", "LFE"]),
    ("4.0", &["FL", "FR", "FC", "BC"]),
    ("4.1", &["FL", "FR", "FC", "LFE", "BC"]),
    ("quad", &["FL", "FR", "BL", "BR"]),
    ("quad(side)", &["FL", "FR", "SL", "SR"]),
    ("5.0", &["FL", "FR", "FC", "BL", "BR"]),
    ("5.0(side)", &["FL", "FR", "FC", "SL", "SR"]),
    ("5.1", &["FL", "FR", "FC", "LFE", "BL", "BR"]),
    ("5.1(side)", &["FL", "FR", "FC", "LFE", "SL", "SR"]),
    ("6.1", &["FL", "FR", "FC", "LFE", "BC", "SL", "SR"]),
    ("7.1", &["FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"]),
];

/// Codecs that browsers play in WebM and in MP4.
pub(super) const WEBM_CODECS: &[&str] = &["vp8", "vp9", "av1", "vorbis", "opus"];
pub(super) const MP4_CODECS: &[&str] = &["h264", "av1", "vp9", "aac", "mp3", "opus", "flac"];

/// Codecs that give back the samples they were given, so that their number is that of the header.
pub(super) const EXACT_CODECS: &[&str] = &["flac", "alac", "wavpack", "tta", "ape"];

/// PCM without companding or differences.
pub(super) fn is_linear(codec: &str) -> bool {
    let rest = codec.strip_prefix("pcm_").unwrap_or_default();
    let mut bytes = rest.bytes();
    matches!(bytes.next(), Some(b's' | b'u' | b'f')) && bytes.next().is_some_and(|byte| byte.is_ascii_digit())
}

/// Bits a sample of a pixel layout: `yuv420p10le` has 10.
pub(super) fn depth(layout: &str, stated: Option<&str>) -> u8 {
    let stem = layout.trim_end_matches("le").trim_end_matches("be");
    let digits =
        |text: &str| text.rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|bits| bits.parse::<u8>().ok());
    let by_name = match stem {
        "rgb48" | "bgr48" | "rgba64" | "bgra64" | "ayuv64" => Some(16),
        "xyz12" => Some(12),
        "x2rgb10" | "x2bgr10" | "y210" | "v210" | "xv30" => Some(10),
        "y212" | "xv36" => Some(12),
        "grayf32" | "gbrpf32" | "gbrapf32" => Some(32),
        _ if stem.starts_with("p0") || stem.starts_with("p2") || stem.starts_with("p4") => {
            digits(stem).map(|bits| bits % 100)
        }
        _ if stem.starts_with("gray") || stem.starts_with("ya") => digits(stem),
        _ => stem.rsplit_once('p').and_then(|(_, bits)| bits.parse().ok()),
    };
    let stated = stated.and_then(|bits| bits.parse::<u8>().ok());
    by_name.or(stated.filter(|_| layout.is_empty())).filter(|bits| (1..=32).contains(bits)).unwrap_or(8)
}

pub(super) fn has_alpha(layout: &str) -> bool {
    ["yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya8", "ya16", "ayuv", "pal8", "vuya"]
        .iter()
        .any(|name| layout.starts_with(name))
}

/// The name without the order of bytes: `pcm_s16le` is `pcm_s16`.
pub(super) fn codec_name(codec: &str) -> String {
    let stem = if is_linear(codec) { codec.trim_end_matches("le").trim_end_matches("be") } else { codec };
    stem.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_and_alpha_are_in_the_name_of_the_pixels() {
        for (layout, bits, alpha) in [
            ("yuv420p", 8, false),
            ("yuvj420p", 8, false),
            ("yuv420p10le", 10, false),
            ("yuv422p12be", 12, false),
            ("yuva444p10le", 10, true),
            ("gbrp16le", 16, false),
            ("gbrapf32le", 32, true),
            ("rgb24", 8, false),
            ("rgba", 8, true),
            ("rgb48be", 16, false),
            ("gray10le", 10, false),
            ("gray", 8, false),
            ("ya16be", 16, true),
            ("p010le", 10, false),
            ("p216le", 16, false),
            ("nv12", 8, false),
            ("pal8", 8, true),
            ("rgb555le", 8, false),
            ("", 8, false),
        ] {
            assert_eq!((depth(layout, None), has_alpha(layout)), (bits, alpha), "{layout}");
        }
    }

    #[test]
    fn codecs_are_named_without_the_order_of_bytes() {
        assert_eq!(codec_name("pcm_s16le"), "pcm_s16");
        assert_eq!(codec_name("pcm_alaw"), "pcm_alaw");
        assert!(is_linear("pcm_u8") && !is_linear("pcm_mulaw") && !is_linear("adpcm_ms"));
    }
}
