use std::collections::HashMap;

use serde_json::{Value, json};

use crate::error::Result;
use crate::ledger::{Artifact, Reader};

/// The files that are kept of each host, by path.
pub struct Artifacts(pub HashMap<String, Vec<Artifact>>);

impl Artifacts {
    pub fn read(reader: &Reader, run: &str) -> Result<Self> {
        let mut artifacts: HashMap<String, Vec<Artifact>> = HashMap::new();
        for artifact in reader.artifacts(run, None)? {
            artifacts.entry(artifact.host.clone()).or_default().push(artifact);
        }
        Ok(Self(artifacts))
    }

    /// Each host of `results` gets `artifacts`, empty where there are none.
    pub fn add_to(&self, results: &mut Value) {
        for result in results.as_array_mut().into_iter().flatten() {
            let of_host = result["host"].as_str().and_then(|host| self.0.get(host));
            let files = of_host.into_iter().flatten().map(|Artifact { path, digest, bytes, mode, .. }| {
                json!({"path": path, "digest": digest, "bytes": bytes, "mode": mode})
            });
            result["artifacts"] = files.collect();
        }
    }
}
