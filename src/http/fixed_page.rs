//! Pages that are the same for every request: made and compressed once, for the first one, and confirmed by `ETag` afterwards.

use std::{io::Write as _, sync::Arc};

use flate2::{Compression, write::GzEncoder};
use salvo::{
    Depot, FlowCtrl, Handler, Request, Response, Writer, async_trait,
    http::{
        HeaderMap, HeaderName, HeaderValue, ResBody, StatusCode,
        header::{
            ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
            IF_NONE_MATCH,
        },
    },
    hyper::body::Bytes,
};
use tokio::sync::OnceCell;

use super::problem::Problem;

/// The content of a page, and its type.
pub(super) type Content = (String, Bytes);

/// A page that `make` makes for the first request; none is an internal error.
pub(super) struct FixedPage {
    make: Arc<dyn Fn() -> Option<Content> + Send + Sync>,
    policy: Option<&'static str>,
    made: OnceCell<Option<Page>>,
}

struct Page {
    content_type: HeaderValue,
    plain: Variant,
    gzip: Variant,
}

struct Variant {
    bytes: Bytes,
    etag: HeaderValue,
}

impl FixedPage {
    pub(super) fn new(make: impl Fn() -> Option<Content> + Send + Sync + 'static) -> Self {
        Self { make: Arc::new(make), policy: None, made: OnceCell::new() }
    }

    /// The page with this Content-Security-Policy.
    pub(super) fn with_policy(self, policy: &'static str) -> Self {
        Self { policy: Some(policy), ..self }
    }

    /// Compression takes tens of milliseconds, so a thread for blocking work makes the page.
    async fn page(&self) -> Option<&Page> {
        let make = || async {
            let make = Arc::clone(&self.make);
            tokio::task::spawn_blocking(move || make().and_then(Page::of)).await.ok().flatten()
        };
        self.made.get_or_init(make).await.as_ref()
    }
}

#[async_trait]
impl Handler for FixedPage {
    async fn handle(&self, req: &mut Request, depot: &mut Depot, res: &mut Response, _: &mut FlowCtrl) {
        let Some(page) = self.page().await else { return Problem::internal().write(req, depot, res).await };
        let is_packed = accepts_gzip(req.headers());
        let variant = if is_packed { &page.gzip } else { &page.plain };
        let mut set = |name: HeaderName, value: HeaderValue| drop(res.headers_mut().insert(name, value));
        set(ETAG, variant.etag.clone());
        set(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Some(policy) = self.policy {
            set(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        }
        if is_known(req.headers(), &variant.etag) {
            res.status_code(StatusCode::NOT_MODIFIED);
            return;
        }
        set(CONTENT_TYPE, page.content_type.clone());
        if is_packed {
            set(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        res.body(ResBody::Once(variant.bytes.clone()));
    }
}

impl Page {
    fn of((content_type, bytes): Content) -> Option<Self> {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        let name: String = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        // Weak, because the compression of other responses makes the tag of a 304 weak.
        let etag = |suffix: &str| HeaderValue::from_str(&format!("W/\"{name}{suffix}\"")).ok();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&bytes).ok()?;
        let packed = encoder.finish().ok()?;
        Some(Self {
            content_type: HeaderValue::from_str(&content_type).ok()?,
            plain: Variant { bytes, etag: etag("")? },
            gzip: Variant { bytes: packed.into(), etag: etag("-gzip")? },
        })
    }
}

/// The items of a header with a list, over all headers of that name.
fn items(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// Whether the client names gzip, with a weight above 0 (RFC 9110 §12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    items(headers, ACCEPT_ENCODING).any(|item| {
        let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().trim_start_matches(['q', 'Q']).trim_start_matches('=');
        coding.trim().eq_ignore_ascii_case("gzip") && weight.parse() != Ok(0.0)
    })
}

/// Whether the client has this version, by weak comparison (RFC 9110 §13.1.2).
fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let opaque = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
    items(headers, IF_NONE_MATCH).any(|tag| tag == "*" || opaque(tag.as_bytes()) == opaque(etag.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_clients_that_name_it() {
        for (header, accepted) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("deflate", false),
            ("gzip;q=0", false),
            ("gzip; q=0.000, br", false),
            ("", false),
        ] {
            let headers = [(ACCEPT_ENCODING, HeaderValue::from_static(header))].into_iter().collect();
            assert_eq!(accepts_gzip(&headers), accepted, "{header}");
        }
    }
}
