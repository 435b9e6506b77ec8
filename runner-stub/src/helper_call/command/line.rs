//! The command's end of the helper socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Failure, Outcome};
use crate::helper_call::SOCKET;
use crate::helper_call::protocol::{Reply, Request};
use crate::helper_call::socket::short;

/// Asks the stub, wherever it has its answers from.
pub fn call(request: &Request) -> Outcome<Reply> {
    let work = std::env::var_os("CRONIUM_WORK_DIR")
        .ok_or_else(|| Failure(1, "this is no cronium-run script: CRONIUM_WORK_DIR is not set".into()))?;
    let path = PathBuf::from(work).with_file_name(SOCKET);
    ask(&path, request).map_err(|error| Failure(1, format!("the runner does not answer: {error}")))
}

fn ask(path: &Path, request: &Request) -> io::Result<Reply> {
    let (_dir, short) = short(path)?;
    let mut stream = UnixStream::connect(short)?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut reply = Vec::new();
    BufReader::new(stream).read_until(b'\n', &mut reply)?;
    if reply.is_empty() {
        return Err(io::Error::other("it hung up"));
    }
    Ok(serde_json::from_slice(&reply)?)
}

/// What a reply holds, or how the command ends.
pub fn expect(reply: Reply) -> Outcome<Value> {
    if reply.is_ok() {
        return Ok(reply.data);
    }
    let code = match reply.status {
        404 => 3,
        409 => 4,
        _ => 1,
    };
    Err(Failure(code, reply.error.unwrap_or_else(|| format!("the helper API says {}", reply.status))))
}

/// A call whose answer is only that it was done.
pub fn done(request: &Request) -> Outcome<()> {
    call(request).and_then(expect).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes() {
        for (status, code) in [(400, 1), (401, 1), (403, 1), (404, 3), (409, 4), (413, 1), (429, 1), (503, 1)]
        {
            assert_eq!(expect(Reply::error(status, "why")), Err(Failure(code, "why".into())), "{status}");
        }
        let silent = Reply { error: None, ..Reply::error(500, "") };
        assert_eq!(expect(silent), Err(Failure(1, "the helper API says 500".into())));
    }
}
