//! Reads an answer of the endpoint, and decides whether it may be shown to a person.

use serde::Deserialize;

use super::{LINES, crisis};

/// In characters. The instructions ask for at most 200.
const MAX_LINE_LENGTH: usize = 300;

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

/// Returns the five lines of a completion, without bullets or numbers.
///
/// # Errors
/// What is wrong with it.
pub(super) fn lines(body: &[u8]) -> Result<Vec<String>, &'static str> {
    let read: Result<Completion, _> = serde_json::from_slice(body);
    let completion = read.map_err(|_| "is no completion in JSON")?;
    let content = completion.choices.into_iter().next().and_then(|choice| choice.message.content).unwrap_or_default();
    let lines: Vec<String> = content.lines().map(bare).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    reason_against(&lines).map_or(Ok(lines), Err)
}

fn reason_against(lines: &[String]) -> Option<&'static str> {
    let any = |is: fn(&str) -> bool| lines.iter().any(|line| is(line));
    match () {
        () if lines.len() != LINES => Some("has not five lines"),
        () if any(|line| line.chars().count() > MAX_LINE_LENGTH) => Some("has a line that is too long"),
        () if any(|line| line.contains(is_unprintable)) => Some("holds control characters"),
        () if any(|line| line.contains("://") || line.contains("www.")) => Some("holds a link"),
        () if any(crisis::mentions_self_harm) => Some("mentions suicide or self-harm"),
        () => None,
    }
}

/// Control characters, and those that are invisible or change the direction of writing.
fn is_unprintable(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Removes the bullet or number that models put before a line: `- `, `* `, `• `, `1. `, `2) `.
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

    fn read(content: &str) -> Result<Vec<String>, &'static str> {
        lines(json!({ "choices": [{ "message": { "role": "assistant", "content": content } }] }).to_string().as_bytes())
    }

    #[test]
    fn five_lines_are_read_without_bullets_and_numbers() {
        let lines = read("I hear you.\n\n- Breathe out.\n* Drink water.\r\n3. Step outside.\n4) 5 minutes of rest.\n");
        let expected = ["I hear you.", "Breathe out.", "Drink water.", "Step outside.", "5 minutes of rest."];
        assert_eq!(lines.expect("well formed"), expected);
    }

    #[test]
    fn any_other_content_is_refused() {
        let long = format!("a\nb\nc\nd\n{}", "e".repeat(301));
        for (content, reason) in [
            ("a\nb\nc\nd", "has not five lines"),
            ("a\nb\nc\nd\ne\nf", "has not five lines"),
            ("", "has not five lines"),
            (&long, "has a line that is too long"),
            ("a\nb\nc\nd\ne\u{7}", "holds control characters"),
            ("a\nb\nc\nd\n\u{202e}e", "holds control characters"),
            ("a\nb\nc\nd\nsee https://example.org", "holds a link"),
            ("a\nb\nc\nd\nyou could kill yourself", "mentions suicide or self-harm"),
        ] {
            assert_eq!(read(content), Err(reason), "{content}");
        }
    }

    #[test]
    fn a_body_without_a_completion_is_refused() {
        for body in ["", "{", "[]", "{}", "<html></html>", r#"{"choices":[{"message":{"content":5}}]}"#] {
            assert_eq!(lines(body.as_bytes()), Err("is no completion in JSON"), "{body}");
        }
        for body in [r#"{"choices":[]}"#, r#"{"choices":[{"message":{"content":null}}]}"#] {
            assert_eq!(lines(body.as_bytes()), Err("has not five lines"), "{body}");
        }
    }
}
