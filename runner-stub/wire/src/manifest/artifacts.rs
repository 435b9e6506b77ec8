//! `artifacts:`: files that go to the host before the script, and files that come back.

use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Artifacts {
    /// Files below the work folder to fetch when the script has ended; `*`, `?` and `**` as in a shell.
    pub outputs: Vec<String>,
    pub inputs: Vec<Input>,
    /// How many files are fetched at most.
    pub max_files: usize,
    /// Bytes of the largest file that is fetched.
    pub max_bytes: u64,
}

impl Default for Artifacts {
    fn default() -> Self {
        Self { outputs: Vec::new(), inputs: Vec::new(), max_files: 255, max_bytes: 25 << 20 }
    }
}

/// A file of the operator for the script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Input {
    /// Where it is put, inside the work folder.
    pub path: String,
    /// A file on the operator's side: a path below the current folder.
    pub from: String,
}
