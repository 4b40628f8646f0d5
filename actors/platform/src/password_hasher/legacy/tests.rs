use argon2::Params;
use secrecy::SecretString;

use super::*;
use crate::password_hasher::{
    argon::Cost,
    hash::PasswordHash,
    verify::{self, VerifyOutcome, verify},
};

/// Of most hashes below. It has a character of two bytes.
const PASSWORD: &str = "contraseña 1";
const LONG: &str = "LLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLtail";

/// Written by Django 5.2.3, argon2-cffi 25.1, passlib 1.7.4 and bcrypt 4.3, or with these by the parameters of an earlier version.
const KNOWN: [(HashKind, &str, &str); 26] = [
    (HashKind::Bcrypt, PASSWORD, "$2b$04$qRN0o.LrG6QjHyINtw3R7eT8edBeDirU7Qz/64A2rt9ChPbTPm7Ai"),
    (HashKind::Bcrypt, PASSWORD, "$2a$04$W/AG0iqzFDJaK30IsUrWueYti/P0wSbiF9UlP1XGXbYf/sQOGR4q2"),
    (HashKind::Bcrypt, PASSWORD, "$2y$04$AaTQxFlOX9GzXAy/1CcnQO0legk6A9XdJk5.HLM0rAeJJ5wsJvQCe"),
    (HashKind::Bcrypt, "password123", "$2b$12$QKQ8lYH7c9FwDpRYRXxEtOa/ZZYJ32ZSTavT4L7.sBiAhcGeuDFBC"),
    (HashKind::Bcrypt, "password123", "$2b$10$oFQG2rkakGuC8LGMy2cV5O9FfH.IDVz7hqaHhYUPXSzFF1ijX3O0O"),
    (HashKind::Bcrypt, "password123", "$2a$10$lQbMMMHJFg1aXYH93E/v1.93u8HZcV8EKkibSd84U9DYAWLKLt8z6"),
    (HashKind::Bcrypt, "password123", "$2y$10$KJ1oVkgx5lMB39nkmcnmo.IWCRPPHnjKKqczoHPQMNslIHTAwo/.y"),
    (HashKind::Bcrypt, "abc1", "$2b$10$dbs/1q6NNhM6PZYdHcw17u2G8p0SO3rjAIUqHkpS0yJTOpAtUqNVe"),
    (HashKind::Bcrypt, "contraseña1", "$2b$10$iAz/fte4zjuaVqWK1J2iaOmJeiYA6yR278MS.UmmoFsA8peJguB/u"),
    (HashKind::Bcrypt, "dummyPassword123", "$2b$10$Hhq/pmJ0P3/UJBzvaI/EcOP2P8UOjfr2Lc6YGG/bYloLsk469p8RK"),
    (HashKind::Bcrypt, "", "$2b$10$ZcSpK2BFk5/CfFSMU.LaeevcH8eNafpeobBmn4ZMhCNvXVaSlzKJ6"),
    (HashKind::DjangoBcrypt, PASSWORD, "bcrypt$$2b$04$yXMZ.HAM5qO26vFwbfoVY.7fneJDsydh6Lb2w2CbYILRRt.4Evchi"),
    (HashKind::DjangoBcrypt, PASSWORD, "bcrypt$$2a$04$oEWK/ju1yLQGXfWUE9dzk.H4m1wHykq6ykVq.w3d2T4RPHsNXphmW"),
    (HashKind::DjangoBcrypt, "Str0ng!pass", "bcrypt$$2b$12$l34qQxfCk0KHbrYs42r36u8zaNfAT7sDrJRUUmG8zcVF7xYEiSqvK"),
    (
        HashKind::DjangoBcryptSha256,
        PASSWORD,
        "bcrypt_sha256$$2b$04$./PbK5L9.a6WREkOZU8bhuEq9e81Q1VIOHIjrLKtDJ8lBSFtyGeG.",
    ),
    (HashKind::DjangoBcryptSha256, LONG, "bcrypt_sha256$$2b$04$2l6uzaT68exySOBkGAcXL.xO8TRELsyOjJPYfGYhN7F9PFZMl1WQG"),
    (
        HashKind::DjangoPbkdf2Sha256,
        PASSWORD,
        "pbkdf2_sha256$1$ufNHf9uAwkr9kThUK4onST$PbS3kvyLeK8RExTuHM8Gz0xAjus/AWfZSAzBvxG1In0=",
    ),
    (
        HashKind::DjangoPbkdf2Sha256,
        PASSWORD,
        "pbkdf2_sha256$20000$ufNHf9uAwkr9kThUK4onST$jjuFGBQrvSVqrGwbSSDoLB7YbD+uVwePrGlyXifis58=",
    ),
    (
        HashKind::DjangoPbkdf2Sha256,
        "Str0ng!pass",
        "pbkdf2_sha256$1000000$ufNHf9uAwkr9kThUK4onST$60gwEkswYbDWAuqiZhzsiHTLu5zjJy9gjQapZx8aT0M=",
    ),
    (HashKind::DjangoPbkdf2Sha1, PASSWORD, "pbkdf2_sha1$20000$saltysalt123$vZ/VLNMuziNcJEmnR1aG4OfymBE="),
    (
        HashKind::DjangoArgon2,
        PASSWORD,
        "argon2$argon2id$v=19$m=102400,t=2,p=8$bTE4aXBGNHB3MkZHTEYxYUwxY1E3OA$49LznFWsZsqXi71XpURXhseAFi2FfqkzAdeJJvj+DbU",
    ),
    (HashKind::DjangoArgon2, PASSWORD, "argon2$argon2i$v=19$m=512,t=2,p=2$cFA5ZjJrUXcxeFl6$eHQM/xhiVQb9FlFeHIGW3w"),
    (HashKind::DjangoArgon2, PASSWORD, "argon2$argon2id$v=19$m=512,t=2,p=2$cFA5ZjJrUXcxeFl6$porAFMtC2ty2r90QCJ2d3Q"),
    (
        HashKind::DjangoScrypt,
        PASSWORD,
        "scrypt$16384$0123456789abcdefABCDEF$8$1$RVfFz3Kr/ddl+lHmz72Aj3gAxR2EZCkDVWTOFACgYozAP051Ey6IFuNcGtUPZQ58+skjg9Z/61VaXGzyMkIuGQ==",
    ),
    (
        HashKind::DjangoScrypt,
        PASSWORD,
        "scrypt$16384$0123456789abcdefABCDEF$8$5$YwMJURmuXKFNhtEjN9ftmdW229XzyIsfXX4CeuMvxKH95cK7VS0CGAJbdWdUFHpj02X/gzu5HsZYAeI5bdLzXw==",
    ),
    (
        HashKind::DjangoScrypt,
        PASSWORD,
        "scrypt$16$salt$1$1$ig1nSig7dJdo3/Dmf+jsTnmezMYePrPPF5jkyi/faC+FI7RBkgxfFWqs9RzjEBseBeFAsO/1zxKJ+VPOLKLsQg==",
    ),
];

