//! What the tokens of one module declare and refer to.

use std::collections::BTreeSet;

use crate::rust::{Token, after};

/// A path as it is written in a module.
pub(super) struct Reference {
    pub(super) path: Vec<String>,
    pub(super) line: usize,
}

/// One leaf of a `use` declaration, under the name by which the module knows it; `*` for all names.
pub(super) struct Import {
    pub(super) name: String,
    pub(super) from: Reference,
}

/// What stands in the braces of a module, or in a file.
#[derive(Default)]
pub(super) struct Body<'a> {
    /// With their tokens, unless they stand in files of their own.
    pub(super) children: Vec<(String, Option<&'a [Token]>)>,
    pub(super) items: BTreeSet<String>,
    pub(super) references: Vec<Reference>,
    pub(super) imports: Vec<Import>,
}

impl<'a> Body<'a> {
    pub(super) fn scan(tokens: &'a [Token]) -> Self {
        let mut body = Self::default();
        let mut index = 0;
        let mut depth = 0_usize;
        while let Some(token) = tokens.get(index) {
            let rest = &tokens[index..];
            let before = &tokens[index.saturating_sub(2)..index];
            let is_path = after(before, &[":", ":"]).is_none() && after(before, &["(", "in"]).is_none();
            index += match token.text.as_str() {
                "mod" if depth == 0 => body.child(rest),
                "use" if after(rest, &["use", "<"]).is_none() => body.import(rest),
                "fn" | "struct" | "enum" | "union" | "trait" | "type" | "const" | "static" if depth == 0 => {
                    body.item(rest)
                }
                "macro_rules" if depth == 0 => body.item(&rest[1..]),
                "{" | "(" | "[" => {
                    depth += 1;
                    1
                }
                "}" | ")" | "]" => {
                    depth = depth.saturating_sub(1);
                    1
                }
                _ if is_path => body.reference(rest),
                _ => 1,
            };
        }
        body
    }

    fn child(&mut self, tokens: &'a [Token]) -> usize {
        let [_, name, rest @ ..] = tokens else { return tokens.len() };
        let block_len = block_len(rest);
        let block = (block_len > 1).then(|| &rest[1..block_len - 1]);
        self.children.push((name.text.clone(), block));
        2 + block_len
    }

    fn item(&mut self, tokens: &[Token]) -> usize {
        self.items.extend(tokens.get(1).map(|name| name.text.clone()));
        1
    }

    fn import(&mut self, tokens: &[Token]) -> usize {
        let end = tokens.iter().position(|token| token.text == ";").unwrap_or(tokens.len());
        self.leaves(&tokens[1..end], &[]);
        end
    }

    /// The leaves of a `use` tree below `prefix`.
    fn leaves(&mut self, tree: &[Token], prefix: &[String]) {
        for branch in split_at_commas(tree) {
            let mut path = prefix.to_vec();
            let mut rest = branch;
            while let [name, tail @ ..] = rest {
                if name.text == "{" {
                    self.leaves(&rest[1..rest.len() - 1], &path);
                    break;
                }
                if name.text == ":" {
                    break;
                }
                path.push(name.text.clone());
                match after(tail, &[":", ":"]) {
                    Some(tail) => rest = tail,
                    None => {
                        let renamed = after(tail, &["as"]).and_then(|tail| tail.first()).map(|name| name.text.clone());
                        let own = path.iter().rfind(|name| *name != "self").cloned().unwrap_or_default();
                        let from = Reference { path, line: name.first_line };
                        self.imports.push(Import { name: renamed.unwrap_or(own), from });
                        break;
                    }
                }
            }
        }
    }

    /// A path of two names or more.
    fn reference(&mut self, tokens: &[Token]) -> usize {
        let mut path = Vec::new();
        let mut rest = tokens;
        while let [name, tail @ ..] = rest
            && is_name(&name.text)
        {
            path.push(name.text.clone());
            match after(tail, &[":", ":"]) {
                Some(tail) => rest = tail,
                None => break,
            }
        }
        let len = (3 * path.len()).saturating_sub(2).max(1);
        if path.len() > 1 {
            self.references.push(Reference { path, line: tokens[0].first_line });
        }
        len
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The length of a block with its braces, or 1 where there is none.
fn block_len(tokens: &[Token]) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

fn split_at_commas(tree: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0_usize;
    let is_comma = |token: &Token| {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        depth == 0 && token.text == ","
    };
    tree.split(is_comma).filter(|branch| !branch.is_empty()).collect()
}
