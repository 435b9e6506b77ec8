use crate::event::Event;

/// Longest value of the environment that is sure to reach a program: Linux takes 128 KiB.
const LONGEST: usize = 100 << 10;

/// One hook, to be run for one event.
pub struct Call {
    /// `on-notify of web1`, for what is said about it.
    pub name: String,
    pub command: String,
    pub environment: Vec<(&'static str, String)>,
    /// The event in JSON, with a newline.
    pub stdin: String,
}

impl Call {
    /// `flag` is the name of the hook; `data` is put into its environment.
    pub fn new(flag: &str, command: &str, run: &str, event: &Event, data: &[(&'static str, &str)]) -> Self {
        let host = event.kind.host().unwrap_or_default();
        let all = [("CRONIUM_RUN_ID", run), ("CRONIUM_HOST", host)].into_iter().chain(data.iter().copied());
        Self {
            name: format!("{flag} of {host}"),
            command: command.to_owned(),
            environment: all.map(|(name, value)| (name, cleaned(value))).collect(),
            stdin: serde_json::to_string(event).expect("an event is plain data with string keys") + "\n",
        }
    }

    /// What it takes up.
    pub fn bytes(&self) -> usize {
        let environment: usize = self.environment.iter().map(|(_, value)| value.len()).sum();
        self.name.len() + self.command.len() + environment + self.stdin.len()
    }
}

/// A value that an environment can hold: without NUL, and cut where it is too long.
fn cleaned(value: &str) -> String {
    let mut end = value.len().min(LONGEST);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value[..end].replace('\0', "\u{fffd}")
}
