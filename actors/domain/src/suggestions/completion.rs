//! What an endpoint answered, and whether it may be shown to a person.

use serde::Deserialize;

use super::{LINES, crisis, endpoint::Fault};

/// The longest line, in characters. It was asked for 200.
const LONGEST_LINE: usize = 300;

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

/// The five lines of a completion, without bullets or numbers before them.
pub(super) fn lines(body: &[u8]) -> Result<Vec<String>, Fault> {
    let read: Result<Completion, _> = serde_json::from_slice(body);
    let completion = read.map_err(|_| Fault::Malformed("is no completion in JSON"))?;
    let content = completion.choices.into_iter().next().and_then(|choice| choice.message.content).unwrap_or_default();
    let lines: Vec<String> = content.lines().map(bare).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    match reason_against(&lines) {
        Some(reason) => Err(Fault::Malformed(reason)),
        None => Ok(lines),
    }
}

fn reason_against(lines: &[String]) -> Option<&'static str> {
    let any = |is: fn(&str) -> bool| lines.iter().any(|line| is(line));
    match () {
        () if lines.len() != LINES => Some("has not five lines"),
        () if any(|line| line.chars().count() > LONGEST_LINE) => Some("has a line that is too long"),
        () if any(|line| line.contains(is_unprintable)) => Some("holds control characters"),
        () if any(|line| line.contains("://") || line.contains("www.")) => Some("holds a link"),
        () if any(crisis::speaks_of_it) => Some("speaks of suicide or self-harm"),
        () => None,
    }
}

/// Control characters, and those that turn the direction of writing or are not seen.
fn is_unprintable(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A line without what models put before it: `- `, `* `, `• `, `1. `, `2) `.
fn bare(line: &str) -> &str {
    let line = line.trim();
    let digits = line.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let numbered = (digits.len() < line.len()).then(|| digits.strip_prefix(['.', ')'])).flatten();
    let bulleted = line.strip_prefix(['-', '*', '•']);
    numbered.or(bulleted).filter(|rest| rest.starts_with(' ')).map_or(line, str::trim)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(content: &str) -> Result<Vec<String>, Fault> {
        lines(json!({ "choices": [{ "message": { "role": "assistant", "content": content } }] }).to_string().as_bytes())
    }

    #[test]
    fn five_lines_are_taken_without_what_stands_before_them() {
        let taken = read("I hear you.\n\n- Breathe out.\n* Drink water.\r\n3. Step outside.\n4) 5 minutes of rest.\n");
        let expected = ["I hear you.", "Breathe out.", "Drink water.", "Step outside.", "5 minutes of rest."];
        assert_eq!(taken.expect("well formed"), expected);
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("a\nb\nc\nd\n{}", "e".repeat(301));
        for (content, reason) in [
            ("a\nb\nc\nd", "has not five lines"),
            ("a\nb\nc\nd\ne\nf", "has not five lines"),
            ("", "has not five lines"),
            (&long, "has a line that is too long"),
            ("a\nb\nc\nd\ne\u{7}", "holds control characters"),
            ("a\nb\nc\nd\n\u{202e}e", "holds control characters"),
            ("a\nb\nc\nd\nsee https://example.org", "holds a link"),
            ("a\nb\nc\nd\nyou could kill yourself", "speaks of suicide or self-harm"),
        ] {
            assert_eq!(read(content), Err(Fault::Malformed(reason)), "{content}");
        }
    }

    #[test]
    fn what_is_no_completion_is_refused() {
        for body in ["", "{", "[]", "{}", "<html></html>", r#"{"choices":[{"message":{"content":5}}]}"#] {
            assert_eq!(lines(body.as_bytes()), Err(Fault::Malformed("is no completion in JSON")), "{body}");
        }
        for body in [r#"{"choices":[]}"#, r#"{"choices":[{"message":{"content":null}}]}"#] {
            assert_eq!(lines(body.as_bytes()), Err(Fault::Malformed("has not five lines")), "{body}");
        }
    }
}
