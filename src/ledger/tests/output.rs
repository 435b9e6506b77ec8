use std::io::Read as _;

use super::*;

/// Bytes that do not compress, the same ones for the same seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[test]
fn twenty_megabytes_come_back_byte_for_byte() {
    let place = Place::new();
    let ledger = place.ledger();
    let mut teller = Teller::new(&ledger, new_run("R1", &["web1"]));
    let bytes = noise(7, 20 << 20);
    for piece in bytes.chunks(64 << 10) {
        teller.print("web1", Stream::Stdout, piece);
    }
    teller.recorder.finish().unwrap();
    assert!(place.reader().output_bytes("R1", "web1", Stream::Stdout).unwrap() == bytes);
    teller.end("web1", HostResult { stdout_bytes: bytes.len() as u64, ..ended(Outcome::Succeeded) });
    let told = teller.end_run(&[Outcome::Succeeded]);
    assert!(place.reader().output_bytes("R1", "web1", Stream::Stdout).unwrap() == bytes);
    let back = place.reader().events("R1").unwrap().map(Result::unwrap).eq(told);
    assert!(back, "the replay differs");
}

#[test]
fn identical_output_is_stored_once() {
    let place = Place::new();
    let ledger = place.ledger();
    for run in ["R1", "R2"] {
        let hosts = ["web1", "web2", "web3"];
        let mut teller = Teller::new(&ledger, new_run(run, &hosts));
        for (host, cut) in hosts.into_iter().zip([1, 3, 100]) {
            for piece in b"the same for all\n".chunks(cut) {
                teller.print(host, Stream::Stdout, piece);
            }
            teller.print(host, Stream::Stderr, b"the same for all\n");
            teller.end(host, ended(Outcome::Succeeded));
        }
        teller.end_run(&[Outcome::Succeeded; 3]);
    }
    assert_eq!(place.sql::<i64>("SELECT count(*) FROM outputs"), 12);
    assert_eq!(
        place.sql::<String>("SELECT group_concat(digest || ' ' || bytes) FROM blobs"),
        // printf 'the same for all\n' | sha256sum
        "8108b0708286795bb90f6a11066b861a621413ff4263ef582756895d52ab14a0 17"
    );
    assert_eq!(place.reader().output_bytes("R2", "web2", Stream::Stderr).unwrap(), b"the same for all\n");
}

#[test]
fn a_blob_is_plain_zstd() {
    let place = Place::new();
    let ledger = place.ledger();
    let mut teller = Teller::new(&ledger, new_run("R1", &["web1"]));
    teller.print("web1", Stream::Stdout, b"hello\n");
    teller.end("web1", ended(Outcome::Succeeded));
    teller.finish();
    let data: Vec<u8> = place.sql("SELECT data FROM blobs");
    assert_eq!(zstd::decode_all(data.as_slice()).unwrap(), b"hello\n");
}

/// The host ends while its output is read: the reader still sees the state it began with.
#[test]
fn output_does_not_vanish_under_its_reader() {
    let place = Place::new();
    let ledger = place.ledger();
    let mut teller = Teller::new(&ledger, new_run("R1", &["web1"]));
    (0..9).for_each(|_| teller.print("web1", Stream::Stdout, b"piece"));
    teller.recorder.finish().unwrap();
    let reader = place.reader();
    let mut output = reader.output("R1", "web1", Stream::Stdout).unwrap();
    let mut events = reader.events("R1").unwrap();
    let mut read = vec![0; 5];
    output.read_exact(&mut read).unwrap();
    events.next().unwrap().unwrap();
    teller.end("web1", ended(Outcome::Succeeded));
    let told = teller.finish();
    output.read_to_end(&mut read).unwrap();
    assert_eq!(read, b"piece".repeat(9));
    drop(output);
    assert_eq!(events.map(Result::unwrap).collect::<Vec<_>>(), told[1..told.len() - 1]);
}

#[test]
fn a_host_that_printed_more_than_is_kept_is_marked() {
    let place = Place::new();
    let ledger = place.ledger();
    let mut teller = Teller::new(&ledger, new_run("R1", &["web1"]));
    teller.print("web1", Stream::Stdout, b"hel");
    teller.end("web1", HostResult { stdout_bytes: 6, ..ended(Outcome::Unknown) });
    teller.finish();
    assert_eq!(place.sql::<String>("SELECT stream || bytes || truncated FROM outputs"), "stdout31");
}
