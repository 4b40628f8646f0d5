use faceofmind_model::OtpCode;
use jiff::{Timestamp as Moment, tz::TimeZone};
use mail_parser::{HeaderName as Name, Message as Parsed, MessageParser, MimeHeaders as _};

use super::*;

mod folded;
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

/// Returns that many tries, the first of them in March and the last an hour later.
fn tries(count: u32) -> Tries {
    let first = in_manila();
    let last = if count == 1 { first.clone() } else { &first + jiff::Span::new().hours(1) };
    Tries { count, first, last }
}

/// Returns every template, with `input` wherever text of a client goes.
fn templates(input: &str) -> [MailTemplate; 10] {
    let (first_name, at, code) = (input.to_owned(), in_manila(), OtpCode::from_number(482_913));
    [
        MailTemplate::Welcome {
            claim_name: first_name.clone(),
            claimed_at: at.clone(),
            network: "203.0.113.7".into(),
            has_others: true,
            code: code.clone(),
            link: None,
            expires_in_minutes: 5,
        },
        MailTemplate::AlreadyRegistered { first_name: first_name.clone(), tries: tries(1) },
        MailTemplate::ResetCode {
            first_name: first_name.clone(),
            code: code.clone(),
            link: None,
            expires_in_minutes: 1,
        },
        MailTemplate::PasswordChanged { first_name: first_name.clone(), at: at.clone() },
        MailTemplate::NewDevice {
            first_name: first_name.clone(),
            logins: vec![DeviceLogin {
                device: input.to_owned(),
                address: Some("2001:db8::7".parse().expect("an address")),
                at: at.clone(),
            }],
            more: 0,
        },
        MailTemplate::AddressCode {
            claim_name: first_name.clone(),
            claimed_at: at.clone(),
            code,
            expires_in_minutes: 5,
        },
        MailTemplate::AddressTaken { first_name: first_name.clone(), tries: tries(1) },
        MailTemplate::AddressChangeAsked { first_name: first_name.clone(), at: at.clone() },
        MailTemplate::AddressChanged { first_name: first_name.clone(), at: at.clone() },
        MailTemplate::Reminder { first_name, title: input.to_owned(), date: at.date() },
    ]
}

fn carries_code(template: &MailTemplate) -> bool {
    matches!(template, MailTemplate::Welcome { .. } | MailTemplate::ResetCode { .. } | MailTemplate::AddressCode { .. })
}

/// A mail for the transports' tests.
pub(in crate::mail) fn a_mail() -> Mail {
    let [welcome, ..] = templates("Ada Lovelace");
    renderer().render(&welcome, envelope("ada@example.org")).expect("it renders")
}

fn raw(template: &MailTemplate) -> String {
    raw_in(Language::default(), template)
}

fn raw_in(language: Language, template: &MailTemplate) -> String {
    let envelope = Envelope { language, ..envelope("ada@example.org") };
    let mail = renderer().render(template, envelope).expect("it renders");
    String::from_utf8(mail.bytes()).expect("a mail is ASCII")
}

/// Returns every template in every language, with the mail as sent.
fn mails(input: &str) -> impl Iterator<Item = (MailTemplate, String)> {
    Language::all().flat_map(move |language| templates(input).map(|template| (language, template))).map(
        |(language, template)| {
            let raw = raw_in(language, &template);
            (template, raw)
        },
    )
}

fn parsed(raw: &str) -> Parsed<'_> {
    MessageParser::default().parse(raw).expect("it parses")
}

fn text(template: &MailTemplate, language: Language) -> String {
    let text = renderer().text(template, Envelope { language, ..envelope("ada@example.org") }).expect("it renders");
    format!("{}\n\n{}", text.subject, text.text)
}

/// Returns the `lang` of an HTML part.
fn language_of(html: &str) -> Option<&str> {
    html.split_once("lang=\"")?.1.split('"').next()
}

/// Returns all runs of six or more digits of any script.
fn long_numbers(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let runs = chars.chunk_by(|a, b| a.is_numeric() == b.is_numeric());
    runs.filter(|run| run[0].is_numeric() && run.len() >= 6).map(|run| run.iter().collect()).collect()
}

#[test]
fn the_text_part_and_the_html_part_say_the_same() {
    for (template, raw) in mails("Ada") {
        let mail = parsed(&raw);
        assert!(mail.content_type().is_some_and(|kind| kind.subtype() == Some("alternative")), "{template:?}");
        let (text, html) = (mail.body_text(0).expect("a text part"), mail.body_html(0).expect("an HTML part"));
        let html = html.replace("&#x2f;", "/");
        assert_eq!(mail.content_language().as_text(), language_of(&html), "{template:?}");
        assert_eq!((mail.text_body_count(), mail.html_body_count()), (1, 1), "{template:?}");
        for fact in ["Ada", "482913", "2026-03-05, 14:05 (Asia/Manila, UTC+08:00)", "2001:db8::7"] {
            assert_eq!(text.contains(fact), html.contains(fact), "{template:?}: {fact}");
        }
        assert!(text.contains("Ada") && html.contains(mail.subject().expect("a subject")), "{template:?}");
        let to_others = ["not you", "did not ask", "indi ikaw", "Hindi ba ikaw"];
        assert!(to_others.iter().any(|words| text.contains(words)), "{template:?} names what to do: {text}");
        assert_eq!(text.lines().any(|line| line == "    482913"), carries_code(&template), "{template:?}");
    }
}

