//! Which events are meant, as NATS writes it: `*` is one word of a subject, `>` at the end all that follow. No I/O.

use std::str::FromStr;

use faceofmind_model::event::PREFIX;

/// A pattern of NATS subjects, all of them below `faceofmind.v1.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subjects(String);

impl Subjects {
    /// The pattern as NATS takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the subject is one of them.
    pub fn contain(&self, subject: &str) -> bool {
        let mut words = subject.split('.');
        for wanted in self.0.split('.') {
            match (wanted, words.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (wanted, Some(word)) if wanted == word => {}
                _ => return false,
            }
        }
        words.next().is_none()
    }
}

impl Default for Subjects {
    /// All events.
    fn default() -> Self {
        Self(format!("{PREFIX}>"))
    }
}

impl FromStr for Subjects {
    type Err = &'static str;

    /// Reads a pattern; `faceofmind.v1.` may be left out.
    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        let pattern = typed.strip_prefix(PREFIX).unwrap_or(typed);
        let words: Vec<&str> = pattern.split('.').collect();
        let plain = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let good = |(place, word): (usize, &&str)| match *word {
            "" => false,
            "*" => true,
            ">" => place + 1 == words.len(),
            word => plain(word),
        };
        if words.iter().enumerate().all(good) {
            Ok(Self(format!("{PREFIX}{pattern}")))
        } else {
            Err("it is no pattern of subjects, such as session.>, user.deleted.* or faceofmind.v1.*.*.7")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(pattern: &str, subject: &str) -> bool {
        pattern.parse::<Subjects>().expect("a pattern").contain(subject)
    }

    #[test]
    fn patterns_choose_as_nats_does() {
        let subject = "faceofmind.v1.session.started.7";
        for pattern in [">", "session.>", "*.*.7", "session.started.7", "faceofmind.v1.session.*.7", "*.>"] {
            assert!(chosen(pattern, subject), "{pattern}");
        }
        for pattern in ["session", "session.started", "*.*", "user.>", "*.*.70", "session.started.7.>", "*.*.*.*"] {
            assert!(!chosen(pattern, subject), "{pattern}");
        }
        assert!(Subjects::default().contain(subject));
    }

    #[test]
    fn what_nats_would_refuse_is_no_pattern() {
        for typed in ["", ".", "session.", ">.started", "session started", "ses*", "session.\n", "$JS.>"] {
            assert!(typed.parse::<Subjects>().is_err(), "{typed:?}");
        }
    }
}
