//! The headers, and what pictures they announce.

use mediary_core::record::ColorSpace;
use mediary_core::{Context, Error, Location, Result};
use serde_json::{Map, Value};

use super::texel::{Block, Texel, Width};
use crate::raster::{Channel, Layout, u32_le};

/// Bytes of the magic and the header, and of the one of Direct3D 10.
const HEADER: usize = 128;
const HEADER_10: usize = 20;

// Flags of the pixel format, `DDS_PIXELFORMAT.dwFlags`.
const ALPHA_PIXELS: u32 = 0x1;
const ALPHA: u32 = 0x2;
const FOUR_CC: u32 = 0x4;
const PALETTE: u32 = 0x20;
const RGB: u32 = 0x40;
const LUMINANCE: u32 = 0x2_0000;

// `dwCaps2`.
const CUBE: u32 = 0x200;
const CUBE_FACES: u32 = 0xFC00;
const VOLUME: u32 = 0x20_0000;

pub(super) struct Texture {
    pub(super) width: u32,
    pub(super) height: u32,
    depth: u32,
    mipmaps: u32,
    /// Faces of a cube, 1 of others.
    faces: u32,
    elements: u32,
    /// Where the pixels begin.
    pub(super) start: usize,
    pub(super) texel: Texel,
    /// What the file calls it.
    name: String,
    color_space: ColorSpace,
    signed: bool,
    pub(super) premultiplied: bool,
    /// What is odd: what, and where.
    findings: Vec<(String, u64)>,
}

/// A pixel format as it is found.
struct Format {
    texel: Texel,
    name: String,
    color_space: ColorSpace,
    signed: bool,
    premultiplied: bool,
}

impl Format {
    fn new(texel: Texel, name: impl Into<String>) -> Self {
        let linear = texel.is_float();
        let color_space = if linear { ColorSpace::Linear } else { ColorSpace::Srgb };
        Self { texel, name: name.into(), color_space, signed: false, premultiplied: false }
    }

    fn signed(self) -> Self {
        Self { signed: true, ..self }
    }

    /// Whole numbers without a range.
    fn numbers(self) -> Self {
        Self { color_space: ColorSpace::Unknown, ..self }
    }
}

