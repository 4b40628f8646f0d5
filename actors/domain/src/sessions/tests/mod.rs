//! The tracker on each database, and a way to hold the database so that a test decides what goes into a batch.

use std::{future::Future, time::Duration};

use faceofmind_base::{Backoff, Clock, Rng};
use faceofmind_db::{Database, ReadConn, Tx, with_conn};
use faceofmind_model::{
    Page, PageRequest, UserId,
    event::{EventContext, Initiator},
};
use faceofmind_platform::idempotency::{IdempotencyKey, StoredResponse};
use faceofmind_runtime::{AskError, FairGate, Handle, RestartPolicy, Supervisor, SupervisorHandle, SupervisorSpec};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use tokio::{sync::oneshot, task::JoinHandle};
use tracing::Span;

use super::{
    commands::{Caller, Command, CommandResult, Enqueue, PendingCommand},
    *,
};
use crate::{
    suggestions::{self, Advice, SuggestionEngine},
    testing,
};

mod batches;
mod charts;
mod counting;
mod crashes;
mod failures;
mod first_suggestions;
mod growth;
mod history;
mod idempotent;
mod lists;
mod rating;
mod recording;
mod sessions;

struct TestContext {
    db: Database,
    reads: FairGate,
    sessions: Client,
    clock: Clock,
    tree: SupervisorHandle,
}

/// A tracker on each database.
async fn contexts() -> Vec<TestContext> {
    contexts_with(Settings::default()).await
}

async fn contexts_with(settings: Settings) -> Vec<TestContext> {
    let mut contexts = Vec::new();
    for db in testing::databases().await {
        let (clock, rng) = (Clock::system(), Rng::system());
        let time = (clock.clone(), rng.clone());
        let (_, suggestions, _) = SuggestionEngine::new(suggestions::Settings::default(), None, time);
        let platform = testing::platform(&db, &clock);
        let reads = platform.reads.clone();
        let (handle, child) = SessionTracker::new(settings, suggestions, platform);
        let backoff = Backoff { initial: Duration::from_millis(1), max: Duration::from_millis(1) };
        let policy = RestartPolicy { max_restarts: 100, backoff, ..RestartPolicy::default() };
        let spec = SupervisorSpec { children: vec![child], policy, clock: clock.clone(), rng };
        let tree = Supervisor::start(spec).await.expect("starts");
        contexts.push(TestContext { db, reads, sessions: Client(handle), clock, tree });
    }
    contexts
}

/// Sends commands whose responses hold what was made as JSON, and parses them.
#[derive(Clone)]
struct Client(Handle<SessionTracker>);

/// [`EmotionProcessed`], parsed.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Processed {
    session_id: SessionId,
    emotion: String,
    voice_content: String,
    suggestions: Vec<String>,
    emotion_color: String,
    urls: Vec<String>,
}

fn respond<T: Serialize>(made: T) -> StoredResponse {
    StoredResponse { status: 201, body: serde_json::to_string(&made).expect("JSON") }
}

fn parse<T: DeserializeOwned>(response: &StoredResponse) -> T {
    serde_json::from_str(&response.body).expect("what was made")
}

impl Client {
    async fn start(&self, context: CommandContext) -> Result<Session, SessionError> {
        self.respond_to_start(context).await.map(|response| parse(&response))
    }

    async fn respond_to_start(&self, context: CommandContext) -> Result<StoredResponse, SessionError> {
        self.0.ask(StartSession { context, respond }).await
    }

    async fn end(&self, user: UserId, session: SessionId) -> Result<Session, SessionError> {
        let ended = self.0.ask(EndSession { context: command(user, None), session, respond }).await;
        ended.map(|response| parse(&response))
    }

    async fn delete(&self, user: UserId, session: SessionId) -> Result<Session, SessionError> {
        let deleted = self.0.ask(DeleteSession { context: command(user, None), session, respond }).await;
        deleted.map(|response| parse(&response))
    }

    async fn detect(
        &self,
        context: CommandContext,
        session: SessionId,
        detections: Vec<Detection>,
    ) -> Result<DetectionsRecorded, SessionError> {
        let locale = AdviceLocale::default();
        let recorded = self.0.ask(RecordDetections { context, session, detections, locale, respond }).await;
        recorded.map(|response| parse(&response))
    }

    async fn process(
        &self,
        context: CommandContext,
        session: SessionId,
        detection: Detection,
    ) -> Result<Processed, SessionError> {
        let locale = AdviceLocale::default();
        let processed = self.0.ask(ProcessEmotion { context, session, detection, locale, respond }).await;
        processed.map(|response| parse(&response))
    }

