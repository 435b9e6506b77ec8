//! The bearer token of a host: a JWT (RFC 7519), HS256, made anew for each run.

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::{OrFail, Result};

/// Who made the token.
const ISSUER: &str = "cronium-run";

/// Seconds for which a token is good before it was made: this machine's clock may be set back.
const CLOCK_SLACK: i64 = 60;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    pub execution_id: String,
    pub job_id: String,
    pub event_id: String,
    /// The only host whose tunnel the token is good for.
    pub host: String,
    /// The scope of variables.
    pub scope: String,
    /// Seconds since 1970, as in `iat` and `nbf`.
    pub exp: i64,
    pub iat: i64,
    pub nbf: i64,
    pub iss: String,
    /// The execution again, for software that knows only the registered claims.
    pub sub: String,
}

/// What a token says of a host, beside the times.
pub struct Subject<'a> {
    pub execution_id: &'a str,
    pub job_id: &'a str,
    pub event_id: &'a str,
    pub host: &'a str,
    pub scope: &'a str,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
    /// Extensions that a verifier must understand: we know none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<serde_json::Value>,
}

/// Why a token is refused. The caller learns no more than that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    Malformed,
    Algorithm,
    Signature,
    Expired,
    NotYetValid,
    Issuer,
    Host,
}

/// Signs and checks the tokens of one run.
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    pub fn generate() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).or_fail(|| "the system gives no random bytes")?;
        Ok(Self(bytes))
    }

    /// A token for `subject`, good from `now` to `expires`, both in seconds since 1970.
    pub fn sign(&self, subject: &Subject, now: i64, expires: i64) -> String {
        let claims = Claims {
            execution_id: subject.execution_id.into(),
            job_id: subject.job_id.into(),
            event_id: subject.event_id.into(),
            host: subject.host.into(),
            scope: subject.scope.into(),
            exp: expires,
            iat: now,
            nbf: now.saturating_sub(CLOCK_SLACK),
            iss: ISSUER.into(),
            sub: subject.execution_id.into(),
        };
        let header = Header { alg: "HS256".into(), typ: Some("JWT".into()), crit: None };
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let mac = self.mac(&signed).finalize().into_bytes();
        format!("{signed}.{}", Base64UrlUnpadded::encode_string(&mac))
    }

    /// The claims of a token that this run made, that is good at `now` and that came through the
    /// tunnel of `host`. Nothing inside is looked at before its signature holds.
    pub fn verify(&self, token: &str, host: &str, now: i64) -> Result<Claims, BadToken> {
        let (signed, mac) = token.rsplit_once('.').ok_or(BadToken::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(BadToken::Malformed)?;
        let mac = Base64UrlUnpadded::decode_vec(mac).map_err(|_| BadToken::Malformed)?;
        // Compares in constant time.
        self.mac(signed).verify_slice(&mac).map_err(|_| BadToken::Signature)?;
        let header: Header = decode(header)?;
        if header.alg != "HS256" || header.crit.is_some() {
            return Err(BadToken::Algorithm);
        }
        let claims: Claims = decode(claims)?;
        if claims.iss != ISSUER {
            return Err(BadToken::Issuer);
        }
        if now < claims.nbf {
            return Err(BadToken::NotYetValid);
        }
        if now >= claims.exp {
            return Err(BadToken::Expired);
        }
        if claims.host != host {
            return Err(BadToken::Host);
        }
        Ok(claims)
    }

    fn mac(&self, signed: &str) -> Hmac<Sha256> {
        let mac = Hmac::new_from_slice(&*self.0).expect("HMAC takes a key of any length");
        mac.chain_update(signed)
    }
}

fn encode<T: Serialize>(value: &T) -> String {
    let json = serde_json::to_vec(value).expect("strings and numbers are always JSON");
    Base64UrlUnpadded::encode_string(&json)
}

