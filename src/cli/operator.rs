//! The operator is told who is pending, and asked what becomes of a run that he has interrupted.

use std::io::{self, IsTerminal as _};
use std::pin::Pin;

use tokio::sync::OnceCell;

use super::ci::is_ci;
use crate::fleet::{self, Choice};
use crate::report::Pending;
use crate::term::{Enter, Question, Term};

/// Whoever started us, at his terminal or away from it.
pub struct Operator {
    term: Term,
    pending: Pending,
    /// He sits there: in CI, and where stdin or stderr is no terminal, nobody does.
    is_there: bool,
    /// `None` where there is no terminal to hear it from.
    enter: OnceCell<Option<Enter>>,
}

impl Operator {
    pub fn new(term: &Term, pending: Pending) -> Self {
        let is_there = io::stdin().is_terminal() && term.err_is_tty() && !is_ci();
        Self { term: term.clone(), pending, is_there, enter: OnceCell::new() }
    }

    async fn wonders(&self) {
        if self.is_there
            && let Some(enter) = self.enter.get_or_init(async || self.term.enter().ok()).await
            && enter.pressed().await.is_ok()
        {
            return;
        }
        // Whoever has no terminal, or has it no more, sends SIGUSR1.
        std::future::pending().await
    }

    async fn chooses(&self, may_detach: bool) -> Choice {
        // Where nothing is under way there is nothing to choose.
        if !self.is_there || !self.pending.is_any_at_work() {
            return Choice::Cancel;
        }
        // The terminal shows ^C.
        let begin = if self.term.back_to_live() { "" } else { "\n" };
        match self.term.question() {
            // A terminal that goes away says nothing; its SIGHUP does.
            Ok(mut question) => {
                dialogue(&mut question, begin, &self.pending, may_detach).await.unwrap_or(Choice::Wait)
            }
            Err(error) => {
                tracing::warn!(%error, "nobody can be asked what becomes of the run");
                Choice::Cancel
            }
        }
    }
}

impl fleet::Operator for Operator {
    fn tell_pending(&self) {
        self.term.note(&self.pending.lines().join("\n"));
    }

    fn wonders(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.wonders())
    }

    fn chooses(&self, may_detach: bool) -> Pin<Box<dyn Future<Output = Choice> + Send + '_>> {
        Box::pin(self.chooses(may_detach))
    }
}

async fn dialogue(
    question: &mut Question,
    begin: &str,
    pending: &Pending,
    may_detach: bool,
) -> io::Result<Choice> {
    question.show(&format!("{begin}{}\n", pending.lines().join("\n")))?;
    let prompt = match may_detach {
        true => "[c]ancel, [d]etach or [w]ait? (Ctrl-C cancels) ",
        false => "[c]ancel or [w]ait? (Ctrl-C cancels) ",
    };
    loop {
        let answer = question.answer(prompt).await?;
        if let Some(choice) = choice(answer.as_deref().unwrap_or_default(), may_detach) {
            return Ok(choice);
        }
    }
}

/// What a typed line says: a letter, or a beginning of its word. Nothing at all waits.
fn choice(line: &str, may_detach: bool) -> Option<Choice> {
    let line = line.to_ascii_lowercase();
    let is = |word: &str| !line.is_empty() && word.starts_with(&line);
    match () {
        () if line.is_empty() || is("wait") => Some(Choice::Wait),
        () if is("cancel") => Some(Choice::Cancel),
        () if is("detach") && may_detach => Some(Choice::Detach),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        for (line, may_detach, want) in [
            ("", true, Some(Choice::Wait)),
            ("w", true, Some(Choice::Wait)),
            ("c", true, Some(Choice::Cancel)),
            ("Cancel", true, Some(Choice::Cancel)),
            ("D", true, Some(Choice::Detach)),
            ("det", true, Some(Choice::Detach)),
            ("d", false, None),
            ("yes", true, None),
            ("cancelled", true, None),
        ] {
            assert_eq!(choice(line, may_detach), want, "{line}");
        }
    }
}
