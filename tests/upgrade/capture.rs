//! Writes the fixtures of `tests/fixtures/upgrade` with the version that it is built with.

use std::{fs, process::Command, time::Duration};

use super::{PHONE, address, fixture, keyed, log_in_with, person};
use crate::harness::{Answer, Person, Profile, Server, TestApp, eventually, tell};
use faceofmind_kit::{Connection, Timestamp, on};
use reqwest::Method;
use serde_json::{Map, Value, json};

const K1: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

#[test]
#[ignore = "writes the fixtures"]
fn embedded() {
    run(Profile::Embedded);
}

#[test]
#[ignore = "writes the fixtures"]
fn production() {
    run(Profile::Production);
}

fn run(profile: Profile) {
    let settings = fixture::settings();
    tell(profile, &[&settings, &[("DATA_KEY", K1)]], |app| Box::pin(capture(app)));
}

struct Life {
    people: Map<String, Value>,
    codes: Map<String, Value>,
    responses: Vec<Value>,
}

async fn verified(app: &TestApp, name: &str) -> Person {
    let one = person(app, name);
    one.register().await.is(201);
    let code = app.mail_to(&one.email).await.code();
    one.verify(&code).await.is(200);
    one.holding(&log_in_with(&one, PHONE).await.is(200))
}

impl Life {
    fn keep(&mut self, name: &str, one: &Person) {
        self.people.insert(name.into(), json!({ "id": one.id, "access": one.access, "refresh": one.refresh }));
    }

    async fn keyed(&mut self, one: &Person, path: &str, body: &Value) -> Answer {
        let key = format!("key {}", self.responses.len());
        let answer = keyed(one, path, &key, body).await;
        self.responses
            .push(json!({ "path": path, "key": key, "body": body, "status": answer.status, "text": answer.text }));
        answer
    }
}

async fn ask_reset(client: &crate::harness::Client, email: &str) {
    client.post("/auth/request-password-reset", json!({ "email": email })).await.is(202);
}

async fn ask_move(one: &Person, to: &str) {
    let body = json!({ "new_email": to, "current_password": one.password });
    one.post("/users/me/email", body).await.is(202);
}

