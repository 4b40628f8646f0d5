//! Characters that people read as a Latin letter. Those with a compatibility decomposition (full width, bold, circled) are not here.

/// Returns the letter that a digit, sign or character of another script is typed for, or the character itself.
///
/// The characters of other scripts are those of Unicode's `confusables.txt` (UTS 39) that look like one lower-case letter or small capital.
pub(super) fn as_letter(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' | '|' | '¡' => 'i',
        '3' | '€' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '8' => 'b',
        '9' => 'g',
        _ => latin(c).unwrap_or(c),
    }
}

/// Returns the Latin letter that a character of another script, or a letter with a stroke, looks like.
pub(super) fn latin(c: char) -> Option<char> {
    Some(match c {
        '\0'..='\u{d6}' => return None,
        'а' | 'α' | 'ɑ' | 'ᴀ' | 'ꭺ' => 'a',
        'Ь' | 'ь' | 'ᏼ' | 'ʙ' | 'в' | 'β' => 'b',
        'с' | 'ϲ' | 'ᴄ' | 'ⲥ' | 'ꮯ' => 'c',
        'ԁ' | 'đ' | 'ɖ' | 'ɗ' | 'ᴅ' | 'ꭰ' => 'd',
        'е' | 'є' | 'ε' | 'ҽ' | 'ə' | 'ɛ' | 'ᴇ' | 'ǝ' | 'ꭼ' => 'e',
        'ƒ' | 'ꜰ' | 'ꞙ' => 'f',
        'ɡ' | 'ɢ' | 'ց' | 'ǥ' => 'g',
        'һ' | 'ħ' | 'н' | 'ʜ' | 'հ' | 'ꮋ' | 'ɦ' => 'h',
        'і' | 'ι' | 'ɩ' | 'ɪ' | 'ı' | 'ɨ' | 'ӏ' | 'ا' | 'ן' | 'ꭵ' => 'i',
        'ј' | 'ϳ' | 'ʝ' | 'ᴊ' => 'j',
        'к' | 'κ' | 'ᴋ' | 'қ' | 'ҝ' | 'ƙ' | 'ꮶ' => 'k',
        'ł' | 'ʟ' | 'ɫ' | 'ɭ' | 'ꮮ' => 'l',
        'м' | 'ᴍ' | 'ɱ' | 'ꮇ' => 'm',
        'п' | 'η' | 'ɴ' | 'ո' | 'ռ' | 'ŋ' | 'ɲ' => 'n',
        'о' | 'ο' | 'σ' | 'ø' | 'օ' | 'ᴏ' | 'ө' | 'ɵ' | 'ס' | 'ه' => 'o',
        'р' | 'ρ' | 'ᴘ' | 'ꮲ' => 'p',
        'ԛ' | 'զ' => 'q',
        'г' | 'ʀ' | 'ɾ' | 'ꭇ' | 'ꮢ' => 'r',
        'ѕ' | 'ꜱ' | 'ʂ' | 'ꮪ' => 's',
        'т' | 'τ' | 'ᴛ' | 'ŧ' | 'ƭ' | 'ꭲ' => 't',
        'υ' | 'ս' | 'ᴜ' | 'ʋ' | 'ц' | 'μ' => 'u',
        'ν' | 'ѵ' | 'ᴠ' => 'v',
        'ω' | 'ԝ' | 'ᴡ' | 'ա' | 'ɯ' | 'ш' | 'щ' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'γ' | 'ү' | 'ʏ' | 'ყ' => 'y',
        'ᴢ' | 'ƶ' | 'ʐ' | 'ꮓ' => 'z',
        _ => return None,
    })
}

/// Returns the letter in a square or circle, or of a regional indicator (two make a flag), which are never other letters.
pub(super) fn enclosed(c: char) -> Option<char> {
    const FIRSTS: [u32; 4] = [0x1f130, 0x1f150, 0x1f170, 0x1f1e6];
    let offset = FIRSTS.iter().find_map(|first| u32::from(c).checked_sub(*first).filter(|offset| *offset < 26))?;
    u8::try_from(offset).ok().map(|offset| char::from(b'a' + offset))
}
