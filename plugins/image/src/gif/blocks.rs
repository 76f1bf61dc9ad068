//! The blocks of a GIF, one after the other, without decoding a picture.

use std::io::{BufRead, Read, Seek, SeekFrom};

use mediary_core::{Context, Error, Result, Source, SourceReader};

// Block labels, section 12 and following.
const IMAGE_DESCRIPTOR: u8 = 0x2C;
const EXTENSION: u8 = 0x21;
const TRAILER: u8 = 0x3B;
const GRAPHIC_CONTROL: u8 = 0xF9;
const COMMENT: u8 = 0xFE;
const APPLICATION: u8 = 0xFF;

/// Bytes of an extension, and of all comments, that are kept: 64 KiB.
const MAX_EXTENSION: usize = 64 << 10;

/// Colours as red, green, blue.
pub(super) type Palette = Vec<[u8; 3]>;

/// The logical screen.
#[derive(Clone, Debug)]
pub(super) struct Screen {
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) palette: Option<Palette>,
}

/// A picture: its descriptor, and the graphic control extension before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    /// Offset of the descriptor.
    pub(super) at: u64,
    pub(super) left: u16,
    pub(super) top: u16,
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) interlaced: bool,
    pub(super) palette: Option<Palette>,
    /// LZW minimum code size.
    pub(super) code_size: u8,
    /// Bytes of its data, sub-block sizes left out.
    pub(super) data_bytes: u64,
    pub(super) control: Control,
}

/// A graphic control extension.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Control {
    /// 0 and 1 leave the picture, 2 clears it, 3 brings back what was before.
    pub(super) disposal: u8,
    /// Hundredths of a second.
    pub(super) delay: u16,
    /// The index that leaves what was before.
    pub(super) transparent: Option<u8>,
}

/// A walk over the blocks.
pub(super) struct Blocks {
    reader: SourceReader,
    cx: Context,
    pub(super) screen: Screen,
    /// Times the animation is played, 0 for ever, if the NETSCAPE extension says so.
    pub(super) loops: Option<u16>,
    /// Comments, one a line.
    pub(super) comment: String,
    /// Zero bytes between blocks: the place of the first, and their number.
    pub(super) stray: Option<(u64, u64)>,
    /// Why the blocks end without a trailer, once they do.
    pub(super) damage: Option<Error>,
    finished: bool,
    control: Control,
}

/// Internal: a walk ends at the first of these.
enum Stop {
    /// The blocks are broken or cut here.
    Damage(Error),
    /// The machine failed, or time is up.
    Failure(Error),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Failure(error.into())
    }
}

impl Blocks {
    /// Reads the header and the logical screen.
    pub(super) fn open(source: &Source, cx: &Context) -> Result<Self> {
        let mut head = [0; 13];
        source.read_exact_at(0, &mut head, "the header and the logical screen")?;
        if !matches!(&head[..6], b"GIF87a" | b"GIF89a") {
            let found = head[..6].escape_ascii();
            return Err(Error::malformed(format!("expected GIF87a or GIF89a, found \"{found}\"")).at_byte(0));
        }
        let mut blocks = Self {
            reader: source.reader(),
            cx: cx.clone(),
            screen: Screen {
                width: u16::from_le_bytes([head[6], head[7]]),
                height: u16::from_le_bytes([head[8], head[9]]),
                palette: None,
            },
            loops: None,
            comment: String::new(),
            stray: None,
            damage: None,
            finished: false,
            control: Control::default(),
        };
        blocks.reader.seek(SeekFrom::Start(13))?;
        blocks.screen.palette = blocks.palette(head[10]).map_err(|stop| match stop {
            Stop::Damage(error) | Stop::Failure(error) => error,
        })?;
        Ok(blocks)
    }

    /// Where the next byte is.
    pub(super) fn position(&self) -> u64 {
        self.reader.position()
    }

    /// The next picture; its data go to `data`, or are passed over. A picture that the file cuts short is given as far as it
    /// goes; then, and at a broken block, [`damage`](Self::damage) says what is wrong.
    pub(super) fn next_frame(&mut self, data: Option<&mut Vec<u8>>) -> Result<Option<Frame>> {
        if self.finished {
            return Ok(None);
        }
        match self.walk(data) {
            Ok(found) => {
                self.finished |= found.is_none();
                Ok(found)
            }
            Err(Stop::Damage(error)) => {
                self.finished = true;
                self.damage = Some(error);
                Ok(None)
            }
            Err(Stop::Failure(error)) => Err(error),
        }
    }

    fn walk(&mut self, data: Option<&mut Vec<u8>>) -> Result<Option<Frame>, Stop> {
        loop {
            let at = self.position();
            match self.byte("a block")? {
                IMAGE_DESCRIPTOR => return self.image(at, data).map(Some),
                EXTENSION => self.extension()?,
                TRAILER => return Ok(None),
                0 => {
                    let (_, count) = self.stray.get_or_insert((at, 0));
                    *count += 1;
                    if count.is_multiple_of(1 << 20) {
                        self.cx.checkpoint().map_err(Stop::Failure)?;
                    }
                }
                found => {
                    let text =
                        format!("expected a picture (2c), an extension (21) or the trailer (3b), found {found:02x}");
                    return Err(Stop::Damage(Error::malformed(text).at_byte(at)));
                }
            }
        }
    }

