//! Signatures as cosign writes them, and the one place where they are verified.

use std::fmt;

use base64ct::{Base64, Base64Url, Encoding as _};
use serde::{Deserialize, Serialize};

use crate::key::{Digest, PublicKey};

/// The format that [`Bundle::write`] writes: Sigstore's bundle, protobuf as JSON
/// (github.com/sigstore/protobuf-specs, sigstore_bundle.proto).
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// A bundle of ours has some 400 bytes; one with certificates and log entries some thousands.
const MAX_BYTES: usize = 1 << 20;

/// A signature and what came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// ECDSA on P-256 with SHA-256, DER.
    pub signature: Vec<u8>,
    /// The digest the bundle names; the older formats name none.
    pub digest: Option<Digest>,
    /// Which key signed, see [`PublicKey::hint`]. Nothing is proven by it.
    pub hint: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleError {
    /// Neither JSON of a known form nor base64.
    Unreadable(String),
    /// A Sigstore bundle of a kind that holds no signature of a file.
    Unsupported(String),
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(reason) => write!(f, "not a signature bundle: {reason}"),
            Self::Unsupported(what) => write!(f, "not a bundle for a payload: {what}"),
        }
    }
}

impl std::error::Error for BundleError {}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifyError {
    /// The bundle was made for other bytes.
    OtherDigest,
    /// No key signed this. `known`: fingerprints of the keys tried.
    NoKeyMatches { known: Vec<String> },
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherDigest => write!(f, "the signature was made for other bytes: the digests differ"),
            Self::NoKeyMatches { known } if known.is_empty() => write!(f, "no key is trusted"),
            Self::NoKeyMatches { known } => {
                write!(f, "the signature is not of a trusted key ({})", known.join(", "))
            }
        }
    }
}

impl std::error::Error for VerifyError {}

/// The key among `keys` that signed what has this digest. Both ends ask here.
pub fn verify<'k>(
    digest: &Digest,
    bundle: &Bundle,
    keys: &'k [PublicKey],
) -> Result<&'k PublicKey, VerifyError> {
    if bundle.digest.is_some_and(|named| named != *digest) {
        return Err(VerifyError::OtherDigest);
    }
    keys.iter()
        .find(|key| key.verify(digest, &bundle.signature))
        .ok_or_else(|| VerifyError::NoKeyMatches { known: keys.iter().map(PublicKey::fingerprint).collect() })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SigstoreJson {
    media_type: String,
    verification_material: MaterialJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_signature: Option<MessageSignatureJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MaterialJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<HintJson>,
}

#[derive(Serialize, Deserialize)]
struct HintJson {
    #[serde(default)]
    hint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageSignatureJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    message_digest: Option<DigestJson>,
    signature: String,
}

#[derive(Serialize, Deserialize)]
struct DigestJson {
    algorithm: String,
    digest: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LegacyJson {
    base64_signature: String,
}

impl Bundle {
    /// What [`Bundle::write`] writes for a signature just made.
    pub fn new(signature: Vec<u8>, digest: Digest, key: &PublicKey) -> Self {
        Self { signature, digest: Some(digest), hint: Some(key.hint()) }
    }

    /// Only a signature, as a bare `.sig` file holds it.
    pub fn bare(signature: Vec<u8>) -> Self {
        Self { signature, digest: None, hint: None }
    }

    /// Reads a Sigstore bundle (`cosign sign-blob --bundle`, 2.x with `--new-bundle-format` and
    /// 3.x), the older `{"base64Signature": …}`, or bare base64.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > MAX_BYTES {
            return Err(unreadable("it is too large"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| unreadable("it is not text"))?.trim();
        if !text.starts_with('{') {
            return Ok(Self::bare(decode("it", text)?));
        }
        let json: serde_json::Value = serde_json::from_str(text).map_err(unreadable)?;
        if json.get("mediaType").is_some() {
            Self::from_sigstore(serde_json::from_value(json).map_err(unreadable)?)
        } else if json.get("base64Signature").is_some() {
            let legacy: LegacyJson = serde_json::from_value(json).map_err(unreadable)?;
            Ok(Self::bare(decode("base64Signature", &legacy.base64_signature)?))
        } else {
            Err(unreadable("it has neither 'mediaType' nor 'base64Signature'"))
        }
    }

    fn from_sigstore(json: SigstoreJson) -> Result<Self, BundleError> {
        if !json.media_type.starts_with("application/vnd.dev.sigstore.bundle") {
            return Err(BundleError::Unsupported(format!("its media type is '{}'", json.media_type)));
        }
        let message = json.message_signature.ok_or_else(|| {
            BundleError::Unsupported("it holds an attestation, no 'messageSignature'".into())
        })?;
        let digest = message.message_digest.map(|named| {
            if named.algorithm != "SHA2_256" {
                let message = format!("its digest is {}, not SHA2_256", named.algorithm);
                return Err(BundleError::Unsupported(message));
            }
            let digest = decode("digest", &named.digest)?;
            Digest::try_from(digest).map_err(|_| unreadable("its digest has not 32 bytes"))
        });
        Ok(Self {
            signature: decode("signature", &message.signature)?,
            digest: digest.transpose()?,
            hint: json.verification_material.public_key.map(|key| key.hint),
        })
    }

    /// Sigstore's bundle v0.3, one line of JSON, as `cosign sign-blob --bundle` writes it. The
    /// same bundle gives the same bytes.
    pub fn write(&self) -> Vec<u8> {
        let json = SigstoreJson {
            media_type: MEDIA_TYPE.into(),
            verification_material: MaterialJson {
                public_key: Some(HintJson { hint: self.hint.clone().unwrap_or_default() }),
            },
            message_signature: Some(MessageSignatureJson {
                message_digest: self.digest.map(|digest| DigestJson {
                    algorithm: "SHA2_256".into(),
                    digest: Base64::encode_string(&digest),
                }),
                signature: Base64::encode_string(&self.signature),
            }),
        };
        serde_json::to_vec(&json).expect("plain data with string keys")
    }
}

fn unreadable(reason: impl fmt::Display) -> BundleError {
    BundleError::Unreadable(reason.to_string())
}

/// Protobuf's JSON may be in either alphabet.
fn decode(what: &str, text: &str) -> Result<Vec<u8>, BundleError> {
    match Base64::decode_vec(text).or_else(|_| Base64Url::decode_vec(text)) {
        Ok(bytes) if bytes.is_empty() => Err(unreadable(format!("{what} is empty"))),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(unreadable(format!("{what} is not base64"))),
    }
}

#[cfg(test)]
mod tests;
