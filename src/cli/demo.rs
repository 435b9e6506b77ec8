use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::launch::{self, Telling};
use super::{Context, Global, show};
use crate::error::{ExitCode, OrFail as _, Result};
use crate::payload::keys::SigningKey;
use crate::payload::{self, Signed};
use crate::plan::{Plan, Run, Strategy, Task};
use crate::report::Output;
use crate::transport::ssh::server::Fleet;

/// How many hosts at once: they and we share this machine's processors.
const FORKS: usize = 50;

/// The sample payload, as it stands in the sources.
const FILES: [(&str, &str); 2] = [
    ("manifest.yaml", include_str!("../../payloads/demo/manifest.yaml")),
    ("run.sh", include_str!("../../payloads/demo/run.sh")),
];

/// Run a signed sample payload on SSH hosts of our own
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run demo
  cronium-run demo --hosts 50 -o stream

Starts SSH servers on 127.0.0.1 that take one throw-away key, runs the sample payload on them over
real SSH, and shows the run from a temporary ledger. Nothing is installed and nothing stays behind;
your ledger, keys and SSH configuration are not touched.")]
pub struct Args {
    /// How many hosts to start, 200 at most
    #[arg(long, value_name = "N", env = "CRONIUM_RUN_HOSTS", default_value = "8", value_parser = clap::value_parser!(u16).range(1..=200))]
    hosts: u16,
    #[command(flatten)]
    telling: Telling,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { hosts, telling } = args;
    // A document on stdout stays alone there.
    let is_for_people =
        !telling.quiet && matches!(telling.output, Output::Auto | Output::Stream | Output::Grouped);
    let say = |line: &str| {
        if is_for_people {
            context.term.note(line);
        }
    };
    let fleet = Fleet::start(hosts.into())?;
    let folder = fleet.folder();
    say(&format!("{hosts} SSH servers on 127.0.0.1, their files in {}", folder.display()));
    let signed = sample(&folder.join("payload"))?;
    let plan = Plan {
        run: launch::new_run(),
        command: launch::command_line(),
        targets: fleet.targets().to_vec(),
        task: Task::Run(Box::new(task(signed))),
        forks: FORKS,
        strategy: Strategy::default(),
        persist: None,
        reconnect: crate::plan::RECONNECT,
    };
    if fleet.interrupted() {
        return fleet.stop().map(|()| ExitCode::Interrupted);
    }
    let ledger = folder.join("ledger.db");
    let code = launch::launch_once(plan, &telling, &ledger, context)?;
    if is_for_people {
        say("\nfrom the ledger, as `cronium-run show last` tells it:");
        let global = Global { ledger: Some(ledger), ..context.global.clone() };
        show::run(show::Args::last(), &Context { term: context.term.clone(), global })?;
    }
    fleet.stop()?;
    say("\nservers, keys and ledger are gone again");
    Ok(code)
}

/// Writes the sample payload, packs it and signs it with a key that nobody keeps.
fn sample(folder: &Path) -> Result<Signed> {
    fs::create_dir(folder).or_fail(|| format!("cannot make {}", folder.display()))?;
    for (name, text) in FILES {
        let file = folder.join(name);
        fs::write(&file, text).or_fail(|| format!("cannot write {}", file.display()))?;
    }
    Ok(payload::sign(payload::pack_dir(folder)?, &SigningKey::generate()))
}

fn task(signed: Signed) -> Run {
    Run {
        timeout: signed.packed.manifest.timeout,
        payload: Arc::new(signed),
        args: Vec::new(),
        environment: BTreeMap::new(),
        input: json!({"greeting": "hello"}),
        project: None,
        inputs: Vec::new(),
        one_off: false,
        idle_timeout: None,
        max_output: crate::plan::MAX_OUTPUT,
        lease: Duration::ZERO,
        detach: false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_sample_is_a_payload_folder_like_any_other() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("payloads/demo");
        let mut names: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, FILES.map(|(name, _)| name), "every file of it is carried in the program");
        let elsewhere = tempfile::tempdir().unwrap();
        let carried = sample(&elsewhere.path().join("payload")).unwrap();
        assert_eq!(carried.packed.name, "demo");
        assert_eq!(carried.packed.digest, payload::pack_dir(&folder).unwrap().digest);
    }
}