const SALT_AND_HASH: &str = "qRN0o.LrG6QjHyINtw3R7eT8edBeDirU7Qz/64A2rt9ChPbTPm7Ai";
const PBKDF2_OUTPUT: &str = "PbS3kvyLeK8RExTuHM8Gz0xAjus/AWfZSAzBvxG1In0=";
const SCRYPT_OUTPUT: &str = "ig1nSig7dJdo3/Dmf+jsTnmezMYePrPPF5jkyi/faC+FI7RBkgxfFWqs9RzjEBseBeFAsO/1zxKJ+VPOLKLsQg==";
const ARGON_OUTPUT: &str = "cFA5ZjJrUXcxeFl6$porAFMtC2ty2r90QCJ2d3Q";

fn current() -> Params {
    Cost { memory_kib: 64, iterations: 1, parallelism: 1 }.params().expect("allowed")
}

fn compare(password: &str, hash: &str) -> VerifyOutcome {
    let hash = PasswordHash::stored(hash.to_owned());
    verify(&mut ArgonMemory::default(), &current(), &SecretString::from(password.to_owned()), Some(&hash))
}

/// Why a text is refused before anything is hashed.
fn fault(text: &str) -> Option<HashFault> {
    StoredHash::parse(text, &current()).err()
}

#[test]
fn what_django_and_passlib_wrote_matches_its_password_and_is_outdated() {
    for (kind, password, text) in KNOWN {
        let hash = PasswordHash::stored(text.to_owned());
        assert_eq!((hash.kind(), hash.is_legacy()), (kind, true), "{text}");
        assert_eq!(compare(password, text), VerifyOutcome { matches: true, outdated: true, fault: None }, "{text}");
    }
}

