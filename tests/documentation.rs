//! The commands, paths and links in the documents work.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{process::Command, time::timeout};

use crate::harness::Program;

/// Limit for one document's commands; some of them wait for mails.
const DEADLINE: Duration = Duration::from_secs(60);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// All documents, by their paths from the repository's root.
fn documents() -> Vec<String> {
    let entries = fs::read_dir(root().join("docs")).expect("the folder docs");
    let names = entries.map(|entry| format!("docs/{}", entry.expect("an entry").file_name().display()));
    let documents = names.filter(|name| name.ends_with(".md"));
    documents.chain(["README.md".to_owned(), "CONTRIBUTING.md".to_owned()]).collect()
}

/// The shell commands of a document, or of one of its sections, in their order.
fn commands(text: &str) -> String {
    let blocks = text.split("\n```sh\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

/// The text below a heading of the second level, up to the next.
fn section<'a>(heading: &str, text: &'a str) -> &'a str {
    let mut sections = text.split("\n## ");
    sections.find(|section| section.starts_with(&format!("{heading}\n"))).unwrap_or_else(|| panic!("no {heading}"))
}

/// Runs commands in a folder, with `faceofmind` on the path and no other setting; what they print on both streams.
async fn paste(script: &str, folder: &Path) -> (String, String) {
    let tools = tempfile::tempdir().expect("a folder");
    symlink(program(), tools.path().join("faceofmind")).expect("a link to the program");
    let inherited = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([tools.path().to_owned()].into_iter().chain(env::split_paths(&inherited)));
    let mut shell = Command::new("sh");
    shell.args(["-euc", script]).env_clear().env("PATH", path.expect("a path")).current_dir(folder).kill_on_drop(true);
    let output = timeout(DEADLINE, shell.output()).await.expect("the commands end in time").expect("sh starts");
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{:?}\n{stdout}\n{stderr}", output.status);
    (stdout, stderr)
}

/// The program as it is shipped, if the run built it.
fn program() -> OsString {
    shipped().unwrap_or_else(|| env!("CARGO_BIN_EXE_faceofmind").into())
}

fn shipped() -> Option<OsString> {
    env::var_os("FOM_TEST_SHIPPED")
}

/// Pastes commands beside a service on the embedded profile, as `cargo run` starts it except for the port.
async fn paste_beside_a_service(script: &str) -> (String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = [("PORT", "0"), ("OPERATOR_ADDR", "")];
    let serving = Program::in_folder(folder.path(), &settings).serve(&[]).await;
    let script = script.replace("http://127.0.0.1:9000", &serving.base);
    assert!(script.contains(&serving.base), "{script}");
    let printed = paste(&script, folder.path()).await;
    serving.terminate().await;
    assert!(!printed.0.contains("/problems/"), "a request was refused: {}", printed.0);
    printed
}

#[tokio::test]
async fn the_tour_works_as_pasted() {
    let (printed, errors) = paste_beside_a_service(&commands(section("A tour", &document("README.md")))).await;
    assert!(errors.is_empty(), "{errors}");
    assert!(
        printed.contains("\"status\":\"active\"") && printed.contains("faceofmind.v1.feedback.submitted"),
        "{printed}"
    );
}

#[tokio::test]
async fn the_guides_continue_the_tour_as_pasted() {
    let tour = commands(section("A tour", &document("README.md")));
    let guides = commands(&document("docs/EVENTS.md")) + &commands(&document("docs/API.md"));
    let (printed, _) = paste_beside_a_service(&(tour + &guides)).await;
    for part in ["rel=\"next\"", "\"title\":\"Breathe\"", "\"email\":\"ada@example.com\"", "faceofmind-export.json"] {
        assert!(printed.contains(part), "{part} is not in {printed}");
    }
}

