//! How long a value is as JSON text, and how large it is in memory.

use std::io;

use serde::Serialize;

/// Bytes of the compact text, counted and not kept.
pub fn json_size<T: Serialize>(value: &T) -> usize {
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).expect("a JSON value with text for keys is always JSON");
    count.0
}

/// Bytes of a map's node, which holds up to eleven entries.
const NODE: usize = 640;
/// Bytes of an element of an array, in a vector that has grown to up to twice its need.
const ELEMENT: usize = 48;
/// What a short text takes beside its bytes.
const TEXT: usize = 32;

/// About as many bytes as `json` takes as a [`Value`](serde_json::Value), counted without parsing
/// it: `{"":0}` takes a hundred times its text.
pub fn parsed_size(json: &[u8]) -> usize {
    let (mut values, mut entries, mut objects, mut texts) = (1, 0_usize, 0, 0);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                texts += 1;
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => _ = bytes.next(),
                        _ => {}
                    }
                }
            }
            b',' => values += 1,
            b':' => entries += 1,
            b'{' => (objects, values) = (objects + 1, values + 1),
            b'[' => values += 1,
            _ => {}
        }
    }
    // Most objects have one node, those with many entries one for about six.
    let nodes = objects.min(entries) + entries.saturating_sub(11 * objects) / 6;
    let elements = values - entries.min(values);
    json.len() + elements * ELEMENT + nodes * NODE + texts * TEXT
}

struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn how_much_memory() {
        let many = |part: &str| format!("[{}0]", part.repeat(1000));
        // Bytes for each part: what it takes for sure, and what it is taken for at most.
        for (part, least, most) in [
            ("0,", 32, 64),
            ("[],", 32, 128),
            ("{},", 32, 800),
            ("{\"\":0},", 32 + 632, 900),
            ("{\"a\":1,\"b\":2,\"c\":\"x\"},", 32 + 632 + 4 * 24, 1100),
            ("\"\\\\\\\",[{:\",", 32 + 24, 160),
        ] {
            let size = parsed_size(many(part).as_bytes()) / 1000;
            assert!((least..=most).contains(&size), "{part} {size}");
        }
        assert!(parsed_size(&[b'x'; 1000]) < 1100);
        for cut in ["", "\"", "\"\\", ":::", "]", "{{{"] {
            assert!(parsed_size(cut.as_bytes()) < 4096, "{cut}");
        }
    }

    #[test]
    fn as_long_as_its_text() {
        for value in [json!(null), json!("\"\n\u{1}gr\u{fc}n"), json!({"a": [1.5, -2, true, {}]})] {
            assert_eq!(json_size(&value), value.to_string().len(), "{value}");
        }
    }
}
