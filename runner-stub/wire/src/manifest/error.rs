use std::fmt;

/// A place in a file, both counted from 1. Columns are characters, not bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    pub const START: Self = Self { line: 1, column: 1 };
}

/// What is wrong with a manifest, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError {
    /// The file as the payload names it.
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub message: String,
    /// For an unknown key or word, the known one that is nearest to it.
    pub suggestion: Option<String>,
}

impl ManifestError {
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        let Place { line, column } = place;
        Self { file: super::FILE_NAME.into(), line, column, message: message.into(), suggestion: None }
    }

    /// Suggests the candidate nearest to `word`, if one is near.
    pub(super) fn nearest(mut self, word: &str, candidates: &[&str]) -> Self {
        let word = word.to_ascii_lowercase();
        self.suggestion = candidates
            .iter()
            .map(|candidate| (strsim::osa_distance(&word, candidate), *candidate))
            .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3 + 1)
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, candidate)| candidate.to_owned());
        self
    }

    /// Names another file than `manifest.yaml`.
    pub fn in_file(mut self, file: impl Into<String>) -> Self {
        self.file = file.into();
        self
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        match &self.suggestion {
            Some(word) => write!(f, ", did you mean '{word}'?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ManifestError {}
