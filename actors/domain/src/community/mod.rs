//! What people write for each other: posts, and comments under them. Everyone who is signed in reads them.
//!
//! The database decides between those who write at once; the actor bounds how many there are, and begins each beside the others. Nothing
//! is kept between two letters, so none waits for another.

use std::{sync::Arc, time::Duration};

use faceofmind_base::{Clock, Rng};
use faceofmind_db::Database;
use faceofmind_runtime::legacy::{Actor, Address, Errands, Permit, Reply};
use faceofmind_runtime::{ChildSpec, Handle};
use serde_json::{Value, json};

use faceofmind_platform::encryption::Keyring;
use faceofmind_platform::idempotency::Once;
use faceofmind_platform::outbox::Publisher;
use faceofmind_platform::rate_limit::{Limit, Limits};

mod export;
mod ledger;
mod page;
mod post;
mod store;

pub use export::export;
use ledger::Ledger;
pub use page::{Page, Part};
pub use post::{Comment, CommentId, CommunityError, Draft, Member, Post, PostId};
pub use store::erase;

const MAILBOX: usize = 1024;
const DEADLINE: Duration = Duration::from_secs(10);

/// How much one user may write.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Posts.
    pub posts: Limit,
    /// Comments.
    pub comments: Limit,
}

/// The rooms that this one speaks with, and what it takes from the house.
#[derive(Clone, Debug)]
pub struct Neighbours {
    /// Hears of every commit that recorded events.
    pub publisher: Handle<Publisher>,
    /// Counts what a user writes.
    pub limits: Limits,
    /// Seals the answers that are kept.
    pub keyring: Keyring,
}

/// Where people write for each other. Clones lead to the same actor.
#[derive(Clone, Debug)]
pub struct Community {
    address: Address<Message>,
}

type Answered<T> = Reply<Result<T, CommunityError>>;

enum Message {
    Posts(Part<PostId>, Answered<Page<Post, PostId>>),
    Find(PostId, Answered<Post>),
    Comments(PostId, Part<CommentId>, Answered<Page<Comment, CommentId>>),
    Post(Draft, Answered<Once<Post>>),
    Comment(PostId, Draft, Answered<Once<Comment>>),
    EditPost { id: PostId, content: String, by: Member, reply: Answered<Post> },
    EditComment { post: PostId, id: CommentId, content: String, by: Member, reply: Answered<Comment> },
    DeletePost { id: PostId, by: Member, reply: Answered<()> },
    DeleteComment { post: PostId, id: CommentId, by: Member, reply: Answered<()> },
}

impl Community {
    /// The community of the posts in `db`, and the child to be supervised.
    pub fn new(
        settings: Settings,
        db: Database,
        neighbours: Neighbours,
        (clock, rng): (Clock, Rng),
    ) -> (Self, ChildSpec) {
        let Neighbours { publisher, limits, keyring } = neighbours;
        let address = Address::new("community", MAILBOX, DEADLINE);
        let done = Default::default();
        let ledger = Arc::new(Ledger { settings, db, publisher, limits, keyring, clock, rng, done });
        let child = ChildSpec::legacy(address.clone(), move || {
            let room = Room { ledger: Arc::clone(&ledger), errands: Errands::default() };
            async move { Ok(room) }
        });
        (Self { address }, child)
    }

    /// Everyone's posts, newest first, each with the number of its comments.
    ///
    /// # Errors
    /// [`CommunityError::Failed`].
    pub async fn posts(&self, part: Part<PostId>) -> Result<Page<Post, PostId>, CommunityError> {
        self.address.ask(|reply| Message::Posts(part, reply)).await
    }

    /// One post.
    ///
    /// # Errors
    /// [`CommunityError::NoPost`].
    pub async fn find(&self, id: PostId) -> Result<Post, CommunityError> {
        self.address.ask(|reply| Message::Find(id, reply)).await
    }

    /// The comments under a post, newest first.
    ///
    /// # Errors
    /// [`CommunityError::NoPost`].
    pub async fn comments(
        &self,
        post: PostId,
        part: Part<CommentId>,
    ) -> Result<Page<Comment, CommentId>, CommunityError> {
        self.address.ask(|reply| Message::Comments(post, part, reply)).await
    }

