//! `/mail-link`: the page that a mailed link opens. Its button sends the token of the link in the place of a code.
//!
//! The token is in the fragment of the link, which browsers send to no server. So a program that only opens the links of a mail confirms
//! nothing, and no log or proxy sees a token.

use salvo::{
    Response, Router, handler,
    http::{
        HeaderValue,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
    },
};

const PAGE: &str = include_str!("mail_link.html");
/// Allows the page's own script and style, and calls to this service alone.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn router() -> Router {
    Router::with_path("mail-link").get(show)
}

#[handler]
async fn show(res: &mut Response) {
    let headers = res.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    res.body(PAGE);
}
