//! One line of a known_hosts file.

use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns};

/// `ssh` makes salts as long as the hash, and ignores lines with any other.
const SALT_BYTES: usize = 20;

/// The entry of a line, without its line end. `None` for blank lines, comments and whatever is
/// malformed: one bad line takes nothing away from the others.
///
/// The parser of `ssh_key` wants single spaces and UTF-8 throughout, `ssh` takes tabs too and
/// never looks at the comment: only the fields that mean something are handed on.
pub fn parse(line: &[u8]) -> Option<Entry> {
    let mut fields = line
        .strip_suffix(b"\r")
        .unwrap_or(line)
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|field| !field.is_empty())
        .peekable();
    let count = match fields.peek()?.first()? {
        b'#' => return None,
        b'@' => 4,
        _ => 3,
    };
    let fields: Vec<&str> = fields.take(count).map(std::str::from_utf8).collect::<Result<_, _>>().ok()?;
    let entry: Entry = fields.join(" ").parse().ok()?;
    match entry.host_patterns() {
        HostPatterns::HashedName { salt, .. } if salt.len() != SALT_BYTES => None,
        _ => Some(entry),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn lines() {
        let hash = "|1|JfKTdBh7rNbXkVAQCRp4OQoPfmI=|USECr3SWf1JUPsms5AqfD5QfxkM=";
        for (line, usable) in [
            (format!("host {KEY}"), true),
            (format!("host {KEY} comment with spaces # and this"), true),
            (format!("  \t host\t{}", KEY.replace(' ', "\t \t")), true),
            (format!("host {KEY}\r"), true),
            (format!("@revoked host {KEY}"), true),
            (format!("@cert-authority *.example.com,!x {KEY}"), true),
            (format!("{hash} {KEY}"), true),
            (String::new(), false),
            ("   ".into(), false),
            (format!("# host {KEY}"), false),
            (format!("  # host {KEY}"), false),
            ("host".into(), false),
            ("host ssh-ed25519".into(), false),
            (format!("@trusted host {KEY}"), false),
            (format!("@revoked @revoked host {KEY}"), false),
            (format!("host {}", KEY.replace("ssh-ed25519", "ssh-rsa")), false),
            (format!("host {}", KEY.replace("AAAA", "AAA!")), false),
            ("host 1024 37 1599342".into(), false),
            (format!("|1|AAAA|USECr3SWf1JUPsms5AqfD5QfxkM= {KEY}"), false),
            (format!("|1|nothing {KEY}"), false),
        ] {
            assert_eq!(parse(line.as_bytes()).is_some(), usable, "{line:?}");
        }
    }

    #[test]
    fn a_comment_need_not_be_utf8() {
        let mut line = format!("host {KEY} ").into_bytes();
        line.extend([0xff, 0xfe]);
        assert!(parse(&line).is_some());
    }
}
