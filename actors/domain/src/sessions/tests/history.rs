//! Session histories.

use super::*;

const FACE: &str = "INSERT INTO facial_data (detection_id, emotion) VALUES ($1, $2)";
const VOICE: &str = "INSERT INTO voice_data (detection_id, content) VALUES ($1, $2)";
const URLS: &str = "UPDATE wellness_suggestions SET url = $2 WHERE detection_id = $1";

#[tokio::test]
async fn a_history_holds_everything_in_the_order_of_time() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        let other = test.start(ada).await.id;
        test.fill(other).await;
        let first = test.detect(id, "Sad").await;
        let second = test.detect(id, "saudade").await;
        let insert = "INSERT INTO emotion_detections (session_id, timestamp) VALUES ($1, $2) RETURNING id";
        let bare = test.sql(insert, id.0).await;
        let encrypted = testing::keyring().encrypt(&format!("voice_data/{first}"), "I miss home").expect("encrypts");
        test.texts(VOICE, first, &encrypted).await;
        test.texts(VOICE, second, "a plain text of an older database").await;
        test.suggest(first, "- I hear you.\n- Breathe.\n- Walk.").await;
        test.texts(URLS, first, "https://b.example,https://a.example").await;
        test.suggest(second, "- Well.").await;
        test.texts(URLS, second, "https://a.example,https://c.example").await;

        let history = test.sessions.history(ada, id).await.expect("reads");

        let summary = |moment: &DetectionRecord| {
            let face = moment.face.as_ref().map(|(_, emotion)| emotion.clone());
            (moment.id.0, face, moment.voice.as_ref().map(|(_, said)| said.clone()))
        };
        assert_eq!(
            history.detections.iter().map(summary).collect::<Vec<_>>(),
            [
                (first, Some("Sad".into()), Some("I miss home".into())),
                (second, Some("saudade".into()), Some("a plain text of an older database".into())),
                (bare, None, None)
            ],
            "in the order of their times"
        );
        let suggestion = history.detections[0].suggestion.clone().expect("a suggestion");
        assert_eq!((suggestion.acknowledgment.as_str(), suggestion.suggestions.len()), ("I hear you.", 2));
        let mut urls = RelevantUrls::default();
        urls.add(&history.detections);
        assert_eq!(urls.into_vec(), ["https://b.example", "https://a.example", "https://c.example"]);
        assert_eq!(history.detections[0].colour(), faceofmind_model::emotion::colour("sad"));
        assert_eq!(history.detections[2].colour(), faceofmind_model::emotion::colour("no known emotion"));
        assert_eq!((history.session.id, history.next), (id, None));
    }
}

#[tokio::test]
async fn the_newest_of_several_rows_of_one_detection_counts_everywhere() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        let detection = test.detect(id, "happy").await;
        for (face, said, suggested) in [("calm", "one", "- One."), ("Angry", "two", "- Two.")] {
            test.texts(FACE, detection, face).await;
            test.texts(VOICE, detection, said).await;
            test.suggest(detection, suggested).await;
        }
        let history = test.sessions.history(ada, id).await.expect("reads");
        let [moment] = history.detections.as_slice() else { panic!("one detection: {history:?}") };
        assert_eq!(moment.face.as_ref().expect("a face").1, "Angry");
        assert_eq!(moment.voice.as_ref().expect("a voice").1, "two");
        assert_eq!(moment.suggestion.as_ref().expect("a suggestion").acknowledgment, "Two.");
        let listed = test.sessions.list(ada, 0, 1).await.expect("lists");
        assert_eq!(listed[0].dominant_emotion.as_deref(), Some("angry"));
        let days =
            test.sessions.0.ask(GetDayStats { user: ada, window: Window::Month, zone: None }).await.expect("reads");
        let severe: Vec<_> = days.iter().filter(|day| day.dominant_emotion.as_deref() == Some("angry")).collect();
        assert!(severe.len() == 1 && severe[0].intensities.total() == 1, "{days:?}");
    }
}

#[tokio::test]
async fn a_long_history_is_read_in_pages_in_the_order_of_time() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        let mut inserted = Vec::new();
        for _ in 0..200 {
            // Three of one moment, so that pages also end between equal times. Later ones are stored first.
            test.clock.set_back(Duration::from_secs(2));
            let three = "INSERT INTO emotion_detections (session_id, timestamp) VALUES ($1, $2), ($1, $2), ($1, $2) RETURNING id";
            let first = test.sql(three, id.0).await;
            inserted.extend([first, first + 1, first + 2]);
        }
        let (mut read, mut sizes, mut after) = (Vec::new(), Vec::new(), None);
        loop {
            let page = test.sessions.0.ask(GetHistory { user: ada, session: id, after }).await.expect("reads");
            sizes.push(page.detections.len());
            read.extend(page.detections.iter().map(|one| (one.timestamp, one.id.0)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert!(read.is_sorted(), "in the order of time");
        let mut ids: Vec<_> = read.into_iter().map(|(_, id)| id).collect();
        ids.sort_unstable();
        assert!(ids == inserted, "each once");
        assert_eq!(sizes, [256, 256, 88]);
    }
}

#[tokio::test]
async fn another_users_history_is_not_found() {
    for test in contexts().await {
        let (ada, eve) = (test.user("ada@example.org").await, test.user("eve@example.org").await);
        let id = test.start(ada).await.id;
        let refused = test.sessions.history(eve, id).await;
        assert!(matches!(refused, Err(SessionError::NotFound)), "{refused:?}");
        test.sessions.history(ada, id).await.expect("is theirs");
    }
}

#[tokio::test]
async fn an_undecryptable_text_leaves_the_others_readable() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        let (first, second) = (test.detect(id, "sad").await, test.detect(id, "calm").await);
        let moved = testing::keyring().encrypt("voice_data/0", "a secret").expect("encrypts");
        test.texts(VOICE, first, &moved).await;
        test.suggest(first, "- I hear you.").await;
        test.texts(VOICE, second, "plain words").await;
        let history = test.sessions.history(ada, id).await.expect("reads");
        let [lost, kept] = history.detections.as_slice() else { panic!("two detections: {history:?}") };
        assert_eq!((lost.id.0, &lost.voice), (first, &None));
        assert!(lost.face.is_some() && lost.suggestion.is_some(), "{lost:?}");
        assert_eq!(kept.voice.as_ref().expect("a voice").1, "plain words");
    }
}

/// With 256 detections it would hold some 10 MB.
#[tokio::test]
async fn a_page_with_long_texts_ends_early() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        let said = |number: usize| format!("{number} {}", "\u{e9}".repeat(9_000));
        let all = (0..60).map(|number| recording::detection("calm", &said(number))).collect();
        test.sessions.detect(command(ada, None), id, all).await.expect("records");
        let (mut after, mut read, mut pages) = (None, Vec::new(), 0);
        loop {
            let page = test.sessions.0.ask(GetHistory { user: ada, session: id, after }).await.expect("reads");
            assert!(page.detections.len() <= 20, "{}", page.detections.len());
            read.extend(page.detections.into_iter().filter_map(|detection| detection.voice).map(|(_, said)| said));
            (after, pages) = (page.next, pages + 1);
            if after.is_none() {
                break;
            }
        }
        assert!(pages > 3 && read == (0..60).map(said).collect::<Vec<_>>(), "{pages}, {}", read.len());
    }
}
