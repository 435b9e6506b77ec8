//! One host as the operator named it.

use std::fmt;

/// A host to be reached by SSH. It prints as it is written in TARGETS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host {
    pub user: Option<String>,
    /// A name or an IP address, without brackets.
    pub name: String,
    pub port: Option<u16>,
}

impl Host {
    /// Whether `other`, of the same name, is this host: where this one has no user or no port, any
    /// will do.
    pub fn leaves_open(&self, other: &Self) -> bool {
        (self.user.is_none() || self.user == other.user) && (self.port.is_none() || self.port == other.port)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.port {
            Some(port) if self.name.contains(':') => write!(f, "[{}]:{port}", self.name),
            Some(port) => write!(f, "{}:{port}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// One element of a selection. Its text is unique in the selection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selected {
    /// This machine, without SSH.
    Local,
    Ssh(Host),
}

impl Selected {
    /// However it was written: a host that prints as `local` is this machine.
    pub fn of(host: Host) -> Self {
        match &host {
            Host { user: None, name, port: None } if name == "local" => Self::Local,
            _ => Self::Ssh(host),
        }
    }

    pub fn ssh(&self) -> Option<&Host> {
        match self {
            Self::Local => None,
            Self::Ssh(host) => Some(host),
        }
    }
}

impl fmt::Display for Selected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Ssh(host) => host.fmt(f),
        }
    }
}
