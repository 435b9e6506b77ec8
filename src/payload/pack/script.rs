use std::path::Path;

use cronium_wire::archive::clean_name;
use cronium_wire::manifest::{Interpreter, Manifest, sanitise_name};

use super::pack_single;
use crate::error::{Error, OrFail as _, Result};
use crate::payload::Packed;

/// What programs for Linux begin with.
const ELF: &[u8] = b"\x7fELF";
/// Linux reads no more of a `#!` line.
const MAX_LINE: usize = 256;

/// Packs one file. What runs it: its `#!` line, else its ending; a program for Linux is run
/// itself.
pub fn pack_script(path: &Path) -> Result<Packed> {
    let content = std::fs::read(path).or_fail(|| format!("cannot read {}", path.display()))?;
    let Some(interpreter) = interpreter_of(path, &content) else {
        let message = format!("cannot tell what runs {}", path.display());
        let hint = "begin it with a line such as #!/bin/sh, or name it .sh .bash .py .js or .ps1";
        return Err(Error::usage(message).hint(hint));
    };
    let file_name = path.file_name().and_then(|name| name.to_str()).unwrap_or("script");
    let entrypoint = match clean_name(file_name.as_bytes()) {
        Ok(Some(name)) if !name.starts_with(['-', '.']) && !name.starts_with("manifest.y") => name,
        _ => "script".to_owned(),
    };
    let mut manifest = Manifest::new(interpreter, entrypoint);
    let stem = sanitise_name(path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default());
    manifest.name = (!stem.is_empty()).then_some(stem);
    pack_single(&manifest, &content)
}

fn interpreter_of(path: &Path, content: &[u8]) -> Option<Interpreter> {
    if content.starts_with(ELF) {
        return Some(Interpreter::Binary);
    }
    if let Some(line) = content.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        return from_line(std::str::from_utf8(&line[..line.len().min(MAX_LINE)]).ok()?);
    }
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "sh" => Some(Interpreter::Sh),
        "bash" => Some(Interpreter::Bash),
        "py" => Some(Interpreter::Python),
        "js" | "cjs" | "mjs" => Some(Interpreter::Node),
        "ps1" => Some(Interpreter::Pwsh),
        _ => None,
    }
}

/// Reads what stands behind `#!`. A known interpreter without arguments is found by its name, so
/// that the script runs where it lives elsewhere; all else is taken by the word.
fn from_line(line: &str) -> Option<Interpreter> {
    let line = line.trim();
    let (program, argument) = match line.split_once(char::is_whitespace) {
        Some((program, argument)) => (program, argument.trim()),
        None => (line, ""),
    };
    // Linux passes all that follows the program as one word; `env -S` splits it.
    let mut words: Vec<&str> = match base(program) {
        "env" => argument.strip_prefix("-S").unwrap_or(argument).split_whitespace().collect(),
        _ if argument.is_empty() => vec![program],
        _ => vec![program, argument],
    };
    if base(program) == "env" && words.first().is_some_and(|word| word.starts_with('-') || word.contains('='))
    {
        words.insert(0, program);
    }
    match words.as_slice() {
        [] | [""] => None,
        [program] => Some(match base(program) {
            "sh" | "dash" | "ash" => Interpreter::Sh,
            "bash" => Interpreter::Bash,
            "python" | "python3" => Interpreter::Python,
            "node" | "nodejs" => Interpreter::Node,
            "pwsh" => Interpreter::Pwsh,
            _ => Interpreter::Exact(vec![(*program).to_owned()]),
        }),
        words => Some(Interpreter::Exact(words.iter().map(|word| (*word).to_owned()).collect())),
    }
}

fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters() {
        let exact =
            |words: &[&str]| Some(Interpreter::Exact(words.iter().map(|word| (*word).to_owned()).collect()));
        let table: &[(&str, &[u8], Option<Interpreter>)] = &[
            ("a", b"#!/bin/sh\necho", Some(Interpreter::Sh)),
            ("a.py", b"#!/bin/bash\n", Some(Interpreter::Bash)),
            ("a", b"#! /usr/bin/env python3\r\n", Some(Interpreter::Python)),
            ("a", b"#!/usr/bin/env node", Some(Interpreter::Node)),
            ("a", b"#!/usr/bin/pwsh\n", Some(Interpreter::Pwsh)),
            ("a", b"#!/bin/bash -eu\n", exact(&["/bin/bash", "-eu"])),
            ("a", b"#!/usr/bin/awk -f x\n", exact(&["/usr/bin/awk", "-f x"])),
            ("a", b"#!/usr/bin/env -S perl -w\n", exact(&["perl", "-w"])),
            ("a", b"#!/usr/bin/env -i sh\n", exact(&["/usr/bin/env", "-i", "sh"])),
            ("a", b"#!/usr/bin/env python3.11\n", exact(&["python3.11"])),
            ("a", b"#!/usr/bin/env\n", None),
            ("a", b"#!\n", None),
            ("a.sh", b"echo", Some(Interpreter::Sh)),
            ("a.bash", b"", Some(Interpreter::Bash)),
            ("a.PY", b"", Some(Interpreter::Python)),
            ("a.js", b"", Some(Interpreter::Node)),
            ("a.ps1", b"", Some(Interpreter::Pwsh)),
            ("a.sh", b"\x7fELF\x02", Some(Interpreter::Binary)),
            ("a.txt", b"hello", None),
            ("a", b"hello", None),
        ];
        for (path, content, want) in table {
            let shown = String::from_utf8_lossy(content);
            assert_eq!(interpreter_of(Path::new(path), content), *want, "{path}: {shown}");
        }
    }
}
