//! Lists, page by page.

use super::*;

fn first<Id>(limit: u32) -> PageRequest<Id> {
    PageRequest { after: None, skip: 0, limit }
}

#[tokio::test]
async fn posts_are_listed_newest_first_and_page_by_page_whatever_is_written_meanwhile() {
    for world in worlds().await {
        let ada = person(&world, "ada").await;
        let list = async |request| world.system.community.ask(ListPosts(request)).await.expect("lists");
        let mut ids = Vec::new();
        for number in 0..7 {
            ids.push(post(&world, ada, &format!("no. {number}")).await.id);
        }
        comment(&world, ids[6], ada, "the newest").await;
        comment(&world, ids[6], ada, "has two").await;
        ids.reverse();

        let page = list(first(3)).await;
        let seen = |page: &Page<Post, PostId>| page.results.iter().map(|post| post.id).collect::<Vec<_>>();
        assert_eq!((seen(&page), page.next), (ids[..3].to_vec(), Some(ids[2])));
        assert_eq!(page.results.iter().map(|post| post.comment_count).collect::<Vec<_>>(), [2, 0, 0]);
        post(&world, ada, "meanwhile").await;
        let end_of_page = DeletePost { id: ids[2], editor: user(ada) };
        world.system.community.ask(end_of_page).await.expect("deletes");
        let page = list(PageRequest { after: page.next, ..first(3) }).await;
        assert_eq!((seen(&page), page.next), (ids[3..6].to_vec(), Some(ids[5])));
        let page = list(PageRequest { after: page.next, ..first(3) }).await;
        assert_eq!((seen(&page), page.next), (ids[6..].to_vec(), None));
        let rest = list(PageRequest { skip: 5, ..first(2) }).await;
        assert_eq!((seen(&rest), rest.next), (ids[5..].to_vec(), None));
    }
}

#[tokio::test]
async fn comments_are_listed_newest_first_and_under_their_own_post() {
    for world in worlds().await {
        let ada = person(&world, "ada").await;
        let (one, other) = (post(&world, ada, "one").await.id, post(&world, ada, "other").await.id);
        let list = async |page| world.system.community.ask(ListComments { post: one, page }).await.expect("lists");
        let mut said = Vec::new();
        for number in 0..5 {
            said.insert(0, comment(&world, one, ada, &format!("no. {number}")).await);
            comment(&world, other, ada, "elsewhere").await;
        }
        let page = list(first(3)).await;
        assert_eq!((page.results.as_slice(), page.next), (&said[..3], Some(said[2].id)));
        let page = list(PageRequest { after: page.next, ..first(3) }).await;
        assert_eq!((page.results.as_slice(), page.next), (&said[3..], None));
        let page = list(PageRequest { skip: 1, ..first(100) }).await;
        assert_eq!(page.results, said[1..]);
    }
}

#[tokio::test]
async fn a_post_without_comments_lists_none_and_a_missing_post_is_not_found() {
    for world in worlds().await {
        let ada = person(&world, "ada").await;
        let community = &world.system.community;
        assert_eq!(community.ask(ListPosts(first(5))).await.expect("lists").results, []);
        let id = post(&world, ada, "one").await.id;
        let none = community.ask(ListComments { post: id, page: first(5) }).await.expect("lists");
        assert_eq!(none, Page { results: vec![], next: None });
        let lost = community.ask(ListComments { post: MISSING_POST, page: first(5) }).await;
        assert!(matches!(lost, Err(CommunityError::PostNotFound)), "{lost:?}");
    }
}
