//! A whole actor system on each database, and the users of its stories.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use faceofmind_base::Clock;
use faceofmind_db::{Database, with_conn};
use faceofmind_domain::{
    accounts::{self, AccountError, CreateAdmin, PasswordPolicy, Register, VerifyEmail},
    community,
    logins::{self, LoginError, LoginLimits, PasswordLogin, RefreshTokens, TokenError, TokenPair, TokenSettings},
};
use faceofmind_model::{
    RequestContext,
    event::{EventContext, Initiator},
    user::{Email, User, UserId},
};
use faceofmind_platform::{
    Resources,
    mail::{CountJobs, Transport},
    nats::NatsConnection,
    rate_limit::Limit,
    testing,
};
use faceofmind_runtime::ActorState;
use faceofmind_system::{ActorSet, ActorSystem, Settings, modules};
pub(crate) use faceofmind_testing::{databases, new_folder, until};
use mail_parser::MessageParser;
use secrecy::SecretString;
use serde_json::Value;
use sqlx::AssertSqlSafe;

mod mail_server;
pub(crate) use mail_server::{HANG_UP, MailServer};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A password that every rule accepts.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A running actor system, and what it stands on.
pub(crate) struct TestContext {
    pub(crate) system: ActorSystem,
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    pub(crate) folder: PathBuf,
    /// The mails found so far, by file.
    read: Arc<Mutex<BTreeMap<PathBuf, Received>>>,
}

/// A mail as its recipient reads it.
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

    /// The one-time code: the first run of six digits.
    pub(crate) fn code(&self) -> Option<SecretString> {
        let run = self.text.split(|c: char| !c.is_ascii_digit()).find(|run| run.len() == 6)?;
        Some(SecretString::from(run.to_owned()))
    }
}

/// Settings as in production, except that a hash costs next to nothing.
pub(crate) fn settings() -> Settings {
    let secret = |text: &str| SecretString::from(format!("{text}{}", "-".repeat(40)));
    let limit = |name, max, window| Limit { name, max, window };
    let modules = modules::Settings {
        accounts: accounts::Settings {
            passwords: PasswordPolicy { min_score: 0 },
            registrations: limit("registrations", 60, Duration::from_secs(3600)),
            code_lifetime: Duration::from_secs(300),
        },
        logins: logins::Settings {
            refresh_lifetime: 30 * DAY,
            reuse_grace: Duration::from_secs(10),
            limits: LoginLimits {
                per_client: limit("failed-log-ins", 10, Duration::from_secs(600)),
                unknown_clients: limit("failed-log-ins-by-strangers", 100, DAY),
                per_known_client: limit("failed-log-ins-by-known-clients", 100, DAY),
            },
            tokens: TokenSettings {
                access_keys: vec![secret("access")],
                refresh_key: secret("refresh"),
                issuer: "faceofmind".into(),
                audience: None,
                access_seconds: 1800,
            },
        },
        community: community::Settings {
            posts: limit("posts", 30, Duration::from_secs(3600)),
            comments: limit("comments", 120, Duration::from_secs(3600)),
        },
        endpoint: None,
    };
    Settings { platform: testing::settings(), modules }
}

/// Starts a system on each database.
pub(crate) async fn contexts() -> Vec<TestContext> {
    let mut contexts = Vec::new();
    for db in databases().await {
        contexts.push(TestContext::open(db).await);
    }
    contexts
}

impl TestContext {
    /// Starts a system on that database. It writes its mails into a folder of its own.
    pub(crate) async fn open(db: Database) -> Self {
        let folder = new_folder();
        let transport = Transport::files(&folder);
        Self::with(db, transport, None, &Clock::system(), settings()).await.reading(folder)
    }

    /// Reads mails from that folder.
    pub(crate) fn reading(self, folder: PathBuf) -> Self {
        Self { folder, ..self }
    }

    pub(crate) async fn with(
        db: Database,
        transport: Transport,
        nats: Option<NatsConnection>,
        clock: &Clock,
        settings: Settings,
    ) -> Self {
        let resources = Resources { nats, transport, ..testing::resources(&db, Path::new("unused"), clock) };
        let system = ActorSystem::start(resources, settings, ActorSet::All).await.expect("starts");
        Self { system, db, clock: clock.clone(), folder: PathBuf::new(), read: Arc::default() }
    }

    pub(crate) fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    /// Returns all mails to that address, oldest first.
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

    /// Waits until `count` mails have come to that address, and returns the last.
    pub(crate) async fn mail(&self, to: &str, count: usize) -> Received {
        until("the mail arrives", async || self.mails(to).len() >= count).await;
        let mails = self.mails(to);
        assert_eq!(mails.len(), count, "{mails:?}");
        mails.into_iter().next_back().expect("counted")
    }

