//! What is felt, and what is said of it.

use super::*;

pub(super) fn felt(emotion: &str, said: &str) -> Detection {
    Detection::new(emotion.to_owned(), said.to_owned())
}

impl World {
    async fn detect_all(
        &self,
        user: UserId,
        id: SessionId,
        all: Vec<Detection>,
    ) -> Result<Once<Detected>, SessionError> {
        self.sessions.detect(call(user, None), id, all, Listener::default()).await
    }

    async fn process(&self, user: UserId, id: SessionId, one: Detection) -> Result<Once<Processed>, SessionError> {
        self.sessions.process(call(user, None), id, one, Listener::default()).await
    }

    pub(super) async fn rate(&self, user: UserId, id: SessionId) -> Result<Once<Feedback>, SessionError> {
        self.sessions.rate(call(user, None), id, Rating { comment: "helped".into(), rating: 4 }).await
    }

    /// The texts of a query with one id.
    async fn texts_of(&self, sql: &'static str, id: i64) -> Vec<Option<String>> {
        let mut reader = self.db.read_conn().await.expect("reads");
        let rows: Vec<(Option<String>,)> =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).bind(id).fetch_all(c).await).expect("reads");
        rows.into_iter().map(|(text,)| text).collect()
    }

    async fn emotions(&self, id: SessionId) -> Vec<Option<String>> {
        let sql = "SELECT f.emotion FROM emotion_detections d JOIN facial_data f ON f.detection_id = d.id \
                   WHERE d.session_id = $1 ORDER BY d.id";
        self.texts_of(sql, id.0).await
    }
}

#[tokio::test]
async fn each_detection_gets_what_belongs_to_it_in_the_order_in_which_they_were_sent() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let id = world.start(ada).await.id;
        let earlier = world.clock.now() - Duration::from_secs(60);
        // The odd ones at one moment, the even ones now: keys do not go by moments alone.
        let detection = |number: usize| {
            let said = if number.is_multiple_of(3) { format!("words {number}") } else { String::new() };
            let confidence = number.is_multiple_of(2).then_some(number as f64 / 1000.0);
            let moment = (number % 2 == 1).then_some(earlier);
            felt(&format!("feeling {number}"), &said).with_confidence(confidence).felt_at(moment)
        };
        let detected = fresh(world.detect_all(ada, id, (0..1000).map(detection).collect()).await.expect("detects"));

        assert_eq!((detected.ids.len(), detected.id, detected.crisis), (1000, None, None));
        let keyring = testing::keyring();
        for (number, key) in detected.ids.iter().enumerate().step_by(37) {
            let emotion = world.texts_of("SELECT emotion FROM facial_data WHERE detection_id = $1", key.0).await;
            assert_eq!(emotion, [Some(format!("feeling {number}"))]);
            let voice = world.texts_of("SELECT content FROM voice_data WHERE detection_id = $1", key.0).await;
            let said: Vec<_> =
                voice.iter().flatten().map(|sealed| keyring.open(&voice_place(*key), sealed).expect("opens")).collect();
            assert_eq!(said, if number.is_multiple_of(3) { vec![format!("words {number}")] } else { vec![] });
            assert!(voice.iter().flatten().all(|sealed| sealed.starts_with("sealed:v1:")));
            let sure = "SELECT cast(round(confidence * 1000) AS integer) || '' FROM detection_details \
                        WHERE detection_id = $1";
            let sure = world.texts_of(sure, key.0).await;
            let sure: Vec<f64> = sure.iter().flatten().map(|text| text.parse().expect("a number")).collect();
            assert_eq!(sure, if number.is_multiple_of(2) { vec![number as f64] } else { vec![] });
            let sql = "SELECT count(*) FROM emotion_detections WHERE id = $1 AND timestamp >= $2";
            let (mut reader, now) = (world.db.read_conn().await.expect("reads"), earlier + Duration::from_micros(1));
            let (recent,): (i64,) =
                with_conn!(reader.connection(), c => sqlx::query_as(sql).bind(*key).bind(now).fetch_one(c).await)
                    .expect("counts");
            assert_eq!(recent == 1, number.is_multiple_of(2));
        }
        assert_eq!(world.told(ada).await.len(), 1001, "one for each, and the start");
    }
}