#[tokio::test]
async fn the_commands_work_as_pasted() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = commands(section("Commands", &document("docs/OPERATIONS.md")));
    let (printed, errors) = paste(&script, folder.path()).await;
    for part in ["grace@example.org is an active admin", "serving http://127.0.0.1:", "not applied"] {
        assert!(printed.contains(part), "{part} is not in {printed}\n{errors}");
    }
}

/// A program with `test-hooks` refuses production, so that only a whole run checks the example as it stands.
#[tokio::test]
async fn the_settings_file_for_servers_is_accepted() {
    let folder = tempfile::tempdir().expect("a folder");
    let operations = document("docs/OPERATIONS.md");
    let blocks = commands(section("Running on servers", &operations));
    let check = "faceofmind config check";
    let (example, _) = blocks.split_once(check).expect("the example checks its settings");
    let mode = if shipped().is_some() { "production" } else { "development" };
    let script = format!("{example}{check}").replace("FACEOFMIND_ENV=production", &format!("FACEOFMIND_ENV={mode}"));
    let (printed, errors) = paste(&script, folder.path()).await;
    assert!(printed.contains(&format!("faceofmind_env = \"{mode}\"")), "{printed}");
    assert!(printed.contains("PostgreSQL, postgres://faceofmind:***@db.internal:5432/faceofmind"), "{printed}");
    assert!(errors.is_empty(), "{errors}");
}

/// The texts in backticks, outside code blocks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("\n```").step_by(2);
    prose.flat_map(|part| part.split('`').skip(1).step_by(2))
}

/// The command lines of `faceofmind` in a document: without redirections, quotes, and the brackets around what is optional.
fn command_lines(text: &str) -> BTreeSet<String> {
    let lines = quoted(text).chain(text.lines()).filter_map(|line| line.trim_start().strip_prefix("faceofmind "));
    let words = lines.map(|line| line.split_whitespace().take_while(|word| !["|", ">", "<"].contains(word)));
    words.map(|words| words.collect::<Vec<_>>().join(" ").replace(['[', ']', '\''], "")).collect()
}

/// `--help` after a command line prints help if the program knows all that stands before it.
#[tokio::test]
async fn every_documented_command_exists() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::in_folder(folder.path(), &[]);
    let lines: BTreeSet<String> = documents().iter().flat_map(|name| command_lines(&document(name))).collect();
    assert!(lines.len() > 10, "{lines:?}");
    for line in lines {
        let arguments: Vec<&str> = line.split_whitespace().chain(["--help"]).collect();
        let help = program.run(&arguments, "").await;
        assert_eq!(help.code, Some(0), "{line}: {help:?}");
    }
}

#[tokio::test]
async fn every_command_is_documented() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::in_folder(folder.path(), &[]);
    let documented = command_lines(section("Commands", &document("docs/OPERATIONS.md")));
    let mut unseen: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(command) = unseen.pop() {
        let arguments: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let help = program.run(&arguments, "").await;
        let named = help.output.split("\nCommands:\n").nth(1).map(|rest| rest.split("\n\n").next().unwrap_or_default());
        let names = named.into_iter().flat_map(str::lines).filter_map(|line| line.split_whitespace().next());
        let below: Vec<_> =
            names.filter(|name| *name != "help").map(|name| [&command[..], &[name.to_owned()]].concat()).collect();
        let line = command.join(" ");
        assert!(!below.is_empty() || documented.iter().any(|known| known.starts_with(&line)), "{line}: {documented:?}");
        unseen.extend(below);
    }
}

/// The types in the table of EVENTS.md, and those of the AsyncAPI document.
#[test]
fn the_events_document_lists_exactly_the_types_that_exist() {
    let events = document("docs/EVENTS.md");
    let rows = section("Types", &events).lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let listed: Vec<&str> = rows.map(|(name, _)| name).collect();
    let schema = document("docs/asyncapi.yaml");
    let addresses = schema.lines().filter_map(|line| line.trim().strip_prefix("address: faceofmind.v1."));
    let existing: BTreeSet<&str> = addresses.filter_map(|address| address.strip_suffix(".{user_id}")).collect();
    assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), existing);
    assert_eq!(listed.len(), existing.len(), "a type is listed twice");
}

