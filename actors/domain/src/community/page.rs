//! Parts of a list, newest first. No I/O.

/// Which part of a list.
#[derive(Clone, Copy, Debug)]
pub struct Part<Id> {
    /// Behind the one of this id, which may be gone; from the newest on where there is none.
    pub after: Option<Id>,
    /// How many more to leave out.
    pub skip: u32,
    /// How many at most; one at least.
    pub limit: u32,
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, Id> {
    /// What stands there.
    pub results: Vec<T>,
    /// The last id of this page when another follows.
    pub next: Option<Id>,
}

impl<Id> Part<Id> {
    /// One more than is wanted: whether another page follows shows by it.
    pub(super) fn rows(&self) -> i64 {
        i64::from(self.limit.max(1)) + 1
    }

    /// The page that these [rows](Self::rows) make.
    pub(super) fn page<T>(&self, mut rows: Vec<T>, id: impl Fn(&T) -> Id) -> Page<T, Id> {
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
    fn a_page_tells_where_the_next_begins_if_there_is_one() {
        let part = Part { after: None, skip: 0, limit: 2 };
        assert_eq!(part.rows(), 3);
        assert_eq!(part.page(vec![9, 8, 7], |id| *id), Page { results: vec![9, 8], next: Some(8) });
        assert_eq!(part.page(vec![9, 8], |id| *id), Page { results: vec![9, 8], next: None });
        assert_eq!(part.page(Vec::<i32>::new(), |id| *id), Page { results: vec![], next: None });
    }
}
