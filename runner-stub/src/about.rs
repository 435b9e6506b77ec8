//! Whose a run folder is: the file `about` in it, one JSON object.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// The file's name.
pub const ABOUT: &str = "about";

/// `{"run", "host", "created"}`, and `"state"` where there is no run in the folder (any more).
pub struct About(Value);

/// Why there is no run in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It never began here, and will not: the operator was told so.
    Barred,
    /// It was over, and dropped for want of room or of an operator.
    Dropped,
}

impl Closed {
    fn name(self) -> &'static str {
        match self {
            Self::Barred => "barred",
            Self::Dropped => "dropped",
        }
    }
}

impl About {
    pub fn new(run: &str, host: &str) -> Self {
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self(json!({"run": run, "host": host, "created": created}))
    }

    /// `None` where the folder has none, or it is damaged.
    pub fn read(folder: &Path) -> Option<Self> {
        let bytes = fs::read(folder.join(ABOUT)).ok()?;
        serde_json::from_slice(&bytes).ok().map(Self)
    }

    /// In one step: whoever reads it meanwhile reads the old one or the new one.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let new = folder.join(".about");
        fs::write(&new, self.0.to_string())?;
        fs::rename(new, folder.join(ABOUT))
    }

    pub fn is_of(&self, run: &str, host: &str) -> bool {
        self.run() == run && self.host() == host
    }

    pub fn run(&self) -> &str {
        self.0["run"].as_str().unwrap_or_default()
    }

    pub fn host(&self) -> &str {
        self.0["host"].as_str().unwrap_or_default()
    }

    pub fn closed(&self) -> Option<Closed> {
        let state = self.0["state"].as_str()?;
        [Closed::Barred, Closed::Dropped].into_iter().find(|closed| closed.name() == state)
    }

    pub fn close(mut self, closed: Closed) -> Self {
        self.0["state"] = closed.name().into();
        self
    }
}
