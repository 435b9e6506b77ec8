//! A control group of the script's own, where one can be made: it holds everything the script starts,
//! whatever that does, and the kernel ends it at once (cgroup v2, Linux 5.14).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::run_folder::random_word;

/// Where cgroup v2 is mounted: alone, or beside the first version.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

pub struct Cgroup(PathBuf);

impl Cgroup {
    /// Below our own group. `None` where there is none, or it is not ours to divide.
    pub fn make() -> Option<Self> {
        let ours = fs::read_to_string("/proc/self/cgroup").ok()?;
        let ours = ours.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let word = random_word().ok()?;
        let path = MOUNTS.iter().find_map(|mount| {
            let path = Path::new(mount).join(ours).join(format!("cronium-run.{word}"));
            fs::create_dir(&path).ok().map(|()| path)
        })?;
        let group = Self(path);
        // An older kernel has no such file.
        group.0.join("cgroup.kill").exists().then_some(group)
    }

    /// That of a dead supervisor, as it wrote it down. The script could have put another there.
    pub fn of(path: &str) -> Option<Self> {
        let path = PathBuf::from(path);
        let is_ours = path.file_name()?.as_encoded_bytes().starts_with(b"cronium-run.");
        (is_ours && MOUNTS.iter().any(|mount| path.starts_with(mount))).then_some(Self(path))
    }

    /// Removes it where the value itself is out of reach.
    pub fn removal(&self) -> impl FnOnce() + Send + 'static {
        let path = self.0.clone();
        move || drop(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn open(&self) -> Option<File> {
        File::open(&self.0).ok()
    }

    /// Ends all that is in it.
    pub fn kill(&self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // What was just killed may take a moment.
        for _ in 0..20 {
            remove(&self.0);
            if !self.0.exists() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// With the groups that the script made in it, those below first. The files of a group go with it.
fn remove(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_in_groups() {
        let path = std::env::temp_dir().join(random_word().unwrap());
        fs::create_dir_all(path.join("a/b/c")).unwrap();
        fs::create_dir_all(path.join("d")).unwrap();
        drop(Cgroup(path.clone()));
        assert!(!path.exists());
    }
}
