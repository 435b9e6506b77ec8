//! The rules of `shared/vectors/README.md`, each on files that the real cosign made.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/cosign.tar.gz");

fn vectors() -> BTreeMap<String, Vec<u8>> {
    let file = std::fs::File::open(VECTORS).unwrap_or_else(|error| panic!("{VECTORS}: {error}"));
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = Path::new(&*entry.path().unwrap()).file_name().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (name, bytes)
    });
    entries.collect()
}

const KEYS: [&str; 4] = ["key-2.5.0-empty", "key-2.5.0-password", "key-3.1.1-empty", "key-3.1.1-password"];
/// A signature and its key.
const SIGNED: [(&str, &str); 4] = [
    ("blob.bin.2.5.0.sig", "key-2.5.0-password"),
    ("blob.bin.2.5.0.legacy.json", "key-2.5.0-password"),
    ("blob.bin.2.5.0.sigstore.json", "key-2.5.0-password"),
    ("blob.bin.3.1.1.sigstore.json", "key-3.1.1-password"),
];

fn key(files: &BTreeMap<String, Vec<u8>>, name: &str) -> PublicKey {
    PublicKey::from_pem(std::str::from_utf8(&files[&format!("{name}.pub")]).unwrap()).unwrap()
}

fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

#[test]
fn each_verifies_with_its_own_key_and_no_other() {
    let files = vectors();
    let blob = digest(&files["blob.bin"]);
    for (file, signer) in SIGNED {
        let bundle = Bundle::parse(&files[file]).unwrap();
        for name in KEYS {
            let keys = [key(&files, name)];
            let verified = verify(&blob, &bundle, &keys);
            assert_eq!(verified.is_ok(), name == signer, "{file} with {name}");
        }
        let all = KEYS.map(|name| key(&files, name));
        assert_eq!(verify(&blob, &bundle, &all), Ok(&key(&files, signer)), "{file}");
        assert_eq!(verify(&blob, &bundle, &[]), Err(VerifyError::NoKeyMatches { known: vec![] }));
        if let Some(hint) = &bundle.hint {
            assert_eq!(*hint, key(&files, signer).hint());
        }
    }
}

#[test]
fn any_changed_byte_of_the_blob_is_refused() {
    let files = vectors();
    let mut blob = files["blob.bin"].clone();
    for (file, signer) in SIGNED {
        let bundle = Bundle::parse(&files[file]).unwrap();
        let keys = [key(&files, signer)];
        // A new format names its digest, so that every byte costs only a hash; the older ones are
        // sampled.
        let step = if bundle.digest.is_some() { 1 } else { 211 };
        for at in (0..blob.len()).step_by(step) {
            blob[at] ^= 1;
            assert!(verify(&digest(&blob), &bundle, &keys).is_err(), "{file}, byte {at}");
            blob[at] ^= 1;
        }
        let cut = digest(&blob[..blob.len() - 1]);
        assert!(verify(&cut, &bundle, &keys).is_err(), "{file}, cut");
    }
}

#[test]
fn any_changed_byte_of_the_signature_is_refused() {
    let files = vectors();
    let blob = digest(&files["blob.bin"]);
    for (file, signer) in SIGNED {
        let bundle = Bundle::parse(&files[file]).unwrap();
        let keys = [key(&files, signer)];
        for at in 0..bundle.signature.len() {
            let mut changed = bundle.clone();
            changed.signature[at] ^= 1;
            assert!(verify(&blob, &changed, &keys).is_err(), "{file}, byte {at}");
        }
        // And in the file itself, where the text of the signature stands.
        let text = std::str::from_utf8(&files[file]).unwrap();
        let signature = Base64::encode_string(&bundle.signature);
        let start = text.find(&signature).unwrap();
        for at in start..start + signature.len() {
            let mut changed = files[file].clone();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let refused = Bundle::parse(&changed).map_or(true, |it| verify(&blob, &it, &keys).is_err());
            assert!(refused, "{file}, character {at}");
        }
    }
}

#[test]
fn a_changed_digest_in_the_bundle_is_refused() {
    let files = vectors();
    let blob = digest(&files["blob.bin"]);
    for (file, signer) in SIGNED {
        let mut bundle = Bundle::parse(&files[file]).unwrap();
        if let Some(digest) = &mut bundle.digest {
            digest[31] ^= 1;
            assert_eq!(
                verify(&blob, &bundle, &[key(&files, signer)]),
                Err(VerifyError::OtherDigest),
                "{file}"
            );
        }
    }
}

#[test]
fn we_write_what_cosign_3_writes() {
    let files = vectors();
    let cosign = &files["blob.bin.3.1.1.sigstore.json"];
    let theirs = Bundle::parse(cosign).unwrap();
    let ours =
        Bundle::new(theirs.signature.clone(), digest(&files["blob.bin"]), &key(&files, "key-3.1.1-password"));
    assert_eq!(String::from_utf8(ours.write()).unwrap(), std::str::from_utf8(cosign).unwrap().trim_end());
}

#[test]
fn what_is_no_bundle() {
    let table: &[(&str, &str)] = &[
        ("", "not a signature bundle: it is empty"),
        ("hello!", "not a signature bundle: it is not base64"),
        ("{", "not a signature bundle: EOF while parsing an object at line 1 column 1"),
        ("{}", "not a signature bundle: it has neither 'mediaType' nor 'base64Signature'"),
        (r#"{"base64Signature":""}"#, "not a signature bundle: base64Signature is empty"),
        (r#"{"base64Signature":"#, "not a signature bundle: EOF while parsing a value at line 1 column 19"),
        (
            r#"{"mediaType":"text/plain","verificationMaterial":{}}"#,
            "not a bundle for a payload: its media type is 'text/plain'",
        ),
        (
            r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{},"dsseEnvelope":{}}"#,
            "not a bundle for a payload: it holds an attestation, no 'messageSignature'",
        ),
        (
            r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{},
                "messageSignature":{"messageDigest":{"algorithm":"SHA2_512","digest":"AAAA"},"signature":"AAAA"}}"#,
            "not a bundle for a payload: its digest is SHA2_512, not SHA2_256",
        ),
        (
            r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{},
                "messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"AAAA"},"signature":"AAAA"}}"#,
            "not a signature bundle: its digest has not 32 bytes",
        ),
    ];
    for (text, want) in table {
        assert_eq!(Bundle::parse(text.as_bytes()).unwrap_err().to_string(), *want, "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(bundle) = Bundle::parse(&bytes) {
            let files = [PublicKey::from_pem(PEM).unwrap()];
            prop_assert!(verify(&[0; 32], &bundle, &files).is_err());
        }
    }
}

const PEM: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgazBVN5WYsm/opa3a7IblPUbhBFW
rudN5ZUUi+h0jBqLHjLtpSDfZ2JvZPn12t7LKk7c9fdld+9CzL3LqXtJFw==
-----END PUBLIC KEY-----
";
