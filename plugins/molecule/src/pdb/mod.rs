//! PDB, the Protein Data Bank file format: atoms, residues, chains, models, bonds, cell.
//!
//! Specification: wwPDB format 3.3, <https://www.wwpdb.org/documentation/file-format-content/format33/v3.3.html>. Lines of 80
//! columns, the record name in columns 1 to 6. Columns of `ATOM` and `HETATM`:
//!
//! | Columns | Field | Read | Written |
//! |---|---|---|---|
//! | 7-11 | serial | decimal, hybrid-36, hexadecimal (VMD), 6 digits from column 6, `*****` (counted on) | decimal, hybrid-36 from 100000 |
//! | 13-16 | name | the columns decide the element where none is given: ` CA ` carbon, `CA  ` calcium | element right-aligned in 13-14 |
//! | 17 | alternate location | all are kept | yes |
//! | 18-20 | residue | 4 letters where column 22 is blank | 4 letters shift into column 21 |
//! | 21-22 | chain | 1 letter; 2 as gemmi and Phenix write them | 1 or 2 |
//! | 23-27 | number, insertion code | hybrid-36; five digits are one number, as programs write it from 10000 on | hybrid-36 from 10000 |
//! | 31-54 | x, y, z in Å | any decimal number of these columns | 3 decimals |
//! | 55-66 | occupancy, B factor | blank is 1 and 0 | 2 decimals |
//! | 73-76 | segment | unless it is the entry and line number of old files | yes |
//! | 77-80 | element, charge | `1+` and `+1`; guessed from name and residue where blank | yes |
//!
//! Also read: `MODEL`, `ENDMDL`, `TER`, `END`, `CONECT` (a repeated partner is a bond order), `LINK`, `LINKR`, `SSBOND`, `HELIX`,
//! `SHEET`, `CRYST1` (edges of 1 or 0 are no cell), and as properties `HEADER`, `TITLE`, `COMPND`, `SOURCE`, `KEYWDS`, `EXPDTA`,
//! `AUTHOR`, `SEQRES` (`sequences`), the resolution of `REMARK 2`, and `ligands`: how many there are of each residue of HETATM that is
//! neither water nor in its chain's `SEQRES`. Models of the same atoms are one record, whether `MODEL` or `END` parts them;
//! a model of other atoms, or a title after `END`, starts another record. A model without a number gets the next free one; so does
//! one whose number is repeated or not positive, with a diagnostic (`model-number`). Bonds that the file leaves out come from residue templates and distances, see the
//! option `bonds`; each bond says which.
//!
//! Set aside with a diagnostic: `ANISOU` (`anisou`), occupancies and B factors of later models that differ from the first
//! (`model-values`), bonds to symmetry mates (`symmetry-bond`), records that are not in the specification (`unknown-record`).
//!
//! Lost on writing, as losses: decimals (`precision`), texts that are longer than their columns, and letters other than those of
//! ASCII, written as `?` (`names`), bond orders that repetition cannot say (`bond-order`), atom columns of other formats
//! (`atom-columns`), velocities, properties. Refused: molecules without atoms or coordinates, numbers and names of chains that
//! their columns do not hold.
//!
//! Strictness: strict takes every deviation below as an error. Default repairs, with a diagnostic: missing element columns, serials
//! or residue numbers that are no number, a missing `END` or `ENDMDL`, references to missing atoms. A coordinate that is no number
//! or a line too short for one is an error; lenient leaves the atom out.

mod atoms;
mod bonds;
mod columns;
mod entry;
mod read;
mod write;

use mediary_core::{
    Confidence, Context, Feature, Format, FormatInfo, FormatReader, Kind, MediaRecord, Output, Probe, Result, Source,
};

const INFO: FormatInfo = FormatInfo::new("pdb", "Protein Data Bank", &[Kind::Molecule])
    .extensions(&["pdb", "ent", "brk"])
    .media_types(&["chemical/x-pdb"])
    .probes_without_signature()
    .reads()
    .writes(&[Feature::Residues, Feature::Models, Feature::Charges])
    .many_records()
    .options(&[crate::bonds::OPTION])
    .spec("https://www.wwpdb.org/documentation/file-format-content/format33/v3.3.html");

/// Records of the specification that are passed over, and those that are read apart from atoms.
#[rustfmt::skip]
const RECORDS: &[&[u8; 6]] = &[
    b"HEADER", b"OBSLTE", b"TITLE ", b"SPLIT ", b"CAVEAT", b"COMPND", b"SOURCE", b"KEYWDS", b"EXPDTA", b"NUMMDL",
    b"MDLTYP", b"AUTHOR", b"REVDAT", b"SPRSDE", b"JRNL  ", b"REMARK", b"DBREF ", b"DBREF1", b"DBREF2", b"SEQADV",
    b"SEQRES", b"MODRES", b"HET   ", b"HETNAM", b"HETSYN", b"FORMUL", b"HELIX ", b"SHEET ", b"TURN  ", b"SSBOND",
    b"LINK  ", b"LINKR ", b"CISPEP", b"SITE  ", b"CRYST1", b"ORIGX1", b"ORIGX2", b"ORIGX3", b"SCALE1", b"SCALE2",
    b"SCALE3", b"MTRIX1", b"MTRIX2", b"MTRIX3", b"MODEL ", b"ATOM  ", b"ANISOU", b"SIGATM", b"SIGUIJ", b"TER   ",
    b"HETATM", b"ENDMDL", b"CONECT", b"MASTER", b"END   ", b"TVECT ", b"SLTBRG", b"HYDBND", b"FTNOTE", b"USER  ",
];