    /// Processes a detection without a look at the session before, which a held database does not allow.
    async fn process_without_look_up(
        &self,
        context: CommandContext,
        session: SessionId,
        detection: Detection,
    ) -> Result<Processed, SessionError> {
        let advice = Advice { lines: vec!["I hear you.".into(); 5], urls: Vec::new(), crisis: false };
        let (sender, reply) = oneshot::channel();
        let command = Command::Process { session, detection, advice, respond };
        self.0.tell(Enqueue(PendingCommand::new(context, command, TestCaller(sender, Span::none()))));
        let reply = reply.await.map_err(|_| AskError::Unavailable("session_tracker"))?;
        reply.map(|response| parse(&response))
    }

    async fn rate(
        &self,
        context: CommandContext,
        session: SessionId,
        rating: Rating,
    ) -> Result<Feedback, SessionError> {
        self.0.ask(RateSession { context, session, rating, respond }).await.map(|response| parse(&response))
    }

    async fn get(&self, user: UserId, session: SessionId) -> Result<Session, SessionError> {
        self.0.ask(GetSession { user, session }).await
    }

    async fn count(&self, user: UserId) -> Result<u64, SessionError> {
        self.0.ask(CountSessions { user }).await
    }

    async fn list(&self, user: UserId, skip: u32, limit: u32) -> Result<Vec<SessionSummary>, SessionError> {
        let page = self.page(PageRequest { reader: user, after: None, skip, limit }).await?;
        Ok(page.results)
    }

    async fn page(&self, request: PageRequest<SessionId>) -> Result<Page<SessionSummary, SessionId>, SessionError> {
        self.0.ask(ListSessions(request)).await
    }

    async fn history(&self, user: UserId, session: SessionId) -> Result<History, SessionError> {
        self.0.ask(GetHistory { user, session, after: None }).await
    }
}

struct TestCaller(oneshot::Sender<CommandResult>, Span);

impl Caller for TestCaller {
    fn reply(self: Box<Self>, result: CommandResult) {
        drop(self.0.send(result));
    }

    fn begin(&self) -> bool {
        !self.0.is_closed()
    }

    fn span(&self) -> &Span {
        &self.1
    }
}

fn command(user: UserId, key: Option<IdempotencyKey>) -> CommandContext {
    CommandContext { user, event: EventContext::new(Initiator::User(user)), key }
}

impl TestContext {
    async fn user(&self, email: &str) -> UserId {
        testing::user(&self.db, email).await
    }

    async fn start(&self, user: UserId) -> Session {
        self.sessions.start(command(user, None)).await.expect("starts")
    }

