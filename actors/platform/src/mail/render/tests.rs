use jiff::{Timestamp as Moment, tz::TimeZone};
use mail_parser::{HeaderName as Name, Message as Parsed, MessageParser, MimeHeaders as _};

use super::*;
use faceofmind_model::OtpCode;

mod wording;

const ADA: UserId = UserId(7);
const ID: Uuid = Uuid::from_u128(0x0192_f0c1_2345_7678_9abc_def0_1234_5678);
const MARCH: i64 = 1_772_690_700_000_000;

fn in_manila() -> ZonedDateTime {
    let manila = TimeZone::get("Asia/Manila").expect("the zone is bundled");
    Moment::from_microsecond(MARCH).expect("in range").to_zoned_datetime(manila)
}

fn renderer() -> Renderer {
    Renderer::new("hello@mail.faceofmind.example", "FaceofMind").expect("the templates are well formed")
}

fn envelope(to: &str) -> Envelope<'_> {
    Envelope { id: ID, user: ADA, to, date: Timestamp::from_micros(MARCH), language: Language::default() }
}

/// Every letter there is, with these words wherever somebody's words go.
fn letters(words: &str) -> [Letter; 10] {
    let (first_name, at, code) = (words.to_owned(), in_manila(), OtpCode::from_number(482_913));
    [
        Letter::Welcome {
            claim_name: first_name.clone(),
            claimed_at: at.clone(),
            code: code.clone(),
            expires_in_minutes: 5,
        },
        Letter::AlreadyRegistered { first_name: first_name.clone(), at: at.clone() },
        Letter::ResetCode { first_name: first_name.clone(), code: code.clone(), expires_in_minutes: 1 },
        Letter::PasswordChanged { first_name: first_name.clone(), at: at.clone() },
        Letter::NewDevice {
            first_name: first_name.clone(),
            device: words.to_owned(),
            address: Some("2001:db8::7".parse().expect("an address")),
            at: at.clone(),
        },
        Letter::AddressCode { claim_name: first_name.clone(), claimed_at: at.clone(), code, expires_in_minutes: 5 },
        Letter::AddressTaken { first_name: first_name.clone(), at: at.clone() },
        Letter::AddressChangeAsked { first_name: first_name.clone(), at: at.clone() },
        Letter::AddressChanged { first_name: first_name.clone(), at: at.clone() },
        Letter::Reminder { first_name, title: words.to_owned(), date: at.date() },
    ]
}

fn carries_code(letter: &Letter) -> bool {
    matches!(letter, Letter::Welcome { .. } | Letter::ResetCode { .. } | Letter::AddressCode { .. })
}

/// A mail for the transports' tests.
pub(in crate::mail) fn a_mail() -> Mail {
    let [welcome, ..] = letters("Ada Lovelace");
    renderer().render(&welcome, envelope("ada@example.org")).expect("it renders")
}

fn raw(letter: &Letter) -> String {
    raw_in(Language::default(), letter)
}

fn raw_in(language: Language, letter: &Letter) -> String {
    let envelope = Envelope { language, ..envelope("ada@example.org") };
    let mail = renderer().render(letter, envelope).expect("it renders");
    String::from_utf8(mail.bytes()).expect("a mail is ASCII")
}

/// Every letter in every language, as it leaves.
fn mails(words: &str) -> impl Iterator<Item = (Letter, String)> {
    Language::all().flat_map(move |language| letters(words).map(|letter| (language, letter))).map(
        |(language, letter)| {
            let raw = raw_in(language, &letter);
            (letter, raw)
        },
    )
}

fn parsed(raw: &str) -> Parsed<'_> {
    MessageParser::default().parse(raw).expect("it parses")
}

fn text(letter: &Letter, language: Language) -> String {
    let words = renderer().words(letter, language).expect("it renders");
    format!("{}\n\n{}", words.subject, words.text)
}

/// The language that an HTML part says it is in.
fn language_of(html: &str) -> Option<&str> {
    html.split_once("lang=\"")?.1.split('"').next()
}

