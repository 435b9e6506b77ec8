//! Secrets: a box for each, with a key of its own for each name.
//!
//! A box is a nonce of 24 bytes and XSalsa20-Poly1305 over the secret. Its key is HMAC-SHA256, by the
//! key of the file, over what it is for and its names: one that somebody moves to another name does
//! not open there. For a secret variable `{"sealed": B}` stands in the ledger, B being base64 of the
//! box over the value's JSON; the names are scope and key.

use std::path::PathBuf;
use std::sync::OnceLock;

use base64ct::{Base64, Encoding as _};
use crypto_secretbox::aead::rand_core::RngCore as _;
use crypto_secretbox::aead::{Aead as _, KeyInit as _, OsRng};
use crypto_secretbox::{Key, Nonce, XSalsa20Poly1305};
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::key_file;
use crate::error::{Error, OrFail as _, Result};

const NONCE_BYTES: usize = 24;
/// Poly1305 adds it to each box.
const TAG_BYTES: usize = 16;

/// What a box is for: keeps their keys apart.
#[derive(Debug, Clone, Copy)]
pub(in crate::ledger) enum Purpose {
    Variable,
    /// What a run was asked for; the first name is the run's.
    Order,
}

impl Purpose {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Variable => b"cronium-run variable v1\0",
            Self::Order => b"cronium-run order v1\0",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    sealed: String,
}

