use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Term;

/// A few lines that are redrawn in place at the bottom of the terminal, at most ten times a
/// second. Other output of the same [`Term`] is written above them. Dropping it clears them.
#[derive(Debug)]
pub struct Live {
    term: Term,
}

impl Live {
    pub(super) fn new(term: Term) -> Self {
        Self { term }
    }

    /// Shows these lines, none of them wider than [`Term::width`]; not while a question stands there.
    pub fn draw(&self, lines: &[String]) {
        let mut screen = self.term.screen();
        if !self.term.is_asking() {
            screen.bar.get_or_insert_with(bar).set_message(lines.join("\n"));
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    // All of it is one message: a bar of indicatif's would be a second draw for each change.
    bar.set_style(ProgressStyle::with_template("{msg}").expect("the template is a constant"));
    bar
}

impl Drop for Live {
    fn drop(&mut self) {
        self.term.screen().clear();
    }
}
