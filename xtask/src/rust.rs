//! Rust files as flat lists of tokens, without comments and without the items that only tests compile.

/// A token and the lines that it covers. Every bracket is a token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) first_line: usize,
    pub(crate) last_line: usize,
}

/// Begin declarations that end with `;`, whatever brackets they contain.
const UP_TO_SEMICOLON: [&str; 5] = ["use", "const", "static", "type", "let"];
/// Begin declarations that end with `;` or with their first block.
const UP_TO_BLOCK: [&str; 9] = ["async", "enum", "extern", "fn", "impl", "mod", "struct", "trait", "unsafe"];

/// The tokens of a file, without comments and without what `#[cfg(test)]` marks. The text of every literal is `literal`.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    without_tests(&lex(source))
}

fn lex(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while !rest.is_empty() {
        let (lexeme, tail) = rest.split_at(lexeme_len(rest));
        let last_line = line + lexeme.matches('\n').count();
        let text = match lexeme.as_bytes() {
            [b'/', b'/' | b'*', ..] => None,
            [b'0'..=b'9', ..] | [_, .., b'"' | b'#' | b'\''] => Some("literal"),
            _ => Some(lexeme.trim()).filter(|lexeme| !lexeme.is_empty()),
        };
        tokens.extend(text.map(|text| Token { text: text.to_owned(), first_line: line, last_line }));
        (rest, line) = (tail, last_line);
    }
    tokens
}

/// The length of the space, comment, literal, name or sign that stands first.
fn lexeme_len(rest: &str) -> usize {
    let run = |belongs: fn(char) -> bool| rest.find(|c| !belongs(c)).unwrap_or(rest.len());
    match rest.chars().next() {
        Some(c) if c.is_whitespace() => run(char::is_whitespace),
        Some('/') if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
        Some('/') if rest.starts_with("/*") => block_comment_len(rest),
        Some(c) => string_len(rest).or_else(|| char_len(rest)).unwrap_or_else(|| match run(is_part_of_name) {
            0 => c.len_utf8(),
            len => len,
        }),
        None => 0,
    }
}

fn is_part_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Block comments may contain block comments.
fn block_comment_len(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(found) = rest[at..].find(['/', '*']) {
        at += found;
        match rest.get(at..at + 2) {
            Some("/*") => depth += 1,
            Some("*/") => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn string_len(rest: &str) -> Option<usize> {
    let quoted = rest.trim_start_matches(['b', 'c', 'r']);
    let prefix = &rest[..rest.len() - quoted.len()];
    if !["", "b", "c", "r", "br", "cr"].contains(&prefix) {
        return None;
    }
    let text = quoted.trim_start_matches('#').strip_prefix('"')?;
    let hashes = quoted.len() - text.len() - 1;
    let len = if prefix.ends_with('r') {
        let end = format!("\"{}", "#".repeat(hashes));
        text.find(&end).map(|at| at + end.len())
    } else {
        (hashes == 0).then_some(())?;
        escaped_len(text, '"')
    };
    Some(len.map_or(rest.len(), |len| rest.len() - text.len() + len))
}

/// The length of a character literal. A lifetime is none.
fn char_len(rest: &str) -> Option<usize> {
    let text = rest.strip_prefix('\'')?;
    let first = text.chars().next()?;
    let is_literal = first == '\\' || text[first.len_utf8()..].starts_with('\'');
    is_literal.then(|| escaped_len(text, '\'').map_or(rest.len(), |len| len + 1))
}

/// The length of a text up to and with an `end` that no backslash escapes.
fn escaped_len(text: &str, end: char) -> Option<usize> {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            _ if c == end => return Some(at + c.len_utf8()),
            _ => {}
        }
    }
    None
}

fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let [token, tail @ ..] = rest {
        match after(rest, &["#", "[", "cfg", "(", "test", ")", "]"]) {
            Some(marked) => rest = &marked[item_len(marked)..],
            None => {
                kept.push(token.clone());
                rest = tail;
            }
        }
    }
    kept
}

/// What follows these tokens, if the list begins with them.
pub(crate) fn after<'a>(tokens: &'a [Token], texts: &[&str]) -> Option<&'a [Token]> {
    let (head, tail) = tokens.split_at_checked(texts.len())?;
    head.iter().zip(texts).all(|(token, text)| token.text == *text).then_some(tail)
}

/// How many tokens belong to the item, field, variant or statement that stands first, with its attributes.
fn item_len(tokens: &[Token]) -> usize {
    let mut depth = 0_usize;
    let mut keyword = "";
    for (index, token) in tokens.iter().enumerate() {
        let text = token.text.as_str();
        match text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth == 0 => return index,
            ")" | "]" | "}" => depth -= 1,
            _ if depth == 0
                && keyword.is_empty()
                && (UP_TO_BLOCK.contains(&text) || UP_TO_SEMICOLON.contains(&text)) =>
            {
                keyword = text
            }
            _ => {}
        }
        let ends = match text {
            ";" => true,
            "}" => !UP_TO_SEMICOLON.contains(&keyword),
            "," => keyword.is_empty(),
            _ => false,
        };
        if depth == 0 && ends {
            return index + 1;
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(source: &str) -> String {
        tokens(source).iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_the_text_of_literals_are_left_out() {
        assert_eq!(kept("//! one\n/// two\nfn f() { /* three */ g(\"four\") } // five"), "fn f ( ) { g ( literal ) }");
        assert_eq!(kept("#![doc(hidden)] #[must_use] fn f() {}"), "# ! [ doc ( hidden ) ] # [ must_use ] fn f ( ) { }");
    }

    #[test]
    fn every_kind_of_literal_is_one_token() {
        for literal in [
            r#""a // \" b""#,
            r#"b"a""#,
            r##"r"a\""##,
            r###"br#"a"b"#"###,
            r"'a'",
            r"'\''",
            r"'\u{1f600}'",
            r"'é'",
            "12_000u32",
            "\"\"",
        ] {
            assert_eq!(kept(&format!("f({literal}) // '")), "f ( literal )", "{literal}");
        }
        assert_eq!(kept("fn f<'a>(r: &'a str) -> r::B"), "fn f < ' a > ( r : & ' a str ) - > r : : B");
        assert_eq!(kept("a /* b /* c */ d */ e /f"), "a e / f");
    }

    #[test]
    fn items_for_tests_are_left_out() {
        for item in [
            "mod tests;",
            "#[path = \"x.rs\"] mod tests;",
            "pub(crate) mod tests { fn f() { g(); } }",
            "pub(super) fn f(&self) -> [u8; 2] { g(); }",
            "use a::{b, c};",
            "const A: [u8; 2] = { [1, 2] };",
            "struct A { a: u8, b: u8 }",
            "impl<A, B> C for D<A, B> { }",
        ] {
            assert_eq!(kept(&format!("#[cfg(test)] {item} fn kept() {{}}")), "fn kept ( ) { }", "{item}");
        }
        assert_eq!(kept("struct A { #[cfg(test)] a: B<u8>, b: u8 }"), "struct A { b : u8 }");
        assert_eq!(kept("fn f() { #[cfg(test)] g(1, 2); h() }"), "fn f ( ) { h ( ) }");
        assert_eq!(kept("A { a, #[cfg(test)] b: c.d(1, 2), }"), "A { a , }");
    }

    #[test]
    fn a_token_names_its_lines() {
        let tokens = tokens("a\n\"b\n\nc\"");
        let lines: Vec<_> = tokens.iter().map(|token| (token.first_line, token.last_line)).collect();
        assert_eq!(lines, [(1, 1), (2, 4)]);
    }
}
