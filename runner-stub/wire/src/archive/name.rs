//! Names of entries.

use super::Fault;

/// As PATH_MAX of Linux.
const MAX_PATH: usize = 4096;
/// As NAME_MAX of Linux.
const MAX_PART: usize = 255;
const MAX_DEPTH: usize = 64;

/// Brings an entry's name into one form: no `./`, no doubled or last `/`. `None` is the root
/// itself (`./`).
pub fn clean_name(name: &[u8]) -> Result<Option<String>, Fault> {
    let name = std::str::from_utf8(name).map_err(|_| Fault::NotUtf8)?;
    if name.is_empty() {
        return Err(Fault::Empty);
    }
    if name.chars().any(char::is_control) {
        return Err(Fault::ControlCharacter);
    }
    if name.starts_with('/') {
        return Err(Fault::Absolute);
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(Fault::ParentFolder),
            _ if part.len() > MAX_PART => return Err(Fault::TooLong),
            _ => parts.push(part),
        }
    }
    if name.len() > MAX_PATH {
        return Err(Fault::TooLong);
    }
    if parts.len() > MAX_DEPTH {
        return Err(Fault::TooDeep);
    }
    Ok((!parts.is_empty()).then(|| parts.join("/")))
}

/// Whether macOS's tar wrote the entry to keep attributes of the one beside it.
pub fn is_apple_double(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|part| part.starts_with("._"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let long = "x".repeat(256);
        let deep = "d/".repeat(65);
        let table: &[(&str, Result<Option<&str>, Fault>)] = &[
            ("run.sh", Ok(Some("run.sh"))),
            ("./run.sh", Ok(Some("run.sh"))),
            ("././a//b/./c/", Ok(Some("a/b/c"))),
            ("./", Ok(None)),
            ("...", Ok(Some("..."))),
            ("a\\..\\b", Ok(Some("a\\..\\b"))),
            ("", Err(Fault::Empty)),
            ("/etc/passwd", Err(Fault::Absolute)),
            ("//x", Err(Fault::Absolute)),
            ("..", Err(Fault::ParentFolder)),
            ("a/../b", Err(Fault::ParentFolder)),
            ("./..", Err(Fault::ParentFolder)),
            ("a\nb", Err(Fault::ControlCharacter)),
            ("a\u{1b}[2J", Err(Fault::ControlCharacter)),
            (&long, Err(Fault::TooLong)),
            (&deep, Err(Fault::TooDeep)),
        ];
        for (name, want) in table {
            let want = want.clone().map(|path| path.map(str::to_owned));
            assert_eq!(clean_name(name.as_bytes()), want, "{name:?}");
        }
        assert_eq!(clean_name(b"\xff"), Err(Fault::NotUtf8));
    }
}