#[test]
fn no_other_password_matches() {
    let is_slow = |text: &str| ["$12$", "$1000000$", "m=102400", "$8$5$"].iter().any(|cost| text.contains(cost));
    for (_, password, text) in KNOWN.into_iter().filter(|(_, _, text)| !is_slow(text)) {
        for other in [format!("x{password}"), password.to_uppercase() + "x", "\0x".to_owned()] {
            assert!(!compare(&other, text).matches, "{other:?} {text}");
        }
    }
}

#[test]
fn a_hash_of_which_one_character_differs_does_not_match() {
    for (_, password, text) in
        KNOWN.into_iter().filter(|(_, _, text)| text.contains("$04$") || text.contains("$20000$"))
    {
        // Not the last, whose lowest bits do not count.
        let at = text.len() - 9;
        let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
        let changed = [&text[..at], other, &text[at + 1..]].concat();
        assert_eq!(
            compare(password, &changed),
            VerifyOutcome { matches: false, outdated: true, fault: None },
            "{changed}"
        );
    }
}

#[test]
fn of_a_password_bcrypt_counts_72_bytes_and_django_with_sha256_all() {
    let of_85 = "$2b$10$jrJ77xC/9e16dZ4xo3L7neOhZRTJUX4GImc/a/obwVdeshxTq/HZS";
    let of_80_in_utf8 = "bcrypt$$2b$04$4uUhx8uIDEIbHnJzCNXLUOBaSRX6ymcLkEG5U8UpaEwzwvlSiwede";
    for (password, text) in [("L", of_85), ("é", of_80_in_utf8)] {
        let bytes_72 = password.repeat(72 / password.len());
        for longer in [bytes_72.clone(), format!("{bytes_72}x"), format!("{bytes_72}{}", "x".repeat(10_000))] {
            assert!(compare(&longer, text).matches, "{} bytes", longer.len());
        }
        assert!(!compare(&bytes_72[password.len()..], text).matches);
    }
    let in_sha256 = "bcrypt_sha256$$2b$04$2l6uzaT68exySOBkGAcXL.xO8TRELsyOjJPYfGYhN7F9PFZMl1WQG";
    assert!(!compare(&LONG[..83], in_sha256).matches, "one character less");
}

#[test]
fn a_password_with_a_nul_matches_no_bcrypt_hash() {
    let of_a_nul_b = "bcrypt$$2b$04$8kawxqbv/Xw2UZLOjgIoPO0ecOfdwlV7m4sBMhIQmEvSBorGyv33u";
    for password in ["a\0b", "a", "a\0", "\0", "a\0b\0a\0b"] {
        assert!(!compare(password, of_a_nul_b).matches, "{password:?}");
    }
}

#[test]
fn a_password_matches_as_typed_and_in_normalization_form_c() {
    let hash = "$2b$04$qRN0o.LrG6QjHyINtw3R7eT8edBeDirU7Qz/64A2rt9ChPbTPm7Ai";
    let (matching, decomposed) = (VerifyOutcome { matches: true, outdated: true, fault: None }, "contrasen\u{303}a 1");
    assert_eq!(compare(decomposed, hash), matching);
    // Django made it of the decomposed password.
    let of_decomposed = "bcrypt$$2b$04$9d/kELtTO1Rtu9cqzuPRP.hiEuReE01eKka5JYkLG.t.bWXkIF79u";
    assert_eq!(compare(decomposed, of_decomposed), matching);
    assert!(!compare(PASSWORD, of_decomposed).matches, "it cannot be known");
}

#[test]
fn bits_after_the_last_byte_of_a_salt_do_not_count() {
    let known = "$2b$04$qRN0o.LrG6QjHyINtw3R7eT8edBeDirU7Qz/64A2rt9ChPbTPm7Ai";
    let padded = "$2b$04$qRN0o.LrG6QjHyINtw3R7fT8edBeDirU7Qz/64A2rt9ChPbTPm7Ai";
    assert!(compare(PASSWORD, known).matches && compare(PASSWORD, padded).matches);
}

