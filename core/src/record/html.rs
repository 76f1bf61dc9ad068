//! Documents.

use serde::{Deserialize, Serialize};

use super::facts::HtmlFacts;

/// An HTML document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Html {
    /// The whole document in UTF-8, without a byte order mark.
    #[serde(with = "crate::wire::columns::text")]
    pub text: String,
    /// Text of the first `title` element, white space collapsed; empty if there is none.
    #[serde(default)]
    pub title: String,
    /// Whether it loads anything from elsewhere: scripts, styles, pictures, frames, media.
    #[serde(default)]
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
