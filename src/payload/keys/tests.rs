use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::*;
use crate::error::ExitCode;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/vectors/cosign.tar.gz");

/// Files made by the real cosign, by name.
fn vectors() -> BTreeMap<String, String> {
    let file = fs::File::open(VECTORS).unwrap_or_else(|error| panic!("{VECTORS}: {error}"));
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = Path::new(&*entry.path().unwrap()).file_name().unwrap().to_str().unwrap().to_owned();
        let mut text = String::new();
        if entry.read_to_string(&mut text).is_ok() {
            files.insert(name, text);
        }
    }
    files
}

#[test]
fn keys_of_cosign_open_with_their_password_and_no_other() {
    let files = vectors();
    let digest = Sha256::digest(b"payload").into();
    for version in ["2.5.0", "3.1.1"] {
        for (kind, right, wrong) in [("empty", "", "x"), ("password", "correct horse", "correct horsf")] {
            let name = format!("key-{version}-{kind}");
            let (sealed, public) = (&files[&format!("{name}.key")], &files[&format!("{name}.pub")]);
            let key = SigningKey::from_pem(sealed, &Password::given(right), &name).unwrap();
            assert_eq!(key.public().to_pem(), *public);
            assert!(PublicKey::from_pem(public).unwrap().verify(&digest, &key.sign(&digest)));
            let error = SigningKey::from_pem(sealed, &Password::given(wrong), &name).err().unwrap();
            assert_eq!(error.message, format!("the password does not open {name}"));
        }
    }
}

#[test]
fn older_label_of_cosign() {
    let sealed = vectors()["key-2.5.0-empty.key"].replace("SIGSTORE", "COSIGN");
    assert!(SigningKey::from_pem(&sealed, &Password::given(""), "old").is_ok());
}

#[test]
fn a_pair_has_the_form_of_cosigns() {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("release");
    let pair = keygen(&prefix, &Password::given("secret")).unwrap();
    assert_eq!((&pair.key, &pair.public), (&prefix.with_extension("key"), &prefix.with_extension("pub")));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&pair.key), mode(&pair.public)), (0o600, 0o644));

    let cosigns = vectors();
    let form = |pem: &str| {
        let (label, json) = pem_rfc7468::decode_vec(pem.as_bytes()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let lengths = [&json["kdf"]["salt"], &json["cipher"]["nonce"]].map(|it| it.as_str().unwrap().len());
        (label.to_owned(), json["kdf"]["params"].clone(), json["cipher"]["name"].clone(), lengths)
    };
    let ours = fs::read_to_string(&pair.key).unwrap();
    assert_eq!(form(&ours), form(&cosigns["key-3.1.1-empty.key"]));
    assert_eq!(ours.lines().nth(1).map(str::len), Some(64));

    let key = SigningKey::load(&pair.key, &Password::given("secret")).unwrap();
    assert_eq!(key.public(), &load_public(&pair.public).unwrap());
    assert_eq!(key.public().fingerprint(), pair.fingerprint);
    let again = keygen(&prefix, &Password::given("")).unwrap_err();
    assert_eq!(again.message, format!("{} is already there", pair.key.display()));
    assert_eq!(fs::read_to_string(&pair.key).unwrap(), ours);
}

#[test]
fn what_is_no_key() {
    let files = vectors();
    let public = &files["key-2.5.0-empty.pub"];
    let json = r#"{"kdf":{"name":"scrypt","params":{"N":1099511627776,"r":8,"p":1},"salt":"AAAA"},"cipher":{"name":"nacl/secretbox","nonce":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},"ciphertext":"AAAA"}"#;
    let pem =
        |label, der: &[u8]| pem_rfc7468::encode_string(label, pem_rfc7468::LineEnding::LF, der).unwrap();
    let table = [
        (String::new(), "no PEM that can be read"),
        ("hello".to_owned(), "no PEM that can be read"),
        (public.clone(), "its PEM says 'PUBLIC KEY', not 'ENCRYPTED SIGSTORE PRIVATE KEY' or 'PRIVATE KEY'"),
        (pem(PLAIN, b"nonsense"), "not an ECDSA key on P-256"),
        (pem(SEALED[0], b"{}"), "missing field `kdf` at line 1 column 2"),
        // A key file may not make us use a terabyte.
        (pem(SEALED[0], json.as_bytes()), "scrypt parameters out of bounds"),
        (pem(SEALED[0], json.replace("1099511627776", "3").as_bytes()), "scrypt parameters out of bounds"),
        (pem(SEALED[0], json.replace("scrypt", "argon").as_bytes()), "sealed with argon and nacl/secretbox"),
    ];
    for (text, want) in table {
        let error = SigningKey::from_pem(&text, &Password::given(""), "some.key").err().unwrap();
        assert_eq!(error.message, "some.key is not a signing key");
        assert!(error.causes[0].starts_with(want), "{:?}", error.causes);
    }
}

#[test]
fn the_operator_key_is_made_once_and_private() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("config/cronium-run");
    let key = operator::operator_key_in(&folder).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("operator.key"))), (0o700, 0o600));
    assert_eq!(load_public(&folder.join("operator.pub")).unwrap(), *key.public());
    assert_eq!(operator::operator_key_in(&folder).unwrap().public(), key.public());

    fs::remove_file(folder.join("operator.pub")).unwrap();
    operator::operator_key_in(&folder).unwrap();
    assert!(folder.join("operator.pub").exists());

    fs::set_permissions(folder.join("operator.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let error = operator::operator_key_in(&folder).err().unwrap();
    assert_eq!(error.code, ExitCode::Failure);
    assert_eq!(error.hints, [format!("chmod 600 {}/operator.key", folder.display())]);
}

#[test]
fn of_two_that_make_the_operator_key_at_once_both_use_one() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("cronium-run");
    let prints: Vec<String> = std::thread::scope(|scope| {
        let make = || operator::operator_key_in(&folder).unwrap().public().fingerprint();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(prints.iter().all(|print| *print == prints[0]), "{prints:?}");
    assert_eq!(load_public(&folder.join("operator.pub")).unwrap().fingerprint(), prints[0]);
}
