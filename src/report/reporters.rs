use std::io;
use std::path::Path;

use super::closing::{Closing, Extent};
use super::jsonl::EventsFile;
use super::junit::Junit;
use super::output_dir::OutputDir;
use super::progress::Progress;
use super::{Output, Pending, Reporter, reporter};
use crate::error::{Error, Result};
use crate::event::{Event, Sink};
use crate::term::Term;

/// All reporters of a run. As a [`Sink`] it never fails: a reporter that cannot write falls
/// silent, the others and the run go on.
#[derive(Default)]
pub struct Reporters {
    speaking: Vec<Speaker>,
    pending: Pending,
    failure: Option<Error>,
}

struct Speaker {
    /// Where it writes, for the error: `stdout`, `the folder out`.
    place: String,
    reporter: Box<dyn Reporter>,
}

impl Reporters {
    /// For a run that is going on: progress, what `output` says, the summary.
    pub fn live(output: Output, term: &Term) -> Self {
        let mut all = Self::default();
        // It goes first: its display must be gone before the end is told.
        if !matches!(output, Output::Jsonl | Output::Quiet) {
            let progress = Progress::new(term, &all.pending);
            all.add("stderr", Box::new(progress));
        }
        all.telling(output, term)
    }

    /// As [`Self::live`], without progress and summary.
    pub fn terse(output: Output, term: &Term) -> Self {
        let mut all = Self::default();
        all.add("stdout", reporter(output, term));
        all.add("stderr", Box::new(Closing::new(term, Extent::Errors)));
        all
    }

    /// For a stored run whose events are told again: the same without progress.
    pub fn replay(output: Output, term: &Term) -> Self {
        Self::default().telling(output, term)
    }

    fn telling(mut self, output: Output, term: &Term) -> Self {
        self.add("stdout", reporter(output, term));
        let extent = match output {
            Output::Auto | Output::Stream | Output::Grouped => Some(Extent::Full),
            Output::Quiet => Some(Extent::Errors),
            // Everything is in the data.
            Output::Json | Output::Jsonl => None,
        };
        if let Some(extent) = extent {
            self.add("stderr", Box::new(Closing::new(term, extent)));
        }
        self
    }

    /// `--events FILE`. An error is one of creating the file.
    pub fn events_file(&mut self, path: &Path) -> Result<()> {
        let file = EventsFile::create(path)?;
        self.add(path.display().to_string(), Box::new(file));
        Ok(())
    }

    /// `--junit FILE`. An error is one of creating the file.
    pub fn junit(&mut self, path: &Path) -> Result<()> {
        let file = Junit::create(path)?;
        self.add(path.display().to_string(), Box::new(file));
        Ok(())
    }

    /// `--output-dir DIR`. An error is one of creating the folder.
    pub fn output_dir(&mut self, path: &Path) -> Result<()> {
        let folder = OutputDir::create(path)?;
        self.add(format!("the folder {}", path.display()), Box::new(folder));
        Ok(())
    }

    /// `place` is where it writes, as an error names it.
    pub fn add(&mut self, place: impl Into<String>, reporter: Box<dyn Reporter>) {
        self.speaking.push(Speaker { place: place.into(), reporter });
    }

    /// Who is pending, for whoever asks while the run goes on.
    pub fn pending(&self) -> Pending {
        self.pending.clone()
    }

    /// The first failure of a reporter. A reader who has seen enough and closed the pipe
    /// (`| head`) is none.
    pub fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }
}

impl Reporter for Reporters {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.pending.hear(event);
        self.speaking.retain_mut(|speaker| match speaker.reporter.event(event) {
            Ok(()) => true,
            Err(error) => {
                if error.kind() != io::ErrorKind::BrokenPipe && self.failure.is_none() {
                    self.failure = Some(
                        Error::failure(format!("cannot write the report to {}", speaker.place))
                            .because(error)
                            .hint("the run is in the ledger all the same: cronium-run show last"),
                    );
                }
                false
            }
        });
        Ok(())
    }
}

impl Sink for Reporters {
    fn event(&mut self, event: &Event) -> Result<()> {
        let _ = Reporter::event(self, event);
        Ok(())
    }
}
