//! Lists whose clients never ask for a second page: up to 1,000 items in a response, which is sent while it is read.

use faceofmind_db::export::{ExportAborted, JsonList};
use faceofmind_model::{Page as Rows, UserId};
use faceofmind_platform::caller::user as share_of;
use faceofmind_runtime::ConcurrencyPermit;
use futures_util::future::BoxFuture;
use salvo::{
    Depot, Request, Response, Writer, async_trait,
    oapi::{Components, EndpointOutRegister, Operation, ToSchema},
};
use serde::Serialize;
use tracing::Instrument as _;

use super::{
    cursor::Cursor,
    fields::request,
    page::{Page, PageQuery, set_link},
    problem::Problem,
    responses::stream_json,
    state::AppState,
    validators::{Clamped, Offset},
};

request! {
    /// Which part of a list to return, newest first. Clients that know nothing of pages get the largest page.
    pub struct LongPageQuery {
        /// Where the page begins: `after` in the `Link` of the previous page.
        after: Option<Cursor>,
        /// How many items to skip from there.
        skip: Offset = 0,
        /// The size of the page, 1 to 1,000; 1,000 by default. Larger means 1,000.
        limit: Clamped<1, 1000> = 1000,
    }
}

/// The items that are read at a time.
const PART: u32 = 64;
/// The bytes of text that are kept of them, or one item more. The longest posts have 20,000 characters.
const PART_BYTES: usize = 256 << 10;

/// A list of the newest first.
pub trait LongList: Send + Sync + 'static {
    /// What is read.
    type Item: Send + 'static;
    /// Its form in the response.
    type View: From<Self::Item> + Serialize + ToSchema + Send + Sync + 'static;

    /// The key of an item, by which the list is ordered.
    fn key(item: &Self::Item) -> i64;

    /// The bytes of its text.
    fn bytes(item: &Self::Item) -> usize;

    /// Reads a page.
    fn read(&self, page: PageQuery) -> BoxFuture<'_, Result<Rows<Self::Item, i64>, Problem>>;

    /// Finds the last key of a page when another item follows.
    fn find_end(&self, page: PageQuery) -> BoxFuture<'_, Result<Option<i64>, Problem>>;
}

/// A page whose first part is read. One of several parts is sent while the others are read, so that it never stands in memory as a whole.
/// When reading fails the connection is closed, so that the client sees an incomplete transfer and never a list that looks complete.
pub struct LongPage<L: LongList> {
    list: L,
    limit: u32,
    first: Rows<L::Item, i64>,
    /// The last key of the page when another page follows.
    end: Option<i64>,
    /// Where it has several parts.
    permit: Option<ConcurrencyPermit>,
}

/// Why a list ended early.
#[derive(Debug, thiserror::Error)]
enum ListTruncated {
    #[error(transparent)]
    Writing(#[from] ExportAborted),
    #[error("a part was not read: {0:?}")]
    Reading(Problem),
}

impl<L: LongList> LongPage<L> {
    /// Reads the first part of the page.
    ///
    /// # Errors
    /// Those of the list.
    pub async fn read(state: &AppState, reader: UserId, query: LongPageQuery, list: L) -> Result<Self, Problem> {
        let LongPageQuery { after, skip, limit } = query;
        let mut first = list.read(PageQuery { after, skip, limit: limit.min(PART) }).await?;
        let is_cut = cut::<L>(&mut first);
        let (mut end, mut permit) = (first.next, None);
        // Where too many are being sent, the first part is the page, and its `Link` leads on.
        if first.next.is_some()
            && (limit > PART || is_cut)
            && let Ok(taken) = state.histories.acquire(share_of(reader))
        {
            permit = Some(taken);
            end = list.find_end(PageQuery { after, skip, limit }).await?;
        }
        Ok(Self { list, limit, first, end, permit })
    }

    /// Writes all parts, up to the end of the page.
    async fn write_parts(self, mut writer: JsonList) -> Result<(), ListTruncated> {
        let Self { list, limit, first: mut part, end, permit: _permit } = self;
        // `end` was found after the first part was read, so where there is one, it alone ends the page.
        let mut left = if end.is_some() { usize::MAX } else { limit as usize };
        loop {
            for item in part.results.into_iter().take(left) {
                if end.is_some_and(|end| L::key(&item) < end) {
                    break;
                }
                left -= 1;
                writer.item(&L::View::from(item)).await?;
            }
            let Some(next) = part.next.filter(|next| left > 0 && end.is_none_or(|end| *next > end)) else { break };
            let query = PageQuery { after: Some(next), skip: 0, limit: PART };
            part = list.read(query).await.map_err(ListTruncated::Reading)?;
            cut::<L>(&mut part);
        }
        Ok(writer.close().send().await?)
    }
}

/// Keeps the items that fit into memory. Returns whether some did not.
fn cut<L: LongList>(part: &mut Rows<L::Item, i64>) -> bool {
    let mut bytes = 0;
    let fits = |item: &&L::Item| {
        let fits = bytes < PART_BYTES;
        bytes += L::bytes(item);
        fits
    };
    let kept = part.results.iter().take_while(fits).count();
    if kept == part.results.len() {
        return false;
    }
    part.results.truncate(kept);
    part.next = part.results.last().map(L::key);
    true
}

#[async_trait]
impl<L: LongList> Writer for LongPage<L> {
    async fn write(self, req: &mut Request, depot: &mut Depot, res: &mut Response) {
        if self.permit.is_none() {
            let views = self.first.results.into_iter().map(L::View::from);
            return Page::new(self.limit, views, self.end).write(req, depot, res).await;
        }
        set_link(res, self.limit, self.end);
        let (writer, stream) = JsonList::open();
        let write = async move {
            match self.write_parts(writer).await {
                Ok(()) => {}
                Err(error @ ListTruncated::Writing(_)) => tracing::info!(%error, "list truncated"),
                Err(error @ ListTruncated::Reading(_)) => tracing::warn!(%error, "list truncated"),
            }
        };
        tokio::spawn(write.in_current_span());
        stream_json(res, stream);
    }
}

impl<L: LongList> EndpointOutRegister for LongPage<L> {
    fn register(components: &mut Components, operation: &mut Operation) {
        Page::<L::View>::register(components, operation);
    }
}
