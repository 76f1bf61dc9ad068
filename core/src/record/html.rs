//! Documents.

use super::facts::HtmlFacts;

/// An HTML document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Html {
    /// The whole document in UTF-8, without a byte order mark.
    pub text: String,
    /// Text of the first `title` element, white space collapsed; empty if there is none.
    pub title: String,
    /// Whether it loads anything from elsewhere: scripts, styles, pictures, frames, media.
    pub has_external_refs: bool,
}

impl Html {
    /// The facts of this document.
    #[must_use]
    pub fn facts(&self) -> HtmlFacts {
        HtmlFacts {
            title: Some(self.title.clone()),
            bytes: Some(self.text.len() as u64),
            has_external_refs: Some(self.has_external_refs),
        }
    }
}
