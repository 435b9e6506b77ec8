//! Who a script runs as, where that is not the user who logs in.

use serde::{Deserialize, Serialize};

use super::Secret;

/// The user to become on a host, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privilege {
    pub method: Method,
    /// Who logs in and asks.
    pub login: String,
    /// A plain name, see [`plain_user`]: it stands in a line for the host's shell.
    pub user: String,
    /// What the method asks for; without one it must not ask. Never written down.
    #[serde(skip)]
    pub password: Option<Secret>,
}

/// `--become-method`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
pub enum Method {
    #[default]
    Sudo,
    /// With a password, over a terminal of its own
    Doas,
    /// Always with a password: that of the user to become
    Su,
}

impl Method {
    pub const ALL: [Self; 3] = [Self::Sudo, Self::Doas, Self::Su];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sudo => "sudo",
            Self::Doas => "doas",
            Self::Su => "su",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }
}

/// What the operator says of it for all hosts; it wins over the inventory.
#[derive(Debug, Clone, Default)]
pub struct Becoming {
    pub wanted: Option<bool>,
    pub user: Option<String>,
    pub method: Option<Method>,
}

/// A name that every shell takes as one word, and no program as an option.
pub fn plain_user(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '@');
    match text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err(format!("'{text}' is no plain name of a user: A-Z a-z 0-9 _ . - @")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_safe_in_a_shell() {
        for (text, good) in [
            ("root", true),
            ("_apt", true),
            ("www-data", true),
            ("ann.b@example.org", true),
            ("1000", true),
            ("", false),
            ("-u", false),
            ("#0", false),
            ("a b", false),
            ("a;id", false),
            ("$(id)", false),
            ("~root", false),
            ("D\\ann", false),
            ("\u{e4}nn", false),
        ] {
            assert_eq!(plain_user(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn methods_are_written_as_the_flag_takes_them() {
        for method in Method::ALL {
            assert_eq!(Method::parse(method.as_str()), Some(method));
            assert_eq!(clap::ValueEnum::from_str(method.as_str(), false), Ok(method));
        }
        assert_eq!(Method::parse("pbrun"), None);
    }
}
