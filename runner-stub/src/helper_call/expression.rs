//! `.a.b[0]`: a place inside a JSON value.

use serde_json::Value;

/// The value at `path`; `None` where there is none. An empty path or `.` is the whole value.
///
/// `a.b`, `.a.b`, `.list[0]`, `.["odd key"]`: names may hold anything but `.` and `[`, and
/// quoted ones anything.
pub fn pick<'a>(value: &'a Value, path: &str) -> Result<Option<&'a Value>, String> {
    let mut found = Some(value);
    let mut rest = path.strip_prefix('.').unwrap_or(path);
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (step, behind) = bracket(inside).ok_or_else(|| {
                let what = if inside.contains(']') {
                    "between [ and ] stands a number or a \"name\""
                } else {
                    "'[' without its ']'"
                };
                format!("'{path}': {what}")
            })?;
            found = match &step {
                Step::Index(index) => found.and_then(|value| value.get(index)),
                Step::Name(name) => found.and_then(|value| value.get(name)),
            };
            rest = behind;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end == 0 {
                return Err(format!("'{path}': an empty name"));
            }
            found = found.and_then(|value| value.get(&rest[..end]));
            rest = &rest[end..];
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
    }
    Ok(found)
}

enum Step {
    Index(usize),
    Name(String),
}

/// The step in front of the closing bracket, and what stands behind that.
fn bracket(inside: &str) -> Option<(Step, &str)> {
    if inside.starts_with('"') {
        let mut values = serde_json::Deserializer::from_slice(inside.as_bytes()).into_iter::<String>();
        let name = values.next()?.ok()?;
        let behind = inside[values.byte_offset()..].strip_prefix(']')?;
        return Some((Step::Name(name), behind));
    }
    let (index, behind) = inside.split_once(']')?;
    Some((Step::Index(index.parse().ok()?), behind))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places() {
        let value = json!({"a": {"b": [10, {"c d": null}]}, "x.y": 1});
        let table = [
            ("", Ok(Some(value.clone()))),
            (".", Ok(Some(value.clone()))),
            (".a.b[0]", Ok(Some(json!(10)))),
            ("a.b[1]", Ok(Some(json!({"c d": null})))),
            (".a.b[1].c d", Ok(Some(json!(null)))),
            (r#".["x.y"]"#, Ok(Some(json!(1)))),
            (".a.b[9]", Ok(None)),
            (".a.none.deeper", Ok(None)),
            (".a..b", Err("'.a..b': an empty name".to_owned())),
            (".a.b[0", Err("'.a.b[0': '[' without its ']'".to_owned())),
            (".a[x]", Err("'.a[x]': between [ and ] stands a number or a \"name\"".to_owned())),
        ];
        for (path, want) in table {
            assert_eq!(pick(&value, path).map(|found| found.cloned()), want, "{path}");
        }
    }
}
