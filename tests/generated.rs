//! Man pages and completions are generated, committed, and proven current.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

mod harness;

use harness::Environment;

/// Generated into an empty folder: an orphaned page, or one that was never committed, is seen too.
#[test]
fn committed_pages_are_those_the_program_generates() {
    let environment = Environment::new();
    environment.run(["generate", "out"]).succeeds().ignore();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["man", "completions"] {
        let (fresh, kept) = (files(&environment.path("out").join(folder)), files(&root.join(folder)));
        assert!(!fresh.is_empty(), "{folder}: nothing is generated");
        let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        let again = "run: rm -r man completions && cargo run -- generate .";
        assert_eq!(names(&kept), names(&fresh), "{folder}/ is not what the program generates; {again}");
        for (name, bytes) in &fresh {
            assert!(kept[name] == *bytes, "{folder}/{name} is not what the program generates; {again}");
        }
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(read) = fs::read_dir(folder) else { return BTreeMap::new() };
    read.map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect()
}
