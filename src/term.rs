//! The only code that writes to the terminal: data on stdout, everything else on stderr.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::ProgressBar;
use rustix::termios::{LocalModes, tcgetattr};
use tokio::sync::watch;

use crate::error::Error;

mod captured;
mod enter;
mod live;
mod question;
mod tone;
mod visible;

pub use captured::Captured;
pub use enter::Enter;
pub use live::Live;
use question::Asked;
pub use question::Question;
pub use tone::Tone;
pub use visible::{Visible, is_steering, visible, visible_line};

/// What a terminal that is gone says: EIO.
const HUNG_UP: i32 = rustix::io::Errno::IO.raw_os_error();

/// `--color`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded
    #[default]
    Auto,
    /// Everywhere, in files too
    Always,
    /// Nowhere
    Never,
}

impl Color {
    /// `NO_COLOR` > `CLICOLOR_FORCE` > `CLICOLOR` > whether it is a terminal; the flag over all.
    fn wanted(self, tty: bool, env: impl Fn(&str) -> Option<OsString>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if env("NO_COLOR").is_some_and(|value| !value.is_empty()) => false,
            Self::Auto if env("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0") => {
                true
            }
            Self::Auto if env("CLICOLOR").is_some_and(|value| value == "0") => false,
            Self::Auto => tty,
        }
    }
}

/// The two streams of this process and what they can show. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Term {
    out: Side,
    err: Side,
    /// What commands to type are given, so that they are about the same ledger.
    ledger: Option<Arc<str>>,
    shared: Arc<Shared>,
}

/// Commands that are about runs of one ledger.
const ABOUT_RUNS: [&str; 8] = ["artifacts", "attach", "cancel", "collect", "logs", "rerun", "runs", "show"];

/// What one stream can show.
#[derive(Debug, Clone, Copy)]
struct Side {
    tty: bool,
    color: bool,
}

#[derive(Debug)]
struct Shared {
    target: Target,
    /// What other output must not tear.
    screen: Mutex<Screen>,
    asked: watch::Sender<Asked>,
}

/// The bottom of the terminal.
#[derive(Debug, Default)]
struct Screen {
    /// The live display, while there is one.
    bar: Option<ProgressBar>,
    /// What an answer is typed behind, while it is waited for.
    prompt: Option<String>,
}

#[derive(Debug)]
enum Target {
    Process,
    Captured(Captured),
}

impl Screen {
    /// Takes the live display away.
    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Term {
    pub fn new(color: Color) -> Self {
        let side = |tty| Side { tty, color: color.wanted(tty, |name| std::env::var_os(name)) };
        Self::with(side(io::stdout().is_terminal()), side(io::stderr().is_terminal()), Target::Process)
    }

    /// A terminal for tests: nothing reaches the process's streams, all is kept in memory. It is
    /// no TTY and has no colour.
    pub fn captured() -> (Self, Captured) {
        Self::pretend(false, false)
    }

    /// As [`Term::captured`], but both streams claim to be a TTY or to show colour.
    pub fn pretend(tty: bool, color: bool) -> (Self, Captured) {
        let captured = Captured::default();
        let side = Side { tty, color };
        (Self::with(side, side, Target::Captured(captured.clone())), captured)
    }

    fn with(out: Side, err: Side, target: Target) -> Self {
        let (asked, _) = watch::channel(Asked::default());
        Self { out, err, ledger: None, shared: Arc::new(Shared { target, screen: Mutex::default(), asked }) }
    }

    /// Commands to type name this ledger: the flag that chose it is forgotten with this command.
    pub fn about(self, ledger: Option<&Path>) -> Self {
        let quoted = |path: &Path| {
            let path = path.to_string_lossy();
            shlex::try_quote(&path).map_or_else(|_| path.clone().into_owned(), |quoted| quoted.into_owned())
        };
        Self { ledger: ledger.map(|path| quoted(path).into()), ..self }
    }

    /// A command to type, or a sentence with some, about the ledger that this one is about:
    /// `cronium-run --ledger small.db show 01J…`.
    pub fn to_type(&self, command: &str) -> String {
        const PROGRAM: &str = "cronium-run ";
        let Some(ledger) = &self.ledger else { return command.to_owned() };
        let mut parts = command.split(PROGRAM);
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            text += PROGRAM;
            let name = part.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
            if ABOUT_RUNS.contains(&name) {
                text += &format!("--ledger {ledger} ");
            }
            text += part;
        }
        text
    }

