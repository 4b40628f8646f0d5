//! What a session holds.

use super::*;

const FACE: &str = "INSERT INTO facial_data (detection_id, emotion) VALUES ($1, $2)";
const VOICE: &str = "INSERT INTO voice_data (detection_id, content) VALUES ($1, $2)";
const URLS: &str = "UPDATE wellness_suggestions SET url = $2 WHERE detection_id = $1";

#[tokio::test]
async fn a_history_holds_all_in_the_order_of_time() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let id = world.start(ada).await.id;
        let other = world.start(ada).await.id;
        world.fill(other).await;
        let first = world.detect(id, "Sad").await;
        let second = world.detect(id, "saudade").await;
        let insert = "INSERT INTO emotion_detections (session_id, timestamp) VALUES ($1, $2) RETURNING id";
        let bare = world.sql(insert, id.0).await;
        let sealed = testing::keyring().seal(&format!("voice_data/{first}"), "I miss home").expect("sealed");
        world.texts(VOICE, first, &sealed).await;
        world.texts(VOICE, second, "a plain text of an older database").await;
        world.suggest(first, "- I hear you.\n- Breathe.\n- Walk.").await;
        world.texts(URLS, first, "https://b.example,https://a.example").await;
        world.suggest(second, "- Well.").await;
        world.texts(URLS, second, "https://a.example,https://c.example").await;

        let history = world.sessions.history(ada, id).await.expect("reads");

        let gist = |moment: &Moment| {
            let face = moment.face.as_ref().map(|(_, emotion)| emotion.clone());
            (moment.id.0, face, moment.voice.as_ref().map(|(_, said)| said.clone()))
        };
        assert_eq!(
            history.detections.iter().map(gist).collect::<Vec<_>>(),
            [
                (first, Some("Sad".into()), Some("I miss home".into())),
                (second, Some("saudade".into()), Some("a plain text of an older database".into())),
                (bare, None, None)
            ],
            "in the order of their times"
        );
        let suggestion = history.detections[0].suggestion.clone().expect("a suggestion");
        assert_eq!((suggestion.acknowledgment.as_str(), suggestion.suggestions.len()), ("I hear you.", 2));
        assert_eq!(history.relevant_urls(), ["https://b.example", "https://a.example", "https://c.example"]);
        assert_eq!(history.detections[0].colour(), faceofmind_model::emotion::colour("sad"));
        assert_eq!(history.detections[2].colour(), faceofmind_model::emotion::colour("no known emotion"));
        assert_eq!((history.session.id, history.truncated), (id, false));
    }
}

#[tokio::test]
async fn of_several_rows_of_one_detection_the_newest_count_everywhere() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let id = world.start(ada).await.id;
        let detection = world.detect(id, "happy").await;
        for (face, said, suggested) in [("calm", "one", "- One."), ("Angry", "two", "- Two.")] {
            world.texts(FACE, detection, face).await;
            world.texts(VOICE, detection, said).await;
            world.suggest(detection, suggested).await;
        }
        let history = world.sessions.history(ada, id).await.expect("reads");
        let [moment] = history.detections.as_slice() else { panic!("one detection: {history:?}") };
        assert_eq!(moment.face.as_ref().expect("a face").1, "Angry");
        assert_eq!(moment.voice.as_ref().expect("a voice").1, "two");
        assert_eq!(moment.suggestion.as_ref().expect("a suggestion").acknowledgment, "Two.");
        let listed = world.sessions.list(ada, 0, 1).await.expect("lists");
        assert_eq!(listed[0].dominant_emotion.as_deref(), Some("angry"));
        let days = world.sessions.days(ada, Window::Month, None).await.expect("reads");
        let severe: Vec<_> = days.iter().filter(|day| day.dominant_emotion.as_deref() == Some("angry")).collect();
        assert!(severe.len() == 1 && severe[0].intensities.total() == 1, "{days:?}");
    }
}

#[tokio::test]
async fn of_a_session_too_long_to_be_held_the_newest_are_there() {
    for world in worlds_of(Settings { largest_history: 5000, ..Settings::default() }).await {
        let ada = world.user("ada@example.org").await;
        let id = world.start(ada).await.id;
        let mut all = Vec::new();
        for _ in 0..5 {
            all.push(world.detect(id, "calm").await);
        }
        world.texts(VOICE, all[1], &"a".repeat(3900)).await;
        let ids = async || -> (Vec<i64>, bool) {
            let history = world.sessions.history(ada, id).await.expect("reads");
            (history.detections.iter().map(|moment| moment.id.0).collect(), history.truncated)
        };
        assert_eq!(ids().await, (all[1..].to_vec(), true));
        world.texts("UPDATE voice_data SET content = $2 WHERE detection_id = $1", all[1], "short").await;
        assert_eq!(ids().await, (all.clone(), false));
        world.texts(VOICE, all[4], &"a".repeat(9000)).await;
        assert_eq!(ids().await, (vec![all[4]], true), "one at least");
    }
}

#[tokio::test]
async fn anothers_history_is_not_there() {
    for world in worlds().await {
        let (ada, eve) = (world.user("ada@example.org").await, world.user("eve@example.org").await);
        let id = world.start(ada).await.id;
        let refused = world.sessions.history(eve, id).await;
        assert!(matches!(refused, Err(SessionError::NotFound)), "{refused:?}");
        world.sessions.history(ada, id).await.expect("is theirs");
    }
}

#[tokio::test]
async fn a_text_that_no_key_opens_costs_its_owner_none_of_the_others() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let id = world.start(ada).await.id;
        let (first, second) = (world.detect(id, "sad").await, world.detect(id, "calm").await);
        let moved = testing::keyring().seal("voice_data/0", "a secret").expect("sealed");
        world.texts(VOICE, first, &moved).await;
        world.suggest(first, "- I hear you.").await;
        world.texts(VOICE, second, "plain words").await;
        let history = world.sessions.history(ada, id).await.expect("reads");
        let [lost, kept] = history.detections.as_slice() else { panic!("two detections: {history:?}") };
        assert_eq!((lost.id.0, &lost.voice), (first, &None));
        assert!(lost.face.is_some() && lost.suggestion.is_some(), "{lost:?}");
        assert_eq!(kept.voice.as_ref().expect("a voice").1, "plain words");
    }
}