    /// Waits until the mail queue is empty.
    pub(crate) async fn all_is_mailed(&self) {
        until("the queue is empty", async || {
            self.system.platform.mailer.ask(CountJobs).await.is_ok_and(|jobs| jobs.waiting == 0)
        })
        .await;
    }

    /// Waits until that many mails are put off. *Why* before the clock is moved: what is being decided meanwhile would be put off from the later time on, and
    /// claims on SQLite lapse by that clock.
    pub(crate) async fn until_put_off(&self, mails: i64) {
        let put_off = "SELECT count(*) FROM mail_intents WHERE attempts = 0 AND due_at > created_at";
        until("the mails are put off", async || self.number(put_off).await == mails).await;
    }

    pub(crate) async fn register(&self, address: &str, password: &str, from: &str) {
        let registration = Register {
            email: email(address),
            password: secret(password),
            first_name: format!("Ada {from}"),
            last_name: "Lovelace".into(),
            context: client(from),
        };
        self.system.modules.accounts.ask(registration).await.expect("registers");
    }

    pub(crate) async fn verify(&self, address: &str, mail: &Received) -> Result<User, AccountError> {
        self.system.modules.accounts.ask(verify_email(address, mail.code().expect("a code"))).await
    }

    /// Creates a user with a verified address.
    pub(crate) async fn person(&self, address: &str) -> User {
        self.register(address, PASSWORD, "phone").await;
        let mail = self.mail(address, 1).await;
        self.verify(address, &mail).await.expect("verifies")
    }

    pub(crate) async fn log_in(&self, address: &str, password: &str) -> Result<TokenPair, LoginError> {
        self.log_in_from(client("phone"), address, password).await
    }

    pub(crate) async fn log_in_from(
        &self,
        context: RequestContext,
        address: &str,
        password: &str,
    ) -> Result<TokenPair, LoginError> {
        let login = PasswordLogin { email: email(address), password: secret(password), device: None, context };
        self.system.modules.logins.ask(login).await
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Result<TokenPair, TokenError> {
        self.system.modules.logins.ask(RefreshTokens { refresh_token: refresh_token.into() }).await
    }

    /// Creates a verified user and logs in.
    pub(crate) async fn logged_in(&self, address: &str) -> TokenPair {
        self.person(address).await;
        self.log_in(address, PASSWORD).await.expect("logs in")
    }

    pub(crate) async fn is_good(&self, logged_in: &TokenPair) -> bool {
        self.system.modules.authenticator.authenticate(&logged_in.access_token).await.is_ok()
    }

    pub(crate) async fn admin(&self, address: &str) -> User {
        let (first_name, last_name) = ("Root".into(), "Admin".into());
        let new = CreateAdmin { email: email(address), password: secret(PASSWORD), first_name, last_name };
        self.system.modules.accounts.ask(new).await.expect("creates")
    }

    /// Makes an actor panic, and waits until it runs again.
    pub(crate) async fn kill(&self, actor: &str) {
        let restarts = || self.restarts(actor);
        let before = restarts();
        self.system.tree.child(actor).expect("an actor of that name").panic();
        until("it restarts", async || restarts() == before + 1 && self.runs(actor)).await;
    }

    fn restarts(&self, actor: &str) -> u64 {
        self.system.tree.snapshot().iter().find(|row| row.name == actor).expect("a row").restarts
    }

    fn runs(&self, actor: &str) -> bool {
        let rows = self.system.tree.snapshot();
        rows.iter().any(|row| row.name == actor && row.state == ActorState::Running)
    }

    /// Returns the number that a query gives.
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

    /// Returns the names of the events recorded about a user, in their order.
    pub(crate) async fn event_names(&self, user: UserId) -> Vec<String> {
        let mut reader = self.db.read_conn().await.expect("reads");
        let sql = "SELECT envelope FROM events WHERE user_id = $1 ORDER BY seq";
        let rows: Vec<(String,)> =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).bind(user).fetch_all(c).await).expect("events");
        let name = |envelope: &str| {
            let envelope: Value = serde_json::from_str(envelope).expect("JSON");
            envelope["type"].as_str().expect("a type").trim_start_matches("faceofmind.v1.").to_owned()
        };
        rows.iter().flat_map(|(envelopes,)| envelopes.lines()).map(name).collect()
    }
}

pub(crate) fn verify_email(address: &str, code: SecretString) -> VerifyEmail {
    VerifyEmail { email: email(address), code, context: client("phone") }
}

pub(crate) fn email(address: &str) -> Email {
    Email::parse(address).expect("an address")
}

pub(crate) fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

pub(crate) fn client(ip: &str) -> RequestContext {
    RequestContext {
        client_ip: ip.to_owned(),
        device: "a phone".into(),
        languages: Vec::new(),
        events: EventContext::new(Initiator::Anonymous),
    }
}
