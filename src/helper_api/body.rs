//! Reads a request's body, as much of it as is allowed and no longer than is allowed.

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use tokio::time::timeout;

use super::Limits;
use super::memory::{Memory, Room, SMALL};
use super::reply::Refusal;

/// The bytes, and the room that a large body takes for as long as it is in memory.
///
/// 413 as soon as it is known that the body has more bytes than it may, whether its length was
/// announced or comes in chunks; 503 where a large one finds no room; 408 when it has not ended in
/// time.
pub async fn read<B>(body: B, memory: &Memory, limits: &Limits) -> Result<(Vec<u8>, Option<Room>), Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let patience = limits.body_timeout;
    match timeout(patience, collect(body, memory, limits)).await {
        Ok(read) => read,
        Err(_) => Err(Refusal::new(408, format!("the body did not end within {} s", patience.as_secs()))),
    }
}

async fn collect<B>(mut body: B, memory: &Memory, limits: &Limits) -> Result<(Vec<u8>, Option<Room>), Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let limit = limits.body_bytes;
    let too_large = || Refusal::new(413, format!("the body is larger than {limit} bytes"));
    let announced = usize::try_from(body.size_hint().lower()).map_err(|_| too_large())?;
    if announced > limit {
        return Err(too_large());
    }
    let mut room = match announced > SMALL {
        true => Some(memory.room(announced, limits.room_timeout).await?),
        false => None,
    };
    let mut read = Vec::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::new(400, "the body ends early"))?;
        // Trailers mean nothing to us.
        let Ok(data) = frame.into_data() else { continue };
        let length = read.len() + data.len();
        if length > limit {
            return Err(too_large());
        }
        if length > SMALL && room.is_none() {
            room = Some(memory.room(limit, limits.room_timeout).await?);
        }
        read.extend_from_slice(&data);
    }
    Ok((read, room))
}
