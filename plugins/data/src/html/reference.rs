//! Character references.

use encoding_rs::WINDOWS_1252;

/// Decodes numeric character references and the usual named ones; others stay as they are.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match reference(rest) {
            Some((decoded, length)) => {
                out.push(decoded);
                rest = &rest[length..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// The named references of Latin text and typography. Those marked are also known without the semicolon.
#[rustfmt::skip]
const NAMED: [(&str, bool, char); 118] = [
    ("amp", true, '&'), ("lt", true, '<'), ("gt", true, '>'), ("quot", true, '"'), ("apos", false, '\''),
    ("AMP", true, '&'), ("LT", true, '<'), ("GT", true, '>'), ("QUOT", true, '"'),
    ("nbsp", true, '\u{A0}'), ("iexcl", true, '¡'), ("cent", true, '¢'), ("pound", true, '£'), ("curren", true, '¤'),
    ("yen", true, '¥'), ("brvbar", true, '¦'), ("sect", true, '§'), ("uml", true, '¨'), ("copy", true, '©'),
    ("ordf", true, 'ª'), ("laquo", true, '«'), ("not", true, '¬'), ("shy", true, '\u{AD}'), ("reg", true, '®'),
    ("macr", true, '¯'), ("deg", true, '°'), ("plusmn", true, '±'), ("sup2", true, '²'), ("sup3", true, '³'),
    ("acute", true, '´'), ("micro", true, 'µ'), ("para", true, '¶'), ("middot", true, '·'), ("cedil", true, '¸'),
    ("sup1", true, '¹'), ("ordm", true, 'º'), ("raquo", true, '»'), ("frac14", true, '¼'), ("frac12", true, '½'),
    ("frac34", true, '¾'), ("iquest", true, '¿'), ("Agrave", true, 'À'), ("Aacute", true, 'Á'), ("Acirc", true, 'Â'),
    ("Atilde", true, 'Ã'), ("Auml", true, 'Ä'), ("Aring", true, 'Å'), ("AElig", true, 'Æ'), ("Ccedil", true, 'Ç'),
    ("Egrave", true, 'È'), ("Eacute", true, 'É'), ("Ecirc", true, 'Ê'), ("Euml", true, 'Ë'), ("Igrave", true, 'Ì'),
    ("Iacute", true, 'Í'), ("Icirc", true, 'Î'), ("Iuml", true, 'Ï'), ("ETH", true, 'Ð'), ("Ntilde", true, 'Ñ'),
    ("Ograve", true, 'Ò'), ("Oacute", true, 'Ó'), ("Ocirc", true, 'Ô'), ("Otilde", true, 'Õ'), ("Ouml", true, 'Ö'),
    ("times", true, '×'), ("Oslash", true, 'Ø'), ("Ugrave", true, 'Ù'), ("Uacute", true, 'Ú'), ("Ucirc", true, 'Û'),
    ("Uuml", true, 'Ü'), ("Yacute", true, 'Ý'), ("THORN", true, 'Þ'), ("szlig", true, 'ß'), ("agrave", true, 'à'),
    ("aacute", true, 'á'), ("acirc", true, 'â'), ("atilde", true, 'ã'), ("auml", true, 'ä'), ("aring", true, 'å'),
    ("aelig", true, 'æ'), ("ccedil", true, 'ç'), ("egrave", true, 'è'), ("eacute", true, 'é'), ("ecirc", true, 'ê'),
    ("euml", true, 'ë'), ("igrave", true, 'ì'), ("iacute", true, 'í'), ("icirc", true, 'î'), ("iuml", true, 'ï'),
    ("eth", true, 'ð'), ("ntilde", true, 'ñ'), ("ograve", true, 'ò'), ("oacute", true, 'ó'), ("ocirc", true, 'ô'),
    ("otilde", true, 'õ'), ("ouml", true, 'ö'), ("divide", true, '÷'), ("oslash", true, 'ø'), ("ugrave", true, 'ù'),
    ("uacute", true, 'ú'), ("ucirc", true, 'û'), ("uuml", true, 'ü'), ("yacute", true, 'ý'), ("thorn", true, 'þ'),
    ("yuml", true, 'ÿ'), ("ndash", false, '–'), ("mdash", false, '—'), ("lsquo", false, '‘'), ("rsquo", false, '’'),
    ("ldquo", false, '“'), ("rdquo", false, '”'), ("bull", false, '•'), ("hellip", false, '…'), ("trade", false, '™'),
    ("euro", false, '€'), ("rarr", false, '→'), ("larr", false, '←'), ("minus", false, '−'),
];

/// The character that `text`, which begins with `&`, stands for, and the bytes the reference takes.
fn reference(text: &str) -> Option<(char, usize)> {
    let name = &text[1..];
    if let Some(number) = name.strip_prefix('#') {
        let hex = number.starts_with(['x', 'X']);
        let digits = if hex { &number[1..] } else { number };
        let radix = if hex { 16 } else { 10 };
        let length = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        if length == 0 {
            return None;
        }
        let code = u32::from_str_radix(&digits[..length], radix).unwrap_or(u32::MAX);
        let semicolon = usize::from(digits[length..].starts_with(';'));
        return Some((character(code), 2 + usize::from(hex) + length + semicolon));
    }
    let length = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
    let closed = name[length..].starts_with(';');
    let exact = NAMED.iter().find(|(known, bare, _)| name[..length] == **known && (closed || *bare));
    if let Some((_, _, decoded)) = exact {
        return Some((*decoded, 1 + length + usize::from(closed)));
    }
    // `&copyright` is the character and the rest of the word.
    let (known, _, decoded) =
        NAMED.iter().filter(|(known, bare, _)| *bare && name.starts_with(known)).max_by_key(|n| n.0.len())?;
    Some((*decoded, 1 + known.len()))
}

/// The character of a numeric reference: the C1 range means Windows-1252, what is no character U+FFFD.
fn character(code: u32) -> char {
    match u8::try_from(code) {
        Ok(0) => '\u{FFFD}',
        Ok(byte @ 0x80..=0x9F) => {
            WINDOWS_1252.decode_without_bom_handling(&[byte]).0.chars().next().unwrap_or('\u{FFFD}')
        }
        _ => char::from_u32(code).unwrap_or('\u{FFFD}'),
    }
}
