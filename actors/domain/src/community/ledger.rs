//! What the actor does: reads, and changes of which each is one transaction.

use faceofmind_model::event::{CommunityEvent, DomainEvent};
use std::sync::atomic::{AtomicU64, Ordering};

use faceofmind_base::{Clock, Rng};
use faceofmind_db::{Database, Tx};
use faceofmind_runtime::legacy::Failure;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Comment, CommentId, CommunityError, Draft, Member, Page, Part, Post, PostId, Settings,
    store::{
        comments::{self, Asked},
        posts,
    },
};
use crate::accounts;
use faceofmind_platform::encryption::Keyring;
use faceofmind_platform::idempotency::{Answer, Once};
use faceofmind_platform::outbox::Publisher;
use faceofmind_platform::rate_limit::{Limit, LimitError, Limits, Use};
use faceofmind_platform::{idempotency, outbox};

/// With which status whatever is written is answered.
const CREATED: u16 = 201;

/// What the work is done with; it outlives the actor, and its errands share it.
pub(super) struct Ledger {
    pub(super) settings: Settings,
    pub(super) db: Database,
    pub(super) publisher: Publisher,
    pub(super) limits: Limits,
    pub(super) keyring: Keyring,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    pub(super) done: Done,
}

/// What was done since the start, for those who watch.
#[derive(Default)]
pub(super) struct Done {
    written: AtomicU64,
    repeated: AtomicU64,
    refused: AtomicU64,
}

impl Ledger {
    pub(super) async fn posts(&self, part: Part<PostId>) -> Result<Page<Post, PostId>, CommunityError> {
        Ok(posts::page(self.db.read_conn().await?.connection(), part).await?)
    }

    pub(super) async fn find(&self, id: PostId) -> Result<Post, CommunityError> {
        posts::find(self.db.read_conn().await?.connection(), id).await?.ok_or(CommunityError::NoPost)
    }

    /// Where there are comments there is a post: it is looked for where there are none.
    pub(super) async fn comments(
        &self,
        post: PostId,
        part: Part<CommentId>,
    ) -> Result<Page<Comment, CommentId>, CommunityError> {
        let mut reader = self.db.read_conn().await?;
        let page = comments::page(reader.connection(), post, part).await?;
        if page.results.is_empty() {
            posts::find(reader.connection(), post).await?.ok_or(CommunityError::NoPost)?;
        }
        Ok(page)
    }

    pub(super) async fn post(&self, draft: Draft) -> Result<Once<Post>, CommunityError> {
        self.limited(self.settings.posts, &draft, self.write_post(&draft)).await
    }

    pub(super) async fn comment(&self, post: PostId, draft: Draft) -> Result<Once<Comment>, CommunityError> {
        self.limited(self.settings.comments, &draft, self.write_comment(post, &draft)).await
    }

    /// What was written before is answered as then, whatever the limit; what is not written now is not counted.
    async fn limited<T>(
        &self,
        limit: Limit,
        draft: &Draft,
        writing: impl Future<Output = Result<Once<T>, CommunityError>>,
    ) -> Result<Once<T>, CommunityError> {
        if let Some(answer) = self.answered(draft).await? {
            return Ok(Once::Again(answer));
        }
        let by_them = Use { limit, subject: draft.user.to_string() };
        let taken = match self.limits.take(&[by_them]).await {
            Ok(taken) => taken,
            Err(refusal) => return self.refuse(draft, refusal).await,
        };
        let written = writing.await;
        count(match written {
            Ok(Once::Now(_)) => &self.done.written,
            Ok(Once::Again(_)) => &self.done.repeated,
            Err(_) => &self.done.refused,
        });
        if !matches!(written, Ok(Once::Now(_))) {
            self.limits.give_back(taken).await;
        }
        written
    }

    /// Unless the same call, sent twice at once, has taken the last use and was answered meanwhile.
    async fn refuse<T>(&self, draft: &Draft, refusal: LimitError) -> Result<Once<T>, CommunityError> {
        if let Some(answer) = self.answered(draft).await? {
            return Ok(Once::Again(answer));
        }
        count(&self.done.refused);
        Err(refusal.into())
    }

    async fn answered(&self, draft: &Draft) -> Result<Option<Answer>, CommunityError> {
        let Some(key) = &draft.key else { return Ok(None) };
        let claim = idempotency::answered(&self.db, &self.keyring, key, self.clock.now()).await?;
        let answer = claim.map_or(Ok(None), |claim| claim.earlier(CommunityError::KeyReused))?;
        if answer.is_some() {
            count(&self.done.repeated);
        }
        Ok(answer)
    }