/// All runs of six or more digits of any script.
fn long_numbers(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let runs = chars.chunk_by(|a, b| a.is_numeric() == b.is_numeric());
    runs.filter(|run| run[0].is_numeric() && run.len() >= 6).map(|run| run.iter().collect()).collect()
}

#[test]
fn every_letter_says_the_same_in_text_and_html() {
    for (letter, raw) in mails("Ada") {
        let mail = parsed(&raw);
        assert!(mail.content_type().is_some_and(|kind| kind.subtype() == Some("alternative")), "{letter:?}");
        let (text, html) = (mail.body_text(0).expect("a text part"), mail.body_html(0).expect("an HTML part"));
        let html = html.replace("&#x2f;", "/");
        assert_eq!(mail.content_language().as_text(), language_of(&html), "{letter:?}");
        assert_eq!((mail.text_body_count(), mail.html_body_count()), (1, 1), "{letter:?}");
        for fact in ["Ada", "482913", "2026-03-05, 14:05 (Asia/Manila, UTC+08:00)", "2001:db8::7"] {
            assert_eq!(text.contains(fact), html.contains(fact), "{letter:?}: {fact}");
        }
        assert!(text.contains("Ada") && html.contains(mail.subject().expect("a subject")), "{letter:?}");
        let to_strangers = ["not you", "did not ask", "indi ikaw", "Hindi ba ikaw"];
        assert!(to_strangers.iter().any(|words| text.contains(words)), "{letter:?} says what to do: {text}");
        assert_eq!(text.lines().any(|line| line == "    482913"), carries_code(&letter), "{letter:?}");
    }
}

#[test]
fn the_code_is_the_only_run_of_six_digits() {
    let device = "Mozilla/5.0 (X11; Linux) AppleWebKit/605.1.15 Gecko/20100101 Build/998877";
    for words in [
        "Ada",
        "Ada 123456",
        "1234567890",
        "１２３４５６",
        "12345",
        "12345.67890",
        "&#x31;23456",
        "99\u{200b}9999",
        device,
    ] {
        for (letter, raw) in mails(words) {
            let mail = parsed(&raw);
            let expected: &[&str] = if carries_code(&letter) { &["482913"] } else { &[] };
            assert_eq!(long_numbers(&mail.body_text(0).expect("text")), expected, "{letter:?} to {words:?}");
            assert_eq!(long_numbers(&mail.body_html(0).expect("HTML")), expected, "{letter:?} to {words:?}");
            assert_eq!(long_numbers(mail.subject().expect("a subject")), [""; 0], "{letter:?}");
        }
    }
}

#[test]
fn nobodys_words_become_headers_markup_or_links() {
    let words =
        "Ada\r\nBcc: x@evil.example\r\n\r\n<a href='https://evil.example'>\u{2028}www.evil.example</a>{{ code }}";
    for (letter, raw) in mails(words) {
        let mail = parsed(&raw);
        assert!(mail.bcc().is_none() && mail.to().is_some_and(|to| to.clone().into_list().len() == 1), "{letter:?}");
        assert!(!mail.subject().expect("a subject").contains("Ada"), "{letter:?}");
        let (text, html) = (mail.body_text(0).expect("text"), mail.body_html(0).expect("HTML"));
        assert!(html.contains("&lt;a href=") && !html.contains("<a"), "{letter:?}: {html}");
        for part in [text, html] {
            assert!(part.contains("{{ code }"), "words are no template: {letter:?}: {part}");
            for link in ["://", "evil.example", "www.evil"] {
                assert!(!part.contains(link), "{letter:?}: {link}: {part}");
            }
        }
    }
}

#[test]
fn a_name_of_nothing_visible_is_left_out() {
    for letter in letters("\u{200b}\r\n") {
        for (language, greeting) in [("en", "Hello"), ("fil", "Kumusta")] {
            let text = text(&letter, Language::nearest(language));
            assert!(text.contains(&format!("\n\n{greeting},\n\n")), "{text}");
        }
    }
}

#[test]
fn the_longest_names_stay_within_the_line_that_mail_allows() {
    for (letter, raw) in mails(&"ñ".repeat(10_000)) {
        assert!(raw.lines().all(|line| line.len() <= 78), "{letter:?}");
    }
}

