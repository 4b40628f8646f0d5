//! How many requests are in progress at a time.

use faceofmind_platform::caller;
use faceofmind_runtime::{FairGate, GatePass};
use salvo::{Depot, Request};

use crate::http::{client::ClientIp, place, problem::Problem, sampling::sample};

const NAME: &str = "requests";
/// The most requests in progress. Long reads, hashes and long texts that wait for their turn are among them, at most 1,408, and others need places beside
/// those. More places than a node can fill batches from would only add to each request's time.
const MAX_IN_PROGRESS: usize = 1536;
/// The most requests that wait to be begun. Those of HTTP/1.1 are bounded by their connections before.
const MAX_WAITING: usize = 16_384;

/// Begins requests while there are places, and lets the others wait, by turns between networks, before their body is read and their token is
/// checked. What waited for [`MAX_QUEUED`](faceofmind_runtime::MAX_QUEUED) is answered 503; a shorter wait would let those that are refused call again the sooner. A request that
/// waits for its client has no place. Clones share the places.
#[derive(Clone, Debug)]
pub struct Admission(FairGate);

impl Default for Admission {
    fn default() -> Self {
        Self::new(MAX_IN_PROGRESS, MAX_WAITING)
    }
}

impl Admission {
    fn new(places: usize, waiting: usize) -> Self {
        Self(FairGate::new(NAME, places, waiting))
    }

    /// The number of requests that wait.
    pub fn waiting(&self) -> usize {
        self.0.waiting()
    }

    /// Gives the request a place, which it has until [`place::give_back`]. Probes and fixed pages need none: they cost little, and a balancer must
    /// get its answer.
    ///
    /// # Errors
    /// 503 when the request has waited for [`MAX_QUEUED`](faceofmind_runtime::MAX_QUEUED), or more wait than may.
    pub(super) async fn admit(&self, req: &mut Request, depot: &Depot) -> Result<(), Problem> {
        if req.matched_path().starts_with("api/") {
            let pass = self.pass(depot).await?;
            place::take(req, pass);
        }
        Ok(())
    }

    async fn pass(&self, depot: &Depot) -> Result<GatePass, Problem> {
        if let Some(pass) = self.0.try_pass() {
            return Ok(pass);
        }
        let client = depot.get_typed::<ClientIp>().map_err(|_| Problem::internal())?;
        if let Ok(pass) = self.0.pass_soon(caller::network_of(&client.0.to_string())).await {
            return Ok(pass);
        }
        if let Some(left_out) = sample(NAME) {
            tracing::warn!(left_out, "request refused: more wait than this node serves in time");
        }
        Err(Problem::overloaded())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use faceofmind_runtime::MAX_QUEUED;
    use reqwest::Method;
    use salvo::{Router, handler};
    use tokio::{
        io::AsyncWriteExt as _,
        net::TcpStream,
        sync::{Mutex, Semaphore},
        time::Instant,
    };

    use super::*;
    use crate::http::{
        body::bytes,
        edge::HttpConfig,
        server::Limits,
        testing::{Served, answer, http_config},
    };

    /// The tests share the counters below.
    static ALONE: Mutex<()> = Mutex::const_new(());
    static BEGUN: Semaphore = Semaphore::const_new(0);
    static ENDING: Semaphore = Semaphore::const_new(0);

    /// Goes on until the test lets it end.
    #[handler]
    async fn slow() {
        BEGUN.add_permits(1);
        ENDING.acquire().await.expect("open").forget();
    }

    #[handler]
    async fn fast() {}

    #[handler]
    async fn reads_its_body(req: &mut Request, depot: &mut Depot) {
        BEGUN.add_permits(1);
        drop(bytes(req, depot).await);
    }

    #[handler]
    async fn leaves_its_body() {
        BEGUN.add_permits(1);
    }

    fn routes() -> Router {
        let api = Router::with_path("api").push(Router::with_path("slow").get(slow));
        let api = api.push(Router::with_path("reads").post(reads_its_body));
        let api = api.push(Router::with_path("leaves").post(leaves_its_body));
        Router::new().push(api.push(Router::with_path("fast").post(fast))).push(Router::with_path("health").get(fast))
    }

    async fn begun() {
        BEGUN.acquire().await.expect("open").forget();
    }

    #[tokio::test]
    async fn a_client_that_is_slow_to_send_its_body_holds_no_place() {
        let _alone = ALONE.lock().await;
        let limits = Limits { request: Duration::from_secs(20), ..Limits::default() };
        let api = Served::with(routes, HttpConfig { admission: Admission::new(1, 9), limits, ..http_config() }).await;
        for path in ["/api/reads", "/api/leaves"] {
            let mut client = TcpStream::connect(api.address).await.expect("listening");
            let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n");
            client.write_all(head.as_bytes()).await.expect("written");
            begun().await;
            assert_eq!(answer(api.request(Method::POST, "/api/fast")).await.status, 200, "behind {path}");
        }
    }

    #[tokio::test]
    async fn what_waits_too_long_is_refused_and_probes_never_wait() {
        let _alone = ALONE.lock().await;
        let limits = Limits { request: Duration::from_secs(20), ..Limits::default() };
        let api = Served::with(routes, HttpConfig { admission: Admission::new(1, 9), limits, ..http_config() }).await;
        let mut running = Box::pin(answer(api.get("/api/slow")));
        tokio::select! {
            _ = &mut running => unreachable!("it goes on"),
            () = begun() => {}
        }
        let began = Instant::now();
        let refused = answer(api.request(Method::POST, "/api/fast").body("not read")).await;
        assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
        assert!((MAX_QUEUED..MAX_QUEUED * 2).contains(&began.elapsed()), "{:?}", began.elapsed());
        assert_eq!(answer(api.get("/health")).await.status, 200);
        let next = async {
            tokio::task::yield_now().await;
            ENDING.add_permits(1);
            answer(api.request(Method::POST, "/api/fast")).await.status
        };
        let (ended, next) = tokio::join!(running, next);
        assert_eq!((ended.status, next), (200, 200), "a place is free again");
    }
}
