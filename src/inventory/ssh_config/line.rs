//! One line of ssh_config, cut into words as OpenSSH cuts them.

/// A keyword in lower case and its arguments, without quotes and without a comment.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub keyword: String,
    pub arguments: Vec<String>,
    /// The arguments as they are written.
    pub raw: String,
}

/// `Ok(None)` for an empty line or a comment.
pub fn split(line: &str) -> Result<Option<Line>, String> {
    let line =
        line.trim_end_matches([' ', '\t', '\r', '\n', '\x0c']).trim_start_matches([' ', '\t', '\r', '\n']);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (keyword, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or("the keyword has an opening quote only")?,
        None => line.split_at(line.find([' ', '\t', '=', '"']).unwrap_or(line.len())),
    };
    // One equals sign may stand between the keyword and its arguments.
    let rest = rest.trim_start_matches([' ', '\t']);
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start_matches([' ', '\t']);
    Ok(Some(Line { keyword: keyword.to_ascii_lowercase(), arguments: words(rest)?, raw: rest.to_owned() }))
}

/// Words between blanks. Quotes of both kinds group; a backslash escapes quotes, itself and,
/// outside quotes, a space; a `#` at the start of a word ends the line.
pub fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut characters = text.chars().peekable();
    loop {
        while characters.next_if(|&next| next == ' ' || next == '\t').is_some() {}
        match characters.peek() {
            None | Some('#') => return Ok(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(&next) = characters.peek() {
            if quote.is_none() && (next == ' ' || next == '\t') {
                break;
            }
            characters.next();
            match next {
                '\\' => {
                    let escaped = characters
                        .next_if(|&next| matches!(next, '\'' | '"' | '\\') || quote.is_none() && next == ' ');
                    word.push(escaped.unwrap_or('\\'));
                }
                '"' | '\'' if quote.is_none() => quote = Some(next),
                _ if quote == Some(next) => quote = None,
                _ => word.push(next),
            }
        }
        if quote.is_some() {
            return Err("an opening quote has no closing one".into());
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_a_keyword_and_words() {
        for (line, keyword, arguments) in [
            ("Port 22", "port", &["22"][..]),
            ("\tHOST  web*\t!web3 \r", "host", &["web*", "!web3"]),
            ("port=22", "port", &["22"]),
            ("port = 22", "port", &["22"]),
            ("port =22", "port", &["22"]),
            ("user = =x", "user", &["=x"]),
            ("user==x", "user", &["=x"]),
            ("User \"a b\" # c", "user", &["a b"]),
            ("User=\"a b\"", "user", &["a b"]),
            ("User 'a \"b'", "user", &["a \"b"]),
            ("User a\\ b\\\\c\\\"d\\e", "user", &["a b\\c\"d\\e"]),
            ("User \"a\\ b\"", "user", &["a\\ b"]),
            ("User a\"b c\"d", "user", &["ab cd"]),
            ("User \"\"", "user", &[""]),
            ("User a#b #c", "user", &["a#b"]),
            ("User#x y", "user#x", &["y"]),
            ("User", "user", &[]),
            ("\"User\" x", "user", &["x"]),
        ] {
            let found = split(line).unwrap().unwrap();
            assert_eq!(
                (found.keyword.as_str(), &found.arguments[..]),
                (keyword, &arguments.iter().map(|word| word.to_string()).collect::<Vec<_>>()[..]),
                "{line}"
            );
        }
        for empty in ["", "  \t", "# Port 22", "   #x"] {
            assert_eq!(split(empty), Ok(None), "{empty}");
        }
        assert!(split("User \"a").is_err());
        assert!(split("User 'a\"").is_err());
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "[a-zA-Z =\"'\\\\#\t*!é]*") {
            let _ = split(&line);
        }
    }
}
