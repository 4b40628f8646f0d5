//! Detections and feedback.

use super::*;

pub(super) fn detection(emotion: &str, said: &str) -> Detection {
    Detection::new(emotion.to_owned(), said.to_owned())
}

impl TestContext {
    async fn detect_all(
        &self,
        user: UserId,
        id: SessionId,
        all: Vec<Detection>,
    ) -> Result<DetectionsRecorded, SessionError> {
        self.sessions.detect(command(user, None), id, all).await
    }

    async fn process(&self, user: UserId, id: SessionId, one: Detection) -> Result<Processed, SessionError> {
        self.sessions.process(command(user, None), id, one).await
    }

    pub(super) async fn rate(&self, user: UserId, id: SessionId) -> Result<Feedback, SessionError> {
        self.sessions.rate(command(user, None), id, Rating { comment: "helped".into(), rating: 4 }).await
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
async fn each_detection_gets_its_own_rows_and_ids_keep_the_order_of_the_request() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        let earlier = test.clock.now() - Duration::from_secs(60);
        // The odd ones at one moment, the even ones now: keys do not go by moments alone.
        let numbered = |number: usize| {
            let said = if number.is_multiple_of(3) { format!("words {number}") } else { String::new() };
            let confidence = number.is_multiple_of(2).then_some(number as f64 / 1000.0);
            let moment = (number % 2 == 1).then_some(earlier);
            detection(&format!("feeling {number}"), &said).with_confidence(confidence).with_timestamp(moment)
        };
        let detected = test.detect_all(ada, id, (0..1000).map(numbered).collect()).await.expect("detects");

        assert_eq!((detected.ids.len(), detected.id, detected.crisis), (1000, None, None));
        let keyring = testing::keyring();
        for (number, key) in detected.ids.iter().enumerate().step_by(37) {
            let emotion = test.texts_of("SELECT emotion FROM facial_data WHERE detection_id = $1", key.0).await;
            assert_eq!(emotion, [Some(format!("feeling {number}"))]);
            let voice = test.texts_of("SELECT content FROM voice_data WHERE detection_id = $1", key.0).await;
            let said: Vec<_> = voice
                .iter()
                .flatten()
                .map(|stored| keyring.decrypt(&voice_aad(*key), stored).expect("opens"))
                .collect();
            assert_eq!(said, if number.is_multiple_of(3) { vec![format!("words {number}")] } else { vec![] });
            assert!(voice.iter().flatten().all(|stored| stored.starts_with("sealed:v1:")));
            let sure = "SELECT cast(round(confidence * 1000) AS integer) || '' FROM detection_details \
                        WHERE detection_id = $1";
            let sure = test.texts_of(sure, key.0).await;
            let sure: Vec<f64> = sure.iter().flatten().map(|text| text.parse().expect("a number")).collect();
            assert_eq!(sure, if number.is_multiple_of(2) { vec![number as f64] } else { vec![] });
            let sql = "SELECT count(*) FROM emotion_detections WHERE id = $1 AND timestamp >= $2";
            let (mut reader, now) = (test.db.read_conn().await.expect("reads"), earlier + Duration::from_micros(1));
            let (recent,): (i64,) =
                with_conn!(reader.connection(), c => sqlx::query_as(sql).bind(*key).bind(now).fetch_one(c).await)
                    .expect("counts");
            assert_eq!(recent == 1, number.is_multiple_of(2));
        }
        assert_eq!(test.events(ada).await.len(), 1001, "one for each, and the start");
    }
}

#[tokio::test]
async fn detections_of_many_callers_share_a_transaction_and_each_caller_gets_its_own_ids() {
    for test in contexts().await {
        let (ada, bob) = (test.user("ada@example.org").await, test.user("bob@example.org").await);
        let mut sessions = Vec::new();
        for number in 0..40 {
            let user = if number % 2 == 0 { ada } else { bob };
            sessions.push((user, test.start(user).await.id));
        }
        let (held, ahead) = test.hold(ada).await;
        let asking: Vec<_> = sessions
            .iter()
            .map(|&(user, id)| {
                test.ask(move |sessions| async move {
                    let all = (0..10).map(|number| detection(&format!("{id}-{number}"), "")).collect();
                    sessions.detect(command(user, None), id, all).await
                })
            })
            .collect();
        test.until_waiting(40).await;
        let strange = sessions[0].1;
        let stranger = test.ask(move |sessions| async move { sessions.end(bob, strange).await });
        test.until_waiting(41).await;
        test.release(held).await;
        ahead.await.expect("no panic").expect("starts");
        for (asked, (_, id)) in asking.into_iter().zip(&sessions) {
            let ids = asked.await.expect("no panic").expect("detects").ids;
            for (number, key) in ids.iter().enumerate() {
                let emotion = test.texts_of("SELECT emotion FROM facial_data WHERE detection_id = $1", key.0).await;
                assert_eq!(emotion, [Some(format!("{id}-{number}"))]);
            }
        }
        assert!(matches!(stranger.await.expect("no panic"), Err(SessionError::NotFound)));
        assert_eq!(
            test.observed().await.expect("observed")["writes"]["batches"],
            42,
            "40 starts, one ahead, one batch"
        );
    }
}

