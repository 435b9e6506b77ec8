use std::io::Read as _;

use super::show::cut;
use super::{Context, listing};
use crate::error::{Error, ExitCode, OrFail as _, Result};
use crate::event::{EventKind, Stream};
use crate::ledger::{Ledger, Reader};
use crate::report::{Remark, units};
use crate::term::{Term, visible_line};

mod printer;

use printer::{Halt, Printer};

/// Print what hosts printed: their stdout on stdout, their stderr on stderr
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run logs last                        every host, each line behind its name
  cronium-run logs last web01 > web01.out      the bytes of one host, unchanged
  cronium-run logs 01JD2 web01 --stream stderr
  cronium-run logs last --told                 what scripts logged and notified, with the time

On a terminal, control characters of hosts are made visible (\\x1b); in files and pipes nothing \
is changed. Where bytes are missing (--max-output) a line says how many: ⟨4.9 GB of stdout not kept⟩.")]
pub struct Args {
    /// The run's id, an unambiguous beginning of it, or `last`
    #[arg(value_name = "RUN")]
    run: String,
    /// Only this host, without its name before each line
    #[arg(value_name = "HOST")]
    host: Option<String>,
    /// Which of the two streams
    #[arg(long, value_name = "STREAM", default_value = "both")]
    stream: Choice,
    /// What scripts told beside their output instead: log, notify, progress and condition, by time
    #[arg(long, conflicts_with = "stream")]
    told: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Choice {
    Stdout,
    Stderr,
    Both,
}

impl Choice {
    fn streams(self) -> &'static [Stream] {
        match self {
            Self::Stdout => &[Stream::Stdout],
            Self::Stderr => &[Stream::Stderr],
            Self::Both => &Stream::ALL,
        }
    }
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let reader = Ledger::open_read(&context.ledger_path()?)?;
    let run = reader.resolve_run(&args.run)?;
    let hosts = reader.hosts(&run)?;
    let logs = Logs { reader: &reader, run: &run, term: &context.term, choice: args.stream };
    let result = match (&args.host, hosts.as_slice()) {
        (Some(host), hosts) if !hosts.contains(host) => return Err(no_such_host("logs", &run, host, hosts)),
        (host, _) if args.told => logs.told(host.as_deref()),
        (Some(host), _) => logs.alone(host),
        (None, [host]) => logs.alone(host),
        (None, hosts) => hosts.iter().try_for_each(|host| logs.named(host)),
    };
    match result {
        Ok(()) => Ok(ExitCode::Success),
        Err(Halt::Write(error)) => listing::printed(Err(error)),
        Err(Halt::Ledger(error)) => Err(error),
    }
}

/// `command` is the one to type with the right name.
pub(super) fn no_such_host(command: &str, run: &str, host: &str, hosts: &[String]) -> Error {
    let error = Error::usage(format!("run {run} has no host `{host}`"));
    let near = |name: &&String| strsim::damerau_levenshtein(name, host) <= 2;
    match hosts.iter().find(near) {
        Some(name) => error.hint(format!("cronium-run {command} {run} {name}")),
        None => error.hint(format!("cronium-run show {run}")),
    }
}

struct Logs<'a> {
    reader: &'a Reader,
    run: &'a str,
    term: &'a Term,
    choice: Choice,
}