#[test]
fn the_code_is_the_only_run_of_six_digits() {
    let device = "Mozilla/5.0 (X11; Linux) AppleWebKit/605.1.15 Gecko/20100101 Build/998877";
    for input in [
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
        for (template, raw) in mails(input) {
            let mail = parsed(&raw);
            // It goes only to its author, as typed.
            if matches!(template, MailTemplate::Reminder { .. }) {
                continue;
            }
            let expected: &[&str] = if carries_code(&template) { &["482913"] } else { &[] };
            assert_eq!(long_numbers(&mail.body_text(0).expect("text")), expected, "{template:?} of {input:?}");
            assert_eq!(long_numbers(&mail.body_html(0).expect("HTML")), expected, "{template:?} of {input:?}");
            assert_eq!(long_numbers(mail.subject().expect("a subject")), [""; 0], "{template:?}");
        }
    }
}

#[test]
fn text_of_clients_becomes_no_header_markup_or_link() {
    let input =
        "Ada\r\nBcc: x@evil.example\r\n\r\n<a href='https://evil.example'>\u{2028}www.evil.example</a>{{ code }}";
    for (template, raw) in mails(input) {
        let mail = parsed(&raw);
        assert!(mail.bcc().is_none() && mail.to().is_some_and(|to| to.clone().into_list().len() == 1), "{template:?}");
        assert!(!mail.subject().expect("a subject").contains("Ada"), "{template:?}");
        let (text, html) = (mail.body_text(0).expect("text"), mail.body_html(0).expect("HTML"));
        assert!(!html.contains("<a"), "{template:?}: {html}");
        let shows_input = matches!(template, MailTemplate::NewDevice { .. } | MailTemplate::Reminder { .. });
        assert_eq!(html.contains("&lt;a href="), shows_input, "{template:?}: {html}");
        for part in [text, html] {
            let says = "it is not evaluated as a template";
            assert_eq!(part.contains("{{ code }"), shows_input, "{says}: {template:?}: {part}");
            if matches!(template, MailTemplate::Reminder { .. }) {
                assert!(part.contains("www.evil.example"), "as typed: {part}");
                continue;
            }
            for link in ["://", "evil.example", "www.evil"] {
                assert!(!part.contains(link), "{template:?}: {link}: {part}");
            }
        }
    }
}

#[test]
fn a_name_without_visible_characters_is_left_out() {
    for template in templates("\u{200b}\r\n") {
        for (language, greeting) in [("en", "Hello"), ("fil", "Kumusta")] {
            let text = text(&template, Language::nearest(language));
            assert!(text.contains(&format!("\n\n{greeting},\n\n")), "{text}");
        }
    }
}

#[test]
fn long_names_stay_within_the_line_length_of_mail() {
    for (template, raw) in mails(&"ñ".repeat(10_000)) {
        assert!(raw.lines().all(|line| line.len() <= 78), "{template:?}");
    }
}

#[test]
fn an_unknown_client_ip_is_left_out() {
    let login = DeviceLogin { device: "Firefox".into(), address: None, at: in_manila() };
    let template = MailTemplate::NewDevice { first_name: "Ada".into(), logins: vec![login], more: 0 };
    for (language, date) in [("en", "Date"), ("fil", "Petsa")] {
        let text = text(&template, Language::nearest(language));
        assert!(text.contains(&format!("    Device: Firefox\n    {date}: 2026-03-05")), "{text}");
    }
}

#[test]
fn several_new_logins_are_counted_and_listed() {
    let login = |device: &str| DeviceLogin { device: device.to_owned(), address: None, at: in_manila() };
    let logins = || vec![login("Firefox"), login("Chrome")];
    let template = MailTemplate::NewDevice { first_name: "Ada".into(), logins: logins(), more: 3 };
    for (language, count, more) in [("en", "5 log-ins", "3 more"), ("fil", "5 log-in", "3 pa")] {
        let envelope = Envelope { language: Language::nearest(language), ..envelope("ada@example.org") };
        let rendered = renderer().text(&template, envelope).expect("it renders");
        for part in [rendered.text, rendered.html] {
            for fact in [count, more, "Firefox", "Chrome"] {
                assert!(part.contains(fact), "{fact}: {part}");
            }
        }
    }
}

