//! Which of its layouts a database of the predecessor has.

use std::fmt;

use super::{catalog::Catalog, schema::TABLES};

/// How the predecessor's database came about. Each service of it made the tables in its own way, and in another one over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// SQLAlchemy's `create_all` of July 2025.
    Sa,
    /// SQLAlchemy's `create_all` of June 2025.
    SaJune,
    /// Django at `coreapi` 0001.
    Dj0001,
    /// Django at `coreapi` 0003.
    Dj,
    /// Django at `coreapi` 0003, with `updated_at` never NULL.
    DjStrict,
    /// SQLAlchemy's tables, to which Django's panel was added.
    Hybrid,
}

impl Layout {
    /// The name, as the output and the table `adoption` have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sa => "sa",
            Self::SaJune => "sa-june",
            Self::Dj0001 => "dj-0001",
            Self::Dj => "dj",
            Self::DjStrict => "dj-strict",
            Self::Hybrid => "hybrid",
        }
    }

    fn origin(self) -> &'static str {
        match self {
            Self::Sa => "made by SQLAlchemy, as in July 2025",
            Self::SaJune => "made by SQLAlchemy, as in June 2025",
            Self::Dj0001 => "made by Django at coreapi 0001",
            Self::Dj => "made by Django at coreapi 0003",
            Self::DjStrict => "made by Django at coreapi 0003, with updated_at NOT NULL",
            Self::Hybrid => "made by SQLAlchemy, with Django's panel added",
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "layout `{}` ({})", self.as_str(), self.origin())
    }
}

/// What a database is.
pub(super) enum Recognized {
    Legacy(Layout),
    /// It has most of the ten tables. What it lacks, a line each.
    Incomplete(Vec<String>),
    Other,
}

/// The tables that make a database look like one of the predecessor.
const TELLING: usize = 6;

pub(super) fn recognize(catalog: &Catalog) -> Recognized {
    if catalog.tables.len() < TELLING {
        return Recognized::Other;
    }
    let faults = faults(catalog);
    if faults.is_empty() { Recognized::Legacy(layout(catalog)) } else { Recognized::Incomplete(faults) }
}

/// Further columns are no fault.
fn faults(catalog: &Catalog) -> Vec<String> {
    let mut faults = Vec::new();
    for table in &TABLES {
        let Some(found) = catalog.tables.get(table.name) else {
            faults.push(format!("the table {} is missing", table.name));
            continue;
        };
        for (column, kind) in table.columns {
            match found.columns.get(*column) {
                None => faults.push(format!("the column {}.{column} is missing", table.name)),
                Some(facts) if !kind.types().contains(&facts.kind.as_str()) => faults.push(format!(
                    "the column {}.{column} is of the type {}, not {}",
                    table.name,
                    facts.kind,
                    kind.types().join(" or ")
                )),
                Some(_) => {}
            }
        }
    }
    faults
}

/// The columns that tell are those that the adoption does not change.
fn layout(catalog: &Catalog) -> Layout {
    let is_sqlalchemy = catalog.column("users", "id").is_some_and(|id| id.kind == "integer");
    let has_django = catalog.names.contains("django_migrations");
    let has_audio = catalog.column("voice_data", "audio_path").is_some();
    let is_strict = catalog.column("community_posts", "updated_at").is_some_and(|column| column.is_not_null);
    match (is_sqlalchemy, has_django, has_audio) {
        (true, true, _) => Layout::Hybrid,
        (true, false, true) => Layout::SaJune,
        (true, false, false) => Layout::Sa,
        (false, _, true) => Layout::Dj0001,
        (false, ..) if is_strict => Layout::DjStrict,
        (false, ..) => Layout::Dj,
    }
}
