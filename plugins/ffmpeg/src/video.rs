//! Frames: `ffmpeg` decodes one track into a pipe of PAM pictures, which tell their own size.
//!
//! Specification: <https://netpbm.sourceforge.net/doc/pam.html>.

use std::io::{BufRead, BufReader, Read};

use mediary_core::record::{Image, Samples, Stream, Video, VideoFrame};
use mediary_core::{Context, Error, Location, Result};

use crate::child::{Running, STAMP};
use crate::input::Input;
use crate::probe::Described;

/// Bytes of a PAM header that are read.
const MAX_HEADER: u64 = 1024;
/// Seconds, and parts of the duration, that may be missing or too many before it is worth a word.
const SLACK_SECONDS: f64 = 0.25;
const SLACK: f64 = 0.02;

/// The clip, its frames still to come.
pub(crate) fn read(input: &Input, described: &Described, cx: &Context) -> Result<Video> {
    let frames = match described.undecodable {
        Some(_) => None,
        None => Some(Stream::new(Frames::start(input, described, cx)?)),
    };
    Ok(Video {
        container: described.container.into(),
        tracks: described.tracks.clone(),
        duration_seconds: described.duration_seconds,
        playable: described.playable,
        frames,
    })
}

/// A frame whose end is not known yet.
struct Pending {
    image: Image,
    time: Option<f64>,
}

/// What the container says of the decoded track.
struct Stated {
    seconds: Option<f64>,
    frames: Option<u64>,
    interval: f64,
}

struct Frames {
    output: BufReader<Running>,
    cx: Context,
    stated: Stated,
    bits: u8,
    rotated: bool,
    pending: Option<Pending>,
    failed: Option<Error>,
    count: u64,
    /// Seconds the frames so far were shown.
    shown: f64,
    finished: bool,
}

impl Frames {
    fn start(input: &Input, described: &Described, cx: &Context) -> Result<Self> {
        let picture = &described.picture;
        let pixels = match (picture.deep, picture.alpha) {
            (false, false) => "rgb24",
            (false, true) => "rgba",
            (true, false) => "rgb48be",
            (true, true) => "rgba64be",
        };
        let mut args = crate::decoding(described, cx);
        args.extend(
            ["-vf", STAMP, "-fps_mode", "passthrough", "-pix_fmt", pixels, "-c:v", "pam", "-f", "image2pipe", "pipe:1"]
                .map(Into::into),
        );
        let running = Running::start("ffmpeg", &args, input, cx)?;
        Ok(Self {
            output: BufReader::with_capacity(64 << 10, running),
            cx: cx.clone(),
            stated: Stated {
                seconds: described.stated_seconds.map(|seconds| seconds - described.start),
                frames: picture.frames.filter(|_| described.start == 0.0),
                interval: picture.interval,
            },
            bits: picture.bits,
            rotated: picture.rotated,
            pending: None,
            failed: None,
            count: 0,
            shown: 0.0,
            finished: false,
        })
    }

