//! The items of a file: what the box `meta` says of them.

use std::collections::BTreeMap;

use mediary_core::{Context, Error, Result};

use crate::boxes::{Atom, Fields};

/// Types of auxiliary pictures that are alpha.
const ALPHA: [&[u8]; 2] = [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1"];

/// The layer of all layers together, of the property `lsel`.
const ALL_LAYERS: u64 = 0xFFFF;

/// How colours are coded, by the numbers of H.273.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coding {
    pub(super) primaries: u16,
    pub(super) transfer: u16,
    pub(super) matrix: u16,
    pub(super) full_range: bool,
}

/// What is said of an item.
#[derive(Clone, Debug, Default)]
pub(super) struct Item {
    pub(super) kind: [u8; 4],
    content_type: Vec<u8>,
    /// Whether its data are in the box `idat`.
    in_meta: bool,
    extents: Vec<(u64, u64)>,
    pub(super) size: Option<[u32; 2]>,
    pub(super) coding: Option<Coding>,
    pub(super) icc: Option<Vec<u8>>,
    /// Quarter turns against the clock.
    pub(super) turns: u8,
    /// 0 exchanges top and bottom, 1 left and right.
    pub(super) mirror: Option<u8>,
    /// Width, height and offsets of the centre, as fractions.
    pub(super) crop: Option<[[u32; 2]; 4]>,
    is_alpha: bool,
    /// An essential property that is not known.
    pub(super) unknown: Option<[u8; 4]>,
    /// The items that it is made of.
    pub(super) inputs: Vec<u32>,
    /// What it belongs to.
    auxiliary_of: Vec<u32>,
    describes: Vec<u32>,
    /// The alpha that its colours are multiplied with.
    premultiplied_by: Vec<u32>,
}

/// The items of a file.
#[derive(Debug, Default)]
pub(super) struct Items<'b> {
    file: &'b [u8],
    idat: &'b [u8],
    pub(super) primary: u32,
    items: BTreeMap<u32, Item>,
    /// The alpha of a picture.
    alphas: BTreeMap<u32, u32>,
}

impl<'b> Items<'b> {
    pub(super) fn parse(file: &'b [u8], meta: &Atom<'b>, cx: &Context) -> Result<Self> {
        let mut items = Self { file, ..Self::default() };
        // The boxes may stand in any order; items must be known before what is said of them.
        items.infos(&meta.need(b"iinf", 4)?, cx)?;
        let mut primary = meta.need(b"pitm", 4)?.fields();
        let (version, _) = primary.version()?;
        items.primary = primary.id(version > 0)?;
        for child in meta.children(4)? {
            let child = child?;
            match &child.kind {
                b"idat" => items.idat = child.body,
                b"iloc" => items.locations(&child, cx)?,
                b"iprp" => items.properties(&child, cx)?,
                b"iref" => items.references(&child)?,
                _ => {}
            }
        }
        for (&alpha, item) in items.items.iter().filter(|(_, item)| item.is_alpha) {
            for &id in &item.auxiliary_of {
                items.alphas.entry(id).or_insert(alpha);
            }
        }
        Ok(items)
    }

    pub(super) fn get(&self, id: u32) -> Result<&Item> {
        self.items.get(&id).ok_or_else(|| Error::malformed(format!("the item {id} is referred to, and is not there")))
    }

    /// The item that is the alpha of this one.
    pub(super) fn alpha_of(&self, id: u32) -> Option<u32> {
        self.alphas.get(&id).copied()
    }

    pub(super) fn is_premultiplied(&self, id: u32, alpha: u32) -> bool {
        self.items.get(&id).is_some_and(|item| item.premultiplied_by.contains(&alpha))
    }

    /// The data of the EXIF block and of the XMP that describe an item.
    pub(super) fn notes(&self, id: u32) -> impl Iterator<Item = (bool, u32)> {
        self.items.iter().filter(move |(_, item)| item.describes.contains(&id)).filter_map(|(note, item)| {
            match &item.kind {
                b"Exif" => Some((true, *note)),
                b"mime" if item.content_type.starts_with(b"application/rdf+xml") => Some((false, *note)),
                _ => None,
            }
        })
    }

