//! URLs that may carry a password.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// A URL. `Debug` and `Display` mask its password, token and secret parameters.
#[derive(Clone)]
pub struct SecretUrl(SecretString);

impl SecretUrl {
    /// Parses a URL with one of `schemes`. An error repeats nothing of it.
    pub(super) fn parse(text: &str, schemes: &[&str]) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("is not a URL ({error}){}", hint(text)))?;
        if !schemes.contains(&url.scheme()) {
            return Err(format!("does not begin with {}://", schemes.join(":// or ")));
        }
        if url.fragment().is_some() {
            return Err(format!("holds a #{}", hint(text)));
        }
        // A URL of PostgreSQL may name the directory of a socket as a parameter instead.
        if url.host_str().is_none_or(str::is_empty) && url.query().is_none() {
            return Err("names no host".to_owned());
        }
        Ok(Self(SecretString::from(text)))
    }

    /// The whole URL, for the client that connects.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(self.expose()))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({self})")
    }
}

/// The usual mistake in a URL with a password.
fn hint(text: &str) -> &'static str {
    let with_password = text.contains('@');
    if with_password { "; within a password, write @ : / ? # % as %40 %3A %2F %3F %23 %25" } else { "" }
}

/// Replaces the parts of `url` that may be secret by `***`.
pub(super) fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (server, query) = rest.split_once('?').map_or((rest, None), |(server, query)| (server, Some(query)));
    let authority = server.split('/').next().unwrap_or_default();
    // An @ after the host: the parser took an unencoded password for a host, a path or a query.
    if rest[authority.len()..].contains('@') {
        return format!("{scheme}://***");
    }
    let server = match server.rsplit_once('@') {
        Some((user, host)) => format!("{}@{host}", masked_user(user)),
        None => server.to_owned(),
    };
    let query = query.map(|query| format!("?{}", masked_query(query))).unwrap_or_default();
    format!("{scheme}://{server}{query}")
}

/// A user without a password is masked whole: NATS has tokens there.
fn masked_user(user: &str) -> String {
    user.split_once(':').map_or_else(|| "***".to_owned(), |(name, _)| format!("{name}:***"))
}

fn masked_query(query: &str) -> String {
    let masked = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}=***"),
        _ => pair.to_owned(),
    });
    masked.collect::<Vec<_>>().join("&")
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["pass", "secret", "token"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_masked_in_every_part_of_a_url() {
        for (url, shown) in [
            ("postgres://fom:hunter2@db:5432/fom", "postgres://fom:***@db:5432/fom"),
            ("postgres://db/fom?user=fom&password=hunter2", "postgres://db/fom?user=fom&password=***"),
            ("redis://:hunter2@cache/0", "redis://:***@cache/0"),
            ("nats://hunter2@bus:4222", "nats://***@bus:4222"),
            ("postgres://fom:12/hunter2@db/fom", "postgres://***"),
            ("postgres://fom:12?hunter2@db/fom", "postgres://***"),
            ("postgres://fom:hunter@2@db/fom", "postgres://fom:***@db/fom"),
            ("nats://bus:4222", "nats://bus:4222"),
            ("sqlite:data/fom.db", "sqlite:data/fom.db"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }

    #[test]
    fn neither_debug_nor_display_shows_a_password() {
        let url = SecretUrl::parse("redis://:hunter2@cache", &["redis"]).expect("a good URL");
        assert_eq!(format!("{url} {url:?}"), "redis://:***@cache SecretUrl(redis://:***@cache)");
        assert_eq!(url.expose(), "redis://:hunter2@cache");
    }

    #[test]
    fn an_error_says_what_to_write_and_repeats_nothing() {
        let error = |text| SecretUrl::parse(text, &["redis", "rediss"]).expect_err("a bad URL");
        assert_eq!(error("http://hunter2@cache"), "does not begin with redis:// or rediss://");
        assert_eq!(error("redis://"), "names no host");
        assert_eq!(error("cache"), "is not a URL (relative URL without a base)");
        assert!(error("redis://u:12#hunter2@cache").starts_with("holds a #; within a password, write @"));
        assert!(error("redis://u:hunter2/@cache").contains("%2F"));
        assert!(!error("redis://u:hunter2/@cache").contains("hunter2"));
    }
}
