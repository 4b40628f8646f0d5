//! The embedded profile on a disk that fills up and is freed again.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs::{self, File},
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{Instant, timeout},
};

use crate::{
    HEALED,
    harness::{Person, Profile, TestApp, eventually, files_with, run_test},
};

const DISKS: usize = 3;
const MIB: u64 = 1 << 20;

#[test]
fn a_full_disk_refuses_writes_until_it_is_freed() {
    run_test(Profile::Embedded, &[], |app| Box::pin(fill_and_free(app)));
}

#[test]
fn an_erasure_on_a_nearly_full_disk_is_done_and_leaves_no_trace_once_there_is_space() {
    run_test(Profile::Embedded, &[], |app| Box::pin(erase_and_free(app)));
}

async fn erase_and_free(app: &TestApp) {
    let (ada, bob) = (app.verified("ada").await, app.verified("bob").await);
    ada.post("/posts/", json!({ "content": "zephyrine ".repeat(500) })).await.assert_status(201);
    app.wait_until_mailed().await;
    app.stop().await;
    let service = OnSmallDisk::start(app, 48 * MIB).await;
    let [ada, bob] = [ada, bob].map(|person| person.using(person.client.at(service.address)));
    // Enough to write, and too little for a second copy of the file.
    let filler = service.fill(4 * MIB);
    let erased = ada.post("/users/me/erase", json!({ "current_password": ada.password })).await;
    erased.assert_status(200);
    ada.log_in().await.assert_status(401);
    for _ in 0..20 {
        bob.post("/sessions/", json!({})).await.assert_status(201);
    }
    eventually("the service asks for space", async || service.wants_rewrite().then_some(())).await;
    fs::remove_file(filler).expect("removed");
    let freed = Instant::now();
    eventually("the file is rewritten", async || (!service.wants_rewrite()).then_some(())).await;
    assert!(freed.elapsed() < HEALED, "it took {:?}", freed.elapsed());
    for trace in ["zephyrine", &ada.email] {
        let found = files_with(&service.disk, trace);
        assert!(found.is_empty(), "{trace} is in {found:?}");
    }
    bob.post("/sessions/", json!({})).await.assert_status(201);
}

async fn fill_and_free(app: &TestApp) {
    let ada = app.verified("ada").await;
    app.wait_until_mailed().await;
    app.stop().await;
    app.allow_failures();
    let service = OnSmallDisk::start(app, 8 * MIB).await;
    let ada = ada.using(ada.client.at(service.address));
    let sessions = RefCell::new(Vec::new());
    for _ in 0..DISKS {
        assert_eq!(start(&ada, &sessions).await, 201);
        let filler = service.fill(0);
        eventually("a write is refused", async || (start(&ada, &sessions).await == 503).then_some(())).await;
        ada.get("/sessions/").await.assert_status(200);
        eventually("the service reports it", async || (readiness(&ada).await == "down").then_some(())).await;
        fs::remove_file(filler).expect("removed");
        let freed = Instant::now();
        eventually("a write is done", async || (start(&ada, &sessions).await == 201).then_some(())).await;
        eventually("the service is ready", async || (readiness(&ada).await == "up").then_some(())).await;
        assert!(freed.elapsed() < HEALED, "it took {:?}", freed.elapsed());
    }
    let exported = ada.get("/users/me/export").await.assert_status(200);
    let stored =
        exported.json["sessions"].as_array().expect("a list").iter().filter_map(|session| session["id"].as_i64());
    let stored: BTreeSet<i64> = stored.collect();
    let mut lost = sessions.into_inner();
    lost.retain(|session| !stored.contains(session));
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
}

/// What `/ready` says of the database.
async fn readiness(person: &Person) -> String {
    let ready = person.client.call(Method::GET, "/ready").send().await;
    ready.json["database"].as_str().expect("a text").to_owned()
}

/// Starts a session, adds its id to those that were acknowledged, and gives the status.
async fn start(person: &Person, acknowledged: &RefCell<Vec<i64>>) -> u16 {
    let response = person.post("/sessions/", json!({})).await;
    acknowledged.borrow_mut().extend(response.json["id"].as_i64());
    response.status
}

/// The program with a copy of the data directory on a disk of its own.
struct OnSmallDisk {
    address: SocketAddr,
    /// The disk, as this process sees it.
    disk: PathBuf,
    _process: Child,
}

/// Mounts the disk where only the program sees it.
const MOUNT: &str = "mount -t tmpfs -o size=\"$BYTES\" none \"$DATA_DIR\" && \
    cp -a \"$ORIGINAL\"/. \"$DATA_DIR\" && exec \"$PROGRAM\" serve";

impl OnSmallDisk {
    /// Starts the program on a disk of that many bytes.
    async fn start(app: &TestApp, bytes: u64) -> Self {
        let original = app.env.data_dir();
        let disk = original.with_extension("disk");
        fs::create_dir(&disk).expect("a folder");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", MOUNT]);
        command.envs(app.env.environment(&[("RUST_LOG", "error")]));
        command.env("BYTES", bytes.to_string());
        command.env("ORIGINAL", original).env("DATA_DIR", &disk).env("PROGRAM", env!("CARGO_BIN_EXE_faceofmind"));
        let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("unshare starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let listens = async {
            loop {
                let line = lines.next_line().await.expect("UTF-8").expect("the program serves");
                if let Some(address) = address_in(&line) {
                    return address;
                }
            }
        };
        let address = timeout(Duration::from_secs(15), listens).await.expect("the program serves in time");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let disk = root_of(&process).join(disk.strip_prefix("/").expect("an absolute path"));
        Self { address, disk, _process: process }
    }

    /// Writes a file until the disk has only that many bytes left.
    fn fill(&self, left: u64) -> PathBuf {
        let path = self.disk.join("filler");
        let mut file = File::create(&path).expect("a file");
        while file.write_all(&[1; 1024]).is_ok() {}
        let length = file.metadata().expect("a size").len();
        file.set_len(length.saturating_sub(left)).expect("shortened");
        path
    }

    /// Whether deleted rows are to be removed from the database file. Its head says so (sqlite.org/fileformat.html, "user version").
    fn wants_rewrite(&self) -> bool {
        let file = fs::read(self.disk.join("faceofmind.db")).expect("readable");
        i32::from_be_bytes(file[60..64].try_into().expect("four bytes")) > 0
    }
}

/// The file system as a process sees it.
fn root_of(process: &Child) -> PathBuf {
    Path::new("/proc").join(process.id().expect("it runs").to_string()).join("root")
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("serving http://")?;
    rest.split(|character: char| !character.is_ascii_digit() && !".:".contains(character)).next()?.parse().ok()
}
