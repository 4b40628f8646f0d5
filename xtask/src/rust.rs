//! Rust files as flat lists of tokens, without comments and without the items that only tests compile.

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};

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

/// The tokens of a file, without comments and without what `#[cfg(test)]` marks.
pub(crate) fn tokens(source: &str) -> Result<Vec<Token>> {
    let stream: TokenStream = source.parse().map_err(|error| anyhow!("cannot parse Rust: {error}"))?;
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    Ok(without_tests(&tokens))
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let trees: Vec<_> = stream.into_iter().collect();
    let mut index = 0;
    while let Some(tree) = trees.get(index) {
        let comment = doc_comment_len(&trees[index..]);
        if comment == 0 {
            push(tree, tokens);
        }
        index += comment.max(1);
    }
}

/// The parser turns `/// text` into `#[doc = "text"]` and `//! text` into `#![doc = "text"]`.
fn doc_comment_len(trees: &[TokenTree]) -> usize {
    let is =
        |index: usize, mark: char| matches!(trees.get(index), Some(TokenTree::Punct(punct)) if punct.as_char() == mark);
    let attribute = if is(1, '!') { 2 } else { 1 };
    match trees.get(attribute) {
        Some(TokenTree::Group(group)) if is(0, '#') && group.stream().to_string().starts_with("doc =") => attribute + 1,
        _ => 0,
    }
}

fn push(tree: &TokenTree, tokens: &mut Vec<Token>) {
    let token = |text: String, span: Span| Token { text, first_line: span.start().line, last_line: span.end().line };
    match tree {
        TokenTree::Group(group) => {
            let (open, close) = brackets(group.delimiter());
            tokens.extend(open.map(|text| token(text.to_owned(), group.span_open())));
            flatten(group.stream(), tokens);
            tokens.extend(close.map(|text| token(text.to_owned(), group.span_close())));
        }
        TokenTree::Literal(literal) => tokens.push(token("literal".to_owned(), literal.span())),
        tree => tokens.push(token(tree.to_string(), tree.span())),
    }
}

fn brackets(delimiter: Delimiter) -> (Option<&'static str>, Option<&'static str>) {
    match delimiter {
        Delimiter::Parenthesis => (Some("("), Some(")")),
        Delimiter::Brace => (Some("{"), Some("}")),
        Delimiter::Bracket => (Some("["), Some("]")),
        Delimiter::None => (None, None),
    }
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
        let tokens = tokens(source).expect("Rust");
        tokens.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_the_text_of_literals_are_left_out() {
        assert_eq!(kept("//! one\n/// two\nfn f() { /* three */ g(\"four\") } // five"), "fn f ( ) { g ( literal ) }");
        assert_eq!(kept("#![doc(hidden)] #[must_use] fn f() {}"), "# ! [ doc ( hidden ) ] # [ must_use ] fn f ( ) { }");
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
        let tokens = tokens("a\n\"b\n\nc\"").expect("Rust");
        let lines: Vec<_> = tokens.iter().map(|token| (token.first_line, token.last_line)).collect();
        assert_eq!(lines, [(1, 1), (2, 4)]);
    }
}
