//! What the ten tables of a database are like.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    schema::TABLES,
    session::{Session, literal, quoted},
};

/// The tables of a database that have the names of the ten, and the names that are taken.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    pub(super) tables: BTreeMap<String, TableFacts>,
    /// The names of all tables, indexes, sequences and views.
    pub(super) names: BTreeSet<String>,
    /// Whether an earlier run has begun to adopt the database.
    pub(super) is_begun: bool,
}

#[derive(Debug, Default)]
pub(super) struct TableFacts {
    /// Whether the role of this program may change the table.
    pub(super) is_owned: bool,
    /// As its statistics have it.
    pub(super) rows: i64,
    /// Whether the next id would be one that a row has.
    pub(super) is_sequence_behind: bool,
    pub(super) columns: BTreeMap<String, ColumnFacts>,
    pub(super) references: Vec<Reference>,
    pub(super) indexes: Vec<IndexFacts>,
}

#[derive(Debug)]
pub(super) struct ColumnFacts {
    pub(super) kind: String,
    pub(super) is_not_null: bool,
    pub(super) has_default: bool,
    /// The sequence of the default, as SQL names it.
    pub(super) sequence: Option<String>,
}

/// A foreign key of one column.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) name: String,
    pub(super) column: String,
    pub(super) parent: String,
    /// As migration 1 makes it: `ON DELETE CASCADE`, checked at once.
    pub(super) is_ours: bool,
    pub(super) is_valid: bool,
}

#[derive(Debug)]
pub(super) struct IndexFacts {
    pub(super) name: String,
    /// Its columns, parted by commas.
    pub(super) columns: String,
    pub(super) is_unique: bool,
    /// Whether it finds rows by its columns: it is a valid B-tree of all rows in plain order.
    pub(super) is_plain: bool,
}

const RELATIONS: &str = "SELECT c.relname::text, c.relkind IN ('r', 'p'), pg_has_role(c.relowner, 'USAGE'), \
    greatest(c.reltuples, 0)::bigint FROM pg_class c \
    WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())";
const COLUMNS: &str = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL)::text, a.attnotnull, \
    a.atthasdef OR a.attidentity <> '', \
    coalesce(pg_get_serial_sequence(quote_ident(c.relname), a.attname), (SELECT s.oid::regclass::text FROM pg_attrdef e \
        JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid AND d.refclassid = 'pg_class'::regclass \
        JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S' \
        WHERE e.adrelid = c.oid AND e.adnum = a.attnum LIMIT 1)) \
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped WHERE ";
const REFERENCES: &str = "SELECT c.relname::text, k.conname::text, a.attname::text, p.relname::text, \
    k.confdeltype = 'c' AND NOT k.condeferrable, k.convalidated \
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid \
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1] \
    WHERE k.contype = 'f' AND cardinality(k.conkey) = 1 AND k.conparentid = 0 AND ";
const INDEXES: &str = "SELECT c.relname::text, n.relname::text, \
    coalesce((SELECT string_agg(a.attname, ',' ORDER BY k.place) FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k (attnum, place) \
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum WHERE k.place <= x.indnkeyatts), ''), \
    x.indisunique AND x.indimmediate, \
    x.indisvalid AND x.indisready AND x.indpred IS NULL AND x.indexprs IS NULL AND m.amname = 'btree' \
        AND 0 = ALL (x.indoption::int2[]) \
    FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class n ON n.oid = x.indexrelid \
    JOIN pg_am m ON m.oid = n.relam WHERE ";

const IS_BEGUN: &str = "SELECT EXISTS (SELECT 1 FROM information_schema.columns WHERE table_schema = current_schema() \
    AND table_name = 'adoption' AND column_name = 'last_session_id')";

impl Catalog {
    /// Reads the catalog. Without tables of these names, it has no columns.
    pub(super) async fn read(session: &mut Session) -> Result<Self, sqlx::Error> {
        let mut catalog = Self::default();
        let relations: Vec<(String, bool, bool, i64)> = session.rows(RELATIONS).await?;
        for (name, is_table, is_owned, rows) in relations {
            if is_table && TABLES.iter().any(|table| table.name == name) {
                catalog.tables.insert(name.clone(), TableFacts { is_owned, rows, ..TableFacts::default() });
            }
            catalog.names.insert(name);
        }
        catalog.read_columns(session).await?;
        catalog.read_references(session).await?;
        catalog.read_indexes(session).await?;
        catalog.read_sequences(session).await?;
        catalog.is_begun = session.rows(IS_BEGUN).await?.first().is_some_and(|(is_begun,): &(bool,)| *is_begun);
        Ok(catalog)
    }

    async fn read_columns(&mut self, session: &mut Session) -> Result<(), sqlx::Error> {
        type Row = (String, String, String, bool, bool, Option<String>);
        let rows: Vec<Row> = session.rows(&format!("{COLUMNS}{}", of_the_ten())).await?;
        for (table, column, kind, is_not_null, has_default, sequence) in rows {
            if let Some(table) = self.tables.get_mut(&table) {
                table.columns.insert(column, ColumnFacts { kind, is_not_null, has_default, sequence });
            }
        }
        Ok(())
    }

    async fn read_references(&mut self, session: &mut Session) -> Result<(), sqlx::Error> {
        let rows: Vec<(String, String, String, String, bool, bool)> =
            session.rows(&format!("{REFERENCES}{}", of_the_ten())).await?;
        for (table, name, column, parent, is_ours, is_valid) in rows {
            if let Some(table) = self.tables.get_mut(&table) {
                table.references.push(Reference { name, column, parent, is_ours, is_valid });
            }
        }
        Ok(())
    }

    async fn read_indexes(&mut self, session: &mut Session) -> Result<(), sqlx::Error> {
        let rows: Vec<(String, String, String, bool, bool)> =
            session.rows(&format!("{INDEXES}{}", of_the_ten())).await?;
        for (table, name, columns, is_unique, is_plain) in rows {
            if let Some(table) = self.tables.get_mut(&table) {
                table.indexes.push(IndexFacts { name, columns, is_unique, is_plain });
            }
        }
        Ok(())
    }

    async fn read_sequences(&mut self, session: &mut Session) -> Result<(), sqlx::Error> {
        for (name, table) in &mut self.tables {
            let Some(sequence) = table.columns.get("id").and_then(|id| id.sequence.as_deref()) else { continue };
            let sql = format!(
                "SELECT coalesce(max(id) > coalesce(pg_sequence_last_value({}::regclass), 0), false) FROM {}",
                literal(sequence),
                quoted(name)
            );
            table.is_sequence_behind =
                session.rows(&sql).await?.first().is_some_and(|(is_behind,): &(bool,)| *is_behind);
        }
        Ok(())
    }

    pub(super) fn column(&self, table: &str, column: &str) -> Option<&ColumnFacts> {
        self.tables.get(table)?.columns.get(column)
    }
}

impl TableFacts {
    /// Whether an index tells rows apart by these columns.
    pub(super) fn is_unique_by(&self, columns: &str) -> bool {
        self.indexes.iter().any(|index| index.is_unique && index.is_plain && index.columns == columns)
    }
}

/// The condition for the ten tables in the schema of this program.
fn of_the_ten() -> String {
    let names: Vec<String> = TABLES.iter().map(|table| literal(table.name)).collect();
    format!(
        "c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND c.relname IN ({})",
        names.join(", ")
    )
}
