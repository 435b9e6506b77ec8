//! An archive writes nothing outside of its folder, and both ends judge it alike. The input is
//! the tar stream: gzip's checksum would keep the fuzzer out.
#![no_main]

use std::fs;
use std::io::Write as _;

use cronium_wire::archive;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("a Vec takes all");
    let packed = encoder.finish().expect("a Vec takes all");
    let outer = tempfile::tempdir().expect("a folder");
    let dest = outer.path().join("dest");
    fs::create_dir(&dest).expect("an empty folder");
    let unpacked = archive::unpack(&packed, &dest);
    assert_eq!(unpacked.is_ok(), archive::check(&packed).is_ok());
    let names: Vec<_> = fs::read_dir(outer.path())
        .expect("it is there")
        .map(|entry| entry.expect("it is there").file_name())
        .collect();
    assert_eq!(names, ["dest"]);
    // Raw input is what a host is sent by somebody who is no packer at all.
    let _ = archive::check(bytes);
});
