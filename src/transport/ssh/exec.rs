//! A command on a channel.

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};

use crate::transport::Fault;
use crate::transport::link::Piece;

pub struct Exec {
    read: ChannelReadHalf,
    /// Taken only when this is dropped.
    write: Option<ChannelWriteHalf<Msg>>,
    exit_code: Option<u32>,
    /// Whether the other end has said anything of its end: a cut connection says nothing.
    ended: bool,
}

impl Exec {
    pub fn new(read: ChannelReadHalf, write: ChannelWriteHalf<Msg>) -> Self {
        Self { read, write: Some(write), exit_code: None, ended: false }
    }

    /// Asks for the command without waiting for leave.
    pub async fn start(&self, command: &str) -> Result<(), Fault> {
        let sent = self.half()?.exec(false, command).await;
        sent.map_err(|error| Fault::lost("the connection broke while sending").because(&error))
    }

    /// The next piece; safe to drop and call again. The exit status is not last on the wire, so
    /// only the end of the channel is the end.
    pub async fn read(&mut self) -> Piece {
        loop {
            match self.read.wait().await {
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

    /// Waits while the window is closed.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        let sent = self.half()?.data_bytes(bytes).await;
        sent.map_err(|error| Fault::lost("the connection broke while sending").because(&error))
    }

    fn half(&self) -> Result<&ChannelWriteHalf<Msg>, Fault> {
        self.write.as_ref().ok_or_else(|| Fault::lost("the channel is closed"))
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
