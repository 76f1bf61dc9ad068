//! `core/include/mediary_plugin.h` is what `core/src/plugin/abi.rs` says: it is generated again and compared, and a C compiler
//! finds every field where Rust has it. `MEDIARY_BLESS=1` writes the header.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::mem::offset_of;
use std::process::{Command, Stdio};

use mediary_core::plugin::abi;

use crate::common::root;

const STRUCTS: &[(&str, &str)] = &[
    ("Str", "mediary_str"),
    ("Buf", "mediary_buf"),
    ("Stamp", "mediary_stamp_v1"),
    ("Place", "mediary_place"),
    ("Failure", "mediary_failure"),
    ("Finding", "mediary_finding"),
    ("Message", "mediary_message"),
    ("Input", "mediary_input"),
    ("View", "mediary_view"),
    ("Answer", "mediary_answer"),
    ("Host", "mediary_host"),
    ("Plugin", "mediary_plugin"),
    ("Entry", "mediary_entry"),
];

/// What no item of `abi.rs` says, for authors in C.
const TRAILER: &str = r#"#ifdef __cplusplus
extern "C" {
#endif
/* The entry symbol, the one function a plugin exports: see mediary_entry. */
#if defined(_WIN32)
__declspec(dllexport)
#elif defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const mediary_plugin *mediary_plugin_v1(const mediary_host *host);
#ifdef __cplusplus
}
#endif

#if defined(__GNUC__)
#if defined(__APPLE__)
#define MEDIARY_SECTION_(apple, windows, elf) section("__DATA," apple)
#elif defined(_WIN32)
#define MEDIARY_SECTION_(apple, windows, elf) section(windows)
#else
#define MEDIARY_SECTION_(apple, windows, elf) section(elf)
#endif
#ifdef __cplusplus
#define MEDIARY_EXTERN_ extern "C"
#else
#define MEDIARY_EXTERN_ extern
#endif
#define MEDIARY_TEXT_(number) #number
#define MEDIARY_TEXT(number) MEDIARY_TEXT_(number)
#if defined(__clang__)
#define MEDIARY_BUILDER_ "C, clang " MEDIARY_TEXT(__clang_major__)
#else
#define MEDIARY_BUILDER_ "C, gcc " MEDIARY_TEXT(__GNUC__)
#endif
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MEDIARY_FLAGS_ MEDIARY_FLAG_LITTLE_ENDIAN
#else
#define MEDIARY_FLAGS_ 0
#endif

#define MEDIARY_SHOWN_ MEDIARY_EXTERN_ __attribute__((visibility("default")))
#define MEDIARY_PLACED_(apple, windows, elf) __attribute__((used, MEDIARY_SECTION_(apple, windows, elf)))

/* At file scope, once: the stamp of the plugin, in its section. */
#define MEDIARY_STAMP() \
    MEDIARY_SHOWN_ const mediary_stamp_v1 mediary_stamp; \
    MEDIARY_PLACED_("__mediary_abi", ".medabi", ".mediary_abi") \
    const mediary_stamp_v1 mediary_stamp = { \
        {'M', 'E', 'D', 'I', 'A', 'R', 'Y', '1'}, sizeof(mediary_stamp_v1), MEDIARY_ABI_MAJOR, \
        MEDIARY_ABI_MINOR, 8 * sizeof(void *), MEDIARY_FLAGS_, MEDIARY_BUILDER_}

/* At file scope, once: the manifest of the plugin, in its section. `text` is a string literal of JSON. */
#define MEDIARY_MANIFEST(text) \
    MEDIARY_SHOWN_ const char mediary_manifest[sizeof(text)]; \
    MEDIARY_PLACED_("__mediary_man", ".medman", ".mediary_manifest") \
    const char mediary_manifest[sizeof(text)] = text
#endif

/* A string literal as a mediary_str. */
#define MEDIARY_STR(literal) {(const uint8_t *)("" literal), sizeof(literal) - 1}

/* Whether the other side's struct has a field: everything behind the first minor version is asked for this way. */
#define MEDIARY_HAS(pointer, type, field) \
    ((pointer)->size >= offsetof(type, field) + sizeof((pointer)->field))