impl Texture {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let Some(head) = bytes.get(..HEADER) else {
            return Err(Error::truncated("the header", HEADER as u64, bytes.len() as u64).at_byte(0));
        };
        if !head.starts_with(b"DDS ") {
            let text = format!("expected \"DDS \", found {:?}", head[..4].escape_ascii().to_string());
            return Err(Error::malformed(text).at_byte(0));
        }
        let field = |at: usize| u32_le(head, at);
        let mut findings = Vec::new();
        for (at, expected, what) in [(4, 124, "header"), (76, 32, "pixel format")] {
            if field(at) != expected {
                findings.push((format!("expected a {what} of {expected} bytes, found {}", field(at)), at as u64));
            }
        }
        let caps2 = field(112);
        let mut it = Self {
            width: field(16),
            height: field(12),
            depth: if caps2 & VOLUME != 0 { field(24).max(1) } else { 1 },
            mipmaps: field(28).max(1),
            faces: if caps2 & CUBE != 0 { (caps2 & CUBE_FACES).count_ones().max(1) } else { 1 },
            elements: 1,
            start: HEADER,
            texel: Texel::Alpha,
            name: String::new(),
            color_space: ColorSpace::Srgb,
            signed: false,
            premultiplied: false,
            findings,
        };
        let is_10 = field(80) & FOUR_CC != 0 && head[84..88] == *b"DX10";
        let format = if is_10 { it.version_10(bytes)? } else { legacy(head)? };
        if let Texel::Palette = format.texel {
            it.start += 1024;
        }
        (it.texel, it.name, it.color_space) = (format.texel, format.name, format.color_space);
        (it.signed, it.premultiplied) = (format.signed, format.premultiplied || it.premultiplied);
        Ok(it)
    }

    /// The header of Direct3D 10.
    fn version_10(&mut self, bytes: &[u8]) -> Result<Format> {
        let Some(head) = bytes.get(HEADER..HEADER + HEADER_10) else {
            let found = (bytes.len() - HEADER) as u64;
            return Err(Error::truncated("the header of Direct3D 10", HEADER_10 as u64, found).at_byte(HEADER as u64));
        };
        const IS_CUBE: u32 = 4;
        const VOLUME_DIMENSION: u32 = 4;
        const PREMULTIPLIED: u32 = 2;
        self.start += HEADER_10;
        self.elements = u32_le(head, 12).max(1);
        if u32_le(head, 8) & IS_CUBE != 0 {
            self.faces = 6;
        }
        if u32_le(head, 4) != VOLUME_DIMENSION {
            self.depth = 1;
        }
        self.premultiplied = u32_le(head, 16) & 7 == PREMULTIPLIED;
        dxgi(u32_le(head, 0))
    }

    /// Bytes of a mipmap of one face, all slices of a volume but the first left out.
    pub(super) fn surface(&self, mipmap: u32) -> u64 {
        let side = |side: u32| u64::from((side >> mipmap.min(31)).max(1));
        self.texel.bytes(side(self.width), side(self.height))
    }

    /// Bytes of all pictures.
    pub(super) fn pictures(&self) -> u64 {
        let sides = self.width.max(self.height).max(self.depth);
        // There are no more mipmaps than halvings.
        let mipmaps = self.mipmaps.min(u32::BITS - sides.leading_zeros());
        let slices = |mipmap: u32| u64::from((self.depth >> mipmap).max(1));
        let chain = (0..mipmaps)
            .fold(0_u64, |all, mipmap| all.saturating_add(self.surface(mipmap).saturating_mul(slices(mipmap))));
        chain.saturating_mul(self.faces.into()).saturating_mul(self.elements.into())
    }

    pub(super) fn layout(&self) -> Layout {
        let (channels, bits, float) = self.texel.shape();
        let frames = u64::from(self.faces) * u64::from(self.elements).saturating_mul(self.depth.into());
        let color_space = self.color_space;
        Layout { width: self.width, height: self.height, channels, bits, float, color_space, frames }
    }

    /// Reports what is odd.
    pub(super) fn tell(&self, cx: &Context) -> Result<()> {
        for (text, at) in &self.findings {
            cx.tolerate("header", text.clone(), Location::byte(*at))?;
        }
        if self.signed {
            cx.note("signed", "signed numbers are moved up by half of their range");
        }
        Ok(())
    }

    /// What else the file holds.
    pub(super) fn describe(&self, properties: &mut Map<String, Value>, cx: &Context) {
        properties.insert("pixel_format".into(), self.name.clone().into());
        let counts =
            [("mipmaps", self.mipmaps), ("faces", self.faces), ("elements", self.elements), ("slices", self.depth)];
        let several: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 1).collect();
        for (name, count) in &several {
            properties.insert((*name).into(), (*count).into());
        }
        if !several.is_empty() {
            let list: Vec<_> = several.iter().map(|(name, count)| format!("{count} {name}")).collect();
            cx.note("left-out", format!("of {} the first is read", list.join(", ")));
        }
    }
}

fn unsupported(what: String) -> Error {
    Error::unsupported(format!("expected a pixel format of colours or blocks, found {what}"))
        .at_byte(76)
        .with_hint("texconv of DirectXTex converts it to RGBA")
}

