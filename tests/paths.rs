//! Paths: which methods each takes, and that another spelling of a path is the same path.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::json;

use crate::harness::{Person, Response, TestApp, tests_on_both_profiles};

tests_on_both_profiles! {
    every_path_takes_the_documented_methods_and_no_others,
    a_fixed_word_is_never_taken_for_an_id,
    a_key_on_every_spelling_of_a_path_takes_effect_once,
    no_response_of_the_api_is_stored_under_any_spelling,
    metrics_count_every_spelling_under_its_route,
}

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];

/// The pages that the OpenAPI document does not list. They take GET alone.
const PAGES: [&str; 4] = ["/openapi.json", "/docs", "/docs/swagger-ui.css", "/redoc"];

/// Every path with the methods that it is documented to take, and those that follow from them.
async fn documented(app: &TestApp) -> BTreeMap<String, BTreeSet<String>> {
    let document = app.client().call(Method::GET, "/openapi.json").send().await.assert_status(200).json;
    let paths = document["paths"].as_object().expect("paths").iter().map(|(path, item)| {
        let methods = item.as_object().expect("methods").keys().map(|method| method.to_uppercase()).collect();
        (path.replace("{id}", "4000000").replace("{cid}", "4000000"), methods)
    });
    let pages = PAGES.map(|page| (page.to_owned(), BTreeSet::from(["GET".to_owned()])));
    let mut paths: BTreeMap<String, BTreeSet<String>> = paths.chain(pages).collect();
    for methods in paths.values_mut() {
        methods.extend(methods.contains("GET").then(|| "HEAD".to_owned()));
        methods.insert("OPTIONS".to_owned());
    }
    paths
}

fn allowed(response: &Response) -> BTreeSet<String> {
    response.header("allow").split(", ").map(str::to_owned).collect()
}

async fn every_path_takes_the_documented_methods_and_no_others(app: &TestApp) {
    let (paths, mut faults) = (documented(app).await, Vec::new());
    for (path, methods) in &paths {
        for method in METHODS {
            let call = app.client().call(Method::from_bytes(method.as_bytes()).expect("a method"), path);
            let response = call.send().await;
            let is_refused = response.status == 405;
            let names_methods = is_refused || method == "OPTIONS";
            if is_refused == methods.contains(method) || (names_methods && allowed(&response) != *methods) {
                faults.push(format!("{}: {} Allow: {}", response.to, response.status, response.header("allow")));
            }
        }
    }
    assert!(faults.is_empty(), "{} of {}: {faults:#?}", faults.len(), paths.len() * METHODS.len());
}

/// The paths that put a fixed word, such as `me`, in the place of an id, and that the document does not list.
fn words_for_ids(documented: &BTreeSet<String>) -> BTreeSet<String> {
    let paths: Vec<Vec<&str>> = documented.iter().map(|path| path.split('/').collect()).collect();
    let mut found = BTreeSet::new();
    for path in &paths {
        for at in (0..path.len()).filter(|at| path[*at] == "4000000") {
            let siblings = paths.iter().filter(|other| other.len() > at && other[..at] == path[..at]);
            let words = siblings.map(|other| other[at]).filter(|word| *word != path[at]);
            found.extend(words.map(|word| [&path[..at], &[word], &path[at + 1..]].concat().join("/")));
        }
    }
    found.difference(documented).cloned().collect()
}

async fn a_fixed_word_is_never_taken_for_an_id(app: &TestApp) {
    let admin = app.admin().await;
    let paths = words_for_ids(&documented(app).await.into_keys().collect());
    assert!(paths.contains("/api/v1/users/me/activate") && paths.contains("/api/v1/sessions/count/end"), "{paths:?}");
    for path in &paths {
        for method in METHODS {
            let call = admin.bearer().call(Method::from_bytes(method.as_bytes()).expect("a method"), path);
            let response = call.send().await.assert_status(404);
            assert_eq!(response.header("allow"), "", "{}", response.to);
        }
    }
}

/// The spellings of a path: with slashes at its end and between its parts, with a part that is percent-encoded, and with zeros before an id.
fn spellings(path: &str) -> [String; 5] {
    [
        format!("/api/v1{path}"),
        format!("/api/v1{path}/"),
        format!("//api/v1/{}//", path.replace('/', "//")),
        format!("/%61pi/v1{}", path.replace('s', "%73").replace('1', "%31")),
        format!("/api/v1{}", path.replace("/1", "/0001")),
    ]
}

async fn post_with_key(person: &Person, path: &str, body: &serde_json::Value) -> Response {
    person.bearer().call(Method::POST, path).header("idempotency-key", "one").json(body).send().await
}

async fn a_key_on_every_spelling_of_a_path_takes_effect_once(app: &TestApp) {
    let ada = app.verified("ada").await;
    let post = json!({ "content": "I could not sleep again" });
    for (path, table) in
        [("/sessions", "sessions"), ("/posts", "community_posts"), ("/posts/1/comments", "community_comments")]
    {
        let mut answers = BTreeSet::new();
        for path in spellings(path) {
            answers.insert(post_with_key(&ada, &path, &post).await.assert_status(201).text);
        }
        assert_eq!((answers.len(), app.row_count(table).await), (1, 1), "{path}: {answers:?}");
    }
}

async fn no_response_of_the_api_is_stored_under_any_spelling(app: &TestApp) {
    let ada = app.verified("ada").await;
    for path in ["/auth/me", "/sessions", "/sessions/1", "/nowhere"] {
        for path in spellings(path) {
            let response = ada.bearer().call(Method::GET, &path).send().await;
            assert_eq!(response.header("cache-control"), "no-store", "{path} {}", response.status);
        }
    }
}

async fn metrics_count_every_spelling_under_its_route(app: &TestApp) {
    for path in spellings("/sessions/1").iter().map(String::as_str).chain(["/", "//", "/nowhere", "//api/v1/nowhere"]) {
        app.client().call(Method::GET, path).send().await;
    }
    let operator = app.client().at(app.operators.expect("an operator listener"));
    let metrics = operator.call(Method::GET, "/metrics").send().await.assert_status(200).text;
    for (route, status, count) in [("/api/v1/sessions/{id}", "4xx", 5), ("/", "2xx", 2), ("(none)", "4xx", 2)] {
        let sample = format!(
            "faceofmind_http_request_seconds_count{{method=\"GET\",route=\"{route}\",status=\"{status}\"}} {count}"
        );
        assert!(metrics.contains(&sample), "{sample}: {metrics}");
    }
}
