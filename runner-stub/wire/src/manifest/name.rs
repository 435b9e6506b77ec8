/// The longest name of a payload, in characters.
const MAX_NAME: usize = 64;

/// Whether the text is `[a-z0-9][a-z0-9._-]{0,63}`.
pub fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    first && text.len() <= MAX_NAME && bytes.all(is_name_byte)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
}

/// Brings any text into the form of a name: lower case, every run of other characters one `-`.
/// Empty where nothing is left.
pub fn sanitise_name(text: &str) -> String {
    let mut name = String::new();
    for character in text.chars().flat_map(char::to_lowercase) {
        let kept = u8::try_from(character).is_ok_and(is_name_byte);
        match character {
            _ if kept && (character.is_ascii_alphanumeric() || !name.is_empty()) => name.push(character),
            _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            _ => {}
        }
        if name.len() == MAX_NAME {
            break;
        }
    }
    name.truncate(name.trim_end_matches(['-', '.', '_']).len());
    name
}
