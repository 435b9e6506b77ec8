use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::connect::{HostArgs, ListArgs};
use super::listing::{self, Format};
use super::strangers::AskOperator;
use super::{Context, descriptors, hosts};
use crate::error::{ExitCode, OrFail as _, Result};
use crate::event::{HostResult, Outcome};
use crate::fleet::{Stranger, Verdict, Vouch as _};
use crate::inventory::Target;
use crate::report::fold::who;
use crate::report::{Failures, Folded, units};
use crate::term::{Term, Tone, visible_line};
use crate::transport::probe::Survey;
use crate::transport::{Fault, Transport};

mod finding;

use finding::{Finding, Level, Measured, judge};

/// Look at hosts before running anything: login, sudo, runner's cache, interpreters, forwarding, clock
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run doctor web[01-20]
  cronium-run doctor -i hosts.yaml @web
  cronium-run doctor web1 -o json | jq '.[].findings[] | select(.level != \"ok\")'

Each host is logged in to as exec would, with the same question about unknown host keys and, with -b, \
the same way to another user; one script looks around, and nothing stays there. Alike hosts stand in one \
line, problems first, each with a command that mends it.

Exit codes: 0 every host can be worked with, 3 one has a problem, 4 one was not reached; of both 4.")]
pub struct Args {
    /// Hosts: web1, ann@web1:2222, web[01-20,30], @group, all, ^FILE, - (stdin), local, a,b,!c
    #[arg(value_name = "TARGETS")]
    targets: String,
    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    /// How many hosts at once
    #[arg(short, long, value_name = "N", env = "CRONIUM_RUN_FORKS", default_value = "100", value_parser = clap::value_parser!(u16).range(1..))]
    forks: u16,
    #[command(flatten)]
    hosts: HostArgs,
    #[command(flatten)]
    list: ListArgs,
}

/// A host and what came of asking it.
struct Patient {
    target: Target,
    asked: Result<Survey, Fault>,
    findings: Vec<Finding>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { targets, output, forks, hosts, list } = args;
    let resolved = hosts.targets(Some(&targets), io::stdin().lock())?;
    if list.list_hosts {
        return hosts::print(&resolved.targets, Format::Text, &context.term);
    }
    hosts::warn(&resolved, &context.term);
    let targets = hosts.unlock(resolved.targets, &context.term)?;
    let forks = descriptors::make_room(forks.into(), targets.len(), &context.term);
    let begun = Instant::now();
    let operator = AskOperator::new(output == Format::Text, &context.term);
    let patients = ask(targets, forks, operator)?;
    let text = match output {
        Format::Text => text(&patients, &context.term),
        Format::Json => listing::json(&patients.iter().map(document).collect::<Vec<_>>())?,
    };
    listing::printed(context.term.data(text.as_bytes()))?;
    if output == Format::Text {
        tell_unreachable(&patients, &context.term);
        context.term.note(&summary(&patients, begun.elapsed()));
    }
    Ok(exit_code(&patients))
}

/// Asks all hosts. About keys that nobody knows `operator` is asked, for all hosts at once, and
/// again for those that stand behind a jump host with such a key.
fn ask(targets: Vec<Target>, forks: usize, operator: Option<AskOperator>) -> Result<Vec<Patient>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .or_fail(|| "cannot start the threads that talk to hosts")?;
    let patients = runtime.block_on(async {
        let transport = Arc::new(Transport::default());
        let mut patients: BTreeMap<usize, Patient> = BTreeMap::new();
        let mut waiting: Vec<(usize, Target)> = targets.into_iter().enumerate().collect();
        while !waiting.is_empty() {
            patients.extend(round(waiting, forks, &transport).await);
            waiting = match &operator {
                Some(operator) => vouched(&mut patients, operator, &transport).await,
                None => Vec::new(),
            };
        }
        patients.into_values().collect()
    });
    runtime.shutdown_background();
    Ok(patients)
}