async fn capture(app: &TestApp) {
    let base: jiff::Timestamp = "2035-03-05T02:00:00Z".parse().expect("a moment");
    let ahead = base.duration_since(app.ground.clock.now().to_jiff());
    app.ground.clock.advance(Duration::try_from(ahead).expect("forward"));
    let mut life = Life { people: Map::new(), codes: Map::new(), responses: Vec::new() };

    // Everybody.
    let grace = person(app, "grace");
    grace.register().await.is(201);
    app.alter("UPDATE users SET role = 'admin' WHERE email = 'grace@upgrade.test'").await;
    let code = app.mail_to(&grace.email).await.code();
    grace.verify(&code).await.is(200);
    let grace = grace.holding(&log_in_with(&grace, PHONE).await.is(200));
    life.keep("grace", &grace);

    let ada = verified(app, "ada").await;
    let tablet = ada.holding(&log_in_with(&ada, "Tablet/1").await.is(200));
    app.mail_to(&ada.email).await;
    tablet.post("/auth/logout", json!({})).await.is(200);
    let ada = ada.holding(&ada.refresh().await.is(200));
    let own = json!({ "time_zone": "Asia/Tokyo", "language": "fil" });
    ada.put(&format!("/users/{}", ada.id), own).await.is(200);
    life.keep("ada", &ada);

    let paul = verified(app, "paul").await;
    grace.put(&format!("/users/{}", paul.id), json!({ "role": "professional" })).await.is(200);
    let paul = paul.holding(&log_in_with(&paul, PHONE).await.is(200));
    let replaced = paul.refresh.clone();
    let paul = paul.holding(&paul.refresh().await.is(200));
    paul.get("/auth/me").await.is(200);
    life.people.insert(
        "paul".into(),
        json!({ "id": paul.id, "access": paul.access, "refresh": paul.refresh, "replaced": replaced }),
    );
    let dora = verified(app, "dora").await;
    dora.patch(&format!("/users/{}/deactivate", dora.id)).await.is(200);
    life.keep("dora", &dora);
    let sam = verified(app, "sam").await;
    grace.patch(&format!("/users/{}/suspend", sam.id)).await.is(200);
    life.keep("sam", &sam);
    let mia = verified(app, "mia").await;
    life.keep("mia", &mia);
    let rex = verified(app, "rex").await;
    let successor = rex.refresh().await.is(200).text_of("refresh_token");
    let tokens = json!({ "id": rex.id, "access": rex.access, "refresh": rex.refresh, "successor": successor });
    life.people.insert("rex".into(), tokens);
    let una = verified(app, "una").await;
    life.keep("una", &una);
    for name in ["leo", "kim", "tom", "pat", "eva"] {
        life.keep(name, &verified(app, name).await);
    }

    // A life.
    let session = life.keyed(&ada, "/sessions/", &json!({})).await.is(201).number_of("id");
    let streamed = json!([
        { "emotion": "Calm", "confidence": 0.75 },
        { "emotion": "fearful", "voice_content": "The night was long", "timestamp": "2035-03-05T01:59:00Z" },
    ]);
    life.keyed(&ada, &format!("/sessions/{session}/detections"), &streamed).await.is(201);
    let felt = json!({ "emotion": "sad", "voice_content": "I could not sleep — hay nako" });
    life.keyed(&ada, &format!("/sessions/{session}/process_emotion"), &felt).await.is(200);
    let rating = json!({ "comment": "It helped", "rating": 4 });
    life.keyed(&ada, &format!("/sessions/{session}/feedback"), &rating).await.is(201);
    let post = life.keyed(&ada, "/posts/", &json!({ "content": "I wrote this" })).await.is(201).number_of("id");
    let comment = json!({ "content": "I answered myself" });
    life.keyed(&ada, &format!("/posts/{post}/comments"), &comment).await.is(201);
    let walk = json!({ "title": "Walk", "description": "Around the lake", "reminder_time": "2035-04-01" });
    life.keyed(&ada, "/reminders/", &walk).await.is(201);
    ada.post("/posts/", json!({ "content": "And one more" })).await.is(201);
    ada.post(&format!("/posts/{post}/comments"), json!({ "content": "And again" })).await.is(201);
    let off = json!({ "title": "Off", "description": "", "reminder_time": "2035-04-02", "is_active": false });
    ada.post("/reminders/", off).await.is(201);
    let due = json!({ "title": "Breathe", "description": "Slowly", "reminder_time": "2035-03-05" });
    ada.post("/reminders/", due).await.is(201);
    app.mail_to(&ada.email).await;
    let open = ada.open_session().await;
    let plain = app.detect(open, app.ground.clock.now().to_jiff(), "calm", 1).await;
    app.attach("INSERT INTO voice_data (detection_id, content) VALUES ($1, $2)", plain, "Plain words").await;

    // Codes that are under way.
    let ivy = person(app, "ivy");
    let register = ivy.client.api(Method::POST, "/auth/register").header("accept-language", "fil");
    register.json(&ivy.registration()).send().await.is(201);
    life.codes.insert("ivy".into(), app.mail_to(&ivy.email).await.code().into());
    let other = Person { first_name: "Ivo".into(), password: "the password of another".into(), ..ivy.clone() };
    other.from(app.client_at("203.0.113.100")).register().await.is(201);
    app.mail_to(&ivy.email).await;
    ask_move(&mia, "mia.new@upgrade.test").await;
    life.codes.insert("mia".into(), app.mail_to("mia.new@upgrade.test").await.code().into());
    app.mail_to(&mia.email).await;
    ask_reset(&rex.client, &rex.email).await;
    life.codes.insert("rex".into(), app.mail_to(&rex.email).await.code().into());
    ask_move(&una, "una.new@upgrade.test").await;
    let to_move = app.mail_to("una.new@upgrade.test").await.code();
    let nina = person(app, "nina");
    nina.register().await.is(201);
    app.mail_to(&nina.email).await;
    let fran = person(app, "fran");
    fran.register().await.is(201);
    let code = app.mail_to(&fran.email).await.code();
    for _ in 0..4 {
        fran.verify(if code == "000000" { "111111" } else { "000000" }).await.is(400);
    }
    life.codes.insert("fran".into(), code.into());

    // Limits that are reached.
    let leo = person(app, "leo");
    for _ in 0..4 {
        leo.log_in_with("not the password").await.is(401);
    }
    let kim = person(app, "kim");
    for number in 101..104 {
        kim.from(app.client_at(&format!("203.0.113.{number}"))).log_in_with("not the password").await.is(401);
    }
    app.all_is_mailed().await;
    app.all_is_published().await;
    let published = usize::try_from(app.rows("events").await).expect("a number");
    eventually("all to be heard", async || (app.heard().len() == published).then_some(())).await;
    let stream: Vec<_> = app
        .heard()
        .into_iter()
        .map(|event| json!(format!("{} {}", event.subject, event.json["id"].as_str().expect("an id"))))
        .collect();

    // The lease of a service that was killed while it led, then another that leads for ever: nothing more is published.
    let lease = app.texts("SELECT holder FROM leases WHERE name = 'publisher'").await;
    let until = app.ground.clock.now() + Duration::from_secs(if app.is_embedded() { 3590 } else { 2 });
    app.stop().await;
    let far = app.ground.clock.now() + Duration::from_secs(86_400);
    set_lease(app, "another", far).await;
    let settings = fixture::settings();
    let mail = app.ground.data_dir().join("mail");
    let (later, relay) = if app.is_embedded() {
        let later = app.another_node(&settings).await;
        fs::rename(&mail, app.ground.data_dir().join("mail.before")).expect("moved");
        fs::write(&mail, "in the way").expect("written");
        (later, None)
    } else {
        let (later, relay) = app.node_behind_a_relay(Server::Smtp, &settings).await;
        relay.cut();
        (later, Some(relay))
    };
    while_nothing_goes_out(&later, &mut life, session, open, &to_move).await;

    // What is known of it.
    let ada = holding(&later, &life, "ada");
    let mut exports = Map::new();
    for name in ["ada", "mia"] {
        let export = holding(&later, &life, name).get("/users/me/export").await.is(200).json;
        exports.insert(name.into(), export);
    }
    let history = ada.get(&format!("/sessions/{session}/history")).await.is(200).text;
    let open_history = ada.get(&format!("/sessions/{open}/history")).await.is(200).text;
    let known = json!({
        "now": later.ground.clock.now().to_string(),
        "people": life.people,
        "codes": life.codes,
        "responses": life.responses,
        "histories": [[session, history], [open, open_history]],
        "exports": exports,
        "stream": stream,
    });
    let profile = later.ground.profile;
    let folder = fixture::folder(profile);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).expect("made");
    fs::write(folder.join("known.json"), serde_json::to_string_pretty(&known).expect("JSON") + "\n").expect("written");
    set_lease(&later, &lease[0], until).await;
    dump(&later, &folder).await;
    if let Some(url) = later.ground.redis() {
        fs::write(folder.join("redis.jsonl"), redis(url).await).expect("written");
    } else {
        fs::create_dir_all(folder.join("mail")).expect("made");
        for name in ["ada", "mia"] {
            let id = life.people[name]["id"].as_i64().expect("an id");
            let before = later.ground.data_dir().join("mail.before");
            let mut mails: Vec<_> =
                fs::read_dir(before).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
            mails.sort();
            let one =
                mails.iter().find(|path| path.to_string_lossy().ends_with(&format!(".{id}.eml"))).expect("a mail");
            fs::copy(one, folder.join("mail").join(one.file_name().expect("a name"))).expect("copied");
        }
    }
    later.stop().await;
    later.alter("DELETE FROM mail_intents").await;
    drop(relay);
}

