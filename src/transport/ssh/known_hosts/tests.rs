use proptest::prelude::*;

use super::*;

const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";

fn load(content: impl AsRef<[u8]>) -> KnownHosts {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known_hosts");
    std::fs::write(&path, content).unwrap();
    KnownHosts::load(&[folder.path().join("missing"), path])
}

fn key(text: &str) -> PublicKey {
    text.parse().unwrap()
}

/// One word for a verdict.
pub fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Known => "known",
        Verdict::Unknown => "unknown",
        Verdict::Changed { .. } => "changed",
        Verdict::Revoked { .. } => "revoked",
        Verdict::BadCertificate { .. } => "bad certificate",
    }
}

#[test]
fn verdicts() {
    for (content, name, port, expected) in [
        ("", "web1", 22, "unknown"),
        ("web1 A", "web1", 22, "known"),
        ("web1 A", "WEB1", 22, "known"),
        ("WEB1 A", "web1", 22, "known"),
        ("web1 B", "web1", 22, "changed"),
        ("web1 B\nweb1 A", "web1", 22, "known"),
        ("web2 A", "web1", 22, "unknown"),
        // Ports.
        ("web1 A", "web1", 2222, "known"),
        ("web1 B", "web1", 2222, "unknown"),
        ("[web1]:2222 A", "web1", 2222, "known"),
        ("[web1]:2222 B\nweb1 A", "web1", 2222, "changed"),
        ("[web1]:2222 A", "web1", 22, "unknown"),
        ("[web1]:22 A", "web1", 22, "unknown"),
        ("[::1]:2222 A", "::1", 2222, "known"),
        // Markers.
        ("web1 A\n@revoked web1 A", "web1", 22, "revoked"),
        ("web1 A\n@revoked * A", "web1", 22, "revoked"),
        ("web1 A\n@revoked web2 A", "web1", 22, "known"),
        ("@revoked web1 A", "web1", 2222, "revoked"),
        ("@revoked web1 B", "web1", 22, "unknown"),
        ("@cert-authority web1 A", "web1", 22, "unknown"),
        ("@cert-authority web1 A\nweb1 A", "web1", 22, "known"),
    ] {
        let known = load(content.replace(" A", &format!(" {A}")).replace(" B", &format!(" {B}")));
        assert_eq!(word(&known.check(name, port, &key(A))), expected, "{content:?} for {name} {port}");
    }
}

#[test]
fn a_changed_key_names_what_was_known_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known_hosts");
    std::fs::write(&path, format!("# mine\n\nweb1 {B}\n")).unwrap();
    let known = KnownHosts::load(std::slice::from_ref(&path));
    let Verdict::Changed { known } = known.check("web1", 22, &key(A)) else { panic!("not changed") };
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].algorithm, "ssh-ed25519");
    assert_eq!(known[0].fingerprint, key(B).fingerprint(Default::default()).to_string());
    assert_eq!(known[0].place.to_string(), format!("{}:3", path.display()));
}

#[test]
fn of_two_hosts_under_one_name_the_second_must_show_the_key_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known_hosts");
    let known = KnownHosts::load(std::slice::from_ref(&path));
    let record =
        |text| known.record(&path, Entry { name: "web1", port: 2222, key: &key(text), hashed: false });
    assert_eq!(record(A).unwrap(), Verdict::Known);
    assert_eq!(record(A).unwrap(), Verdict::Known);
    assert_eq!(word(&record(B).unwrap()), "changed");
    assert_eq!(word(&known.check("web1", 2222, &key(B))), "changed");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("[web1]:2222 {A}\n"));
}

#[test]
fn an_unreadable_file_takes_nothing_away_from_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known_hosts");
    std::fs::write(&path, format!("web1 {A}\n")).unwrap();
    let known = KnownHosts::load(&[folder.path().to_owned(), path]);
    assert_eq!(known.check("web1", 22, &key(A)), Verdict::Known);
}

proptest! {
    #[test]
    fn any_bytes_are_a_known_hosts_file(content: Vec<u8>, name in ".*", port: u16) {
        let known = load(content);
        known.check(&name, port, &key(A));
        known.algorithms(&name, port);
    }

    #[test]
    fn nor_do_lines_that_look_right_break_it(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "web1", "*", "?", "!", ",", "[", "]:2222", "|1|", "|", "=", "@revoked", "@cert-authority", "@",
                " ", "\t", "\n", "\r\n", "#", A, B, "ssh-ed25519", "ssh-rsa", "AAAA", "\u{e4}",
                "|1|Y999mWAh2tiiHhxgzgEL5lpr8G8=|BHx7tokWFtLPd9Oez1PvyAgeQlo=",
            ]),
            0..40,
        ),
        port in prop::sample::select(vec![22, 2222]),
    ) {
        let known = load(parts.concat());
        known.check("web1", port, &key(A));
        known.algorithms("web1", port);
    }

    /// A bad line in front, behind or between changes nothing.
    #[test]
    fn a_bad_line_takes_nothing_away(junk in "[^\n]{0,60}") {
        prop_assume!(line::parse(junk.as_bytes()).is_none());
        let known = load(format!("{junk}\nweb1 {A}\n{junk}\n@revoked web2 {A}\n{junk}"));
        prop_assert_eq!(known.check("web1", 22, &key(A)), Verdict::Known);
        prop_assert_eq!(word(&known.check("web2", 22, &key(A))), "revoked");
    }
}
