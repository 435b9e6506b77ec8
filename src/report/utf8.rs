/// Reads UTF-8 that comes in pieces cut anywhere.
#[derive(Debug, Default)]
pub struct Utf8Pieces {
    /// The beginning of a character whose rest has not come yet: at most 3 bytes.
    partial: Vec<u8>,
    broken: bool,
}

impl Utf8Pieces {
    /// Hands on what is certain to be text. After the first byte that cannot be UTF-8 nothing
    /// more is handed on.
    pub fn push<E>(&mut self, bytes: &[u8], mut each: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        if self.broken {
            return Ok(());
        }
        let joined;
        let bytes = if self.partial.is_empty() {
            bytes
        } else {
            self.partial.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.partial);
            &joined
        };
        match std::str::from_utf8(bytes) {
            Ok(text) => each(text),
            Err(error) => {
                let (good, rest) = bytes.split_at(error.valid_up_to());
                match error.error_len() {
                    Some(_) => self.broken = true,
                    None => self.partial = rest.to_vec(),
                }
                each(std::str::from_utf8(good).expect("it was just found valid"))
            }
        }
    }

    /// Whether all pieces together are UTF-8, if nothing more comes.
    pub fn is_text(&self) -> bool {
        !self.broken && self.partial.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cuts_make_no_difference(
            bytes in prop_oneof!["[a-z馬é]{0,20}".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..8)],
            size in 1_usize..5,
        ) {
            let (mut pieces, mut text) = (Utf8Pieces::default(), String::new());
            for piece in bytes.chunks(size) {
                let Ok(()) = pieces.push(piece, |part| {
                    text.push_str(part);
                    Ok::<_, Infallible>(())
                });
            }
            let whole = String::from_utf8(bytes);
            prop_assert_eq!(pieces.is_text(), whole.is_ok());
            if let Ok(whole) = whole {
                prop_assert_eq!(text, whole);
            }
        }
    }
}
