//! `~`, `%h` and `${NAME}` in values.

use std::path::PathBuf;

use sha1::{Digest as _, Sha1};

use crate::inventory::Account;

/// What tokens stand for.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    pub account: &'a Account,
    /// `%n`: as typed.
    pub typed: &'a str,
    /// `%h`: what we connect to.
    pub host: &'a str,
    /// `%p`.
    pub port: u16,
    /// `%r`.
    pub user: &'a str,
    /// `%k`, where there is one.
    pub host_key_alias: Option<&'a str>,
}

impl Names<'_> {
    /// A path with `~`, tokens and environment variables. The error says what is wrong.
    pub fn path(&self, text: &str) -> Result<PathBuf, String> {
        let home = self.home(text)?;
        let text = home.to_str().ok_or("the home folder's name is not UTF-8")?;
        let with_tokens = tokens(text, |token| self.token(token))?;
        // A value of a variable is not searched for variables again, nor one of a token.
        Ok(PathBuf::from(with_tokens.into_iter().try_fold(String::new(), |mut path, part| {
            match part {
                Part::Text(text) => path.push_str(&self.variables(text)?),
                Part::Value(value) => path.push_str(&value),
            }
            Ok::<_, String>(path)
        })?))
    }

    /// A command for the shell, or a jump host: tokens alone mean something there, and what they
    /// stand for must be no shell's.
    pub fn proxy(&self, text: &str) -> Result<String, String> {
        let shell = |c: char| c.is_whitespace() || c.is_control() || "'`\"$\\;&<>|(){}*?!#~".contains(c);
        let mut unsafe_value = None;
        let parts = tokens(text, |token| {
            let value = self.token(token).filter(|_| "hnpr".contains(token))?;
            if value.starts_with('-') || value.contains(shell) {
                unsafe_value = Some(value.clone());
            }
            Some(value)
        })?;
        match unsafe_value {
            Some(value) => Err(format!("'{}' may mean something to a shell", value.escape_debug())),
            None => Ok(joined(parts)),
        }
    }

    /// A path in which only `~` means something.
    pub fn home(&self, text: &str) -> Result<PathBuf, String> {
        self.account
            .expand_home(text)
            .ok_or_else(|| format!("the home folder of another user in {text} is not supported"))
    }

    fn token(&self, token: char) -> Option<String> {
        let machine = &self.account.machine;
        Some(match token {
            'C' => {
                let Self { host, port, user, .. } = self;
                let digest = Sha1::digest(format!("{machine}{host}{port}{user}"));
                digest.iter().map(|byte| format!("{byte:02x}")).collect()
            }
            'd' => self.account.home.to_str()?.to_owned(),
            'h' => self.host.to_owned(),
            'i' => self.account.uid.to_string(),
            'j' => String::new(),
            'k' => self.host_key_alias.unwrap_or(self.typed).to_owned(),
            'L' => machine.split('.').next().unwrap_or(machine).to_owned(),
            'l' => machine.clone(),
            'n' => self.typed.to_owned(),
            'p' => self.port.to_string(),
            'r' => self.user.to_owned(),
            'u' => self.account.user.clone(),
            _ => return None,
        })
    }

    fn variables(&self, text: &str) -> Result<String, String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').ok_or_else(|| format!("${{ without }} in {text}"))?;
            let value = self
                .account
                .environment
                .get(name)
                .ok_or_else(|| format!("the environment variable {name} is not set"))?;
            expanded.push_str(before);
            expanded.push_str(value);
            rest = after;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }
}

/// `HostName`, in which `%h` is the host as typed.
pub fn host_name(text: &str, typed: &str) -> Result<String, String> {
    let parts = tokens(text, |token| (token == 'h').then(|| typed.to_owned()))?;
    Ok(joined(parts))
}

fn joined(parts: Vec<Part<'_>>) -> String {
    let text = |part| match part {
        Part::Text(text) => text.to_owned(),
        Part::Value(value) => value,
    };
    parts.into_iter().map(text).collect()
}

enum Part<'a> {
    Text(&'a str),
    Value(String),
}

fn tokens(text: &str, mut value: impl FnMut(char) -> Option<String>) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        parts.push(Part::Text(before));
        let token = after.chars().next().ok_or_else(|| format!("a % at the end of {text}"))?;
        parts.push(Part::Value(match token {
            '%' => "%".to_owned(),
            token => value(token).ok_or_else(|| format!("%{token} in {text} is not supported here"))?,
        }));
        rest = &after[token.len_utf8()..];
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn tokens_and_variables_are_replaced() {
        let mut account = Account::pretend(Path::new("/home/me"));
        account.uid = 1000;
        account.environment.insert("KEYS".into(), "/keys/%h".into());
        let names = Names {
            account: &account,
            typed: "web",
            host: "web.example.com",
            port: 2222,
            user: "ann",
            host_key_alias: None,
        };
        for (text, expected) in [
            ("~/.ssh/%h", "/home/me/.ssh/web.example.com"),
            ("%d/%n-%p-%r-%u-%i", "/home/me/web-2222-ann-me-1000"),
            ("/%k%j/%L/%l", "/web/desk/desk.example.com"),
            ("/100%%", "/100%"),
            ("${KEYS}/$x", "/keys/%h/$x"),
        ] {
            assert_eq!(names.path(text), Ok(PathBuf::from(expected)), "{text}");
        }
        for wrong in ["/%", "/%T", "/${NONE}", "/${KEYS", "~ann/key"] {
            assert!(names.path(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_proxy_takes_no_shell_from_a_name() {
        let account = Account::pretend(Path::new("/home/me"));
        let names = |typed, user| Names {
            account: &account,
            typed,
            host: "web.example.com",
            port: 2222,
            user,
            host_key_alias: None,
        };
        let proxy = |typed, user, text| names(typed, user).proxy(text);
        assert_eq!(
            proxy("web", "ann", "nc -X '%%' %h %p %r@%n"),
            Ok("nc -X '%' web.example.com 2222 ann@web".into())
        );
        assert_eq!(proxy("a;b", "ann", "nc %h"), Ok("nc web.example.com".into()));
        for (typed, user, text) in
            [("a;b", "ann", "nc %n"), ("web", "$(x)", "nc %r"), ("-o", "ann", "x %n"), ("web", "ann", "x %d")]
        {
            assert!(proxy(typed, user, text).is_err(), "{typed} {user} {text}");
        }
    }

    #[test]
    fn a_host_name_knows_one_token() {
        assert_eq!(host_name("%h.example.com", "web"), Ok("web.example.com".into()));
        assert_eq!(host_name("a%%b", "web"), Ok("a%b".into()));
        assert!(host_name("%n", "web").is_err());
    }
}
