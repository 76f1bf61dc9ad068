use std::path::Path;

use mediary_core::ErrorKind;

use super::Workshop;
use crate::inspect;

/// Why a file is refused; its path is in every refusal.
fn why(path: &Path) -> String {
    let error = inspect(path).unwrap_err();
    assert_eq!(error.path(), Some(&*path.display().to_string()));
    assert!(matches!(error.kind(), ErrorKind::Plugin | ErrorKind::Io), "{error}");
    format!("{} | {}", error.message(), error.hint().unwrap_or_default())
}

#[test]
fn a_plugin_says_what_it_is_without_being_loaded() {
    let shop = Workshop::new();
    // It could not be loaded: a symbol is missing. Nobody tries.
    let plugin = inspect(shop.build("a.so", &["UNDEFINED"])).unwrap();
    assert_eq!((plugin.minor, plugin.catches_panics, &*plugin.builder), (0, false, "c test"));
    assert_eq!((&*plugin.manifest.name, &*plugin.manifest.version), ("told", "1.0"));
    let info = &plugin.manifest.formats[0];
    assert_eq!((info.id, info.reads, info.many_records, info.options[0].name), ("told", true, true, "level"));
    assert_eq!(info.signatures[0].bytes, b"TOLD");
}

#[test]
fn stripping_keeps_what_it_says() {
    let shop = Workshop::new();
    let path = shop.build("a.so", &[]);
    let stripped = std::process::Command::new("strip").arg("-s").arg(&path).status();
    assert!(stripped.unwrap().success());
    assert_eq!(inspect(path).unwrap().manifest.name, "told");
}

#[test]
fn each_refusal_has_its_own_words() {
    let shop = Workshop::new();
    let cases = [
        (shop.put("empty.so", ""), "the file is empty | "),
        (shop.put("text.so", "hello"), "not a shared library: neither ELF nor Mach-O nor PE | "),
        (shop.path().to_owned(), "expected a plugin file, found a directory | "),
        (
            shop.build("no_stamp.so", &["NO_STAMP"]),
            "not a mediary plugin: no .mediary_abi section | a plugin is built with `mediary_core::export_plugin!` or with \
             mediary_plugin.h",
        ),
        (
            shop.build("no_manifest.so", &["NO_MANIFEST"]),
            "it has a stamp but no manifest: no .mediary_manifest section | ",
        ),
        (
            shop.build("magic.so", &["MAGIC=\"GSTREAM1\""]),
            "its stamp starts with \"GSTREAM1\", expected \"MEDIARY1\" | ",
        ),
        (
            shop.build("newer.so", &["MAJOR=9"]),
            "incompatible plugin: mediary has plugin interface 1, the file is built for 9.0 | use a newer mediary, or a \
             plugin built for interface 1",
        ),
        (
            shop.build("older.so", &["MAJOR=0"]),
            "incompatible plugin: mediary has plugin interface 1, the file is built for 0.0 | build the plugin again, or \
             use a plugin built for interface 1",
        ),
        (
            shop.build("narrow.so", &["BITS=16"]),
            "incompatible plugin: mediary has pointers of 64 bits, the file is built for 16 | ",
        ),
    ];
    for (path, expected) in cases {
        assert_eq!(why(&path), expected, "{}", path.display());
    }
    for manifest in ["MANIFEST=\"{\"", "MANIFEST=\"\\xff\\xfe\"", "MANIFEST=\"\""] {
        assert!(why(&shop.build("manifest.so", &[manifest])).starts_with("the manifest is broken: "), "{manifest}");
    }
    assert!(why(&shop.path().join("missing.so")).starts_with("cannot open the plugin: "));
    let fifo = shop.path().join("fifo.so");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    assert_eq!(why(&fifo), "expected a regular file, found a device, a socket or a FIFO | ");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn another_machine_is_named() {
    let shop = Workshop::new();
    let whole = std::fs::read(shop.build("a.so", &[])).unwrap();
    // e_machine, e_ident[EI_DATA], e_type: ELF-64 Object File Format, figure 2.
    for (at, value, expected) in [
        (18, 183, "built for aarch64, this is x86_64 | build the plugin for x86_64"),
        (18, 77, "built for machine 77, this is x86_64 | build the plugin for x86_64"),
        (16, 1, "not a shared library: an ELF file of another type, such as an object file | "),
    ] {
        let mut bytes = whole.clone();
        bytes[at] = value;
        assert_eq!(why(&shop.put("b.so", bytes)), expected);
    }
    let mut bytes = whole;
    bytes[..4].copy_from_slice(&[0xcf, 0xfa, 0xed, 0xfe]);
    assert!(why(&shop.put("c.so", bytes)).starts_with("it is a Mach-O file"));
}

#[test]
fn a_cut_file_is_never_taken() {
    let shop = Workshop::new();
    let whole = std::fs::read(shop.build("a.so", &[])).unwrap();
    let mut named = 0;
    for len in (0..whole.len()).step_by(97).chain([1, 3, 4, 16, 63, 64, 65, whole.len() - 1]) {
        let why = why(&shop.put("cut.so", &whole[..len]));
        named += usize::from(why.contains("truncated"));
    }
    assert!(named > whole.len() / 97 / 2, "most say that the file is cut: {named}");
}

/// Bytes that look like noise, the same every time: xorshift.
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    })
}

#[test]
fn noise_is_refused_and_hurts_nobody() {
    let shop = Workshop::new();
    for seed in 0..50 {
        let mut bytes: Vec<u8> = noise(seed).take(4096).collect();
        assert!(inspect(shop.put("noise.so", &bytes)).is_err());
        bytes[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0");
        assert!(inspect(shop.put("noise.so", &bytes)).is_err());
    }
    // A real file with bytes changed may still be fine; it is read or refused, no more.
    let whole = std::fs::read(shop.build("a.so", &[])).unwrap();
    let headers = whole.len() - 4096;
    for seed in 0..300 {
        let mut bytes = whole.clone();
        let mut numbers = noise(seed * 77 + 5);
        let mut number = || numbers.by_ref().take(4).fold(0usize, |sum, byte| sum << 8 | usize::from(byte));
        for _ in 0..4 {
            let at = if number() % 2 == 0 { number() % 64 } else { headers + number() % 4096 };
            bytes[at] = number() as u8;
        }
        let _ = inspect(shop.put("changed.so", &bytes));
    }
}

#[test]
fn looking_at_a_hundred_costs_little() {
    let shop = Workshop::new();
    let first = shop.build("p.so", &[]);
    for number in 0..100 {
        std::fs::copy(&first, shop.path().join(format!("p{number}.so"))).unwrap();
    }
    let search = crate::Search { system: vec![shop.path().to_owned()], ..crate::Search::default() };
    let least = (0..5).map(|_| {
        let start = std::time::Instant::now();
        let found = crate::Plugins::discover(&search).found;
        assert_eq!(found.iter().filter(|found| found.outcome.is_ok()).count(), 101);
        start.elapsed()
    });
    // The goal is 5 ms; the machine that runs this may be busy and slow.
    let least = least.min().unwrap();
    assert!(least.as_millis() < 100, "{least:?}");
}
