use faceofmind_base::{Clock, Rng};
use faceofmind_model::{ClaimId, FoldedNotices, FoldedTopic, LoginId, ReminderId};
use faceofmind_testing::databases;

use super::*;

async fn queue(db: &Database, reasons: impl IntoIterator<Item = MailReason>, now: Timestamp) {
    let mut tx = db.begin().await.expect("begins");
    for reason in reasons {
        let cause = Cause { client: "phone", request_id: Some("request-1") };
        enqueue(&mut tx, Rng::system().uuid_v7(now), &reason, cause, now).await.expect("queues");
    }
    tx.commit().await.expect("commits");
}

fn reminder(user: i64) -> MailReason {
    MailReason::Reminder { user: UserId(user), reminder: ReminderId(user) }
}

fn notice(user: i64) -> MailReason {
    MailReason::PasswordChanged { user: UserId(user) }
}

fn reset(number: i64) -> MailReason {
    MailReason::PasswordReset { email: Email::parse(&format!("ada{number}@example.org")).expect("an address") }
}

/// Claims for that many free senders, of which two are for codes.
async fn claimed(db: &Database, free: usize, now: Timestamp) -> Vec<MailPriority> {
    let jobs = claim(db, free, 2, now).await.expect("claims");
    jobs.iter().map(|job| job.reason.as_ref().expect("readable").priority()).collect()
}

#[tokio::test]
async fn codes_are_claimed_first_then_notices_and_two_senders_take_codes_only() {
    for db in databases().await {
        let now = Clock::system().now();
        queue(&db, (0..40).map(reminder), now).await;
        queue(&db, (40..50).map(notice), now + Duration::from_micros(1)).await;
        let now = now + Duration::from_secs(1);
        assert_eq!(claimed(&db, 8, now).await, [MailPriority::Notice; 6], "two senders stay free for codes");
        assert_eq!(claimed(&db, 2, now).await, []);
        queue(&db, (0..3).map(reset), now).await;
        assert_eq!(claimed(&db, 2, now).await, [MailPriority::Code; 2]);
        let rest = claimed(&db, 8, now).await;
        assert_eq!(rest[0], MailPriority::Code);
        assert_eq!((rest.len(), rest[4], rest[5]), (6, MailPriority::Notice, MailPriority::Reminder));
    }
}

#[tokio::test]
async fn a_recipient_is_sent_one_mail_at_a_time() {
    for db in databases().await {
        let now = Clock::system().now();
        queue(&db, [notice(1), reminder(1), notice(1), notice(2)], now).await;
        let jobs = claim(&db, 8, 2, now).await.expect("claims");
        let users: Vec<_> = jobs.iter().map(|job| job.reason.as_ref().and_then(MailReason::user)).collect();
        assert_eq!(users.len(), 2);
        assert!(users.contains(&Some(UserId(1))) && users.contains(&Some(UserId(2))));
        assert!(claim(&db, 8, 2, now).await.expect("claims").is_empty(), "they are being sent");
        for job in &jobs {
            assert_eq!(job.request_id.as_deref(), Some("request-1"));
            mark_done(&db, job).await.expect("is done");
        }
        assert_eq!(claimed(&db, 8, now).await, [MailPriority::Notice], "its second mail");
    }
}

#[tokio::test]
async fn a_renewed_claim_lasts_and_a_job_that_is_put_off_has_no_more_attempts() {
    for db in databases().await {
        let now = Clock::system().now();
        queue(&db, [notice(1)], now).await;
        let job = claim(&db, 8, 2, now).await.expect("claims").pop().expect("one");
        assert_eq!(job.attempts, 1);
        // A node whose clock is ahead takes nothing on PostgreSQL. SQLite has one node, whose claim is renewed in time.
        let later = now + Duration::from_secs(9);
        renew_claim(&db, &job, later).await.expect("renews");
        assert!(claim(&db, 8, 2, later + Duration::from_secs(9)).await.expect("claims").is_empty());
        put_off(&db, &job, later).await.expect("puts off");
        let again = claim(&db, 8, 2, later).await.expect("claims").pop().expect("one");
        assert_eq!((again.id, again.attempts), (job.id, 1));
    }
}

