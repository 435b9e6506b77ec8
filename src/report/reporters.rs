use std::io;
use std::path::Path;

use super::closing::{Closing, Extent};
use super::jsonl::EventsFile;
use super::junit::Junit;
use super::named::Named;
use super::one_sitting::OneSitting;
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
    /// Of a run that goes on, for those who tell all of it.
    sitting: Option<OneSitting>,
}

struct Speaker {
    /// Where it writes, for the error: `stdout`, `the folder out`.
    place: String,
    reporter: Box<dyn Reporter>,
    tells: Tells,
}

/// What is told of a run that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tells {
    /// What happens from now on, as it happens.
    Rest,
    /// The run from its first event on: a document.
    All,
}

impl Tells {
    fn of(output: Output) -> Self {
        match output {
            Output::Auto | Output::Grouped | Output::Json => Self::All,
            Output::Stream | Output::Jsonl | Output::Quiet => Self::Rest,
        }
    }
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
        all.put("stdout", reporter(output, term), Tells::of(output));
        all.put("stderr", Box::new(Closing::new(term, Extent::Errors)), Tells::of(output));
        all
    }

    /// What would be lost if nobody were told, and nothing else.
    pub fn silent(term: &Term) -> Self {
        let mut all = Self::default();
        all.add("stderr", Box::new(Closing::new(term, Extent::Unkept)));
        all
    }

    /// For a run that is left at once: its id alone on stdout, and errors.
    pub fn named(term: &Term) -> Self {
        let mut all = Self::terse(Output::Quiet, term);
        all.add("stdout", Box::new(Named::new(term)));
        all
    }

    /// For a stored run whose events are told again: the same without progress.
    pub fn replay(output: Output, term: &Term) -> Self {
        Self::default().telling(output, term)
    }

    fn telling(mut self, output: Output, term: &Term) -> Self {
        self.put("stdout", reporter(output, term), Tells::of(output));
        let extent = match output {
            Output::Auto | Output::Stream | Output::Grouped => Extent::Full,
            Output::Quiet => Extent::Errors,
            // Everything is in the data.
            Output::Json | Output::Jsonl => Extent::Unkept,
        };
        let closing = match output {
            Output::Stream => Closing::new(term, extent).without_losses(),
            _ => Closing::new(term, extent),
        };
        self.put("stderr", Box::new(closing), Tells::of(output));
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
        self.put(path.display().to_string(), Box::new(file), Tells::All);
        Ok(())
    }

    /// `--output-dir DIR`. An error is one of creating the folder.
    pub fn output_dir(&mut self, path: &Path) -> Result<()> {
        let folder = OutputDir::create(path)?;
        self.put(format!("the folder {}", path.display()), Box::new(folder), Tells::All);
        Ok(())
    }

    /// `place` is where it writes, as an error names it.
    pub fn add(&mut self, place: impl Into<String>, reporter: Box<dyn Reporter>) {
        self.put(place, reporter, Tells::Rest);
    }

    fn put(&mut self, place: impl Into<String>, reporter: Box<dyn Reporter>, tells: Tells) {
        self.speaking.push(Speaker { place: place.into(), reporter, tells });
    }

    /// Those that go on from here: the run as a whole is told elsewhere.
    pub fn without_documents(mut self) -> Self {
        self.speaking.retain(|speaker| speaker.tells == Tells::Rest);
        self
    }

    /// Whether somebody tells a run as a whole when it is over.
    pub fn is_any_for_all(&self) -> bool {
        self.speaking.iter().any(|speaker| speaker.tells == Tells::All)
    }

    /// The run was begun before: whoever tells all of it hears what was told until now, in order from
    /// its first event on. The others go on from here.
    pub fn recall<E>(&mut self, past: impl IntoIterator<Item = Result<Event, E>>) -> Result<(), E> {
        let mut sitting = OneSitting::default();
        for event in past {
            let event = event?;
            if let Some(event) = sitting.recalls(&event) {
                self.say(&event, |tells| tells == Tells::All);
            }
        }
        self.sitting = Some(sitting);
        Ok(())
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

    /// As [`Self::failure`].
    pub fn take_failure(self) -> Option<Error> {
        self.failure
    }
}

impl Reporters {
    fn say(&mut self, event: &Event, to: impl Fn(Tells) -> bool) {
        self.speaking.retain_mut(|speaker| {
            if !to(speaker.tells) {
                return true;
            }
            let Err(error) = speaker.reporter.event(event) else { return true };
            if error.kind() != io::ErrorKind::BrokenPipe && self.failure.is_none() {
                self.failure = Some(
                    Error::failure(format!("cannot write the report to {}", speaker.place))
                        .because(error)
                        .hint("the run is in the ledger all the same: cronium-run show last"),
                );
            }
            false
        });
    }
}

impl Reporter for Reporters {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.pending.hear(event);
        let Some(mut sitting) = self.sitting.take() else {
            self.say(event, |_| true);
            return Ok(());
        };
        // Progress goes first, as its display must be gone before the end is told.
        self.say(event, |tells| tells == Tells::Rest);
        if let Some(event) = sitting.goes_on(event) {
            self.say(&event, |tells| tells == Tells::All);
        }
        self.sitting = Some(sitting);
        Ok(())
    }
}

impl Sink for Reporters {
    fn event(&mut self, event: &Event) -> Result<()> {
        let _ = Reporter::event(self, event);
        Ok(())
    }
}
