use std::io;
use std::path::PathBuf;

use super::connect::{HostArgs, KeepArgs, ListArgs};
use super::hooks::HookArgs;
use super::launch::{self, Telling};
use super::listing::Format;
use super::rollout::RolloutArgs;
use super::task::TrustArgs;
use super::{Context, descriptors, hosts};
use crate::error::{ExitCode, Result};
use crate::payload::keys;
use crate::plan::{Plan, Task};

/// Put the stub, payloads and trusted keys on hosts, and run nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run deploy web[01-20]
  cronium-run deploy web[01-20] disk-report.tar.gz
  cronium-run deploy web[01-20] --trust release.pub

A host that was deployed to starts its next run without sending anything twice. Where keys are
pinned, only payloads they signed start there, whatever the operator says.")]
pub struct Args {
    /// Hosts: web1, ann@web1:2222, web[01-20,30], @group, all, ^FILE, - (stdin), local, a,b,!c
    #[arg(value_name = "TARGETS")]
    targets: String,
    /// Payloads for the hosts' caches: .tar.gz files, folders, scripts
    #[arg(value_name = "PAYLOAD")]
    payloads: Vec<PathBuf>,
    /// A public key to pin for the user on the hosts (repeat)
    #[arg(long, value_name = "PUB", env = "CRONIUM_RUN_TRUST", help_heading = "Trust")]
    trust: Vec<PathBuf>,
    #[command(flatten)]
    hosts: HostArgs,
    #[command(flatten)]
    keep: KeepArgs,
    #[command(flatten)]
    list: ListArgs,
    #[command(flatten)]
    rollout: RolloutArgs,
    #[command(flatten)]
    signing: TrustArgs,
    #[command(flatten)]
    telling: Telling,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { targets, payloads, trust, hosts, keep, list, rollout, signing, telling } = args;
    let strategy = rollout.strategy()?;
    let resolved = hosts.targets(Some(&targets), io::stdin().lock())?;
    if list.list_hosts {
        return hosts::print(&resolved.targets, Format::Text, &context.term);
    }
    hosts::warn(&resolved, &context.term);
    let payloads =
        payloads.iter().map(|path| signing.signed(path, rollout.check)).collect::<Result<Vec<_>>>()?;
    let trust = trust.iter().map(|path| Ok(keys::load_public(path)?.to_pem())).collect::<Result<Vec<_>>>()?;
    let targets = match rollout.check {
        true => resolved.targets,
        false => hosts.unlock(resolved.targets, &context.term)?,
    };
    let plan = Plan {
        run: launch::new_run(),
        command: launch::command_line(),
        forks: descriptors::make_room(rollout.forks.into(), targets.len(), &context.term),
        targets,
        task: Task::Deploy { payloads, trust },
        strategy,
        persist: keep.persist(),
        reconnect: crate::plan::RECONNECT,
    };
    match rollout.check {
        true => launch::check(&plan, context),
        false => launch::launch(plan, &telling, &HookArgs::default(), &context.ledger_path()?, context),
    }
}
