//! The wording of every mail in every language: one snapshot each, named by language and template.

use insta::{assert_snapshot, with_settings};

use super::{Language, folded::folded, raw, templates, text};

#[test]
fn every_mail_is_worded_as_in_its_snapshot() {
    with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        for language in Language::all() {
            for template in templates("Ada Lovelace") {
                assert_snapshot!(format!("{}_{}", language.tag(), template.name()), text(&template, language));
            }
            for template in folded(14) {
                assert_snapshot!(format!("{}_{}_folded", language.tag(), template.name()), text(&template, language));
            }
        }
    });
}

#[test]
fn the_headers_of_a_mail() {
    let raw = raw(&templates("Ada Lovelace")[0]);
    let (headers, _) = raw.split_once("\r\n\r\n").expect("headers");
    assert_snapshot!(headers.replace("\r\n", "\n"), @r#"
    From: FaceofMind <hello@mail.faceofmind.example>
    To: ada@example.org
    Subject: Your code for FaceofMind
    Date: Thu, 05 Mar 2026 06:05:00 +0000
    Message-ID: <0192f0c1-2345-7678-9abc-def012345678@mail.faceofmind.example>
    Auto-Submitted: auto-generated
    Content-Language: en
    MIME-Version: 1.0
    Content-Type: multipart/alternative;
     boundary="=_0192f0c1234576789abcdef012345678"
    "#);
}