#[tokio::test]
async fn detections_of_many_share_a_transaction_and_each_caller_gets_their_own() {
    for world in worlds().await {
        let (ada, bob) = (world.user("ada@example.org").await, world.user("bob@example.org").await);
        let mut sessions = Vec::new();
        for number in 0..40 {
            let user = if number % 2 == 0 { ada } else { bob };
            sessions.push((user, world.start(user).await.id));
        }
        let (held, ahead) = world.hold(ada).await;
        let asking: Vec<_> = sessions
            .iter()
            .map(|&(user, id)| {
                world.ask(move |sessions| async move {
                    let all = (0..10).map(|number| felt(&format!("{id}-{number}"), "")).collect();
                    sessions.detect(call(user, None), id, all, Listener::default()).await
                })
            })
            .collect();
        world.until_waiting(40).await;
        let strange = sessions[0].1;
        let stranger = world.ask(move |sessions| async move { sessions.end(bob, strange, origin(bob)).await });
        world.until_waiting(41).await;
        world.release(held).await;
        ahead.await.expect("no panic").expect("starts");
        for (asked, (_, id)) in asking.into_iter().zip(&sessions) {
            let ids = fresh(asked.await.expect("no panic").expect("detects")).ids;
            for (number, key) in ids.iter().enumerate() {
                let emotion = world.texts_of("SELECT emotion FROM facial_data WHERE detection_id = $1", key.0).await;
                assert_eq!(emotion, [Some(format!("{id}-{number}"))]);
            }
        }
        assert!(matches!(stranger.await.expect("no panic"), Err(SessionError::NotFound)));
        assert_eq!(
            world.observed().await.expect("observed")["writes"]["batches"],
            42,
            "40 starts, one ahead, one batch"
        );
    }
}

#[tokio::test]
async fn rows_and_not_calls_count_towards_a_batch() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let id = world.start(ada).await.id;
        let (held, _ahead) = world.hold(ada).await;
        let many = || (0..200).map(|_| felt("happy", "")).collect();
        let asking: Vec<_> = (0..5)
            .map(|_| {
                world.ask(move |sessions| async move {
                    sessions.detect(call(ada, None), id, many(), Listener::default()).await
                })
            })
            .collect();
        world.until_waiting(5).await;
        world.release(held).await;
        for asked in asking {
            asked.await.expect("no panic").expect("detects");
        }
        let seen = world.observed().await.expect("observed");
        assert_eq!(seen["writes"]["batches"], 5, "two alone, then two, two and one");
    }
}

#[tokio::test]
async fn a_processed_detection_ends_its_session_and_an_ended_one_keeps_its_end() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let id = world.start(ada).await.id;
        let processed = fresh(world.process(ada, id, felt("Sad", "I feel low")).await.expect("processes"));
        assert_eq!((processed.session_id, processed.emotion.as_str()), (id, "Sad"));
        assert_eq!((processed.voice_content.as_str(), processed.suggestions.len()), ("I feel low", 5));
        assert!(processed.emotion_color.starts_with('#'));
        let end = world.sessions.get(ada, id).await.expect("is there").end_time.expect("has ended");

        world.clock.advance(Duration::from_secs(60));
        world.process(ada, id, felt("happy", "")).await.expect("processes");
        assert_eq!(world.sessions.get(ada, id).await.expect("is there").end_time, Some(end));
        let sql = "SELECT w.suggestion FROM wellness_suggestions w JOIN emotion_detections d ON d.id = w.detection_id \
                   WHERE d.session_id = $1 ORDER BY w.id";
        let lines: Vec<_> = processed.suggestions.iter().map(|line| format!("- {line}")).collect();
        assert_eq!(world.texts_of(sql, id.0).await[0], Some(lines.join("\n")));
        let sql = "SELECT w.url FROM wellness_suggestions w JOIN emotion_detections d ON d.id = w.detection_id \
                   WHERE d.session_id = $1 ORDER BY w.id";
        assert_eq!(world.texts_of(sql, id.0).await[0], Some(processed.urls.join(",")).filter(|urls| !urls.is_empty()));
        let sql = "SELECT v.content FROM voice_data v JOIN emotion_detections d ON d.id = v.detection_id \
                   WHERE d.session_id = $1";
        assert_eq!(world.texts_of(sql, id.0).await.len(), 1, "nothing said, nothing kept");
        let of = format!("session/{id}");
        let names = ["session.started", "emotion.detected", "session.ended", "emotion.detected"];
        assert_eq!(world.told(ada).await, names.map(|name| format!("{name} {of}")));
    }
}

#[tokio::test]
async fn who_speaks_of_it_is_answered_and_told_of_whatever_comes_with_it() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let id = world.start(ada).await.id;
        let all = vec![felt("happy", "a good day"), felt("sad", "I want to kill myself"), felt("calm", "")];
        let detected = fresh(world.detect_all(ada, id, all).await.expect("detects"));
        let comfort = detected.crisis.expect("an answer to that");
        let processed = fresh(world.process(ada, id, felt("sad", "I want to kill myself")).await.expect("processes"));
        assert_eq!((&processed.suggestions, &processed.urls), (&comfort.suggestions, &comfort.urls));
        let of = format!("session/{id}");
        let names = ["session.started", "emotion.detected", "emotion.detected", "emotion.crisis", "emotion.detected"];
        let names = [&names[..], &["emotion.detected", "emotion.crisis", "session.ended"]].concat();
        assert_eq!(world.told(ada).await, names.iter().map(|name| format!("{name} {of}")).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn an_ended_session_takes_in_what_was_felt_before_and_nothing_else() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let id = world.start(ada).await.id;
        let before = world.clock.now();
        world.clock.advance(Duration::from_secs(60));
        world.sessions.end(ada, id, origin(ada)).await.expect("ends");
        world.clock.advance(Duration::from_secs(60));
        let late = || felt("late", "").felt_at(Some(before));
        world.detect_all(ada, id, vec![late()]).await.expect("was felt in time");
        let refused = world.detect_all(ada, id, vec![late(), felt("now", "")]).await;
        assert!(matches!(refused, Err(SessionError::Ended)), "{refused:?}");
        assert_eq!(world.emotions(id).await, [Some("late".to_owned())], "all or nothing");
    }
}

