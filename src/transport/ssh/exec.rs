//! A command on a channel.

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Pty};

use crate::transport::inbox::{Hear, Inbox, Piece};

/// A terminal that passes every byte as it is, both ways (RFC 4254, section 8).
const RAW: &[(Pty, u32)] = &[
    (Pty::IGNPAR, 0),
    (Pty::PARMRK, 0),
    (Pty::INPCK, 0),
    (Pty::ISTRIP, 0),
    (Pty::INLCR, 0),
    (Pty::IGNCR, 0),
    (Pty::ICRNL, 0),
    (Pty::IUCLC, 0),
    (Pty::IXON, 0),
    (Pty::IXOFF, 0),
    (Pty::ISIG, 0),
    (Pty::ICANON, 0),
    (Pty::IEXTEN, 0),
    (Pty::ECHO, 0),
    (Pty::ECHONL, 0),
    (Pty::OPOST, 0),
    (Pty::CS8, 1),
];

pub struct Exec {
    inbox: Inbox<Reader>,
    /// Taken only when this is dropped.
    write: Option<ChannelWriteHalf<Msg>>,
}

struct Reader {
    channel: ChannelReadHalf,
    exit_code: Option<u32>,
    /// Whether the other end has said anything of its end: a cut connection says nothing.
    ended: bool,
}

impl Exec {
    /// Asks for the command without waiting for leave: its refusal shows in what is read. Nor is it
    /// asked which variables the server took. On a terminal, what it says on stderr comes as stdout.
    pub async fn start(
        read: ChannelReadHalf,
        write: ChannelWriteHalf<Msg>,
        environment: &[(String, String)],
        command: &str,
        terminal: bool,
    ) -> Self {
        let inbox = Inbox::new(Reader { channel: read, exit_code: None, ended: false });
        for (name, value) in environment {
            let _ = write.set_env(false, name, value).await;
        }
        if terminal {
            let _ = write.request_pty(false, "dumb", 80, 24, 0, 0, RAW).await;
        }
        // A connection that is gone shows there too.
        let _ = write.exec(false, command).await;
        Self { inbox, write: Some(write) }
    }

    pub async fn read(&mut self) -> Piece {
        self.inbox.read().await
    }

    /// Waits while the window is closed. Whether all was sent; if not, reading tells why.
    pub async fn write(&mut self, bytes: Bytes) -> bool {
        match &self.write {
            Some(write) => self.inbox.while_sending(write.data_bytes(bytes)).await,
            None => false,
        }
    }
}

impl Hear for Reader {
    /// The exit status is not last on the wire, so only the end of the channel is the end.
    async fn hear(&mut self) -> Piece {
        loop {
            match self.channel.wait().await {
                Some(ChannelMsg::Data { data }) => return Piece::Stdout(data),
                Some(ChannelMsg::ExtendedData { data, .. }) => return Piece::Stderr(data),
                Some(ChannelMsg::ExitStatus { exit_status }) => {
                    self.exit_code = Some(exit_status);
                    self.ended = true;
                }
                Some(ChannelMsg::ExitSignal { .. } | ChannelMsg::Close) => self.ended = true,
                Some(_) => {}
                None if self.ended => return Piece::Ended(self.exit_code),
                None => return Piece::Lost,
            }
        }
    }
}

impl Drop for Exec {
    fn drop(&mut self) {
        // Dropping a channel tells the other end nothing, so it is closed by a task of its own.
        if let (Some(write), Ok(runtime)) = (self.write.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { write.close().await });
        }
    }
}
