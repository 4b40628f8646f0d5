//! What an adoption would change, and what a person should look at first.

use std::fmt;

use super::{
    AdoptionError,
    catalog::Catalog,
    findings::{self, Finding},
    layout::Layout,
    schema::TABLES,
    session::{Session, quoted},
    times::server_zone,
    work::{Work, nullable},
};

/// What an adoption would do. Nothing is changed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The layout of the database.
    pub layout: Layout,
    /// What would be changed, a line each.
    pub changes: Vec<String>,
    /// What a person should look at.
    pub findings: Vec<Finding>,
    /// The server's time zone. None where the role of this program may not see it.
    pub server_zone: Option<String>,
}

impl Plan {
    /// Whether a finding stands in the way of the adoption.
    pub fn is_refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.stops)
    }

    /// Reads what the plan consists of.
    pub(super) async fn read(session: &mut Session, basis: Basis) -> Result<Self, sqlx::Error> {
        let changes = changes(session, &basis.catalog, &basis.work).await?;
        let server_zone = server_zone(session).await?;
        Ok(Self { layout: basis.layout, changes, findings: basis.findings, server_zone })
    }

    /// The plan as an operator reads it. `with_addresses`: on a terminal, which no log keeps.
    pub fn describe(&self, with_addresses: bool) -> impl fmt::Display + '_ {
        Description { plan: self, with_addresses }
    }
}

async fn changes(session: &mut Session, catalog: &Catalog, work: &Work) -> Result<Vec<String>, sqlx::Error> {
    let texts = work.changes.iter().map(|change| change.text.clone()).filter(|text| !text.is_empty());
    let rows_of = |table: &str| catalog.tables.get(table).map_or(0, |facts| facts.rows);
    let indexes = work
        .indexes
        .iter()
        .map(|index| format!("make the index {} while others write (about {} rows)", index.name, rows_of(index.table)));
    let mut changes: Vec<String> = texts.chain(indexes).collect();
    for table in &TABLES {
        let Some(facts) = catalog.tables.get(table.name) else { continue };
        for filled in nullable(table.name, facts) {
            let (name, column) = (quoted(table.name), quoted(filled.column));
            let rows = count(session, &format!("SELECT count(*) FROM {name} WHERE {column} IS NULL")).await?;
            if rows > 0 {
                changes.push(format!("fill {}.{} in {rows} rows, where it is NULL", table.name, filled.column));
            }
        }
    }
    changes.extend(work.unchecked.iter().map(|(table, name)| {
        format!("check the foreign key {name} while others write (about {} rows)", rows_of(table))
    }));
    let verified = count(session, VERIFIED).await?;
    changes.push(format!("record {verified} users as verified"));
    Ok(changes)
}

/// The users whom the adoption records as verified, without indexes on the tables that refer to them.
const VERIFIED: &str = "SELECT count(*) FROM users u LEFT JOIN (SELECT user_id FROM sessions UNION SELECT user_id FROM community_posts \
    UNION SELECT user_id FROM community_comments UNION SELECT user_id FROM reminders) AS owners ON owners.user_id = u.id \
    WHERE lower(btrim(coalesce(u.status, 'inactive'))) <> 'inactive' OR owners.user_id IS NOT NULL";

async fn count(session: &mut Session, sql: &str) -> Result<i64, sqlx::Error> {
    Ok(session.rows(sql).await?.first().map_or(0, |(rows,): &(i64,)| *rows))
}

/// What an adoption and its plan begin with.
pub(super) struct Basis {
    pub(super) layout: Layout,
    pub(super) catalog: Catalog,
    pub(super) work: Work,
    pub(super) findings: Vec<Finding>,
}

impl Basis {
    pub(super) async fn read(
        session: &mut Session,
        catalog: Catalog,
        layout: Layout,
        reserved: &[String],
    ) -> Result<Self, sqlx::Error> {
        let work = Work::new(&catalog);
        let findings = findings::all(session, &catalog, &work, reserved).await?;
        Ok(Self { layout, catalog, work, findings })
    }

    /// Refuses an adoption that a finding stops.
    pub(super) fn ensure_adoptable(&self) -> Result<(), AdoptionError> {
        let stopping = self.findings.iter().filter(|finding| finding.stops);
        let reasons: Vec<String> = stopping.map(|finding| finding.line(20)).collect();
        if reasons.is_empty() {
            return Ok(());
        }
        Err(AdoptionError::Refused { layout: self.layout.to_string(), reasons: reasons.join("\n") })
    }
}

impl Finding {
    /// The finding with up to `max` ids, and no address.
    pub(super) fn line(&self, max: usize) -> String {
        let remedy = self.remedy;
        let Some(rows) = self.rows else { return format!("  - {}: {remedy}", self.what) };
        let named = self.ids.iter().take(max).cloned().collect::<Vec<_>>().join(", ");
        let more = usize::try_from(rows).unwrap_or(usize::MAX).saturating_sub(max.min(self.ids.len()));
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("  - {rows} × {}: {named}{more}. To do: {remedy}", self.what)
    }
}

struct Description<'a> {
    plan: &'a Plan,
    with_addresses: bool,
}

impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, with_addresses } = self;
        writeln!(f, "This is a database of FaceofMind (Python), {}.", plan.layout)?;
        writeln!(f, "`faceofmind migrate` would adopt it. It keeps every row and every id, and would:")?;
        plan.changes.iter().try_for_each(|change| writeln!(f, "  - {change}"))?;
        if !plan.findings.is_empty() {
            writeln!(f, "A person should look at this (rows by their ids):")?;
        }
        for finding in &plan.findings {
            writeln!(f, "{}", finding.line(usize::MAX))?;
            if *with_addresses {
                finding.addresses.iter().try_for_each(|addresses| writeln!(f, "      {addresses}"))?;
            }
        }
        let unknown = "unknown to this role; ask the server: psql -c 'SHOW timezone'";
        writeln!(f, "The server's time zone: {}.", plan.server_zone.as_deref().unwrap_or(unknown))?;
        let verdict = if plan.is_refused() { "The database would be refused until that is changed. " } else { "" };
        write!(f, "{verdict}Nothing was changed.")
    }
}
