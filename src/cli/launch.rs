//! Plan → ledger → fleet → reports → exit code: the way of every command that runs on hosts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use cronium_wire::manifest::HelperAccess;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Context;
use super::artifact_store::LedgerArtifacts;
use super::gate::ShellGate;
use super::hooks::{HookArgs, Hooks};
use super::left_open;
use super::operator::Operator;
use super::order::{self, Order};
use super::strangers::AskOperator;
use super::variables::LedgerVariables;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::event::{Event, EventKind, Kept, PayloadInfo, Sink, Summary};
use crate::fleet;
use crate::helper_api::{Api, Limits, RunContext};
use crate::inventory::{Account, ssh_config};
use crate::ledger::{HostRow, Ledger, NewRun, Reader, Resumed, RunRecorder};
use crate::payload::Signed;
use crate::plan::{Plan, Task};
use crate::report::{Output, Reporters};
use crate::term::Term;
use crate::transport::Transport;
use crate::transport::keeper::Keeper;

/// How a run is told.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Telling")]
pub struct Telling {
    /// What to print
    #[arg(short, long, value_name = "FORMAT", env = "CRONIUM_RUN_OUTPUT", default_value = "auto")]
    pub output: Output,
    /// No progress and no summary: only data and errors
    #[arg(short, long, env = "CRONIUM_RUN_QUIET", value_parser = clap::builder::BoolishValueParser::new())]
    pub quiet: bool,
    /// Write the outcome of every host as JUnit XML, too
    #[arg(long, value_name = "FILE", env = "CRONIUM_RUN_JUNIT")]
    pub junit: Option<PathBuf>,
    /// Write every event as a line of JSON, too
    #[arg(long, value_name = "FILE", env = "CRONIUM_RUN_EVENTS")]
    pub events: Option<PathBuf>,
    /// Write each host's output to files of its own, too
    #[arg(long, value_name = "DIR", env = "CRONIUM_RUN_OUTPUT_DIR")]
    pub output_dir: Option<PathBuf>,
    /// The command says by itself what came of it.
    #[arg(skip)]
    is_silent: bool,
}

impl Telling {
    pub fn is_for_people(&self) -> bool {
        !self.quiet && matches!(self.output, Output::Auto | Output::Stream | Output::Grouped)
    }

    /// For commands that say what came of it by themselves.
    pub fn silent() -> Self {
        Self { output: Output::Quiet, quiet: true, is_silent: true, ..Self::default() }
    }

    /// Whether stdout is given nothing.
    fn is_quiet(&self) -> bool {
        self.output == Output::Quiet || self.quiet && self.output == Output::Auto
    }

    /// `is_left`: the run is left as soon as it is begun. What a host prints by then is chance, so where
    /// nothing is to be said that is its id, for whoever comes back.
    fn reporters(&self, is_left: bool, context: &Context) -> Result<Reporters> {
        let mut reporters = match self.quiet {
            _ if self.is_silent => Reporters::silent(&context.term),
            _ if is_left && self.is_quiet() => Reporters::named(&context.term),
            true => Reporters::terse(self.output, &context.term),
            false => Reporters::live(self.output, &context.term),
        };
        if let Some(path) = &self.events {
            reporters.events_file(path)?;
        }
        self.add_files(&mut reporters)?;
        Ok(reporters)
    }

    /// Of a run that is over: what is told as a whole and was asked for.
    fn documents(&self, context: &Context) -> Result<Reporters> {
        let mut reporters = match self.output {
            Output::Grouped | Output::Json if self.quiet => Reporters::terse(self.output, &context.term),
            Output::Grouped | Output::Json => Reporters::replay(self.output, &context.term),
            Output::Auto | Output::Stream | Output::Jsonl | Output::Quiet => Reporters::default(),
        };
        self.add_files(&mut reporters)?;
        Ok(reporters)
    }

    fn add_files(&self, reporters: &mut Reporters) -> Result<()> {
        if let Some(path) = &self.junit {
            reporters.junit(path)?;
        }
        if let Some(path) = &self.output_dir {
            reporters.output_dir(path)?;
        }
        Ok(())
    }
}

/// `--check`: prints the plan and touches nothing.
pub fn check(plan: &Plan, context: &Context) -> Result<ExitCode> {
    super::listing::printed(context.term.data(super::listing::json(&plan.to_json())?.as_bytes()))
}

