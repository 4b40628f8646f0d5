//! The ten tables that the predecessor and this program share, as migration 1 makes them.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Key,
    Number,
    Text,
    Time,
    Day,
    Flag,
}

impl Kind {
    /// The types that this program reads and writes, as PostgreSQL names them.
    pub(super) fn types(self) -> &'static [&'static str] {
        match self {
            Self::Key => &["integer", "bigint"],
            Self::Number => &["integer"],
            Self::Text => &["text", "character varying"],
            Self::Time => &["timestamp with time zone"],
            Self::Day => &["date"],
            Self::Flag => &["boolean"],
        }
    }
}

/// A table.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The columns that each layout has.
    pub(super) columns: &'static [(&'static str, Kind)],
    /// Columns that refer to the `id` of another table.
    pub(super) parents: &'static [(&'static str, &'static str)],
    /// Names and columns of the indexes of migration 1.
    pub(super) indexes: &'static [(&'static str, &'static str)],
}

use Kind::{Day, Flag, Key, Number, Text, Time};

/// In the order in which a writer locks them: rows before those that they refer to, `users` last and for the shortest time.
pub(super) const TABLES: [Table; 10] = [
    Table {
        name: "reminders",
        columns: &[
            ("id", Key),
            ("user_id", Key),
            ("title", Text),
            ("description", Text),
            ("reminder_time", Day),
            ("is_active", Flag),
            ("created_at", Time),
        ],
        parents: &[("user_id", "users")],
        indexes: &[("reminders_of_user", "user_id")],
    },
    Table {
        name: "community_comments",
        columns: &[
            ("id", Key),
            ("post_id", Key),
            ("user_id", Key),
            ("content", Text),
            ("created_at", Time),
            ("updated_at", Time),
        ],
        parents: &[("post_id", "community_posts"), ("user_id", "users")],
        indexes: &[("community_comments_of_post", "post_id,id"), ("community_comments_of_user", "user_id")],
    },
    Table {
        name: "community_posts",
        columns: &[("id", Key), ("user_id", Key), ("content", Text), ("created_at", Time), ("updated_at", Time)],
        parents: &[("user_id", "users")],
        indexes: &[("community_posts_of_user", "user_id")],
    },
    Table {
        name: "feedback",
        columns: &[("id", Key), ("session_id", Key), ("comment", Text), ("rating", Number)],
        parents: &[("session_id", "sessions")],
        indexes: &[("feedback_of_session", "session_id")],
    },
    Table {
        name: "wellness_suggestions",
        columns: &[("id", Key), ("detection_id", Key), ("suggestion", Text)],
        parents: &[("detection_id", "emotion_detections")],
        indexes: &[("wellness_suggestions_of_detection", "detection_id")],
    },
    Table {
        name: "voice_data",
        columns: &[("id", Key), ("detection_id", Key), ("content", Text)],
        parents: &[("detection_id", "emotion_detections")],
        indexes: &[("voice_data_of_detection", "detection_id")],
    },
    Table {
        name: "facial_data",
        columns: &[("id", Key), ("detection_id", Key), ("emotion", Text)],
        parents: &[("detection_id", "emotion_detections")],
        indexes: &[("facial_data_of_detection", "detection_id")],
    },
    Table {
        name: "emotion_detections",
        columns: &[("id", Key), ("session_id", Key), ("timestamp", Time)],
        parents: &[("session_id", "sessions")],
        indexes: &[("emotion_detections_of_session", "session_id,timestamp")],
    },
    Table {
        name: "sessions",
        columns: &[("id", Key), ("user_id", Key), ("start_time", Time), ("end_time", Time)],
        parents: &[("user_id", "users")],
        indexes: &[("sessions_of_user", "user_id,id")],
    },
    Table {
        name: "users",
        columns: &[
            ("id", Key),
            ("email", Text),
            ("password", Text),
            ("first_name", Text),
            ("last_name", Text),
            ("role", Text),
            ("status", Text),
            ("created_at", Time),
        ],
        parents: &[],
        indexes: &[],
    },
];

/// Columns that only some layouts have, with their type. This program reads them.
pub(super) const ADDED: [(&str, &str, &str); 1] = [("wellness_suggestions", "url", "text")];

/// Columns into which this program writes NULL, or nothing.
pub(super) const RELAXED: [(&str, &str); 2] = [("voice_data", "audio_path"), ("users", "password")];

/// What a column is where an insertion does not name it.
pub(super) const DEFAULTS: [(&str, &str, &str); 3] =
    [("users", "role", "'user'"), ("users", "status", "'inactive'"), ("reminders", "is_active", "true")];

/// A column in which some layouts allow NULL, and this program does not.
pub(super) struct Filled {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    /// What a row gets that another program writes with NULL.
    pub(super) when_written: &'static str,
    /// What a stored row gets, `t` being the row. `None`: the value of the closest row before it, else after it, else now.
    pub(super) when_stored: Option<&'static str>,
}

const fn filled(
    table: &'static str,
    column: &'static str,
    when_written: &'static str,
    when_stored: Option<&'static str>,
) -> Filled {
    Filled { table, column, when_written, when_stored }
}

/// In an order in which each may rely on those before it. What is on by NULL was on for no program.
pub(super) const FILLED: [Filled; 10] = [
    filled("users", "created_at", "now()", None),
    filled("users", "status", "'inactive'", Some("'inactive'")),
    filled(
        "sessions",
        "start_time",
        "now()",
        Some("coalesce((SELECT min(d.timestamp) FROM emotion_detections d WHERE d.session_id = t.id), t.end_time)"),
    ),
    filled(
        "emotion_detections",
        "timestamp",
        "now()",
        Some("(SELECT s.start_time FROM sessions s WHERE s.id = t.session_id)"),
    ),
    filled("community_posts", "created_at", "now()", None),
    filled("community_posts", "updated_at", "new.created_at", Some("t.created_at")),
    filled("community_comments", "created_at", "now()", None),
    filled("community_comments", "updated_at", "new.created_at", Some("t.created_at")),
    filled("reminders", "created_at", "now()", None),
    filled("reminders", "is_active", "false", Some("false")),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Migration 1 is what every other statement of this program relies on.
    #[test]
    fn the_tables_are_those_of_migration_1() {
        let sql = include_str!("../../../../migrations/postgres/0001_wellness.up.sql");
        for table in &TABLES {
            let (_, rest) = sql.split_once(&format!("create table {} (", table.name)).expect("a table");
            let (columns, _) = rest.split_once(");\n").expect("its end");
            let names: Vec<&str> = columns.lines().filter_map(|line| line.split_whitespace().next()).collect();
            let added = ADDED.iter().filter(|(of, ..)| *of == table.name).map(|(_, column, _)| *column);
            let expected: Vec<&str> = table.columns.iter().map(|(column, _)| *column).chain(added).collect();
            assert_eq!(names, expected, "{}", table.name);
            for (column, parent) in table.parents {
                let reference = format!("{column} bigint not null references {parent} (id) on delete cascade");
                assert!(columns.contains(&reference), "{reference}");
            }
            for (index, columns) in table.indexes {
                let statement = format!("create index {index} on {} ({});", table.name, columns.replace(',', ", "));
                assert!(sql.contains(&statement), "{statement}");
            }
        }
        assert_eq!(sql.matches("create index").count(), TABLES.iter().map(|table| table.indexes.len()).sum::<usize>());
    }
}
