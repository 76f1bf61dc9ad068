//! Fonts of the machine: another one stands for what is not there, and is named.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mediary_core::Context;
use resvg::usvg::fontdb::{Database, FaceInfo, Style};
use resvg::usvg::{Font, FontFamily, FontResolver, FontStyle};

/// Who is asked for the font of every text.
#[derive(Clone, Default)]
pub(super) struct Fonts {
    /// Of families that are not there, what stands for them; nothing where there are no fonts.
    replaced: Arc<Mutex<BTreeMap<String, Option<String>>>>,
}

impl Fonts {
    pub(super) fn resolver(&self) -> FontResolver<'static> {
        let (usual, fonts) = (FontResolver::default_font_selector(), self.clone());
        let select_font = Box::new(move |font: &Font, all: &mut Arc<Database>| {
            let chosen = usual(font, all).or_else(|| Some(nearest(font, all.faces())?.id));
            let is_there = |family: &FontFamily| match family {
                FontFamily::Named(name) => all.faces().any(|face| face.families.iter().any(|(own, _)| own == name)),
                // Any font with that look is one.
                _ => chosen.is_some(),
            };
            if let [first, ..] = font.families()
                && !font.families().iter().any(is_there)
            {
                let name = chosen.and_then(|id| all.face(id)).and_then(|face| Some(face.families.first()?.0.clone()));
                fonts.replaced.lock().unwrap_or_else(PoisonError::into_inner).insert(first.to_string(), name);
            }
            chosen
        });
        FontResolver { select_font, ..FontResolver::default() }
    }

    pub(super) fn tell(&self, cx: &Context) {
        for (wanted, used) in &*self.replaced.lock().unwrap_or_else(PoisonError::into_inner) {
            let wanted = wanted.trim_matches('"');
            match used {
                Some(used) => {
                    cx.note("font", format!("{used:?} stands for {wanted:?}, which this machine does not have"))
                }
                None => cx.warn("text", format!("texts in {wanted:?} are left out: this machine has no font for them")),
            }
        }
    }
}

/// The face that looks most like what is wanted, if there is any. Families of one kind are often called after it.
fn nearest<'f>(font: &Font, faces: impl Iterator<Item = &'f FaceInfo>) -> Option<&'f FaceInfo> {
    let is_sans = font.families().iter().any(|family| match family {
        FontFamily::SansSerif => true,
        FontFamily::Named(name) => name.contains("Sans") || name == "Arial" || name == "Helvetica",
        _ => false,
    });
    let is_fixed = font.families().iter().any(|family| match family {
        FontFamily::Monospace => true,
        FontFamily::Named(name) => name.contains("Mono") || name.starts_with("Courier"),
        _ => false,
    });
    let is_upright = matches!(font.style(), FontStyle::Normal);
    faces.min_by_key(|face| {
        let name = face.families.first().map_or("", |(name, _)| name);
        (
            face.monospaced != is_fixed,
            !name.contains(if is_sans { "Sans" } else { "Serif" }),
            (face.style == Style::Normal) != is_upright,
            face.stretch.to_number().abs_diff(5),
            face.weight.0.abs_diff(font.weight()),
            // The same on every run.
            (name, &face.post_script_name),
        )
    })
}
