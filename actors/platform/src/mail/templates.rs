//! The texts of each mail template in each language, compiled in.
//!
//! To add a language, add a directory with the same files here, and its line in `ALL`. Each template is a `.txt`, whose first line is the
//! subject, and an `.html` that fills `layout.html`.

/// Reads the files of one language. A missing file fails the build.
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
            "address_code.txt", "address_code.html",
            "address_taken.txt", "address_taken.html",
            "address_change_asked.txt", "address_change_asked.html",
            "address_changed.txt", "address_changed.html",
        )
    };
}

/// A language's tag (BCP 47) and its files: name and text.
type LanguageFiles = (&'static str, &'static [(&'static str, &'static str)]);

/// Every language. The first is the default.
const ALL: &[LanguageFiles] = &[language!("en"), language!("fil")];

/// Filipino is the standard form of Tagalog, and many devices know the tag of Tagalog only.
const TAGALOG: &str = "tl";
const FILIPINO: &str = "fil";

/// A language that mails are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language(&'static str);

impl Language {
    /// Returns the nearest language to a tag such as `en-PH` or `fil`, or English.
    pub fn nearest(tag: &str) -> Self {
        Self::known(tag).unwrap_or_default()
    }

    /// Returns the first of these tags, in order of preference, that has a language here, or else the first tag.
    pub fn choose(tags: &[String]) -> Option<&str> {
        let known = tags.iter().find(|tag| Self::known(tag).is_some());
        known.or(tags.first()).map(String::as_str)
    }

    fn known(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        let primary = if primary.eq_ignore_ascii_case(TAGALOG) { FILIPINO } else { primary };
        ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(primary)).map(|(tag, _)| Self(tag))
    }

    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().map(|(tag, _)| Self(tag))
    }

    /// The tag (BCP 47), which is also the directory.
    pub const fn tag(self) -> &'static str {
        self.0
    }
}

impl Default for Language {
    fn default() -> Self {
        Self(ALL[0].0)
    }
}

/// Returns the name (`en/welcome.txt`) and the text of every file.
pub(super) fn files() -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.iter().flat_map(|(_, files)| files.iter().copied())
}

pub(super) fn text(name: &str) -> Option<&'static str> {
    files().find_map(|(known, text)| (known == name).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_language_is_found_by_its_primary_tag() {
        for tag in ["en", "EN", "en-PH", "en_US", "", "-", "tlh", "e", "fi", "de"] {
            assert_eq!(Language::nearest(tag).tag(), "en", "{tag:?}");
        }
        for tag in ["fil", "FIL", "fil-PH", "fil_PH", "tl", "TL-ph"] {
            assert_eq!(Language::nearest(tag).tag(), "fil", "{tag:?}");
        }
    }

    #[test]
    fn the_most_preferred_language_that_has_texts_is_chosen() {
        for (preferred, chosen) in [
            (&["ceb-PH", "tl", "en"][..], Some("tl")),
            (&["en-PH", "fil"], Some("en-PH")),
            (&["de", "fr"], Some("de")),
            (&[], None),
        ] {
            let preferred: Vec<_> = preferred.iter().copied().map(str::to_owned).collect();
            assert_eq!(Language::choose(&preferred), chosen);
        }
    }
}