    /// Bytes of an item.
    pub(super) fn length(&self, id: u32) -> Result<u64> {
        Ok(self.get(id)?.extents.iter().fold(0, |sum, (_, length)| sum.saturating_add(*length)))
    }

    /// The data of an item, of all its extents.
    pub(super) fn data(&self, id: u32, cx: &Context) -> Result<Vec<u8>> {
        let item = self.get(id)?;
        let within = if item.in_meta { self.idat } else { self.file };
        let mut data = Vec::new();
        for &(offset, length) in &item.extents {
            let left = (within.len() as u64).saturating_sub(offset);
            // A length of 0 is all that is left.
            let length = if length == 0 { left } else { length };
            if length > left {
                return Err(Error::truncated(&format!("the data of item {id}"), length, left)
                    .at_byte(offset)
                    .with_hint("the file is cut short; fetch or copy it again"));
            }
            cx.budget().take(length)?;
            data.extend_from_slice(&within[offset as usize..(offset + length) as usize]);
        }
        if data.is_empty() {
            return Err(Error::malformed(format!("the item {id} has no data")));
        }
        Ok(data)
    }

    fn infos(&mut self, iinf: &Atom<'b>, cx: &Context) -> Result<()> {
        let mut fields = iinf.fields();
        let (version, _) = fields.version()?;
        let skip = 4 + if version == 0 { 2 } else { 4 };
        for info in iinf.children(skip)? {
            let info = info?;
            if info.kind != *b"infe" {
                continue;
            }
            let mut fields = info.fields();
            let (version, _) = fields.version()?;
            if version < 2 {
                continue;
            }
            let id = fields.id(version > 2)?;
            let _protection = fields.u16()?;
            let mut item = Item { kind: fields.array()?, ..Item::default() };
            if item.kind == *b"mime" {
                let mut texts = fields.rest.split(|byte| *byte == 0).skip(1);
                item.content_type = texts.next().unwrap_or_default().to_vec();
            }
            cx.budget().take(size_of::<Item>() as u64)?;
            if self.items.insert(id, item).is_some() {
                return Err(Error::malformed(format!("the item {id} is there twice")).at_byte(info.at));
            }
        }
        Ok(())
    }

    fn locations(&mut self, iloc: &Atom<'b>, cx: &Context) -> Result<()> {
        let mut fields = iloc.fields();
        let (version, _) = fields.version()?;
        if version > 2 {
            return Err(Error::unsupported(format!("iloc of version {version}")).at_byte(iloc.at));
        }
        let [sizes, bases] = fields.array::<2>()?;
        let [offset, length, base] = [sizes >> 4, sizes & 15, bases >> 4].map(usize::from);
        let index = if version > 0 { usize::from(bases & 15) } else { 0 };
        if [offset, length, base, index].iter().any(|size| !matches!(size, 0 | 4 | 8)) {
            let found = format!("{offset}, {length}, {base}, {index}");
            return Err(
                Error::malformed(format!("expected fields of 0, 4 or 8 bytes in iloc, found {found}")).at_byte(iloc.at)
            );
        }
        let count = fields.id(version > 1)?;
        let count = fields.count(count, 6)?;
        for _ in 0..count {
            let id = fields.id(version > 1)?;
            let method = if version > 0 { fields.u16()? & 15 } else { 0 };
            let elsewhere = fields.u16()?;
            let base = fields.uint(base)?;
            let extents = u32::from(fields.u16()?);
            let extents = fields.count(extents, index + offset + length)?;
            let mut places = cx.budget().vec("extents", extents as u64, 0, u64::MAX)?;
            for _ in 0..extents {
                fields.take(index)?;
                let at = base.saturating_add(fields.uint(offset)?);
                places.push((at, fields.uint(length)?));
            }
            let Some(item) = self.items.get_mut(&id) else { continue };
            if method > 1 || elsewhere != 0 {
                // Told once it is wanted: other pictures of the file may be anywhere.
                item.unknown = Some(*b"iloc");
            }
            (item.in_meta, item.extents) = (method == 1, places);
        }
        Ok(())
    }

