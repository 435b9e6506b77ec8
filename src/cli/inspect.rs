use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use cronium_wire::archive::EntryKind;
use cronium_wire::bundle;
use cronium_wire::key::PublicKey;
use cronium_wire::manifest::KeyPatterns;
use cronium_wire::manifest::artifacts::Input;
use cronium_wire::manifest::{Artifacts, HelperAccess, duration};

use super::Context;
use crate::error::{ExitCode, OrFail as _, Result};
use crate::payload::{self, Packed, keys};

/// Show what a payload holds
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run inspect disk-report.tar.gz
  cronium-run inspect disk-report/
  cronium-run inspect disk-report.tar.gz -o json | jq .manifest

Shows the manifest, the files, the digest and the signature. A signature that does not verify is
said so and is no error here: see `cronium-run verify`.")]
pub struct Args {
    /// A tar.gz, a folder or one script
    #[arg(value_name = "PAYLOAD")]
    payload: PathBuf,
    /// The public key to verify with [default: the operator's own]
    #[arg(long, value_name = "PUB", env = "CRONIUM_RUN_VERIFY_KEY")]
    key: Option<PathBuf>,
    /// How to tell it
    // No variable: CRONIUM_RUN_OUTPUT has values of `exec` that mean nothing here.
    #[arg(short = 'o', long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let Args { payload, key, output } = args;
    let key = match key {
        Some(path) => Some((keys::load_public(&path)?, path)),
        None => keys::operator_public_key()?,
    };
    let packed = payload::load_any(&payload)?;
    let signature = Signature::of(&packed, key.as_ref().map(|(key, path)| (key, path.display().to_string())));
    let shown = match output {
        Format::Text => text(&packed, &signature),
        Format::Json => format!("{:#}\n", json_of(&packed, &signature)),
    };
    context.term.data(shown.as_bytes()).or_fail(|| "cannot write to stdout")?;
    Ok(ExitCode::Success)
}

/// What is known of a payload's signature.
enum Signature {
    None,
    Verified { file: String, key_file: String, fingerprint: String },
    Unverified { file: String, reason: String },
}

impl Signature {
    fn of(packed: &Packed, key: Option<(&PublicKey, String)>) -> Self {
        let Some(found) = &packed.signature else { return Self::None };
        let file = found.path.display().to_string();
        let Some((key, key_file)) = key else {
            return Self::Unverified { file, reason: "no key to verify it with: give --key PUB".into() };
        };
        match bundle::verify(&packed.digest, &found.bundle, std::slice::from_ref(key)) {
            Ok(key) => Self::Verified { file, key_file, fingerprint: key.fingerprint() },
            Err(error) => Self::Unverified { file, reason: error.to_string() },
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::None => Value::Null,
            Self::Verified { file, key_file, fingerprint } => {
                json!({"file": file, "verified": true, "key": key_file, "signer": fingerprint})
            }
            Self::Unverified { file, reason } => json!({"file": file, "verified": false, "reason": reason}),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::None => "none".into(),
            Self::Verified { key_file, fingerprint, .. } => {
                format!("verified with {key_file} ({fingerprint})")
            }
            Self::Unverified { reason, .. } => format!("NOT VERIFIED: {reason}"),
        }
    }
}

fn json_of(packed: &Packed, signature: &Signature) -> Value {
    json!({
        "name": packed.name,
        "digest": packed.digest_hex(),
        "bytes": packed.bytes.len(),
        "unpacked": packed.unpacked,
        "manifest": packed.manifest,
        "signature": signature.to_json(),
        "files": packed.entries,
    })
}

fn text(packed: &Packed, signature: &Signature) -> String {
    let manifest = &packed.manifest;
    let mut lines = vec![("name", packed.name.clone())];
    if let Some(release) = manifest.release {
        lines.push(("release", release.to_string()));
    }
    let interpreter = match &manifest.interpreter {
        cronium_wire::manifest::Interpreter::Exact(argv) => quoted(argv),
        named => named.name().unwrap_or_default().to_owned(),
    };
    lines.push(("interpreter", interpreter));
    lines.push(("entrypoint", plain(&manifest.entrypoint)));
    if !manifest.args.is_empty() {
        lines.push(("args", quoted(&manifest.args)));
    }
    for (name, value) in &manifest.environment {
        lines.push(("environment", format!("{name}={}", quoted(std::slice::from_ref(value)))));
    }
    if let Some(timeout) = manifest.timeout {
        lines.push(("timeout", duration::format(timeout)));
    }
    for (key, value) in &manifest.metadata {
        lines.push(("metadata", plain(&format!("{key}: {value}"))));
    }
    lines.extend(helpers(&manifest.helpers).into_iter().map(|line| ("helpers", line)));
    lines.extend(artifacts(&manifest.artifacts).into_iter().map(|line| ("artifacts", line)));
    lines.push(("digest", format!("sha256:{}", packed.digest_hex())));
    let (bytes, unpacked) = (packed.bytes.len(), packed.unpacked);
    lines.push(("size", format!("{bytes} bytes packed, {unpacked} unpacked")));
    lines.push(("signature", signature.describe()));

    let mut text = String::new();
    let mut last = "";
    for (label, value) in &lines {
        let shown = if *label == last { "" } else { label };
        writeln!(text, "{shown:<12} {value}").expect("a String takes all");
        last = label;
    }
    text.push_str("files\n");
    for entry in &packed.entries {
        let end = match &entry.kind {
            EntryKind::File => String::new(),
            EntryKind::Folder => "/".into(),
            EntryKind::Symlink { target } | EntryKind::Hardlink { target } => format!(" -> {target}"),
        };
        let (mode, size, path) = (entry.mode, entry.size, plain(&entry.path));
        writeln!(text, "  {mode:04o} {size:>9}  {path}{}", plain(&end)).expect("a String takes all");
    }
    text
}

/// What the script may do with variables, where its manifest limits that.
fn helpers(helpers: &HelperAccess) -> Vec<String> {
    let may = |verb: &str, patterns: &Option<KeyPatterns>| match patterns {
        None => None,
        Some(KeyPatterns(patterns)) if patterns.is_empty() => Some(format!("{verb} no variable")),
        Some(KeyPatterns(patterns)) => Some(format!("{verb} {}", quoted(patterns))),
    };
    let http = helpers.http.then(|| "http".to_owned());
    [may("read", &helpers.read), may("write", &helpers.write), http].into_iter().flatten().collect()
}

/// The files that come and go, where the manifest names any or has limits of its own.
fn artifacts(artifacts: &Artifacts) -> Vec<String> {
    if artifacts.is_default() {
        return Vec::new();
    }
    let inputs =
        artifacts.inputs.iter().map(|Input { path, from }| plain(&format!("input {path} from {from}")));
    let outputs = artifacts.outputs.iter().map(|pattern| plain(&format!("output {pattern}")));
    let limits = format!("at most {} files of {} bytes each", artifacts.max_files, artifacts.max_bytes);
    inputs.chain(outputs).chain([limits]).collect()
}

/// Words as a shell would take them.
fn quoted(words: &[String]) -> String {
    plain(&shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| format!("{words:?}")))
}

/// Without what a terminal would act on: a payload may come from anybody.
fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let acts = character.is_control();
            let escaped = acts.then(|| character.escape_default());
            escaped.into_iter().flatten().chain((!acts).then_some(character))
        })
        .collect()
}
