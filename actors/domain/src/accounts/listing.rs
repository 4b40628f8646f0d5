//! The list of users: filters, and pages by key.

use faceofmind_db::{Connection, Database, StoreError, with_conn};
use faceofmind_model::{Role, Status, User, UserId};
use faceofmind_runtime::Message;
use sqlx::AssertSqlSafe;

use super::{
    AccountError,
    search::{self, Matches},
    store::{Row, select_user},
    user_counts,
};

/// Lists the users that match, in the order of their ids.
#[derive(Debug, Default)]
pub struct ListUsers {
    pub status: Option<Status>,
    pub role: Option<Role>,
    /// Part of a name, of first and last name together, or of the e-mail address; ASCII letters match in either case.
    pub query: Option<String>,
    /// The last id of the page before.
    pub after: Option<UserId>,
    /// The most users of this page; 0 counts as 1.
    pub limit: u32,
}

impl Message for ListUsers {
    type Output = UserPage;
    type Error = AccountError;
}

/// A page of users.
#[derive(Debug)]
pub struct UserPage {
    pub results: Vec<User>,
    /// The users that match, on all pages.
    pub total: i64,
    /// The last id of this page, when another page follows.
    pub next: Option<UserId>,
}

pub(super) async fn page(db: &Database, filter: &ListUsers) -> Result<UserPage, StoreError> {
    let Matches { rows, total } = match &filter.query {
        Some(typed) if search::has_trigram(db, typed) => search::by_index(db, filter, typed).await?,
        _ => by_scan(db, filter).await?,
    };
    let total = match total {
        Some(total) => total,
        None => count(db, db.read_conn().await?.connection(), filter).await?,
    };
    let mut results = Vec::with_capacity(rows.len());
    for row in rows {
        results.push(row.into_account()?.user);
    }
    let limit = filter.limit.max(1) as usize;
    let next = (results.len() > limit).then(|| results[limit - 1].id);
    results.truncate(limit);
    Ok(UserPage { results, total, next })
}

/// Goes through the users from the last page on. Reads them before their number, in the order in which a TRUNCATE of `users` locks the tables.
async fn by_scan(db: &Database, filter: &ListUsers) -> Result<Matches, StoreError> {
    let mut reader = db.read_conn().await?;
    let select = AssertSqlSafe(filter.select(db));
    let rows: Vec<Row> = with_conn!(reader.connection(), c => {
        let query = sqlx::query_as(select).bind(filter.after.unwrap_or(UserId(0))).bind(filter.rows());
        match filter.pattern() {
            Some(pattern) => query.bind(pattern),
            None => query,
        }
        .fetch_all(c).await
    })?;
    let total = count(db, reader.connection(), filter).await?;
    Ok(Matches { rows, total: Some(total) })
}

async fn count(db: &Database, connection: Connection<'_>, filter: &ListUsers) -> Result<i64, StoreError> {
    let matching = filter.matching(db, "$1");
    let Some(pattern) = filter.pattern() else { return user_counts::total(connection, &matching).await };
    let select = AssertSqlSafe(format!("SELECT count(*) FROM users u WHERE u.status <> 'erasing'{matching}"));
    Ok(with_conn!(connection, c => sqlx::query_scalar(select).bind(pattern).fetch_one(c).await)?)
}

impl ListUsers {
    /// `$1` is the last id of the page before, `$2` the number of rows, `$3` the pattern.
    fn select(&self, db: &Database) -> String {
        select_user!("u.id > $1{MATCHING} ORDER BY u.id LIMIT $2").replace("{MATCHING}", &self.matching(db, "$3"))
    }

    /// The conditions of the filters that are set, each with its value, so that the indexes of unusual roles and statuses serve them. The
    /// planner cannot use these for a parameter, and none for `$1 IS NULL OR …`. `parameter` is that of the pattern.
    pub(super) fn matching(&self, db: &Database, parameter: &str) -> String {
        let role = self.role.map(|role| equals("role", role.as_str(), Role::User.as_str()));
        let status = self.status.map(|status| equals("status", status.as_str(), Status::Active.as_str()));
        let search = self.query.is_some().then(|| search::condition(db, parameter));
        [role, status, search].into_iter().flatten().collect()
    }

    fn pattern(&self) -> Option<String> {
        self.query.as_deref().map(search::pattern)
    }

    /// The rows of a page, and one that tells whether another page follows.
    pub(super) fn rows(&self) -> i64 {
        i64::from(self.limit.max(1)) + 1
    }
}

/// SQLite uses the index of unusual values only where the query has its condition.
fn equals(column: &str, value: &str, usual: &str) -> String {
    let unusual = if value == usual { String::new() } else { format!(" AND u.{column} <> '{usual}'") };
    format!(" AND u.{column} = '{value}'{unusual}")
}

#[cfg(test)]
mod tests {
    use super::{super::store::OTHER_ADMIN, *};
    use crate::testing;

    #[tokio::test]
    async fn users_with_an_unusual_role_or_status_are_found_among_many_others() {
        let db = testing::databases().await.pop().expect("PostgreSQL");
        let users = [1, 10_001].map(|first| {
            format!(
                "INSERT INTO users (email, first_name, last_name, role, status, created_at) \
                 SELECT number || '@example.org', 'Ada', 'Lovelace', CASE number % 4000 WHEN 0 THEN 'admin' ELSE 'user' END, \
                     CASE number % 4000 WHEN 1 THEN 'suspended' ELSE 'active' END, now() \
                 FROM generate_series({first}, {first} + 9999) AS number"
            )
        });
        testing::fill(&db, &users.each_ref().map(String::as_str)).await;
        let admins = ListUsers { role: Some(Role::Admin), ..ListUsers::default() };
        let suspended = ListUsers { status: Some(Status::Suspended), ..ListUsers::default() };
        for filter in [admins, suspended] {
            let filter = ListUsers { limit: 100, ..filter };
            let found = page(&db, &filter).await.expect("lists");
            assert_eq!((found.total, found.results.len(), found.next), (5, 5, None));
            let select = filter.select(&db);
            let pages = testing::pages_touched(&db, &select, "0, 51").await;
            assert!(pages < 60, "{pages}: {select}");
        }
        let pages = testing::pages_touched(&db, OTHER_ADMIN, "4000").await;
        assert!(pages < 10, "{pages}");
    }
}