    fn references(&mut self, iref: &Atom<'b>) -> Result<()> {
        let (version, _) = iref.fields().version()?;
        for reference in iref.children(4)? {
            let reference = reference?;
            let mut fields = reference.fields();
            let from = fields.id(version > 0)?;
            let count = u32::from(fields.u16()?);
            let count = fields.count(count, if version > 0 { 4 } else { 2 })?;
            let to = (0..count).map(|_| fields.id(version > 0)).collect::<Result<Vec<_>>>()?;
            let Some(item) = self.items.get_mut(&from) else { continue };
            match &reference.kind {
                b"dimg" => item.inputs.extend(to),
                b"auxl" => item.auxiliary_of.extend(to),
                b"cdsc" => item.describes.extend(to),
                b"prem" => item.premultiplied_by.extend(to),
                _ => {}
            }
        }
        Ok(())
    }

    fn properties(&mut self, iprp: &Atom<'b>, cx: &Context) -> Result<()> {
        let known = iprp.need(b"ipco", 0)?.children(0)?.collect::<Result<Vec<_>>>()?;
        for map in iprp.children(0)? {
            let map = map?;
            if map.kind != *b"ipma" {
                continue;
            }
            let mut fields = map.fields();
            let (version, flags) = fields.version()?;
            let count = fields.u32()?;
            let count = fields.count(count, 3)?;
            for number in 0..count {
                if number % 1024 == 0 {
                    cx.checkpoint()?;
                }
                let id = fields.id(version > 0)?;
                for _ in 0..fields.u8()? {
                    let (essential, index) = match flags & 1 {
                        0 => fields.u8().map(|value| (value >> 7 != 0, usize::from(value & 0x7F)))?,
                        _ => fields.u16().map(|value| (value >> 15 != 0, usize::from(value & 0x7FFF)))?,
                    };
                    // 0 stands for none.
                    let Some(index) = index.checked_sub(1) else { continue };
                    let property = known.get(index).ok_or_else(|| {
                        let text = format!("expected one of {} properties, found number {}", known.len(), index + 1);
                        Error::malformed(text).at_byte(map.at)
                    })?;
                    if let Some(item) = self.items.get_mut(&id) {
                        item.say(property, essential, cx)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Item {
    fn say(&mut self, property: &Atom<'_>, essential: bool, cx: &Context) -> Result<()> {
        let mut fields = property.fields();
        match &property.kind {
            b"ispe" => {
                fields.version()?;
                self.size = Some([fields.u32()?, fields.u32()?]);
            }
            b"colr" => match colors(&mut fields, cx)? {
                Colors::Coding(coding) => self.coding = self.coding.or(Some(coding)),
                Colors::Profile(profile) => self.icc = self.icc.take().or(Some(profile)),
                Colors::Other => {}
            },
            b"irot" => self.turns = fields.u8()? & 3,
            b"imir" => self.mirror = Some(fields.u8()? & 1),
            b"clap" => {
                let mut fraction = || Ok::<_, Error>([fields.u32()?, fields.u32()?]);
                self.crop = Some([fraction()?, fraction()?, fraction()?, fraction()?]);
            }
            b"auxC" => {
                fields.version()?;
                let kind = fields.rest.split(|byte| *byte == 0).next().unwrap_or_default();
                self.is_alpha = ALPHA.contains(&kind);
            }
            b"lsel" if fields.uint(2)? == ALL_LAYERS => {}
            // The first operating point is the one that is decoded.
            b"a1op" if fields.u8()? == 0 => {}
            b"av1C" | b"pixi" | b"pasp" => {}
            kind if essential => self.unknown = Some(*kind),
            _ => {}
        }
        Ok(())
    }
}

/// What a box `colr` holds.
pub(super) enum Colors {
    Coding(Coding),
    Profile(Vec<u8>),
    Other,
}

pub(super) fn colors(fields: &mut Fields<'_>, cx: &Context) -> Result<Colors> {
    match &fields.array::<4>()? {
        b"nclx" => Ok(Colors::Coding(Coding {
            primaries: fields.u16()?,
            transfer: fields.u16()?,
            matrix: fields.u16()?,
            full_range: fields.u8()? & 0x80 != 0,
        })),
        b"prof" | b"rICC" => {
            cx.budget().take(fields.rest.len() as u64)?;
            Ok(Colors::Profile(fields.rest.to_vec()))
        }
        _ => Ok(Colors::Other),
    }
}
