//! MessagePack, as far as it is written.

/// Bytes of values, one after the other.
#[derive(Default)]
pub(super) struct Packer(pub(super) Vec<u8>);

impl Packer {
    /// A map of `count` pairs, which follow.
    pub(super) fn map(&mut self, count: usize) {
        self.header(count, 0x80, 15, [0, 0xDE, 0xDF]);
    }

    /// An array of `count` values, which follow.
    pub(super) fn array(&mut self, count: usize) {
        self.header(count, 0x90, 15, [0, 0xDC, 0xDD]);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.header(text.len(), 0xA0, 31, [0xD9, 0xDA, 0xDB]);
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.header(bytes.len(), 0, 0, [0xC4, 0xC5, 0xC6]);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn integer(&mut self, value: i64) {
        match (u8::try_from(value), i32::try_from(value)) {
            (Ok(small @ 0..=0x7F), _) => self.0.push(small),
            (_, Ok(value)) => {
                self.0.push(0xD2);
                self.0.extend_from_slice(&value.to_be_bytes());
            }
            _ => {
                self.0.push(0xD3);
                self.0.extend_from_slice(&value.to_be_bytes());
            }
        }
    }

    pub(super) fn real(&mut self, value: f64) {
        self.0.push(0xCB);
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn truth(&mut self, value: bool) {
        self.0.push(0xC2 + u8::from(value));
    }

    pub(super) fn nil(&mut self) {
        self.0.push(0xC0);
    }

    /// Type and length: within the first byte up to `most`, of 1, 2 or 4 bytes behind a code of `codes` beyond.
    fn header(&mut self, length: usize, fixed: u8, most: usize, codes: [u8; 3]) {
        match length {
            _ if fixed != 0 && length <= most => self.0.push(fixed | length as u8),
            0..=0xFF if codes[0] != 0 => self.0.extend_from_slice(&[codes[0], length as u8]),
            0..=0xFFFF => {
                self.0.push(codes[1]);
                self.0.extend_from_slice(&(length as u16).to_be_bytes());
            }
            // A block of more than 4 GiB is refused before.
            _ => {
                self.0.push(codes[2]);
                self.0.extend_from_slice(&(length as u32).to_be_bytes());
            }
        }
    }
}
