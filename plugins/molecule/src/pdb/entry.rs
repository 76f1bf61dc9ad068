//! What an entry says outside its models: titles, cell, sequences, secondary structure, connections.

use std::collections::BTreeMap;

use mediary_core::record::molecule::Cell;
use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::RECORDS;
use super::columns::{Place, label, place, record_name, serial_field};
use crate::text::{Cursor, Findings, Line, float, integer, word};

/// What an entry says outside its models.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) properties: Map<String, Value>,
    pub(super) texts: BTreeMap<&'static str, String>,
    pub(super) sequences: BTreeMap<String, String>,
    pub(super) cell: Option<Cell>,
    pub(super) space_group: Option<String>,
    pub(super) helices: Vec<Stretch>,
    pub(super) links: Vec<Link>,
    pub(super) connections: Vec<(i64, i64)>,
    pub(super) looked_ahead: bool,
}

pub(super) struct Stretch {
    pub(super) kind: &'static str,
    pub(super) id: SmolStr,
    pub(super) class: i32,
    pub(super) start: Place,
    pub(super) end: Place,
    pub(super) line: u64,
}

pub(super) struct Link {
    pub(super) ends: [(SmolStr, char, Place); 2],
    pub(super) line: u64,
}
/// Cell and space group of a `CRYST1` record.
pub(super) fn cryst1(line: &Line<'_>, findings: &mut Findings) -> (Option<Cell>, Option<String>) {
    let lengths = [(6, 15), (15, 24), (24, 33)].map(|(from, to)| float(line.columns(from, to)));
    let angles = [(33, 40), (40, 47), (47, 54)].map(|(from, to)| float(line.columns(from, to)));
    let [Some(a), Some(b), Some(c)] = lengths else {
        findings.warn("cell", line.number, || "expected three edges in CRYST1, found others: no cell is taken".into());
        return (None, None);
    };
    if angles.contains(&None) {
        findings
            .warn("cell", line.number, || "expected three angles in CRYST1, found fewer: 90 degrees are taken".into());
    }
    let group = word(line.columns(55, 66));
    let group = (!group.is_empty()).then(|| group.to_string());
    // Edges of 1 (or 0) Å stand for "no crystal".
    if [a, b, c].iter().all(|&edge| edge <= 1.0) {
        return (None, None);
    }
    if [a, b, c].iter().any(|&edge| edge <= 0.0) {
        findings
            .warn("cell", line.number, || "expected positive edges in CRYST1, found others: no cell is taken".into());
        return (None, None);
    }
    (Some(Cell { lengths: [a, b, c], angles: angles.map(|angle| angle.unwrap_or(90.0)) }), group)
}