    /// Writes data to stdout, unchanged, at once. An error is most often a broken pipe.
    pub fn data(&self, bytes: &[u8]) -> io::Result<()> {
        self.beside_live(self.out, || match &self.shared.target {
            Target::Process => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Target::Captured(captured) => captured.write_out(bytes),
        })
    }

    /// Writes what hosts wrote to their stderr to ours, unchanged, at once.
    pub fn data_err(&self, bytes: &[u8]) -> io::Result<()> {
        self.beside_live(self.err, || self.put_err(bytes))
    }

    /// Writes a line for people to stderr. A closed stderr is no reason to stop.
    pub fn note(&self, line: &str) {
        let _ = self.data_err(format!("{line}\n").as_bytes());
    }

    /// Prints an error in the layout of [`Error`], with colour where allowed.
    pub fn error(&self, error: &Error) {
        let _ = self.data_err(self.worded(error).as_bytes());
    }

    fn worded(&self, error: &Error) -> String {
        // Names in it come from files of others, and these must not steer the terminal.
        visible(error.to_string().as_bytes())
            .split_inclusive('\n')
            .map(|line| {
                for (label, tone) in
                    [("error:", Tone::Bad), ("caused by:", Tone::Strong), ("hint:", Tone::Good)]
                {
                    if let Some(rest) = line.strip_prefix(label) {
                        let rest = if label == "hint:" { self.to_type(rest) } else { rest.to_owned() };
                        return format!("{}{rest}", self.paint_err(tone, label));
                    }
                }
                line.to_owned()
            })
            .collect()
    }

    /// `text` in a tone, where stdout shows colour.
    pub fn paint_out(&self, tone: Tone, text: &str) -> String {
        tone.paint(self.out.color, text)
    }

    /// `text` in a tone, where stderr shows colour.
    pub fn paint_err(&self, tone: Tone, text: &str) -> String {
        tone.paint(self.err.color, text)
    }

    /// A live display at the bottom of stderr, where that is a terminal that can
    /// move its cursor. There is at most one.
    pub fn live(&self) -> Option<Live> {
        match self.shared.target {
            Target::Process if self.can_move() => Some(Live::new(self.clone())),
            _ => None,
        }
    }

    /// Asks something of whoever sits before the terminal: the live display makes way until the
    /// question is dropped.
    pub fn question(&self) -> io::Result<Question> {
        Question::new(self.clone())
    }

    /// Enter, pressed while nothing is asked. An error means that there is no terminal.
    pub fn enter(&self) -> io::Result<Enter> {
        Enter::new(self.clone())
    }

    /// Columns of the terminal behind stderr; 80 where there is none.
    pub fn width(&self) -> usize {
        match self.shared.target {
            Target::Process => rustix::termios::tcgetwinsize(io::stderr())
                .ok()
                .map(|size| usize::from(size.ws_col))
                .filter(|columns| *columns > 0)
                .unwrap_or(80),
            Target::Captured(_) => 80,
        }
    }

    pub fn color_out(&self) -> bool {
        self.out.color
    }

    pub fn color_err(&self) -> bool {
        self.err.color
    }

    pub fn out_is_tty(&self) -> bool {
        self.out.tty
    }

    pub fn err_is_tty(&self) -> bool {
        self.err.tty
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        self.shared.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody is being asked something: nothing else is drawn then.
    fn is_asking(&self) -> bool {
        self.shared.asked.borrow().is_any()
    }

    /// Shows what an answer is to be typed behind; `None` takes it away.
    fn prompt(&self, prompt: Option<&str>) {
        let mut screen = self.screen();
        if screen.prompt.take().is_some() {
            let _ = self.put_err(self.line_away());
        }
        if let Some(prompt) = prompt {
            let _ = self.put_err(prompt.as_bytes());
            screen.prompt = Some(prompt.to_owned());
        }
    }

    /// A key was pressed, and where the terminal has shown it behind the live display it has gone to the
    /// next line: back to where the display is. Whether there is one.
    pub fn back_to_live(&self) -> bool {
        let is_there = self.screen().bar.is_some();
        let shown = LocalModes::ECHO | LocalModes::ECHOCTL;
        if is_there && tcgetattr(io::stderr()).is_ok_and(|modes| modes.local_modes.contains(shown)) {
            let _ = self.put_err(b"\x1b[A");
        }
        is_there
    }

    /// What takes an unfinished line away, or leaves it where the terminal cannot.
    fn line_away(&self) -> &'static [u8] {
        if self.can_move() { b"\r\x1b[K" } else { b"\n" }
    }