fn holding(app: &TestApp, life: &Life, name: &str) -> Person {
    let known = &life.people[name];
    let text = |field: &str| known[field].as_str().expect("a text").to_owned();
    Person {
        id: known["id"].as_i64().expect("an id"),
        access: text("access"),
        refresh: text("refresh"),
        ..person(app, name)
    }
}

async fn set_lease(app: &TestApp, holder: &str, until: Timestamp) {
    let mut tx = app.database().begin().await.expect("begins");
    let sql = "INSERT INTO leases (name, holder, expires_at) VALUES ('publisher', $1, $2) \
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at";
    on!(tx.connection(), c => sqlx::query(sql).bind(holder).bind(until).execute(c).await.map(drop)).expect("runs");
    tx.commit().await.expect("commits");
}

async fn count_is(app: &TestApp, what: &str, most: i64, sql: &str) {
    eventually(what, async || (app.number(sql).await >= most).then_some(())).await;
}

async fn while_nothing_goes_out(app: &TestApp, life: &mut Life, session: i64, open: i64, to_move: &str) {
    let strangers = app.client_at("203.0.113.104");
    let nina = person(app, "nina");
    let register = strangers.api(Method::POST, "/auth/register").header("accept-language", "fil");
    register.json(&nina.registration()).send().await.is(201);
    person(app, "mia").from(strangers.clone()).register().await.is(201);
    person(app, "dora").from(strangers.clone()).register().await.is(201);
    ask_reset(&strangers, "nobody@upgrade.test").await;
    ask_reset(&person(app, "paul").client, "paul@upgrade.test").await;
    ask_move(&holding(app, life, "grace"), "mia@upgrade.test").await;
    let kim = holding(app, life, "kim");
    ask_move(&kim, "mia@upgrade.test").await;
    let changed = json!({ "current_password": kim.password, "new_password": "the new password of kim" });
    kim.post("/auth/change-password", changed).await.is(200);
    let tom = holding(app, life, "tom");
    ask_move(&tom, "tom.new@upgrade.test").await;
    let una = holding(app, life, "una");
    una.post("/users/me/email/confirm", json!({ "otp": to_move })).await.is(200);

    let eva = holding(app, life, "eva");
    eva.post("/users/me/erase", json!({ "current_password": eva.password })).await.is(200);

    let ada = holding(app, life, "ada");
    log_in_with(&ada, "Laptop/1").await.is(200);
    for title in ["Drink water", "Forgotten"] {
        let body = json!({ "title": title, "description": "", "reminder_time": "2035-03-05" });
        let id = ada.post("/reminders/", body).await.is(201).number_of("id");
        let told = format!("SELECT count(*) FROM reminder_schedules WHERE reminder_id = {id} AND told_at IS NOT NULL");
        count_is(app, "it to be due", 1, &told).await;
        if title == "Forgotten" {
            ada.delete(&format!("/reminders/{id}")).await.is(200);
        }
    }
    life.keyed(&ada, "/sessions/", &json!({ "again": true })).await.is(201);
    let said = json!({ "emotion": "happy", "voice_content": "It is better now" });
    life.keyed(&ada, &format!("/sessions/{open}/detections"), &said).await.is(201);
    ada.get(&format!("/sessions/{session}")).await.is(200);

    // One that waits for an hour, by the address alone, and one by the user's id.
    log_in_with(&ada, "Watch/1").await.is(200);
    ask_reset(&ada.client, "ada@upgrade.test").await;
    let hour = app.ground.clock.now() + Duration::from_secs(3600);
    let late = if app.is_embedded() { hour.micros().to_string() } else { format!("'{hour}'") };
    let watch = app.number("SELECT max(id) FROM logins").await;
    let login = format!("%\"login\":{watch}%");
    let sql = format!(
        "UPDATE mail_intents SET attempts = 13, due_at = {late} WHERE occasion LIKE '{login}' OR occasion LIKE '%password_reset%ada@upgrade.test%'"
    );
    let tried =
        "SELECT count(*) FROM mail_intents WHERE occasion LIKE '%password_reset%ada@%' AND last_error IS NOT NULL";
    count_is(app, "it to be tried", 1, tried).await;
    app.alter(&sql).await;
    // One dead.
    let pat = holding(app, life, "pat");
    let changed = json!({ "current_password": pat.password, "new_password": "the new password of pat" });
    pat.post("/auth/change-password", changed).await.is(200);
    let now = app.ground.clock.now();
    let due = if app.is_embedded() { now.micros().to_string() } else { format!("'{now}'") };
    app.alter(&format!("UPDATE mail_intents SET attempts = 15, due_at = {due} WHERE user_id = {}", pat.id)).await;
    count_is(app, "a dead letter", 1, "SELECT count(*) FROM mail_intents WHERE dead_at IS NOT NULL").await;
    // Once more if it was under way.
    app.alter(&sql).await;
    let busy = app.client_at("203.0.113.105");
    for _ in 0..20 {
        busy.post("/auth/refresh", json!({ "refresh_token": "none" })).await.is(401);
    }
    busy.post("/auth/refresh", json!({ "refresh_token": "none" })).await.is(429);
    assert_eq!(address("ada"), ada.client.address);
}