/// Pixel formats of Direct3D 9 and before.
fn legacy(head: &[u8]) -> Result<Format> {
    let field = |at: usize| u32_le(head, at);
    let (flags, four, bits) = (field(80), [head[84], head[85], head[86], head[87]], field(88));
    let masks = [field(92), field(96), field(100), field(104)];
    if flags & FOUR_CC != 0 {
        return four_cc(four);
    }
    if flags & PALETTE != 0 {
        return Ok(Format::new(Texel::Palette, "PAL8"));
    }
    if !matches!(bits, 8 | 16 | 24 | 32) {
        return Err(unsupported(format!("{bits} bits a pixel")));
    }
    let masked = |masks: [u32; 4], channels: u8| {
        let mut found = [Channel::NONE; 4];
        for (channel, mask) in found.iter_mut().zip(masks) {
            *channel = Channel::new(mask).ok_or_else(|| {
                let text = format!("expected masks of bits that follow each other, found {mask:08x}");
                Error::malformed(text).at_byte(92)
            })?;
        }
        let texel = Texel::Masked { bytes: bits as u8 / 8, masks: found, channels };
        Ok(Format::new(texel, format!("{bits} bits, masks {masks:08x?}")))
    };
    let [r, g, b, a] = masks;
    let whole = u32::MAX >> (32 - bits);
    match (flags & RGB != 0, flags & LUMINANCE != 0, flags & ALPHA_PIXELS != 0) {
        (true, _, false) => masked([r, g, b, 0], 3),
        (true, _, true) => masked(masks, 4),
        // Some writers state a mask of 32-bit pixels.
        (_, true, false) => masked([if r & whole == 0 { whole } else { r }, 0, 0, 0], 1),
        (_, true, true) => masked([r, a, 0, 0], 2),
        _ if flags & ALPHA != 0 && bits == 8 => Ok(Format::new(Texel::Alpha, "A8")),
        _ => Err(unsupported(format!("flags {flags:08x}"))),
    }
}

fn four_cc(four: [u8; 4]) -> Result<Format> {
    let name = four.escape_ascii().to_string();
    let block = |block| Format::new(Texel::Blocks(block), name.clone());
    let number = u32::from_le_bytes(four);
    Ok(match &four {
        b"DXT1" => block(Block::Bc1),
        b"DXT2" => Format { premultiplied: true, ..block(Block::Bc2) },
        b"DXT3" => block(Block::Bc2),
        b"DXT4" => Format { premultiplied: true, ..block(Block::Bc3) },
        b"DXT5" => block(Block::Bc3),
        b"ATI1" | b"BC4U" => block(Block::Bc4 { signed: false }),
        b"BC4S" => block(Block::Bc4 { signed: true }).signed(),
        b"ATI2" | b"BC5U" => block(Block::Bc5 { signed: false }),
        b"BC5S" => block(Block::Bc5 { signed: true }).signed(),
        b"RGBG" => Format::new(Texel::Pairs { green_first: false }, name),
        b"GRGB" => Format::new(Texel::Pairs { green_first: true }, name),
        // Numbers of `D3DFORMAT`.
        _ => match number {
            36 => dxgi(11)?,
            110 => dxgi(13)?,
            111 => dxgi(54)?,
            112 => dxgi(34)?,
            113 => dxgi(10)?,
            114 => dxgi(41)?,
            115 => dxgi(16)?,
            116 => dxgi(2)?,
            _ => return Err(unsupported(format!("the four characters {name:?}"))),
        },
    })
}

