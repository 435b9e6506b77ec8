use std::io::{self, IsTerminal as _};

use zeroize::Zeroizing;

use crate::error::{Error, OrFail as _, Result};

/// Where the password of a sealed key comes from.
pub enum Password {
    /// May be empty: cosign seals keys with an empty password too.
    Given(Zeroizing<String>),
    /// From the person at the terminal.
    Ask,
}

impl Password {
    /// The variable that cosign reads too.
    pub const VARIABLE: &'static str = "COSIGN_PASSWORD";

    pub fn given(password: impl Into<String>) -> Self {
        Self::Given(Zeroizing::new(password.into()))
    }

    /// [`Password::VARIABLE`] where it is set, also to nothing; else the person is asked.
    pub fn from_environment() -> Self {
        std::env::var(Self::VARIABLE).map_or(Self::Ask, Self::given)
    }

    /// The password of a key that is there.
    pub fn ask(&self, what: &str) -> Result<Zeroizing<String>> {
        match self {
            Self::Given(password) => Ok(password.clone()),
            Self::Ask => prompt(&format!("Password of {what}: "), what),
        }
    }

    /// A password for a new key, asked for twice.
    pub fn choose(&self) -> Result<Zeroizing<String>> {
        match self {
            Self::Given(password) => Ok(password.clone()),
            Self::Ask => {
                let first = prompt("Password for the new key (empty: none): ", "the new key")?;
                let second = prompt("The same again: ", "the new key")?;
                if first != second {
                    return Err(Error::usage("the two passwords differ").hint("cronium-run keygen"));
                }
                Ok(first)
            }
        }
    }
}

fn prompt(text: &str, what: &str) -> Result<Zeroizing<String>> {
    if !io::stdin().is_terminal() {
        return Err(Error::usage(format!("no password for {what}, and no terminal to ask for it"))
            .hint(format!("{}=… cronium-run …   (set it to nothing for none)", Password::VARIABLE)));
    }
    rpassword::prompt_password(text).map(Zeroizing::new).or_fail(|| "cannot read the password".to_owned())
}