#[tokio::test]
async fn rows_and_not_commands_count_towards_a_batch() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        let (held, _ahead) = test.hold(ada).await;
        let many = || (0..100).map(|_| detection("happy", "")).collect();
        let asking: Vec<_> = (0..11)
            .map(|_| test.ask(move |sessions| async move { sessions.detect(command(ada, None), id, many()).await }))
            .collect();
        test.until_waiting(11).await;
        test.release(held).await;
        for asked in asking {
            asked.await.expect("no panic").expect("detects");
        }
        let seen = test.observed().await.expect("observed");
        assert_eq!(seen["writes"]["batches"], 5, "two alone, then five, five and one");
    }
}

#[tokio::test]
async fn a_processed_detection_ends_its_session_and_an_ended_one_keeps_its_end() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        let processed = test.process(ada, id, detection("Sad", "I feel low")).await.expect("processes");
        assert_eq!((processed.session_id, processed.emotion.as_str()), (id, "Sad"));
        assert_eq!((processed.voice_content.as_str(), processed.suggestions.len()), ("I feel low", 5));
        assert!(processed.emotion_color.starts_with('#'));
        let end = test.sessions.get(ada, id).await.expect("is there").end_time.expect("has ended");

        test.clock.advance(Duration::from_secs(60));
        test.process(ada, id, detection("happy", "")).await.expect("processes");
        assert_eq!(test.sessions.get(ada, id).await.expect("is there").end_time, Some(end));
        let sql = "SELECT w.suggestion FROM wellness_suggestions w JOIN emotion_detections d ON d.id = w.detection_id \
                   WHERE d.session_id = $1 ORDER BY w.id";
        let lines: Vec<_> = processed.suggestions.iter().map(|line| format!("- {line}")).collect();
        assert_eq!(test.texts_of(sql, id.0).await[0], Some(lines.join("\n")));
        let sql = "SELECT w.url FROM wellness_suggestions w JOIN emotion_detections d ON d.id = w.detection_id \
                   WHERE d.session_id = $1 ORDER BY w.id";
        assert_eq!(test.texts_of(sql, id.0).await[0], Some(processed.urls.join(",")).filter(|urls| !urls.is_empty()));
        let sql = "SELECT v.content FROM voice_data v JOIN emotion_detections d ON d.id = v.detection_id \
                   WHERE d.session_id = $1";
        assert_eq!(test.texts_of(sql, id.0).await.len(), 1, "no voice text, no row");
        let of = format!("session/{id}");
        let names = ["session.started", "emotion.detected", "session.ended", "emotion.detected"];
        assert_eq!(test.events(ada).await, names.map(|name| format!("{name} {of}")));
    }
}

#[tokio::test]
async fn a_crisis_gets_its_response_and_its_event_whatever_else_is_in_the_request() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        let all =
            vec![detection("happy", "a good day"), detection("sad", "I want to kill myself"), detection("calm", "")];
        let detected = test.detect_all(ada, id, all).await.expect("detects");
        let crisis = detected.crisis.expect("a crisis response");
        let processed = test.process(ada, id, detection("sad", "I want to kill myself")).await.expect("processes");
        assert_eq!((&processed.suggestions, &processed.urls), (&crisis.suggestions, &crisis.urls));
        let of = format!("session/{id}");
        let names = ["session.started", "emotion.detected", "emotion.detected", "emotion.crisis", "emotion.detected"];
        let names = [&names[..], &["emotion.detected", "emotion.crisis", "session.ended"]].concat();
        assert_eq!(test.events(ada).await, names.iter().map(|name| format!("{name} {of}")).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn an_ended_session_accepts_only_detections_from_before_its_end() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        let before = test.clock.now();
        test.clock.advance(Duration::from_secs(60));
        test.sessions.end(ada, id).await.expect("ends");
        test.clock.advance(Duration::from_secs(60));
        let late = || detection("late", "").with_timestamp(Some(before));
        test.detect_all(ada, id, vec![late()]).await.expect("was detected in time");
        let refused = test.detect_all(ada, id, vec![late(), detection("now", "")]).await;
        assert!(matches!(refused, Err(SessionError::Ended)), "{refused:?}");
        assert_eq!(test.emotions(id).await, [Some("late".to_owned())], "all or nothing");
    }
}

