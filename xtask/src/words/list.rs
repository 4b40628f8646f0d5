//! The words that the project has retired, and the phrases in which they keep their plain meaning.

/// Words of one retired name, in lower case, and what takes their place.
pub(super) struct Retired {
    pub(super) words: &'static [&'static str],
    pub(super) instead: &'static str,
}

/// A phrase in lower case, its words parted by spaces, that may contain a retired word.
pub(super) struct Allowed {
    pub(super) phrase: &'static str,
    /// The end of the path of the only file that may contain it; empty for every file.
    pub(super) only_in: &'static str,
    /// Why the word is right there.
    #[expect(dead_code, reason = "is for the reader of this list")]
    pub(super) why: &'static str,
}

/// Files and folders that are not checked, by the beginning or the end of their path.
pub(super) const EXEMPT: &[&str] = &[
    // The databases keep checksums of applied migrations.
    "migrations",
    "Cargo.lock",
    "LICENSE",
    "xtask/src/words.rs",
    "xtask/src/words/list.rs",
    // What the version before the renames wrote.
    "tests/fixtures/upgrade",
    // What the predecessor's users wrote.
    "tests/fixtures/legacy",
    // What people may say in distress.
    "suggestions/crisis/tests/sentences.rs",
    "suggestions/crisis/tests/crisis.txt",
    "suggestions/crisis/tests/ordinary.txt",
];

/// Files of phrases that people say or read: only their comments are checked.
pub(super) const COMMENTS_ONLY: &[&str] = &["config/crisis.toml", "config/suggestions.toml"];

/// The extensions of mail templates and of their snapshots: people read them, so they may name people.
pub(super) const TEMPLATES: &[&str] = &["html", "snap", "txt"];

const fn retired(words: &'static [&'static str], instead: &'static str) -> Retired {
    Retired { words, instead }
}

/// Retired in texts and in names of every kind.
pub(super) const NAMES: &[Retired] = &[
    retired(&["house", "houses"], "actor system"),
    retired(&["room", "rooms"], "module, service or actor"),
    retired(&["desk", "desks"], "service, or batch writer"),
    retired(&["errand", "errands"], "task"),
    retired(&["vigil", "vigils"], "login watch"),
    retired(&["sitting", "sittings"], "batch transaction"),
    retired(&["crew", "crews"], "actor set"),
    retired(&["neighbour", "neighbours", "neighbor", "neighbors"], "deps"),
    retired(&["ground", "grounds"], "resources"),
    retired(&["letter", "letters"], "message, request, or mail template"),
    retired(&["farewell", "farewells"], "the event `user.deleted`"),
    retired(&["ledger", "ledgers"], "service, or counter store"),
    retired(&["clerk", "clerks"], "the actor's name"),
    retired(&["seat", "seats"], "feed permit"),
    retired(&["nudge", "nudges", "nudged", "nudging"], "peer signal"),
    retired(&["carrier", "carriers"], "publisher actor"),
    retired(&["tally", "tallies", "tallied"], "counts, or statistics"),
    retired(&["tenant", "tenants"], "actor reference"),
    retired(&["guest", "guests"], "tracked stream"),
    retired(&["latch", "latches"], "shutdown signal"),
    retired(&["birth", "births"], "spawn arguments"),
    retired(&["trap", "traps"], "fail point"),
    retired(&["defuse", "defused", "defuses"], "sanitize"),
    retired(&["bury", "buried", "buries"], "dead-letter"),
    retired(&["reseal", "reseals", "resealed", "resealing"], "re-encrypt, or key rotation"),
    retired(&["seal", "seals", "sealed", "sealing"], "encrypt, or encrypted"),
];

/// Retired as words of a sentence: the subject is the client, the caller, the user, the publisher.
pub(super) const PEOPLE: &[Retired] = &[retired(
    &["whoever", "whomever", "somebody", "nobody", "anybody", "everybody"],
    "the subject: the client, the caller, the user …",
)];

const fn allowed(phrase: &'static str, why: &'static str) -> Allowed {
    Allowed { phrase, only_in: "", why }
}

const fn allowed_in(only_in: &'static str, phrase: &'static str, why: &'static str) -> Allowed {
    Allowed { phrase, only_in, why }
}

/// Each phrase must occur.
pub(super) const ALLOWED: &[Allowed] = &[
    allowed("sealed v", "begins stored texts: `sealed:v1:`"),
    allowed("dead letter", "is the field's word for a mail job that was given up"),
    allowed("dead letters", "is the field's word for mail jobs that were given up"),
    allowed("ascii letters", "are of the alphabet"),
    allowed("letters digits", "are of the alphabet"),
    allowed("letters and digits", "are of the alphabet"),
    allowed("letter spacing", "is a property of CSS"),
    allowed("emotion tally", "is a field of the API"),
    allowed("intensity tally", "is a field of the API"),
    allowed("somebody else wrote this", "is a text of the API that clients may show"),
    allowed("our letters go there", "stands in a mail that users get"),
    allowed_in("suggestions/text.rs", "letter", "is of the alphabet: that file compares words letter by letter"),
    allowed_in("suggestions/text.rs", "letters", "are of the alphabet"),
    allowed_in("suggestions/look_alikes.rs", "letter", "is of the alphabet: that file maps characters to letters"),
    allowed_in("suggestions/look_alikes.rs", "letters", "are of the alphabet"),
    allowed("seal in place append tag", "is a function of aws-lc-rs"),
    allowed("help whoever finds this file", "stands in exports, which do not change"),
    allowed("config sealed", "is NATS's word for a stream that takes no more messages"),
    allowed("is sealed or denies deleting", "speaks of a stream of NATS"),
];
