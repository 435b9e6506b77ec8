//! Starts the payload's entrypoint.
//!
//! By system calls of its own: the standard library's way cannot start a process right in its control
//! group, which otherwise takes the kernel 10 ms, and is 10 kB more.

use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int};
use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::ptr;

use cronium_wire::manifest::Manifest;
use rustix::process::Pid;

use crate::cgroup::Cgroup;
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
        group: Option<&Cgroup>,
    ) -> Result<Self, Refusal> {
        let path = environment.get("PATH").unwrap_or_default();
        let mut argv = program(manifest, sdk, path, work)?;
        argv.extend(manifest.args.iter().chain(args).map(OsString::from));
        spawn(&argv, environment, work, group).map_err(|error| {
            let message = format!("cannot start {}", argv[0].display());
            let refusal = Refusal::new("exec", "start", message).because(&error);
            match error.kind() {
                io::ErrorKind::PermissionDenied => refusal.hint("mount | grep noexec"),
                _ => refusal.hint("cronium-run inspect PAYLOAD"),
            }
        })
    }
}

/// Everything that the new process uses between its beginning and its program: it may not allocate.
struct Prepared {
    program: CString,
    argv: Vec<CString>,
    environment: Vec<CString>,
    work: CString,
    stdin: File,
}

fn spawn(
    argv: &[OsString],
    environment: &Environment,
    work: &Path,
    group: Option<&Cgroup>,
) -> io::Result<Script> {
    let (stdout, stdout_writer) = io::pipe()?;
    let (stderr, stderr_writer) = io::pipe()?;
    // Says why there is no program, and is closed where there is one.
    let (mut failure, failure_writer) = io::pipe()?;
    let variables = environment.iter().map(|(name, value)| {
        let mut variable = name.clone();
        variable.push("=");
        variable.push(value);
        text(variable)
    });
    let prepared = Prepared {
        program: text(argv[0].clone())?,
        argv: argv.iter().cloned().map(text).collect::<io::Result<_>>()?,
        environment: variables.collect::<io::Result<_>>()?,
        work: text(work.into())?,
        stdin: File::open("/dev/null")?,
    };
    let (argv, environment) = (pointers(&prepared.argv), pointers(&prepared.environment));
    let streams = [prepared.stdin.as_raw_fd(), stdout_writer.as_raw_fd(), stderr_writer.as_raw_fd()];
    let group = group.and_then(Cgroup::open);
    // SAFETY: the child makes system calls only, on memory that is ready, until it is another program.
    let pid = unsafe {
        match fork(group.as_ref()) {
            0 => {
                become_script(&prepared.program, &argv, &environment, &prepared.work, streams);
                let code = io::Error::last_os_error().raw_os_error().unwrap_or(0).to_le_bytes();
                libc::write(failure_writer.as_raw_fd(), code.as_ptr().cast(), code.len());
                libc::_exit(127)
            }
            pid => pid,
        }
    };
    let pid = Pid::from_raw(pid).filter(|_| pid > 0).ok_or_else(io::Error::last_os_error)?;
    drop((stdout_writer, stderr_writer, failure_writer));
    let mut code = [0; 4];
    match failure.read_exact(&mut code) {
        // Waited for by whoever reaps all our descendants.
        Ok(()) => Err(io::Error::from_raw_os_error(i32::from_le_bytes(code))),
        Err(_) => Ok(Script { pid, stdout, stderr }),
    }
}

fn text(text: OsString) -> io::Result<CString> {
    CString::new(text.into_vec()).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a zero byte"))
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

/// As fork(2), right into the group where the kernel knows how to.
unsafe fn fork(group: Option<&File>) -> libc::pid_t {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    // clone3(2): flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
    // set_tid_size, cgroup.
    let mut arguments = [0u64; 11];
    if let Some(group) = group {
        (arguments[0], arguments[4], arguments[10]) =
            (CLONE_INTO_CGROUP, libc::SIGCHLD as u64, group.as_raw_fd() as u64);
        // SAFETY: without shared memory it is a fork; the arguments are as long as we say.
        let pid = unsafe { libc::syscall(libc::SYS_clone3, arguments.as_mut_ptr(), size_of_val(&arguments)) };
        if pid >= 0 {
            return pid as libc::pid_t;
        }
    }
    // SAFETY: the caller's.
    unsafe { libc::fork() }
}

/// Returns where it fails.
///
/// # Safety
/// Made for a process that was just forked; the pointers end with a null.
unsafe fn become_script(
    program: &CStr,
    argv: &[*const c_char],
    environment: &[*const c_char],
    work: &CStr,
    streams: [RawFd; 3],
) {
    // SAFETY: plain system calls, all allowed between fork and exec.
    unsafe {
        libc::setsid();
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong);
        for (at, stream) in streams.into_iter().enumerate() {
            if libc::dup2(stream, at as c_int) < 0 {
                return;
            }
        }
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
        // Ignored by us, and a program that is started inherits that.
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        if libc::chdir(work.as_ptr()) == 0 {
            libc::execve(program.as_ptr(), argv.as_ptr(), environment.as_ptr());
        }
    }
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
