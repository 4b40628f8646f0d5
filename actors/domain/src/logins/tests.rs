//! Creating logins, on both databases.

use std::time::Duration;

use faceofmind_base::{Clock, Rng};
use faceofmind_db::{Database, with_conn};
use faceofmind_model::UserId;
use faceofmind_platform::{login_store::NewLogin, mail::Cause};

use super::{LoginError, password_login::create};
use crate::testing;

/// The revision of a user of [`testing::user`], who has no profile.
const REVISION: i64 = 0;

/// Creates a login of a user with the first [`REVISION`]. Returns whether its device was new, or `None` when the user has changed.
async fn create_on(db: &Database, user: UserId, device: &str) -> Result<Option<bool>, LoginError> {
    let mut tx = db.begin().await?;
    let new = NewLogin { user, device, client_ip: "home" };
    let moment = (Clock::system().now(), &Rng::system());
    let cause = Cause::default();
    let created = create(&mut tx, &new, false, cause, REVISION, Duration::from_secs(60), moment).await?;
    tx.commit().await?;
    Ok(created.map(|(_, is_new_device)| is_new_device))
}

async fn count(db: &Database, sql: &'static str) -> i64 {
    let mut reader = db.read_conn().await.expect("reads");
    let (count,): (i64,) =
        with_conn!(reader.connection(), c => sqlx::query_as(sql).fetch_one(c).await).expect("a number");
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_first_logins_at_once_each_new_device_but_the_first_is_mailed_once() {
    for db in testing::databases().await {
        let user = testing::user(&db, "ada@example.org").await;
        let creating = (0..12).map(|index| {
            let (db, device) = (db.clone(), ["a phone", "a fridge", "a watch"][index % 3]);
            tokio::spawn(async move { create_on(&db, user, device).await })
        });
        let mut mailed = 0;
        for created in creating.collect::<Vec<_>>() {
            let is_mailed = created.await.expect("no panic").expect("creates").expect("the user is unchanged");
            mailed += i64::from(is_mailed);
        }
        assert_eq!((mailed, count(&db, "SELECT count(*) FROM mail_intents").await), (2, 2));
    }
}

#[tokio::test]
async fn a_user_who_changes_between_the_password_and_the_login_is_not_logged_in() {
    for db in testing::databases().await {
        let user = testing::user(&db, "ada@example.org").await;
        let mut tx = db.begin().await.expect("begins");
        let change = "INSERT INTO user_profiles (user_id, revision) VALUES ($1, 1)";
        with_conn!(tx.connection(), c => sqlx::query(change).bind(user).execute(c).await.map(drop)).expect("changes");
        tx.commit().await.expect("commits");
        assert_eq!(create_on(&db, user, "a phone").await.expect("no failure"), None);
        assert_eq!(count(&db, "SELECT count(*) FROM logins").await, 0);
    }
}
