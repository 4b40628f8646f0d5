//! `cargo xtask loc`: lines of Rust code below each package's `src`, without comments, blank lines and tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    path::Path,
    process::ExitCode,
};

use anyhow::Result;

use crate::{
    rust::{self, Token},
    workspace::Workspace,
};

/// Developer commands and what tests share are not part of the service.
const NOT_IN_TOTAL: [&str; 2] = ["faceofmind-testing", "xtask"];
const TEST_FOLDERS: [&str; 2] = ["tests", "testing"];

pub(crate) fn run() -> Result<ExitCode> {
    let workspace = Workspace::read()?;
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for file in workspace.files()? {
        let path = workspace.root.join(&file);
        let Some(package) = workspace.package_of(&path).filter(|package| is_counted(&path, &package.dir)) else {
            continue;
        };
        let tokens = rust::tokens(&fs::read_to_string(&path)?);
        *lines.entry(&package.name).or_default() += count(&tokens);
    }
    for (package, lines) in &lines {
        println!("{lines:>7}  {package}");
    }
    let service = lines.iter().filter(|(package, _)| !NOT_IN_TOTAL.contains(*package));
    let total: usize = service.map(|(_, lines)| lines).sum();
    println!("{total:>7}  in all, without {}", NOT_IN_TOTAL.join(" and "));
    Ok(ExitCode::SUCCESS)
}

/// Whether the file is Rust code below the package's `src` and not in a folder or a file of tests.
fn is_counted(file: &Path, package: &Path) -> bool {
    let Ok(file) = file.strip_prefix(package.join("src")) else { return false };
    let is_for_tests = |part: &OsStr| TEST_FOLDERS.iter().any(|folder| part == *folder) || part == "tests.rs";
    file.extension().is_some_and(|extension| extension == "rs") && !file.iter().any(is_for_tests)
}

fn count(tokens: &[Token]) -> usize {
    tokens.iter().flat_map(|token| token.first_line..=token.last_line).collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_with_code_are_counted() {
        let source = "//! A file.\n\n/// A function.\nfn f() {\n    // why\n    g(\"a\n\nb\"); // so\n}\n#[cfg(test)]\nmod tests;\n";
        assert_eq!(count(&rust::tokens(source)), 5);
    }

    #[test]
    fn tests_and_what_is_not_below_src_are_not_counted() {
        let is_counted = |file: &str| is_counted(Path::new(file), Path::new("/repo/a"));
        assert!(is_counted("/repo/a/src/lib.rs") && is_counted("/repo/a/src/b/latest.rs"));
        for file in ["src/tests.rs", "src/b/tests/c.rs", "src/testing/c.rs", "tests/c.rs", "build.rs", "src/b.sql"] {
            assert!(!is_counted(&format!("/repo/a/{file}")), "{file}");
        }
    }
}
