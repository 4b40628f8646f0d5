//! A whole house on each database, and the people who live in it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use jiff::tz::TimeZone;
use mail_parser::MessageParser;
use secrecy::SecretString;
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::*;
use crate::{Crew, Ground, House, Settings};
use faceofmind_domain::accounts::{PasswordRules, Registration, VerifyError};
use faceofmind_domain::logins::{Attempt, LogInError, LogInLimits, LoggedIn, TokenSettings};
use faceofmind_domain::{accounts, community, logins};
use faceofmind_model::event::{EventContext, Initiator};
use faceofmind_model::user::{Email, User};
use faceofmind_platform::encryption::Keyring;
use faceofmind_platform::mail::{Renderer, Transport};
use faceofmind_platform::otp::OtpSettings;
use faceofmind_platform::password_hasher;
use faceofmind_platform::rate_limit::Limit;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A password that all rules take.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Seals with a key that is no secret.
pub(crate) fn keyring() -> Keyring {
    Keyring::new([("test", [9; 32].as_slice())]).expect("a key")
}

/// A house at work, and what it stands on.
pub(crate) struct World {
    pub(crate) house: House,
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    pub(crate) folder: PathBuf,
    /// Mails by recipient, in the order in which they were found.
    read: Arc<Mutex<BTreeMap<PathBuf, Received>>>,
}

/// A mail as its reader has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) to: String,
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) text: String,
}

impl Received {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mail = MessageParser::default().parse(bytes).expect("a mail");
        Self {
            to: mail.to().and_then(|to| to.first()?.address.as_deref()).expect("a recipient").to_owned(),
            id: mail.message_id().expect("a Message-ID").to_owned(),
            subject: mail.subject().expect("a subject").to_owned(),
            text: mail.body_text(0).expect("a text").into_owned(),
        }
    }

    /// The only run of six digits.
    pub(crate) fn code(&self) -> Option<SecretString> {
        let run = self.text.split(|c: char| !c.is_ascii_digit()).find(|run| run.len() == 6)?;
        Some(SecretString::from(run.to_owned()))
    }
}

/// Bounds as in production, but for hashes, which cost next to nothing.
pub(crate) fn bounds() -> Settings {
    let secret = |text: &str| SecretString::from(format!("{text}{}", "-".repeat(40)));
    let limit = |name, most, within| Limit { name, most, within };
    Settings {
        hasher: password_hasher::Settings {
            cost: password_hasher::Cost { memory_kib: 64, iterations: 1, parallelism: 1 },
            workers: 2,
            queue: 256,
            deadline: Duration::from_secs(20),
        },
        registry: accounts::Settings {
            passwords: PasswordRules { min_score: 0 },
            registrations: limit("registrations", 60, Duration::from_secs(3600)),
        },
        logins: logins::Settings {
            refresh_life: 30 * DAY,
            reuse_grace: Duration::from_secs(10),
            limits: LogInLimits {
                by_address: limit("failed-log-ins", 10, Duration::from_secs(600)),
                by_strangers: limit("failed-log-ins-by-strangers", 100, DAY),
            },
            tokens: TokenSettings {
                access_keys: vec![secret("access")],
                refresh_key: secret("refresh"),
                issuer: "faceofmind".into(),
                audience: None,
                access_seconds: 1800,
            },
        },
        otp: OtpSettings::default(),
        community: community::Settings {
            posts: limit("posts", 30, Duration::from_secs(3600)),
            comments: limit("comments", 120, Duration::from_secs(3600)),
        },
        publisher: outbox::Settings::default(),
        limits: true,
    }
}

/// A house on each database.
pub(crate) async fn worlds() -> Vec<World> {
    let mut worlds = Vec::new();
    for db in databases().await {
        worlds.push(World::open(db).await);
    }
    worlds
}

impl World {
    /// A house on that database, which writes its mails into a folder of its own.
    pub(crate) async fn open(db: Database) -> Self {
        let folder = new_folder();
        let transport = Transport::files(&folder);
        Self::with(db, transport, None, &Clock::system(), bounds()).await.reading(folder)
    }

    /// Whose mails are in that folder.
    pub(crate) fn reading(self, folder: PathBuf) -> Self {
        Self { folder, ..self }
    }

    pub(crate) async fn with(
        db: Database,
        transport: Transport,
        nats: Option<Nats>,
        clock: &Clock,
        bounds: Settings,
    ) -> Self {
        let ground = Ground {
            db: db.clone(),
            redis: None,
            nats,
            transport,
            renderer: Renderer::new(Renderer::DEFAULT_SENDER, "FaceofMind").expect("the templates are well formed"),
            code_key: vec![7; 32],
            keyring: keyring(),
            endpoint: None,
            time_zone: TimeZone::UTC,
            clock: clock.clone(),
            rng: Rng::system(),
        };
        let house = House::open(ground, bounds, Crew::All).await.expect("opens");
        Self { house, db, clock: clock.clone(), folder: PathBuf::new(), read: Arc::default() }
    }

