//! `user@web[01-20,30].example.com:22`: one term that stands for many hosts.

use std::fmt;

use super::Host;
use crate::inventory::wildcard;

/// The hosts of one term. Printing it gives the term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSet {
    pub(super) text: String,
    pub(super) user: Option<String>,
    pub(super) name: Vec<Piece>,
    pub(super) port: Option<u16>,
}

/// A part of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Set(Vec<Element>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Element {
    Word(String),
    /// `from <= to`, `step > 0`, at most 18 digits; shorter numbers are filled up with zeros.
    Numbers {
        from: u64,
        to: u64,
        step: u64,
        width: usize,
    },
    /// ASCII letters of one case, `from <= to`, `step > 0`.
    Letters {
        from: u8,
        to: u8,
        step: u64,
    },
}

impl Element {
    fn count(&self) -> u64 {
        match *self {
            Self::Word(_) => 1,
            Self::Numbers { from, to, step, .. } => (to - from) / step + 1,
            Self::Letters { from, to, step } => u64::from(to - from) / step + 1,
        }
    }

    fn at(&self, index: u64) -> String {
        match self {
            Self::Word(word) => word.clone(),
            Self::Numbers { from, step, width, .. } => format!("{:0width$}", from + index * step),
            Self::Letters { from, step, .. } => {
                // Below `to`, so it fits.
                char::from(u8::try_from(u64::from(*from) + index * step).unwrap_or(*from)).to_string()
            }
        }
    }

    fn longest(&self) -> usize {
        match self {
            Self::Word(word) => word.len(),
            Self::Numbers { to, width, .. } => to.to_string().len().max(*width),
            Self::Letters { .. } => 1,
        }
    }
}

impl HostSet {
    /// This machine, which [`Selected::of`](super::Selected::of) knows by its name.
    pub(super) fn local() -> Self {
        let name = "local".to_owned();
        Self { text: name.clone(), user: None, name: vec![Piece::Text(name)], port: None }
    }

    /// How many names it stands for; `u64::MAX` for more than that.
    pub fn count(&self) -> u64 {
        self.name.iter().fold(1, |product: u64, piece| match piece {
            Piece::Text(_) => product,
            Piece::Set(elements) => product.saturating_mul(
                elements.iter().fold(0, |sum: u64, element| sum.saturating_add(element.count())),
            ),
        })
    }

    /// Whether a name holds `*` or `?`.
    pub fn is_pattern(&self) -> bool {
        self.name.iter().any(|piece| matches!(piece, Piece::Text(text) if wildcard::is_pattern(text)))
    }

    /// The same names without a port, and the port: where an inventory counts it among the settings.
    pub fn split_port(mut self) -> (Self, Option<u16>) {
        let port = self.port.take();
        (self, port)
    }

    /// The length of its longest name in bytes.
    pub(super) fn longest(&self) -> usize {
        self.name.iter().fold(0, |sum, piece| match piece {
            Piece::Text(text) => sum + text.len(),
            Piece::Set(elements) => sum + elements.iter().map(Element::longest).max().unwrap_or(0),
        })
    }

    /// Every host; the last set of a name counts fastest. Look at [`count`](Self::count) first.
    pub fn expand(&self) -> Vec<Host> {
        if let [Piece::Text(name)] = &self.name[..] {
            return vec![Host { user: self.user.clone(), name: name.clone(), port: self.port }];
        }
        let mut names = vec![String::new()];
        for piece in &self.name {
            match piece {
                Piece::Text(text) => names.iter_mut().for_each(|name| name.push_str(text)),
                Piece::Set(elements) => {
                    let values: Vec<String> = elements
                        .iter()
                        .flat_map(|element| (0..element.count()).map(|index| element.at(index)))
                        .collect();
                    names = names
                        .iter()
                        .flat_map(|name| values.iter().map(move |value| format!("{name}{value}")))
                        .collect();
                }
            }
        }
        names.into_iter().map(|name| Host { user: self.user.clone(), name, port: self.port }).collect()
    }
}

impl fmt::Display for HostSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