    /// Section 20, image descriptor.
    fn image(&mut self, at: u64, data: Option<&mut Vec<u8>>) -> Result<Frame, Stop> {
        let [l0, l1, t0, t1, w0, w1, h0, h1, packed] = self.bytes("a picture's descriptor")?;
        let palette = self.palette(packed)?;
        let mut frame = Frame {
            at,
            left: u16::from_le_bytes([l0, l1]),
            top: u16::from_le_bytes([t0, t1]),
            width: u16::from_le_bytes([w0, w1]),
            height: u16::from_le_bytes([h0, h1]),
            interlaced: packed & 0x40 != 0,
            palette,
            code_size: self.byte("a picture's data")?,
            data_bytes: 0,
            control: std::mem::take(&mut self.control),
        };
        match self.sub_blocks(data, usize::MAX, &mut frame.data_bytes) {
            Err(Stop::Damage(error)) => {
                self.finished = true;
                self.damage = Some(error);
            }
            other => other?,
        }
        Ok(frame)
    }

    fn extension(&mut self) -> Result<(), Stop> {
        let at = self.position();
        let label = self.byte("an extension")?;
        let mut data = Vec::new();
        let mut length = 0;
        match label {
            GRAPHIC_CONTROL => {
                self.sub_blocks(Some(&mut data), MAX_EXTENSION, &mut length)?;
                if let [packed, d0, d1, transparent, ..] = data[..] {
                    self.control = Control {
                        disposal: packed >> 2 & 7,
                        delay: u16::from_le_bytes([d0, d1]),
                        transparent: (packed & 1 != 0).then_some(transparent),
                    };
                } else {
                    let text = format!("a graphic control extension of {length} bytes, 4 are expected");
                    self.cx.warn_at("control", text, mediary_core::Location::byte(at));
                }
            }
            COMMENT => {
                self.sub_blocks(Some(&mut data), MAX_EXTENSION, &mut length)?;
                if !self.comment.is_empty() {
                    self.comment.push('\n');
                }
                data.truncate(MAX_EXTENSION.saturating_sub(self.comment.len()));
                self.comment.push_str(&String::from_utf8_lossy(&data));
            }
            APPLICATION => {
                self.sub_blocks(Some(&mut data), MAX_EXTENSION, &mut length)?;
                let name = data.get(..11);
                if matches!(name, Some(b"NETSCAPE2.0" | b"ANIMEXTS1.0"))
                    && let Some([1, low, high]) = data.get(11..14)
                {
                    self.loops = Some(u16::from_le_bytes([*low, *high]));
                }
            }
            _ => self.sub_blocks(None, 0, &mut length)?,
        }
        Ok(())
    }

    /// Sub-blocks up to the empty one; the first `most` bytes go to `data`.
    fn sub_blocks(&mut self, mut data: Option<&mut Vec<u8>>, most: usize, length: &mut u64) -> Result<(), Stop> {
        let mut checked = 0;
        loop {
            let size = self.byte("a sub-block")?;
            if size == 0 {
                return Ok(());
            }
            let mut block = [0; 255];
            let block = &mut block[..usize::from(size)];
            let mut read = 0;
            while read < block.len() {
                match self.reader.read(&mut block[read..])? {
                    0 => break,
                    count => read += count,
                }
            }
            *length += read as u64;
            if let Some(data) = data.as_deref_mut() {
                data.extend_from_slice(&block[..read.min(most.saturating_sub(data.len()))]);
            }
            if read < block.len() {
                return Err(self.cut("a sub-block", u64::from(size), read as u64));
            }
            if *length - checked > 1 << 20 {
                checked = *length;
                self.cx.checkpoint().map_err(Stop::Failure)?;
            }
        }
    }

    /// The palette that follows when the packed field says so.
    fn palette(&mut self, packed: u8) -> Result<Option<Palette>, Stop> {
        if packed & 0x80 == 0 {
            return Ok(None);
        }
        let count = 2_usize << (packed & 7);
        let mut palette = Vec::with_capacity(count);
        for _ in 0..count {
            palette.push(self.bytes("a palette")?);
        }
        Ok(Some(palette))
    }

    fn byte(&mut self, what: &str) -> Result<u8, Stop> {
        self.bytes(what).map(|[byte]| byte)
    }

    fn bytes<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Stop> {
        let mut bytes = [0; N];
        let buffered = self.reader.fill_buf()?;
        if let Some(found) = buffered.get(..N) {
            bytes.copy_from_slice(found);
            self.reader.consume(N);
            return Ok(bytes);
        }
        let mut read = 0;
        while read < N {
            match self.reader.read(&mut bytes[read..])? {
                0 => return Err(self.cut(what, N as u64, read as u64)),
                count => read += count,
            }
        }
        Ok(bytes)
    }

    fn cut(&self, what: &str, expected: u64, found: u64) -> Stop {
        Stop::Damage(Error::truncated(what, expected, found).at_byte(self.position() - found))
    }
}
