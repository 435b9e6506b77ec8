//! Inventories: any text is an inventory or an error with a hint, and what is read hangs together.
#![no_main]

use std::path::Path;

use cronium_run::inventory::format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &str)| {
    let (kind, text) = input;
    let name = ["hosts.yaml", "hosts.ini", "hosts.json", "hosts.txt"][usize::from(kind) % 4];
    match format::read_text(Path::new(name), text) {
        Err(error) => assert!(!error.hints.is_empty(), "{error}"),
        Ok(inventory) => {
            for (index, entry) in inventory.entries().iter().enumerate().take(50) {
                assert_eq!(inventory.entry_of(&entry.host), Some(index));
                for group in inventory.groups_of(index) {
                    assert!(inventory.hosts_of(group).contains(&index));
                }
            }
        }
    }
});
