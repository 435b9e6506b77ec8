//! `--gate`: the operator's own program, asked between two batches.

use std::pin::Pin;

use super::shell::{Call, Shell, cleaned, warn};
use crate::event::Outcome;
use crate::fleet::{self, Checkpoint};
use crate::plan;
use crate::term::Term;

/// A shell command that says whether a rollout goes on: with exit code 0 it does. It gets the
/// counts in its environment and the [`Checkpoint`] as a line of JSON on stdin.
pub struct ShellGate {
    shell: Shell,
    term: Term,
    command: String,
}

impl ShellGate {
    pub fn new(gate: &plan::Gate, term: &Term) -> Self {
        let shell = Shell::new(term, gate.timeout);
        Self { shell, term: term.clone(), command: gate.command.clone() }
    }

    /// Whether the next batch may start. A gate that cannot be asked stays shut.
    async fn ask(&self, checkpoint: &Checkpoint) -> bool {
        let call = call(&self.command, checkpoint);
        match self.shell.run(&call).await {
            Ok(()) => true,
            Err(why) => {
                warn(&self.term, &format!("{}: {why}", call.name));
                false
            }
        }
    }
}

impl fleet::Gate for ShellGate {
    fn opens<'a>(&'a self, checkpoint: &'a Checkpoint) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(self.ask(checkpoint))
    }
}

fn call(command: &str, checkpoint: &Checkpoint) -> Call {
    let count = |outcome| checkpoint.outcomes.get(&outcome).copied().unwrap_or(0).to_string();
    Call {
        name: format!("gate after batch {} of {}", checkpoint.batch, checkpoint.batches),
        command: command.to_owned(),
        environment: vec![
            ("CRONIUM_RUN_ID", cleaned(&checkpoint.run)),
            ("CRONIUM_BATCH", checkpoint.batch.to_string()),
            ("CRONIUM_BATCHES", checkpoint.batches.to_string()),
            ("CRONIUM_HOSTS", checkpoint.total.to_string()),
            ("CRONIUM_LEFT", checkpoint.left.to_string()),
            ("CRONIUM_SUCCEEDED", count(Outcome::Succeeded)),
            ("CRONIUM_FAILED", count(Outcome::Failed)),
            ("CRONIUM_TIMED_OUT", count(Outcome::TimedOut)),
            ("CRONIUM_UNREACHABLE", count(Outcome::Unreachable)),
            ("CRONIUM_REJECTED", count(Outcome::Rejected)),
            ("CRONIUM_UNKNOWN", count(Outcome::Unknown)),
        ],
        hidden: &[],
        stdin: serde_json::to_string(checkpoint).expect("a checkpoint is plain data with string keys") + "\n",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::fleet::Ended;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            run: "01J".into(),
            batch: 2,
            batches: 5,
            canary: false,
            hosts: vec![Ended { host: "web3".into(), outcome: Outcome::TimedOut }],
            total: 9,
            left: 6,
            outcomes: BTreeMap::from([(Outcome::Succeeded, 2), (Outcome::TimedOut, 1)]),
        }
    }

    fn ask(command: &str, timeout: Duration) -> (bool, String) {
        let (term, captured) = Term::captured();
        let gate = ShellGate::new(&plan::Gate { command: command.into(), timeout }, &term);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let opened = runtime.block_on(gate.ask(&checkpoint()));
        assert!(captured.out().is_empty(), "stdout is for data");
        (opened, captured.err())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_gate_is_told_how_far_the_run_is() {
        let command = "echo \"$CRONIUM_RUN_ID $CRONIUM_BATCH/$CRONIUM_BATCHES $CRONIUM_LEFT/$CRONIUM_HOSTS \
            $CRONIUM_SUCCEEDED $CRONIUM_FAILED $CRONIUM_TIMED_OUT $CRONIUM_UNREACHABLE $CRONIUM_REJECTED \
            $CRONIUM_UNKNOWN\"; cat";
        let (opened, err) = ask(command, LONG);
        assert!(opened);
        insta::assert_snapshot!(err, @r#"
        gate after batch 2 of 5: 01J 2/5 6/9 2 0 1 0 0 0
        gate after batch 2 of 5: {"run":"01J","batch":2,"batches":5,"canary":false,"hosts":[{"host":"web3","outcome":"timed_out"}],"total":9,"left":6,"outcomes":{"succeeded":2,"timed_out":1}}
        "#);
    }

    #[test]
    fn a_gate_that_fails_stays_shut() {
        let why = |text: &str| (false, format!("warning: gate after batch 2 of 5: {text}\n"));
        assert_eq!(ask("exit 3", LONG), why("exit code 3"));
        assert_eq!(ask("kill -9 $$", LONG), why("killed by signal 9"));
        let late = ask("sleep 60", Duration::from_millis(200));
        assert_eq!(late, why("killed: it took longer than 0.2 s"));
    }
}