/// Carries the plan out and says how it went.
pub fn launch(
    plan: Plan,
    telling: &Telling,
    hooks: &HookArgs,
    ledger: &Path,
    context: &Context,
) -> Result<ExitCode> {
    let order = matches!(plan.task, Task::Run(_)).then(|| Order::of(&plan));
    Launch { telling, hooks, context }.begin(plan, ledger, order, None).map(|(_, code)| code)
}

/// As [`launch`], for hosts that are gone afterwards: nothing is kept to ask them again. Their lease is
/// zero, so that nobody is offered to leave them.
pub fn launch_once(plan: Plan, telling: &Telling, ledger: &Path, context: &Context) -> Result<ExitCode> {
    let hooks = HookArgs::default();
    Launch { telling, hooks: &hooks, context }.begin(plan, ledger, None, None).map(|(_, code)| code)
}

/// What every run is told with.
#[derive(Clone, Copy)]
pub struct Launch<'a> {
    pub telling: &'a Telling,
    pub hooks: &'a HookArgs,
    pub context: &'a Context,
}

impl Launch<'_> {
    /// A run of its own. `rerun_of` is the run whose hosts it runs on again.
    pub fn begin(
        self,
        plan: Plan,
        ledger: &Path,
        order: Option<Order>,
        rerun_of: Option<String>,
    ) -> Result<(Summary, ExitCode)> {
        // Files to write are opened before any host is touched.
        let is_left = plan.run().is_some_and(|run| run.detach);
        let reporters = self.telling.reporters(is_left, self.context)?;
        let ledger = Ledger::open(ledger)?;
        if self.telling.is_for_people() {
            left_open::tell(&ledger.reader()?, rerun_of.as_deref(), &self.context.term);
        }
        let means = Ready::of(self, &plan, &ledger, &reporters)?;
        let payload = payload(&plan);
        let order = order.and_then(|order| order.seal(&plan.run, &ledger, self.context));
        ledger.begin_run(NewRun {
            id: plan.run.clone(),
            command: plan.command.clone(),
            payload: payload.map(info),
            git_sha: git_sha(),
            operator: operator(),
            plan: plan.to_json(),
            hosts: plan.hosts(),
            started_at: Timestamp::now(),
            rerun_of,
            signed: order.as_ref().and(plan.run()).map(|run| order::kept(&run.payload)),
            order,
        })?;
        let started = EventKind::RunStarted {
            run: plan.run.clone(),
            command: plan.command.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            payload: payload.map(info),
            hosts: plan.hosts(),
        };
        let recorder = ledger.recorder(&plan.run);
        self.carry_out(plan, means, started, recorder, reporters)
    }

    /// A run that goes on: what its hosts tell goes behind what is recorded.
    pub fn resume(self, plan: Plan, ledger: &Ledger, resumed: Resumed) -> Result<(Summary, ExitCode)> {
        let mut reporters = self.telling.reporters(false, self.context)?;
        if reporters.is_any_for_all() {
            reporters.recall(ledger.reader()?.events(&plan.run)?)?;
        }
        let means = Ready::of(self, &plan, ledger, &reporters)?;
        let first = resuming(&plan);
        self.carry_out(plan, means, first, resumed.recorder, reporters)
    }

    /// Ends a run all of whose hosts have ended, where its process died before it could say so.
    pub fn settle(self, plan: Plan, resumed: Resumed) -> Result<(Summary, ExitCode)> {
        let Task::Resume(resume) = &plan.task else { return Err(Error::failure("there is a run to settle")) };
        let mut reporters = self.telling.reporters(false, self.context)?.without_documents();
        let mut recorder = resumed.recorder;
        let hosts = resume.settled.len() as u64;
        let mut summary = Summary { hosts, stopped: resume.stopped, ..Summary::default() };
        resume.settled.iter().for_each(|outcome| summary.add(*outcome));
        let events = [resuming(&plan), EventKind::RunFinished { summary: summary.clone() }];
        for (seq, kind) in (resume.next_seq..).zip(events) {
            let event = Event { seq, at: Timestamp::now(), mark: None, kind };
            recorder.event(&event)?;
            Sink::event(&mut reporters, &event)?;
        }
        recorder.finish()?;
        let code = summary.exit_code();
        Ok((summary, code))
    }

    /// Tells a run that is over from the ledger, where it is told as a whole. Whether stdout was given
    /// that.
    pub fn tell_again(self, run: &str, reader: &Reader) -> Result<bool> {
        let mut reporters = self.telling.documents(self.context)?;
        if reporters.is_any_for_all() {
            reporters.recall(reader.events(run)?)?;
            Sink::event(&mut reporters, &end_of(run, reader)?)?;
        }
        match reporters.take_failure() {
            Some(error) => Err(error),
            None => Ok(matches!(self.telling.output, Output::Grouped | Output::Json)),
        }
    }

    fn carry_out(
        self,
        plan: Plan,
        ready: Ready,
        first: EventKind,
        recorder: RunRecorder,
        mut reporters: Reporters,
    ) -> Result<(Summary, ExitCode)> {
        let Ready { mut hooks, means } = ready;
        let plan = Arc::new(plan);
        let mut sink = LedgerFirst { recorder, reporters: &mut reporters, hooks: &mut hooks };
        let summary = fleet::run(&plan, means, first, &mut sink)?;
        let recorded = sink.recorder.finish();
        // What is on disk does not wait for them, and they are waited for whatever became of it.
        let hooked = hooks.finish();
        recorded?;
        if let Some(error) = reporters.failure() {
            self.context.term.error(error);
            return Ok((summary, ExitCode::Failure));
        }
        let code = match summary.exit_code() {
            ExitCode::Success => hooked,
            code => code,
        };
        Ok((summary, code))
    }
}

