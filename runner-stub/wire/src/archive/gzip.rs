//! Reads gzip (RFC 1952). Its check sum is computed here, a byte at a time: the library's way is 20 kB
//! of the stub, for tables and instructions that an archive of ours has no use for.

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};

/// Bits of a member's flags.
const HEADER_CRC: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// The bytes of all members, which follow each other as one stream. Anything else behind a member is
/// an error.
pub struct Gunzip<R> {
    reader: R,
    inflate: Decompress,
    /// Between a member's header and its end.
    is_inside: bool,
    has_begun: bool,
    sum: u32,
    length: u32,
}

impl<R: BufRead> Gunzip<R> {
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            inflate: Decompress::new(false),
            is_inside: false,
            has_begun: false,
            sum: !0,
            length: 0,
        }
    }

    /// Whether there is another member.
    fn header(&mut self) -> io::Result<bool> {
        if self.has_begun && self.reader.fill_buf()?.is_empty() {
            return Ok(false);
        }
        let [0x1f, 0x8b, 8, flags, _, _, _, _, _, _] = self.bytes()? else { return Err(broken("no gzip")) };
        if flags & RESERVED != 0 {
            return Err(broken("a gzip of a later kind"));
        }
        if flags & EXTRA != 0 {
            for _ in 0..u16::from_le_bytes(self.bytes()?) {
                self.bytes::<1>()?;
            }
        }
        for text in [NAME, COMMENT] {
            while flags & text != 0 && self.bytes()? != [0] {}
        }
        if flags & HEADER_CRC != 0 {
            self.bytes::<2>()?;
        }
        (self.is_inside, self.has_begun, self.sum, self.length) = (true, true, !0, 0);
        self.inflate.reset(false);
        Ok(true)
    }

    fn trailer(&mut self) -> io::Result<()> {
        let sum = u32::from_le_bytes(self.bytes()?);
        let length = u32::from_le_bytes(self.bytes()?);
        self.is_inside = false;
        match sum == !self.sum && length == self.length {
            true => Ok(()),
            false => Err(broken("a wrong gzip checksum")),
        }
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_inside && !self.header()? {
                return Ok(0);
            }
            let packed = self.reader.fill_buf()?;
            let is_end = packed.is_empty();
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(packed, buffer, FlushDecompress::None)
                .map_err(|_| broken("a corrupt deflate stream"))?;
            let used = (self.inflate.total_in() - before_in) as usize;
            let count = (self.inflate.total_out() - before_out) as usize;
            self.reader.consume(used);
            self.sum = crc(self.sum, &buffer[..count]);
            self.length = self.length.wrapping_add(count as u32);
            match status {
                Status::StreamEnd => self.trailer()?,
                _ if is_end && count == 0 && !buffer.is_empty() => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                _ => {}
            }
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
        }
    }
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// CRC-32 of one byte behind zeros.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let (mut value, mut bit) = (at as u32, 0);
        while bit < 8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
};

fn crc(sum: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(sum, |sum, byte| TABLE[usize::from(sum as u8 ^ byte)] ^ (sum >> 8))
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};

    use flate2::read::MultiGzDecoder;
    use flate2::{Compression, GzBuilder};
    use proptest::prelude::*;

    use super::*;

    fn ours(bytes: &[u8], step: usize) -> Option<Vec<u8>> {
        let mut gunzip = Gunzip::new(BufReader::with_capacity(7, bytes));
        let (mut out, mut piece) = (Vec::new(), vec![0; step]);
        loop {
            match gunzip.read(&mut piece) {
                Ok(0) => return Some(out),
                Ok(count) => out.extend_from_slice(&piece[..count]),
                Err(_) => return None,
            }
        }
    }

    fn theirs(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        MultiGzDecoder::new(bytes).read_to_end(&mut out).ok().map(|_| out)
    }

    proptest! {
        /// The library's reader takes the same streams, whole or with a byte changed or cut anywhere.
        #[test]
        fn as_the_library(
            members in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..4),
            name in "[a-z]{0,5}",
            step in 1usize..400,
            change in any::<(prop::sample::Index, u8)>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = Vec::new();
            for member in &members {
                let builder = GzBuilder::new().filename(name.as_str()).comment("c").extra(b"xx".to_vec());
                let mut gz = builder.write(Vec::new(), Compression::fast());
                gz.write_all(member).unwrap();
                bytes.extend(gz.finish().unwrap());
            }
            prop_assert_eq!(ours(&bytes, step), Some(members.concat()));
            let cut = cut.index(bytes.len());
            prop_assert_eq!(ours(&bytes[..cut], step), theirs(&bytes[..cut]), "cut at {}", cut);
            let at = change.0.index(bytes.len());
            bytes[at] ^= change.1;
            prop_assert_eq!(ours(&bytes, step), theirs(&bytes), "changed at {}", at);
        }
    }
}
