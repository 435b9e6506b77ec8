//! Reads gzip (RFC 1952), one member behind the other.
//!
//! Our own, around flate2's inflate: the checksum that flate2 brings with its gzip is made for
//! speed, with tables and variants for each processor that are 25 kB of the stub.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use flate2::{Decompress, FlushDecompress, Status};

/// Of a member's name or comment, in bytes.
const MAX_TEXT: usize = 64 << 10;

/// Bits of a header's flags.
const HEADER_CRC: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

/// What all members hold, as one stream. Anything but a member behind a member is an error.
pub struct Gunzip<'a> {
    packed: BufReader<&'a mut dyn Read>,
    stage: Stage,
    inflate: Decompress,
    crc: Crc,
    /// Modulo 2^32.
    length: u32,
}

enum Stage {
    Start,
    Member,
    Between,
}

impl<'a> Gunzip<'a> {
    pub fn new(packed: &'a mut dyn Read) -> Self {
        Self {
            packed: BufReader::new(packed),
            stage: Stage::Start,
            inflate: Decompress::new(false),
            crc: Crc::new(),
            length: 0,
        }
    }

    /// A member's header up to its data.
    fn start(&mut self) -> io::Result<()> {
        self.crc = Crc::new();
        let [first, second, method, flags] = self.bytes()?;
        if [first, second, method] != [0x1f, 0x8b, 8] || flags & RESERVED != 0 {
            return Err(invalid("invalid gzip header"));
        }
        let _time_and_system: [u8; 6] = self.bytes()?;
        if flags & EXTRA != 0 {
            for _ in 0..u16::from_le_bytes(self.bytes()?) {
                self.bytes::<1>()?;
            }
        }
        for text in [NAME, COMMENT] {
            let mut length = 0;
            while flags & text != 0 && self.bytes()? != [0] {
                length += 1;
                if length > MAX_TEXT {
                    return Err(invalid("gzip header field too long"));
                }
            }
        }
        let sum = self.crc.sum() as u16;
        if flags & HEADER_CRC != 0 && u16::from_le_bytes(self.bytes()?) != sum {
            return Err(invalid("corrupt gzip header does not have a matching checksum"));
        }
        self.inflate.reset(false);
        (self.crc, self.length) = (Crc::new(), 0);
        Ok(())
    }

    /// The checksum and the length behind a member's data.
    fn end(&mut self) -> io::Result<()> {
        let sum = self.crc.sum();
        if u32::from_le_bytes(self.bytes()?) != sum || u32::from_le_bytes(self.bytes()?) != self.length {
            return Err(invalid("corrupt gzip stream does not have a matching checksum"));
        }
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.packed.read_exact(&mut bytes).map_err(|error| match error.kind() {
            // Said as where the data is cut.
            ErrorKind::UnexpectedEof => ErrorKind::UnexpectedEof.into(),
            _ => error,
        })?;
        self.crc.update(&bytes);
        Ok(bytes)
    }

    /// The next bytes of a member's data; whether they are its last.
    fn inflate(&mut self, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
        let input = self.packed.fill_buf()?;
        let is_over = input.is_empty();
        let (taken, made) = (self.inflate.total_in(), self.inflate.total_out());
        let flush = if is_over { FlushDecompress::Finish } else { FlushDecompress::None };
        let status = self.inflate.decompress(input, buffer, flush)?;
        self.packed.consume((self.inflate.total_in() - taken) as usize);
        let made = (self.inflate.total_out() - made) as usize;
        let is_last = status == Status::StreamEnd;
        if is_over && made == 0 && !is_last {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok((made, is_last))
    }
}

impl Read for Gunzip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.stage {
                Stage::Between if self.packed.fill_buf()?.is_empty() => return Ok(0),
                Stage::Start | Stage::Between => {
                    self.start()?;
                    self.stage = Stage::Member;
                }
                Stage::Member => {
                    let (made, is_last) = self.inflate(buffer)?;
                    self.crc.update(&buffer[..made]);
                    self.length = self.length.wrapping_add(made as u32);
                    if is_last {
                        self.end()?;
                        self.stage = Stage::Between;
                    }
                    if made > 0 {
                        return Ok(made);
                    }
                }
            }
        }
    }
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, message)
}