/// How a run stands in the ledger, as its last event would say it.
fn end_of(run: &str, reader: &Reader) -> Result<Event> {
    let past = reader.run(run)?;
    let rows = reader.results(run)?;
    let last = reader.events_of(run, None, &["run_finished"])?.last().transpose()?;
    let duration_ms = past.duration_ms().unwrap_or(0);
    let mut summary = Summary { duration_ms, ..Summary::of(rows.iter().map(HostRow::outcome)) };
    if let Some(Event { kind: EventKind::RunFinished { summary: last }, .. }) = &last {
        (summary.stopped, summary.duration_ms) = (last.stopped, last.duration_ms);
    }
    let at = last.map(|event| event.at).or(past.last_event_at).unwrap_or(past.started_at);
    Ok(Event { seq: u64::MAX, at, mark: None, kind: EventKind::RunFinished { summary } })
}

fn resuming(plan: &Plan) -> EventKind {
    EventKind::RunResumed {
        run: plan.run.clone(),
        command: plan.command.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        payload: payload(plan).map(info),
        hosts: plan.hosts(),
    }
}

/// All that may fail before the ledger is told of a run.
struct Ready {
    hooks: Hooks,
    means: fleet::Means,
}

impl Ready {
    fn of(launch: Launch<'_>, plan: &Plan, ledger: &Ledger, reporters: &Reporters) -> Result<Self> {
        let term = &launch.context.term;
        let hooks = Hooks::start(launch.hooks, &plan.run, term)?;
        let variables = Arc::new(LedgerVariables::new(ledger)?);
        let api = Api::new(run_context(plan), helpers(plan), variables, Limits::default())?;
        let keeper = plan.persist.and_then(|persist| keeper(persist, term));
        let gate = plan.strategy.gate.as_ref();
        let ask = AskOperator::new(launch.telling.is_for_people(), term);
        let means = fleet::Means {
            transport: Transport::remembering(launch.context.login_keys_path()?).kept_by(keeper),
            api,
            artifacts: Arc::new(LedgerArtifacts(ledger.artifacts())),
            gate: gate.map(|gate| Box::new(ShellGate::new(gate, term)) as Box<dyn fleet::Gate>),
            vouch: ask.map(|ask| Arc::new(ask) as Arc<dyn fleet::Vouch>),
            operator: Arc::new(Operator::new(term, reporters.pending())),
        };
        Ok(Self { hooks, means })
    }
}

/// Without a keeper the run makes connections of its own.
fn keeper(persist: Duration, term: &Term) -> Option<Keeper> {
    let begun = Keeper::new(persist).and_then(|keeper| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.or_fail(|| "cannot start the threads that talk to the keeper")?.block_on(keeper.begin())?;
        Ok(keeper)
    });
    match begun {
        Ok(keeper) => Some(keeper),
        Err(error) => {
            let why = error.in_one_line();
            super::shell::warn(term, &format!("no connection is kept: {why}"));
            None
        }
    }
}

/// What is on disk is told, then hooks are run; a ledger that fails stops the run, a reporter or a
/// hook that fails does not.
struct LedgerFirst<'a> {
    recorder: RunRecorder,
    reporters: &'a mut Reporters,
    hooks: &'a mut Hooks,
}

