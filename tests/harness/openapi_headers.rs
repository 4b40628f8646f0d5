//! Compares the headers of responses with `docs/openapi.json`. A header that the document does not name for the operation and the status is a
//! violation, and so are a missing one that is required and a value that is not among those listed.

use std::sync::LazyLock;

use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

/// The document in the repository.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json"));
    serde_json::from_str(&text.expect("docs/openapi.json is there")).expect("JSON")
});

/// What HTTP itself adds to a response: its framing (RFC 9112 §6), the fate of the connection (RFC 9110 §7.6.1) and the time of sending
/// (RFC 9110 §6.6.1), and the name of a proxy (RFC 9110 §10.2.4). `Content-Type` is documented by the keys of `content`; OpenAPI ignores it among
/// headers.
const EXEMPT: [&str; 6] = ["connection", "content-length", "content-type", "date", "server", "transfer-encoding"];

/// The violations of the document by these headers. A response that it does not describe, such as a page or a 405, has none.
pub(crate) fn violations(method: &Method, path: &str, status: u16, headers: &HeaderMap) -> Vec<String> {
    let Some(documented) = documented_headers(method, path, status) else { return Vec::new() };
    let named = |name: &str| documented.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let sent = headers.iter().filter(|(name, _)| !EXEMPT.contains(&name.as_str()));
    let undocumented = sent.filter_map(|(name, value)| match named(name.as_str()) {
        None => Some(format!("{name} is not documented")),
        Some((_, header)) => {
            let values = header["schema"]["enum"].as_array();
            let is_listed =
                values.is_none_or(|values| values.contains(&json!(String::from_utf8_lossy(value.as_bytes()))));
            (!is_listed).then(|| format!("{name} has the undocumented value {value:?}"))
        }
    });
    let required = documented.iter().filter(|(_, header)| header["required"] == true);
    let missing = required.filter(|(name, _)| !headers.contains_key(*name));
    undocumented.chain(missing.map(|(name, _)| format!("{name} is required and missing"))).collect()
}

/// The documented headers of a response: their names and what is said of them.
fn documented_headers(method: &Method, path: &str, status: u16) -> Option<Vec<(&'static str, &'static Value)>> {
    let words: Vec<_> = path.split('?').next()?.trim_end_matches('/').split('/').collect();
    let fits = |template: &str| {
        let parts: Vec<_> = template.trim_end_matches('/').split('/').collect();
        parts.len() == words.len()
            && parts.iter().zip(&words).all(|(part, word)| part == word || part.starts_with('{') && !word.is_empty())
    };
    let templates = DOCUMENT["paths"].as_object()?.iter().filter(|(template, _)| fits(template));
    // As in the router, a fixed word comes before a parameter.
    let (_, operations) = templates.min_by_key(|(template, _)| template.matches('{').count())?;
    let method = if *method == Method::HEAD { "get".to_owned() } else { method.as_str().to_lowercase() };
    let response = operations.get(method)?["responses"].get(status.to_string())?;
    let headers = response["headers"].as_object().into_iter().flatten();
    Some(headers.map(|(name, header)| (name.as_str(), resolve(header))).collect())
}

/// What a reference leads to, or the header itself.
fn resolve(header: &'static Value) -> &'static Value {
    let Some(reference) = header["$ref"].as_str() else { return header };
    let target = reference.strip_prefix('#').and_then(|place| DOCUMENT.pointer(place));
    target.unwrap_or_else(|| panic!("{reference} has no target"))
}
