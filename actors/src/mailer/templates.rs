//! The words of each letter in each language, compiled in.
//!
//! A language is a directory here, with the same files, and a line in `ALL`. Each letter is a `.txt`, whose first
//! line is the subject, and an `.html` that fills `layout.html`.

/// Reads one language's files; one that is missing stops the build.
macro_rules! language {
    ($tag:literal: $($file:literal),+ $(,)?) => {
        ($tag, &[$((concat!($tag, "/", $file), include_str!(concat!("templates/", $tag, "/", $file)))),+])
    };
    ($tag:literal) => {
        language!($tag:
            "layout.html",
            "welcome.txt", "welcome.html",
            "already_registered.txt", "already_registered.html",
            "reset_code.txt", "reset_code.html",
            "password_changed.txt", "password_changed.html",
            "new_device.txt", "new_device.html",
            "reminder.txt", "reminder.html",
        )
    };
}

/// A language's tag (BCP 47) and its files: name and text.
type Words = (&'static str, &'static [(&'static str, &'static str)]);

/// Every language, the one for all who speak none of them first.
const ALL: &[Words] = &[language!("en")];

/// A language that we have words in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language(&'static str);

impl Language {
    /// The one that comes nearest to a tag such as `en-PH` or `fil`; English, where we have nothing nearer.
    pub fn nearest(tag: &str) -> Self {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        let known = ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(primary));
        known.map_or_else(Self::default, |(tag, _)| Self(tag))
    }

    /// Every language.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().map(|(tag, _)| Self(tag))
    }

    /// Its tag (BCP 47), which is also its directory.
    pub const fn tag(self) -> &'static str {
        self.0
    }
}

impl Default for Language {
    fn default() -> Self {
        Self(ALL[0].0)
    }
}

/// Every file of every language: its name (`en/welcome.txt`) and its text.
pub(super) fn files() -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.iter().flat_map(|(_, files)| files.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_language_is_found_by_its_primary_tag() {
        for tag in ["en", "EN", "en-PH", "en_US", "", "-", "tlh", "e"] {
            assert_eq!(Language::nearest(tag).tag(), "en", "{tag:?}");
        }
    }
}
