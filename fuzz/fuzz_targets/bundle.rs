//! A bundle never panics, proves nothing that no key signed, and is written and read back the same.
#![no_main]

use cronium_wire::bundle::{Bundle, verify};
use cronium_wire::key::PublicKey;
use libfuzzer_sys::fuzz_target;

const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgazBVN5WYsm/opa3a7IblPUbhBFW
rudN5ZUUi+h0jBqLHjLtpSDfZ2JvZPn12t7LKk7c9fdld+9CzL3LqXtJFw==
-----END PUBLIC KEY-----
";

fuzz_target!(|bytes: &[u8]| {
    let Ok(bundle) = Bundle::parse(bytes) else { return };
    let key = PublicKey::from_pem(KEY).expect("a good key");
    assert!(verify(&[7; 32], &bundle, &[key]).is_err());
    let again = Bundle::parse(&bundle.write()).expect("what we write, we read");
    assert_eq!((again.signature, again.digest), (bundle.signature, bundle.digest));
    let _ = PublicKey::from_pem(&String::from_utf8_lossy(bytes));
});
