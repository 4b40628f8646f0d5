//! Rows and columns that a person should look at.

use super::{
    catalog::Catalog,
    schema::TABLES,
    session::{Session, quoted},
    times,
    work::Work,
};

/// The rows that a finding names by their ids. It counts all.
const MAX_NAMED: usize = 1000;

/// Something that a person should look at.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What it is, in words.
    pub what: String,
    /// The number of rows. None where it is of no row.
    pub rows: Option<i64>,
    /// The ids of the first 1,000 of them.
    pub ids: Vec<String>,
    /// The addresses of `ids`, where they tell what is wrong. For a terminal, never for a log.
    pub addresses: Vec<String>,
    /// What to do.
    pub remedy: &'static str,
    /// Whether the database cannot be adopted because of it.
    pub stops: bool,
}

impl Finding {
    fn fault(what: String, remedy: &'static str) -> Self {
        Self { what, rows: None, ids: Vec::new(), addresses: Vec::new(), remedy, stops: true }
    }
}

/// All findings. The session reads one state of the database.
pub(super) async fn all(
    session: &mut Session,
    catalog: &Catalog,
    work: &Work,
    reserved: &[String],
) -> Result<Vec<Finding>, sqlx::Error> {
    let mut all = of_the_schema(catalog, work, reserved);
    all.extend(twins(session).await?);
    all.extend(orphans(session, catalog).await?);
    for (table, condition, what, remedy) in UNREADABLE {
        let sql = format!("SELECT id FROM {} WHERE {condition}", quoted(table));
        all.extend(rows(session, &sql, what, remedy).await?);
    }
    let early = format!("SELECT id FROM ({}) AS early", times::SHIFTED_BY_EIGHT_HOURS);
    all.extend(rows(session, &early, times::WHAT, times::REMEDY).await?);
    Ok(all)
}

/// What stands in the way of columns, names and rights.
fn of_the_schema(catalog: &Catalog, work: &Work, reserved: &[String]) -> Vec<Finding> {
    let mut found = Vec::new();
    for table in &TABLES {
        let Some(facts) = catalog.tables.get(table.name) else { continue };
        if !facts.is_owned {
            let what = format!("the role of DATABASE_URL does not own the table {}", table.name);
            found.push(Finding::fault(what, "migrate as the owner of the tables, or grant that role to this one"));
        }
        if !facts.is_unique_by("id") {
            let what = format!("the table {} has no primary key `id`", table.name);
            found.push(Finding::fault(what, "add it: ALTER TABLE … ADD PRIMARY KEY (id)"));
        }
        let known = |name: &str| table.columns.iter().any(|(column, _)| *column == name) || name == "audio_path";
        let required =
            facts.columns.iter().filter(|(name, column)| !known(name) && column.is_not_null && !column.has_default);
        found.extend(required.map(|(name, _)| {
            let what =
                format!("the column {}.{name} is NOT NULL and has no default, so no row can be added", table.name);
            Finding::fault(what, "give it a default, or let it be NULL: ALTER TABLE … ALTER COLUMN … DROP NOT NULL")
        }));
    }
    let is_half_made = |name: &String| work.indexes.iter().any(|index| index.name == *name);
    let taken = reserved.iter().filter(|name| catalog.names.contains(*name)).map(String::as_str);
    let taken = taken.chain(Some("adoption").filter(|name| catalog.names.contains(*name) && !catalog.is_begun));
    found.extend(taken.map(|name| {
        let what = format!("a table, view or index has the name `{name}`, which this program needs");
        Finding::fault(what, "rename it")
    }));
    let strange = catalog.names.iter().filter(|name| is_half_made(name)).filter(|name| !is_an_index(catalog, name));
    found.extend(strange.map(|name| {
        Finding::fault(
            format!("something else has the name `{name}`, which an index of this program needs"),
            "rename it",
        )
    }));
    found
}

/// Whether an interrupted run may have left it: it is dropped and made again.
fn is_an_index(catalog: &Catalog, name: &str) -> bool {
    let indexes = || catalog.tables.values().flat_map(|table| &table.indexes);
    indexes().any(|index| index.name == name && !index.is_plain)
}

