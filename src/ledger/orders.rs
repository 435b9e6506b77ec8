//! What runs were asked for, so that they can be asked for again: sealed, as arguments, environment and
//! input may hold passwords.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{OptionalExtension as _, params};
use serde_json::Value;
use zeroize::Zeroizing;

use super::variables::sealing::{Keyring, Purpose};
use super::variables::write::holds_secrets;
use super::{Ledger, Reader};
use crate::error::{Error, OrFail as _, Result};

/// zstd's: a thousand hosts are a megabyte of much the same JSON.
const LEVEL: i32 = 3;

/// The orders of a ledger. Cheap to clone.
#[derive(Clone)]
pub struct Orders {
    ledger: Ledger,
    keyring: Arc<Keyring>,
}

/// An order that opens under its run's name alone: [`Reader::order`].
#[derive(Debug, Clone)]
pub struct SealedOrder(pub(super) Vec<u8>);

impl Orders {
    pub(super) fn new(ledger: Ledger, key_file: PathBuf) -> Self {
        Self { ledger, keyring: Arc::new(Keyring::new(key_file)) }
    }

    /// Makes the key file where there is none, unless it is one that was lost and other secrets need.
    pub fn seal(&self, run: &str, order: &Value) -> Result<SealedOrder> {
        if !self.keyring.has_key()? {
            let reader = self.ledger.reader()?;
            if reader.worded(|| holds_secrets(reader.connection()))? {
                return Err(self.keyring.lost());
            }
            self.keyring.make_key()?;
        }
        let text = Zeroizing::new(order.to_string());
        let packed = zstd::bulk::compress(text.as_bytes(), LEVEL).or_fail(|| "cannot compress an order")?;
        self.keyring.shut(Purpose::Order, [run, ""], &Zeroizing::new(packed)).map(SealedOrder)
    }
}

impl Reader {
    /// What a run was asked for. `None` where it was not kept: an older run, or one whose order could not
    /// be sealed. `key_file` is that of [`Ledger::orders`].
    pub fn order(&self, run: &str, key_file: PathBuf) -> Result<Option<Value>> {
        let sealed: Option<Vec<u8>> = self.worded(|| {
            let sealed = "SELECT sealed FROM orders WHERE run_id = ?1";
            Ok(self.connection().query_row(sealed, params![run], |row| row.get(0)).optional()?)
        })?;
        let Some(sealed) = sealed else { return Ok(None) };
        let cannot = || Error::failure(format!("cannot open what run {run} was asked for"));
        let keyring = Keyring::new(key_file);
        if !keyring.has_key()? {
            let lost = keyring.lost();
            return Err(Error { hints: lost.hints, ..cannot().cause(lost.message) });
        }
        let broken = || cannot().cause("it was sealed with another key");
        let packed = keyring.reopen(Purpose::Order, [run, ""], &sealed)?.ok_or_else(broken)?;
        let text = zstd::decode_all(packed.as_slice()).map(Zeroizing::new).or_fail(|| cannot().message)?;
        serde_json::from_slice(&text).map(Some).or_fail(|| cannot().message)
    }
}
