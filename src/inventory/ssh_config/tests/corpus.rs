//! The files of tests/ssh_config, each asked about several hosts and users by us and by `ssh -G`.

use std::fs;

use super::*;

const HOSTS: &[&str] = &["web01", "WEB01", "web02.example.com", "db1", "10.0.0.7", "::1"];
const USERS: &[Option<&str>] = &[None, Some("ann"), Some("root")];

#[test]
fn every_file_means_what_openssh_says() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ssh_config");
    let folder = TempDir::new().unwrap();
    let mut files = Vec::new();
    for entry in fs::read_dir(corpus).unwrap() {
        let entry = entry.unwrap();
        let path = folder.path().join(entry.file_name());
        let text = fs::read_to_string(entry.path()).unwrap();
        fs::write(&path, text.replace("DIR", folder.path().to_str().unwrap())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if path.extension().is_some_and(|ending| ending == "conf") {
            files.push(path);
        }
    }
    assert!(files.len() >= 45, "{} files", files.len());
    let halves: Vec<&[PathBuf]> = files.chunks(files.len().div_ceil(2)).collect();
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let check = |files: &[PathBuf]| -> Vec<String> {
            files.iter().filter_map(|file| compare_for(file, HOSTS, USERS).err()).collect()
        };
        let threads: Vec<_> = halves.iter().map(|half| scope.spawn(move || check(half))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n----\n"));
}

/// A thousand hosts are no thousand processes.
#[test]
fn conditions_on_names_need_no_openssh() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ssh_config");
    let mut alone = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Ok(config) = Config::load(&Source::File(path), &[], &account()) else { continue };
        let is_openssh =
            ["match_exec.conf", "match_final.conf", "match_canonical.conf"].contains(&name.as_str());
        assert_eq!(config.openssh.is_some(), is_openssh, "{name}");
        alone += usize::from(!is_openssh && name.starts_with("match_"));
    }
    assert!(alone >= 10, "{alone}");
}
