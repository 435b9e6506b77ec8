//! A place in a file, to the character.

use std::fmt;
use std::sync::Arc;

use super::ssh_config::{Place, Placed};
use crate::error::Error;

/// `file:line:column`, both counted from 1. In the output of a program there are no lines: 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    pub file: Arc<str>,
    pub line: usize,
    pub column: usize,
}

impl Spot {
    pub fn new(file: &Arc<str>, line: usize, column: usize) -> Self {
        Self { file: file.clone(), line, column }
    }

    /// The whole file, such as a program's output.
    pub fn whole(file: &Arc<str>) -> Self {
        Self::new(file, 0, 0)
    }

    /// `characters` to the right.
    pub fn right(&self, characters: usize) -> Self {
        Self { column: self.column + characters, ..self.clone() }
    }

    pub fn fault(&self, message: impl fmt::Display) -> Error {
        Error::usage(format!("{self}: {message}"))
    }

    /// The line.
    pub fn place(&self) -> Place {
        Place { file: self.file.clone(), line: self.line }
    }

    pub fn placed<T>(&self, value: T) -> Placed<T> {
        Placed { value, place: self.place() }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}
