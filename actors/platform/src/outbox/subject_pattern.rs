//! Patterns of NATS subjects: `*` matches one token, `>` at the end matches one or more. No I/O.

use std::str::FromStr;

use faceofmind_model::event::PREFIX;

/// A pattern of subjects of events. It starts with `faceofmind.v1.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectPattern(String);

impl SubjectPattern {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn matches(&self, subject: &str) -> bool {
        let mut tokens = subject.split('.');
        for expected in self.0.split('.') {
            match (expected, tokens.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (expected, Some(token)) if expected == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }
}

impl Default for SubjectPattern {
    /// Matches every event.
    fn default() -> Self {
        Self(format!("{PREFIX}>"))
    }
}

impl FromStr for SubjectPattern {
    type Err = &'static str;

    /// Parses a pattern. `faceofmind.v1.` may be left out.
    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        let pattern = typed.strip_prefix(PREFIX).unwrap_or(typed);
        let tokens: Vec<&str> = pattern.split('.').collect();
        let plain = |token: &str| token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let valid = |(index, token): (usize, &&str)| match *token {
            "" => false,
            "*" => true,
            ">" => index + 1 == tokens.len(),
            token => plain(token),
        };
        if tokens.iter().enumerate().all(valid) {
            Ok(Self(format!("{PREFIX}{pattern}")))
        } else {
            Err("it is no pattern of subjects, such as session.>, user.deleted.* or faceofmind.v1.*.*.7")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, subject: &str) -> bool {
        pattern.parse::<SubjectPattern>().expect("a pattern").matches(subject)
    }

    #[test]
    fn patterns_match_as_in_nats() {
        let subject = "faceofmind.v1.session.started.7";
        for pattern in [">", "session.>", "*.*.7", "session.started.7", "faceofmind.v1.session.*.7", "*.>"] {
            assert!(matches(pattern, subject), "{pattern}");
        }
        for pattern in ["session", "session.started", "*.*", "user.>", "*.*.70", "session.started.7.>", "*.*.*.*"] {
            assert!(!matches(pattern, subject), "{pattern}");
        }
        assert!(SubjectPattern::default().matches(subject));
    }

    #[test]
    fn a_pattern_that_nats_rejects_is_an_error() {
        for typed in ["", ".", "session.", ">.started", "session started", "ses*", "session.\n", "$JS.>"] {
            assert!(typed.parse::<SubjectPattern>().is_err(), "{typed:?}");
        }
    }
}