async fn twins(session: &mut Session) -> Result<Option<Finding>, sqlx::Error> {
    let sql = format!(
        "SELECT string_agg(id::text, ' and ' ORDER BY id), string_agg(email, ' and ' ORDER BY id), count(*) OVER () \
         FROM users WHERE lower(email) IN (SELECT lower(email) FROM users GROUP BY 1 HAVING count(*) > 1) \
         GROUP BY lower(email) ORDER BY min(id) LIMIT {MAX_NAMED}"
    );
    let twins: Vec<(String, String, i64)> = session.rows(&sql).await?;
    let rows = twins.first().map(|(.., rows)| *rows);
    let (ids, addresses): (Vec<_>, Vec<_>) = twins.into_iter().map(|(ids, addresses, _)| (ids, addresses)).unzip();
    Ok(rows.map(|_| Finding {
        what: "addresses that differ in case alone have several accounts each".to_owned(),
        rows,
        ids,
        addresses,
        remedy: "decide with their owners which account keeps the address, and give the other one another address or delete it",
        stops: true,
    }))
}

async fn orphans(session: &mut Session, catalog: &Catalog) -> Result<Vec<Finding>, sqlx::Error> {
    let mut found = Vec::new();
    for table in &TABLES {
        let Some(facts) = catalog.tables.get(table.name) else { continue };
        for (column, parent) in table.parents {
            let is_checked = |known: &&super::catalog::Reference| {
                known.column == *column && known.parent == *parent && known.is_valid
            };
            if facts.references.iter().any(|known| is_checked(&known)) {
                continue;
            }
            let sql = format!(
                "SELECT c.id FROM {} c WHERE NOT EXISTS (SELECT 1 FROM {} p WHERE p.id = c.{})",
                quoted(table.name),
                quoted(parent),
                quoted(column)
            );
            let what = format!("rows of {} whose {column} is of no row of {parent}", table.name);
            found.extend(rows(session, &sql, &what, ORPHANS).await?);
        }
    }
    Ok(found)
}

const ORPHANS: &str = "they stay as they are, and no user sees them; the foreign key holds for new rows alone until they are gone \
    and `ALTER TABLE … VALIDATE CONSTRAINT …` has run";

/// Table, condition, what it means, and what to do.
const UNREADABLE: [(&str, &str, &str, &str); 4] = [
    (
        "users",
        "role NOT IN ('user', 'professional', 'admin')",
        "users whose role is none of user, professional and admin in lower case",
        "correct the role",
    ),
    (
        "users",
        "status NOT IN ('inactive', 'active', 'suspended', 'deactivated')",
        "users whose status is none of inactive, active, suspended and deactivated in lower case",
        "correct the status; until then it lets no one log in that `active` would",
    ),
    (
        "users",
        "position('@' IN email) = 0 OR length(email) > 254 OR email <> btrim(email)",
        "users whose address has no @, blanks around it, or more than 254 characters",
        "correct the address: no mail reaches it, and no one can log in by it",
    ),
    (
        "users",
        "created_at IS NULL",
        "users without a time of creation",
        "the adoption gives them that of the user before them; correct it where you know better",
    ),
];

/// Counts the rows of a query for ids, and names the first ones.
async fn rows(
    session: &mut Session,
    ids: &str,
    what: &str,
    remedy: &'static str,
) -> Result<Option<Finding>, sqlx::Error> {
    let sql = format!(
        "SELECT count(*), string_agg(id::text, ',' ORDER BY id) FILTER (WHERE place <= {MAX_NAMED}) \
         FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM ({ids}) AS found) AS numbered"
    );
    let found: Vec<(i64, Option<String>)> = session.rows(&sql).await?;
    Ok(found.into_iter().find(|(rows, _)| *rows > 0).map(|(rows, ids)| Finding {
        what: what.to_owned(),
        rows: Some(rows),
        ids: ids.unwrap_or_default().split(',').map(str::to_owned).collect(),
        addresses: Vec::new(),
        remedy,
        stops: false,
    }))
}