    /// Publishes a post. With a key that this user has used before, the answer of that time comes back instead, and is not counted.
    ///
    /// # Errors
    /// [`CommunityError::TooMany`]; [`CommunityError::KeyReused`]; [`CommunityError::NoUser`].
    pub async fn post(&self, draft: Draft) -> Result<Once<Post>, CommunityError> {
        self.address.ask(|reply| Message::Post(draft, reply)).await
    }

    /// Puts a comment under a post; keys as with [`Community::post`].
    ///
    /// # Errors
    /// [`CommunityError::NoPost`]; [`CommunityError::TooMany`]; [`CommunityError::KeyReused`]; [`CommunityError::NoUser`].
    pub async fn comment(&self, post: PostId, draft: Draft) -> Result<Once<Comment>, CommunityError> {
        self.address.ask(|reply| Message::Comment(post, draft, reply)).await
    }

    /// Changes a post's content; the same content again changes nothing, not even its time.
    ///
    /// # Errors
    /// [`CommunityError::NoPost`]; [`CommunityError::NotAuthor`], for admins too.
    pub async fn edit_post(&self, id: PostId, content: String, by: Member) -> Result<Post, CommunityError> {
        self.address.ask(|reply| Message::EditPost { id, content, by, reply }).await
    }

    /// Changes a comment's content; the same content again changes nothing, not even its time.
    ///
    /// # Errors
    /// [`CommunityError::NoComment`], also under another post; [`CommunityError::NotAuthor`], for admins too.
    pub async fn edit_comment(
        &self,
        post: PostId,
        id: CommentId,
        content: String,
        by: Member,
    ) -> Result<Comment, CommunityError> {
        self.address.ask(|reply| Message::EditComment { post, id, content, by, reply }).await
    }

    /// Deletes a post with the comments under it.
    ///
    /// # Errors
    /// [`CommunityError::NoPost`]; [`CommunityError::NotAuthor`], but for admins.
    pub async fn delete_post(&self, id: PostId, by: Member) -> Result<(), CommunityError> {
        self.address.ask(|reply| Message::DeletePost { id, by, reply }).await
    }

    /// Deletes a comment.
    ///
    /// # Errors
    /// [`CommunityError::NoComment`], also under another post; [`CommunityError::NotAuthor`], but for admins.
    pub async fn delete_comment(&self, post: PostId, id: CommentId, by: Member) -> Result<(), CommunityError> {
        self.address.ask(|reply| Message::DeleteComment { post, id, by, reply }).await
    }
}

/// The actor: hands each letter to an errand.
struct Room {
    ledger: Arc<Ledger>,
    errands: Errands,
}

impl Actor for Room {
    type Message = Message;

    async fn receive(&mut self, message: Message, permit: Permit) {
        let (errands, ledger) = (&mut self.errands, Arc::clone(&self.ledger));
        match message {
            Message::Posts(part, reply) => errands.answer(reply, permit, async move { ledger.posts(part).await }),
            Message::Find(id, reply) => errands.answer(reply, permit, async move { ledger.find(id).await }),
            Message::Comments(post, part, reply) => {
                errands.answer(reply, permit, async move { ledger.comments(post, part).await });
            }
            Message::Post(draft, reply) => errands.answer(reply, permit, async move { ledger.post(draft).await }),
            Message::Comment(post, draft, reply) => {
                errands.answer(reply, permit, async move { ledger.comment(post, draft).await });
            }
            Message::EditPost { id, content, by, reply } => {
                errands.answer(reply, permit, async move { ledger.edit_post(id, &content, by).await });
            }
            Message::EditComment { post, id, content, by, reply } => {
                errands.answer(reply, permit, async move { ledger.edit_comment((post, id), &content, by).await });
            }
            Message::DeletePost { id, by, reply } => {
                errands.answer(reply, permit, async move { ledger.delete_post(id, by).await });
            }
            Message::DeleteComment { post, id, by, reply } => {
                errands.answer(reply, permit, async move { ledger.delete_comment((post, id), by).await });
            }
        }
    }

    async fn stop(&mut self) {
        self.errands.finish().await;
    }

    fn observe(&self) -> Value {
        let mut observed = self.ledger.observe();
        observed["under_way"] = json!(self.errands.under_way());
        observed["panicked"] = json!(self.errands.panicked());
        observed
    }
}
