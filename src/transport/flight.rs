//! What is sent to a stub before it has said a word.

use bytes::Bytes;
use cronium_wire::message::{Message, ToStub};

/// Frames as bytes, in order. Cloning copies no bytes, so hosts share what is the same for all.
#[derive(Debug, Clone, Default)]
pub struct Flight {
    pieces: Vec<Bytes>,
    frames: u64,
}

impl Flight {
    /// One message, the first of its conversation.
    pub fn new(message: &ToStub) -> Self {
        Self::from_number(0, [message.clone()])
    }

    /// Messages that will follow `number` others.
    pub fn from_number(number: u64, messages: impl IntoIterator<Item = ToStub>) -> Self {
        let (mut bytes, mut frames) = (Vec::new(), 0);
        for message in messages {
            bytes.extend(message.to_frame(number + frames));
            frames += 1;
        }
        Self { pieces: vec![bytes.into()], frames }
    }

    /// This and then `other`, which was numbered from where this ends.
    pub fn then(mut self, other: &Self) -> Self {
        self.pieces.extend(other.pieces.iter().cloned());
        self.frames += other.frames;
        self
    }

    pub fn pieces(&self) -> impl Iterator<Item = Bytes> {
        self.pieces.iter().cloned()
    }

    /// How many frames: the next message has this number.
    pub fn frames(&self) -> u64 {
        self.frames
    }
}
