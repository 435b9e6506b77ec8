use serde::{Serialize, Serializer};

/// What runs the entrypoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interpreter {
    Sh,
    Bash,
    Python,
    Node,
    Pwsh,
    /// The entrypoint is a program and is run itself.
    Binary,
    /// Exactly these words, program first, and behind them the entrypoint's path. Never empty.
    Exact(Vec<String>),
}

impl Interpreter {
    pub const NAMES: [&'static str; 6] = ["sh", "bash", "python", "node", "pwsh", "binary"];

    /// Reads a name, in any case; `nodejs` is `node`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "sh" => Self::Sh,
            "bash" => Self::Bash,
            "python" => Self::Python,
            "node" | "nodejs" => Self::Node,
            "pwsh" => Self::Pwsh,
            "binary" => Self::Binary,
            _ => return None,
        })
    }

    /// The name in a manifest; `None` for a list of words.
    pub fn name(&self) -> Option<&'static str> {
        Some(match self {
            Self::Sh => "sh",
            Self::Bash => "bash",
            Self::Python => "python",
            Self::Node => "node",
            Self::Pwsh => "pwsh",
            Self::Binary => "binary",
            Self::Exact(_) => return None,
        })
    }

    /// The programs to look for on PATH: the first that is there runs the entrypoint. Empty for
    /// [`Interpreter::Binary`]: the entrypoint itself is run. With a `/` in it, the program of an
    /// exact list is a path.
    pub fn candidates(&self) -> Vec<&str> {
        match self {
            Self::Sh => vec!["sh"],
            Self::Bash => vec!["bash"],
            Self::Python => vec!["python3", "python"],
            Self::Node => vec!["node", "nodejs"],
            Self::Pwsh => vec!["pwsh"],
            Self::Binary => Vec::new(),
            Self::Exact(argv) => argv.first().map(String::as_str).into_iter().collect(),
        }
    }

    /// The words between the program and the entrypoint's path.
    pub fn arguments(&self) -> Vec<&str> {
        match self {
            Self::Pwsh => vec!["-NoProfile", "-NonInteractive", "-File"],
            Self::Exact(argv) => argv.iter().skip(1).map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

impl Serialize for Interpreter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Exact(argv) => argv.serialize(serializer),
            named => named.name().serialize(serializer),
        }
    }
}