#[tokio::test]
async fn waiting_notices_of_new_logins_are_found_and_done_together() {
    for db in databases().await {
        let now = Clock::system().now();
        let login = |number| MailReason::NewDevice { user: UserId(1), login: LoginId(number) };
        let of_another = MailReason::NewDevice { user: UserId(2), login: LoginId(9) };
        queue(&db, [login(0)], now - Duration::from_secs(1)).await;
        queue(&db, (1..3).map(login).chain([notice(1), of_another]), now).await;
        let jobs = claim(&db, 8, 2, now).await.expect("claims");
        let mut job = jobs.into_iter().find(|job| job.reason == Some(login(0))).expect("the first of the user");
        job.alike = waiting_new_logins(&db, &job, UserId(1), now).await.expect("reads");
        let alike: Vec<_> = job.alike.iter().map(|(_, reason)| reason.clone()).collect();
        assert!(alike.len() == 2 && alike.contains(&login(1)) && alike.contains(&login(2)), "{alike:?}");
        mark_done(&db, &job).await.expect("is done");
        let left = count(db.read_conn().await.expect("reads").connection()).await.expect("counts");
        assert_eq!(left.waiting, 2, "the other notice, and the other user's");
    }
}

#[tokio::test]
async fn what_waits_for_one_mail_waits_as_long_as_it() {
    for db in databases().await {
        let now = Clock::system().now();
        let login = |number| MailReason::NewDevice { user: UserId(1), login: LoginId(number) };
        queue(&db, (0..3).map(login), now).await;
        let later = now + Duration::from_secs(600);
        for delays in [true, false] {
            let mut job = claim(&db, 8, 2, now).await.expect("claims").pop().expect("one of the user");
            job.alike = waiting_new_logins(&db, &job, UserId(1), now).await.expect("reads");
            assert_eq!(job.alike.len(), 2);
            if delays {
                put_off(&db, &job, now + Duration::from_secs(1)).await.expect("puts off");
                assert!(claim(&db, 8, 2, now).await.expect("claims").is_empty(), "none goes alone");
                let mut tx = db.begin().await.expect("begins");
                let undo = "UPDATE mail_intents SET due_at = $1";
                with_conn!(tx.connection(), c => sqlx::query(undo).bind(now).execute(c).await.map(drop)).expect("runs");
                tx.commit().await.expect("commits");
            } else {
                reschedule(&db, &job, later, "perhaps sent: lost").await.expect("reschedules");
                assert!(claim(&db, 8, 2, now).await.expect("claims").is_empty(), "none goes alone");
            }
        }
    }
}

fn notices(topic: FoldedTopic, at: Timestamp) -> FoldedNotices {
    let address = Email::parse("ada@example.org").expect("an address");
    FoldedNotices { user: UserId(1), address, topic, count: 1, first: at, last: at }
}

/// Queues a registration, claims it, and folds its notice.
async fn fold_one(db: &Database, notices: FoldedNotices, now: Timestamp, due: Timestamp) {
    queue(db, [MailReason::Registration { user: UserId(1), claim: ClaimId(1) }], now).await;
    let job = claim(db, 8, 2, now).await.expect("claims").pop().expect("one");
    let id = Rng::system().uuid_v7(now);
    fold(db, &MailJob { attempts: 9, ..job.clone() }, (id, notices.clone()), due).await.expect("another node has it");
    fold(db, &job, (id, notices), due).await.expect("folds");
}

#[tokio::test]
async fn folded_notices_of_a_kind_wait_as_one_job_with_the_first_and_the_last() {
    for db in databases().await {
        let now = Clock::system().now();
        let (due, at) = (now + Duration::from_secs(600), |second| now + Duration::from_secs(second));
        for (topic, second) in [
            (FoldedTopic::AlreadyRegistered, 1),
            (FoldedTopic::AddressTaken, 2),
            (FoldedTopic::AlreadyRegistered, 3),
            (FoldedTopic::AlreadyRegistered, 4),
        ] {
            fold_one(&db, notices(topic, at(second)), now, due + Duration::from_secs(second)).await;
        }
        assert!(claim(&db, 8, 2, due).await.expect("claims").is_empty(), "each waits until it is due");
        let job = claim(&db, 8, 2, due + Duration::from_secs(1)).await.expect("claims").pop().expect("the first");
        let three = FoldedNotices { count: 3, last: at(4), ..notices(FoldedTopic::AlreadyRegistered, at(1)) };
        assert_eq!((job.reason.as_ref(), job.attempts), (Some(&MailReason::FoldedNotices(three)), 1));
        reschedule(&db, &job, due + Duration::from_secs(600), "perhaps sent: lost").await.expect("reschedules");
        fold_one(&db, notices(FoldedTopic::AlreadyRegistered, at(5)), now, due).await;
        let left = count(db.read_conn().await.expect("reads").connection()).await.expect("counts");
        assert_eq!(left.waiting, 3, "what perhaps arrived is sent again as it was");
        let job = claim(&db, 8, 2, due).await.expect("claims").pop().expect("the last");
        assert_eq!(job.reason, Some(MailReason::FoldedNotices(notices(FoldedTopic::AlreadyRegistered, at(5)))));
    }
}

