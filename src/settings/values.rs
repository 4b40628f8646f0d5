//! The types of settings and their parsers. An error continues a sentence that begins with the value: "is not …".

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;
use jiff::tz::TimeZone;
use secrecy::SecretString;
use tracing_subscriber::EnvFilter;
use url::{Host, Url};

use super::secret_url::SecretUrl;

/// Decides how strict the service is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Environment {
    /// Missing secrets are generated, and any web origin may call.
    Development,
    /// Secrets must be given, logs are JSON, and a binary with test hooks does not start.
    Production,
}

impl Environment {
    /// Whether the stricter rules of production apply.
    pub fn is_production(self) -> bool {
        self == Self::Production
    }

    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "development" => Ok(Self::Development),
            "production" => Ok(Self::Production),
            _ => Err("is neither development nor production"),
        }
    }
}

/// The encryption of the connection to the mail server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SmtpTls {
    /// No encryption.
    None,
    /// Begins unencrypted and changes to TLS by STARTTLS. A mail is sent only over TLS.
    Starttls,
    /// TLS from the first byte.
    Tls,
}

impl SmtpTls {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "none" => Ok(Self::None),
            "starttls" => Ok(Self::Starttls),
            "tls" => Ok(Self::Tls),
            _ => Err("is neither none, starttls nor tls"),
        }
    }
}

/// The web origins that may call the API.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CorsOrigins {
    /// All origins.
    Any,
    /// These origins, each as a browser sends it (`https://admin.example.org`). May be empty.
    Only(Vec<String>),
}

impl CorsOrigins {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "*" => Ok(Self::Any),
            "none" => Ok(Self::Only(Vec::new())),
            _ => {
                let origins = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                origins.map(origin).collect::<Result<_, _>>().map(Self::Only)
            }
        }
    }
}

fn origin(text: &str) -> Result<String, String> {
    let because = |why: &str| Err(format!("holds `{}`, which {why}", text.escape_debug()));
    if text.contains('*') {
        // Browsers send whole origins, and one with an asterisk equals none of them.
        return because("matches no origin: name each, such as https://admin.example.org, or allow all by * alone");
    }
    let is_bare = |url: &Url| {
        let rest =
            [url.username(), url.password().unwrap_or(""), url.query().unwrap_or(""), url.fragment().unwrap_or("")];
        ["http", "https"].contains(&url.scheme()) && url.path() == "/" && rest.iter().all(|part| part.is_empty())
    };
    match Url::parse(text).ok().filter(is_bare) {
        Some(url) => Ok(url.origin().ascii_serialization()),
        None => because("is no origin such as https://admin.example.org"),
    }
}

/// The location of the database.
#[derive(Clone, Debug)]
pub enum DatabaseUrl {
    /// The embedded database in this file.
    Sqlite(PathBuf),
    /// A PostgreSQL server. The URL begins with `postgres://` or `postgresql://`.
    Postgres(SecretUrl),
}

impl DatabaseUrl {
    /// Whether the database is a file that only this process serves.
    pub fn is_embedded(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix("sqlite:") {
            Some(path) => sqlite_path(path.strip_prefix("//").unwrap_or(path)).map(Self::Sqlite),
            None => SecretUrl::parse(&without_driver(text), &["postgres", "postgresql"]).map(Self::Postgres),
        }
    }
}

/// SQLAlchemy, which the predecessor used, names its driver in the scheme: `postgresql+psycopg://`.
fn without_driver(url: &str) -> Cow<'_, str> {
    let parts = url.split_once("://").and_then(|(scheme, rest)| Some((scheme.split_once('+')?, rest)));
    match parts {
        Some(((scheme, driver), rest))
            if scheme.to_ascii_lowercase().starts_with("postgres")
                && driver.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') =>
        {
            Cow::Owned(format!("{scheme}://{rest}"))
        }
        _ => Cow::Borrowed(url),
    }
}

fn sqlite_path(path: &str) -> Result<PathBuf, String> {
    match path {
        "" => Err("names no file"),
        ":memory:" => Err("would lose all data with each connection; name a file"),
        _ if path.contains('?') => Err("has options after ?, which are not taken; give the path alone"),
        _ => Ok(PathBuf::from(path)),
    }
    .map_err(str::to_owned)
}

pub(super) fn host(text: &str) -> Result<IpAddr, &'static str> {
    match text {
        "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        _ => without_brackets(text).parse().map_err(|_| "is not an IP address"),
    }
}

