//! Pages of a list, newest first.

use crate::UserId;

/// Which rows of a list.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest<Id> {
    /// The user who reads, whose share of the reads it takes.
    pub reader: UserId,
    /// Only rows older than this one, which may be deleted. None: from the newest on.
    pub after: Option<Id>,
    /// The number of rows to leave out first.
    pub skip: u32,
    /// The maximum number of rows, at least 1.
    pub limit: u32,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, Id> {
    /// The rows.
    pub results: Vec<T>,
    /// The last id of this page, when another page follows.
    pub next: Option<Id>,
}

impl<Id> PageRequest<Id> {
    /// The number of rows to read: one more than the page holds shows that another page follows.
    pub fn rows(&self) -> i64 {
        i64::from(self.limit.max(1)) + 1
    }

    /// The number of rows before the last one of the page.
    pub fn offset_of_last(&self) -> i64 {
        i64::from(self.skip) + i64::from(self.limit.max(1)) - 1
    }

    /// Makes the page from [that many rows](Self::rows). `id` tells the id of a row.
    pub fn page<T>(&self, mut rows: Vec<T>, id: impl Fn(&T) -> Id) -> Page<T, Id> {
        let limit = self.limit.max(1) as usize;
        let next = (rows.len() > limit).then(|| id(&rows[limit - 1]));
        rows.truncate(limit);
        Page { results: rows, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_the_next_one_begins() {
        let request = PageRequest { reader: UserId(1), after: None, skip: 0, limit: 2 };
        assert_eq!(request.rows(), 3);
        assert_eq!(request.page(vec![9, 8, 7], |id| *id), Page { results: vec![9, 8], next: Some(8) });
        assert_eq!(request.page(vec![9, 8], |id| *id), Page { results: vec![9, 8], next: None });
        assert_eq!(request.page(Vec::<i32>::new(), |id| *id), Page { results: vec![], next: None });
    }
}
