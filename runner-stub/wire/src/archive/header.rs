//! Tar headers: an entry's name, link and size may stand in extra headers before it.
//!
//! They are read here, not by the `tar` crate, which would hold a long name of any length in
//! memory, and which takes the first of two names where other readers take the last.

use std::io::Read;

use tar::EntryType;

use super::Fault;

/// No name, link or attribute needs more.
const MAX_EXTRA: u64 = 64 << 10;

/// What extra headers say about the entry that follows them.
#[derive(Debug, Default)]
pub struct Extra {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    is_sparse: bool,
}

impl Extra {
    /// Reads the entry if it is an extra header. `Ok(false)`: it is a real entry.
    pub fn read<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<bool, Fault> {
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName => put(&mut self.path, c_string(read(entry)?)),
            EntryType::GNULongLink => put(&mut self.link, c_string(read(entry)?)),
            EntryType::XHeader => self.read_pax(&read(entry)?),
            // Global attributes (git writes a comment): none of them changes what we unpack.
            EntryType::XGlobalHeader => read(entry).map(drop),
            _ => return Ok(false),
        }?;
        Ok(true)
    }

    /// Records of `LENGTH KEY=VALUE\n`, where LENGTH counts the whole record (POSIX, pax).
    fn read_pax(&mut self, mut records: &[u8]) -> Result<(), Fault> {
        let bad = || Fault::Header("a malformed pax record".into());
        while !records.is_empty() {
            let space = records.iter().position(|byte| *byte == b' ').ok_or_else(bad)?;
            let length = std::str::from_utf8(&records[..space]).ok().and_then(|text| text.parse().ok());
            let (record, rest) =
                length.and_then(|length| records.split_at_checked(length)).ok_or_else(bad)?;
            let record =
                record.get(space + 1..).and_then(|record| record.strip_suffix(b"\n")).ok_or_else(bad)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(bad)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => put(&mut self.path, value.to_vec())?,
                b"linkpath" => put(&mut self.link, value.to_vec())?,
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    self.size = Some(size.ok_or_else(bad)?);
                }
                _ => self.is_sparse |= key.starts_with(b"GNU.sparse."),
            }
            records = rest;
        }
        Ok(())
    }

    /// Name, link and size of the real entry, which the extra headers came before.
    pub fn apply(self, header: &tar::Header, size: u64) -> Result<Named, Fault> {
        if self.is_sparse || header.entry_type() == EntryType::GNUSparse {
            return Err(Fault::Special("sparse file"));
        }
        // Only a file of 8 GiB needs its size elsewhere; two sizes are two archives in one.
        if self.size.is_some_and(|other| other != size) {
            return Err(Fault::Header("two sizes".into()));
        }
        Ok(Named {
            path: self.path.unwrap_or_else(|| header.path_bytes().into_owned()),
            link: self.link.or_else(|| header.link_name_bytes().map(|link| link.into_owned())),
        })
    }
}

#[derive(Debug)]
pub struct Named {
    pub path: Vec<u8>,
    pub link: Option<Vec<u8>>,
}

fn put(place: &mut Option<Vec<u8>>, value: Vec<u8>) -> Result<(), Fault> {
    match place.replace(value) {
        Some(_) => Err(Fault::Header("two long names".into())),
        None => Ok(()),
    }
}

fn c_string(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

fn read<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Vec<u8>, Fault> {
    if entry.size() > MAX_EXTRA {
        return Err(Fault::TooLong);
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(|error| Fault::Header(error.to_string()))?;
    Ok(bytes)
}
