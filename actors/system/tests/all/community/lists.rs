//! Lists, page by page.

use super::*;

fn first<Id>(limit: u32) -> PageRequest<Id> {
    PageRequest { reader: UserId(1), after: None, skip: 0, limit }
}

#[tokio::test]
async fn posts_are_listed_newest_first_and_page_by_page_whatever_is_written_meanwhile() {
    for test in contexts().await {
        let ada = person(&test, "ada").await;
        let list = async |request| test.system.modules.community.ask(ListPosts(request)).await.expect("lists");
        let mut ids = Vec::new();
        for number in 0..7 {
            ids.push(post(&test, ada, &format!("no. {number}")).await.id);
        }
        comment(&test, ids[6], ada, "the newest").await;
        comment(&test, ids[6], ada, "has two").await;
        ids.reverse();

        let page = list(first(3)).await;
        let seen = |page: &Page<Post, PostId>| page.results.iter().map(|post| post.id).collect::<Vec<_>>();
        assert_eq!((seen(&page), page.next), (ids[..3].to_vec(), Some(ids[2])));
        assert_eq!(page.results.iter().map(|post| post.comment_count).collect::<Vec<_>>(), [2, 0, 0]);
        post(&test, ada, "meanwhile").await;
        let end_of_page = DeletePost { id: ids[2], editor: user(ada) };
        test.system.modules.community.ask(end_of_page).await.expect("deletes");
        let page = list(PageRequest { after: page.next, ..first(3) }).await;
        assert_eq!((seen(&page), page.next), (ids[3..6].to_vec(), Some(ids[5])));
        let page = list(PageRequest { after: page.next, ..first(3) }).await;
        assert_eq!((seen(&page), page.next), (ids[6..].to_vec(), None));
        let rest = list(PageRequest { skip: 5, ..first(2) }).await;
        assert_eq!((seen(&rest), rest.next), (ids[5..].to_vec(), None));
    }
}