/// So many at once, each by itself: one that is dead delays nobody.
async fn round(
    targets: Vec<(usize, Target)>,
    forks: usize,
    transport: &Arc<Transport>,
) -> Vec<(usize, Patient)> {
    let turns = Arc::new(Semaphore::new(forks));
    let mut running = JoinSet::new();
    for (index, target) in targets {
        let (transport, turns) = (Arc::clone(transport), Arc::clone(&turns));
        running.spawn(async move {
            // Closed by nobody.
            let _turn = turns.acquire().await;
            let asked = transport.probe(&target).await;
            let findings = asked.as_ref().map(judge).unwrap_or_default();
            (index, Patient { target, asked, findings })
        });
    }
    running.join_all().await
}

/// The hosts to be asked again, now that the operator has said yes to their keys.
async fn vouched(
    patients: &mut BTreeMap<usize, Patient>,
    operator: &AskOperator,
    transport: &Transport,
) -> Vec<(usize, Target)> {
    let unknown = |patient: &Patient| patient.asked.as_ref().err()?.unknown.clone();
    let (mut indices, mut strangers) = (Vec::new(), Vec::new());
    for (index, patient) in &*patients {
        if let Some(key) = unknown(patient) {
            indices.push(*index);
            strangers.push(Stranger { host: patient.target.name.clone(), key: *key });
        }
    }
    if strangers.is_empty() || !operator.vouches_for(&strangers).await {
        return Vec::new();
    }
    let keys: Vec<_> = strangers.into_iter().map(|stranger| stranger.key).collect();
    let accepted = transport.accept(&keys).await;
    let mut again = Vec::new();
    for (index, accepted) in indices.into_iter().zip(accepted) {
        match accepted {
            Ok(()) => again.extend(patients.remove(&index).map(|patient| (index, patient.target))),
            Err(fault) => {
                patients.entry(index).and_modify(|patient| patient.asked = Err(fault));
            }
        }
    }
    again
}

fn exit_code(patients: &[Patient]) -> ExitCode {
    if patients.iter().any(|patient| patient.asked.is_err()) {
        return ExitCode::Unreachable;
    }
    match patients.iter().any(|patient| patient.worst() == Level::Problem) {
        true => ExitCode::HostFailed,
        false => ExitCode::Success,
    }
}

impl Patient {
    fn worst(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).min().unwrap_or(Level::Fine)
    }
}

/// What findings of several hosts have in common.
#[derive(Default)]
struct Alike {
    said: Folded,
    /// Of each host and its finding: the fix, and what was measured.
    fixes: HashMap<String, String>,
    measured: HashMap<String, Measured>,
}

/// Alike hosts in one line, problems first, then in the order of the checks.
fn text(patients: &[Patient], term: &Term) -> String {
    let mut alike: BTreeMap<(Level, usize), (&str, Alike)> = BTreeMap::new();
    for Patient { target, findings, .. } in patients {
        let name = &target.name;
        for finding in findings {
            let (level, check) = (finding.level, finding.check);
            let at = finding::CHECKS.iter().position(|known| *known == check).unwrap_or(usize::MAX);
            let (_, alike) = alike.entry((level, at)).or_insert_with(|| (check, Alike::default()));
            alike.said.say(name, &finding.message);
            alike.fixes.extend(finding.fix.clone().map(|fix| (name.clone(), fix)));
            alike.measured.extend(finding.measured.map(|measured| (name.clone(), measured)));
        }
    }
    let mut text = String::new();
    for ((level, _), (check, mut alike)) in alike {
        let tone = match level {
            Level::Problem => Tone::Bad,
            Level::Warning => Tone::Doubtful,
            Level::Fine => Tone::Good,
        };
        for (hosts, message) in alike.said.take() {
            let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
            let measured = range(hosts.iter().filter_map(|host| alike.measured.get(host).copied()));
            let word = term.paint_out(tone, &format!("{:<7}", level.word()));
            let who = term.paint_out(Tone::Strong, &who(&names));
            text.push_str(&format!("{word}  {who}: {check}: {message}{measured}\n"));
            if let Some(fix) = alike.fixes.get(&hosts[0]) {
                text.push_str(&format!("         fix: {}\n", visible_line(fix)));
            }
        }
    }
    text
}

