//! A command on a channel, as sshd runs it.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use russh::server::{Handle, Msg};
use russh::{Channel, ChannelWriteHalf, Sig};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;
use tokio::time::timeout;

use super::inflow::{self, End};

const PIECE: usize = 32 << 10;
/// SSH's code for stderr.
const STDERR: u32 = 1;
/// A client that closes its channel leaves its command without pipes. The runner stub takes that
/// as a lost link and gives its script 10 s to end.
const GONE_WITHIN: Duration = Duration::from_secs(15);

/// Connects the child's pipes with the channel until both outputs are at their end and it has
/// ended; then tells how.
pub async fn run(mut child: Child, channel: Channel<Msg>, session: Handle, folder: &Path) {
    let (mut read, write) = channel.split();
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let input = async {
        if let Some(stdin) = stdin
            && inflow::pour(&mut read, stdin, folder).await == End::Closed
        {
            return;
        }
        inflow::closed(&mut read).await;
    };
    let output = async {
        tokio::join!(send(stdout, &write, None), send(stderr, &write, Some(STDERR)));
        child.wait().await
    };
    let status = tokio::select! {
        status = output => Some(status),
        () = input => None,
    };
    match status {
        Some(Ok(status)) => tell(status, &write, &session).await,
        Some(Err(_)) => {
            let _ = write.close().await;
        }
        // By now the pipes are closed.
        None => hang_up(child).await,
    }
}

/// Copies to the channel as fast as the client takes it.
pub async fn send(from: Option<impl AsyncRead + Unpin>, to: &ChannelWriteHalf<Msg>, extended: Option<u32>) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; PIECE];
    while let Ok(count) = from.read(&mut buffer).await
        && count > 0
    {
        let bytes = buffer[..count].to_vec();
        let sent = match extended {
            None => to.data_bytes(bytes).await,
            Some(code) => to.extended_data_bytes(code, bytes).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn tell(status: ExitStatus, write: &ChannelWriteHalf<Msg>, session: &Handle) {
    let _ = write.eof().await;
    match (status.code(), status.signal()) {
        (Some(code), _) => {
            let _ = write.exit_status(code as u32).await;
        }
        (None, signal) => {
            let name = signal_name(signal.unwrap_or_default());
            let (id, dumped) = (write.id(), status.core_dumped());
            let _ = session.exit_signal_request(id, name, dumped, String::new(), String::new()).await;
        }
    }
    let _ = write.close().await;
}

/// Names without `SIG`, as RFC 4254 section 6.10 lists them; for others the one that sshd sends.
fn signal_name(signal: i32) -> Sig {
    let named = [
        (Signal::ABORT, Sig::ABRT),
        (Signal::ALARM, Sig::ALRM),
        (Signal::FPE, Sig::FPE),
        (Signal::HUP, Sig::HUP),
        (Signal::ILL, Sig::ILL),
        (Signal::INT, Sig::INT),
        (Signal::KILL, Sig::KILL),
        (Signal::PIPE, Sig::PIPE),
        (Signal::QUIT, Sig::QUIT),
        (Signal::SEGV, Sig::SEGV),
        (Signal::TERM, Sig::TERM),
        (Signal::USR1, Sig::USR1),
    ];
    let found = named.into_iter().find(|(known, _)| known.as_raw() == signal);
    found.map_or_else(|| Sig::Custom("SIG@openssh.com".into()), |(_, name)| name)
}

async fn hang_up(mut child: Child) {
    let group = child.id().and_then(|id| Pid::from_raw(id as i32));
    if timeout(GONE_WITHIN, child.wait()).await.is_ok() {
        return;
    }
    // It was started as the leader of a group of its own.
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_their_names() {
        let name = |signal: Signal| format!("{:?}", signal_name(signal.as_raw()));
        assert_eq!(name(Signal::KILL), "KILL");
        assert_eq!(name(Signal::TERM), "TERM");
        assert_eq!(name(Signal::USR2), "Custom(\"SIG@openssh.com\")");
    }
}
