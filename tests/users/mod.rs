//! `/users`: accounts, managed by their users and by admins.

use serde_json::json;

use crate::harness::{Person, TestApp, owned_by};

mod activate;
mod deactivate;
mod delete;
mod email;
mod erase;
mod export;
mod last_admin;
mod list;
mod show;
mod update;

/// Tables without personal data: bookkeeping, counts of users, codes and counters under keyed hashes that expire within a day, and erasures,
/// which name a user until the last of the user's rows is removed.
const NOT_OF_A_USER: [&str; 9] = [
    "_sqlx_migrations",
    "codes",
    "counters",
    "erasures",
    "event_gaps",
    "leases",
    "unlisted_suggestions",
    "user_count_changes",
    "user_counts",
];

/// Records something of every kind for this person. Every text contains `word`. Gives the session's id.
async fn record_everything(person: &Person, word: &str, detections: usize, repeats: usize) -> i64 {
    let text = |verb: &str, repeats: usize| format!("{word} {verb} ").repeat(repeats);
    let short = repeats.min(30);
    let key = format!("{word}-{repeats}");
    let id = person.post_with_key("/sessions/", &key, &json!({})).await.assert_status(201).number_of("id");
    let batch: Vec<_> =
        (0..detections).map(|number| json!({ "emotion": format!("{word} {number}"), "confidence": 0.75 })).collect();
    person.post(&format!("/sessions/{id}/detections"), json!(batch)).await.assert_status(201);
    let emotion = json!({ "emotion": word, "voice_content": text("said", repeats) });
    person.post(&format!("/sessions/{id}/process_emotion"), emotion).await.assert_status(200);
    let post =
        person.post("/posts/", json!({ "content": text("wrote", short) })).await.assert_status(201).number_of("id");
    let comment = json!({ "content": text("commented", short) });
    person.post(&format!("/posts/{post}/comments"), comment).await.assert_status(201);
    let reminder = json!({ "title": format!("{word} title"), "description": word, "reminder_time": "2031-05-06" });
    person.post("/reminders/", reminder).await.assert_status(201);
    let feedback = json!({ "comment": text("rated", short), "rating": 4 });
    person.post(&format!("/sessions/{id}/feedback"), feedback).await.assert_status(201);
    id
}

/// Completes what [`record_everything`] stores: leaves a row of this person in every other table of a user. Mails the code
/// of a pending e-mail change.
async fn fill_other_tables(app: &TestApp, person: &Person, word: &str) {
    let settings = json!({ "time_zone": "Europe/Berlin", "language": "fil" });
    person.put(&format!("/users/{}", person.id), settings).await.assert_status(200);
    let change = json!({ "new_email": format!("{word}.{}", person.email), "current_password": person.password });
    person.post("/users/me/email", change).await.assert_status(202);
    // An active account has no pending registration, and a mail that is due leaves the queue.
    let (id, past) = (person.id, app.past_timestamp());
    let future = if app.is_embedded() { "4102444800000000" } else { "'2100-01-01T00:00:00Z'" };
    app.execute(&format!(
        "INSERT INTO claims (user_id, first_name, last_name, password, created_at) \
         VALUES ({id}, '{word}', '{word}', 'no hash', {past})"
    ))
    .await;
    app.execute(&format!(
        "INSERT INTO claim_languages (claim_id, language) SELECT id, 'fil' FROM claims WHERE user_id = {id}"
    ))
    .await;
    app.execute(&format!(
        "INSERT INTO uncounted_sessions (session_id, user_id) SELECT min(id), {id} FROM sessions WHERE user_id = {id}"
    ))
    .await;
    app.execute(&format!(
        "INSERT INTO mail_intents (id, occasion, user_id, client, created_at, due_at) \
         VALUES ('00000000-0000-7000-8000-{id:012}', '{{\"why\":\"password_changed\",\"user\":{id}}}', {id}, '', {past}, {future})"
    ))
    .await;
}

/// Every table of the schema that holds rows of users, with the condition for the rows of this user. Fails for a table
/// that is neither of a user nor listed above, and for one without a row of this user.
async fn user_tables(app: &TestApp, user: i64) -> Vec<(String, String)> {
    let schema = app.schema().await;
    let mut tables = Vec::new();
    for table in schema.keys().filter(|table| !NOT_OF_A_USER.contains(&table.as_str())) {
        let condition = owned_by(&schema, table, user);
        let condition = condition.unwrap_or_else(|| panic!("{table}: has no way to a user: list it, or give it one"));
        let rows = app.number(&format!("SELECT count(*) FROM {table} WHERE {condition}")).await;
        assert!(rows > 0, "{table}: no test data fills it: extend `record_everything` or `fill_other_tables`");
        tables.push((table.clone(), condition));
    }
    tables
}