    /// Asks in a task.
    fn ask<F: Future<Output: Send> + Send + 'static>(&self, ask: impl FnOnce(Client) -> F) -> JoinHandle<F::Output> {
        tokio::spawn(ask(self.sessions.clone()))
    }

    fn ask_to_start(&self, user: UserId) -> JoinHandle<Result<Session, SessionError>> {
        self.ask(|sessions| async move { sessions.start(command(user, None)).await })
    }

    /// Takes every connection that a batch needs, and sends a start, whose batch is in flight until [`TestContext::release`].
    async fn hold(&self, user: UserId) -> (Vec<Tx>, JoinHandle<Result<Session, SessionError>>) {
        let writers = if matches!(self.db, Database::Sqlite(..)) { 1 } else { 4 };
        let mut held = Vec::new();
        for _ in 0..writers {
            held.push(self.db.begin().await.expect("begins"));
        }
        let ahead = self.ask_to_start(user);
        self.until(|seen| seen["in_flight"] == 1).await;
        (held, ahead)
    }

    /// Takes every connection, so that a read is in flight until they are dropped, and the other reads wait for it.
    async fn hold_reads(&self) -> Vec<ReadConn> {
        let mut held = Vec::new();
        for _ in 0..self.db.max_connections() {
            held.push(self.db.read_conn().await.expect("a connection"));
        }
        held
    }

    async fn release(&self, held: Vec<Tx>) {
        for tx in held {
            tx.rollback().await.expect("rolls back");
        }
    }

    /// Waits until that number of commands wait for the batch in flight.
    async fn until_waiting(&self, commands: usize) {
        self.until(|seen| seen["pending"] == commands).await;
    }

    async fn until(&self, holds: impl Fn(&Value) -> bool) {
        let polling = async {
            while !self.observed().await.is_ok_and(|seen| holds(&seen)) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), polling).await.expect("the status");
    }

    async fn observed(&self) -> Result<Value, AskError> {
        self.tree.children()[0].status().await
    }

    /// The types and subjects of the events about a user, in their order.
    async fn events(&self, user: UserId) -> Vec<String> {
        let mut reader = self.db.read_conn().await.expect("reads");
        let sql = "SELECT envelope FROM events WHERE user_id = $1 ORDER BY seq";
        let rows: Vec<(String,)> =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).bind(user).fetch_all(c).await).expect("events");
        let name = |envelope: &str| {
            let envelope: Value = serde_json::from_str(envelope).expect("JSON");
            let kind = envelope["type"].as_str().expect("a type").trim_start_matches("faceofmind.v1.").to_owned();
            format!("{kind} {}", envelope["subject"].as_str().expect("a subject"))
        };
        rows.iter().flat_map(|(envelopes,)| envelopes.lines()).map(name).collect()
    }

    /// Runs SQL with one id, and returns the id that it returns.
    async fn sql(&self, sql: &'static str, id: i64) -> i64 {
        let mut tx = self.db.begin().await.expect("begins");
        // An id of any table: a database of the predecessor may have integer keys.
        let (UserId(returned),): (UserId,) =
            with_conn!(tx.connection(), c => sqlx::query_as(sql).bind(id).bind(self.clock.now()).fetch_one(c).await)
                .expect("runs");
        tx.commit().await.expect("commits");
        returned
    }

    /// Inserts a detection with its emotion.
    async fn detect(&self, session: SessionId, emotion: &'static str) -> i64 {
        self.clock.advance(Duration::from_secs(1));
        let detection = "INSERT INTO emotion_detections (session_id, timestamp) VALUES ($1, $2) RETURNING id";
        let detection = self.sql(detection, session.0).await;
        self.texts("INSERT INTO facial_data (detection_id, emotion) VALUES ($1, $2)", detection, emotion).await;
        detection
    }

    /// Inserts a text under an id.
    async fn texts(&self, sql: &'static str, id: i64, text: &str) {
        let mut tx = self.db.begin().await.expect("begins");
        with_conn!(tx.connection(), c => sqlx::query(sql).bind(id).bind(text).execute(c).await.map(drop))
            .expect("inserts");
        tx.commit().await.expect("commits");
    }

    /// Inserts a detection with a row in every table that belongs to it, and feedback.
    async fn fill(&self, session: SessionId) {
        let detection = self.detect(session, "Sad").await;
        self.texts("INSERT INTO voice_data (detection_id, content) VALUES ($1, $2)", detection, "so-so").await;
        self.suggest(detection, "- Breathe.").await;
        let confidence = "INSERT INTO detection_details (detection_id, confidence) SELECT $1, 0.5 WHERE $2 <> ''";
        self.texts(confidence, detection, "some").await;
        self.texts("INSERT INTO feedback (session_id, rating, comment) VALUES ($1, 5, $2)", session.0, "fine").await;
    }

    async fn suggest(&self, detection: i64, suggestion: &str) {
        let sql = "INSERT INTO wellness_suggestions (detection_id, suggestion) VALUES ($1, $2)";
        self.texts(sql, detection, suggestion).await;
    }

    async fn run(&self, sql: &str) {
        testing::run(&self.db, sql).await;
    }

    async fn number(&self, sql: &str) -> i64 {
        let mut reader = self.db.read_conn().await.expect("a connection");
        let statement = AssertSqlSafe(sql.to_owned());
        with_conn!(reader.connection(), c => sqlx::query_scalar(statement).fetch_one(c).await)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Recreates the tables that belong to a session without cascades, as some legacy databases have them.
    async fn without_cascades(&self) {
        let mut tx = self.db.begin().await.expect("begins");
        for table in ["facial_data", "voice_data", "wellness_suggestions", "feedback", "detection_details"] {
            let bare = "detection_id bigint, session_id bigint, emotion text, content text, suggestion text, \
                comment text, rating integer, confidence double precision";
            for sql in [format!("DROP TABLE {table}"), format!("CREATE TABLE {table} ({bare})")] {
                with_conn!(tx.connection(), c => sqlx::query(AssertSqlSafe(sql)).execute(c).await.map(drop))
                    .expect("runs");
            }
        }
        tx.commit().await.expect("commits");
    }

    /// Counts the rows in the tables of this module.
    async fn rows(&self) -> i64 {
        let sql = "SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM emotion_detections) \
            + (SELECT count(*) FROM facial_data) + (SELECT count(*) FROM voice_data) \
            + (SELECT count(*) FROM wellness_suggestions) + (SELECT count(*) FROM feedback) \
            + (SELECT count(*) FROM detection_details)";
        let mut reader = self.db.read_conn().await.expect("reads");
        let (rows,): (i64,) =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).fetch_one(c).await).expect("counts");
        rows
    }
}
