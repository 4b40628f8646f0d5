//! The list of users: filters, and pages by key.

use faceofmind_db::{Connection, Database, StoreError, with_conn};
use faceofmind_model::{Role, Status, User, UserId};
use faceofmind_runtime::Message;
use sqlx::AssertSqlSafe;

use super::{
    AccountError,
    store::{Row, select_user},
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

const MATCHING: &str = "(CAST($1 AS text) IS NULL OR u.status = $1) AND (CAST($2 AS text) IS NULL OR u.role = $2) \
    AND (CAST($3 AS text) IS NULL OR lower(u.first_name || ' ' || u.last_name {FOLD}) LIKE $3 ESCAPE '!' \
    OR lower(u.email {FOLD}) LIKE $3 ESCAPE '!')";

/// PostgreSQL folds case by the database's locale unless a collation is named; SQLite folds ASCII only.
fn matching(db: &Database) -> String {
    MATCHING.replace("{FOLD}", if matches!(db, Database::Postgres(_)) { "COLLATE \"C\"" } else { "" })
}

/// Makes a LIKE pattern in which `!`, `%` and `_` are literal.
fn pattern(typed: &str) -> String {
    let literal = typed.to_ascii_lowercase().replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{literal}%")
}

pub(super) async fn page(db: &Database, filter: &ListUsers) -> Result<UserPage, StoreError> {
    let mut reader = db.read_conn().await?;
    let matching = matching(db);
    let total = count(reader.connection(), filter, &matching).await?;
    let select = select_user!("{MATCHING} AND u.id > $4 ORDER BY u.id LIMIT $5").replace("{MATCHING}", &matching);
    let (status, role, query) = filter.parameters();
    let limit = filter.limit.max(1);
    let rows: Vec<Row> = with_conn!(reader.connection(), c => sqlx::query_as(AssertSqlSafe(select))
        .bind(status).bind(role).bind(query)
        .bind(filter.after.unwrap_or(UserId(0))).bind(i64::from(limit) + 1)
        .fetch_all(c).await)?;
    let mut results = Vec::with_capacity(rows.len());
    for row in rows {
        results.push(row.into_account()?.user);
    }
    let limit = limit as usize;
    let next = (results.len() > limit).then(|| results[limit - 1].id);
    results.truncate(limit);
    Ok(UserPage { results, total, next })
}

async fn count(connection: Connection<'_>, filter: &ListUsers, matching: &str) -> Result<i64, StoreError> {
    let select = format!("SELECT count(*) FROM users u WHERE u.status <> 'erasing' AND {matching}");
    let (status, role, query) = filter.parameters();
    let (total,): (i64,) = with_conn!(connection, c => sqlx::query_as(AssertSqlSafe(select))
        .bind(status).bind(role).bind(query).fetch_one(c).await)?;
    Ok(total)
}

impl ListUsers {
    fn parameters(&self) -> (Option<&'static str>, Option<&'static str>, Option<String>) {
        (self.status.map(Status::as_str), self.role.map(Role::as_str), self.query.as_deref().map(pattern))
    }
}
