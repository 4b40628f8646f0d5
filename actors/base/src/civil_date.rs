//! A calendar date without a time zone: PostgreSQL's `date`, SQLite's TEXT, `YYYY-MM-DD` in JSON.

use std::fmt;

use jiff::{
    Span,
    civil::{Date, date},
};
use serde::{Serialize, Serializer};
use sqlx::{
    Database as Backend, Decode, Encode, Postgres, Sqlite, Type, encode::IsNull, error::BoxDynError,
    postgres::types::Oid,
};

/// PostgreSQL counts days from here.
const POSTGRES_EPOCH: Date = date(2000, 1, 1);
const DATE: Oid = Oid(1082);

/// A calendar date without a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CivilDate(pub Date);

impl CivilDate {
    /// Converts PostgreSQL's day count. Days beyond jiff's range, as PostgreSQL's infinity, become its first or last day.
    fn from_postgres(days: i32) -> Self {
        let end = if days < 0 { Date::MIN } else { Date::MAX };
        let span = Span::new().try_days(i64::from(days));
        Self(span.and_then(|span| POSTGRES_EPOCH.checked_add(span)).unwrap_or(end))
    }
}

impl fmt::Display for CivilDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for CivilDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Type<Postgres> for CivilDate {
    fn type_info() -> sqlx::postgres::PgTypeInfo {
        sqlx::postgres::PgTypeInfo::with_oid(DATE)
    }
}

impl Encode<'_, Postgres> for CivilDate {
    fn encode_by_ref(&self, buffer: &mut sqlx::postgres::PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode(self.0.since(POSTGRES_EPOCH)?.get_days(), buffer)
    }
}

impl<'r> Decode<'r, Postgres> for CivilDate {
    fn decode(value: <Postgres as Backend>::ValueRef<'r>) -> Result<Self, BoxDynError> {
        <i32 as Decode<Postgres>>::decode(value).map(Self::from_postgres)
    }
}

impl Type<Sqlite> for CivilDate {
    fn type_info() -> sqlx::sqlite::SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }

    fn compatible(ty: &sqlx::sqlite::SqliteTypeInfo) -> bool {
        <String as Type<Sqlite>>::compatible(ty)
    }
}

impl Encode<'_, Sqlite> for CivilDate {
    fn encode_by_ref(&self, buffer: &mut sqlx::sqlite::SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Sqlite>::encode(self.to_string(), buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for CivilDate {
    fn decode(value: <Sqlite as Backend>::ValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(<&str as Decode<Sqlite>>::decode(value)?.parse()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_year_month_and_day() {
        let json = serde_json::to_string(&CivilDate(date(987, 1, 2))).expect("a date is a string");
        assert_eq!(json, r#""0987-01-02""#);
    }

    #[test]
    fn days_are_counted_as_postgresql_does() {
        assert_eq!(CivilDate::from_postgres(0).to_string(), "2000-01-01");
        assert_eq!(CivilDate::from_postgres(-730_119).to_string(), "0001-01-01");
        assert_eq!(CivilDate::from_postgres(2_921_939).to_string(), "9999-12-31");
    }

    #[test]
    fn infinity_is_the_last_day_there_is() {
        assert_eq!(CivilDate::from_postgres(i32::MAX).0, Date::MAX);
        assert_eq!(CivilDate::from_postgres(i32::MIN).0, Date::MIN);
    }
}