impl Logs<'_> {
    /// The bytes of one host; where both streams are wanted, in the order they came.
    fn alone(&self, host: &str) -> Result<(), Halt> {
        match self.choice.streams() {
            [stream] => self.copy(host, Printer::new(self.term, *stream, None)),
            _ => {
                let printers = Stream::ALL.map(|stream| Printer::new(self.term, stream, None));
                self.replay(host, printers.into())
            }
        }
    }

    /// What a host printed on some of its streams, in the order it came. Where bytes are missing stands a
    /// line of its own: two halves of lines are none.
    fn replay(&self, host: &str, mut printers: Vec<Printer>) -> Result<(), Halt> {
        let mut cuts = [0_u64; 2];
        for event in self.reader.events_of(self.run, Some(host), &["host_output", "host_output_cut"])? {
            match event?.kind {
                EventKind::HostOutput { stream, data, .. } => {
                    if let Some(printer) = printers.iter_mut().find(|printer| printer.stream() == stream) {
                        printer.write(&data.0)?;
                    }
                }
                EventKind::HostOutputCut { stream, bytes, .. } => {
                    if let Some(printer) = printers.iter_mut().find(|printer| printer.stream() == stream) {
                        printer.line(&units::gap(bytes, stream))?;
                        cuts[stream as usize] = cuts[stream as usize].saturating_add(bytes);
                    }
                }
                _ => {}
            }
        }
        for printer in &mut printers {
            printer.finish()?;
        }
        let mut is_open = printers.iter().any(Printer::is_before_stderr);
        for stream in printers.iter().map(Printer::stream) {
            match cuts[stream as usize] {
                0 => {}
                bytes => self.cut(host, stream, bytes, std::mem::take(&mut is_open)),
            }
        }
        Ok(())
    }

    /// Every line behind the name of its host; first stdout, then stderr.
    fn named(&self, host: &str) -> Result<(), Halt> {
        self.choice
            .streams()
            .iter()
            .try_for_each(|stream| self.copy(host, Printer::new(self.term, *stream, Some(host))))
    }

    /// `2026-11-18T11:06:41.000Z web1: warn: disk is full`, without the name where one host is
    /// asked for. One line each, whatever stands in it: also in files and pipes.
    fn told(&self, host: Option<&str>) -> Result<(), Halt> {
        for event in self.reader.events_of(self.run, host, &Remark::KINDS)? {
            let event = event?;
            let Some((from, remark)) = Remark::of(&event.kind) else { continue };
            let name = if host.is_none() { format!("{}: ", visible_line(from)) } else { String::new() };
            self.term.data(format!("{:.3} {name}{}\n", event.at, remark.line()).as_bytes())?;
        }
        Ok(())
    }

    /// On stderr, beside the bytes. `is_open`: the line that stands there is not at its end.
    fn cut(&self, host: &str, stream: Stream, bytes: u64, is_open: bool) {
        let begin = if is_open { "\n" } else { "" };
        self.term.note(&format!("{begin}note: {}: {}", visible_line(host), cut(stream, bytes)));
    }

    fn copy(&self, host: &str, mut printer: Printer) -> Result<(), Halt> {
        let mut output = self.reader.output(self.run, host, printer.stream())?;
        if output.cut() > 0 {
            return self.replay(host, vec![printer]);
        }
        let mut piece = vec![0; 64 << 10];
        loop {
            let length = output
                .read(&mut piece)
                .or_fail(|| format!("cannot read the output of {host} from the ledger"))?;
            if length == 0 {
                return printer.finish();
            }
            printer.write(&piece[..length])?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::show::tests::Recorded;
    use crate::cli::{Context, Global};
    use crate::term::{Captured, Color};

    fn logs(term: (Term, Captured), run_id: &str, host: Option<&str>, stream: Choice) -> Result<Captured> {
        print(term, Args { run: run_id.into(), host: host.map(str::to_owned), stream, told: false })
    }

    fn print(term: (Term, Captured), args: Args) -> Result<Captured> {
        let recorded = Recorded::new();
        let global = Global {
            ledger: Some(recorded.path()),
            color: Color::Never,
            log_file: None,
            verbose: 0,
            given: Default::default(),
        };
        run(args, &Context { term: term.0, global })?;
        Ok(term.1)
    }

    /// Said of `web3`, which printed more than it kept.
    const CUT: &[u8] = b"note: web3: 1.2 MB of stdout not kept on the host\n";

    /// What it printed and, in a line of its own, that something is missing.
    const GAP: &[u8] = b"\xff\x00\n\xe2\x9f\xa81.2 MB of stdout not kept\xe2\x9f\xa9\n";

    #[test]
    fn one_host_to_the_byte() {
        // run, host, stream, stdout, stderr
        type Case = (&'static str, &'static str, Choice, &'static [u8], &'static [u8]);
        const TABLE: &[Case] = &[
            ("01JA", "web1", Choice::Both, b"one\ntwo\n", b"careful\x1b[31m\n"),
            ("01JA", "web1", Choice::Stdout, b"one\ntwo\n", b""),
            ("01ja", "web1", Choice::Stderr, b"", b"careful\x1b[31m\n"),
            ("01JA", "web2", Choice::Both, b"", b""),
            ("01JA", "web3", Choice::Both, GAP, CUT),
            ("01JA", "web3", Choice::Stdout, GAP, CUT),
            ("last", "web2", Choice::Both, b"so far", b""),
            ("last", "web2", Choice::Stdout, b"so far", b""),
        ];
        for (run, host, stream, out, err) in TABLE {
            let captured = logs(Term::captured(), run, Some(host), *stream).unwrap();
            assert_eq!(captured.out_bytes(), *out, "{run} {host} {stream:?}");
            assert_eq!(captured.err_bytes(), *err, "{run} {host} {stream:?}");
        }
    }

    #[test]
    fn several_hosts_are_named() {
        let captured = logs(Term::captured(), "01JA", None, Choice::Both).unwrap();
        let gap = "\nweb3: ⟨1.2 MB of stdout not kept⟩\n".as_bytes();
        assert_eq!(captured.out_bytes(), [b"web1: one\nweb1: two\nweb3: \xff\x00", gap].concat());
        assert_eq!(captured.err_bytes(), [b"web1: careful\x1b[31m\n", CUT].concat());
    }

    #[test]
    fn what_scripts_told() {
        let told = |host: Option<&str>| {
            let host = host.map(str::to_owned);
            let args = Args { run: "01JA".into(), host, stream: Choice::Both, told: true };
            print(Term::captured(), args).unwrap()
        };
        insta::assert_snapshot!(told(None).out(), @r#"
        2026-11-18T11:06:41.000Z web1: warn: disk is full {"disk":"/srv"}
        2026-11-18T11:06:41.000Z web3: notify ops: look\x1b[2J
        2026-11-18T11:06:41.000Z web1: progress 50% half
        2026-11-18T11:06:41.000Z web1: condition true
        "#);
        assert_eq!(told(Some("web3")).out(), "2026-11-18T11:06:41.000Z notify ops: look\\x1b[2J\n");
        assert_eq!((told(Some("web2")).out(), told(None).err()), (String::new(), String::new()));
    }

    #[test]
    fn a_terminal_is_not_steered() {
        let captured = logs(Term::pretend(true, false), "01JA", None, Choice::Both).unwrap();
        assert_eq!(
            captured.out(),
            "web1: one\nweb1: two\nweb3: \u{fffd}\\x00\nweb3: ⟨1.2 MB of stdout not kept⟩\n"
        );
        let cut = str::from_utf8(CUT).unwrap();
        assert_eq!(captured.err(), format!("web1: careful\\x1b[31m\n{cut}"));
    }

    #[test]
    fn a_reader_who_leaves_is_no_error() {
        let (term, captured) = Term::captured();
        captured.close();
        for host in [None, Some("web1")] {
            assert!(logs((term.clone(), captured.clone()), "01JA", host, Choice::Both).is_ok());
        }
    }

    #[test]
    fn names_that_mean_nothing() {
        // run, host, code, hint
        const TABLE: &[(&str, Option<&str>, &str)] = &[
            ("01JX", None, "cronium-run runs"),
            ("01J", None, "cronium-run runs"),
            ("01JA", Some("wbe1"), "cronium-run logs 01JA web1"),
            ("01JA", Some("database"), "cronium-run show 01JA"),
        ];
        for (run, host, hint) in TABLE {
            let error = logs(Term::captured(), run, *host, Choice::Both).unwrap_err();
            assert_eq!(
                (error.code, error.hints.as_slice()),
                (ExitCode::Usage, [(*hint).to_owned()].as_slice())
            );
        }
    }
}
