//! Zstandard, RFC 8878: frames one after the other, with skippable ones between them.

use std::io::{Error, ErrorKind, Read, Result};

use ruzstd::decoding::BlockDecodingStrategy::UptoBlocks;
use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

/// Takes Zstandard off.
pub(crate) struct Decoder<'r> {
    packed: Box<dyn Read + 'r>,
    frame: FrameDecoder,
    /// A frame has begun and is not at its end.
    inside: bool,
}

impl<'r> Decoder<'r> {
    pub(crate) fn new(packed: Box<dyn Read + 'r>) -> Self {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(crate::WINDOW);
        Self { packed, frame, inside: false }
    }

    /// Begins the next frame; `false` at the end of the input.
    fn start(&mut self) -> Result<bool> {
        loop {
            let mut first = [0];
            if self.packed.read(&mut first)? == 0 {
                return Ok(false);
            }
            match self.frame.reset((&first[..]).chain(&mut self.packed)) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let length = u64::from(length);
                    let skipped = std::io::copy(&mut (&mut self.packed).take(length), &mut std::io::sink())?;
                    if skipped < length {
                        return Err(Error::new(ErrorKind::UnexpectedEof, "a skippable frame is cut short"));
                    }
                }
                Err(error) => return Err(Error::new(ErrorKind::InvalidData, error.to_string())),
            }
        }
    }

    fn checksum(&self) -> Result<()> {
        match (self.frame.get_checksum_from_data(), self.frame.get_calculated_checksum()) {
            (Some(stated), found) if found != Some(stated) => {
                Err(Error::new(ErrorKind::InvalidData, "the checksum of a frame differs"))
            }
            _ => Ok(()),
        }
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.inside && !self.start()? {
                return Ok(0);
            }
            self.inside = true;
            while self.frame.can_collect() == 0 && !self.frame.is_finished() {
                self.frame
                    .decode_blocks(&mut self.packed, UptoBlocks(1))
                    .map_err(|error| Error::new(ErrorKind::InvalidData, error.to_string()))?;
            }
            let given = self.frame.read(buffer)?;
            if given > 0 {
                return Ok(given);
            }
            self.checksum()?;
            self.inside = false;
        }
    }
}
