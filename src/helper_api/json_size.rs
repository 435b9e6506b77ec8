//! How long a value is as JSON text.

use std::io;

use serde::Serialize;

/// Bytes of the compact text, counted and not kept.
pub fn json_size<T: Serialize>(value: &T) -> usize {
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).expect("a JSON value with text for keys is always JSON");
    count.0
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
    fn as_long_as_its_text() {
        for value in [json!(null), json!("\"\n\u{1}gr\u{fc}n"), json!({"a": [1.5, -2, true, {}]})] {
            assert_eq!(json_size(&value), value.to_string().len(), "{value}");
        }
    }
}
