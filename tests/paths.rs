//! Paths: which methods each takes.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;

use crate::harness::{Response, TestApp, tests_on_both_profiles};

tests_on_both_profiles! {
    every_path_takes_the_documented_methods_and_no_others,
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
