//! Starts the payload's entrypoint.

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cronium_wire::manifest::Manifest;
use rustix::process::{Pid, Signal};

use crate::environment::Environment;
use crate::refusal::Refusal;
use crate::sdk::Sdk;

/// A script that runs in a session of its own.
pub struct Script {
    pub pid: Pid,
    pub stdout: PipeReader,
    pub stderr: PipeReader,
}

impl Script {
    pub fn start(
        manifest: &Manifest,
        sdk: &Sdk,
        args: &[String],
        environment: &Environment,
        work: &Path,
    ) -> Result<Self, Refusal> {
        let path = environment.get("PATH").unwrap_or_default();
        let mut argv = program(manifest, sdk, path, work)?.into_iter();
        let program = argv.next().expect("a program is at least its name");
        let mut command = Command::new(&program);
        command.args(argv).args(&manifest.args).args(args);
        command.env_clear().current_dir(work);
        for (name, value) in environment.iter() {
            command.env(name, value);
        }
        spawn(command).map_err(|error| {
            let refusal =
                Refusal::new("exec", "start", format!("cannot start {}", program.display())).because(&error);
            match error.kind() {
                io::ErrorKind::PermissionDenied => refusal.hint("mount | grep noexec"),
                _ => refusal.hint("cronium-run inspect PAYLOAD"),
            }
        })
    }
}

fn spawn(mut command: Command) -> io::Result<Script> {
    let (stdout, stdout_writer) = io::pipe()?;
    let (stderr, stderr_writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(stdout_writer).stderr(stderr_writer);
    // SAFETY: both calls are plain system calls, allowed between fork and exec.
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            Ok(())
        });
    }
    let child = command.spawn()?;
    // Never waited for through `child`: one thread reaps all our descendants.
    let pid = Pid::from_raw(child.id() as i32).expect("a started process has a number");
    Ok(Script { pid, stdout, stderr })
}

/// The program and the arguments in front of the manifest's own.
fn program(manifest: &Manifest, sdk: &Sdk, path: &OsStr, work: &Path) -> Result<Vec<OsString>, Refusal> {
    let entrypoint = work.join(&manifest.entrypoint).into_os_string();
    let candidates = manifest.interpreter.candidates();
    let Some(first) = candidates.first() else { return Ok(vec![entrypoint]) };
    let found = candidates.iter().find_map(|name| find(OsStr::new(name), path, work));
    let interpreter = found.ok_or_else(|| missing(first))?;
    let mut program = vec![OsString::from(interpreter)];
    program.extend(sdk.arguments(&manifest.interpreter));
    program.extend(manifest.interpreter.arguments().into_iter().map(OsString::from));
    program.push(entrypoint);
    Ok(program)
}

fn missing(name: &str) -> Refusal {
    Refusal::new("exec", "interpreter", format!("the host has no '{name}' on its PATH"))
        .hint(format!("install {name} on the host, or change 'interpreter' in manifest.yaml"))
}

/// Looks a program up as execvp does, in the script's PATH.
fn find(name: &OsStr, path: &OsStr, work: &Path) -> Option<PathBuf> {
    let is_program = |path: &Path| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if name.as_encoded_bytes().contains(&b'/') {
        return Some(work.join(name)).filter(|path| is_program(path));
    }
    // Relative folders count from where the script runs.
    std::env::split_paths(path).map(|dir| work.join(dir).join(name)).find(|path| is_program(path))
}
