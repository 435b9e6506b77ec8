use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use super::fleet::SEALED;

/// Who logs in where a host has accounts of its own; [`super::PASSWORD`] is everybody's.
pub const LOGIN: &str = "ann";
/// Numbers that this machine has given to nobody.
const ANN: u32 = 61_001;
const APP: u32 = 61_002;

/// Users of one host and who of them may become whom. A copy of `/etc` that only the host's sshd
/// and what it starts can see: the accounts of this machine stay as they are.
#[derive(Clone, Default)]
pub struct Accounts {
    pub sudoers: String,
    /// Empty: there is none.
    pub doas_conf: String,
    /// Whether `su` is that of busybox.
    pub busybox: bool,
}

impl Accounts {
    pub(super) fn write(&self, folder: &Path, number: u8, home: &Path) {
        let etc = folder.join(format!("host{number}.etc"));
        let copied = Command::new("cp").arg("-a").arg("/etc").arg(&etc).status().expect("cp starts");
        assert!(copied.success(), "/etc is copied");
        let home_of = |name: &str| folder.join(format!("{name}{number}"));
        for (path, user) in [(home_of("root"), 0), (home_of("app"), APP), (home.to_owned(), ANN)] {
            let _ = fs::create_dir(&path);
            chown(&path, Some(user), Some(user)).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        }
        let (home, root, app) = (home.display(), home_of("root"), home_of("app"));
        let (root, app) = (root.display(), app.display());
        let passwd = format!(
            "root:x:0:0::{root}:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n\
             {LOGIN}:x:{ANN}:{ANN}::{home}:/bin/sh\napp:x:{APP}:{APP}::{app}:/usr/sbin/nologin\n"
        );
        let shadow = ["root", LOGIN, "app"].map(|name| format!("{name}:{SEALED}:20000:0:99999:7:::\n"));
        let sudoers = format!(
            "Defaults env_reset, use_pty, logfile=/etc/sudo.log\n\
             Defaults timestampdir=/etc/sudo-ts, lecture_status_dir=/etc/sudo-lectured\n{}\n",
            self.sudoers
        );
        let group = format!("root:x:0:\nshadow:x:42:\n{LOGIN}:x:{ANN}:\napp:x:{APP}:\nnogroup:x:65534:\n");
        for (name, text, mode) in [
            ("passwd", passwd, 0o644),
            ("group", group, 0o644),
            ("shadow", shadow.concat(), 0o600),
            ("sudoers", sudoers, 0o440),
            ("doas.conf", self.doas_conf.clone(), 0o600),
        ] {
            let path = etc.join(name);
            let _ = fs::remove_file(&path);
            if !text.is_empty() {
                fs::write(&path, format!("{text}\n")).unwrap();
                fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            }
        }
        if self.busybox {
            let bin = etc.join("busybox");
            fs::create_dir(&bin).unwrap();
            fs::copy("/bin/busybox", bin.join("su")).expect("busybox is there (tests/run installs it)");
            fs::set_permissions(bin.join("su"), Permissions::from_mode(0o4755)).unwrap();
        }
        // Everybody's commands are told there.
        let execs = folder.join(format!("host{number}.execs"));
        fs::write(&execs, "").unwrap();
        fs::set_permissions(&execs, Permissions::from_mode(0o666)).unwrap();
    }
}
