//! Checks that concern several settings at once, and the stricter ones of production.

use super::{Settings, error::ConfigProblem, groups::Passwords, reader::ConfigReader, values::SmtpTls};

/// Reports every combination of settings that cannot work. `hooks` is whether this binary has the feature `test-hooks`.
pub(super) fn check(reader: &mut ConfigReader<'_>, passwords: Option<&Passwords>, hooks: bool) {
    let mut problems = Vec::new();
    if reader.environment().is_production() {
        problems.extend(hooks.then(test_hooks));
        problems.extend(missing_secrets(reader));
        problems.extend(equal_secrets(reader));
        problems.extend(passwords.and_then(weak_hashing));
    }
    problems.extend(passwords.and_then(impossible_hashing));
    problems.extend(smtp_without_sender(reader));
    problems.extend(suggestions_without_model(reader));
    problems.into_iter().for_each(|problem| reader.report(problem));
}

fn test_hooks() -> ConfigProblem {
    ConfigProblem {
        key: "faceofmind_env",
        problem: "this binary was built with the feature `test-hooks`, which production must not have".to_owned(),
        remedy: "Build it without that feature.".to_owned(),
    }
}

fn missing_secrets(reader: &ConfigReader<'_>) -> Vec<ConfigProblem> {
    let new_token = "Set it to what `openssl rand -base64 48` prints, and keep it.";
    let new_data_key = "Set it to what `echo \"k1:$(openssl rand -base64 32)\"` prints, and keep it.";
    let needed = [
        ("jwt_secret_token", reader.raw("jwt_access_token").is_some(), new_token),
        ("jwt_refresh_token", false, new_token),
        ("data_key", false, new_data_key),
    ];
    let missing = needed.into_iter().filter(|(key, optional, _)| !optional && reader.raw(key).is_none());
    let problem = |(key, _, remedy): (_, _, &str)| ConfigProblem {
        key,
        problem: "production generates no secret, and this one is not given".to_owned(),
        remedy: remedy.to_owned(),
    };
    missing.map(problem).collect()
}

/// Reports each secret that repeats an earlier one: the leak of one would be the leak of both.
fn equal_secrets(reader: &ConfigReader<'_>) -> Vec<ConfigProblem> {
    let mut earlier: Vec<(&str, &str)> = Vec::new();
    let mut problems = Vec::new();
    for (key, secret) in given_secrets(reader) {
        let same = earlier.iter().find(|(_, other)| *other == secret);
        problems.extend(same.map(|(other, _)| ConfigProblem {
            key,
            problem: format!("holds a secret that {} holds already", other.to_ascii_uppercase()),
            remedy: "Give each its own.".to_owned(),
        }));
        earlier.push((key, secret));
    }
    problems
}

/// The given secrets by their keys. Of a data key it is the part after the id, since the id is public.
fn given_secrets<'a>(reader: &ConfigReader<'a>) -> Vec<(&'static str, &'a str)> {
    let tokens = ["jwt_secret_token", "jwt_access_token", "jwt_refresh_token"];
    let tokens = tokens.into_iter().filter_map(|key| Some((key, reader.raw(key)?)));
    let data_keys = reader.raw("data_key").into_iter().flat_map(|keys| keys.split(','));
    let data_keys = data_keys.map(|key| ("data_key", key.split_once(':').map_or(key, |(_, secret)| secret).trim()));
    tokens.chain(data_keys).collect()
}

/// Memory in KiB and the iterations that it needs. OWASP holds these equally strong (Password Storage Cheat Sheet, Argon2id).
const OWASP: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

fn weak_hashing(passwords: &Passwords) -> Option<ConfigProblem> {
    let (memory, iterations) = (passwords.argon2_memory_kib, passwords.argon2_iterations);
    let strong = OWASP.iter().any(|(kib, passes)| memory >= *kib && iterations >= *passes);
    let choices = OWASP.map(|(kib, passes)| format!("{kib} with {passes}")).join(", ");
    (!strong).then(|| ConfigProblem {
        key: "argon2_memory_kib",
        problem: format!("{memory} with {iterations} ARGON2_ITERATIONS is weaker than OWASP recommends"),
        remedy: format!("Give at least one of {choices}."),
    })
}

fn impossible_hashing(passwords: &Passwords) -> Option<ConfigProblem> {
    let (memory, lanes) = (passwords.argon2_memory_kib, passwords.argon2_parallelism);
    (memory < 8 * lanes).then(|| ConfigProblem {
        key: "argon2_memory_kib",
        problem: format!("{memory} is too little for {lanes} ARGON2_PARALLELISM, at 8 KiB each"),
        remedy: format!("Give at least {}.", 8 * lanes),
    })
}

fn smtp_without_sender(reader: &ConfigReader<'_>) -> Option<ConfigProblem> {
    let is_missing = reader.raw("smtp_host").is_some() && reader.raw("smtp_email").is_none();
    is_missing.then(|| ConfigProblem {
        key: "smtp_email",
        problem: "SMTP_HOST needs a sender address".to_owned(),
        remedy: "Set it to the address that sends the mails.".to_owned(),
    })
}

fn suggestions_without_model(reader: &ConfigReader<'_>) -> Option<ConfigProblem> {
    let is_missing = reader.raw("suggestions_url").is_some() && reader.raw("suggestions_model").is_none();
    is_missing.then(|| ConfigProblem {
        key: "suggestions_model",
        problem: "SUGGESTIONS_URL needs the name of a model".to_owned(),
        remedy: "Set it to the model's name at that endpoint.".to_owned(),
    })
}

/// Settings that work but are risky, one sentence each.
pub(super) fn warnings(settings: &Settings) -> Vec<String> {
    let Settings { service, http, mail, limits, .. } = settings;
    let in_production = service.environment.is_production();
    let exposed = http.operator_addr.filter(|address| !address.ip().is_loopback());
    let generated = settings.missing_secrets();
    let in_clear = mail.tls == SmtpTls::None && mail.password.is_some();
    let candidates = [
        exposed.map(|address| {
            format!(
                "OPERATOR_ADDR {address} serves metrics without log-in to every host that reaches it: use a loopback address"
            )
        }),
        (!generated.is_empty() && !settings.database_url().is_embedded()).then(|| {
            format!(
                "{} not given and therefore generated into DATA_DIR, but the database is a server: a node with another \
                 DATA_DIR rejects this node's tokens and cannot decrypt its texts",
                generated.join(", ")
            )
        }),
        (in_production && mail.host.is_none())
            .then(|| "SMTP_HOST is not set: mails are only written to DATA_DIR/mail, and users get no codes".to_owned()),
        in_clear.then(|| "SMTP_TLS is none: SMTP_PASSWORD and all codes are sent unencrypted".to_owned()),
        (in_production && !limits.rate_limits)
            .then(|| "RATE_LIMITS is off: clients can guess passwords without limit".to_owned()),
    ];
    candidates.into_iter().flatten().collect()
}
