//! How the letters read, word for word.

use insta::assert_snapshot;

use super::{Language, Letter, letters, raw, text};

/// The letters one below the other.
fn read(letters: &[Letter], language: &str) -> String {
    let language = Language::nearest(language);
    letters.iter().map(|letter| text(letter, language)).collect::<Vec<_>>().join("\n=====\n\n")
}

#[test]
fn the_letters_read_well() {
    let [welcome, already_registered, reset_code, password_changed, new_device, .., reminder] = letters("Ada Lovelace");
    let text = |letter: &Letter| text(letter, Language::default());
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
fn the_letters_of_a_move_read_well() {
    let [_, _, _, _, _, about_addresses @ .., _] = letters("Ada Lovelace");
    assert_snapshot!(read(&about_addresses, "en"), @r#"
    Your code for a new e-mail address

    Hello,

    Someone, we hope it was you, wants to use this e-mail address for a
    FaceofMind account:

        Name: Ada Lovelace
        Date: 2026-03-05, 14:05 (Asia/Manila, UTC+08:00)

    To confirm that the address is yours, enter this code in the app:

        482913

    It works once, within 5 minutes. Until you enter it, the account keeps its
    old address.

    Was it not you, or is that not your name? Then do not enter the code, and
    give it to no one. There is nothing else to do: without the code nobody can
    use your address here.

    Take good care,
    your FaceofMind team

    --
    This message was sent automatically, because of something done with your
    e-mail address at FaceofMind. Nobody reads answers to it.

    =====

    Someone asked for your e-mail address at FaceofMind

    Hello Ada Lovelace,

    Someone, perhaps you, wanted to use this e-mail address for another
    FaceofMind account:

        Date: 2026-03-05, 14:05 (Asia/Manila, UTC+08:00)

    You already have an account with this address, so nothing was changed.

    If it was you, log in with this address, or choose a different one for the
    other account.

    If it was not you, there is nothing to do: your account is safe, and whoever
    it was did not learn that you have one.

    Take good care,
    your FaceofMind team

    --
    This message was sent automatically, because of something done with your
    e-mail address at FaceofMind. Nobody reads answers to it.

    =====

    Your FaceofMind e-mail address is to be changed

    Hello Ada Lovelace,

    We were asked to change the e-mail address of your FaceofMind account:

        Date: 2026-03-05, 14:05 (Asia/Manila, UTC+08:00)

    This address stays until the new one is confirmed. If it was you, enter the
    code that we sent to the new address in the app, and that is all.

    If it was not you, someone knows your password: choose a new one now, with
    "Forgot password" in the app. That stops the change, and logs everyone else
    out.

    Take good care,
    your FaceofMind team

    --
    This message was sent automatically, because of something done with your
    e-mail address at FaceofMind. Nobody reads answers to it.

    =====

    Your FaceofMind e-mail address was changed

    Hello Ada Lovelace,

    The e-mail address of your FaceofMind account was changed:

        Date: 2026-03-05, 14:05 (Asia/Manila, UTC+08:00)

    From now on you log in with the new address, and our letters go there. To be
    safe, we logged out your other devices. If it was you, that is all.

    If it was not you, someone else has your account: tell the people who run
    FaceofMind for you at once, so that they can close it. Change the password
    of your mailbox too, if someone else may know it.

    Take good care,
    your FaceofMind team

    --
    This message was sent automatically, because of something done with your
    e-mail address at FaceofMind. Nobody reads answers to it.
    "#);
}

#[test]
fn the_letters_read_well_in_filipino() {
    assert_snapshot!(read(&letters("Ada Lovelace"), "fil"), @r#"
    Ang iyong code para sa FaceofMind

    Kumusta,

    Maligayang pagdating sa FaceofMind! May nag-sign up, sana ay ikaw, gamit ang
    e-mail address na ito:

        Pangalan: Ada Lovelace
        Petsa: 2026-03-05, 14:05 (Asia/Manila, UTC+08:00)

    Para makumpirmang sa iyo ang address na ito, ilagay ang code na ito sa app:

        482913

    Isang beses lang itong magagamit, sa loob ng 5 minuto.

    Hindi ba ikaw ito, o hindi mo ba ito pangalan? Huwag mong ilagay ang code,
    at huwag mo itong ibigay kaninuman. Wala ka nang ibang kailangang gawin:
    kung wala ang code, walang makagagamit ng iyong address dito.

    Mag-ingat ka palagi,
    ang iyong FaceofMind team

    --
    Awtomatikong ipinadala ang mensaheng ito dahil may ginawa sa FaceofMind
    gamit ang iyong e-mail address. Walang bumabasa ng mga sagot dito.

    =====

    May FaceofMind account ka na

    Kumusta Ada Lovelace,

    May sumubok, marahil ikaw, na mag-sign up sa FaceofMind gamit ang e-mail
    address na ito:

        Petsa: 2026-03-05, 14:05 (Asia/Manila, UTC+08:00)

    May account ka na sa amin, kaya walang anumang nabago.

    Kung ikaw iyon, mag-log in ka lang. Kung nakalimutan mo ang iyong password,
    humingi ng bago sa app gamit ang "Forgot password".

    Kung hindi ikaw iyon, wala kang kailangang gawin: ligtas ang iyong account,
    at hindi nalaman ng sumubok na may account ka.

    Mag-ingat ka palagi,
    ang iyong FaceofMind team

    --
    Awtomatikong ipinadala ang mensaheng ito dahil may ginawa sa FaceofMind
    gamit ang iyong e-mail address. Walang bumabasa ng mga sagot dito.

    =====

    Ang iyong code para sa bagong password

    Kumusta Ada Lovelace,

    May humiling ng bagong password para sa iyong FaceofMind account. Para
    pumili ng bago, ilagay ang code na ito sa app:

        482913

    Isang beses lang itong magagamit, sa loob ng 1 minuto.

    Kung hindi ikaw ang humiling nito, wala kang kailangang gawin: mananatili
    ang iyong password. Huwag mong ibigay ang code kaninuman; hinding-hindi
    namin ito hihingin sa iyo.

    Mag-ingat ka palagi,
    ang iyong FaceofMind team

    --
    Awtomatikong ipinadala ang mensaheng ito dahil may ginawa sa FaceofMind
    gamit ang iyong e-mail address. Walang bumabasa ng mga sagot dito.

    =====

    Napalitan ang iyong FaceofMind password

    Kumusta Ada Lovelace,

    Napalitan ang password ng iyong FaceofMind account:

        Petsa: 2026-03-05, 14:05 (Asia/Manila, UTC+08:00)

    Para makasiguro, ini-log out namin ang iba mong device. Kung ikaw ang
    nagpalit, wala ka nang kailangang gawin.

    Kung hindi ikaw ang nagpalit, pumili agad ng bagong password gamit ang
    "Forgot password" sa app. Sa gayon, malo-log out ang lahat ng iba. Palitan
    mo rin ang password ng iyong mailbox kung maaaring alam ito ng iba.

    Mag-ingat ka palagi,
    ang iyong FaceofMind team

    --
    Awtomatikong ipinadala ang mensaheng ito dahil may ginawa sa FaceofMind
    gamit ang iyong e-mail address. Walang bumabasa ng mga sagot dito.

    =====

    Bagong log-in sa iyong FaceofMind account

    Kumusta Ada Lovelace,

    May nag-log in sa iyong FaceofMind account mula sa isang device na ngayon
    lang namin nakita:

        Device: Ada Lovelace
        Address: 2001:db8::7
        Petsa: 2026-03-05, 14:05 (Asia/Manila, UTC+08:00)

    Kung ikaw iyon, wala kang kailangang gawin.

    Kung hindi ikaw iyon, pumili agad ng bagong password gamit ang "Forgot
    password" sa app. Sa gayon, malo-log out ang lahat ng iba.

    Mag-ingat ka palagi,
    ang iyong FaceofMind team

    --
    Awtomatikong ipinadala ang mensaheng ito dahil may ginawa sa FaceofMind
    gamit ang iyong e-mail address. Walang bumabasa ng mga sagot dito.

    =====

    Ang iyong code para sa bagong e-mail address

    Kumusta,

    May gustong gumamit, sana ay ikaw, ng e-mail address na ito para sa isang
    FaceofMind account:

        Pangalan: Ada Lovelace
        Petsa: 2026-03-05, 14:05 (Asia/Manila, UTC+08:00)

    Para makumpirmang sa iyo ang address na ito, ilagay ang code na ito sa app:

        482913

    Isang beses lang itong magagamit, sa loob ng 5 minuto. Hangga't hindi mo
    ito inilalagay, mananatili sa account ang dati nitong address.

    Hindi ba ikaw ito, o hindi mo ba ito pangalan? Huwag mong ilagay ang code,
    at huwag mo itong ibigay kaninuman. Wala ka nang ibang kailangang gawin:
    kung wala ang code, walang makagagamit ng iyong address dito.

    Mag-ingat ka palagi,
    ang iyong FaceofMind team

    --
    Awtomatikong ipinadala ang mensaheng ito dahil may ginawa sa FaceofMind
    gamit ang iyong e-mail address. Walang bumabasa ng mga sagot dito.

    =====

    May gustong gumamit ng iyong e-mail address sa FaceofMind

    Kumusta Ada Lovelace,

    May gustong gumamit, marahil ikaw, ng e-mail address na ito para sa ibang
    FaceofMind account:

        Petsa: 2026-03-05, 14:05 (Asia/Manila, UTC+08:00)

    May account ka na sa address na ito, kaya walang anumang nabago.

    Kung ikaw iyon, mag-log in gamit ang address na ito, o pumili ng iba para sa
    isa mo pang account.

    Kung hindi ikaw iyon, wala kang kailangang gawin: ligtas ang iyong account,
    at hindi nalaman ng sumubok na may account ka.

    Mag-ingat ka palagi,
    ang iyong FaceofMind team

    --
    Awtomatikong ipinadala ang mensaheng ito dahil may ginawa sa FaceofMind
    gamit ang iyong e-mail address. Walang bumabasa ng mga sagot dito.

    =====

    May humiling na palitan ang iyong FaceofMind e-mail address

    Kumusta Ada Lovelace,

    May humiling na palitan ang e-mail address ng iyong FaceofMind account:

        Petsa: 2026-03-05, 14:05 (Asia/Manila, UTC+08:00)

    Mananatili ang address na ito hangga't hindi nakukumpirma ang bago. Kung
    ikaw ang humiling, ilagay lang sa app ang code na ipinadala namin sa bagong
    address.

    Kung hindi ikaw ang humiling, may nakaaalam ng iyong password: pumili agad
    ng bago gamit ang "Forgot password" sa app. Ihihinto nito ang pagpapalit, at
    malo-log out ang lahat ng iba.

    Mag-ingat ka palagi,
    ang iyong FaceofMind team

    --
    Awtomatikong ipinadala ang mensaheng ito dahil may ginawa sa FaceofMind
    gamit ang iyong e-mail address. Walang bumabasa ng mga sagot dito.

    =====

    Napalitan ang iyong FaceofMind e-mail address

    Kumusta Ada Lovelace,

    Napalitan ang e-mail address ng iyong FaceofMind account:

        Petsa: 2026-03-05, 14:05 (Asia/Manila, UTC+08:00)

    Mula ngayon, ang bagong address na ang gagamitin mo sa pag-log in, at doon
    na rin namin ipadadala ang aming mga sulat. Para makasiguro, ini-log out
    namin ang iba mong device. Kung ikaw ang nagpalit, wala ka nang kailangang
    gawin.

    Kung hindi ikaw ang nagpalit, hawak na ng iba ang iyong account: ipaalam ito
    agad sa mga nagpapatakbo ng FaceofMind para maisara nila ito. Palitan mo rin
    ang password ng iyong mailbox kung maaaring alam ito ng iba.

    Mag-ingat ka palagi,
    ang iyong FaceofMind team

    --
    Awtomatikong ipinadala ang mensaheng ito dahil may ginawa sa FaceofMind
    gamit ang iyong e-mail address. Walang bumabasa ng mga sagot dito.

    =====

    Paalala mula sa FaceofMind

    Kumusta Ada Lovelace,

    Hiniling mong ipaalala namin sa iyo:

        Ada Lovelace
        Petsa: 2026-03-05

    Puwede mo itong baguhin, o patayin, sa app.

    Kung hindi ikaw ang humiling nito, baka may ibang nakakaalam ng password mo.
    Pumili agad ng bago gamit ang "Forgot password" sa app. Sa gayon, malo-log
    out ang lahat ng iba.

    Mag-ingat ka palagi,
    ang iyong FaceofMind team

    --
    Awtomatikong ipinadala ang mensaheng ito dahil may ginawa sa FaceofMind
    gamit ang iyong e-mail address. Walang bumabasa ng mga sagot dito.
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