#[test]
fn an_unknown_address_of_ours_is_left_out() {
    let letter =
        Letter::NewDevice { first_name: "Ada".into(), device: "Firefox".into(), address: None, at: in_manila() };
    for (language, date) in [("en", "Date"), ("fil", "Petsa")] {
        let text = text(&letter, Language::nearest(language));
        assert!(text.contains(&format!("    Device: Firefox\n    {date}: 2026-03-05")), "{text}");
    }
}

#[test]
fn the_same_id_is_the_same_mail_byte_for_byte() {
    assert_eq!(a_mail().bytes(), a_mail().bytes());
}

#[test]
fn every_language_has_words_for_every_letter() {
    for language in Language::all() {
        for letter in letters("Ada") {
            let words = renderer().words(&letter, language).expect("it renders");
            assert!(!words.subject.contains('\n') && words.text.ends_with('\n'), "{language:?} {letter:?}");
            assert!(words.html.contains(&format!("lang=\"{}\"", language.tag())), "{language:?} {letter:?}");
        }
    }
}

/// What a letter tells is its facts: a translation leaves none out and has no letter to itself.
#[test]
fn every_language_tells_the_same_facts() {
    let facts = |letter: &Letter, language| {
        let text = text(letter, language);
        let told = ["Ada", "482913", "2026-03-05", "14:05", "Asia/Manila, UTC+08:00", "2001:db8::7", "FaceofMind"];
        let minutes = ["1 minut", "5 minut"].map(|minutes| text.contains(minutes));
        (told.map(|fact| text.contains(fact)), minutes, text.lines().filter(|line| line.is_empty()).count())
    };
    let names = |language: Language| {
        let files =
            templates::files().filter_map(move |(name, _)| name.strip_prefix(language.tag())?.strip_prefix('/'));
        files.collect::<Vec<_>>()
    };
    for language in Language::all() {
        for letter in letters("Ada") {
            assert_eq!(facts(&letter, language), facts(&letter, Language::default()), "{language:?} {letter:?}");
        }
        assert_eq!(names(language), names(Language::default()), "{language:?}");
        assert_eq!(names(language).len(), 1 + 2 * letters("Ada").len(), "a layout, and each letter twice");
    }
}

#[test]
fn an_address_that_is_none_is_refused_without_being_repeated() {
    for to in ["", "ada", "ada@", "ada@example.org\r\nBcc: x@evil.example", "a@b.example, c@d.example", "<a@b.example>"]
    {
        let error = renderer().render(&letters("Ada")[0], envelope(to)).expect_err("no address");
        assert_eq!(error.to_string(), "the recipient's address is not a mail address", "{to:?}");
    }
    let error = Renderer::new("FaceofMind", "FaceofMind").err().expect("no address");
    assert_eq!(error.to_string(), "the sender's address is not a mail address; correct SMTP_EMAIL");
    assert!(Renderer::new(Renderer::DEFAULT_SENDER, "FaceofMind").is_ok());
}

#[test]
fn a_template_that_asks_for_what_is_not_there_is_an_error() {
    let mut renderer = renderer();
    renderer.templates.add_template("en/welcome.txt", "Subject\n\nHello {{ frist_name }}\n").expect("it parses");
    let error = renderer.render(&letters("Ada")[0], envelope("ada@example.org")).expect_err("misspelt");
    assert_eq!(error.to_string(), "the template en/welcome.txt, line 3: undefined value");
}

#[test]
fn debug_tells_nothing() {
    for letter in letters("Ada") {
        assert_eq!(format!("{letter:?}"), letter.name());
    }
    assert_eq!(format!("{:?}", a_mail()), format!("Mail({ID})"));
}

#[test]
fn headers_that_keep_answering_machines_quiet() {
    let raw = raw(&letters("Ada")[0]);
    let mail = parsed(&raw);
    let header = |name: &'static str| mail.header(Name::parse(name).expect("a name")).and_then(|value| value.as_text());
    assert_eq!(header("Auto-Submitted"), Some("auto-generated"));
    assert_eq!(mail.message_id(), Some(format!("{ID}@mail.faceofmind.example").as_str()));
}
