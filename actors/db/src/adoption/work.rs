//! What a database lacks to be one of this program, and the statements that add it.

use super::{
    catalog::{Catalog, TableFacts},
    schema::{ADDED, DEFAULTS, FILLED, Filled, RELAXED, TABLES, Table},
    session::{literal, quoted},
};

/// A change of the short transaction: what it does, and its statement. The text is empty where nothing changes unless rows are added first.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) text: String,
    pub(super) sql: String,
}

/// An index that is made while other programs write.
#[derive(Debug)]
pub(super) struct NewIndex {
    pub(super) name: String,
    pub(super) table: &'static str,
    pub(super) sql: String,
}

/// All that an adoption changes.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) changes: Vec<Change>,
    pub(super) indexes: Vec<NewIndex>,
    /// Table and name of the foreign keys that are made without a look at the stored rows.
    pub(super) unchecked: Vec<(&'static str, String)>,
}

impl Work {
    pub(super) fn new(catalog: &Catalog) -> Self {
        let mut work = Self::default();
        for table in &TABLES {
            if let Some(facts) = catalog.tables.get(table.name) {
                work.add_columns(table, facts);
                work.add_references(table, facts);
                work.add_indexes(table, facts);
                work.add_trigger(table, facts);
                work.add_sequence(table, facts);
            }
        }
        if !catalog.tables.get("users").is_some_and(|users| users.is_unique_by("email")) {
            let sql = "create unique index concurrently users_email_key on users (email)".to_owned();
            work.indexes.push(NewIndex { name: "users_email_key".to_owned(), table: "users", sql });
        }
        work
    }

    fn change(&mut self, text: String, sql: String) {
        self.changes.push(Change { text, sql });
    }

    fn add_columns(&mut self, table: &Table, facts: &TableFacts) {
        let name = quoted(table.name);
        for (_, column, kind) in ADDED.iter().filter(|(of, ..)| *of == table.name) {
            if !facts.columns.contains_key(*column) {
                let sql = format!("ALTER TABLE {name} ADD COLUMN {} {kind}", quoted(column));
                self.change(format!("add the column {}.{column}", table.name), sql);
            }
        }
        for (_, column) in RELAXED.iter().filter(|(of, _)| *of == table.name) {
            if facts.columns.get(*column).is_some_and(|found| found.is_not_null) {
                let sql = format!("ALTER TABLE {name} ALTER COLUMN {} DROP NOT NULL", quoted(column));
                self.change(format!("let {}.{column} be NULL", table.name), sql);
            }
        }
        for (_, column, value) in DEFAULTS.iter().filter(|(of, ..)| *of == table.name) {
            if facts.columns.get(*column).is_some_and(|found| !found.has_default) {
                let sql = format!("ALTER TABLE {name} ALTER COLUMN {} SET DEFAULT {value}", quoted(column));
                self.change(format!("let {}.{column} be {value} by default", table.name), sql);
            }
        }
    }

    /// Foreign keys of migration 1. Others on the same column are replaced: a deferred one would fail at COMMIT, and one without a cascade would
    /// fail a deletion for a row that another program adds meanwhile.
    fn add_references(&mut self, table: &Table, facts: &TableFacts) {
        for (column, parent) in table.parents {
            let known = || facts.references.iter().filter(|known| known.column == *column && known.parent == *parent);
            if known().count() == 1 && known().all(|known| known.is_ours) {
                let unchecked = known().filter(|known| !known.is_valid);
                self.unchecked.extend(unchecked.map(|known| (table.name, known.name.clone())));
                continue;
            }
            let name = format!("{}_{column}_fkey", table.name);
            let drops = known().map(|known| format!("DROP CONSTRAINT {}, ", quoted(&known.name)));
            let sql = format!(
                "ALTER TABLE {} {}ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} (id) ON DELETE CASCADE NOT VALID",
                quoted(table.name),
                drops.collect::<String>(),
                quoted(&name),
                quoted(column),
                quoted(parent)
            );
            self.change(format!("let {}.{column} refer to {parent} with ON DELETE CASCADE", table.name), sql);
            self.unchecked.push((table.name, name));
        }
    }

    /// An index of the same columns takes the name that migrations know.
    fn add_indexes(&mut self, table: &Table, facts: &TableFacts) {
        for (name, columns) in table.indexes {
            let same = || facts.indexes.iter().filter(|known| known.is_plain && known.columns == *columns);
            if same().any(|known| known.name == *name) {
                continue;
            }
            if let Some(known) = same().next() {
                let sql = format!("ALTER INDEX {} RENAME TO {name}", quoted(&known.name));
                self.change(format!("rename the index {} to {name}", known.name), sql);
                continue;
            }
            let sql = format!("create index concurrently {name} on {} ({})", table.name, columns.replace(',', ", "));
            self.indexes.push(NewIndex { name: (*name).to_owned(), table: table.name, sql });
        }
    }

    /// The predecessor's services go on writing NULL.
    fn add_trigger(&mut self, table: &Table, facts: &TableFacts) {
        let columns: Vec<&Filled> = nullable(table.name, facts).collect();
        if columns.is_empty() {
            return;
        }
        let each = |text: fn(&Filled) -> String, between: &str| {
            columns.iter().map(|filled| text(filled)).collect::<Vec<_>>().join(between)
        };
        let assign =
            |filled: &Filled| format!("new.{0} := coalesce(new.{0}, {1});", quoted(filled.column), filled.when_written);
        let sql = format!(
            "CREATE OR REPLACE FUNCTION fill_nulls_of_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ \
             BEGIN {} RETURN new; END $$; \
             CREATE OR REPLACE TRIGGER fill_nulls BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW WHEN ({}) \
             EXECUTE FUNCTION fill_nulls_of_{table}()",
            each(assign, " "),
            each(|filled| format!("new.{} IS NULL", quoted(filled.column)), " OR "),
            table = table.name,
        );
        let names = each(|filled| filled.column.to_owned(), ", ");
        self.change(format!("let a trigger fill what other programs leave NULL in {}: {names}", table.name), sql);
    }

    fn add_sequence(&mut self, table: &Table, facts: &TableFacts) {
        let Some(id) = facts.columns.get("id") else { return };
        let name = quoted(table.name);
        let sequence = match &id.sequence {
            Some(sequence) => format!("{}::regclass", literal(sequence)),
            None if id.has_default => return,
            None => {
                let sql = format!("ALTER TABLE {name} ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY");
                self.change(format!("let {}.id be counted", table.name), sql);
                format!("pg_get_serial_sequence('{}', 'id')::regclass", table.name)
            }
        };
        let sql = format!(
            "SELECT setval({sequence}, last) FROM (SELECT max(id) AS last FROM {name}) AS known \
             WHERE last > coalesce(pg_sequence_last_value({sequence}), last - 1)"
        );
        let text = if facts.is_sequence_behind {
            format!("let the ids of {} continue after the last one", table.name)
        } else {
            String::new()
        };
        self.change(text, sql);
    }
}

/// The columns that may be NULL in this table and that this program fills.
pub(super) fn nullable<'a>(table: &'a str, facts: &'a TableFacts) -> impl Iterator<Item = &'static Filled> + 'a {
    let may_be_null = |filled: &&Filled| facts.columns.get(filled.column).is_some_and(|column| !column.is_not_null);
    FILLED.iter().filter(move |filled| filled.table == table).filter(may_be_null)
}