#[tokio::test]
async fn another_users_session_is_not_found_whatever_is_recorded() {
    for world in worlds().await {
        let (ada, bob) = (world.user("ada@example.org").await, world.user("bob@example.org").await);
        let id = world.start(ada).await.id;
        let before = world.rows().await;
        assert!(matches!(world.detect_all(bob, id, vec![felt("sad", "")]).await, Err(SessionError::NotFound)));
        assert!(matches!(world.process(bob, id, felt("sad", "")).await, Err(SessionError::NotFound)));
        assert!(matches!(world.rate(bob, id).await, Err(SessionError::NotFound)));
        assert_eq!((world.rows().await, world.told(bob).await.len()), (before, 0));
    }
}

#[tokio::test]
async fn a_whole_life_fits_into_one_batch_and_is_told_in_order() {
    for world in worlds().await {
        let (ada, bob) = (world.user("ada@example.org").await, world.user("bob@example.org").await);
        let id = world.start(ada).await.id;
        let (held, _ahead) = world.hold(bob).await;
        let detect = world.ask(move |sessions| async move {
            sessions.detect(call(ada, None), id, vec![felt("happy", "")], Listener::default()).await
        });
        world.until_waiting(1).await;
        let end = world.ask(move |sessions| async move { sessions.end(ada, id, origin(ada)).await });
        world.until_waiting(2).await;
        let rating = || Rating { comment: String::new(), rating: 5 };
        let rate = world.ask(move |sessions| async move { sessions.rate(call(ada, None), id, rating()).await });
        world.until_waiting(3).await;
        let delete = world.ask(move |sessions| async move { sessions.delete(ada, id, origin(ada)).await });
        world.until_waiting(4).await;
        let late = world.ask(move |sessions| async move { sessions.rate(call(ada, None), id, rating()).await });
        world.until_waiting(5).await;
        world.release(held).await;
        detect.await.expect("no panic").expect("detects");
        end.await.expect("no panic").expect("ends");
        rate.await.expect("no panic").expect("rates");
        delete.await.expect("no panic").expect("deletes");
        assert!(matches!(late.await.expect("no panic"), Err(SessionError::NotFound)));
        let names = ["session.started", "emotion.detected", "session.ended", "feedback.submitted", "session.deleted"];
        assert_eq!(world.told(ada).await, names.map(|name| format!("{name} session/{id}")));
        assert_eq!(world.rows().await, 1, "Bob's session");
    }
}

#[tokio::test]
async fn a_detection_that_the_database_refuses_fails_alone() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let (good, bad) = (world.start(ada).await.id, world.start(ada).await.id);
        let fence = if matches!(world.db, Database::Sqlite(..)) {
            "CREATE TRIGGER fence BEFORE INSERT ON facial_data WHEN new.emotion = 'poison' \
             BEGIN SELECT RAISE(ABORT, 'poison'); END"
        } else {
            "ALTER TABLE facial_data ADD CONSTRAINT fence CHECK (emotion <> 'poison')"
        };
        let mut tx = world.db.begin().await.expect("begins");
        with_conn!(tx.connection(), c => sqlx::query(fence).execute(c).await.map(drop)).expect("is fenced");
        tx.commit().await.expect("commits");
        let (held, _ahead) = world.hold(ada).await;
        let detect = |id, emotion: &'static str| {
            world.ask(move |sessions| async move {
                let all = vec![felt("calm", "and quiet"), felt(emotion, "")];
                sessions.detect(call(ada, None), id, all, Listener::default()).await
            })
        };
        let asked = [detect(good, "happy"), detect(bad, "poison"), detect(good, "sad")];
        world.until_waiting(3).await;
        let process = world
            .ask(move |sessions| async move { processed(sessions, call(ada, None), bad, felt("poison", "")).await });
        world.until_waiting(4).await;
        world.release(held).await;
        let [one, poisoned, other] = asked;
        one.await.expect("no panic").expect("is good");
        other.await.expect("no panic").expect("is good");
        assert!(matches!(poisoned.await.expect("no panic"), Err(SessionError::Failed(Failure::Store(_)))));
        assert!(matches!(process.await.expect("no panic"), Err(SessionError::Failed(Failure::Store(_)))));
        assert_eq!((world.emotions(good).await.len(), world.emotions(bad).await.len()), (4, 0));
        assert_eq!(world.sessions.get(ada, bad).await.expect("is there").end_time, None);
        assert_eq!(world.observed().await.expect("observed")["writes"]["taken_apart"], 1);
    }
}
