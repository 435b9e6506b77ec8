use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::transport::{Connection, Entrance, Fault, Tunnel};

const WITHIN: Duration = Duration::from_secs(15);

/// With a port, the number that the host has chosen.
pub type Opened = Result<(Tunnel, Option<u16>), Fault>;

/// A tunnel that is being opened without letting the link wait: a link that is not read stops the
/// whole connection, the answer to this request with it.
pub struct Opening(oneshot::Receiver<Opened>);

impl Opening {
    /// At a Unix socket of this path on the host; without one, at a port of its loopback.
    pub fn begin(connection: &Arc<Connection>, path: Option<String>) -> Self {
        let (done, opening) = oneshot::channel();
        let connection = Arc::clone(connection);
        let at = path.map_or(Entrance::Port(0), Entrance::Socket);
        tokio::spawn(async move {
            let opened = timeout(WITHIN, connection.open_tunnel(at)).await;
            let _ = done.send(opened.unwrap_or_else(|_| Err(Fault::lost("the host did not answer in time"))));
        });
        Self(opening)
    }

    /// Safe to drop and call again.
    pub async fn answer(&mut self) -> Opened {
        (&mut self.0).await.unwrap_or_else(|_| Err(Fault::lost("the operator gave up")))
    }
}
