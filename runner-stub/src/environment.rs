//! The environment of the script: a clean base and what the job says, never what we were given.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;

use cronium_wire::manifest::Manifest;
use cronium_wire::message::{Job, Mode};

use crate::door::Door;
use crate::run_folder::RunFolder;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// In order of strength: the base, the manifest, the operator's `--env`, our own names.
/// `mode`: how helpers are answered, where that is known already; scripts do not wait for it.
pub fn of(
    job: &Job,
    manifest: &Manifest,
    folder: &RunFolder,
    mode: Option<Mode>,
    door: Option<&Door>,
) -> BTreeMap<OsString, OsString> {
    let mut all = BTreeMap::new();
    for name in ["HOME", "USER", "LOGNAME", "SHELL"] {
        all.extend(env::var_os(name).map(|value| (name.into(), value)));
    }
    let lang = env::var_os("LANG").filter(|lang| !lang.is_empty());
    all.insert("LANG".into(), lang.unwrap_or_else(|| "C.UTF-8".into()));
    all.insert("TMPDIR".into(), folder.tmp().into());
    let path = env::var_os("PATH").filter(|path| !path.is_empty()).unwrap_or_else(|| DEFAULT_PATH.into());
    all.insert("PATH".into(), path);
    for (name, value) in manifest.environment.iter().chain(&job.environment) {
        all.insert(name.into(), value.into());
    }
    // The helpers stay reachable whatever PATH the manifest sets.
    let mut path = folder.bin().into_os_string();
    path.push(":");
    path.push(&all[&OsString::from("PATH")]);
    all.insert("PATH".into(), path);

    let metadata = |name: &str| match manifest.metadata.get(name) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    for (name, value) in [
        (
            "CRONIUM_JOB_ID",
            Some(metadata("jobId")).filter(|id| !id.is_empty()).unwrap_or_else(|| job.run.clone()),
        ),
        ("CRONIUM_EVENT_ID", metadata("eventId")),
        ("CRONIUM_EXECUTION_ID", job.execution.clone()),
        ("CRONIUM_HELPER_MODE", mode_name(mode.unwrap_or(Mode::Api)).to_owned()),
        ("CRONIUM_RUN_ID", job.run.clone()),
        ("CRONIUM_HOST", job.host.clone()),
    ] {
        all.insert(name.into(), value.into());
    }
    all.insert("CRONIUM_WORK_DIR".into(), folder.work().into());
    all.insert("CRONIUM_OUT".into(), folder.out().into());
    if let Some(door) = door {
        all.insert("CRONIUM_RUNTIME_API".into(), (&door.url).into());
        all.insert("CRONIUM_EXECUTION_TOKEN".into(), (&door.token).into());
    }
    all
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Api => "api",
        Mode::Tcp => "tcp",
        Mode::Bundled => "bundled",
    }
}