impl Sink for LedgerFirst<'_> {
    fn event(&mut self, event: &Event) -> Result<()> {
        let recorded = self.recorder.event(event);
        self.reporters.event(event)?;
        self.hooks.event(event);
        recorded
    }

    fn keep(&mut self, kept: Kept) {
        self.recorder.keep(kept);
    }

    fn forgotten(&mut self, hosts: Vec<String>) {
        self.recorder.forgotten(hosts);
    }
}

fn run_context(plan: &Plan) -> RunContext {
    let Some(run) = plan.run() else {
        return RunContext { run: plan.run.clone(), ..RunContext::default() };
    };
    let metadata = &run.payload.packed.manifest.metadata;
    let text = |name: &str| match metadata.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    RunContext {
        run: plan.run.clone(),
        project: run.project.clone(),
        input: run.input.clone(),
        // As the stub has it in CRONIUM_JOB_ID.
        job_id: Some(text("jobId")).filter(|id| !id.is_empty()).unwrap_or_else(|| plan.run.clone()),
        event_id: text("eventId"),
        event_name: metadata
            .get("eventName")
            .map_or_else(|| run.payload.packed.name.clone(), |_| text("eventName")),
        event_type: text("trigger"),
        user_id: operator().unwrap_or_default(),
        started_at: Timestamp::now(),
        metadata: json!(metadata),
    }
}

/// What the manifest lets its scripts touch.
fn helpers(plan: &Plan) -> HelperAccess {
    plan.run().map(|run| run.payload.packed.manifest.helpers.clone()).unwrap_or_default()
}

/// The payload the ledger names the run after.
fn payload(plan: &Plan) -> Option<&Signed> {
    match &plan.task {
        Task::Deploy { payloads, .. } => payloads.first().map(Arc::as_ref),
        Task::Run(_) | Task::Resume(_) => plan.run().map(|run| run.payload.as_ref()),
    }
}

fn info(signed: &Signed) -> PayloadInfo {
    PayloadInfo {
        name: signed.packed.name.clone(),
        digest: signed.packed.digest_hex(),
        bytes: signed.packed.bytes.len() as u64,
        release: signed.packed.manifest.release,
        signer: Some(signed.public_key.fingerprint()),
    }
}

/// `user@machine`, for people who share a ledger.
pub(super) fn operator() -> Option<String> {
    let account = Account::current().ok()?;
    Some(format!("{}@{}", account.user, account.machine))
}

/// The commit of the folder we are in, where it is one of git.
fn git_sha() -> Option<String> {
    // Without a repository above us there is no need to start git.
    std::env::current_dir().ok()?.ancestors().find(|dir| dir.join(".git").exists())?;
    let output = Command::new("git").args(["rev-parse", "HEAD"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The command line as typed, quoted so that a shell reads it back. It is kept and shown, so values
/// that may be secret are left out of it.
pub fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let words = without_values(words);
    let quoted = shlex::try_join(words.iter().map(String::as_str));
    format!("cronium-run {}", quoted.unwrap_or_else(|_| words.join(" ")))
}

/// The error with a command of the past to type, unless something is left out of what is kept of it: that
/// would run something else.
pub fn type_again(error: Error, command: &str) -> Error {
    if command.contains(HIDDEN) { error } else { error.hint(command) }
}

/// In place of what may be secret.
const HIDDEN: &str = "***";

/// Hides what `--env` and `--input` were given, names and files aside, the commands of hooks and
/// gates, as the address of a web hook is often a password, and variables and commands of
/// `--ssh-option`.
fn without_values(mut words: Vec<String>) -> Vec<String> {
    let hide_env = |value: &str| match value.split_once('=') {
        Some((name, _)) => format!("{name}={HIDDEN}"),
        None => HIDDEN.to_owned(),
    };
    let hide_input = |value: &str| match value.starts_with('@') || value == "-" {
        true => value.to_owned(),
        false => HIDDEN.to_owned(),
    };
    let hide_option = |value: &str| match ssh_config::known_setting(value) {
        Ok(Some((keyword, _))) if keyword == "setenv" => format!("SetEnv={HIDDEN}"),
        Ok(Some((keyword, _))) if keyword == "proxycommand" => format!("ProxyCommand={HIDDEN}"),
        _ => value.to_owned(),
    };
    const HOOKS: [&str; 3] = ["--on-condition", "--on-notify", "--gate"];
    // Behind `--` stand the script's own words.
    let ours = words.iter().position(|word| word == "--").unwrap_or(words.len());
    for index in 0..ours {
        if let Some(value) = words[index].strip_prefix("--env=") {
            words[index] = format!("--env={}", hide_env(value));
        } else if let Some(value) = words[index].strip_prefix("--input=") {
            words[index] = format!("--input={}", hide_input(value));
        } else if let Some(value) = words[index].strip_prefix("--ssh-option=") {
            words[index] = format!("--ssh-option={}", hide_option(value));
        } else if let Some((flag, _)) = words[index].split_once('=').filter(|(flag, _)| HOOKS.contains(flag))
        {
            words[index] = format!("{flag}={HIDDEN}");
        } else if index > 0 && HOOKS.contains(&words[index - 1].as_str()) {
            words[index] = HIDDEN.to_owned();
        } else if index > 0 && words[index - 1] == "--env" {
            words[index] = hide_env(&words[index]);
        } else if index > 0 && words[index - 1] == "--input" {
            words[index] = hide_input(&words[index]);
        } else if index > 0 && words[index - 1] == "--ssh-option" {
            words[index] = hide_option(&words[index]);
        }
    }
    words
}

/// A new run's id.
pub fn new_run() -> String {
    ulid::Ulid::generate().to_string()
}

/// `--timeout`: as a manifest writes it.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    match cronium_wire::manifest::duration::parse(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => Err("a time above zero is meant".into()),
        Err(reason) => Err(reason.to_string()),
    }
}

