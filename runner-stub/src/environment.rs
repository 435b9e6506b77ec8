//! The environment of the script: a clean base and what the job says, never what we were given.

use std::env;
use std::ffi::{OsStr, OsString};

use cronium_wire::manifest::Manifest;
use cronium_wire::message::{Job, Mode};

use crate::door::Door;
use crate::run_folder::RunFolder;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Each name once. A list: they are few, and a tree of them is more code than all of this module.
#[derive(Debug, Default)]
pub struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_os_str())
    }

    /// Sets a variable, over what it was.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.put(name, value.into());
    }

    fn put(&mut self, name: &str, value: OsString) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.into(), value)),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &(OsString, OsString)> {
        self.0.iter()
    }
}

/// In order of strength: the base, the manifest, the operator's `--env`, our own names.
/// `mode`: how helpers are answered, where that is known already; scripts do not wait for it.
pub fn of(
    job: &Job,
    manifest: &Manifest,
    folder: &RunFolder,
    mode: Option<Mode>,
    door: Option<&Door>,
) -> Environment {
    let mut all = Environment::default();
    for name in ["HOME", "USER", "LOGNAME", "SHELL"] {
        if let Some(value) = env::var_os(name) {
            all.set(name, value);
        }
    }
    let lang = env::var_os("LANG").filter(|lang| !lang.is_empty());
    all.set("LANG", lang.unwrap_or_else(|| "C.UTF-8".into()));
    all.set("TMPDIR", folder.tmp());
    let path = env::var_os("PATH").filter(|path| !path.is_empty()).unwrap_or_else(|| DEFAULT_PATH.into());
    all.set("PATH", path);
    for (name, value) in manifest.environment.iter().chain(&job.environment) {
        all.set(name, value);
    }
    // The helpers stay reachable whatever PATH the manifest sets.
    let mut path = folder.bin().into_os_string();
    path.push(":");
    path.push(all.get("PATH").unwrap_or_default());
    all.set("PATH", path);

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
        all.set(name, value);
    }
    all.set("CRONIUM_WORK_DIR", folder.work());
    all.set("CRONIUM_OUT", folder.out());
    if let Some(door) = door {
        all.set("CRONIUM_RUNTIME_API", &door.url);
        all.set("CRONIUM_EXECUTION_TOKEN", &door.token);
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
