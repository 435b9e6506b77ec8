use std::collections::HashMap;
use std::io;

use super::fate::{self, Fate};
use super::recorder::{Recorder, Written};
use super::remarks::Remarks;
use super::spool::{Piece, TextId};
use super::{Reporter, fold, units};
use crate::event::{Event, EventKind, Stream};
use crate::term::{Term, Tone, Visible, visible_line};

/// `-o grouped`: at the end of the run, what hosts wrote, once for all that ended alike and wrote
/// the same, under a line such as `web[01-03,07] (4 hosts): ok`. Large groups come first, those
/// that failed last.
///
/// Who said something is part of what was said: the line stands on stdout, above the hosts'
/// stdout, as with `clush -b` and `dshbak -c`. What hosts wrote to stderr goes to stderr under
/// such a line of its own. Hosts without output are no data: those that went well are named on
/// stderr, the failed ones by the errors at the end. A run of one host has no such lines, so that
/// `exec db1 -- pg_dump shop > shop.sql` gives the bytes of the host and nothing else. Where bytes are
/// missing, a line of its own says how many: `⟨4.9 GB of stdout not kept⟩`. Scripts
/// that need every host's own answer take `-o json`.
pub struct Grouped {
    term: Term,
    recorder: Recorder,
    run: String,
    planned: usize,
    remarks: Remarks,
    ended: HashMap<String, Key>,
    /// Whether something was printed, on stdout and on stderr.
    printed: [bool; 2],
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    fate: Fate,
    written: Written,
}

impl Grouped {
    pub fn new(term: &Term) -> Self {
        Self {
            term: term.clone(),
            recorder: Recorder::default(),
            run: String::new(),
            planned: 0,
            remarks: Remarks::default(),
            ended: HashMap::new(),
            printed: [false; 2],
        }
    }

    fn print(&mut self) -> io::Result<()> {
        let mut alike: HashMap<Key, Vec<String>> = HashMap::new();
        for (host, key) in &self.ended {
            alike.entry(key.clone()).or_default().push(host.clone());
        }
        let mut groups: Vec<(Key, Vec<String>)> = alike.into_iter().collect();
        groups.iter_mut().for_each(|(_, hosts)| hosts.sort_unstable_by(|a, b| fold::natural(a, b)));
        groups.sort_by(|(one, ones), (two, twos)| {
            let by_size = || twos.len().cmp(&ones.len());
            one.fate.compare(&two.fate).then_with(by_size).then_with(|| fold::natural(&ones[0], &twos[0]))
        });
        let several = groups.len() > 1;
        for (key, hosts) in &groups {
            let Written { stdout, stderr } = key.written;
            let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
            let set = fold::fold(hosts.iter().copied());
            let who = format!("({}): {}", units::hosts(hosts.len()), key.fate.text(&hosts));
            let tone = fate::tone(key.fate.outcome);
            if let Some(id) = stdout {
                let header = format!("{} {who}", self.term.paint_out(tone, &set));
                self.section(Stream::Stdout, &header, id, true)?;
            }
            if let Some(id) = stderr {
                let header = format!("{} {who}, stderr", self.term.paint_err(tone, &set));
                self.section(Stream::Stderr, &header, id, stdout.is_none())?;
            }
            if stdout.is_none() && stderr.is_none() && key.fate.is_ok() && several {
                self.begin(Stream::Stderr, true)?;
                self.term.note(&format!("{} {who}, no output", self.term.paint_err(tone, &set)));
            }
        }
        if self.one_page() && self.printed.contains(&true) {
            self.term.note("");
        }
        self.remarks.tell(&self.run, &self.term);
        Ok(())
    }

    /// Prints one stream of one group. `first` says that the group begins with it.
    fn section(&mut self, stream: Stream, header: &str, id: TextId, first: bool) -> io::Result<()> {
        let alone = self.planned == 1;
        if !alone {
            self.begin(stream, first)?;
            self.write(stream, format!("{header}\n").as_bytes())?;
        }
        let is_tty = match stream {
            Stream::Stdout => self.term.out_is_tty(),
            Stream::Stderr => self.term.err_is_tty(),
        };
        let (mut last, mut visible) = (None, Visible::default());
        self.recorder.spool.read_with_cuts(id, |piece| {
            let mut shown = String::new();
            match piece {
                Piece::Bytes(bytes) => {
                    last = bytes.last().copied();
                    if !is_tty {
                        return self.write(stream, bytes);
                    }
                    visible.push(bytes, &mut shown);
                }
                Piece::Cut(bytes) => {
                    visible.finish(&mut shown);
                    if last.is_some_and(|byte| byte != b'\n') {
                        shown.push('\n');
                    }
                    last = Some(b'\n');
                    let gap = units::gap(bytes, stream);
                    shown += &match stream {
                        Stream::Stdout => self.term.paint_out(Tone::Doubtful, &gap),
                        Stream::Stderr => self.term.paint_err(Tone::Doubtful, &gap),
                    };
                    shown.push('\n');
                }
            }
            self.write(stream, shown.as_bytes())
        })?;
        let mut rest = String::new();
        visible.finish(&mut rest);
        if last != Some(b'\n') && (is_tty || !alone) {
            rest.push('\n');
        }
        self.write(stream, rest.as_bytes())
    }

    /// On a terminal both streams are one page.
    fn one_page(&self) -> bool {
        self.term.out_is_tty() && self.term.err_is_tty()
    }

    /// An empty line between groups.
    fn begin(&mut self, stream: Stream, first: bool) -> io::Result<()> {
        let after_another = if self.one_page() {
            first && self.printed.contains(&true)
        } else {
            self.printed[stream as usize]
        };
        self.printed[stream as usize] = true;
        self.write(stream, if after_another { b"\n" } else { b"" })
    }

    fn write(&self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        match stream {
            _ if bytes.is_empty() => {}
            Stream::Stdout => self.term.data(bytes)?,
            // A closed stderr is no reason to keep stdout from its reader.
            Stream::Stderr => drop(self.term.data_err(bytes)),
        }
        Ok(())
    }
}

impl Reporter for Grouped {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::RunStarted { run, hosts, .. } => {
                self.run = visible_line(run);
                self.planned = hosts.len();
            }
            EventKind::RunResumed { run, hosts, .. } if self.run.is_empty() => {
                self.run = visible_line(run);
                self.planned = hosts.len();
            }
            EventKind::HostOutput { host, stream, data } => {
                self.recorder.output(host, *stream, &data.0)?;
            }
            EventKind::HostOutputCut { host, stream, bytes } => self.recorder.cut(host, *stream, *bytes)?,
            EventKind::HostFinished { host, result } => {
                let key = Key { fate: Fate::of(host, result), written: self.recorder.end(host)? };
                self.ended.insert(host.clone(), key);
            }
            EventKind::RunFinished { .. } => self.print()?,
            kind => self.remarks.hear(kind),
        }
        Ok(())
    }
}