/// CRC-32 of ISO 3309, byte by byte.
struct Crc(u32);

impl Crc {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut rest = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                rest = if rest & 1 == 1 { rest >> 1 ^ 0xedb8_8320 } else { rest >> 1 };
                bit += 1;
            }
            table[byte] = rest;
            byte += 1;
        }
        table
    };

    fn new() -> Self {
        Self(!0)
    }

    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = Self::TABLE[(self.0 as u8 ^ byte) as usize] ^ self.0 >> 8;
        }
    }

    fn sum(&self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::write::GzEncoder;
    use flate2::{Compression, GzBuilder};
    use proptest::prelude::*;

    use super::*;

    fn gunzip(mut packed: &[u8]) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        match Gunzip::new(&mut packed).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(error.to_string()),
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// With all that a header can hold: `printf x | gzip`, by hand.
    fn full_header(crc: bool) -> Vec<u8> {
        let builder = GzBuilder::new().filename("name").comment("comment").extra([7; 300]);
        let mut encoder = builder.write(Vec::new(), Compression::default());
        encoder.write_all(b"x").unwrap();
        let mut packed = encoder.finish().unwrap();
        if crc {
            packed[3] |= HEADER_CRC;
            let end = 10 + 2 + 300 + "name".len() + 1 + "comment".len() + 1;
            let mut sum = Crc::new();
            sum.update(&packed[..end]);
            packed.splice(end..end, (sum.sum() as u16).to_le_bytes());
        }
        packed
    }

    #[test]
    fn the_checksum_of_the_standard() {
        let mut crc = Crc::new();
        crc.update(b"123456789");
        assert_eq!(crc.sum(), 0xcbf4_3926);
    }

    #[test]
    fn what_is_gzip_and_what_is_not() {
        let good = gzip(b"hello");
        let with = |at: usize, byte: u8| {
            let mut changed = good.clone();
            changed[at] ^= byte;
            changed
        };
        let mut wrong_header = full_header(true);
        wrong_header[20] ^= 1;
        for (what, packed, want) in [
            ("good", good.clone(), Ok("hello")),
            ("two", [&good[..], &gzip(b""), &good].concat(), Ok("hellohello")),
            ("all fields", full_header(false), Ok("x")),
            ("all fields and a checksum", full_header(true), Ok("x")),
            ("a wrong checksum of the header", wrong_header, Err("gzip header does not have a matching")),
            ("nothing", Vec::new(), Err("unexpected end of file")),
            ("cut in the header", good[..5].to_vec(), Err("unexpected end of file")),
            ("cut in the data", good[..12].to_vec(), Err("unexpected end of file")),
            ("cut in the checksum", good[..good.len() - 3].to_vec(), Err("unexpected end of file")),
            ("more behind", [&good[..], b"\0"].concat(), Err("unexpected end of file")),
            ("other bytes behind", [&good[..], &[0; 20]].concat(), Err("invalid gzip header")),
            ("another method", with(2, 1), Err("invalid gzip header")),
            ("reserved flags", with(3, 0x80), Err("invalid gzip header")),
            ("a wrong checksum", with(good.len() - 8, 1), Err("matching checksum")),
            ("a wrong length", with(good.len() - 1, 1), Err("matching checksum")),
        ] {
            match (gunzip(&packed), want) {
                (Ok(bytes), Ok(want)) => assert_eq!(bytes, want.as_bytes(), "{what}"),
                (Err(error), Err(want)) => assert!(error.contains(want), "{what}: {error}"),
                (got, _) => panic!("{what}: {got:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn there_and_back(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5000), 1..4)) {
            let packed: Vec<u8> = parts.iter().flat_map(|part| gzip(part)).collect();
            prop_assert_eq!(gunzip(&packed).unwrap(), parts.concat());
        }

        #[test]
        fn hostile_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = gunzip(&[&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], &bytes[..]].concat());
        }
    }
}
