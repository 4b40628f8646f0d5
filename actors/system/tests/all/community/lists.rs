//! Lists, page by page.

use super::*;

fn first<Id>(limit: u32) -> Part<Id> {
    Part { after: None, skip: 0, limit }
}

#[tokio::test]
async fn posts_come_newest_first_and_page_by_page_whatever_is_written_meanwhile() {
    for world in worlds().await {
        let ada = person(&world, "ada").await;
        let community = &world.system.community;
        let mut ids = Vec::new();
        for number in 0..7 {
            ids.push(post(&world, ada, &format!("no. {number}")).await.id);
        }
        comment(&world, ids[6], ada, "the newest").await;
        comment(&world, ids[6], ada, "has two").await;
        ids.reverse();

        let page = community.posts(first(3)).await.expect("lists");
        let seen = |page: &Page<Post, PostId>| page.results.iter().map(|post| post.id).collect::<Vec<_>>();
        assert_eq!((seen(&page), page.next), (ids[..3].to_vec(), Some(ids[2])));
        assert_eq!(page.results.iter().map(|post| post.comment_count).collect::<Vec<_>>(), [2, 0, 0]);
        post(&world, ada, "meanwhile").await;
        community.delete_post(ids[2], member(ada)).await.expect("deletes where the page ended");
        let page = community.posts(Part { after: page.next, ..first(3) }).await.expect("lists");
        assert_eq!((seen(&page), page.next), (ids[3..6].to_vec(), Some(ids[5])));
        let page = community.posts(Part { after: page.next, ..first(3) }).await.expect("lists");
        assert_eq!((seen(&page), page.next), (ids[6..].to_vec(), None));
        let rest = community.posts(Part { skip: 5, ..first(2) }).await.expect("lists");
        assert_eq!((seen(&rest), rest.next), (ids[5..].to_vec(), None));
    }
}

#[tokio::test]
async fn comments_come_newest_first_and_under_their_own_post() {
    for world in worlds().await {
        let ada = person(&world, "ada").await;
        let community = &world.system.community;
        let (one, other) = (post(&world, ada, "one").await.id, post(&world, ada, "other").await.id);
        let mut said = Vec::new();
        for number in 0..5 {
            said.insert(0, comment(&world, one, ada, &format!("no. {number}")).await);
            comment(&world, other, ada, "elsewhere").await;
        }
        let page = community.comments(one, first(3)).await.expect("lists");
        assert_eq!((page.results.as_slice(), page.next), (&said[..3], Some(said[2].id)));
        let page = community.comments(one, Part { after: page.next, ..first(3) }).await.expect("lists");
        assert_eq!((page.results.as_slice(), page.next), (&said[3..], None));
        let page = community.comments(one, Part { skip: 1, ..first(100) }).await.expect("lists");
        assert_eq!(page.results, said[1..]);
    }
}

#[tokio::test]
async fn a_post_without_comments_has_none_and_no_post_is_not_found() {
    for world in worlds().await {
        let ada = person(&world, "ada").await;
        let community = &world.system.community;
        assert_eq!(community.posts(first(5)).await.expect("lists").results, []);
        let id = post(&world, ada, "one").await.id;
        assert_eq!(community.comments(id, first(5)).await.expect("lists"), Page { results: vec![], next: None });
        let lost = community.comments(NOWHERE, first(5)).await;
        assert!(matches!(lost, Err(CommunityError::NoPost)), "{lost:?}");
    }
}