struct Pdb;
mediary_core::register!(Pdb);

impl Format for Pdb {
    fn info(&self) -> &'static FormatInfo {
        &INFO
    }

    fn probe(&self, probe: &Probe<'_>) -> Confidence {
        if !probe.looks_like_text() {
            return Confidence::No;
        }
        let (mut known, mut atoms, mut nearly, mut seen, mut pqr) = (0, 0, 0, 0, 0);
        for line in probe.lines().filter(|line| !line.trim_ascii().is_empty()).take(2000) {
            seen += 1;
            let name = columns::record_name(line);
            if matches!(&name, b"ATOM  " | b"HETATM") {
                // mmCIF rows begin with the same words, but have no numbers in these columns.
                let columns = [(30, 38), (38, 46), (46, 54)];
                let is_number =
                    |&(from, to): &(usize, usize)| line.get(from..to).and_then(crate::text::float).is_some();
                let numbers = columns.iter().filter(|columns| is_number(columns)).count();
                atoms += usize::from(numbers == 3);
                nearly += usize::from((1..3).contains(&numbers) && columns::has_residue_columns(line));
                pqr += usize::from(is_pqr(line));
            } else {
                known += usize::from(RECORDS.contains(&&name));
            }
        }
        match (atoms, known) {
            _ if pqr > 0 && pqr >= atoms => Confidence::No,
            (1.., _) if (atoms + nearly + known) * 2 > seen => {
                Confidence::yes(150, "atom records with coordinates in columns")
            }
            (0, _) if nearly > 0 && (nearly + known) * 2 > seen => {
                Confidence::yes(60, "atom records, but a coordinate is no number")
            }
            (0, 2..) if known == seen => Confidence::yes(100, "nothing but records of the Protein Data Bank"),
            _ => Confidence::No,
        }
    }

    fn open(&self, source: &Source, cx: &Context) -> Result<Box<dyn FormatReader>> {
        let reader = read::open(source, cx)?;
        #[cfg(feature = "pdbtbx")]
        let reader = crate::pdbtbx::asked(reader, source, cx, ::pdbtbx::Format::Pdb);
        Ok(reader)
    }

    fn write(&self, record: &mut MediaRecord, out: &mut Output, cx: &Context) -> Result<()> {
        write::write(record, out, cx)
    }
}

/// Whether a line has a charge and a radius where PDB has occupancy and B factor: the same words as PQR has them, of more than
/// two decimals or out of columns. Read as PDB, they would be wrong without a word.
pub(crate) fn is_pqr(line: &[u8]) -> bool {
    let words: Vec<_> = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    let decimals = |word: &[u8]| Some(word.len() - 1 - word.iter().position(|&byte| byte == b'.')?);
    let is_number = |word: &&&[u8]| crate::text::float(word).is_some();
    // Name, residue and number stand before five numbers at the end of the line: position, charge, radius.
    (10..=11).contains(&words.len())
        && words[words.len() - 5..].iter().filter(is_number).count() == 5
        && words[words.len() - 2..].iter().any(|word| decimals(word).is_some_and(|decimals| decimals > 2))
}

/// Largest plain serial and residue number, and what hybrid-36 starts at, for a field of `width` digits.
/// <https://cci.lbl.gov/hybrid_36/>: after 99999 comes `A0000`, after `ZZZZZ` comes `a0000`.
fn decode_hybrid36(field: &[u8], width: u32) -> Option<i64> {
    let first = *field.first()?;
    if field.len() != width as usize || !first.is_ascii_alphabetic() {
        return None;
    }
    let lower = first.is_ascii_lowercase();
    let mut value = 0;
    for &byte in field {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' if !lower => byte - b'A' + 10,
            b'a'..=b'z' if lower => byte - b'a' + 10,
            _ => return None,
        };
        value = value * 36 + i64::from(digit);
    }
    let block = 26 * 36_i64.pow(width - 1);
    Some(value - 10 * 36_i64.pow(width - 1) + 10_i64.pow(width) + if lower { block } else { 0 })
}

/// The inverse of [`decode_hybrid36`]; `None` for a number that no field of `width` digits holds.
fn encode_hybrid36(value: i64, width: u32) -> Option<String> {
    let plain = 10_i64.pow(width);
    if value < plain && value > -plain / 10 {
        return Some(value.to_string());
    }
    let block = 26 * 36_i64.pow(width - 1);
    let above = value - plain;
    if !(0..2 * block).contains(&above) {
        return None;
    }
    let letters: &[u8; 36] = match above < block {
        true => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        false => b"0123456789abcdefghijklmnopqrstuvwxyz",
    };
    let mut rest = above % block + 10 * 36_i64.pow(width - 1);
    let mut digits = vec![0; width as usize];
    for digit in digits.iter_mut().rev() {
        *digit = letters[(rest % 36) as usize];
        rest /= 36;
    }
    String::from_utf8(digits).ok()
}

#[cfg(test)]
mod tests;
