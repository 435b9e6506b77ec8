//! A byte stream from the other end, cut anywhere: greeting, frames, messages.
#![no_main]

use cronium_wire::frame::Decoder;
use cronium_wire::greeting::Greeter;
use cronium_wire::message::{FromStub, Message as _, ToStub};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, stream)) = bytes.split_first() else { return };
    let cut = usize::from(*cut).max(1);

    let mut greeter = Greeter::default();
    for piece in stream.chunks(cut) {
        if !matches!(greeter.push(piece), Ok(None)) {
            break;
        }
    }
    let _ = greeter.noise();

    let mut decoder = Decoder::default();
    'stream: for piece in stream.chunks(cut) {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(frame)) => {
                    let kind = frame.kind;
                    if let Ok(message) = ToStub::decode(frame.clone()) {
                        assert_eq!(message.encode().0, kind);
                    }
                    if let Ok(message) = FromStub::decode(frame) {
                        assert_eq!(message.encode().0, kind);
                    }
                }
                Ok(None) => break,
                Err(_) => break 'stream,
            }
        }
    }
});
