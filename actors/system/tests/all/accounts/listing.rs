//! The list of users.

use super::*;

impl TestContext {
    async fn found(&self, query: &str) -> Vec<String> {
        let filter = ListUsers { query: Some(query.into()), limit: 50, ..ListUsers::default() };
        let page = self.system.modules.accounts.ask(filter).await.expect("lists");
        assert_eq!(page.total, i64::try_from(page.results.len()).expect("few"));
        page.results.into_iter().map(|user| user.last_name).collect()
    }

    async fn insert(&self, number: u32, first: &str, last: &str) {
        self.run(&format!(
            "INSERT INTO users (email, first_name, last_name, status, created_at) \
             SELECT 'u{number}@example.org', '{first}', '{last}', 'active', created_at FROM users LIMIT 1"
        ))
        .await;
    }
}

#[tokio::test]
async fn a_search_is_literal_and_matches_ascii_letters_in_either_case() {
    for test in contexts().await {
        test.admin("root@example.org").await;
        for (number, (first, last)) in
            [("Ada", "Lovelace"), ("100%", "Percent"), ("under_score", "Score"), ("Wow!", "Bang"), ("ÉMILE", "Zola")]
                .into_iter()
                .enumerate()
        {
            test.insert(u32::try_from(number).expect("few"), first, last).await;
        }
        assert_eq!(test.found("aDA love").await, ["Lovelace"]);
        assert_eq!(test.found("%").await, ["Percent"]);
        assert_eq!(test.found("_").await, ["Score"]);
        assert_eq!(test.found("!").await, ["Bang"]);
        assert_eq!(test.found("Émile").await, ["Zola"]);
        assert_eq!(test.found("émile").await, [""; 0], "only ASCII is folded, on either database");
        assert_eq!(test.found("U0@EXAMPLE").await, ["Lovelace"]);
        assert_eq!(test.found("lovelace u0@").await, [""; 0], "no name goes on in an address");
        assert_eq!(test.found("' OR 1=1 --").await, [""; 0]);
    }
}

#[tokio::test]
async fn pages_follow_the_key_whatever_is_added_or_removed() {
    for test in contexts().await {
        test.admin("root@example.org").await;
        for number in 0..6 {
            test.insert(number, "Ada", "Lovelace").await;
        }
        let list = async |after, limit| {
            let filter = ListUsers { role: Some(Role::User), after, limit, ..ListUsers::default() };
            test.system.modules.accounts.ask(filter).await.expect("lists")
        };
        let first = list(None, 4).await;
        assert_eq!((first.results.len(), first.total), (4, 6));
        let gone = first.results[3].id;
        assert_eq!(first.next, Some(gone));
        test.run(&format!("DELETE FROM users WHERE id = {gone}")).await;
        let second = list(first.next, 4).await;
        assert_eq!((second.results.len(), second.total, second.next), (2, 5, None));
        assert!(second.results.iter().all(|user| user.id > gone));
        assert_eq!(list(None, 0).await.results.len(), 1, "a page is never empty for its size");
    }
}

#[tokio::test]
async fn filters_are_joined() {
    for test in contexts().await {
        test.admin("root@example.org").await;
        test.insert(1, "Ada", "Lovelace").await;
        let filter =
            |role, status| ListUsers { role: Some(role), status: Some(status), limit: 5, ..ListUsers::default() };
        let total = async |filter: ListUsers| test.system.modules.accounts.ask(filter).await.expect("lists").total;
        assert_eq!(total(filter(Role::Admin, Status::Active)).await, 1);
        assert_eq!(total(filter(Role::User, Status::Active)).await, 1);
        assert_eq!(total(filter(Role::Admin, Status::Inactive)).await, 0);
    }
}