    async fn write_post(&self, draft: &Draft) -> Result<Once<Post>, CommunityError> {
        let mut tx = self.db.begin().await?;
        if let Some(answer) = self.enter(&mut tx, draft).await? {
            return Ok(Once::Again(answer));
        }
        let post = posts::insert(&mut tx, draft, self.clock.now()).await?;
        let event = CommunityEvent::PostCreated { user_id: draft.user, post_id: post.id };
        self.close(tx, draft, &post, event).await?;
        Ok(Once::Now(post))
    }

    async fn write_comment(&self, post_id: PostId, draft: &Draft) -> Result<Once<Comment>, CommunityError> {
        let mut tx = self.db.begin().await?;
        if let Some(answer) = self.enter(&mut tx, draft).await? {
            return Ok(Once::Again(answer));
        }
        posts::lock(&mut tx, post_id).await?.ok_or(CommunityError::NoPost)?;
        let comment = comments::insert(&mut tx, post_id, draft, self.clock.now()).await?;
        let event = CommunityEvent::CommentCreated { user_id: draft.user, post_id, comment_id: comment.id };
        self.close(tx, draft, &comment, event).await?;
        Ok(Once::Now(comment))
    }

    /// Holds the user and claims the key; gives the answer of an earlier call with that key.
    async fn enter(&self, tx: &mut Tx, draft: &Draft) -> Result<Option<Answer>, CommunityError> {
        if !accounts::lock_key_share(tx, draft.user).await? {
            return Err(CommunityError::NoUser);
        }
        let Some(key) = &draft.key else { return Ok(None) };
        let claim = idempotency::claim(tx, &self.keyring, key, self.clock.now()).await?;
        claim.earlier(CommunityError::KeyReused)
    }

    /// Keeps the answer, records the event and commits.
    async fn close(
        &self,
        mut tx: Tx,
        draft: &Draft,
        written: &impl Serialize,
        event: impl DomainEvent,
    ) -> Result<(), Failure> {
        if let Some(key) = &draft.key {
            idempotency::settle(&mut tx, &self.keyring, key, &Answer::of(CREATED, written)?).await?;
        }
        outbox::record(&mut tx, &event.into_cloud_event(&draft.origin, self.clock.now(), &self.rng)).await?;
        tx.commit().await?;
        self.publisher.wake();
        Ok(())
    }

    pub(super) async fn edit_post(&self, id: PostId, content: &str, by: Member) -> Result<Post, CommunityError> {
        let mut tx = self.db.begin().await?;
        by.may_edit(posts::lock(&mut tx, id).await?.ok_or(CommunityError::NoPost)?)?;
        posts::edit(&mut tx, id, content, self.clock.now()).await?;
        let post = posts::find(tx.connection(), id).await?.ok_or(CommunityError::NoPost)?;
        tx.commit().await?;
        Ok(post)
    }

    pub(super) async fn edit_comment(
        &self,
        asked: Asked,
        content: &str,
        by: Member,
    ) -> Result<Comment, CommunityError> {
        let mut tx = self.db.begin().await?;
        by.may_edit(comments::lock(&mut tx, asked).await?.ok_or(CommunityError::NoComment)?)?;
        comments::edit(&mut tx, asked.1, content, self.clock.now()).await?;
        let comment = comments::find(&mut tx, asked.1).await?;
        tx.commit().await?;
        Ok(comment)
    }

    pub(super) async fn delete_post(&self, id: PostId, by: Member) -> Result<(), CommunityError> {
        let mut tx = self.db.begin().await?;
        by.may_delete(posts::lock(&mut tx, id).await?.ok_or(CommunityError::NoPost)?)?;
        posts::delete(&mut tx, id).await?;
        Ok(tx.commit().await?)
    }

    pub(super) async fn delete_comment(&self, asked: Asked, by: Member) -> Result<(), CommunityError> {
        let mut tx = self.db.begin().await?;
        by.may_delete(comments::lock(&mut tx, asked).await?.ok_or(CommunityError::NoComment)?)?;
        comments::delete(&mut tx, asked.1).await?;
        Ok(tx.commit().await?)
    }

    pub(super) fn observe(&self) -> Value {
        let so_far = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({ "written": so_far(&self.done.written), "repeated": so_far(&self.done.repeated),
                "refused": so_far(&self.done.refused) })
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