#[test]
fn what_is_malformed_is_refused_before_anything_is_hashed() {
    let long = format!("pbkdf2_sha256$1${}${PBKDF2_OUTPUT}", "s".repeat(MAX_BYTES));
    let malformed = [
        "",
        " ",
        "password123",
        "dummyPassword123",
        "$",
        "$$$$$$",
        "ñandú$$2b$12$ñ",
        // bcrypt
        "$2b$12$short",
        "$2b$",
        "$2b$12$",
        "bcrypt$",
        "bcrypt$$",
        "bcrypt_sha256$$2b$04$",
        &format!("$2x$04${SALT_AND_HASH}"),
        &format!("$2$04${SALT_AND_HASH}"),
        &format!("$2b$4${SALT_AND_HASH}"),
        &format!("$2b$4 ${SALT_AND_HASH}"),
        &format!("$2b$+4${SALT_AND_HASH}"),
        &format!("$2b$-1${SALT_AND_HASH}"),
        &format!("$2b$03${SALT_AND_HASH}"),
        &format!("$2b$00${SALT_AND_HASH}"),
        &format!("$2b$32${SALT_AND_HASH}"),
        &format!("$2b$99${SALT_AND_HASH}"),
        &format!("$2b$04${SALT_AND_HASH}i"),
        &format!("$2b$04${}", &SALT_AND_HASH[1..]),
        &format!("$2b$04$-{}", &SALT_AND_HASH[1..]),
        &format!("$2b$04${}=", &SALT_AND_HASH[1..]),
        &format!("$2b$04$ñ{}", &SALT_AND_HASH[2..]),
        &format!(" $2b$04${SALT_AND_HASH}"),
        &format!("$2b$04${SALT_AND_HASH}\n"),
        &format!("bcrypt$2b$04${SALT_AND_HASH}"),
        &format!("bcrypt$$$2b$04${SALT_AND_HASH}"),
        // PBKDF2
        "pbkdf2_sha256$",
        "pbkdf2_sha256$1",
        "pbkdf2_sha256$1$salt",
        "pbkdf2_sha256$1$salt$",
        "pbkdf2_sha256$1$salt$AA==",
        &format!("pbkdf2_sha256$1$${PBKDF2_OUTPUT}"),
        &format!("pbkdf2_sha256$0$salt${PBKDF2_OUTPUT}"),
        &format!("pbkdf2_sha256$$salt${PBKDF2_OUTPUT}"),
        &format!("pbkdf2_sha256$-1$salt${PBKDF2_OUTPUT}"),
        &format!("pbkdf2_sha256$+1$salt${PBKDF2_OUTPUT}"),
        &format!("pbkdf2_sha256$01$salt${PBKDF2_OUTPUT}"),
        &format!("pbkdf2_sha256$1e3$salt${PBKDF2_OUTPUT}"),
        &format!("pbkdf2_sha256$\u{661}$salt${PBKDF2_OUTPUT}"),
        &format!("pbkdf2_sha256$1$salt${PBKDF2_OUTPUT}$"),
        &format!("pbkdf2_sha256$1$salt${}", PBKDF2_OUTPUT.trim_end_matches('=')),
        &format!("pbkdf2_sha1$1$salt${PBKDF2_OUTPUT}"),
        &format!("pbkdf2_sha512$1$salt${PBKDF2_OUTPUT}"),
        &format!("PBKDF2_SHA256$1$salt${PBKDF2_OUTPUT}"),
        &long,
        // Argon2
        "argon2$",
        "argon2$argon2id$",
        "argon2$argon2id$v=19$m=512,t=2,p=2$$",
        &format!("argon2$$argon2id$v=19$m=512,t=2,p=2${ARGON_OUTPUT}"),
        &format!("argon2$argon2d$v=19$m=512,t=2,p=2${ARGON_OUTPUT}"),
        &format!("argon2$argon2id$v=16$m=512,t=2,p=2${ARGON_OUTPUT}"),
        &format!("argon2$argon2id$m=512,t=2,p=2${ARGON_OUTPUT}"),
        &format!("argon2$argon2id$v=19$m=0,t=2,p=2${ARGON_OUTPUT}"),
        &format!("argon2$argon2id$v=19$m=512,t=0,p=2${ARGON_OUTPUT}"),
        &format!("argon2$argon2id$v=19$m=512,t=2,p=0${ARGON_OUTPUT}"),
        &format!("argon2$argon2id$v=19$m=512,t=2,p=4294967295${ARGON_OUTPUT}"),
        &format!("argon2$argon2id$v=19$m=99999999999,t=2,p=2${ARGON_OUTPUT}"),
        &format!("argon2$argon2id$v=19$m=512,t=2,p=2$c2FsdA${}", &ARGON_OUTPUT[17..]),
        &format!("$argon2i$v=19$m=512,t=2,p=2${ARGON_OUTPUT}"),
        // scrypt
        "scrypt$",
        "scrypt$16$salt$1$1$",
        "scrypt$16$salt$1$1$AA==",
        &format!("scrypt$salt$16$1$1${SCRYPT_OUTPUT}"),
        &format!("scrypt$16$$1$1${SCRYPT_OUTPUT}"),
        &format!("scrypt$0$salt$1$1${SCRYPT_OUTPUT}"),
        &format!("scrypt$1$salt$1$1${SCRYPT_OUTPUT}"),
        &format!("scrypt$17$salt$1$1${SCRYPT_OUTPUT}"),
        &format!("scrypt$16$salt$0$1${SCRYPT_OUTPUT}"),
        &format!("scrypt$16$salt$1$0${SCRYPT_OUTPUT}"),
        &format!("scrypt$16$salt$1$1$1${SCRYPT_OUTPUT}"),
        &format!("scrypt$16$salt$1${SCRYPT_OUTPUT}"),
        // Not written by Django's own hashers of today, nor by passlib with bcrypt alone.
        "md5$salt$d41d8cd98f00b204e9800998ecf8427e",
        "sha1$salt$da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "$pbkdf2-sha256$29000$c2FsdA$1t8iyB2A.WF/Z5JZv.lfCIhXXN33N23OSgQYThBYRfk",
        "$bcrypt-sha256$v=2,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2",
    ];
    for text in malformed {
        assert_eq!(fault(text), Some(HashFault::Malformed), "{text}");
        assert_eq!(compare(text, text).fault, Some(HashFault::Malformed), "a password in clear is no hash: {text}");
    }
}