/// Pixel formats of `DXGI_FORMAT`.
fn dxgi(number: u32) -> Result<Format> {
    let plain = |count, width, name: &str| Format::new(Texel::Plain { count, width, signed: false }, name);
    let moved = |count, width, name: &str| Format::new(Texel::Plain { count, width, signed: true }, name).signed();
    let block = |block, name: &str| Format::new(Texel::Blocks(block), name);
    let masked = |bytes, masks: [u32; 4], channels, name: &str| {
        let masks = masks.map(|mask| Channel::new(mask).unwrap_or(Channel::NONE));
        Format::new(Texel::Masked { bytes, masks, channels }, name)
    };
    Ok(match number {
        2 => plain(4, Width::Float, "R32G32B32A32_FLOAT"),
        6 => plain(3, Width::Float, "R32G32B32_FLOAT"),
        10 => plain(4, Width::Half, "R16G16B16A16_FLOAT"),
        9 | 11 => plain(4, Width::Sixteen, "R16G16B16A16_UNORM"),
        12 => plain(4, Width::Sixteen, "R16G16B16A16_UINT").numbers(),
        13 => moved(4, Width::Sixteen, "R16G16B16A16_SNORM"),
        16 => plain(2, Width::Float, "R32G32_FLOAT"),
        23 | 24 => masked(4, [0x3FF, 0xF_FC00, 0x3FF0_0000, 0xC000_0000], 4, "R10G10B10A2_UNORM"),
        26 => Format::new(Texel::SmallFloats, "R11G11B10_FLOAT"),
        27 | 28 => plain(4, Width::Eight, "R8G8B8A8_UNORM"),
        29 => plain(4, Width::Eight, "R8G8B8A8_UNORM_SRGB"),
        30 => plain(4, Width::Eight, "R8G8B8A8_UINT").numbers(),
        31 => moved(4, Width::Eight, "R8G8B8A8_SNORM"),
        34 => plain(2, Width::Half, "R16G16_FLOAT"),
        33 | 35 => plain(2, Width::Sixteen, "R16G16_UNORM"),
        36 => plain(2, Width::Sixteen, "R16G16_UINT").numbers(),
        37 => moved(2, Width::Sixteen, "R16G16_SNORM"),
        40 | 41 => plain(1, Width::Float, "R32_FLOAT"),
        48 | 49 => plain(2, Width::Eight, "R8G8_UNORM"),
        50 => plain(2, Width::Eight, "R8G8_UINT").numbers(),
        51 => moved(2, Width::Eight, "R8G8_SNORM"),
        54 => plain(1, Width::Half, "R16_FLOAT"),
        53 | 55 | 56 => plain(1, Width::Sixteen, "R16_UNORM"),
        57 => plain(1, Width::Sixteen, "R16_UINT").numbers(),
        58 => moved(1, Width::Sixteen, "R16_SNORM"),
        60 | 61 => plain(1, Width::Eight, "R8_UNORM"),
        62 => plain(1, Width::Eight, "R8_UINT").numbers(),
        63 => moved(1, Width::Eight, "R8_SNORM"),
        65 => Format::new(Texel::Alpha, "A8_UNORM"),
        67 => Format::new(Texel::SharedExponent, "R9G9B9E5_SHAREDEXP"),
        68 => Format::new(Texel::Pairs { green_first: false }, "R8G8_B8G8_UNORM"),
        69 => Format::new(Texel::Pairs { green_first: true }, "G8R8_G8B8_UNORM"),
        70 | 71 => block(Block::Bc1, "BC1_UNORM"),
        72 => block(Block::Bc1, "BC1_UNORM_SRGB"),
        73 | 74 => block(Block::Bc2, "BC2_UNORM"),
        75 => block(Block::Bc2, "BC2_UNORM_SRGB"),
        76 | 77 => block(Block::Bc3, "BC3_UNORM"),
        78 => block(Block::Bc3, "BC3_UNORM_SRGB"),
        79 | 80 => block(Block::Bc4 { signed: false }, "BC4_UNORM"),
        81 => block(Block::Bc4 { signed: true }, "BC4_SNORM").signed(),
        82 | 83 => block(Block::Bc5 { signed: false }, "BC5_UNORM"),
        84 => block(Block::Bc5 { signed: true }, "BC5_SNORM").signed(),
        85 => masked(2, [0xF800, 0x7E0, 0x1F, 0], 3, "B5G6R5_UNORM"),
        86 => masked(2, [0x7C00, 0x3E0, 0x1F, 0x8000], 4, "B5G5R5A1_UNORM"),
        87 | 90 => masked(4, [0xFF_0000, 0xFF00, 0xFF, 0xFF00_0000], 4, "B8G8R8A8_UNORM"),
        91 => masked(4, [0xFF_0000, 0xFF00, 0xFF, 0xFF00_0000], 4, "B8G8R8A8_UNORM_SRGB"),
        88 | 92 => masked(4, [0xFF_0000, 0xFF00, 0xFF, 0], 3, "B8G8R8X8_UNORM"),
        93 => masked(4, [0xFF_0000, 0xFF00, 0xFF, 0], 3, "B8G8R8X8_UNORM_SRGB"),
        94 | 95 => block(Block::Bc6 { signed: false }, "BC6H_UF16"),
        96 => block(Block::Bc6 { signed: true }, "BC6H_SF16"),
        97 | 98 => block(Block::Bc7, "BC7_UNORM"),
        99 => block(Block::Bc7, "BC7_UNORM_SRGB"),
        115 => masked(2, [0xF00, 0xF0, 0xF, 0xF000], 4, "B4G4R4A4_UNORM"),
        191 => masked(2, [0xF000, 0xF00, 0xF0, 0xF], 4, "A4B4G4R4_UNORM"),
        _ => return Err(unsupported(format!("the DXGI format {number}"))),
    })
}