/// GitHub's name of a heading: lower case, words joined by dashes.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|character| character.is_alphanumeric() || [' ', '-', '_'].contains(character));
    kept.map(|character| if character == ' ' { '-' } else { character.to_ascii_lowercase() }).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut broken = Vec::new();
    for name in documents() {
        let text = document(&name);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(&name).parent().expect("a folder");
            let file = if path.is_empty() { PathBuf::from(&name) } else { folder.join(path) };
            let headings = fs::read_to_string(root().join(&file)).unwrap_or_default();
            let mut anchors = headings
                .lines()
                .filter(|line| line.starts_with('#'))
                .map(|line| anchor(line.trim_start_matches(['#', ' '])));
            let is_there =
                root().join(&file).exists() && (heading.is_empty() || anchors.any(|anchor| anchor == heading));
            broken.extend((!is_there).then(|| format!("{name}: {target}")));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_path_in_the_documents_exists() {
    let folders = ["src/", "actors/", "config/", "docs/", "examples/", "migrations/", "tests/", "xtask/", ".ci/"];
    let mut missing = Vec::new();
    for name in documents() {
        let text = document(&name);
        let paths = quoted(&text).filter(|word| folders.iter().any(|folder| word.starts_with(folder)));
        for path in paths.filter(|path| !path.contains(['<', '*', ' '])) {
            missing.extend((!root().join(path).exists()).then(|| format!("{name}: {path}")));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The folders and files below a crate's `src`, except its root and its tests.
fn modules(of_crate: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(of_crate).join("src")).into_iter().flatten();
    let names = entries.map(|entry| entry.expect("an entry").path().file_stem().expect("a name").display().to_string());
    names.filter(|name| !["lib", "testing", "tests"].contains(&name.as_str())).collect()
}

#[test]
fn the_architecture_document_describes_every_module() {
    for (of_crate, described_in) in
        [("actors/domain", "actors/domain/src/lib.rs"), ("actors/platform", "docs/ARCHITECTURE.md")]
    {
        let (modules, described) = (modules(of_crate), document(described_in));
        assert!(!modules.is_empty(), "{of_crate} has no modules");
        for module in modules {
            assert!(described.contains(&format!("`{module}`")), "{described_in}: {module}");
        }
    }
}

/// The beginning of a row of "What is bounded", the file that enforces the bound, and the texts before its numbers.
const BOUNDS: &[(&str, &str, &[&str])] = &[
    ("connections to the public port", "src/app/open_files.rs", &["MAX_CONNECTIONS: usize = ", "RESERVE: usize = "]),
    ("connections to the operators' port", "src/app.rs", &["OPERATOR_CONNECTIONS: usize = "]),
    (
        "requests in progress under `/api`",
        "src/http/edge/admission.rs",
        &["MAX_IN_PROGRESS: usize = ", "MAX_WAITING: usize = "],
    ),
    ("HTTP/2 requests", "src/http/server.rs", &["max_concurrent_streams("]),
    ("head of a request", "src/http/server.rs", &["max_buf_size(", "max_header_list_size("]),
    ("rest of a refused body", "src/http/edge/body_limit.rs", &["MAX_DRAINED: usize = ", "Duration::from_secs("]),
    ("messages in progress or waiting", "actors/domain/src/accounts/actor.rs", &["CAPACITY: usize = "]),
    ("messages in progress or waiting", "actors/domain/src/logins/actor.rs", &["CAPACITY: usize = "]),
    ("messages in progress or waiting", "actors/domain/src/sessions/actor.rs", &["capacity: "]),
    ("messages in progress or waiting", "actors/platform/src/rate_limit/actor.rs", &["mailbox: "]),
    ("messages in progress or waiting", "actors/platform/src/otp/actor.rs", &["CAPACITY: usize = "]),
    ("messages in progress or waiting", "actors/domain/src/community/actor.rs", &["CAPACITY: usize = "]),
    ("messages in progress or waiting", "actors/domain/src/reminders/actor.rs", &["CAPACITY: usize = "]),
    ("messages in progress or waiting", "actors/system/src/exporter/actor.rs", &["CAPACITY: usize = "]),
    ("messages in progress or waiting", "actors/platform/src/mail/actor.rs", &["CAPACITY: usize = "]),
    ("messages in progress or waiting", "actors/platform/src/outbox/actor.rs", &["CAPACITY: usize = "]),
    (
        "reads that grow",
        "actors/platform/src/platform.rs",
        &["RESERVED_CONNECTIONS: usize = ", "MAX_WAITING_READS: usize = ", "MAX_READS_OF_USER: usize = "],
    ),
    ("rows in one batch", "actors/db/src/bulk.rs", &["MAX_ROWS: usize = "]),
    ("rows in one batch", "actors/domain/src/sessions/commands.rs", &["MAX_ROWS_IN_BATCH: usize = "]),
    ("detections deleted", "actors/domain/src/sessions/large_deletion.rs", &["PORTION: usize = "]),
    ("detections in one request", "actors/domain/src/sessions/detection.rs", &["MAX_DETECTIONS_PER_REQUEST: usize = "]),
    ("one session history", "actors/domain/src/sessions/history.rs", &["PAGE_SIZE: usize = ", "PAGE_BYTES: usize = "]),
    ("session histories", "src/http/state.rs", &["MAX_HISTORIES: usize = ", "MAX_HISTORIES_OF_USER: usize = "]),
    ("texts over", "actors/domain/src/suggestions/crisis.rs", &["MAX_WAITING: usize = "]),
    ("different emotions", "actors/domain/src/sessions/counts.rs", &["MAX_DISTINCT: usize = "]),
    ("entries in one page", "src/http/page.rs", &["limit: Clamped<1, "]),
    ("exports", "actors/system/src/exporter/actor.rs", &["max_concurrent: "]),
    ("exports", "actors/db/src/export/json_writer.rs", &["MIN_RATE: u32 = "]),
    ("event streams", "actors/platform/src/outbox/mod.rs", &["max_feeds: ", "max_feeds_per_user: "]),
    ("events waiting for the reader", "src/http/events/mod.rs", &["FRAME_BUFFER: usize = "]),
    ("mails being sent", "actors/platform/src/mail/actor.rs", &["MAX_QUICK: usize = ", "FOR_CODES: usize = "]),
    (
        "mails to one address",
        "actors/system/src/mail_budgets.rs",
        &[
            "\"mails caused by strangers\", max: ",
            "\"mails caused by one stranger\", max: ",
            "\"mails caused by the owner\", max: ",
            "\"reminders mailed\", max: ",
        ],
    ),
    ("notices of new log-ins", "actors/system/src/mail_budgets.rs", &["\"notices of new log-ins\", max: "]),
    ("notices of new log-ins", "actors/system/src/mail_content.rs", &["MAX_LISTED: usize = "]),
    ("attempts to send a mail", "actors/platform/src/mail/delivery.rs", &["MAX_ATTEMPTS: u32 = "]),
    ("cached logins and users", "actors/platform/src/auth_cache/mod.rs", &["CAPACITY: u64 = "]),
    ("rate-limit counters while Redis", "actors/platform/src/rate_limit/actor.rs", &["max_local_counters: "]),
    ("log lines", "src/logging/line_queue.rs", &["MAX_BYTES: usize = ", "MAX_BYTES_OF_INFO: usize = "]),
    ("requests to the suggestions endpoint", "actors/domain/src/suggestions/actor.rs", &["max_concurrent: "]),
    ("pending registrations", "actors/domain/src/accounts/pending_registrations.rs", &["MAX_PENDING: i64 = "]),
    ("reminders", "actors/domain/src/reminders/reminder.rs", &["MAX_REMINDERS: i64 = "]),
];

/// A number as the code has it (`16_384`, `64 << 10`), as the documents write it (`16,384`, `64 KiB`).
fn as_documented(number: &str) -> String {
    let (digits, shift) = number.split_once(" << ").unwrap_or((number, ""));
    let unit = match shift {
        "" => "",
        "10" => " KiB",
        "20" => " MiB",
        other => panic!("no unit for {other} bits"),
    };
    let digits = digits.replace('_', "");
    let grouped = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",");
    format!("{grouped}{unit}")
}

#[test]
fn the_table_of_bounds_states_what_the_code_enforces() {
    let operations = document("docs/OPERATIONS.md");
    let table = section("What is bounded", &operations);
    for (resource, file, names) in BOUNDS {
        let row = table.lines().find(|line| line.starts_with(&format!("| {resource}")));
        let row = row.unwrap_or_else(|| panic!("no row of {resource}"));
        let text = document(file);
        for name in *names {
            let number = from_number(file, &text, name).split([';', ',', ')', '>']).next().unwrap_or_default();
            let bound = as_documented(number);
            let stated: Vec<&str> =
                row.split([' ', '|', ';', '(', ')']).map(|word| word.trim_end_matches(',')).collect();
            let words: Vec<&str> = bound.split(' ').collect();
            assert!(stated.windows(words.len()).any(|stated| stated == words), "{resource}: {bound} of {file}, {name}");
        }
    }
}

/// The text of a file from the first number on that follows `after`.
fn from_number<'a>(file: &str, text: &'a str, after: &str) -> &'a str {
    let mut places = text.match_indices(after).map(|(at, _)| &text[at + after.len()..]);
    let rest = places.find(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()));
    rest.unwrap_or_else(|| panic!("{file}: no number after {after}"))
}

