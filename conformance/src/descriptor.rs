//! The descriptor alone: what help, tables and the command line make of it.

use mediary_core::{FormatInfo, OptionUse, Options};

use crate::Outcome;

pub(crate) fn check(info: &'static FormatInfo) -> Outcome {
    let mut wrong = Vec::new();
    let mut count = 0;
    let mut ensure = |holds: bool, message: String| {
        count += 1;
        if !holds {
            wrong.push(message);
        }
    };
    let lower = |text: &str| !text.bytes().any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_whitespace());
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    ensure(
        !info.id.is_empty() && info.id.bytes().all(legal),
        format!("id {:?}: expected lower-case letters, digits, dots and dashes", info.id),
    );
    ensure(!info.name.trim().is_empty(), "it has no name".into());
    ensure(!info.kinds.is_empty(), "it holds no kind of media".into());
    ensure(info.reads || info.writes.is_some(), "it can neither be read nor written".into());
    ensure(!info.extensions.is_empty(), "it has no extension".into());
    for extension in info.extensions {
        let plain = !extension.is_empty() && !extension.starts_with('.') && lower(extension);
        ensure(plain, format!("extension {extension:?}: expected lower case without a leading dot"));
    }
    for media_type in info.media_types {
        let parts = media_type.split_once('/').filter(|(class, name)| !class.is_empty() && !name.is_empty());
        ensure(parts.is_some() && lower(media_type), format!("media type {media_type:?}: expected class/name"));
    }
    for signature in info.signatures {
        let masked = signature.mask.is_empty() || signature.mask.len() == signature.bytes.len();
        ensure(
            !signature.bytes.is_empty() && masked,
            format!("signature {signature:?}: empty, or its mask is shorter"),
        );
    }
    for option in info.options {
        let name = option.name;
        ensure(
            !name.is_empty() && lower(name) && !name.contains(['=', '.']),
            format!("option {name:?}: no plain name"),
        );
        ensure(!option.help.trim().is_empty(), format!("option {name:?} has no help"));
        let given = [(name.to_owned(), option.default.to_owned())];
        let parsed = Options::resolve(info.id, info.options, OptionUse::Read, &given)
            .and_then(|_| Options::resolve(info.id, info.options, OptionUse::Write, &given));
        if let Err(error) = parsed {
            ensure(false, format!("option {name:?} refuses its own default: {error}"));
        }
    }
    ensure(!info.spec.trim().is_empty(), "it does not say where it is specified".into());
    if wrong.is_empty() { Outcome::Passed(count) } else { Outcome::Failed(wrong) }
}
