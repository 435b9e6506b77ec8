use anstyle::{AnsiColor, Style};

/// What a piece of text means; the terminal decides how that looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    /// Not known, not started, worth a look.
    Doubtful,
    Strong,
    Faint,
    /// One of several hosts, told apart by its place in the plan.
    Host(usize),
}

/// Colours that can be read on black and on white.
const HOSTS: [AnsiColor; 10] = [
    AnsiColor::Cyan,
    AnsiColor::Yellow,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightYellow,
    AnsiColor::BrightGreen,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightBlue,
];

impl Tone {
    fn style(self) -> Style {
        let colored = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        match self {
            Self::Good => colored(AnsiColor::Green).bold(),
            Self::Bad => colored(AnsiColor::Red).bold(),
            Self::Doubtful => colored(AnsiColor::Yellow).bold(),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
            Self::Host(index) => colored(HOSTS[index % HOSTS.len()]),
        }
    }

    pub(super) fn paint(self, color: bool, text: &str) -> String {
        if !color {
            return text.to_owned();
        }
        let style = self.style();
        format!("{style}{text}{style:#}")
    }
}
