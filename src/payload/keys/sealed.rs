//! Cosign's sealed keys: JSON that names scrypt's parameters and holds a NaCl secretbox
//! (github.com/secure-systems-lab/go-securesystemslib, `encrypted`).

use base64ct::{Base64, Encoding as _};
use crypto_secretbox::aead::rand_core::RngCore as _;
use crypto_secretbox::aead::{Aead as _, KeyInit as _, OsRng};
use crypto_secretbox::{Key, Nonce, XSalsa20Poly1305};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Password;
use crate::error::{Error, Result};

#[derive(Serialize, Deserialize)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Serialize, Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

const KDF: &str = "scrypt";
const CIPHER: &str = "nacl/secretbox";
/// What cosign 2 and 3 write. Its own reader refuses parameters it does not know: keep these.
const PARAMS: Params = Params { n: 65_536, r: 8, p: 1 };
/// Memory a key file may make us use.
const MAX_MEMORY: u64 = 512 << 20;
/// Rounds over that memory.
const MAX_ROUNDS: u32 = 8;

/// Opens a sealed key; `what` names it in messages.
pub fn open(json: &[u8], password: &Password, what: &str) -> Result<Zeroizing<Vec<u8>>> {
    let wrong = |reason: &str| Error::usage(format!("{what} is not a signing key")).cause(reason.to_owned());
    let sealed: Sealed = serde_json::from_slice(json).map_err(|error| wrong(&error.to_string()))?;
    if sealed.kdf.name != KDF || sealed.cipher.name != CIPHER {
        return Err(wrong(&format!("sealed with {} and {}", sealed.kdf.name, sealed.cipher.name)));
    }
    let decode = |text: &str| Base64::decode_vec(text).map_err(|_| wrong("broken base64 in it"));
    let (salt, nonce) = (decode(&sealed.kdf.salt)?, decode(&sealed.cipher.nonce)?);
    let ciphertext = decode(&sealed.ciphertext)?;
    let nonce: [u8; 24] = nonce.try_into().map_err(|_| wrong("its nonce has not 24 bytes"))?;
    let params = checked(sealed.kdf.params).ok_or_else(|| wrong("scrypt parameters out of bounds"))?;

    let password = password.ask(what)?;
    let opened = secretbox(&password, &salt, &params).decrypt(&Nonce::from(nonce), ciphertext.as_slice());
    opened.map(Zeroizing::new).map_err(|_| {
        Error::usage(format!("the password does not open {what}"))
            .hint(format!("{}=… cronium-run …   or unset it to be asked", Password::VARIABLE))
    })
}

/// Seals a key as cosign does.
pub fn seal(secret: &[u8], password: &str) -> Vec<u8> {
    let (mut salt, mut nonce) = ([0; 32], [0; 24]);
    OsRng.fill_bytes(&mut salt);
    OsRng.fill_bytes(&mut nonce);
    let params = checked(PARAMS).expect("within bounds");
    let ciphertext = secretbox(password, &salt, &params)
        .encrypt(&Nonce::from(nonce), secret)
        .expect("a key is shorter than a secretbox may be");
    let sealed = Sealed {
        kdf: Kdf { name: KDF.into(), params: PARAMS, salt: Base64::encode_string(&salt) },
        cipher: Cipher { name: CIPHER.into(), nonce: Base64::encode_string(&nonce) },
        ciphertext: Base64::encode_string(&ciphertext),
    };
    serde_json::to_vec(&sealed).expect("plain data with string keys")
}

fn checked(Params { n, r, p }: Params) -> Option<scrypt::Params> {
    let memory = n.checked_mul(u64::from(r))?.checked_mul(128)?;
    if !n.is_power_of_two() || n < 2 || memory > MAX_MEMORY || p > MAX_ROUNDS {
        return None;
    }
    scrypt::Params::new(u8::try_from(n.ilog2()).ok()?, r, p).ok()
}

fn secretbox(password: &str, salt: &[u8], params: &scrypt::Params) -> XSalsa20Poly1305 {
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(password.as_bytes(), salt, params, &mut *key).expect("32 bytes are a length it knows");
    XSalsa20Poly1305::new(Key::from_slice(&*key))
}
