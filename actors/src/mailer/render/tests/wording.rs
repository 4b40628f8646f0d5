//! How the letters read, word for word.

use insta::assert_snapshot;

use super::{letters, raw, text};

#[test]
fn the_letters_read_well() {
    let [welcome, already_registered, reset_code, password_changed, new_device, reminder] = letters("Ada Lovelace");
    assert_snapshot!(text(&welcome), @r#"
    Your code for FaceofMind

    Hello,

    Welcome to FaceofMind! Someone, we hope it was you, signed up with this
    e-mail address:

        Name: Ada Lovelace
        Date: 2026-03-05, 14:05 (Asia/Manila, UTC+08:00)

    To confirm that the address is yours, enter this code in the app:

        482913

    It works once, within 5 minutes.

    Was it not you, or is that not your name? Then do not enter the code, and
    give it to no one. There is nothing else to do: without the code nobody can
    use your address here.

    Take good care,
    your FaceofMind team

    --
    This message was sent automatically, because of something done with your
    e-mail address at FaceofMind. Nobody reads answers to it.
    "#);
    assert_snapshot!(text(&already_registered), @r#"
    You already have a FaceofMind account

    Hello Ada Lovelace,

    Someone, perhaps you, tried to sign up at FaceofMind with this e-mail
    address:

        Date: 2026-03-05, 14:05 (Asia/Manila, UTC+08:00)

    You already have an account with us, so nothing was changed.

    If it was you, simply log in. Should you have forgotten your password, ask
    for a new one in the app with "Forgot password".

    If it was not you, there is nothing to do: your account is safe, and whoever
    it was did not learn that you have one.

    Take good care,
    your FaceofMind team

    --
    This message was sent automatically, because of something done with your
    e-mail address at FaceofMind. Nobody reads answers to it.
    "#);
    assert_snapshot!(text(&reset_code), @r#"
    Your code for a new password

    Hello Ada Lovelace,

    We were asked for a new password for your FaceofMind account. To choose one,
    enter this code in the app:

        482913

    It works once, within 1 minute.

    If you did not ask for it, you need not do anything: your password stays as
    it is. Give the code to no one; we will never ask you for it.

    Take good care,
    your FaceofMind team

    --
    This message was sent automatically, because of something done with your
    e-mail address at FaceofMind. Nobody reads answers to it.
    "#);
    assert_snapshot!(text(&password_changed), @r#"
    Your FaceofMind password was changed

    Hello Ada Lovelace,

    The password of your FaceofMind account was changed:

        Date: 2026-03-05, 14:05 (Asia/Manila, UTC+08:00)

    To be safe, we logged out your other devices. If it was you, that is all.

    If it was not you, choose a new password now, with "Forgot password" in the
    app: that logs everyone else out. Change the password of your mailbox too,
    if someone else may know it.

    Take good care,
    your FaceofMind team

    --
    This message was sent automatically, because of something done with your
    e-mail address at FaceofMind. Nobody reads answers to it.
    "#);
    assert_snapshot!(text(&new_device), @r#"
    New log-in to your FaceofMind account

    Hello Ada Lovelace,

    Someone logged in to your FaceofMind account from a device that we had not
    seen before:

        Device: Ada Lovelace
        Address: 2001:db8::7
        Date: 2026-03-05, 14:05 (Asia/Manila, UTC+08:00)

    If it was you, there is nothing to do.

    If it was not you, choose a new password now, with "Forgot password" in the
    app: that logs everyone else out.

    Take good care,
    your FaceofMind team

    --
    This message was sent automatically, because of something done with your
    e-mail address at FaceofMind. Nobody reads answers to it.
    "#);
    assert_snapshot!(text(&reminder), @r#"
    A reminder from FaceofMind

    Hello Ada Lovelace,

    You asked us to remind you:

        Ada Lovelace
        Date: 2026-03-05

    You can change it, or switch it off, in the app.

    If it was not you who asked, someone else may know your password. Choose a
    new one, with "Forgot password" in the app: that logs everyone else out.

    Take good care,
    your FaceofMind team

    --
    This message was sent automatically, because of something done with your
    e-mail address at FaceofMind. Nobody reads answers to it.
    "#);
}

#[test]
fn the_head_of_a_mail() {
    let raw = raw(&letters("Ada Lovelace")[0]);
    let (head, _) = raw.split_once("\r\n\r\n").expect("a head");
    assert_snapshot!(head.replace("\r\n", "\n"), @r#"
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