#[tokio::test]
async fn another_users_session_is_not_found_by_any_recording() {
    for test in contexts().await {
        let (ada, bob) = (test.user("ada@example.org").await, test.user("bob@example.org").await);
        let id = test.start(ada).await.id;
        let before = test.rows().await;
        assert!(matches!(test.detect_all(bob, id, vec![detection("sad", "")]).await, Err(SessionError::NotFound)));
        assert!(matches!(test.process(bob, id, detection("sad", "")).await, Err(SessionError::NotFound)));
        assert!(matches!(test.rate(bob, id).await, Err(SessionError::NotFound)));
        assert_eq!((test.rows().await, test.events(bob).await.len()), (before, 0));
    }
}

#[tokio::test]
async fn a_sessions_whole_life_fits_into_one_batch_and_its_events_are_in_order() {
    for test in contexts().await {
        let (ada, bob) = (test.user("ada@example.org").await, test.user("bob@example.org").await);
        let id = test.start(ada).await.id;
        let (held, _ahead) = test.hold(bob).await;
        let detect = test.ask(move |sessions| async move {
            sessions.detect(command(ada, None), id, vec![detection("happy", "")]).await
        });
        test.until_waiting(1).await;
        let end = test.ask(move |sessions| async move { sessions.end(ada, id).await });
        test.until_waiting(2).await;
        let rating = || Rating { comment: String::new(), rating: 5 };
        let rate = test.ask(move |sessions| async move { sessions.rate(command(ada, None), id, rating()).await });
        test.until_waiting(3).await;
        let delete = test.ask(move |sessions| async move { sessions.delete(ada, id).await });
        test.until_waiting(4).await;
        let late = test.ask(move |sessions| async move { sessions.rate(command(ada, None), id, rating()).await });
        test.until_waiting(5).await;
        test.release(held).await;
        detect.await.expect("no panic").expect("detects");
        end.await.expect("no panic").expect("ends");
        rate.await.expect("no panic").expect("rates");
        delete.await.expect("no panic").expect("deletes");
        assert!(matches!(late.await.expect("no panic"), Err(SessionError::NotFound)));
        let names = ["session.started", "emotion.detected", "session.ended", "feedback.submitted", "session.deleted"];
        assert_eq!(test.events(ada).await, names.map(|name| format!("{name} session/{id}")));
        assert_eq!(test.rows().await, 1, "Bob's session");
    }
}

#[tokio::test]
async fn a_detection_that_the_database_rejects_fails_alone() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let (good, bad) = (test.start(ada).await.id, test.start(ada).await.id);
        let reject = if matches!(test.db, Database::Sqlite(..)) {
            "CREATE TRIGGER reject BEFORE INSERT ON facial_data WHEN new.emotion = 'poison' \
             BEGIN SELECT RAISE(ABORT, 'poison'); END"
        } else {
            "ALTER TABLE facial_data ADD CONSTRAINT reject CHECK (emotion <> 'poison')"
        };
        let mut tx = test.db.begin().await.expect("begins");
        with_conn!(tx.connection(), c => sqlx::query(reject).execute(c).await.map(drop)).expect("runs");
        tx.commit().await.expect("commits");
        let (held, _ahead) = test.hold(ada).await;
        let detect = |id, emotion: &'static str| {
            test.ask(move |sessions| async move {
                let all = vec![detection("calm", "and quiet"), detection(emotion, "")];
                sessions.detect(command(ada, None), id, all).await
            })
        };
        let asked = [detect(good, "happy"), detect(bad, "poison"), detect(good, "sad")];
        test.until_waiting(3).await;
        let process = test.ask(move |sessions| async move {
            sessions.process_without_look_up(command(ada, None), bad, detection("poison", "")).await
        });
        test.until_waiting(4).await;
        test.release(held).await;
        let [one, poisoned, other] = asked;
        one.await.expect("no panic").expect("is good");
        other.await.expect("no panic").expect("is good");
        assert!(matches!(poisoned.await.expect("no panic"), Err(SessionError::Store(_))));
        assert!(matches!(process.await.expect("no panic"), Err(SessionError::Store(_))));
        assert_eq!((test.emotions(good).await.len(), test.emotions(bad).await.len()), (4, 0));
        assert_eq!(test.sessions.get(ada, bad).await.expect("is there").end_time, None);
        let split = test.observed().await.expect("observed")["writes"]["batches_split"].as_u64();
        // The two poisoned commands are in one batch or in two.
        assert!(matches!(split, Some(1 | 2)), "{split:?}");
    }
}
