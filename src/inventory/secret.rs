//! What a person typed and nobody may see.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

/// A password. Its memory is zeroed with the last clone, and it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(text.into())))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expose().hash(state);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Passphrases of private keys by their file: one set for all hosts of a run, filled before the
/// first is touched. It plays no part in whether two hosts are the same.
#[derive(Clone, Default)]
pub struct Passphrases(Arc<Mutex<HashMap<PathBuf, Secret>>>);

impl Passphrases {
    pub fn get(&self, key: &Path) -> Option<Secret> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub fn set(&self, key: &Path, passphrase: Secret) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), passphrase);
    }
}

impl PartialEq for Passphrases {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Passphrases {}

impl Hash for Passphrases {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl fmt::Debug for Passphrases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrases")
    }
}

/// How a password is handed to the keeper, and nobody else: a secret has no other way into text.
pub mod password {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Secret;

    pub fn serialize<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::expose).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
    }
}

/// As [`password`].
pub mod passphrases {
    use std::collections::HashMap;
    use std::path::PathBuf;
    use std::sync::PoisonError;

    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::{Passphrases, Secret};

    pub fn serialize<S: Serializer>(secrets: &Passphrases, serializer: S) -> Result<S::Ok, S::Error> {
        let secrets = secrets.0.lock().unwrap_or_else(PoisonError::into_inner);
        serializer.collect_map(secrets.iter().map(|(path, secret)| (path, secret.expose())))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Passphrases, D::Error> {
        let secrets = Passphrases::default();
        for (path, secret) in HashMap::<PathBuf, String>::deserialize(deserializer)? {
            secrets.set(&path, Secret::new(secret));
        }
        Ok(secrets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_no_secret() {
        let passphrases = Passphrases::default();
        passphrases.set(Path::new("/key"), Secret::new("hunter2"));
        assert_eq!(passphrases.clone().get(Path::new("/key")), Some(Secret::new("hunter2")));
        assert_eq!(passphrases.get(Path::new("/other")), None);
        assert_eq!(format!("{:?} {passphrases:?}", Secret::new("hunter2")), "Secret Passphrases");
    }

    #[test]
    fn secrets_are_handed_over_whole() {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Handed {
            #[serde(with = "super::password")]
            password: Option<Secret>,
            #[serde(with = "super::passphrases")]
            passphrases: Passphrases,
        }
        let passphrases = Passphrases::default();
        passphrases.set(Path::new("/key"), Secret::new("two words"));
        for password in [None, Some(Secret::new("hunter2"))] {
            let handed = Handed { password: password.clone(), passphrases: passphrases.clone() };
            let taken: Handed = serde_json::from_str(&serde_json::to_string(&handed).unwrap()).unwrap();
            assert_eq!(taken.password, password);
            assert_eq!(taken.passphrases.get(Path::new("/key")), Some(Secret::new("two words")));
        }
    }
}