/// No clock: a hash that is refused here is never begun.
#[test]
fn what_is_too_dear_is_refused_before_anything_is_hashed() {
    let scrypt = |n: u64, r: u64, p: u64| format!("scrypt${n}$salt${r}${p}${SCRYPT_OUTPUT}");
    let pbkdf2 = |rounds: u64| format!("pbkdf2_sha256${rounds}$salt${PBKDF2_OUTPUT}");
    let argon2 = |m: u64, t: u64| format!("argon2$argon2id$v=19$m={m},t={t},p=1${ARGON_OUTPUT}");
    for dear in [
        format!("$2b$16${SALT_AND_HASH}"),
        format!("$2b$31${SALT_AND_HASH}"),
        format!("bcrypt$$2b$31${SALT_AND_HASH}"),
        format!("bcrypt_sha256$$2b$16${SALT_AND_HASH}"),
        pbkdf2(2_000_001),
        pbkdf2(4_000_000_000),
        pbkdf2(u64::MAX),
        "pbkdf2_sha1$2000001$salt$vZ/VLNMuziNcJEmnR1aG4OfymBE=".to_owned(),
        argon2((1 << 20) + 1, 1),
        argon2(1 << 20, 5),
        argon2(64, u32::MAX.into()),
        scrypt(1 << 18, 8, 1),
        scrypt(1 << 17, 16, 1),
        scrypt(1 << 17, 8, 6),
        scrypt(2, 33, 1),
        scrypt(2, 1, 65),
        scrypt(1 << 31, 8, 1),
        scrypt(1 << 63, 1, 1),
        scrypt(2, u32::MAX.into(), u32::MAX.into()),
        scrypt(16, 1, u64::MAX),
    ] {
        assert_eq!(fault(&dear), Some(HashFault::TooDear), "{dear}");
    }
    for admitted in [
        format!("$2b$15${SALT_AND_HASH}"),
        format!("bcrypt$$2b$15${SALT_AND_HASH}"),
        pbkdf2(1_200_000),
        pbkdf2(1_500_000),
        pbkdf2(2_000_000),
        argon2(102_400, 2),
        argon2(1 << 20, 4),
        scrypt(1 << 17, 8, 1),
        scrypt(1 << 17, 8, 5),
        scrypt(1 << 14, 8, 5),
    ] {
        assert_eq!(fault(&admitted), None, "{admitted}");
    }
}