"#;

/// The numbers of `abi.rs` by name: what C is to have as `MEDIARY_…`.
fn constants(source: &str) -> Vec<&str> {
    let names = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split_once(": "));
    names.filter(|(_, rest)| matches!(rest.get(..3), Some("u16" | "i32" | "u32"))).map(|(name, _)| name).collect()
}

fn generated() -> String {
    let path = root().join("core/src/plugin/abi.rs");
    let source = std::fs::read_to_string(&path).unwrap();
    let mut names: Vec<(String, String)> =
        constants(&source).into_iter().map(|name| (name.to_owned(), format!("MEDIARY_{name}"))).collect();
    names.extend(STRUCTS.iter().map(|(from, to)| (from.to_string(), to.to_string())));
    let about: String =
        source.lines().map_while(|line| line.strip_prefix("//!")).fold(String::new(), |mut text, line| {
            let _ = write!(text, "\n *{line}");
            text
        });
    let about = about.replace(
        " `core/include/mediary_plugin.h` is generated from this file.",
        " Generated from core/src/plugin/abi.rs.",
    );
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        header: Some(format!("/*{about}\n */")),
        include_guard: Some("MEDIARY_PLUGIN_H".into()),
        no_includes: true,
        sys_includes: vec!["stddef.h".into(), "stdint.h".into()],
        cpp_compat: true,
        usize_is_size_t: true,
        style: cbindgen::Style::Both,
        line_length: 100,
        tab_width: 4,
        documentation_style: cbindgen::DocumentationStyle::C,
        ..cbindgen::Config::default()
    };
    config.export.include = names.iter().map(|(from, _)| from.clone()).collect();
    config.export.rename = names.iter().cloned().collect();
    config.export.exclude =
        ["STAMP_MAGIC", "ENTRY_SYMBOL", "STAMP_SECTION", "MANIFEST_SECTION"].map(String::from).into();
    let bindings = cbindgen::Builder::new().with_src(path).with_config(config).generate().unwrap();
    let mut header = Vec::new();
    bindings.write(&mut header);
    let mut header = String::from_utf8(header).unwrap();
    // Links of rustdoc become the names of C.
    for (from, to) in names {
        header = header.replace(&format!("[`{from}`]"), &to).replace(&format!("`{from}`"), &to);
    }
    for group in ["STATUS_", "FLAG_", "SEVERITY_", "MESSAGE_"] {
        header = header.replace(&format!("`{group}…`"), &format!("MEDIARY_{group}…"));
    }
    header = header.replace("[`STAMP_MAGIC`]", "The eight bytes \"MEDIARY1\"");
    let end = "#endif  /* MEDIARY_PLUGIN_H */";
    header = header.replace(end, &format!("{TRAILER}{end}"));
    tidy(&header)
}

