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
            "address_code.txt", "address_code.html",
            "address_taken.txt", "address_taken.html",
            "address_change_asked.txt", "address_change_asked.html",
            "address_changed.txt", "address_changed.html",
        )
    };
}

/// A language's tag (BCP 47) and its files: name and text.
type Words = (&'static str, &'static [(&'static str, &'static str)]);

/// Every language, the one for all who speak none of them first.
const ALL: &[Words] = &[language!("en"), language!("fil")];

/// Filipino is the standard form of Tagalog, and many devices only know the tag of that.
const TAGALOG: &str = "tl";
const FILIPINO: &str = "fil";

/// A language that we have words in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language(&'static str);

impl Language {
    /// The one that comes nearest to a tag such as `en-PH` or `fil`; English, where we have nothing nearer.
    pub fn nearest(tag: &str) -> Self {
        Self::known(tag).unwrap_or_default()
    }

    /// The most wanted of these tags that we have words for; the most wanted of all, where we have none for any.
    pub fn choose(tags: &[String]) -> Option<&str> {
        let known = tags.iter().find(|tag| Self::known(tag).is_some());
        known.or(tags.first()).map(String::as_str)
    }

    fn known(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        let primary = if primary.eq_ignore_ascii_case(TAGALOG) { FILIPINO } else { primary };
        ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(primary)).map(|(tag, _)| Self(tag))
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

/// The text of a file such as `en/welcome.txt`.
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
    fn the_most_wanted_language_that_we_have_words_for_is_chosen() {
        for (wanted, chosen) in [
            (&["ceb-PH", "tl", "en"][..], Some("tl")),
            (&["en-PH", "fil"], Some("en-PH")),
            (&["de", "fr"], Some("de")),
            (&[], None),
        ] {
            let wanted: Vec<_> = wanted.iter().copied().map(str::to_owned).collect();
            assert_eq!(Language::choose(&wanted), chosen);
        }
    }
}
