//! `mediary plugin new`: a crate that builds, passes its own checks and loads, to start from.

use std::fs;
use std::path::{Path, PathBuf};

use mediary::{Error, ErrorKind};

use crate::args::PluginNewArgs;
use crate::output::Screen;
use crate::{Exit, Session, Usage};

/// The crate mediary-core that this program was built from.
const BUILT_FROM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../core");

/// The files, with `@WORD@` where something is filled in.
const FILES: [(&str, &str); 5] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.txt")),
    ("src/lib.rs", include_str!("template/lib.rs.txt")),
    ("tests/conformance.rs", include_str!("template/conformance.rs.txt")),
    ("samples/trees.@ID@", include_str!("template/sample.txt")),
    ("README.md", include_str!("template/README.md.txt")),
];

pub(crate) fn run(session: &Session, args: &PluginNewArgs, screen: &mut Screen) -> anyhow::Result<Exit> {
    let name = &args.name;
    let letters = |text: &str, others: &[u8]| {
        text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || others.contains(&byte))
    };
    if !letters(name, b"-_") || name.len() > 64 {
        let message =
            format!("{name:?} is no name of a crate: up to 64 lower-case letters, digits, - and _, a letter first");
        return Err(Usage::new(message).into());
    }
    let id = match &args.format {
        Some(id) => id.clone(),
        None => name.strip_prefix("mediary-").filter(|rest| !rest.is_empty()).unwrap_or(name).replace('_', "-"),
    };
    if !letters(&id, b".-") {
        return Err(Usage::new(format!("{id:?} is no format id: lower-case letters, digits, . and -")).into());
    }
    if let Some(origin) = session.registry.origin(&id) {
        let taken = Error::new(ErrorKind::Plugin, format!("the format id {id:?} is taken: {origin}"));
        return Err(taken.with_hint("choose another one with --format ID").into());
    }
    let (core, conformance) = dependencies(args.core.as_deref())?;
    let file = format!("{}{}{}", std::env::consts::DLL_PREFIX, name.replace('-', "_"), std::env::consts::DLL_SUFFIX);
    let words = [
        ("@NAME@", name.clone()),
        ("@CRATE@", name.replace('-', "_")),
        ("@ID@", id.clone()),
        ("@FILE@", file.clone()),
        ("@CORE@", core),
        ("@CONFORMANCE@", conformance),
    ];
    write(Path::new(name), &words)?;
    screen.text(&format!(
        "made {name}/ with the format {id}; next:\n  cd {name}\n  cargo build --release\n  \
         mediary plugin check target/release/{file}\n"
    ))?;
    Ok(Exit::Good)
}

/// How the manifest names mediary-core and mediary-conformance: the folders they lie in, or their version.
fn dependencies(core: Option<&Path>) -> anyhow::Result<(String, String)> {
    let known = PathBuf::from(BUILT_FROM);
    let core = match core {
        Some(core) => core,
        None if known.join("Cargo.toml").is_file() => &known,
        None => return Ok((format!("{:?}", env!("CARGO_PKG_VERSION")), format!("{:?}", env!("CARGO_PKG_VERSION")))),
    };
    let failed = |error| Error::io("cannot find mediary-core", error).with_path(core.display().to_string());
    let core = core.canonicalize().map_err(failed)?;
    let conformance = core.parent().map(|parent| parent.join("conformance")).unwrap_or_default();
    for folder in [&core, &conformance] {
        if !folder.join("Cargo.toml").is_file() {
            return Err(Error::new(ErrorKind::Io, "expected the folder of a crate, found no Cargo.toml")
                .with_hint("--core takes the folder `core` of a checkout of mediary")
                .with_path(folder.display().to_string())
                .into());
        }
    }
    // A TOML string in single quotes has no escapes.
    let dependency = |folder: &Path| match folder.to_str() {
        Some(path) if !path.contains(['\'', '\n']) => Ok(format!("{{ path = '{path}' }}")),
        _ => Err(Usage::new(format!("{}: a manifest cannot hold this path", folder.display()))),
    };
    Ok((dependency(&core)?, dependency(&conformance)?))
}

/// Writes all files into a new folder, which appears when it is whole.
fn write(folder: &Path, words: &[(&str, String)]) -> anyhow::Result<()> {
    let failed = |error| Error::io("cannot write the crate", error).with_path(folder.display().to_string());
    if folder.symlink_metadata().is_ok() {
        return Err(Error::new(ErrorKind::Io, "the folder exists")
            .with_hint("choose another name, or remove it")
            .with_path(folder.display().to_string())
            .into());
    }
    let filled = |text: &str| words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value));
    let half = tempfile::Builder::new().prefix(".mediary-").tempdir_in(".").map_err(failed)?;
    let whole = half.path().join("crate");
    for (name, text) in FILES {
        let path = whole.join(filled(name));
        fs::create_dir_all(path.parent().unwrap_or(&whole)).map_err(failed)?;
        fs::write(path, filled(text)).map_err(failed)?;
    }
    fs::rename(&whole, folder).map_err(failed)?;
    Ok(())
}