    /// The next picture, `None` at the end.
    fn picture(&mut self) -> Result<Option<Pending>> {
        let Some(header) = Header::read(&mut self.output)? else { return Ok(None) };
        self.cx.limits().check("frames", self.count + 1)?;
        let pixels = u64::from(header.width) * u64::from(header.height);
        self.cx.limits().check("pixels", pixels)?;
        let bytes = pixels * u64::from(header.channels) * if header.deep { 2 } else { 1 };
        if self.count == 0 {
            // One that is read, one that waits for its end, and its bytes as they come.
            self.cx.budget().take(bytes.saturating_mul(3))?;
        }
        let length = usize::try_from(bytes).map_err(|_| Error::limit("alloc_bytes", bytes, usize::MAX as u64))?;
        let mut raw = vec![0; length];
        self.output.read_exact(&mut raw).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => cut(self.count),
            _ => error.into(),
        })?;
        let samples = if header.deep {
            Samples::U16(raw.as_chunks().0.iter().map(|&pair| u16::from_be_bytes(pair)).collect())
        } else {
            Samples::U8(raw.into())
        };
        let mut image = Image::new(header.width, header.height, header.channels, samples)?;
        image.source_bits = self.bits.min(16);
        image.orientation_applied = self.rotated;
        let time = self.output.get_mut().time_of(self.count)?;
        self.count += 1;
        Ok(Some(Pending { image, time }))
    }

    /// Gives a frame with its duration.
    fn show(&mut self, frame: Pending, next: Option<f64>) -> VideoFrame {
        let until = next.zip(frame.time).map(|(next, time)| next - time).filter(|seconds| *seconds > 0.0);
        let duration_seconds = until.unwrap_or(self.stated.interval);
        self.shown += duration_seconds;
        VideoFrame { image: frame.image, duration_seconds }
    }

    /// The end: how the program ended, and whether all came out.
    fn conclude(&mut self) -> Result<()> {
        self.output.get_mut().conclude(self.count, "a frame")?;
        let (count, shown) = (self.count, self.shown);
        let slack = |stated: f64| (SLACK * stated).max(SLACK_SECONDS).max(3.0 * self.stated.interval);
        let few = |stated: u64| stated / 50 + 3;
        let lasts = |stated| format!("the track lasts {stated:.3} seconds, its {count} frames {shown:.3} seconds");
        let counts = |stated| format!("the container counts {stated} frames, {count} came out");
        let (code, message) = match (self.stated.seconds, self.stated.frames) {
            (Some(stated), _) if stated - shown > slack(stated) => ("truncated", lasts(stated)),
            (Some(stated), _) if shown - stated > slack(stated) => ("length", lasts(stated)),
            (_, Some(stated)) if stated > count + few(stated) => ("truncated", counts(stated)),
            (_, Some(stated)) if count > stated + few(stated) => ("length", counts(stated)),
            _ => return Ok(()),
        };
        self.cx.tolerate(code, message, Location::default())
    }

    fn advance(&mut self) -> Result<Option<VideoFrame>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if self.finished {
            return Ok(None);
        }
        loop {
            let next = match self.picture() {
                Ok(next) => next,
                // The frame before is whole: it goes first.
                Err(error) => {
                    let Some(pending) = self.pending.take() else { return Err(error) };
                    self.failed = Some(error);
                    return Ok(Some(self.show(pending, None)));
                }
            };
            let Some(next) = next else {
                let last = self.pending.take();
                let shown = last.map(|last| self.show(last, None));
                self.finished = true;
                let concluded = self.conclude();
                return match shown {
                    Some(frame) => {
                        self.failed = concluded.err();
                        Ok(Some(frame))
                    }
                    None => concluded.map(|()| None),
                };
            };
            let time = next.time;
            if let Some(before) = self.pending.replace(next) {
                return Ok(Some(self.show(before, time)));
            }
        }
    }
}

impl Iterator for Frames {
    type Item = Result<VideoFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        self.finished |= matches!(next, Some(Err(_)));
        next
    }
}

fn cut(number: u64) -> Error {
    Error::malformed(format!("ffmpeg ended in the midst of frame {number}"))
        .with_hint("it was killed, or ran out of memory")
}

/// The header of a PAM picture.
#[derive(Debug, Default, PartialEq)]
struct Header {
    width: u32,
    height: u32,
    channels: u8,
    deep: bool,
}

impl Header {
    fn read(output: &mut impl BufRead) -> Result<Option<Self>> {
        if output.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut header = Self::default();
        let mut text = Vec::new();
        let mut lines = output.take(MAX_HEADER);
        let wrong =
            |line: &[u8]| Error::malformed(format!("expected a PAM picture of ffmpeg, found {}", line.escape_ascii()));
        for place in 0.. {
            text.clear();
            lines.read_until(b'\n', &mut text)?;
            let line = text.strip_suffix(b"\n").ok_or_else(|| wrong(&text))?;
            if place == 0 {
                if line != b"P7" {
                    return Err(wrong(line));
                }
                continue;
            }
            let line = std::str::from_utf8(line).map_err(|_| wrong(line))?;
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            let number = || value.parse::<u32>().map_err(|_| wrong(line.as_bytes()));
            match key {
                "WIDTH" => header.width = number()?,
                "HEIGHT" => header.height = number()?,
                "DEPTH" => header.channels = u8::try_from(number()?).map_err(|_| wrong(line.as_bytes()))?,
                "MAXVAL" => header.deep = number()? > 255,
                "ENDHDR" => break,
                _ => {}
            }
        }
        Ok(Some(header))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_tell_their_size_and_anything_else_is_an_error() {
        let mut good = &b"P7\nWIDTH 3\nHEIGHT 2\nDEPTH 4\nMAXVAL 65535\nTUPLTYPE RGB_ALPHA\nENDHDR\nrest"[..];
        let header = Header::read(&mut good).unwrap().unwrap();
        assert_eq!(header, Header { width: 3, height: 2, channels: 4, deep: true });
        assert_eq!(good, b"rest");
        assert_eq!(Header::read(&mut &b""[..]).unwrap(), None);
        for bad in [&b"P6\n1 1\n"[..], b"P7\nWIDTH -1\nENDHDR\n", b"P7\nWIDTH 1", &[b'x'; 5000]] {
            assert!(Header::read(&mut &bad[..]).is_err(), "{}", bad.escape_ascii());
        }
    }
}