async fn redis(url: &str) -> String {
    let client = redis::Client::open(url).expect("a URL");
    let mut c = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut c).await.expect("keys");
    keys.sort();
    let mut lines = String::new();
    for key in keys.iter().filter(|key| *key != "fom:up") {
        let held: Vec<String> = redis::cmd("HGETALL").arg(key).query_async(&mut c).await.expect("a hash");
        if held.chunks(2).any(|pair| pair[0] == "count" && pair[1] == "0") {
            continue;
        }
        let left: i64 = redis::cmd("PTTL").arg(key).query_async(&mut c).await.expect("a time");
        let set = [vec!["HSET".to_owned(), key.clone()], held].concat();
        lines += &format!("{}\n{}\n", json!(set), json!(["PEXPIRE", key, left.to_string()]));
    }
    lines
}

async fn dump(app: &TestApp, folder: &std::path::Path) {
    let data_dir = app.ground.data_dir().display().to_string();
    let text = if app.is_embedded() {
        let script = folder.join("dump.py");
        fs::write(&script, include_str!("dump.py")).expect("written");
        let done = Command::new("python3")
            .arg(&script)
            .arg(app.ground.data_dir().join("faceofmind.db"))
            .output()
            .expect("runs");
        fs::remove_file(&script).expect("removed");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("UTF-8")
    } else {
        let mut reader = app.database().reader().await.expect("answers");
        let Connection::Postgres(c) = reader.connection() else { panic!("PostgreSQL") };
        let (name,): (String,) = sqlx::query_as("SELECT current_database()::text").fetch_one(c).await.expect("a name");
        let url = format!("{}/{name}", std::env::var("FOM_TEST_POSTGRES").expect("set"));
        let done = Command::new("/usr/lib/postgresql/15/bin/pg_dump")
            .args(["--inserts", "--no-owner", "--no-privileges", "--dbname", &url])
            .output()
            .expect("runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let text = String::from_utf8(done.stdout).expect("UTF-8");
        let keep = |line: &&str| {
            !line.is_empty()
                && !["--", "SET ", "\\", "SELECT pg_catalog.set_config"].iter().any(|start| line.starts_with(start))
        };
        let text: String = text.lines().filter(keep).map(|line| format!("{line}\n")).collect();
        let options = "\n    START WITH 1\n    INCREMENT BY 1\n    NO MINVALUE\n    NO MAXVALUE\n    CACHE 1\n);";
        let text = text.replace(options, ");").replace("IDENTITY (\n    SEQUENCE", "IDENTITY (SEQUENCE");
        text.replace("\n    ADD CONSTRAINT", " ADD CONSTRAINT")
    };
    fs::write(folder.join("database.sql"), text.replace(&data_dir, "data")).expect("written");
}
