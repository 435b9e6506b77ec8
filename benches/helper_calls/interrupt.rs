//! Ctrl-C ends what was started and removes what was made.

use std::path::PathBuf;
use std::sync::Once;

use crate::harness::Environment;

/// Removes the environment's folder at Ctrl-C, too. A fleet goes by itself with this process, and
/// with the fleet a run that is on its way.
pub fn guard(environment: &Environment) {
    static FOLDERS: std::sync::Mutex<Vec<PathBuf>> = std::sync::Mutex::new(Vec::new());
    static ONCE: Once = Once::new();
    FOLDERS.lock().unwrap().extend(environment.home().parent().map(PathBuf::from));
    ONCE.call_once(|| {
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(tokio::signal::ctrl_c()).unwrap();
            for folder in FOLDERS.lock().unwrap().iter() {
                let _ = std::fs::remove_dir_all(folder);
            }
            std::process::exit(130);
        });
    });
}