/// `--input`: JSON, `@FILE`, or `-` for stdin.
pub fn input(text: Option<&str>) -> Result<Value> {
    let Some(text) = text else { return Ok(Value::Null) };
    let (what, json) = match (text, text.strip_prefix('@')) {
        ("-", _) => (
            "stdin".to_owned(),
            std::io::read_to_string(std::io::stdin()).or_fail(|| "cannot read the input from stdin")?,
        ),
        (_, Some(path)) => (
            path.to_owned(),
            std::fs::read_to_string(path).map_err(|error| {
                Error::usage(format!("cannot read the input from {path}"))
                    .because(error)
                    .hint("--input @FILE  takes a file of JSON")
            })?,
        ),
        (text, None) => ("--input".to_owned(), text.to_owned()),
    };
    serde_json::from_str(&json).map_err(|error| {
        Error::usage(format!("{what} is not JSON"))
            .because(error)
            .hint("--input '{\"name\": \"value\"}', --input @FILE, or --input -")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the clock does: their last 80 bits are random.
    #[test]
    fn no_two_runs_have_one_name() {
        let names: std::collections::HashSet<String> = (0..10_000).map(|_| new_run()).collect();
        assert_eq!(names.len(), 10_000);
        assert!(names.iter().all(|name| name.len() == 26));
    }

    #[test]
    fn values_that_may_be_secret_are_not_kept() {
        // typed, kept
        const TABLE: &[(&str, &str)] = &[
            ("exec a --env PW=x --env=Q=y", "exec a --env PW=*** --env=Q=***"),
            ("exec a --input {} --input=@f", "exec a --input *** --input=@f"),
            ("exec a --on-notify x=y --on-condition=z=a", "exec a --on-notify *** --on-condition=***"),
            ("exec a --gate x --gate=y --gate-timeout 5s", "exec a --gate *** --gate=*** --gate-timeout 5s"),
            (
                "exec a --ssh-option SetEnv=A=b --ssh-option=setenv=A=b",
                "exec a --ssh-option SetEnv=*** --ssh-option=SetEnv=***",
            ),
            (
                "exec a --ssh-option=ProxyCommand=nc --ssh-option Port=22",
                "exec a --ssh-option=ProxyCommand=*** --ssh-option Port=22",
            ),
            ("exec a -- --env Z=1 --on-notify b", "exec a -- --env Z=1 --on-notify b"),
        ];
        for (typed, want) in TABLE {
            let kept = without_values(typed.split(' ').map(str::to_owned).collect());
            assert_eq!(kept.join(" "), *want);
            let hints = type_again(Error::failure("no"), want).hints;
            assert_eq!(hints.is_empty(), kept.join(" ").contains("***"), "{want}");
        }
        // As ssh_config writes it: a blank between the keyword and its value.
        let typed = ["--ssh-option", " \"SetEnv\" A=b C=d", "--ssh-option=PROXYCOMMAND  nc %h"];
        let kept = without_values(typed.map(str::to_owned).to_vec());
        assert_eq!(kept, ["--ssh-option", "SetEnv=***", "--ssh-option=ProxyCommand=***"]);
    }
}
