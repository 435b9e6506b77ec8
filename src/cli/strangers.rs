//! The operator is asked about host keys that no known_hosts file has.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _};
use std::pin::Pin;

use super::ci::is_ci;
use super::listing::{Table, plain};
use crate::fleet::{Stranger, Vouch};
use crate::report::fold;
use crate::term::{Question, Term};

/// Rows of a question; the others are counted, and shown where they are asked for.
const ROWS: usize = 20;

/// A question on the terminal, one for all hosts.
pub struct AskOperator {
    term: Term,
}

impl AskOperator {
    /// `None` where nobody is there to be asked: without a terminal, in CI, or where what we print
    /// is not for people.
    pub fn new(is_for_people: bool, term: &Term) -> Option<Self> {
        let may_ask = is_for_people && io::stdin().is_terminal() && term.err_is_tty() && !is_ci();
        may_ask.then(|| Self { term: term.clone() })
    }

    /// A terminal that goes away says no.
    async fn ask(&self, strangers: &[Stranger]) -> bool {
        match self.term.question() {
            Ok(mut question) => dialogue(&mut question, strangers, &self.term).await.unwrap_or(false),
            Err(error) => {
                tracing::warn!(%error, "nobody can be asked about host keys");
                false
            }
        }
    }
}

impl Vouch for AskOperator {
    fn vouches_for<'a>(
        &'a self,
        strangers: &'a [Stranger],
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(self.ask(strangers))
    }
}

async fn dialogue(question: &mut Question, strangers: &[Stranger], term: &Term) -> io::Result<bool> {
    let keys = Keys::of(strangers);
    question.show(&format!("{}\n{}", keys.title(strangers), keys.text(ROWS, term)))?;
    let mut prompt = keys.prompt();
    loop {
        let Some(answer) = question.answer(&prompt).await? else {
            question.show("\n")?;
            return Ok(false);
        };
        match answer.to_ascii_lowercase().as_str() {
            "yes" => return Ok(true),
            "no" => return Ok(false),
            "v" if keys.rows.len() > ROWS => question.show(&keys.text(usize::MAX, term))?,
            _ => match keys.only() {
                // Typed by somebody who has it from elsewhere, which is better than a yes.
                Some(fingerprint) if answer.starts_with("SHA256:") => match answer == fingerprint {
                    true => return Ok(true),
                    false => question.show("That is another fingerprint.\n")?,
                },
                _ => {}
            },
        }
        prompt = format!("Please type {}: ", keys.answers());
    }
}

/// What is asked about: each key with all hosts that show it, in the order of the hosts.
struct Keys<'a> {
    rows: Vec<Row<'a>>,
    /// Where they would be recorded.
    file: Option<String>,
}

struct Row<'a> {
    key: String,
    fingerprint: String,
    jump: Option<&'a str>,
    hosts: Vec<&'a str>,
}

impl<'a> Keys<'a> {
    fn of(strangers: &'a [Stranger]) -> Self {
        let mut rows: Vec<Row<'a>> = Vec::new();
        let mut known = HashMap::new();
        for Stranger { host, key } in strangers {
            let (shown, jump) = (key.to_string(), key.jump.as_deref());
            let index = *known.entry((shown.clone(), jump)).or_insert(rows.len());
            if index == rows.len() {
                rows.push(Row { key: shown, fingerprint: key.fingerprint(), jump, hosts: Vec::new() });
            }
            rows[index].hosts.push(host);
        }
        let mut files: Vec<_> = strangers.iter().filter_map(|stranger| stranger.key.files.first()).collect();
        files.dedup();
        let file = match files[..] {
            [file] => Some(file.display().to_string()),
            _ => None,
        };
        Self { rows, file }
    }

    fn title(&self, strangers: &[Stranger]) -> String {
        match (strangers.len(), self.rows.len()) {
            (1, _) => "1 host shows a key that is not in known_hosts:".to_owned(),
            (hosts, 1) => format!("{hosts} hosts wait for a key that is not in known_hosts:"),
            (hosts, _) => format!("{hosts} hosts show keys that are not in known_hosts:"),
        }
    }

    /// At most `most` rows.
    fn text(&self, most: usize, term: &Term) -> String {
        let mut table = Table::new([]);
        for row in self.rows.iter().take(most) {
            let hosts = fold::fold(row.hosts.iter().copied());
            let who = match row.jump {
                None => hosts,
                Some(jump) => format!("jump host {jump} of {hosts}"),
            };
            table.row([format!("  {who}"), row.key.clone()].map(plain));
        }
        let text = table.text(term);
        match self.rows.len().checked_sub(most) {
            None | Some(0) => text,
            Some(more) => format!("{text}  and {more} more\n"),
        }
    }

    fn prompt(&self) -> String {
        let (them, their) = if self.rows.len() == 1 { ("it", "its") } else { ("them", "their") };
        let file = self.file.clone().unwrap_or_else(|| format!("{their} known_hosts files"));
        let file = crate::term::visible_line(&file);
        format!("Record {them} in {file} and go on? ({}) ", self.answers())
    }

    fn answers(&self) -> &'static str {
        match self.rows.len() {
            1 => "yes, no or the fingerprint",
            rows if rows > ROWS => "yes, no, or v to view all",
            _ => "yes or no",
        }
    }

    /// The fingerprint, where there is one.
    fn only(&self) -> Option<&str> {
        match &self.rows[..] {
            [row] => Some(&row.fingerprint),
            _ => None,
        }
    }
}