fn decode<T: for<'a> Deserialize<'a>>(part: &str) -> Result<T, BadToken> {
    let json = Base64UrlUnpadded::decode_vec(part).map_err(|_| BadToken::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| BadToken::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const SUBJECT: Subject =
        Subject { execution_id: "r.1", job_id: "j", event_id: "42", host: "web1", scope: "global" };

    fn secret(byte: u8) -> Secret {
        Secret(Zeroizing::new([byte; 32]))
    }

    /// A token with any header and claims, signed properly.
    fn forge(secret: &Secret, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let mac = secret.mac(&signed).finalize().into_bytes();
        format!("{signed}.{}", Base64UrlUnpadded::encode_string(&mac))
    }

    #[test]
    fn the_claims_of_the_contract() {
        let token = secret(1).sign(&SUBJECT, NOW, NOW + 60);
        let parts: Vec<Value> = token.split('.').take(2).map(|part| decode(part).unwrap()).collect();
        assert_eq!(parts[0], json!({"alg": "HS256", "typ": "JWT"}));
        let claims = json!({
            "executionId": "r.1", "jobId": "j", "eventId": "42", "host": "web1", "scope": "global",
            "exp": NOW + 60, "iat": NOW, "nbf": NOW - 60, "iss": "cronium-run", "sub": "r.1",
        });
        assert_eq!(parts[1], claims);
    }

    /// RFC 7515, appendix A.1: key, signing input and signature of another implementation.
    #[test]
    fn hs256_is_that_of_the_rfc() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let key = Base64UrlUnpadded::decode_vec(key).unwrap();
        let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
                      eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(signed).finalize().into_bytes();
        assert_eq!(Base64UrlUnpadded::encode_string(&mac), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }

    #[test]
    fn attacks() {
        let ours = secret(1);
        let good = ours.sign(&SUBJECT, NOW, NOW + 60);
        let header = json!({"alg": "HS256", "typ": "JWT"});
        let claims: Value = decode(good.split('.').nth(1).unwrap()).unwrap();
        let with = |name: &str, value: Value| {
            let mut changed = claims.clone();
            changed[name] = value;
            changed
        };
        let unsigned = |header: &Value| format!("{}.{}.", encode(header), encode(&claims));
        let (signed, mac) = good.rsplit_once('.').unwrap();
        let longer = format!("{}.{}.{mac}", encode(&header), encode(&with("exp", json!(NOW + 9999))));

        for (what, token, host, now, expected) in [
            ("good", good.clone(), "web1", NOW, Ok(())),
            ("the last second", good.clone(), "web1", NOW + 59, Ok(())),
            ("expired", good.clone(), "web1", NOW + 60, Err(BadToken::Expired)),
            ("a clock set back a little", good.clone(), "web1", NOW - 60, Ok(())),
            ("a clock set back", good.clone(), "web1", NOW - 61, Err(BadToken::NotYetValid)),
            ("another host's tunnel", good.clone(), "web2", NOW, Err(BadToken::Host)),
            ("another run's", secret(2).sign(&SUBJECT, NOW, NOW + 60), "web1", NOW, Err(BadToken::Signature)),
            ("alg none", unsigned(&json!({"alg": "none"})), "web1", NOW, Err(BadToken::Signature)),
            ("no signature", unsigned(&header), "web1", NOW, Err(BadToken::Signature)),
            ("half a signature", good[..good.len() - 20].into(), "web1", NOW, Err(BadToken::Signature)),
            ("a longer life", longer, "web1", NOW, Err(BadToken::Signature)),
            (
                "none, signed",
                forge(&ours, &json!({"alg": "none"}), &claims),
                "web1",
                NOW,
                Err(BadToken::Algorithm),
            ),
            ("hs256", forge(&ours, &json!({"alg": "hs256"}), &claims), "web1", NOW, Err(BadToken::Algorithm)),
            ("HS512", forge(&ours, &json!({"alg": "HS512"}), &claims), "web1", NOW, Err(BadToken::Algorithm)),
            (
                "crit",
                forge(&ours, &json!({"alg": "HS256", "crit": ["b64"]}), &claims),
                "web1",
                NOW,
                Err(BadToken::Algorithm),
            ),
            ("no alg", forge(&ours, &json!({}), &claims), "web1", NOW, Err(BadToken::Malformed)),
            ("issuer", forge(&ours, &header, &with("iss", json!("x"))), "web1", NOW, Err(BadToken::Issuer)),
            (
                "exp text",
                forge(&ours, &header, &with("exp", json!("9"))),
                "web1",
                NOW,
                Err(BadToken::Malformed),
            ),
            ("no claims", forge(&ours, &header, &json!({})), "web1", NOW, Err(BadToken::Malformed)),
            ("two parts", signed.into(), "web1", NOW, Err(BadToken::Malformed)),
            ("four parts", format!("{good}.x"), "web1", NOW, Err(BadToken::Malformed)),
            ("padded", format!("{good}="), "web1", NOW, Err(BadToken::Malformed)),
            ("empty", String::new(), "web1", NOW, Err(BadToken::Malformed)),
        ] {
            let verified = ours.verify(&token, host, now);
            match expected {
                Ok(()) => assert!(verified.is_ok(), "{what}: {verified:?}"),
                Err(BadToken::Malformed | BadToken::Signature) => {
                    assert!(
                        matches!(verified, Err(BadToken::Malformed | BadToken::Signature)),
                        "{what}: {verified:?}"
                    );
                }
                Err(reason) => assert_eq!(verified, Err(reason), "{what}"),
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_token(text in ".*") {
            prop_assert!(secret(1).verify(&text, "web1", NOW).is_err());
        }

        #[test]
        fn no_changed_byte_is_missed(at: prop::sample::Index, byte in "[A-Za-z0-9_.-]") {
            let good = secret(1).sign(&SUBJECT, NOW, NOW + 60);
            let mut changed = good.clone();
            let at = at.index(good.len());
            changed.replace_range(at..=at, &byte);
            prop_assume!(changed != good);
            prop_assert!(secret(1).verify(&changed, "web1", NOW).is_err());
        }
    }
}
