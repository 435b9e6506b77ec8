use std::path::PathBuf;

const USAGE: &str = "usage: helper_calls [PART…] [--program PATH] [--rtt MS,MS] [--calls N] [--hosts N] \
                     [--each N] [--forks N] [--quick]
parts: calls counter store";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Calls,
    Counter,
    Store,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    pub parts: Vec<Part>,
    /// The `cronium-run` to measure.
    pub program: PathBuf,
    /// Round-trip times in milliseconds.
    pub rtt: Vec<u64>,
    /// For each language and mode. A host may call 1,000 times at once, and 1,000 times a second.
    pub calls: usize,
    /// That count, at most 250.
    pub hosts: u8,
    /// How often each host counts.
    pub each: usize,
    /// Of those hosts, how many at once.
    pub forks: usize,
    /// Calls of the store for each figure.
    pub store_calls: usize,
}

impl Options {
    /// The error is what to print.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            parts: Vec::new(),
            program: env!("CARGO_BIN_EXE_cronium-run").into(),
            rtt: vec![0, 50],
            calls: 500,
            hosts: 200,
            each: 50,
            forks: 100,
            store_calls: 10_000,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} what?\n{USAGE}"));
            match word.as_str() {
                // So cargo calls every bench.
                "--bench" => {}
                "--program" => options.program = value()?.into(),
                "--rtt" => {
                    let value = value()?;
                    options.rtt = value.split(',').map(|it| number(&word, it)).collect::<Result<_, _>>()?;
                }
                "--calls" => options.calls = number(&word, &value()?)?,
                "--hosts" => options.hosts = number(&word, &value()?)?,
                "--each" => options.each = number(&word, &value()?)?,
                "--forks" => options.forks = number(&word, &value()?)?,
                "--quick" => {
                    (options.calls, options.hosts, options.each) = (30, 8, 5);
                    (options.forks, options.store_calls) = (8, 200);
                }
                "calls" => options.parts.push(Part::Calls),
                "counter" => options.parts.push(Part::Counter),
                "store" => options.parts.push(Part::Store),
                _ => return Err(format!("what is `{word}`?\n{USAGE}")),
            }
        }
        if options.parts.is_empty() {
            options.parts = vec![Part::Calls, Part::Counter, Part::Store];
        }
        let found = std::path::absolute(&options.program).ok().filter(|path| path.is_file());
        options.program = found.ok_or_else(|| format!("there is no {}", options.program.display()))?;
        if options.calls == 0 || options.each == 0 || !(1..=250).contains(&options.hosts) {
            return Err(format!("--calls and --each count from 1, --hosts from 1 to 250\n{USAGE}"));
        }
        Ok(options)
    }
}

fn number<T: std::str::FromStr>(flag: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{flag} {text}: no such number\n{USAGE}"))
}