/// Bytes of the JSON inside a sealed value, of which the text's length and its last characters are
/// given. Without these it may be up to 2 too many. Of what was not sealed here it says nothing.
pub(super) fn bytes_inside(text_bytes: usize, end: &str) -> usize {
    let base64 = text_bytes.saturating_sub(r#"{"sealed":""}"#.len());
    let padding = end.bytes().filter(|byte| *byte == b'=').count();
    (base64 / 4 * 3).saturating_sub(padding + NONCE_BYTES + TAG_BYTES)
}

/// The key file, read when it is first needed.
pub(in crate::ledger) struct Keyring {
    path: PathBuf,
    key: OnceLock<Zeroizing<[u8; key_file::BYTES]>>,
}

impl Keyring {
    pub(in crate::ledger) fn new(path: PathBuf) -> Self {
        Self { path, key: OnceLock::new() }
    }

    /// Whether there is a key to seal with.
    pub(in crate::ledger) fn has_key(&self) -> Result<bool> {
        if self.key.get().is_none()
            && let Some(key) = key_file::read(&self.path)?
        {
            _ = self.key.set(key);
        }
        Ok(self.key.get().is_some())
    }

    /// Makes the key file where there is none.
    pub(in crate::ledger) fn make_key(&self) -> Result<()> {
        if self.key.get().is_none() {
            _ = self.key.set(key_file::read_or_make(&self.path)?);
        }
        Ok(())
    }

    /// Why nothing can be sealed: another key would part what is written from now on from what is
    /// there.
    pub(in crate::ledger) fn lost(&self) -> Error {
        let path = shlex::try_quote(&self.path.to_string_lossy()).unwrap_or_default().into_owned();
        Error::failure(format!("the key of secret variables {} is not there", self.path.display()))
            .cause("the ledger holds secrets that no other key opens")
            .hint(self.put_back())
            .hint(format!(
                "where it is lost for good, and they with it: (umask 077; head -c {} /dev/urandom | base64 >{path})",
                key_file::BYTES
            ))
    }

    fn put_back(&self) -> String {
        format!("put {} back from a copy", self.path.display())
    }

    /// The sealed value as JSON. There must be a key.
    pub(super) fn seal(&self, scope: &str, key: &str, value: &Value) -> Result<String> {
        if !self.has_key()? {
            return Err(self.lost());
        }
        let text = Zeroizing::new(value.to_string());
        let bytes = self.shut(Purpose::Variable, [scope, key], text.as_bytes())?;
        serde_json::to_string(&Sealed { sealed: Base64::encode_string(&bytes) })
            .or_fail(|| "cannot write JSON".to_owned())
    }

    /// What [`Keyring::seal`] sealed for the same name.
    pub(super) fn unseal(&self, scope: &str, key: &str, text: &str) -> Result<Value> {
        let cannot = || Error::failure(format!("cannot open the secret variable `{key}` of {scope}"));
        if !self.has_key()? {
            let cause = format!("there is no key file {}", self.path.display());
            return Err(cannot().cause(cause).hint(self.put_back()));
        }
        let fail =
            || cannot().hint(format!("set it anew: cronium-run vars set --secret --scope '{scope}' '{key}'"));
        let broken = || fail().cause("what is in the ledger is no sealed value");
        let sealed: Sealed = serde_json::from_str(text).map_err(|_| broken())?;
        let bytes = Base64::decode_vec(&sealed.sealed).map_err(|_| broken())?;
        if bytes.len() < NONCE_BYTES {
            return Err(broken());
        }
        let opened = self.reopen(Purpose::Variable, [scope, key], &bytes)?.ok_or_else(|| {
            fail().cause(format!(
                "it was sealed for another name, or by another key than {}",
                self.path.display()
            ))
        })?;
        serde_json::from_slice(&opened).map_err(|_| broken())
    }

    /// Nonce and box. There must be a key.
    pub(in crate::ledger) fn shut(
        &self,
        purpose: Purpose,
        names: [&str; 2],
        secret: &[u8],
    ) -> Result<Vec<u8>> {
        let mut bytes = vec![0; NONCE_BYTES];
        OsRng.fill_bytes(&mut bytes);
        let boxed = self.secretbox(purpose, names)?.encrypt(Nonce::from_slice(&bytes), secret);
        bytes.extend(boxed.map_err(|_| Error::failure(format!("cannot seal {}", names.join(" "))))?);
        Ok(bytes)
    }

    /// What [`Keyring::shut`] shut for the same names; `None` where it does not open with this key,
    /// which must be there.
    pub(in crate::ledger) fn reopen(
        &self,
        purpose: Purpose,
        names: [&str; 2],
        bytes: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some((nonce, boxed)) = bytes.split_at_checked(NONCE_BYTES) else { return Ok(None) };
        let opened = self.secretbox(purpose, names)?.decrypt(Nonce::from_slice(nonce), boxed);
        Ok(opened.ok().map(Zeroizing::new))
    }

    fn secretbox(&self, purpose: Purpose, [scope, key]: [&str; 2]) -> Result<XSalsa20Poly1305> {
        let file_key = self.key.get().ok_or_else(|| Error::failure("the key of secrets was not read"))?;
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&**file_key)
            .or_fail(|| "the key of secrets has no length that HMAC takes")?;
        mac.update(purpose.bytes());
        // Its length first, so that no two pairs of names give the same bytes.
        mac.update(&(scope.len() as u64).to_le_bytes());
        mac.update(scope.as_bytes());
        mac.update(key.as_bytes());
        let derived = Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
        Ok(XSalsa20Poly1305::new(Key::from_slice(&*derived)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with_key(path: PathBuf) -> Keyring {
        let keyring = Keyring::new(path);
        keyring.make_key().unwrap();
        keyring
    }

    #[test]
    fn a_value_opens_under_its_own_name_alone() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = || with_key(folder.path().join("variables.key"));
        let sealed = keyring().seal("host:web1", "db/password", &json!({"pw": "hunter2"})).unwrap();
        assert!(sealed.starts_with(r#"{"sealed":""#) && !sealed.contains("hunter2"), "{sealed}");
        assert_ne!(sealed, keyring().seal("host:web1", "db/password", &json!({"pw": "hunter2"})).unwrap());
        assert_eq!(keyring().unseal("host:web1", "db/password", &sealed).unwrap(), json!({"pw": "hunter2"}));
        for (scope, key) in [("host:web2", "db/password"), ("host:web1", "x"), ("host:web1d", "b/password")] {
            let error = keyring().unseal(scope, key, &sealed).unwrap_err();
            assert!(error.causes[0].starts_with("it was sealed for another name"), "{error}");
        }
    }

    #[test]
    fn what_is_inside_is_measured_from_outside() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = with_key(folder.path().join("variables.key"));
        for value in ["", "a", "ab", "abc", "ž\"\n", &"long".repeat(1000)] {
            let (value, sealed) = (json!(value), keyring.seal("s", "k", &json!(value)).unwrap());
            let bytes = value.to_string().len();
            assert_eq!(bytes_inside(sealed.len(), &sealed[sealed.len() - 4..]), bytes, "{value}");
            assert!((bytes..bytes + 3).contains(&bytes_inside(sealed.len(), "")), "{value}");
        }
        assert_eq!(bytes_inside(0, ""), 0);
    }

    #[test]
    fn what_does_not_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("variables.key");
        let sealed = with_key(path.clone()).seal("global", "k", &json!(1)).unwrap();
        let cause = |text: &str| {
            let error = Keyring::new(path.clone()).unseal("global", "k", text).unwrap_err();
            assert_eq!(error.message, "cannot open the secret variable `k` of global");
            let hint = match path.exists() {
                true => "set it anew: cronium-run vars set --secret --scope 'global' 'k'".to_owned(),
                false => format!("put {} back from a copy", path.display()),
            };
            assert_eq!(error.hints, [hint]);
            error.causes.join("; ").replace(path.to_str().unwrap(), "KEY")
        };
        for broken in ["", "1", "{}", r#"{"sealed":"?"}"#, r#"{"sealed":"AAAA"}"#] {
            assert_eq!(cause(broken), "what is in the ledger is no sealed value", "{broken}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(cause(&sealed), "there is no key file KEY");
        with_key(path.clone()).seal("global", "k", &json!(1)).unwrap();
        assert_eq!(cause(&sealed), "it was sealed for another name, or by another key than KEY");
    }
}
