//! The state that a service reports while it stops.

use reqwest::StatusCode;

use super::*;
use crate::settings::ConfigSources;

/// Starts an embedded service with its data in `folder`.
async fn start(folder: &tempfile::TempDir) -> App {
    let data_dir = folder.path().to_str().expect("a path in UTF-8");
    let environment = [("DATA_DIR", data_dir), ("PORT", "0"), ("OPERATOR_ADDR", "")];
    let settings = Settings::load(&ConfigSources::built_in().with_environment(environment)).expect("good settings");
    App::start(settings, Clock::system(), Rng::system()).await.expect("the service starts")
}

/// The service reports this between the signal to stop and the closing of its port. A test outside the process cannot ask in time.
#[tokio::test]
async fn a_service_that_stops_is_not_ready_but_healthy() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = start(&folder).await;
    let ask = async |path: &str| {
        let answer = reqwest::get(format!("http://{}{path}", app.address())).await.expect("an answer");
        (answer.status(), answer.text().await.expect("a body"))
    };
    assert_eq!(ask("/ready").await.0, StatusCode::OK);
    app.state.stopping.cancel();
    let (status, body) = ask("/ready").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("\"status\":\"unavailable\"") && body.contains("\"database\":\"up\""), "{body}");
    assert_eq!(ask("/health").await.0, StatusCode::OK);
    app.stop().await;
}