    pub(crate) fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    /// All mails to that address, oldest first.
    pub(crate) fn mails(&self, to: &str) -> Vec<Received> {
        let mut read = self.read.lock().expect("no test panicked with it");
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "eml") && !read.contains_key(&path) {
                let mail = Received::parse(&std::fs::read(&path).expect("readable"));
                read.insert(path, mail);
            }
        }
        read.values().filter(|mail| mail.to == to).cloned().collect()
    }

    /// Waits until so many mails have come to that address; the last.
    pub(crate) async fn mail(&self, to: &str, count: usize) -> Received {
        until("the mail comes", async || self.mails(to).len() >= count).await;
        let mails = self.mails(to);
        assert_eq!(mails.len(), count, "{mails:?}");
        mails.into_iter().next_back().expect("counted")
    }

    /// Waits until nothing is to be mailed any more.
    pub(crate) async fn all_is_mailed(&self) {
        until("the queue is empty", async || self.house.mailer.count().await.is_ok_and(|queue| queue.waiting == 0))
            .await;
    }

    pub(crate) async fn register(&self, who: &str, password: &str, from: &str) {
        let registration = Registration {
            email: email(who),
            password: secret(password),
            first_name: format!("Ada {from}"),
            last_name: "Lovelace".into(),
        };
        self.house.registry.register(registration, &client(from)).await.expect("registers");
    }

    pub(crate) async fn verify(&self, who: &str, mail: &Received) -> Result<User, VerifyError> {
        self.house.registry.verify(&email(who), &mail.code().expect("a code"), &client("phone")).await
    }

    /// Somebody with a verified address.
    pub(crate) async fn person(&self, who: &str) -> User {
        self.register(who, PASSWORD, "phone").await;
        let mail = self.mail(who, 1).await;
        self.verify(who, &mail).await.expect("verifies")
    }

    pub(crate) async fn log_in(&self, who: &str, password: &str) -> Result<LoggedIn, LogInError> {
        let attempt = Attempt { email: email(who), password: secret(password), client: client("phone") };
        self.house.logins.log_in(attempt).await
    }

    /// A verified person who has logged in.
    pub(crate) async fn logged_in(&self, who: &str) -> LoggedIn {
        self.person(who).await;
        self.log_in(who, PASSWORD).await.expect("logs in")
    }

    pub(crate) async fn is_good(&self, logged_in: &LoggedIn) -> bool {
        self.house.logins.identify(&logged_in.access_token).await.is_ok()
    }

    pub(crate) async fn admin(&self, who: &str) -> User {
        let new = accounts::NewAdmin { email: email(who), first_name: "Root".into(), last_name: "Admin".into() };
        self.house.registry.create_admin(new, secret(PASSWORD)).await.expect("creates")
    }

    /// Lets an actor panic, and waits until it is at work again.
    pub(crate) async fn kill(&self, actor: &str) {
        let restarts = || self.restarts(actor);
        let before = restarts();
        self.house.tree.child(actor).expect("an actor of that name").panic();
        until("it is restarted", async || restarts() == before + 1 && self.runs(actor)).await;
    }

    fn restarts(&self, actor: &str) -> u64 {
        self.house.tree.snapshot().iter().find(|row| row.name == actor).expect("a row").restarts
    }

    fn runs(&self, actor: &str) -> bool {
        let rows = self.house.tree.snapshot();
        rows.iter().any(|row| row.name == actor && row.state == faceofmind_runtime::ActorState::Running)
    }

    /// The number that a query gives.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        let mut reader = self.db.read_conn().await.expect("reads");
        let (number,): (i64,) =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).fetch_one(c).await).expect("a number");
        number
    }

    pub(crate) async fn run(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        let mut tx = self.db.begin().await.expect("begins");
        with_conn!(tx.connection(), c => sqlx::query(sql).execute(c).await.map(drop)).expect("runs");
        tx.commit().await.expect("commits");
    }

    /// The names of the events recorded about a user, in their order.
    pub(crate) async fn told(&self, user: UserId) -> Vec<String> {
        let mut reader = self.db.read_conn().await.expect("reads");
        let sql = "SELECT envelope FROM events WHERE user_id = $1 ORDER BY seq";
        let rows: Vec<(String,)> =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).bind(user).fetch_all(c).await).expect("events");
        let name = |envelope: &str| {
            let envelope: Value = serde_json::from_str(envelope).expect("JSON");
            envelope["type"].as_str().expect("a type").trim_start_matches("faceofmind.v1.").to_owned()
        };
        rows.iter().map(|(envelope,)| name(envelope)).collect()
    }
}

/// A folder that does not exist yet.
pub(crate) fn new_folder() -> PathBuf {
    std::env::temp_dir().join(format!("mail_{}", Rng::system().uuid_v7(Clock::system().now()).simple()))
}

pub(crate) fn email(who: &str) -> Email {
    Email::parse(who).expect("an address")
}

pub(crate) fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

pub(crate) fn client(address: &str) -> faceofmind_model::RequestContext {
    faceofmind_model::RequestContext {
        address: address.to_owned(),
        device: "a phone".into(),
        languages: Vec::new(),
        origin: EventContext::new(Initiator::Anonymous),
    }
}