#[test]
fn a_hash_weighs_as_many_hashes_of_this_program_as_take_its_time() {
    let default = Cost::default().params().expect("allowed");
    let weight = |text: &str| verify::weight(Some(&PasswordHash::stored(text.to_owned())), &default);
    let scrypt = |n: u32, p: u32| format!("scrypt${n}$salt$8${p}${SCRYPT_OUTPUT}");
    for (text, expected) in [
        (format!("$argon2id$v=19$m=19456,t=2,p=1${ARGON_OUTPUT}"), 1),
        (format!("argon2$argon2id$v=19$m=102400,t=2,p=8${ARGON_OUTPUT}"), 6),
        (format!("$2b$04${SALT_AND_HASH}"), 1),
        (format!("$2b$12${SALT_AND_HASH}"), 8),
        (format!("bcrypt$$2b$15${SALT_AND_HASH}"), 64),
        (format!("pbkdf2_sha256$1000000$salt${PBKDF2_OUTPUT}"), 21),
        (scrypt(1 << 14, 1), 2),
        (scrypt(1 << 17, 1), 14),
        ("malformed".to_owned(), 1),
        (format!("$2b$31${SALT_AND_HASH}"), 1),
    ] {
        assert_eq!(weight(&text), expected, "{text}");
    }
    assert_eq!(verify::weight(None, &default), 1);
    let dearer = Cost { memory_kib: 19_456 * 8, ..Cost::default() }.params().expect("allowed");
    let bcrypt = PasswordHash::stored(format!("$2b$12${SALT_AND_HASH}"));
    assert_eq!(verify::weight(Some(&bcrypt), &dearer), 1);
    assert_eq!(verify::weight(Some(&bcrypt), &current()), 8, "cheap hashes do not make it weigh more");
}

#[test]
fn an_unusable_hash_matches_no_password() {
    for text in ["!", "!EdBfTchy4NfkWqR6AECAsxc0XeX27DFsKOkxV5Hc", &format!("!$2b$04${SALT_AND_HASH}")] {
        assert_eq!(PasswordHash::stored(text.to_owned()).kind(), HashKind::DjangoUnusable);
        for password in ["", "!", text, PASSWORD] {
            let refused = VerifyOutcome { matches: false, outdated: false, fault: Some(HashFault::Unusable) };
            assert_eq!(compare(password, text), refused);
        }
    }
}

/// Cuts, doubles and replaces parts of known hashes, by every position: whatever is stored, it is read without a panic.
#[test]
fn no_text_makes_reading_panic() {
    let parts = ["", "$", "$$", "ñ", "\0", "=", "0", "99999999999999999999", "-1", " ", "\u{202e}", ","];
    for (_, _, text) in KNOWN {
        for at in 0..=text.len() {
            let (before, after) = text.split_at(at);
            for part in parts {
                let _any = fault(&format!("{before}{part}{after}"));
                let _any = fault(&format!("{before}{part}"));
                let _any = fault(&format!("{part}{after}"));
                let _any = fault(&format!("{before}{part}{}", after.get(1..).unwrap_or_default()));
            }
        }
    }
}

#[test]
fn a_kind_is_printed_without_the_hash() {
    for (kind, _, text) in KNOWN {
        let hash = PasswordHash::stored(text.to_owned());
        assert_eq!(format!("{hash:?}"), "PasswordHash(…)");
        assert!(!kind.to_string().contains('$'));
    }
    assert_eq!(PasswordHash::stored("hunter2".to_owned()).kind().to_string(), "unknown");
}
