//! What settings ask of one another, and what production asks of them together.

use super::{Settings, groups::Passwords, reader::Reader, values::SmtpTls};

/// What is wrong with the setting `key` in view of others.
pub(super) struct Fault {
    pub(super) key: &'static str,
    pub(super) problem: String,
    pub(super) remedy: String,
}

/// Reports all that does not go together. `hooks` tells whether this binary has doors for tests.
pub(super) fn check(reader: &mut Reader<'_>, passwords: Option<&Passwords>, hooks: bool) {
    let mut faults = Vec::new();
    if reader.environment().is_production() {
        faults.extend(hooks.then(test_hooks));
        faults.extend(missing_secrets(reader));
        faults.extend(equal_secrets(reader));
        faults.extend(passwords.and_then(weak_hashing));
    }
    faults.extend(passwords.and_then(impossible_hashing));
    faults.extend(mail_from_nobody(reader));
    faults.extend(suggestions_by_nobody(reader));
    faults.into_iter().for_each(|fault| reader.report(fault));
}

fn test_hooks() -> Fault {
    Fault {
        key: "faceofmind_env",
        problem: "this binary was built with the feature `test-hooks`, which production must not have".to_owned(),
        remedy: "Build it without that feature.".to_owned(),
    }
}

fn missing_secrets(reader: &Reader<'_>) -> Vec<Fault> {
    let new_token = "Set it to what `openssl rand -base64 48` prints, and keep it.";
    let new_data_key = "Set it to what `echo \"k1:$(openssl rand -base64 32)\"` prints, and keep it.";
    let needed = [
        ("jwt_secret_token", reader.given("jwt_access_token").is_some(), new_token),
        ("jwt_refresh_token", false, new_token),
        ("data_key", false, new_data_key),
    ];
    let missing = needed.into_iter().filter(|(key, spared, _)| !spared && reader.given(key).is_none());
    let fault = |(key, _, remedy): (_, _, &str)| Fault {
        key,
        problem: "production signs and seals only with secrets that it was given".to_owned(),
        remedy: remedy.to_owned(),
    };
    missing.map(fault).collect()
}

/// One fault for each secret that repeats an earlier one: who learns one would have the other.
fn equal_secrets(reader: &Reader<'_>) -> Vec<Fault> {
    let mut earlier: Vec<(&str, &str)> = Vec::new();
    let mut faults = Vec::new();
    for (key, secret) in given_secrets(reader) {
        let same = earlier.iter().find(|(_, other)| *other == secret);
        faults.extend(same.map(|(other, _)| Fault {
            key,
            problem: format!("holds a secret that {} holds already", other.to_ascii_uppercase()),
            remedy: "Give each its own.".to_owned(),
        }));
        earlier.push((key, secret));
    }
    faults
}

/// Each given secret by its key; of the data keys the part after the id, for that is what is secret.
fn given_secrets<'a>(reader: &Reader<'a>) -> Vec<(&'static str, &'a str)> {
    let tokens = ["jwt_secret_token", "jwt_access_token", "jwt_refresh_token"];
    let tokens = tokens.into_iter().filter_map(|key| Some((key, reader.given(key)?)));
    let data_keys = reader.given("data_key").into_iter().flat_map(|keys| keys.split(','));
    let data_keys = data_keys.map(|key| ("data_key", key.split_once(':').map_or(key, |(_, secret)| secret).trim()));
    tokens.chain(data_keys).collect()
}

/// The choices that OWASP holds equally strong (Password Storage Cheat Sheet, Argon2id): KiB and the passes they need.
const OWASP: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

fn weak_hashing(passwords: &Passwords) -> Option<Fault> {
    let (memory, iterations) = (passwords.argon2_memory_kib, passwords.argon2_iterations);
    let strong = OWASP.iter().any(|(kib, passes)| memory >= *kib && iterations >= *passes);
    let choices = OWASP.map(|(kib, passes)| format!("{kib} with {passes}")).join(", ");
    (!strong).then(|| Fault {
        key: "argon2_memory_kib",
        problem: format!("{memory} with {iterations} ARGON2_ITERATIONS is weaker than OWASP asks"),
        remedy: format!("Give at least one of {choices}."),
    })
}

fn impossible_hashing(passwords: &Passwords) -> Option<Fault> {
    let (memory, lanes) = (passwords.argon2_memory_kib, passwords.argon2_parallelism);
    (memory < 8 * lanes).then(|| Fault {
        key: "argon2_memory_kib",
        problem: format!("{memory} is too little for {lanes} ARGON2_PARALLELISM, at 8 KiB each"),
        remedy: format!("Give at least {}.", 8 * lanes),
    })
}

fn mail_from_nobody(reader: &Reader<'_>) -> Option<Fault> {
    let nobody = reader.given("smtp_host").is_some() && reader.given("smtp_email").is_none();
    nobody.then(|| Fault {
        key: "smtp_email",
        problem: "mails that go to SMTP_HOST need a sender".to_owned(),
        remedy: "Set it to the address that mails are from.".to_owned(),
    })
}

fn suggestions_by_nobody(reader: &Reader<'_>) -> Option<Fault> {
    let nobody = reader.given("suggestions_url").is_some() && reader.given("suggestions_model").is_none();
    nobody.then(|| Fault {
        key: "suggestions_model",
        problem: "SUGGESTIONS_URL needs to be told which model shall write".to_owned(),
        remedy: "Set it to the model's name there.".to_owned(),
    })
}

/// What may be meant so, yet deserves a look: one sentence each.
pub(super) fn warnings(settings: &Settings) -> Vec<String> {
    let Settings { service, http, mail, limits, .. } = settings;
    let in_production = service.environment.is_production();
    let exposed = http.operator_addr.filter(|address| !address.ip().is_loopback());
    let generated = settings.missing_secrets();
    let in_clear = mail.tls == SmtpTls::None && mail.password.is_some();
    let candidates = [
        exposed.map(|address| {
            format!(
                "OPERATOR_ADDR {address} answers without log-in to whoever reaches it; keep it on a loopback address"
            )
        }),
        (!generated.is_empty() && !settings.database_url().is_embedded()).then(|| {
            format!(
                "{} not given, so generated into DATA_DIR, while the database is a server: other nodes, or this one \
                 with another DATA_DIR, will refuse this one's tokens and cannot open what it sealed",
                generated.join(", ")
            )
        }),
        (in_production && mail.host.is_none())
            .then(|| "SMTP_HOST is not set: mails are written to DATA_DIR/mail, and nobody gets a code".to_owned()),
        in_clear.then(|| "SMTP_TLS is none: SMTP_PASSWORD and every code travel in clear".to_owned()),
        (in_production && !limits.rate_limits)
            .then(|| "RATE_LIMITS is off: passwords may be guessed without end".to_owned()),
    ];
    candidates.into_iter().flatten().collect()
}
