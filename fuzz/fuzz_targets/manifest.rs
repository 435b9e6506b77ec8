//! A manifest never panics, and what is accepted is written and read back the same.
#![no_main]

use cronium_wire::manifest::{Manifest, glob, is_name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Manifest::parse(bytes) {
        Ok(manifest) => {
            assert!(!manifest.entrypoint.starts_with('/'));
            assert!(!manifest.entrypoint.split('/').any(|part| part == ".."));
            for input in &manifest.artifacts.inputs {
                for path in [&input.path, &input.from] {
                    assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."));
                }
            }
            for pattern in &manifest.artifacts.outputs {
                assert!(glob::check(pattern).is_ok());
                let _ = glob::matches(pattern, &manifest.entrypoint);
            }
            assert!(is_name(&manifest.effective_name("folder")));
            assert_eq!(Manifest::parse(manifest.to_yaml().as_bytes()).as_ref(), Ok(&manifest));
        }
        Err(error) => assert!(error.line > 0 && error.column > 0),
    }
});