#[tokio::test]
async fn after_an_outage_what_failed_is_tried_at_once_uncounted_but_not_what_perhaps_arrived() {
    for db in databases().await {
        let now = Clock::system().now();
        queue(&db, [notice(1), notice(2), notice(3)], now).await;
        let later = now + Duration::from_secs(600);
        for job in claim(&db, 8, 2, now).await.expect("claims") {
            let is_unclear = job.reason == Some(notice(2));
            let error = if is_unclear { "perhaps sent: reply lost" } else { "connection refused" };
            reschedule(&db, &job, later, error).await.expect("reschedules");
        }
        let mut tx = db.begin().await.expect("begins");
        let sql = "UPDATE mail_intents SET attempts = 5 WHERE user_id < 3";
        with_conn!(tx.connection(), c => sqlx::query(sql).execute(c).await.map(drop)).expect("runs");
        tx.commit().await.expect("commits");
        retry_failed(&db, now).await.expect("retries");
        let jobs = claim(&db, 8, 2, now).await.expect("claims");
        let retried: Vec<_> = jobs.into_iter().map(|job| (job.reason, job.attempts)).collect();
        assert_eq!(retried.len(), 2, "{retried:?}");
        for known in [(Some(notice(1)), 5), (Some(notice(3)), 2)] {
            assert!(retried.contains(&known), "{retried:?}");
        }
    }
}

#[tokio::test]
async fn a_thousand_mails_of_a_recipient_that_hangs_hide_no_other() {
    for db in databases().await {
        let now = Clock::system().now();
        queue(&db, (0..1001).map(|_| notice(1)), now).await;
        queue(&db, [notice(2)], now + Duration::from_micros(1)).await;
        let now = now + Duration::from_secs(1);
        assert_eq!(claimed(&db, 8, now).await.len(), 1, "one of the first");
        let jobs = claim(&db, 8, 2, now).await.expect("claims");
        assert_eq!(jobs.into_iter().map(|job| job.reason).collect::<Vec<_>>(), [Some(notice(2))]);
    }
}

#[tokio::test]
async fn a_claim_lasts_from_when_it_is_made() {
    for db in databases().await {
        let now = Clock::system().now();
        queue(&db, [notice(1)], now).await;
        let mut writing = db.begin().await.expect("begins");
        writing.lock("mail intents").await.expect("locks");
        let end = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            writing.commit().await.expect("commits");
        };
        let (claimed, ()) = tokio::join!(claim(&db, 8, 2, now), end);
        assert_eq!(claimed.expect("claims").len(), 1);
        let mut reader = db.read_conn().await.expect("reads");
        let select = "SELECT due_at FROM mail_intents";
        let (until,): (Timestamp,) =
            with_conn!(reader.connection(), c => sqlx::query_as(select).fetch_one(c).await).expect("reads");
        assert!(until >= now + CLAIM_TIMEOUT + Duration::from_millis(500), "it waited for a second");
    }
}

#[tokio::test]
async fn a_poll_reads_the_first_entry_of_each_index() {
    let db = databases().await.pop().expect("PostgreSQL");
    let jobs = "INSERT INTO mail_intents (id, occasion, user_id, client, created_at, due_at, dead_at, claimed_until) \
         SELECT 'job ' || number, 'reminder', number, '', now(), now() + interval '1 day', CASE WHEN number % 2 = 0 THEN now() END, \
                CASE WHEN number % 500 = 1 THEN now() + interval '1 hour' END FROM generate_series(1, 20000) AS number";
    faceofmind_testing::fill(&db, &[jobs]).await;
    let pages = faceofmind_testing::pages_touched(&db, first_due!("clock_timestamp()"), "now()").await;
    assert!(pages < 10, "{pages}");
}