    /// Whether stderr is a terminal that can move its cursor.
    fn can_move(&self) -> bool {
        self.err.tty && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    fn put_err(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.shared.target {
            Target::Process => io::stderr().lock().write_all(bytes),
            Target::Captured(captured) => captured.write_err(bytes),
        }
    }

    /// Takes the live display, or the prompt of a question, away while `write` writes to the same
    /// screen.
    fn beside_live(&self, side: Side, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if !side.tty {
            return write();
        }
        let screen = self.screen();
        let written = match (&screen.bar, &screen.prompt) {
            (Some(bar), _) => bar.suspend(write),
            (None, None) => write(),
            (None, Some(prompt)) => {
                let _ = self.put_err(self.line_away());
                let written = write();
                let _ = self.put_err(prompt.as_bytes());
                written
            }
        };
        // A terminal that was closed is a reader who has left.
        written.map_err(|error| match error.raw_os_error() {
            Some(HUNG_UP) => io::ErrorKind::BrokenPipe.into(),
            _ => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_decides_on_colour() {
        type Env = &'static [(&'static str, &'static str)];
        // flag, tty, environment, colour
        const TABLE: &[(Color, bool, Env, bool)] = &[
            (Color::Auto, true, &[], true),
            (Color::Auto, false, &[], false),
            (Color::Auto, true, &[("NO_COLOR", "1")], false),
            (Color::Auto, true, &[("NO_COLOR", "")], true),
            (Color::Auto, true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], false),
            (Color::Auto, false, &[("CLICOLOR_FORCE", "1")], true),
            (Color::Auto, false, &[("CLICOLOR_FORCE", "0")], false),
            (Color::Auto, false, &[("CLICOLOR_FORCE", "1"), ("CLICOLOR", "0")], true),
            (Color::Auto, true, &[("CLICOLOR", "0")], false),
            (Color::Auto, false, &[("CLICOLOR", "1")], false),
            (Color::Always, false, &[("NO_COLOR", "1")], true),
            (Color::Never, true, &[("CLICOLOR_FORCE", "1")], false),
        ];
        for (color, tty, env, wanted) in TABLE {
            let find =
                |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
            assert_eq!(color.wanted(*tty, find), *wanted, "{color:?} {tty} {env:?}");
        }
    }

    #[test]
    fn an_error_is_laid_out() {
        let error =
            || Error::failure("cannot read hosts.txt").cause("permission denied").hint("chmod u+r hosts.txt");
        let (term, captured) = Term::captured();
        term.error(&error());
        insta::assert_snapshot!(captured.err(), @r"
        error: cannot read hosts.txt
        caused by: permission denied

        hint: chmod u+r hosts.txt
        ");
        let (term, captured) = Term::captured();
        term.error(&Error::usage("no key \u{1b}[2J").hint("\u{9b}31m"));
        assert_eq!(captured.err(), "error: no key \\x1b[2J\n\nhint: \\u{9b}31m\n");
        let (term, captured) = Term::pretend(true, true);
        term.error(&error());
        assert!(captured.err().starts_with("\x1b[1m\x1b[31merror:\x1b[0m cannot"), "{:?}", captured.err());
    }

    #[test]
    fn what_is_typed_next_is_about_the_same_ledger() {
        let (term, captured) = Term::captured();
        // said, with a ledger
        const TABLE: &[(&str, &str)] = &[
            ("cronium-run show 01J", "cronium-run --ledger 'a b.db' show 01J"),
            ("look, or cronium-run runs", "look, or cronium-run --ledger 'a b.db' runs"),
            (
                "cronium-run attach 01J; cronium-run logs 01J",
                "cronium-run --ledger 'a b.db' attach 01J; cronium-run --ledger 'a b.db' logs 01J",
            ),
            ("cronium-run doctor web1", "cronium-run doctor web1"),
            ("cronium-run --ledger x show 01J", "cronium-run --ledger x show 01J"),
            ("cronium-run showing", "cronium-run showing"),
        ];
        for (said, _) in TABLE {
            assert_eq!(term.to_type(said), *said);
        }
        let term = term.about(Some(Path::new("a b.db")));
        for (said, want) in TABLE {
            assert_eq!(term.to_type(said), *want);
        }
        term.error(&Error::usage("no run begins with `x`").hint("cronium-run runs"));
        assert_eq!(
            captured.err(),
            "error: no run begins with `x`\n\nhint: cronium-run --ledger 'a b.db' runs\n"
        );
    }

    #[test]
    fn a_closed_stdout_is_an_error_and_a_closed_stderr_is_none() {
        let (term, captured) = Term::captured();
        captured.close();
        assert_eq!(term.data(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        term.note("nobody reads this");
    }
}
