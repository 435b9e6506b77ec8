use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};

use super::listing::{self, Format, Table, plain};
use super::{Context, shell};
use crate::error::{Error, ExitCode, OrFail as _, Result};
use crate::report::units::duration;
use crate::term::Term;
use crate::transport::keeper::{self, Found, Place, Standing};

/// How long a keeper may take to say goodbye to its hosts.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// How long a command that is over may seem to be at work.
const LEFT_WITHIN: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

/// Look at the connections that --persist keeps, or close them
///
/// With --persist a process of yours, the keeper, holds the authenticated connections and lends them to
/// the commands that follow. It ends by itself once nothing is kept any more.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run exec --persist 10m 'web[1-3]' -- uptime
  cronium-run keeper status
  cronium-run keeper stop")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the connections that are kept: ready (a runner waits there), open, or in use
    Status {
        /// What to print
        #[arg(short, long, value_name = "FORMAT", default_value = "text")]
        output: Format,
    },
    /// Close all kept connections, unless a command is at work over one
    Stop {
        /// Close those too that a command is at work over: it goes on over connections of its own
        #[arg(long)]
        force: bool,
    },
    /// Be the keeper: started by commands that need one
    #[command(hide = true)]
    Serve,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    if matches!(args.action, Action::Serve) {
        detach();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .or_fail(|| "cannot start the threads that talk to the keeper")?;
    let place = Place::open()?;
    runtime.block_on(async {
        match args.action {
            Action::Status { output } => status(&place, output, &context.term).await,
            Action::Stop { force } => stop(&place, force, &context.term).await,
            Action::Serve => serve(&place, context).await,
        }
    })
}

/// It outlives the command that started it, and its terminal: it holds nothing of either's, such as
/// a lock or a pipe that somebody waits for. Its files are its own.
fn detach() {
    let _ = rustix::process::setsid();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<i32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The one that read the folder is closed already, and nothing else of ours is open yet.
        let _ = nix::unistd::close(descriptor);
    }
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

async fn status(place: &Place, output: Format, term: &Term) -> Result<ExitCode> {
    let mut standings = Vec::new();
    for Found { socket, is_ours } in place.keepers() {
        match keeper::standing(&socket).await {
            Some((_, Some(standing))) => standings.push(standing),
            Some((pid, None)) if is_ours => {
                return Err(Error::failure(format!("the keeper (process {pid}) does not answer"))
                    .hint("cronium-run keeper stop"));
            }
            Some((pid, None)) => {
                shell::warn(
                    term,
                    &format!("process {pid} keeps connections for another build of cronium-run"),
                );
            }
            None => {}
        }
    }
    let text = match output {
        Format::Json => listing::json(&standings)?,
        Format::Text if standings.iter().all(|standing| standing.connections.is_empty()) => {
            term.note("no connection is kept; exec --persist 10m keeps those it makes");
            return Ok(ExitCode::Success);
        }
        Format::Text => table(&standings, term),
    };
    listing::printed(term.data(text.as_bytes()))
}

fn table(standings: &[Standing], term: &Term) -> String {
    let mut table = Table::new(["KEEPER", "HOST", "STATE", "CLOSES IN"]);
    for standing in standings {
        for kept in &standing.connections {
            let state = match (kept.left_ms, kept.is_ready) {
                (None, _) => "in use",
                (Some(_), true) => "ready",
                (Some(_), false) => "open",
            };
            table.row([
                plain(standing.pid.to_string()),
                plain(kept.to.clone()),
                plain(state),
                plain(kept.left_ms.map(duration).unwrap_or_default()),
            ]);
        }
    }
    table.text(term)
}

/// The process of a keeper, and the connections that commands are at work over; `None` where nobody
/// listens.
async fn lent(socket: &Path) -> Option<(i32, Vec<String>)> {
    let (pid, standing) = keeper::standing(socket).await?;
    let kept = standing.map(|standing| standing.connections).unwrap_or_default();
    Some((pid, kept.into_iter().filter(|kept| kept.left_ms.is_none()).map(|kept| kept.to).collect()))
}

async fn stop(place: &Place, force: bool, term: &Term) -> Result<ExitCode> {
    let mut stopped = 0;
    for Found { socket, .. } in place.keepers() {
        // Whatever language it speaks, it ends at a signal.
        let Some((pid, mut lent)) = lent(&socket).await else { continue };
        let begun = Instant::now();
        // A command that is over has left before the keeper has seen it go.
        while !lent.is_empty() && !force && begun.elapsed() < LEFT_WITHIN {
            tokio::time::sleep(LOOK).await;
            lent = self::lent(&socket).await.map(|(_, lent)| lent).unwrap_or_default();
        }
        if let Some(first) = lent.first()
            && !force
        {
            let others = if lent.len() > 1 { format!(" and {} more", lent.len() - 1) } else { String::new() };
            let message = format!("{first}{others}: a command is at work over the keeper's connection");
            return Err(Error::failure(message)
                .hint("wait for it; or cronium-run keeper stop --force, which makes it connect by itself"));
        }
        let process = Pid::from_raw(pid).ok_or_else(|| Error::failure("the keeper has no process"))?;
        kill_process(process, Signal::TERM).or_fail(|| format!("cannot stop the keeper, process {pid}"))?;
        let gone = async {
            while socket.exists() {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(STOP_WITHIN, gone).await.is_err() {
            return Err(Error::failure(format!("the keeper does not end: process {pid}"))
                .hint(format!("kill -9 {pid}")));
        }
        stopped += 1;
    }
    term.note(match stopped {
        0 => "no keeper runs",
        1 => "the keeper is stopped",
        _ => "all keepers are stopped",
    });
    Ok(ExitCode::Success)
}

async fn serve(place: &Place, context: &Context) -> Result<ExitCode> {
    let ready = || {
        // Whoever waits for the word has started us.
        let _ = context.term.data(b"\n");
    };
    keeper::serve(place, context.login_keys_path()?, ready)
        .await
        .or_fail(|| "the keeper of connections failed")?;
    Ok(ExitCode::Success)
}
