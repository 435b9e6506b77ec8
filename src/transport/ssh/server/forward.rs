//! `streamlocal-forward@openssh.com`: a Unix socket here whose connections the client serves.
//! Format: OpenSSH's PROTOCOL, section 2.4.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use russh::server::Handle;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::AbortHandle;

use super::command::send;
use super::inflow::{self, End};

/// Without file descriptors, accepting fails at once and again.
const BREATH: Duration = Duration::from_millis(100);

/// Listens until it is dropped, which removes the socket. Connections that are open go on.
pub struct Forward {
    path: PathBuf,
    accepting: AbortHandle,
}

impl Forward {
    /// An error where something is at `path` already, as with sshd.
    pub fn bind(path: &str, session: Handle, folder: PathBuf) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        // From here on the socket goes away with the value. Until its mode is set, the umask alone
        // keeps others from it: connecting takes the right to write.
        let accepting = tokio::spawn(accept(listener, path.to_owned(), session, folder)).abort_handle();
        let forward = Self { path: path.into(), accepting };
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(forward)
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, path: String, session: Handle, folder: PathBuf) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (path, session, folder) = (path.clone(), session.clone(), folder.clone());
                tokio::spawn(async move { relay(stream, path, session, &folder).await });
            }
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
}

/// Copies both ways until both are at their end. A client that refuses the channel leaves the
/// connection closed.
async fn relay(stream: UnixStream, path: String, session: Handle, folder: &Path) {
    let Ok(channel) = session.channel_open_forwarded_streamlocal(path).await else { return };
    let (mut read, write) = channel.split();
    let (from, to) = stream.into_split();
    let mut outward = pin!(async {
        send(Some(from), &write, None).await;
        let _ = write.eof().await;
    });
    let mut sent = false;
    let end = {
        let mut inward = pin!(inflow::pour(&mut read, to, folder));
        loop {
            tokio::select! {
                end = &mut inward => break end,
                () = &mut outward, if !sent => sent = true,
            }
        }
    };
    if end != End::Closed && !sent {
        tokio::select! {
            () = outward => {}
            () = inflow::closed(&mut read) => {}
        }
    }
    let _ = write.close().await;
}
