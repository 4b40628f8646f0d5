//! The use cases. Each change is one transaction.

use std::sync::{Mutex, PoisonError};

use faceofmind_db::Tx;
use faceofmind_model::{
    CommentId, Page, PostId,
    event::{CommunityEvent, DomainEvent},
};
use faceofmind_platform::{
    Platform, caller,
    idempotency::{self, StoredResponse},
    outbox::{self, Wake},
    rate_limit::{Acquire, Limit, RateLimitError, RateLimitKey, Refund},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Comment, CommunityError, CreateComment, CreatePost, DeleteComment, DeletePost, FindCommentsPageEnd,
    FindPostsPageEnd, GetPost, ListComments, ListPosts, NewContent, Post, Settings, UpdateComment, UpdatePost,
    store::{comments, posts},
};
use crate::accounts;

/// The use cases of the community, with what they stand on.
pub struct CommunityService {
    pub(super) settings: Settings,
    pub(super) deps: Platform,
    pub(super) counts: Mutex<CreationCounts>,
}

/// What became of requests that create, since the program started.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub struct CreationCounts {
    pub created: u64,
    /// Answered with a stored response.
    pub replayed: u64,
    pub refused: u64,
}

/// The response to a request that creates.
enum Creation {
    New(StoredResponse),
    Replay(StoredResponse),
}

