//! How a query runs on a connection to PostgreSQL: by a named statement, which the connection caches, or by one without a name.

use futures_util::{future::BoxFuture, stream::BoxStream};
use sqlx::{
    Describe, Either, Execute, Executor, PgConnection, Postgres, SqlStr,
    error::BoxDynError,
    postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

/// A borrowed connection that runs one query.
///
/// *Why*: sqlx names every statement `sqlx_s_1`, `sqlx_s_2`, …, also without a cache. Behind a pgbouncer in transaction mode these names
/// collide with those of other clients. A statement without a name is replaced by the next one.
#[derive(Debug)]
pub struct PgExecutor<'c> {
    connection: &'c mut PgConnection,
    names_statements: bool,
}

impl<'c> PgExecutor<'c> {
    pub(crate) fn new(connection: &'c mut PgConnection, names_statements: bool) -> Self {
        Self { connection, names_statements }
    }
}

impl<'c> Executor<'c> for PgExecutor<'c> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.connection.fetch_many(Named(query, self.names_statements))
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.connection.fetch_optional(Named(query, self.names_statements))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        self.connection.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        self.connection.describe(sql)
    }
}

/// A query, and whether its statement may have a name.
struct Named<E>(E, bool);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Named<E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.0.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.1 && self.0.persistent()
    }
}