/// Comments of one line stand on one, and negative numbers in brackets.
fn tidy(header: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in header.lines() {
        let opened = lines.len().checked_sub(2).filter(|at| lines[*at].trim() == "/*");
        match opened {
            Some(at) if line.trim() == "*/" => {
                let text = lines.pop().unwrap_or_default();
                let indent = lines[at].len() - 2;
                lines[at] = format!("{:indent$}/* {} */", "", text.trim());
            }
            _ => lines.push(match line.split_once(" -").filter(|_| line.starts_with("#define MEDIARY_STATUS_")) {
                Some((name, number)) => format!("{name} (-{number})"),
                None => line.to_owned(),
            }),
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn the_header_is_what_the_interface_says() {
    let path = root().join("core/include/mediary_plugin.h");
    let header = generated();
    if std::env::var_os("MEDIARY_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &header).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap();
    assert!(known == header, "core/include/mediary_plugin.h is not what abi.rs says: MEDIARY_BLESS=1 writes it again");
}

/// Size, and offset of every field, of every struct. The pattern without `..` makes sure that none is left out.
macro_rules! layout {
    ($($name:ident { $($field:ident),+ })+) => {
        vec![$({
            const _: fn(&abi::$name) = |all| { let abi::$name { $($field: _),+ } = all; };
            (stringify!($name), size_of::<abi::$name>(), vec![$((stringify!($field), offset_of!(abi::$name, $field))),+])
        }),+]
    };
}

fn assertions() -> String {
    let layout = layout! {
        Str { ptr, len }
        Buf { ptr, len, owner, release }
        Stamp { magic, size, major, minor, pointer_bits, flags, builder }
        Place { byte, line, column, element }
        Failure { size, status, message, hint, place, limit, wanted, allowed }
        Finding { size, severity, code, message, place, count }
        Message { size, what, json, buffers, buffer_count }
        Input { size, stream, len, name }
        View { size, reserved, len, head, tail, name }
        Answer { size, score, reason }
        Host {
            size, major, minor, ctx, read_at, map, descriptor, open_sibling, checkpoint, reserve, limit, option, strictness, log,
            report, lose, emit, pull, create, write, seek, stem, fail
        }
        Plugin { size, major, minor, probe, open, header, next, close, write }
    };
    let source = std::fs::read_to_string(root().join("core/src/plugin/abi.rs")).unwrap();
    assert_eq!(source.matches("\npub struct ").count(), layout.len(), "a struct is missing above");
    let c: HashMap<_, _> = STRUCTS.iter().copied().collect();
    let mut text = String::from(
        "#include \"mediary_plugin.h\"\n#ifdef __cplusplus\n#define _Static_assert static_assert\n#endif\n",
    );
    for (name, size, fields) in layout {
        let name = c[name];
        let _ = writeln!(text, "_Static_assert(sizeof({name}) == {size}, \"{name}\");");
        for (field, offset) in fields {
            let _ = writeln!(text, "_Static_assert(offsetof({name}, {field}) == {offset}, \"{name}.{field}\");");
        }
    }
    let numbers: &[(&str, i64)] = &[
        ("ABI_MAJOR", abi::ABI_MAJOR.into()),
        ("STATUS_END", abi::STATUS_END.into()),
        ("STATUS_PLUGIN", abi::STATUS_PLUGIN.into()),
        ("MESSAGE_END_OF_STREAM", abi::MESSAGE_END_OF_STREAM.into()),
        ("SCORE_UNKNOWN", abi::SCORE_UNKNOWN.into()),
        ("FLAG_LITTLE_ENDIAN", abi::FLAG_LITTLE_ENDIAN.into()),
    ];
    for (name, number) in numbers {
        let _ = writeln!(text, "_Static_assert(MEDIARY_{name} == {number}, \"{name}\");");
    }
    for name in constants(&source) {
        let _ = writeln!(text, "_Static_assert(MEDIARY_{name} == MEDIARY_{name}, \"{name}\");");
    }
    text.push_str("MEDIARY_STAMP();\nMEDIARY_MANIFEST(\"{}\");\n");
    text.push_str("_Static_assert(sizeof(mediary_manifest) == 3, \"the manifest\");\n");
    text
}

fn compile(compiler: &str, arguments: &[&str], text: &str) -> Option<std::process::Output> {
    let mut child = Command::new(compiler)
        .args(arguments)
        .args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-I"])
        .arg(root().join("core/include"))
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    Some(child.wait_with_output().unwrap())
}

#[test]
fn a_c_compiler_finds_every_field_where_rust_has_it() {
    let text = assertions();
    assert!(text.lines().count() > 90, "{text}");
    for (compiler, arguments) in [("cc", &["-x", "c", "-std=c11"][..]), ("c++", &["-x", "c++", "-std=c++11"][..])] {
        let Some(output) = compile(compiler, arguments, &text) else {
            assert_ne!(compiler, "cc", "there is no C compiler");
            continue;
        };
        assert!(output.status.success(), "{compiler}: {}", String::from_utf8_lossy(&output.stderr));
        // The test can fail: the first number is made wrong.
        let wrong = text.replacen(") == ", ") == 1", 1);
        assert!(!compile(compiler, arguments, &wrong).unwrap().status.success(), "{compiler} took a wrong size");
    }
}