/// ` in 20 ms to 1.2 s`, ` (3.1 GB)`: the least and the most.
fn range(measured: impl Iterator<Item = Measured>) -> String {
    let (mut took, mut free): (Vec<Duration>, Vec<u64>) = (Vec::new(), Vec::new());
    for measured in measured {
        match measured {
            Measured::Took(duration) => took.push(duration),
            Measured::FreeKb(kb) => free.push(kb),
        }
    }
    let span = |least: String, most: String| if least == most { least } else { format!("{least} to {most}") };
    let milliseconds = |duration: &Duration| units::duration(duration.as_millis() as u64);
    let size = |kb: &u64| units::size(kb.saturating_mul(1024));
    match (took.iter().min().zip(took.iter().max()), free.iter().min().zip(free.iter().max())) {
        (Some((least, most)), _) => format!(" in {}", span(milliseconds(least), milliseconds(most))),
        (_, Some((least, most))) => format!(" ({} free)", span(size(least), size(most))),
        _ => String::new(),
    }
}

/// In the words of exec.
fn tell_unreachable(patients: &[Patient], term: &Term) {
    let mut failures = Failures::default();
    for Patient { target, asked, .. } in patients {
        if let Err(fault) = asked {
            let failure = Verdict::from(fault.clone()).failure;
            let result = HostResult { failure, ..HostResult::bare(Outcome::Unreachable, Timestamp::now()) };
            failures.add(&target.name, &result);
        }
    }
    failures.tell(term, "cronium-run doctor TARGETS -o json");
}

/// `1000 hosts: 990 ok, 7 with warnings, 2 with problems, 1 unreachable in 9.2 s`
fn summary(patients: &[Patient], took: Duration) -> String {
    let at =
        |level| patients.iter().filter(|patient| patient.asked.is_ok() && patient.worst() == level).count();
    let unreachable = patients.iter().filter(|patient| patient.asked.is_err()).count();
    let counts = [
        (at(Level::Fine), "ok"),
        (at(Level::Warning), "with warnings"),
        (at(Level::Problem), "with problems"),
        (unreachable, "unreachable"),
    ];
    let counts: Vec<String> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let took = units::duration(took.as_millis() as u64);
    format!("{}: {} in {took}", units::hosts(patients.len()), counts.join(", "))
}

fn document(patient: &Patient) -> Value {
    let Patient { target, asked, findings } = patient;
    let name = &target.name;
    match asked {
        Err(fault) => {
            let Fault { phase, kind, message, causes, hint, unknown: _ } = fault;
            let phase = format!("{phase:?}").to_lowercase();
            let failure =
                json!({ "phase": phase, "kind": kind, "message": message, "causes": causes, "hint": hint });
            json!({ "host": name, "state": "unreachable", "failure": failure, "findings": [] })
        }
        Ok(survey) => {
            let findings: Vec<Value> = findings
                .iter()
                .map(|finding| {
                    let Finding { check, level, message, fix, .. } = finding;
                    json!({ "check": check, "level": level.word(), "message": message, "fix": fix })
                })
                .collect();
            let mut document = json!({ "host": name, "state": patient.worst().word(), "failure": null, "findings": findings });
            document["survey"] = surveyed(survey);
            document
        }
    }
}

fn surveyed(survey: &Survey) -> Value {
    let places = survey.places.iter().map(|place| {
        json!({
            "path": place.path,
            "state": format!("{:?}", place.state).to_lowercase(),
            "free_kb": place.free_kb,
            "size_kb": place.size_kb,
        })
    });
    let interpreters = survey
        .interpreters
        .iter()
        .map(|found| json!({ "name": found.name, "path": found.path, "version": found.version }));
    let memory = survey
        .memory
        .as_ref()
        .map(|memory| json!({ "total_kb": memory.total_kb, "available_kb": memory.available_kb }));
    json!({
        "login_ms": survey.login.as_ref().map(|login| login.took.as_millis() as u64),
        "round_trip_ms": survey.login.as_ref().map(|login| login.round_trip.as_millis() as u64),
        "credential": survey.login.as_ref().map(|login| login.credential.to_string()),
        "user": survey.user,
        "shell": survey.shell,
        "system": survey.system,
        "machine": survey.machine,
        "clock_ahead_s": (survey.clock_ahead * 10.0).round() / 10.0,
        "places": places.collect::<Vec<_>>(),
        "runner": survey.cached,
        "memory": memory,
        "interpreters": interpreters.collect::<Vec<_>>(),
        "forwards_sockets": survey.forwarding.socket.is_none(),
        "forwards_ports": survey.forwarding.port.is_none(),
    })
}