#[test]
fn the_same_id_is_the_same_mail_byte_for_byte() {
    assert_eq!(a_mail().bytes(), a_mail().bytes());
}

#[test]
fn every_language_has_every_template() {
    for language in Language::all() {
        for template in templates("Ada") {
            let rendered =
                renderer().text(&template, Envelope { language, ..envelope("ada@example.org") }).expect("it renders");
            assert!(!rendered.subject.contains('\n') && rendered.text.ends_with('\n'), "{language:?} {template:?}");
            assert!(rendered.html.contains(&format!("lang=\"{}\"", language.tag())), "{language:?} {template:?}");
        }
    }
}

#[test]
fn every_language_has_the_same_files_and_facts() {
    let facts = |template: &MailTemplate, language| {
        let text = text(template, language);
        let known = ["Ada", "482913", "2026-03-05", "14:05", "Asia/Manila, UTC+08:00", "2001:db8::7", "FaceofMind"];
        let minutes = ["1 minut", "5 minut"].map(|minutes| text.contains(minutes));
        (known.map(|fact| text.contains(fact)), minutes, text.lines().filter(|line| line.is_empty()).count())
    };
    let names = |language: Language| {
        let files =
            super::templates::files().filter_map(move |(name, _)| name.strip_prefix(language.tag())?.strip_prefix('/'));
        files.collect::<Vec<_>>()
    };
    for language in Language::all() {
        for template in templates("Ada") {
            assert_eq!(facts(&template, language), facts(&template, Language::default()), "{language:?} {template:?}");
        }
        assert_eq!(names(language), names(Language::default()), "{language:?}");
        assert_eq!(names(language).len(), 1 + 2 * templates("Ada").len(), "a layout, and two files for each template");
    }
}

#[test]
fn an_invalid_address_is_refused_and_not_repeated() {
    for to in ["", "ada", "ada@", "ada@example.org\r\nBcc: x@evil.example", "a@b.example, c@d.example", "<a@b.example>"]
    {
        let error = renderer().render(&templates("Ada")[0], envelope(to)).expect_err("no address");
        assert_eq!(error.to_string(), "the recipient's address is not a mail address", "{to:?}");
    }
    let error = Renderer::new("FaceofMind", "FaceofMind").err().expect("no address");
    assert_eq!(error.to_string(), "the sender's address is not a mail address; correct SMTP_EMAIL");
    assert!(Renderer::new(Renderer::DEFAULT_SENDER, "FaceofMind").is_ok());
}

#[test]
fn an_unknown_variable_is_an_error() {
    let mut renderer = renderer();
    renderer.templates.add_template("en/welcome.txt", "Subject\n\nHello {{ frist_name }}\n").expect("it parses");
    let error = renderer.render(&templates("Ada")[0], envelope("ada@example.org")).expect_err("misspelt");
    assert_eq!(error.to_string(), "the template en/welcome.txt, line 3: undefined value");
}

#[test]
fn debug_output_holds_no_contents() {
    for template in templates("Ada") {
        assert_eq!(format!("{template:?}"), template.name());
    }
    assert_eq!(format!("{:?}", a_mail()), format!("Mail({ID})"));
}

#[test]
fn a_mail_is_marked_as_sent_automatically() {
    let raw = raw(&templates("Ada")[0]);
    let mail = parsed(&raw);
    let header = |name: &'static str| mail.header(Name::parse(name).expect("a name")).and_then(|value| value.as_text());
    assert_eq!(header("Auto-Submitted"), Some("auto-generated"));
    assert_eq!(mail.message_id(), Some(format!("{ID}@mail.faceofmind.example").as_str()));
}

#[test]
fn a_link_leads_to_the_public_url_and_holds_no_run_of_six_digits() {
    let link = Some(faceofmind_model::LinkToken::new([0x5a; 16]));
    let (first_name, code) = ("Ada".to_owned(), OtpCode::from_number(482_913));
    let template = MailTemplate::ResetCode { first_name, code, link, expires_in_minutes: 5 };
    let renderer = renderer().with_links_to("https://api.example.org/");
    for language in Language::all() {
        let mail = renderer.render(&template, Envelope { language, ..envelope("ada.1234567@example.org") });
        let bytes = mail.expect("it renders").bytes();
        let parsed = mail_parser::MessageParser::default().parse(&bytes).expect("a mail");
        let text = parsed.body_text(0).expect("a text");
        let link = text.lines().find_map(|line| line.trim().strip_prefix("https://api.example.org/mail-link#"));
        assert!(link.is_some_and(|fragment| fragment.starts_with("reset.fkfkfkfk")), "{text}");
        let runs = text.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() >= 6);
        assert_eq!(runs.collect::<Vec<_>>(), ["482913"]);
        assert!(parsed.body_html(0).expect("HTML").contains("mail-link#reset.fkfk"));
    }
}