/// An IPv6 address stands in brackets where a port may follow.
fn without_brackets(text: &str) -> &str {
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text)
}

pub(super) fn socket_address(text: &str) -> Result<SocketAddr, &'static str> {
    let text = text.replacen("localhost:", "127.0.0.1:", 1);
    text.parse().map_err(|_| "is not an IP address with a port")
}

/// A network. A single address is a network of one address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let address = || without_brackets(text).parse::<IpAddr>().map(IpNet::from);
    let network: IpNet = text
        .parse()
        .or_else(|_| address())
        .map_err(|_| format!("holds `{}`, which is neither a network nor an address", text.escape_debug()))?;
    // Addresses of clients are compared in the form of IPv4.
    match network.addr() {
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => {
            Err(format!("holds `{}`, which matches no client: write it as IPv4", text.escape_debug()))
        }
        _ => Ok(network),
    }
}

pub(super) fn time_zone(text: &str) -> Result<TimeZone, &'static str> {
    TimeZone::get(text).map_err(|_| "is not a time zone of the IANA database")
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| format!("is not a log filter: {error}"))
}

pub(super) fn path(text: &str) -> Result<PathBuf, &'static str> {
    if text.is_empty() { Err("is empty") } else { Ok(PathBuf::from(text)) }
}

pub(super) fn mail_host(text: &str) -> Result<String, &'static str> {
    let host = without_brackets(text);
    if host.parse::<IpAddr>().is_err() && (text.contains([':', '/', '@', '[']) || text.contains(char::is_whitespace)) {
        return Err("is not a host name alone; the port belongs in smtp_port");
    }
    Ok(host.to_owned())
}

pub(super) fn mail_address(text: &str) -> Result<String, &'static str> {
    let plain = text.is_ascii() && !text.contains(|c: char| c.is_ascii_whitespace() || c.is_control());
    match text.split_once('@') {
        Some((user, host)) if plain && !user.is_empty() && !host.is_empty() && !host.contains('@') => {
            Ok(text.to_owned())
        }
        _ => Err("is not a mail address"),
    }
}

/// The base URL of an API that receives texts of users: over TLS, or on this machine.
pub(super) fn endpoint_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_local => Ok(()),
        "http" => Err("would send texts of users unencrypted"),
        _ => Err("does not begin with https://"),
    }?;
    if url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none() {
        Ok(url)
    } else {
        Err("holds more than a host and a path; a key belongs in suggestions_api_key")
    }
}

/// The URL of a service: a scheme, a host, and perhaps a port and a path.
pub(super) fn public_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    let is_plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    match url.scheme() {
        "http" | "https" if is_plain && url.has_host() => Ok(url),
        "http" | "https" => Err("holds more than a host and a path"),
        _ => Err("does not begin with https:// or http://"),
    }
}

/// A secret that is a valid value of an HTTP header.
pub(super) fn header_secret(text: &str) -> Result<SecretString, &'static str> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(SecretString::from(text))
    } else {
        Err("holds a space, a line break or another character that is not printable ASCII")
    }
}

