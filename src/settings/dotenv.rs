//! Reads files of the form `NAME=value` as python-dotenv does, which both older services used.
//!
//! A value may have blanks and, except after a blank, `#`. Quotes around it are removed; within them `#` and line breaks belong to the
//! value, and a backslash escapes. `export` before a name is ignored. `${NAME}` and `${NAME:-default}` are replaced, in all values.

use std::collections::HashMap;

/// The content of a file. It holds secrets, so this type has no `Debug`.
#[derive(Default)]
pub(super) struct DotEnv {
    /// In the order of the file. Of equal names, the last counts.
    pub(super) variables: Vec<Variable>,
    /// The lines that are not `NAME=value`, counted from 1. They are skipped.
    pub(super) malformed: Vec<usize>,
}

pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
    /// Counted from 1.
    pub(super) line: usize,
}

/// Reads a text. `environment` has the values of the environment, which `${NAME}` takes before those of the file.
pub(super) fn parse(text: &str, environment: impl Fn(&str) -> Option<String>) -> DotEnv {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    let (mut cursor, mut read) = (Cursor { rest: &text, line: 1 }, DotEnv::default());
    let mut earlier = HashMap::new();
    loop {
        cursor.skip(char::is_whitespace);
        let line = cursor.line;
        match cursor.rest.chars().next() {
            None => return read,
            Some('#') => {}
            Some(_) => match cursor.variable() {
                Some((name, value)) => {
                    let value = expanded(&value, |name| environment(name).or_else(|| earlier.get(name).cloned()));
                    earlier.insert(name.clone(), value.clone());
                    read.variables.push(Variable { name, value, line });
                }
                None => read.malformed.push(line),
            },
        }
        cursor.skip(|c| c != '\n');
    }
}

/// The text that is not read yet.
struct Cursor<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Cursor<'t> {
    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !is_skipped(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    fn skip_blanks(&mut self) -> &'t str {
        self.skip(|c| c != '\n' && c.is_whitespace())
    }

    /// A name and its value; none where the line has another form.
    fn variable(&mut self) -> Option<(String, String)> {
        let after_export = self.rest.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t']));
        if after_export.is_some() {
            self.take("export".len());
            self.skip_blanks();
        }
        let name = match self.rest.strip_prefix('\'') {
            Some(_) => self.quoted('\'')?,
            None => self.skip(|c| !c.is_whitespace() && c != '=' && c != '#').to_owned(),
        };
        self.skip_blanks();
        if name.is_empty() || !self.rest.starts_with('=') {
            return None;
        }
        self.take(1);
        let after_blanks = self.rest.trim_start_matches(|c: char| c != '\n' && c.is_whitespace());
        let value = match after_blanks.chars().next() {
            Some(quote @ ('\'' | '"')) => {
                self.skip_blanks();
                let value = self.quoted(quote)?;
                self.skip_blanks();
                // Nothing but a comment may follow.
                if !(self.rest.is_empty() || self.rest.starts_with(['\n', '#'])) {
                    return None;
                }
                value
            }
            _ => without_comment(self.skip(|c| c != '\n')).trim().to_owned(),
        };
        Some((name, value))
    }

    /// The text between quotes; none where the second one is missing.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let (mut text, mut chars) = (String::new(), self.rest.char_indices().skip(1));
        while let Some((index, c)) = chars.next() {
            match c {
                _ if c == quote => {
                    self.take(index + 1);
                    return Some(text);
                }
                '\\' => {
                    let (_, escaped) = chars.next()?;
                    match unescaped(escaped, quote) {
                        Some(meant) => text.push(meant),
                        None => text.extend(['\\', escaped]),
                    }
                }
                _ => text.push(c),
            }
        }
        None
    }
}

/// The text before a `#` that stands after a blank.
fn without_comment(text: &str) -> &str {
    let comment = text.match_indices('#').find(|(index, _)| text[..*index].ends_with(char::is_whitespace));
    comment.map_or(text, |(index, _)| &text[..index])
}

fn unescaped(escaped: char, quote: char) -> Option<char> {
    match (escaped, quote) {
        ('\\' | '\'', _) => Some(escaped),
        ('"', '"') => Some('"'),
        ('a', '"') => Some('\u{7}'),
        ('b', '"') => Some('\u{8}'),
        ('f', '"') => Some('\u{c}'),
        ('n', '"') => Some('\n'),
        ('r', '"') => Some('\r'),
        ('t', '"') => Some('\t'),
        ('v', '"') => Some('\u{b}'),
        _ => None,
    }
}

