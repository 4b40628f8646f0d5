//! The documents describe exactly the settings that exist, with their defaults.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::{defaults::keys_of_default_toml, *};

/// Docker Compose reads this name from `.env`; it is not a setting of the service.
const READ_BY_COMPOSE: &str = "POSTGRES_PASSWORD";

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("the document is in the repository")
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| matches!(character, 'A'..='Z' | '0'..='9' | '_'))
}

/// The built-in defaults by their environment names, written as environment values.
fn defaults() -> BTreeMap<String, String> {
    let table: toml::Table = layers::DEFAULT.1.parse().expect("the built-in file is TOML");
    table.iter().map(|(key, value)| (key.to_uppercase(), in_the_environment(value))).collect()
}

fn in_the_environment(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(values) => values.iter().map(in_the_environment).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// The settings of a file of `NAME=value` lines, commented out or not.
fn offered_by(env_file: &str) -> Vec<(&str, &str)> {
    let lines = env_file.lines().map(|line| line.trim_start_matches(['#', ' ']));
    lines.filter_map(|line| line.split_once('=')).filter(|(name, _)| is_name(name)).collect()
}

/// The rows ``| `NAME` | default | … |`` below a heading, up to the next of its level; a default is `none` or in backticks.
fn rows_under<'a>(heading: &str, document: &'a str) -> Vec<(&'a str, &'a str)> {
    let section = document.split("\n## ").find_map(|section| section.strip_prefix(heading)).unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let rows = rows.filter(|(name, _)| is_name(name));
    rows.map(|(name, rest)| (name, default_in(rest.split(" |").next().unwrap_or_default()))).collect()
}

fn default_in(cell: &str) -> &str {
    if cell == "none" { "" } else { cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')).unwrap_or(cell) }
}

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn names_are_found_in_comments_too() {
    let offered = offered_by("# Where: a=b\nPORT=1\n# DATA_DIR=data\n#HOST=\n# so that PORT=2\n");
    assert_eq!(offered, [("PORT", "1"), ("DATA_DIR", "data"), ("HOST", "")]);
}

#[test]
fn rows_are_found_in_their_section_only() {
    let document = "# A\n\n## Other\n| `NOT` | `1` | |\n\n## Settings\n| name | default |\n| `PORT` | `1` | x |\n| `A_URL` | none | y |\n\n## C\n| `NOR` | `1` | |";
    assert_eq!(rows_under("Settings\n", document), [("PORT", "1"), ("A_URL", "")]);
}

#[test]
fn the_environment_example_names_exactly_the_settings_with_their_defaults() {
    let example = document(".env.example");
    let offered: Vec<_> = offered_by(&example).into_iter().filter(|(name, _)| *name != READ_BY_COMPOSE).collect();
    assert_eq!(owned(&offered), defaults());
    assert_eq!(offered.len(), defaults().len(), "one is named twice");
}

#[test]
fn the_settings_document_lists_exactly_the_settings_with_their_defaults_in_the_order_of_default_toml() {
    let document = document("docs/SETTINGS.md");
    let rows = rows_under("All settings\n", &document);
    assert_eq!(owned(&rows), defaults());
    let names: Vec<_> = rows.iter().map(|(name, _)| name.to_lowercase()).collect();
    assert_eq!(names, keys_of_default_toml());
}

/// Settings that bound what clients use up.
fn is_bound(name: &str) -> bool {
    name.starts_with("LIMIT_")
        || ["BODY_LIMIT_BYTES", "DATABASE_MAX_CONNECTIONS", "EVENTS_WINDOW", "HASHER_QUEUE", "TRUSTED_PROXIES"]
            .contains(&name)
}

#[test]
fn the_table_of_bounds_names_exactly_the_settings_that_are_bounds() {
    let document = document("docs/OPERATIONS.md");
    let table = document.split("\n## ").find(|section| section.starts_with("What is bounded\n")).expect("a table");
    let rows = table.lines().filter(|line| line.starts_with("| "));
    let named: BTreeSet<&str> =
        rows.flat_map(|row| row.split('`').skip(1).step_by(2)).filter(|word| is_name(word)).collect();
    let settings = defaults();
    let bounds: BTreeSet<&str> = settings.keys().map(String::as_str).filter(|name| is_bound(name)).collect();
    assert_eq!(named, bounds);
}
