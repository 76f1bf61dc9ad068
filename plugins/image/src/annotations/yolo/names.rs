//! Names of classes beside labels: a line each, or `names` of a YAML file.

use std::collections::BTreeMap;

/// A name a line; the first one is class 0.
pub(super) fn of_lines(text: &str) -> BTreeMap<i64, String> {
    let names = text.trim_start_matches('\u{FEFF}').trim_end().lines().map(|line| line.trim().to_owned());
    (0..).zip(names).collect()
}

/// The value of `names` at the top of a YAML document: a list in brackets or dashes, or a map in braces or lines. Other YAML is
/// `None`.
pub(super) fn of_yaml(text: &str) -> Option<BTreeMap<i64, String>> {
    let mut lines = text.trim_start_matches('\u{FEFF}').lines();
    let first = lines.find_map(|line| line.strip_prefix("names:"))?;
    let first = without_comment(first).trim();
    if first.starts_with(['[', '{']) {
        // It may go on over lines.
        let mut all = first.to_owned();
        while !all.ends_with([']', '}']) {
            all.push(' ');
            all += without_comment(lines.next()?).trim();
        }
        let inner = &all[1..all.len() - 1];
        let parts = split(inner).into_iter().filter(|part| !part.is_empty());
        return if all.starts_with('[') {
            Some((0..).zip(parts.map(unquoted)).collect())
        } else {
            parts.map(entry).collect()
        };
    }
    if !first.is_empty() {
        return None;
    }
    let mut names = BTreeMap::new();
    for line in lines {
        let content = without_comment(line).trim();
        let indented = line.starts_with([' ', '\t', '-']);
        match content.strip_prefix('-') {
            _ if content.is_empty() => {}
            _ if !indented => break,
            Some(name) => drop(names.insert(names.len() as i64, unquoted(name.trim()))),
            None => {
                let (id, name) = entry(content)?;
                names.insert(id, name);
            }
        }
    }
    Some(names)
}

fn entry(text: &str) -> Option<(i64, String)> {
    let (id, name) = text.split_once(':')?;
    Some((unquoted(id.trim()).parse().ok()?, unquoted(name.trim())))
}

/// A comment begins with a number sign behind a blank, outside of quotes.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut before) = (None, ' ');
    for (at, letter) in line.char_indices() {
        match quote {
            Some(open) if open == letter => quote = None,
            Some(_) => {}
            None if letter == '#' && before.is_whitespace() => return &line[..at],
            None if matches!(letter, '"' | '\'') => quote = Some(letter),
            None => {}
        }
        before = letter;
    }
    line
}

/// At commas outside of quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quote) = (Vec::new(), 0, None);
    for (at, letter) in text.char_indices() {
        match quote {
            Some(open) if open == letter => quote = None,
            Some(_) => {}
            None if letter == ',' => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            None if matches!(letter, '"' | '\'') => quote = Some(letter),
            None => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

fn unquoted(text: &str) -> String {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('\'')
        .map(|text| text.replace("''", "'"))
        .or_else(|| inner('"').map(str::to_owned))
        .unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The forms in which the documentation of ultralytics, Roboflow and CVAT write them.
    #[test]
    fn names_in_every_form() {
        let expected =
            BTreeMap::from([(0, "person".to_owned()), (1, "traffic light, red".to_owned()), (2, "o'clock".to_owned())]);
        for text in [
            "train: a\nnames:\n  0: person\n  1: traffic light, red # new\n  2: o'clock\nnc: 3\n",
            "names: ['person', 'traffic light, red', 'o''clock']\nnc: 3\n",
            "nc: 3\nnames: [person, \"traffic light, red\",\n  \"o'clock\"]\n",
            "names:\n- person\n- traffic light, red\n- o'clock\n",
            "names: {0: person, 1: 'traffic light, red', 2: \"o'clock\"}\n",
        ] {
            assert_eq!(of_yaml(text).as_ref(), Some(&expected), "{text}");
        }
        assert_eq!(of_lines("person\r\ntraffic light, red\no'clock\n\n"), expected);
        for broken in ["nc: 3\n", "names: *alias\n", "names: [a\n", "names:\n  a: b\n"] {
            assert_eq!(of_yaml(broken), None, "{broken}");
        }
    }
}