/// One line of text: 1 to 100 characters without control characters.
pub(super) fn line(text: &str) -> Result<String, &'static str> {
    match text.chars().count() {
        0 => Err("is empty"),
        1..=100 if !text.contains(char::is_control) => Ok(text.to_owned()),
        _ => Err("is longer than 100 characters, or holds a control character"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_predecessors_database_url_is_accepted_with_any_driver() {
        for (given, read) in [
            ("postgresql+psycopg2://fom:pw@db/fom", "postgresql://fom:pw@db/fom"),
            ("postgresql+psycopg://fom:pw@db/fom", "postgresql://fom:pw@db/fom"),
            ("postgresql+psycopg_async://fom:pw@db/fom", "postgresql://fom:pw@db/fom"),
            ("postgresql+asyncpg://fom:a+b@db/fom", "postgresql://fom:a+b@db/fom"),
            ("postgres+pg8000://fom:pw@db/fom?options=a+b://c", "postgres://fom:pw@db/fom?options=a+b://c"),
            ("postgresql://fom:a+b@db/fom", "postgresql://fom:a+b@db/fom"),
        ] {
            let parsed = DatabaseUrl::parse(given).expect(given);
            let DatabaseUrl::Postgres(url) = parsed else { panic!("not PostgreSQL: {parsed:?}") };
            assert_eq!(url.expose(), read);
        }
    }

    #[test]
    fn a_sqlite_path_may_be_relative_or_absolute() {
        for (text, expected) in [
            ("sqlite:data/fom.db", "data/fom.db"),
            ("sqlite://data/fom.db", "data/fom.db"),
            ("sqlite:///var/fom.db", "/var/fom.db"),
            ("sqlite:/var/fom.db", "/var/fom.db"),
        ] {
            let parsed = DatabaseUrl::parse(text).expect("a good path");
            assert!(matches!(&parsed, DatabaseUrl::Sqlite(path) if path.as_os_str() == expected), "{parsed:?}");
        }
    }

    #[test]
    fn other_databases_and_half_a_url_are_refused() {
        for text in [
            "mysql://db/fom",
            "mysql+pymysql://db/fom",
            "postgresql+a b://db/fom",
            "data/fom.db",
            "sqlite:",
            "sqlite::memory:",
            "sqlite:a.db?mode=ro",
        ] {
            assert!(DatabaseUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn origins_are_kept_as_browsers_write_them() {
        let parsed = CorsOrigins::parse("https://Admin.example.org/, http://localhost:4200");
        let expected = ["https://admin.example.org", "http://localhost:4200"].map(str::to_owned);
        assert_eq!(parsed, Ok(CorsOrigins::Only(expected.to_vec())));
        assert_eq!(CorsOrigins::parse("*"), Ok(CorsOrigins::Any));
        assert_eq!(CorsOrigins::parse("none"), Ok(CorsOrigins::Only(Vec::new())));
        for text in [
            "example.org",
            "https://example.org/app",
            "ftp://example.org",
            "https://a.org,*",
            "https://*.example.org",
            "https://*",
            "https://u@a.org",
            "https://a.org/#x",
        ] {
            assert!(CorsOrigins::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ipv6_addresses_are_accepted_with_and_without_brackets() {
        let origin = CorsOrigins::parse("http://[::1]:4200/");
        assert_eq!(origin, Ok(CorsOrigins::Only(vec!["http://[::1]:4200".to_owned()])));
        for text in ["::1", "[::1]"] {
            assert_eq!(host(text), Ok(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)));
            assert_eq!(network(text).map(|network| network.to_string()), Ok("::1/128".to_owned()));
            assert_eq!(mail_host(text), Ok("::1".to_owned()));
        }
        assert!(socket_address("[::1]:9001").is_ok());
        assert!(network("::ffff:10.0.0.0/104").is_err_and(|why| why.contains("write it as IPv4")));
        for text in ["smtp://a", "a:25", "[::1]:25", "a b", "user@a"] {
            assert!(mail_host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_single_address_is_a_network_of_one() {
        assert_eq!(network("10.1.2.3").map(|network| network.to_string()), Ok("10.1.2.3/32".to_owned()));
        assert_eq!(network("fd00::/8").map(|network| network.to_string()), Ok("fd00::/8".to_owned()));
        assert!(network("10.0.0.0/33").is_err());
    }

    #[test]
    fn texts_of_users_leave_this_machine_only_over_tls() {
        for text in
            ["https://api.example.org/v1", "http://localhost:11434/v1", "http://127.0.0.1:8000", "http://[::1]:1"]
        {
            assert!(endpoint_url(text).is_ok(), "{text}");
        }
        for text in
            ["http://api.example.org/v1", "http://localhost.example.org", "http://10.0.0.1", "ftp://localhost", "api"]
        {
            assert!(endpoint_url(text).is_err(), "{text}");
        }
        for text in ["https://user:pw@api.example.org", "https://api.example.org?key=1", "https://api.example.org#a"] {
            assert!(endpoint_url(text).expect_err("more than a host").contains("suggestions_api_key"), "{text}");
        }
    }

    #[test]
    fn a_key_fits_into_a_header() {
        assert!(header_secret("sk-abc_DEF.123").is_ok());
        for text in ["a b", "a\n", "schlüssel"] {
            assert!(header_secret(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_mail_address_has_one_at_and_no_spaces() {
        assert!(mail_address("hello@example.org").is_ok());
        for text in ["hello", "@example.org", "a@b@c", "a b@c", "a@b\r\nBcc: c@d", "ü@example.org"] {
            assert!(mail_address(text).is_err(), "{text}");
        }
    }
}
