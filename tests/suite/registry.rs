//! The set of built-in formats, and how conflicts are answered.

use std::fs;

use mediary::{ErrorKind, Format, FormatInfo, Kind, ReadOptions, Registry, Source};

use crate::common::root;

/// `inventory` drops crates that nothing names, without a word. This list makes it loud.
#[test]
fn built_in_ids_are_those_of_the_checked_in_list() {
    let list = fs::read_to_string(root().join("tests/suite/builtin-ids.txt")).unwrap();
    let expected: Vec<_> = list.lines().filter(|line| !line.starts_with('#')).collect();
    let found: Vec<_> = Registry::builtin().formats().map(|info| info.id).collect();
    assert_eq!(found, expected, "edit tests/suite/builtin-ids.txt when a format comes or goes");
}

#[test]
fn every_kind_has_a_format_that_reads_it() {
    let registry = Registry::builtin();
    for kind in Kind::ALL {
        assert!(registry.formats().any(|info| info.reads && info.kinds.contains(kind)), "{kind}");
    }
}

#[test]
fn descriptors_are_complete() {
    for info in Registry::builtin().formats() {
        assert!(!info.name.is_empty() && !info.kinds.is_empty(), "{}", info.id);
        assert!(!info.extensions.is_empty() && !info.media_types.is_empty(), "{}", info.id);
        assert!(info.spec.starts_with("http"), "{}: where is it specified?", info.id);
        assert!(info.reads || info.writes.is_some(), "{}: neither read nor written", info.id);
        for extension in info.extensions {
            assert_eq!(*extension, extension.to_lowercase(), "{}", info.id);
        }
        for signature in info.signatures {
            assert!(signature.mask.is_empty() || signature.mask.len() == signature.bytes.len(), "{}", info.id);
        }
        for option in info.options {
            assert!(!option.help.is_empty(), "{}.{}", info.id, option.name);
        }
    }
}

#[test]
fn option_defaults_fit_their_own_types_and_unknown_ones_name_the_valid() {
    let registry = Registry::builtin();
    for info in registry.formats() {
        for option in info.options {
            let given = (format!("{}.{}", info.id, option.name), option.default.to_owned());
            registry.check_options(&[given]).unwrap_or_else(|error| panic!("{}.{}: {error}", info.id, option.name));
        }
        let unknown = registry.check_options(&[(format!("{}.no_such", info.id), "1".into())]).unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::InvalidOption);
        for option in info.options {
            assert!(unknown.hint().unwrap().contains(option.name), "{}: {unknown:?}", info.id);
        }
    }
}

struct Impostor;

const IMPOSTOR: FormatInfo =
    FormatInfo::new("png", "Impostor", &[Kind::Image]).extensions(&["png"]).media_types(&["image/png"]).reads();

impl Format for Impostor {
    fn info(&self) -> &'static FormatInfo {
        &IMPOSTOR
    }
}

#[test]
fn names_that_nothing_writes_are_told_from_those_that_nothing_knows() {
    let said = |name| Registry::builtin().for_output(name, &[]).err().map(|error| error.message().to_owned());
    assert_eq!(said("a.ppm"), None);
    assert_eq!(said("a.nosuch").as_deref(), Some("no format is written as \"a.nosuch\""));
    let only_read = "no format is written as \"a.dds\": DirectDraw Surface is only read here";
    assert_eq!(said("a.dds").as_deref(), Some(only_read));
}

#[test]
fn a_taken_id_is_refused_with_both_names() {
    let error = Registry::builtin().add(&Impostor).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Plugin);
    assert!(error.message().contains("Impostor") && error.message().contains("Portable Network Graphics"), "{error}");
    // An embedder that starts from nothing may use the id.
    let mut registry = Registry::empty();
    registry.add(&Impostor).unwrap();
    assert_eq!(registry.formats().count(), 1);
}

#[test]
fn detection_does_not_depend_on_the_order_of_registration() {
    let text = Source::from_bytes("x.bin", b"a,b\n1,2\n3,4\n".to_vec());
    let once = Registry::builtin().detect(&text);
    assert_eq!(once, Registry::builtin().detect(&text));
    assert!(once.candidates.windows(2).all(|pair| pair[0].score >= pair[1].score));
}

#[test]
fn an_empty_input_and_noise_are_typed_errors() {
    let registry = Registry::builtin();
    let empty = registry.open(&Source::from_bytes("a.png", Vec::new()), &ReadOptions::default()).err().unwrap();
    assert_eq!((empty.kind(), empty.message()), (ErrorKind::Malformed, "the input is empty"));
    let mut state = 1_u32;
    let noise: Vec<u8> = (0..5000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    let unknown = registry.open(&Source::from_bytes("noise", noise), &ReadOptions::default()).err().unwrap();
    assert_eq!(unknown.kind(), ErrorKind::NotRecognised);
    assert!(unknown.hint().unwrap().contains("--from"));
}