impl CommunityService {
    pub(super) fn counts(&self) -> CreationCounts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, add: impl FnOnce(&mut CreationCounts)) {
        add(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) async fn list_posts(&self, ListPosts(page): ListPosts) -> Result<Page<Post, PostId>, CommunityError> {
        let _pass = self.deps.reads.pass(caller::user(page.reader)).await?;
        Ok(posts::page(self.deps.db.read_conn().await?.connection(), page).await?)
    }

    pub(super) async fn find_posts_page_end(
        &self,
        FindPostsPageEnd(page): FindPostsPageEnd,
    ) -> Result<Option<PostId>, CommunityError> {
        let _pass = self.deps.reads.pass(caller::user(page.reader)).await?;
        Ok(posts::page_end(self.deps.db.read_conn().await?.connection(), page).await?)
    }

    pub(super) async fn find_comments_page_end(
        &self,
        FindCommentsPageEnd { post, page }: FindCommentsPageEnd,
    ) -> Result<Option<CommentId>, CommunityError> {
        let _pass = self.deps.reads.pass(caller::user(page.reader)).await?;
        Ok(comments::page_end(self.deps.db.read_conn().await?.connection(), post, page).await?)
    }

    pub(super) async fn get_post(&self, GetPost(id): GetPost) -> Result<Post, CommunityError> {
        let post = posts::find(self.deps.db.read_conn().await?.connection(), id).await?;
        post.ok_or(CommunityError::PostNotFound)
    }

    /// Where the page is empty, also behind the last comment, looks up whether the post exists.
    pub(super) async fn list_comments(
        &self,
        ListComments { post, page }: ListComments,
    ) -> Result<Page<Comment, CommentId>, CommunityError> {
        let _pass = self.deps.reads.pass(caller::user(page.reader)).await?;
        let mut reader = self.deps.db.read_conn().await?;
        let page = comments::page(reader.connection(), post, page).await?;
        if page.results.is_empty() {
            posts::find(reader.connection(), post).await?.ok_or(CommunityError::PostNotFound)?;
        }
        Ok(page)
    }

    pub(super) async fn create_post(
        &self,
        CreatePost { new, respond }: CreatePost,
    ) -> Result<StoredResponse, CommunityError> {
        self.rate_limited(self.settings.posts, &new, self.write_post(&new, respond)).await
    }

    pub(super) async fn create_comment(
        &self,
        CreateComment { post, new, respond }: CreateComment,
    ) -> Result<StoredResponse, CommunityError> {
        self.rate_limited(self.settings.comments, &new, self.write_comment(post, &new, respond)).await
    }

    /// Writes within the limit. A replay is answered whatever the limit, and a request that writes nothing is not counted.
    async fn rate_limited(
        &self,
        limit: Limit,
        new: &NewContent,
        write: impl Future<Output = Result<Creation, CommunityError>>,
    ) -> Result<StoredResponse, CommunityError> {
        if let Some(response) = self.look_up_response(new).await? {
            return Ok(response);
        }
        let key = RateLimitKey { limit, subject: new.author.to_string() };
        let reservation = match self.deps.limiter.ask(Acquire(vec![key])).await {
            Ok(reservation) => reservation,
            Err(error) => return self.replay_or_refuse(new, error).await,
        };
        let result = write.await;
        self.count(|counts| match result {
            Ok(Creation::New(_)) => counts.created += 1,
            Ok(Creation::Replay(_)) => counts.replayed += 1,
            Err(_) => counts.refused += 1,
        });
        if !matches!(result, Ok(Creation::New(_))) {
            self.deps.limiter.tell(Refund(reservation));
        }
        result.map(|(Creation::New(response) | Creation::Replay(response))| response)
    }

    /// Refuses, unless a concurrent request with the same key took the last use and has been answered meanwhile.
    async fn replay_or_refuse(
        &self,
        new: &NewContent,
        error: RateLimitError,
    ) -> Result<StoredResponse, CommunityError> {
        if let Some(response) = self.look_up_response(new).await? {
            return Ok(response);
        }
        self.count(|counts| counts.refused += 1);
        Err(error.into())
    }

    async fn look_up_response(&self, new: &NewContent) -> Result<Option<StoredResponse>, CommunityError> {
        let Some(key) = &new.key else { return Ok(None) };
        let claim = idempotency::look_up(&self.deps.db, &self.deps.keyring, key, self.deps.clock.now()).await?;
        let response = claim.map_or(Ok(None), |claim| claim.into_replay(CommunityError::KeyReused))?;
        if response.is_some() {
            self.count(|counts| counts.replayed += 1);
        }
        Ok(response)
    }

    async fn write_post(
        &self,
        new: &NewContent,
        respond: fn(Post) -> StoredResponse,
    ) -> Result<Creation, CommunityError> {
        let mut tx = self.deps.db.begin().await?;
        if let Some(response) = self.claim_key(&mut tx, new).await? {
            return Ok(Creation::Replay(response));
        }
        let post = posts::insert(&mut tx, new, self.deps.clock.now()).await?;
        let event = CommunityEvent::PostCreated { user_id: new.author, post_id: post.id };
        self.commit_with_event(tx, new, respond(post), event).await
    }

    async fn write_comment(
        &self,
        post_id: PostId,
        new: &NewContent,
        respond: fn(Comment) -> StoredResponse,
    ) -> Result<Creation, CommunityError> {
        let mut tx = self.deps.db.begin().await?;
        if let Some(response) = self.claim_key(&mut tx, new).await? {
            return Ok(Creation::Replay(response));
        }
        posts::lock(&mut tx, post_id).await?.ok_or(CommunityError::PostNotFound)?;
        let comment = comments::insert(&mut tx, post_id, new, self.deps.clock.now()).await?;
        let event = CommunityEvent::CommentCreated { user_id: new.author, post_id, comment_id: comment.id };
        self.commit_with_event(tx, new, respond(comment), event).await
    }

    /// Locks the author and claims the key. Returns the response to an earlier request with that key.
    async fn claim_key(&self, tx: &mut Tx, new: &NewContent) -> Result<Option<StoredResponse>, CommunityError> {
        if !accounts::lock_key_share(tx, new.author).await? {
            return Err(CommunityError::UserNotFound);
        }
        let Some(key) = &new.key else { return Ok(None) };
        let claim = idempotency::claim(tx, &self.deps.keyring, key, self.deps.clock.now()).await?;
        claim.into_replay(CommunityError::KeyReused)
    }

    /// Stores the response, records the event and commits.
    async fn commit_with_event(
        &self,
        mut tx: Tx,
        new: &NewContent,
        response: StoredResponse,
        event: impl DomainEvent,
    ) -> Result<Creation, CommunityError> {
        let Platform { keyring, clock, rng, publisher, .. } = &self.deps;
        if let Some(key) = &new.key {
            idempotency::store_response(&mut tx, keyring, key, &response).await?;
        }
        outbox::record(&mut tx, &event.into_cloud_event(&new.events, clock.now(), rng)).await?;
        tx.commit().await?;
        publisher.tell(Wake);
        Ok(Creation::New(response))
    }

    pub(super) async fn update_post(
        &self,
        UpdatePost { id, content, editor }: UpdatePost,
    ) -> Result<Post, CommunityError> {
        let mut tx = self.deps.db.begin().await?;
        editor.ensure_may_update(posts::lock(&mut tx, id).await?.ok_or(CommunityError::PostNotFound)?)?;
        posts::update(&mut tx, id, &content, self.deps.clock.now()).await?;
        let post = posts::find(tx.connection(), id).await?.ok_or(CommunityError::PostNotFound)?;
        tx.commit().await?;
        Ok(post)
    }

    pub(super) async fn update_comment(
        &self,
        UpdateComment { post, id, content, editor }: UpdateComment,
    ) -> Result<Comment, CommunityError> {
        let mut tx = self.deps.db.begin().await?;
        let author = comments::lock(&mut tx, post, id).await?.ok_or(CommunityError::CommentNotFound)?;
        editor.ensure_may_update(author)?;
        comments::update(&mut tx, id, &content, self.deps.clock.now()).await?;
        let comment = comments::get(&mut tx, id).await?;
        tx.commit().await?;
        Ok(comment)
    }

    pub(super) async fn delete_post(&self, DeletePost { id, editor }: DeletePost) -> Result<(), CommunityError> {
        let mut tx = self.deps.db.begin().await?;
        editor.ensure_may_delete(posts::lock(&mut tx, id).await?.ok_or(CommunityError::PostNotFound)?)?;
        posts::delete(&mut tx, id).await?;
        Ok(tx.commit().await?)
    }

    pub(super) async fn delete_comment(
        &self,
        DeleteComment { post, id, editor }: DeleteComment,
    ) -> Result<(), CommunityError> {
        let mut tx = self.deps.db.begin().await?;
        let author = comments::lock(&mut tx, post, id).await?.ok_or(CommunityError::CommentNotFound)?;
        editor.ensure_may_delete(author)?;
        comments::delete(&mut tx, id).await?;
        Ok(tx.commit().await?)
    }
}
