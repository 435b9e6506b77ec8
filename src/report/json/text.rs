use std::cell::RefCell;
use std::fmt;
use std::io;

use base64ct::{Base64, Encoding};
use serde::{Serialize, Serializer};

use crate::report::spool::{Spool, TextId};
use crate::report::utf8::Utf8Pieces;

/// A stream of a host, read from the spool while it is written out: a string, or
/// `{"base64": …}` where it is no UTF-8.
pub struct Text<'a> {
    spool: &'a Spool,
    id: Option<TextId>,
    failed: &'a RefCell<Option<io::Error>>,
}

impl<'a> Text<'a> {
    /// The first error of reading the spool is left in `failed`; the text ends there.
    pub fn new(spool: &'a Spool, id: Option<TextId>, failed: &'a RefCell<Option<io::Error>>) -> Self {
        Self { spool, id, failed }
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Binary<'a> {
            base64: Pieces<'a>,
        }
        match self.id {
            None => serializer.serialize_str(""),
            Some(id) if self.spool.is_text(id) => Pieces(self, id, plain).serialize(serializer),
            Some(id) => Binary { base64: Pieces(self, id, base64) }.serialize(serializer),
        }
    }
}

type Each<'a> = &'a mut dyn FnMut(&str) -> io::Result<()>;

struct Pieces<'a>(&'a Text<'a>, TextId, fn(&Spool, TextId, Each<'_>) -> io::Result<()>);

impl Serialize for Pieces<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Pieces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text, id, encode) = self;
        let mut refused = false;
        let read = encode(text.spool, *id, &mut |piece| {
            refused = f.write_str(piece).is_err();
            if refused { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
        });
        match read {
            Err(_) if refused => return Err(fmt::Error),
            // serde_json takes every error of formatting for one of its writer.
            Err(error) => _ = text.failed.borrow_mut().get_or_insert(error),
            Ok(()) => {}
        }
        Ok(())
    }
}

fn plain(spool: &Spool, id: TextId, each: Each<'_>) -> io::Result<()> {
    let mut pieces = Utf8Pieces::default();
    spool.read(id, |bytes| pieces.push(bytes, &mut *each))
}

fn base64(spool: &Spool, id: TextId, each: Each<'_>) -> io::Result<()> {
    // Only whole groups of 3 bytes can be encoded by themselves.
    let mut held = Vec::new();
    spool.read(id, |bytes| {
        held.extend_from_slice(bytes);
        let rest = held.split_off(held.len() / 3 * 3);
        let whole = std::mem::replace(&mut held, rest);
        each(&Base64::encode_string(&whole))
    })?;
    each(&Base64::encode_string(&held))
}
