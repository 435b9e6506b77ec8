use std::collections::HashMap;
use std::io;

use super::losses::{Losses, Turn};
use super::remark::{Rank, Remark};
use super::{Reporter, units};
use crate::event::{Event, EventKind, Stream};
use crate::term::{Term, Tone, visible};

/// A line without an end in sight is written on once this much of it is held.
const LONGEST_HELD: usize = 64 << 10;

/// `-o stream`: the hosts' lines as they come, each behind `host: `, padded to the widest name;
/// stdout on stdout, stderr on stderr.
///
/// A line is written when it is whole. A line longer than 64 KiB is written in parts: they stay
/// one line as long as no other host comes between, otherwise it is broken and goes on behind a
/// new prefix. A last line without a newline is ended when its host ends. Bytes are passed on
/// unchanged, except on a terminal, where control characters are made visible.
///
/// What scripts log and whom they notify goes to stderr as it comes, at the level's tone:
/// `web1: warn: disk is full {"disk":"/srv"}`, `web1: notify ops: please look`. A line of `debug`
/// or `trace`, progress (it stands in the live display), conditions and artifacts (counted at the
/// end) are not shown; `-o jsonl`, `--events` and the ledger have them. Where output was not kept, a
/// line on stderr says how much: `web1: ⟨4.9 GB of stdout not kept⟩`. A connection that is lost is told
/// at once: `web1: connection lost, reconnecting`, `web1: going on after 1.2 s`.
pub struct Streamed {
    term: Term,
    hosts: HashMap<String, usize>,
    widest: usize,
    /// Beginnings of lines whose end has not come.
    held: HashMap<(String, Stream), Vec<u8>>,
    /// Whose line was begun and not ended on stdout and on stderr.
    open: [Option<String>; 2],
    losses: Losses,
}

impl Streamed {
    pub fn new(term: &Term) -> Self {
        Self {
            term: term.clone(),
            hosts: HashMap::new(),
            widest: 0,
            held: HashMap::new(),
            open: [None, None],
            losses: Losses::default(),
        }
    }

    fn output(&mut self, host: &str, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let key = (host.to_owned(), stream);
        let mut text = self.held.remove(&key).unwrap_or_default();
        // What was held has no newline in it.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| text.len() + at + 1);
        text.extend_from_slice(bytes);
        let mut rest = text.split_off(whole);
        let mut out = Vec::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            self.piece(host, stream, line, &mut out);
        }
        if rest.len() > LONGEST_HELD {
            let cut = rest.split_off(character_boundary(&rest));
            self.piece(host, stream, &rest, &mut out);
            rest = cut;
        }
        self.held.insert(key, rest);
        self.write(stream, &out)
    }

    /// A host has ended, or what follows is missing: its last line needs no newline.
    fn end(&mut self, host: &str, stream: Stream) -> io::Result<()> {
        let Some(text) = self.held.remove(&(host.to_owned(), stream)) else { return Ok(()) };
        let mut out = Vec::new();
        if !text.is_empty() {
            self.piece(host, stream, &text, &mut out);
        }
        if self.open[stream as usize].take_if(|open| open == host).is_some() {
            out.push(b'\n');
        }
        self.write(stream, &out)
    }

    fn remark(&mut self, host: &str, remark: &Remark) -> io::Result<()> {
        let label = match remark.rank.tone() {
            Some(tone) => self.term.paint_err(tone, &remark.label),
            None => remark.label.clone(),
        };
        self.aside(host, &format!("{label} {}", remark.text))
    }

    /// A line of its own on stderr, whatever line of output is open.
    fn aside(&mut self, host: &str, text: &str) -> io::Result<()> {
        let mut out = String::new();
        if self.open[Stream::Stderr as usize].take().is_some() {
            out.push('\n');
        }
        out += &format!("{}{text}\n", self.prefix(host, Stream::Stderr));
        self.write(Stream::Stderr, out.as_bytes())
    }

    fn prefix(&self, host: &str, stream: Stream) -> String {
        let label = format!("{:<width$} ", format!("{host}:"), width = self.widest + 1);
        let tone = Tone::Host(self.hosts.get(host).copied().unwrap_or_default());
        match stream {
            Stream::Stdout => self.term.paint_out(tone, &label),
            Stream::Stderr => self.term.paint_err(tone, &label),
        }
    }

    /// Appends a line, or a part of one, to `out`.
    fn piece(&mut self, host: &str, stream: Stream, text: &[u8], out: &mut Vec<u8>) {
        let open = &mut self.open[stream as usize];
        if open.as_deref() != Some(host) {
            if open.take().is_some() {
                out.push(b'\n');
            }
            out.extend_from_slice(self.prefix(host, stream).as_bytes());
        }
        let is_tty = match stream {
            Stream::Stdout => self.term.out_is_tty(),
            Stream::Stderr => self.term.err_is_tty(),
        };
        if is_tty {
            out.extend_from_slice(visible(text).as_bytes());
        } else {
            out.extend_from_slice(text);
        }
        self.open[stream as usize] = None;
        if !text.ends_with(b"\n") {
            // The live display stands right below: on a terminal no line is left open above it.
            if is_tty { out.push(b'\n') } else { self.open[stream as usize] = Some(host.to_owned()) }
        }
    }

    fn write(&self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        match stream {
            Stream::Stdout => self.term.data(bytes),
            Stream::Stderr => {
                // A closed stderr is no reason to keep stdout from its reader.
                let _ = self.term.data_err(bytes);
                Ok(())
            }
        }
    }
}

/// Where to cut so that no character of UTF-8 is torn: at most 3 bytes before the end.
fn character_boundary(text: &[u8]) -> usize {
    let lead = text.iter().rev().take(4).position(|byte| *byte & 0xc0 != 0x80).unwrap_or(0);
    let wanted = match text[text.len() - 1 - lead] {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 0,
    };
    if lead + 1 < wanted { text.len() - 1 - lead } else { text.len() }
}

impl Reporter for Streamed {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::RunStarted { hosts, .. } | EventKind::RunResumed { hosts, .. } => {
                self.widest = hosts.iter().map(|host| host.chars().count()).max().unwrap_or(0);
                self.hosts = hosts.iter().enumerate().map(|(index, host)| (host.clone(), index)).collect();
                Ok(())
            }
            EventKind::HostOutput { host, stream, data } => self.output(host, *stream, &data.0),
            EventKind::HostOutputCut { host, stream, bytes } => {
                self.end(host, *stream)?;
                let gap = self.term.paint_err(Tone::Doubtful, &units::gap(*bytes, *stream));
                self.aside(host, &gap)
            }
            EventKind::HostState { host, state } => match self.losses.enter(host, *state, event.at) {
                Some(Turn::Lost) => {
                    let lost = self.term.paint_err(Tone::Doubtful, "connection lost, reconnecting");
                    self.aside(host, &lost)
                }
                Some(Turn::Back(after)) => {
                    self.aside(host, &format!("going on after {}", units::duration(after)))
                }
                None => Ok(()),
            },
            EventKind::HostFinished { host, .. } => {
                Stream::ALL.into_iter().try_for_each(|stream| self.end(host, stream))
            }
            kind => match Remark::of(kind) {
                Some((host, remark)) if remark.rank != Rank::Quiet => self.remark(host, &remark),
                _ => Ok(()),
            },
        }
    }
}
