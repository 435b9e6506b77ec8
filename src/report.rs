//! Reporters: what people and machines see of events.
//!
//! A reporter prints from events alone and never looks at a clock, so that replaying a stored
//! run prints what the live run printed. Only the live progress knows the time.

use std::io;

use crate::event::Event;
use crate::term::Term;

mod closing;
mod failures;
mod fate;
pub mod fold;
mod folded;
mod grouped;
mod json;
mod jsonl;
mod junit;
mod losses;
mod named;
mod one_sitting;
mod output_dir;
mod pending;
#[cfg(test)]
mod pretend;
mod progress;
mod recorder;
mod remark;
mod remarks;
mod reporters;
mod spool;
mod stream;
#[cfg(test)]
mod told;
pub mod units;
mod utf8;

pub use failures::Failures;
pub use folded::Folded;
pub use losses::Losses;
pub use pending::Pending;
pub use remark::Remark;
pub use reporters::Reporters;

/// `-o/--output`: how a run is told on stdout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// Progress while the run goes on, then `grouped`
    #[default]
    Auto,
    /// Lines as they come, each behind the name of its host
    Stream,
    /// At the end: identical output once, under the set of its hosts
    Grouped,
    /// At the end: one JSON document
    Json,
    /// Every event as it comes, one line of JSON each
    Jsonl,
    /// Nothing but errors
    Quiet,
}

/// Reads the events of one run, in order. An error means that it cannot write: it is told
/// nothing more, and the run goes on.
pub trait Reporter: Send {
    fn event(&mut self, event: &Event) -> io::Result<()>;
}

/// What `output` writes to stdout (with the hosts' stderr on stderr). Progress and the summary
/// at the end are reporters of their own: [`Reporters::live`] and [`Reporters::replay`] put them
/// together.
pub fn reporter(output: Output, term: &Term) -> Box<dyn Reporter> {
    match output {
        Output::Auto | Output::Grouped => Box::new(grouped::Grouped::new(term)),
        Output::Stream => Box::new(stream::Streamed::new(term)),
        Output::Json => Box::new(json::Json::new(term)),
        Output::Jsonl => Box::new(jsonl::Jsonl::new(term)),
        Output::Quiet => Box::new(Silent),
    }
}

/// Says nothing.
struct Silent;

impl Reporter for Silent {
    fn event(&mut self, _event: &Event) -> io::Result<()> {
        Ok(())
    }
}