impl Entry {
    pub(super) fn record(&mut self, name: &[u8; 6], line: &Line<'_>, findings: &mut Findings) {
        let continued = |texts: &mut BTreeMap<&'static str, String>, key: &'static str| {
            let text = texts.entry(key).or_default();
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&word(line.columns(10, 80)));
        };
        match name {
            b"HEADER" => {
                for (key, from, to) in [("classification", 10, 50), ("deposition_date", 50, 59), ("id", 62, 66)] {
                    let text = word(line.columns(from, to));
                    if !text.is_empty() {
                        self.properties.insert(key.into(), text.as_str().into());
                        if key == "id" {
                            self.name = text.to_string();
                        }
                    }
                }
            }
            b"TITLE " => continued(&mut self.texts, "title"),
            b"COMPND" => continued(&mut self.texts, "compound"),
            b"SOURCE" => continued(&mut self.texts, "source"),
            b"KEYWDS" => continued(&mut self.texts, "keywords"),
            b"EXPDTA" => continued(&mut self.texts, "method"),
            b"AUTHOR" => continued(&mut self.texts, "authors"),
            b"REMARK" => {
                // `REMARK   2 RESOLUTION.    2.70 ANGSTROMS.`
                if integer(line.columns(7, 10)) == Some(2)
                    && line.columns(11, 22) == b"RESOLUTION."
                    && let Some(resolution) = float(line.columns(22, 30))
                {
                    self.properties.insert("resolution".into(), resolution.into());
                }
            }
            b"SEQRES" => {
                let sequence = self.sequences.entry(word(line.columns(11, 12)).to_string()).or_default();
                for residue in line.columns(19, 70).split(u8::is_ascii_whitespace).filter(|name| !name.is_empty()) {
                    if !sequence.is_empty() {
                        sequence.push(' ');
                    }
                    sequence.push_str(&word(residue));
                }
            }
            b"CRYST1" => (self.cell, self.space_group) = cryst1(line, findings),
            b"HELIX " | b"SHEET " => {
                let helix = name == b"HELIX ";
                let (chain, number, last_chain, last_number) = if helix { (19, 21, 31, 33) } else { (21, 22, 32, 33) };
                self.helices.push(Stretch {
                    kind: if helix { "helix" } else { "sheet" },
                    id: word(line.columns(11, 14)),
                    class: integer(line.columns(38, 40)).and_then(|class| i32::try_from(class).ok()).unwrap_or(0),
                    start: place(line, chain, number),
                    end: place(line, last_chain, last_number),
                    line: line.number,
                });
            }
            b"SSBOND" | b"LINK  " | b"LINKR " => {
                let mates = [line.columns(59, 65), line.columns(66, 72)].map(<[u8]>::trim_ascii);
                if mates[0] != mates[1] && !mates.contains(&&b""[..]) && name != b"LINKR " {
                    return findings
                        .note("symmetry-bond", line.number, || "a bond to a symmetry mate is set aside".into());
                }
                let ends = if name == b"SSBOND" {
                    [(15, 17), (29, 31)].map(|(chain, number)| ("SG".into(), '\0', place(line, chain, number)))
                } else {
                    [(12, 16, 21, 22), (42, 46, 51, 52)].map(|(name, alternate, chain, number)| {
                        (word(line.columns(name, name + 4)), label(line.byte(alternate)), place(line, chain, number))
                    })
                };
                self.links.push(Link { ends, line: line.number });
            }
            b"CONECT" if !self.looked_ahead => self.connect(line, findings),
            _ if RECORDS.contains(&name) || line.text.trim_ascii().is_empty() => {}
            // Records of one word that may be filled up or cut anyhow.
            _ if matches!(word(line.columns(0, 6)).as_str(), "REMARK" | "TER" | "END" | "MASTER") => {}
            _ => findings.note("unknown-record", line.number, || {
                format!("{:?} is no record of the specification: it is passed over", word(line.columns(0, 6)))
            }),
        }
    }

    fn connect(&mut self, line: &Line<'_>, findings: &mut Findings) {
        let field = |from: usize| line.columns(from, from + 5);
        let Some(atom) = serial_field(field(6)) else {
            return findings.warn("conect", line.number, || "expected an atom serial in CONECT, found none".into());
        };
        for from in [11, 16, 21, 26] {
            let partner = field(from);
            if partner.trim_ascii().is_empty() {
                continue;
            }
            match serial_field(partner) {
                Some(partner) => self.connections.push((atom, partner)),
                None => findings.warn("conect", line.number, || "expected an atom serial in CONECT, found none".into()),
            }
        }
    }

    /// Takes what stands behind all models of the entry, once, for the records before the last.
    pub(super) fn look_ahead(&mut self, mut cursor: Cursor, bytes: &[u8]) {
        if std::mem::replace(&mut self.looked_ahead, true) {
            return;
        }
        while let Some(line) = cursor.next(bytes) {
            match &record_name(line.text) {
                b"CONECT" => self.connect(&line, &mut Findings::default()),
                [b'E', b'N', b'D', b' ', ..] => break,
                _ => {}
            }
        }
    }
}