/// The number after this text in a file.
fn number_in(file: &str, after: &str) -> u64 {
    let text = document(file);
    let digits: String = from_number(file, &text, after).chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("digits")
}

#[test]
fn a_service_manager_waits_longer_than_a_stop_takes() {
    let drain = number_in("config/production.toml", "\ndrain_seconds = ");
    let requests = number_in("config/default.toml", "\nshutdown_timeout_seconds = ");
    for (file, limit) in
        [("docs/faceofmind.service", "\nTimeoutStopSec="), ("docker-compose.yml", "stop_grace_period: ")]
    {
        assert!(number_in(file, limit) > 2 * (drain + requests), "{file}");
    }
}

#[test]
fn the_unit_allows_a_descriptor_for_each_connection() {
    const CONNECTIONS: u64 = 10_000;
    assert!(number_in("docs/faceofmind.service", "\nLimitNOFILE=") > CONNECTIONS);
}

/// NATS else acknowledges a message up to two minutes before it is on disk.
#[test]
fn the_composed_nats_acknowledges_no_message_before_it_is_on_disk() {
    let compose: serde_norway::Value = serde_norway::from_str(&document("docker-compose.yml")).expect("YAML");
    let nats = &compose["services"]["nats"];
    let read = nats["command"].as_sequence().expect("a list").iter().skip_while(|word| *word != "--config").nth(1);
    assert_eq!(read, Some(&nats["configs"][0]["target"]), "the server reads the file that is mounted");
    let config = &compose["configs"][nats["configs"][0]["source"].as_str().expect("a name")]["content"];
    let jetstream = config.as_str().and_then(|text| text.split_once("jetstream {")).expect("a block").1;
    let settings: Vec<_> = jetstream.lines().map(str::trim).take_while(|line| *line != "}").collect();
    assert!(settings.contains(&"sync_interval: always"), "{settings:?}");
}

#[test]
fn the_readme_is_short() {
    let lines = document("README.md").lines().count();
    assert!(lines < 200, "{lines} lines");
}
