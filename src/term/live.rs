use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Term;

/// A few lines that are redrawn in place at the bottom of the terminal, at most ten times a
/// second. Other output of the same [`Term`] is written above them. Dropping it clears them.
#[derive(Debug)]
pub struct Live {
    term: Term,
    bar: ProgressBar,
}

impl Live {
    pub(super) fn new(term: Term) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        // All of it is one message: a bar of indicatif's would be a second draw for each change.
        bar.set_style(ProgressStyle::with_template("{msg}").expect("the template is a constant"));
        term.set_live(Some(bar.clone()));
        Self { term, bar }
    }

    /// Shows these lines, none of them wider than [`Term::width`].
    pub fn draw(&self, lines: &[String]) {
        self.bar.set_message(lines.join("\n"));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Cleared first: until then other output must still go above it.
        self.bar.finish_and_clear();
        self.term.set_live(None);
    }
}
