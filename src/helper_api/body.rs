//! Reads a request's body, as much of it as is allowed and no longer than is allowed.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use tokio::time::timeout;

use super::reply::Refusal;

/// 413 as soon as it is known that the body has more than `limit` bytes, whether its length was
/// announced or comes in chunks; 408 when it has not ended after `patience`.
pub async fn read<B>(body: B, limit: usize, patience: Duration) -> Result<Vec<u8>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    match timeout(patience, collect(body, limit)).await {
        Ok(read) => read,
        Err(_) => Err(Refusal::new(408, format!("the body did not end within {} s", patience.as_secs()))),
    }
}

async fn collect<B>(mut body: B, limit: usize) -> Result<Vec<u8>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let too_large = || Refusal::new(413, format!("the body is larger than {limit} bytes"));
    let announced = usize::try_from(body.size_hint().lower()).map_err(|_| too_large())?;
    if announced > limit {
        return Err(too_large());
    }
    let mut read = Vec::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::new(400, "the body ends early"))?;
        // Trailers mean nothing to us.
        let Ok(data) = frame.into_data() else { continue };
        if read.len() + data.len() > limit {
            return Err(too_large());
        }
        read.extend_from_slice(&data);
    }
    Ok(read)
}
