//! Writes that this host answered by itself, on their way to the operator: in order, each once.

use cronium_wire::frame::CHUNK;
use cronium_wire::message::{FromStub, Write};

use crate::spool::Unsent;
use crate::uplink::Uplink;

/// A line of JSON for each.
pub fn line(write: &Write) -> Vec<u8> {
    let mut line = serde_json::to_vec(write).expect("plain data with string keys");
    line.push(b'\n');
    line
}

pub fn push(uplink: &Uplink, write: &Write) -> Result<(), Unsent> {
    push_line(uplink, &line(write))
}

/// Its pieces stand together, so that nothing else comes between them.
pub fn push_line(uplink: &Uplink, line: &[u8]) -> Result<(), Unsent> {
    let pieces: Vec<FromStub> = line.chunks(CHUNK).map(|piece| FromStub::Journal(piece.to_vec())).collect();
    uplink.send_all(&pieces)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, pipe};

    use cronium_wire::frame::Decoder;
    use cronium_wire::message::{Message, Op};
    use serde_json::json;

    use super::*;
    use crate::spool::Spool;

    fn write(id: usize, value: serde_json::Value) -> Write {
        Write { id: id.to_string(), op: Op::Output { value } }
    }

    #[test]
    fn all_writes_arrive_in_order_however_long() {
        let (mut reader, writer) = pipe().unwrap();
        let uplink = Uplink::over(File::from(std::os::fd::OwnedFd::from(writer)));
        let writes: Vec<Write> =
            (0..20).map(|id| write(id, json!("x".repeat(if id == 7 { 900 << 10 } else { id })))).collect();
        writes.iter().for_each(|write| push(&uplink, write).unwrap());
        let (mut decoder, mut text, mut buffer) = (Decoder::default(), Vec::new(), [0; 4096]);
        while text.iter().filter(|byte| **byte == b'\n').count() < 20 {
            let count = reader.read(&mut buffer).unwrap();
            decoder.push(&buffer[..count]);
            while let Some(frame) = decoder.next().unwrap() {
                let FromStub::Journal(piece) = FromStub::decode(frame).unwrap() else { panic!() };
                assert!(piece.len() <= CHUNK);
                text.extend(piece);
            }
        }
        let text = String::from_utf8(text).unwrap();
        let seen: Vec<Write> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(seen, writes);
    }

    #[test]
    fn without_a_link_and_a_disk_there_is_an_end() {
        let uplink = Uplink::new(Spool::default());
        let large = write(0, json!("x".repeat(1 << 20)));
        let taken = (0..40).take_while(|_| push(&uplink, &large).is_ok()).count();
        assert_eq!(taken, 7);
    }
}