/// Replaces `${NAME}` and `${NAME:-default}`. A name without a value and without a default is replaced by nothing.
fn expanded(value: &str, look_up: impl Fn(&str) -> Option<String>) -> String {
    let (mut text, mut rest) = (String::new(), value);
    while let Some((before, after)) = rest.split_once("${") {
        text.push_str(before);
        rest = after;
        let reference = after.split_once('}').and_then(|(inner, behind)| {
            let (name, default) = inner.split_once(":-").unwrap_or((inner, ""));
            (!name.contains(':')).then_some((name, default, behind))
        });
        match reference {
            Some((name, default, behind)) => {
                text.push_str(&look_up(name).unwrap_or_else(|| default.to_owned()));
                rest = behind;
            }
            None => text.push_str("${"),
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<(String, String)>, Vec<usize>) {
        let DotEnv { variables, malformed } = parse(text, |name| (name == "HOME").then(|| "/home/ada".to_owned()));
        (variables.into_iter().map(|variable| (variable.name, variable.value)).collect(), malformed)
    }

    fn value(line: &str) -> String {
        let (variables, malformed) = read(line);
        assert!(malformed.is_empty() && variables.len() == 1, "{line}");
        variables.into_iter().map(|(_, value)| value).collect()
    }

    /// python-dotenv reads the same values.
    #[test]
    fn a_value_is_read_as_python_dotenv_reads_it() {
        for (line, expected) in [
            ("SMTP_PASSWORD=abcd efgh ijkl mnop", "abcd efgh ijkl mnop"),
            ("SMTP_PASSWORD=\"abcd efgh ijkl mnop\"", "abcd efgh ijkl mnop"),
            ("SMTP_PASSWORD='abcd efgh ijkl mnop'  # Gmail", "abcd efgh ijkl mnop"),
            ("A=abcd efgh # a comment", "abcd efgh"),
            ("A=pa#ss#word", "pa#ss#word"),
            ("A='pa #ss'", "pa #ss"),
            ("A=\"pa #ss\"", "pa #ss"),
            ("A=", ""),
            ("A=   ", ""),
            ("A=''", ""),
            ("A=#not a comment", "#not a comment"),
            ("A= # a comment", ""),
            ("  A = b  ", "b"),
            ("export A=b", "b"),
            ("export\tA='b'", "b"),
            ("'A'=b", "b"),
            ("A=b=c==", "b=c=="),
            ("A=it's \"so\"", "it's \"so\""),
            (r#"A="a\"b\n\\c\d""#, "a\"b\n\\c\\d"),
            (r"A='a\'b\n\\c'", r"a'b\n\c"),
            (r"A=a\nb", r"a\nb"),
            ("A=\"two\nlines\"", "two\nlines"),
            ("A=b\r\n", "b"),
            ("\u{feff}A=b", "b"),
            ("A=é ü", "é ü"),
            ("A=${HOME}/x", "/home/ada/x"),
            ("A=${NONE:-else}-${NONE}", "else-"),
            ("A=a$b${c", "a$b${c"),
        ] {
            assert_eq!(value(line), expected, "{line:?}");
        }
    }

    #[test]
    fn a_value_may_name_an_earlier_one_and_the_environment_goes_first() {
        let (variables, _) = read("USER_NAME=fom\nHOME=/home/fom\nURL=postgres://${USER_NAME}@db${HOME}");
        assert_eq!(variables[2].1, "postgres://fom@db/home/ada");
    }

    #[test]
    fn a_malformed_line_is_counted_and_the_others_are_read() {
        let text = "# comment\n\nA=1\nnonsense\nB='no end\nC=2\n=3\nD=\"x\" y\r\nE=\"two\r\nlines\"\nF 4\nG=5";
        let (variables, malformed) = read(text);
        let names: Vec<_> = variables.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["A", "C", "E", "G"]);
        assert_eq!(malformed, [4, 5, 7, 8, 11]);
    }

    #[test]
    fn a_variable_has_the_line_where_it_begins() {
        let DotEnv { variables, .. } = parse("A='1\n2'\n\nB=3", |_| None);
        assert_eq!(variables.iter().map(|variable| variable.line).collect::<Vec<_>>(), [1, 4]);
    }
}
