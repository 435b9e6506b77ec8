//! Hosts that have next to nothing: dropbear and busybox alone in a root of their own, login shells
//! that are no sh, logins that talk, homes that are missing.

use std::fs;

mod harness;

use harness::{Environment, Fleet, FleetPlan, HostTraits};

/// A root folder with dropbear, its libraries, busybox under all its names, and nothing else.
const DROPBEAR: &str = "\
root=FLEET/root$number
mkdir -p $root/bin $root/dev $root/proc $root/etc $root/var $root/home $root/usr/sbin
mkdir -m 1777 $root/tmp $root/var/tmp
cp $(command -v busybox) $root/bin/busybox
dropbear=$(PATH=$PATH:/usr/sbin command -v dropbear)
cp $dropbear $root/usr/sbin/dropbear
for library in $(ldd $dropbear | grep -o '/[^ ]*'); do
    mkdir -p $root${library%/*}
    cp $library $root$library
done
chroot $root /bin/busybox --install -s /bin
dropbearconvert openssh dropbear FLEET/host$number $root/etc/key 2>/dev/null
echo 'root:x:0:0::/home:/bin/sh' >$root/etc/passwd
echo /bin/sh >$root/etc/shells
mkdir -m 700 $home/.ssh
cp FLEET/authorized $home/.ssh/authorized_keys
mount --bind $home $root/home
mount --rbind /dev $root/dev
mount --rbind /proc $root/proc
";
const SERVE: &str = "exec chroot $root /usr/sbin/dropbear -F -E -p $address:$port -r /etc/key";

/// Such a host once these shell lines have taken something more away.
fn dropbear(lines: &str) -> impl FnOnce(&mut HostTraits) + use<> {
    let mounts = format!("{DROPBEAR}{lines}\n{SERVE}");
    move |host| host.mounts = mounts
}

fn shell(shell: &'static str, mounts: &'static str) -> impl FnOnce(&mut HostTraits) {
    move |host| {
        host.shell = Some(shell);
        host.mounts = mounts.to_owned();
    }
}

fn login(lines: &'static str, mounts: &'static str) -> impl FnOnce(&mut HostTraits) {
    move |host| {
        host.login = lines.to_owned();
        host.mounts = mounts.to_owned();
    }
}

/// A script that uses its helpers and is longer than what travels with the job.
fn payload(environment: &Environment) -> u64 {
    let mut script = "#!/bin/sh\n\
        test \"$(cronium input .n)\" = 7 || exit 8\n\
        cronium setVariable \"seen/$CRONIUM_HOST\" 1 || exit 9\n\
        cronium output size=\"$(wc -c <\"$0\")\"\n\
        echo done\n"
        .to_owned();
    // Lines that no compression makes short.
    let mut number = 1_u64;
    while script.len() < 200_000 {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        script += &format!("# {number:016x}\n");
    }
    environment.write("poor.sh", &script);
    script.len() as u64
}

/// Runs it twice: with nothing on the host, and with a runner in its cache.
#[track_caller]
fn runs(environment: &Environment, fleet: &Fleet, numbers: &[u8]) {
    let size = payload(environment);
    for start in ["cold", "warm"] {
        let targets = fleet.names(numbers.iter().copied());
        let args = ["--input", "{\"n\": 7}", "-o", "json", "poor.sh"];
        let outcome = environment.exec(fleet, &targets).args(args).run();
        let document = outcome.json();
        for number in numbers {
            let name = fleet.name(*number);
            let hosts = document["hosts"].as_array().unwrap();
            let result = hosts.iter().find(|result| result["host"] == name).unwrap();
            assert_eq!(
                result["outcome"],
                "succeeded",
                "{start}, host {number}: {result:#}\n{}",
                fleet.log(*number)
            );
            assert_eq!(result["output"]["size"], size, "{start}, host {number}: {result:#}");
            let ledger = environment.ledger();
            let stdout = ledger.output(&ledger.last_run(), &name, "stdout").unwrap();
            assert_eq!(String::from_utf8_lossy(&stdout), "done\n", "{start}, host {number}");
            let seen = environment.run(["vars", "get", &format!("seen/{name}")]).succeeds().out();
            assert_eq!(seen, "1\n", "{start}, host {number}");
            assert!(fleet.runs(*number).is_empty(), "{start}, host {number}: {:?}", fleet.runs(*number));
        }
    }
}

#[track_caller]
fn has_only(folder: &std::path::Path, may: &[&str]) {
    let entries =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let more: Vec<String> = entries.filter(|name| !may.contains(&name.as_str())).collect();
    assert!(more.is_empty(), "{}: {more:?}", folder.display());
}

/// Whether this user may make such hosts; says so loudly where not.
fn may_make() -> bool {
    let is_root = rustix::process::getuid().is_root();
    if !is_root {
        eprintln!("NOT CHECKED: only root can give a host a root of its own; run tests/run as root");
    }
    is_root
}

#[test]
fn dropbear_and_busybox_with_nothing_else() {
    if !may_make() {
        return;
    }
    let environment = Environment::new();
    let fleet = FleetPlan::default()
        .host_with(1, dropbear(""))
        .host_with(2, dropbear("rmdir $root/var/tmp; chmod 500 $home; mount -o remount,ro,bind $root/home"))
        .start();
    runs(&environment, &fleet, &[1, 2]);
    for number in 1..=2 {
        has_only(&fleet.home(number), &[".ssh", ".cache", ".local"]);
        has_only(&fleet.folder().join(format!("root{number}/tmp")), &[]);
    }
    assert_eq!((fleet.stubs(1).len(), fleet.stubs(2).len()), (1, 0));
    let document =
        environment.reaching(&fleet, ["doctor", &fleet.name(1), "-o", "json"]).run().succeeds().json();
    let findings = document[0]["findings"].as_array().unwrap();
    let told = |check: &str| {
        let finding = findings.iter().find(|finding| finding["check"] == check).unwrap();
        (finding["level"].as_str().unwrap(), finding["message"].as_str().unwrap())
    };
    assert_eq!(told("cache"), ("ok", "/home/.cache/cronium-run, the runner is there"));
    assert_eq!(told("helpers"), ("ok", "answered through a forwarded port (tcp): no Unix sockets"));
    assert_eq!(told("interpreters").0, "warning");
    assert_eq!(told("clock").0, "ok");
}

/// Debian's busybox has everything built in: PATH stands for one that was built without.
#[test]
fn what_a_busybox_was_built_without_is_named() {
    let environment = Environment::new();
    let only = |tools: &str| {
        let tools = tools.to_owned();
        move |host: &mut HostTraits| {
            host.login = format!(
                "mkdir -p bin; for tool in {tools}; do ln -sf $(command -v $tool) bin/$tool; done; PATH=$HOME/bin"
            );
        }
    };
    let all = "sh uname mkdir chmod mktemp dd gzip rm rmdir mv ln sleep sha256sum id wc cat";
    let no_fullblock = |host: &mut HostTraits| {
        host.login = "mkdir -p bin; printf '#!/bin/sh\\ncase $* in *iflag*) exit 1;; esac; exec /bin/dd \"$@\"\\n' >bin/dd; \
                      chmod 755 bin/dd; PATH=$HOME/bin:$PATH"
            .to_owned();
    };
    let fleet = FleetPlan::default()
        .host_with(1, only(&all.replace(" gzip", "")))
        .host_with(2, only(&all.replace(" mktemp", "")))
        .host_with(3, only(&all.replace(" dd", "")))
        .host_with(4, no_fullblock)
        .host_with(5, only(&all.replace(" sha256sum", "")))
        .start();
    let targets = fleet.names(1..=4);
    let document =
        environment.exec(&fleet, &targets).args(["-o", "json", "--", "true"]).run().exits(4).json();
    for (number, cause) in [
        (1, "there is no gzip"),
        (2, "there is no mktemp"),
        (3, "there is no dd"),
        (4, "there is no dd that knows iflag=fullblock"),
    ] {
        let name = fleet.name(number);
        let hosts = document["hosts"].as_array().unwrap();
        let failure = &hosts.iter().find(|result| result["host"] == name).unwrap()["failure"];
        let told = [&failure["phase"], &failure["kind"], &failure["causes"][0]];
        assert_eq!(told, ["tempdir", "tool", cause], "{failure}");
        has_only(&fleet.home(number), &["bin"]);
    }
    // The runner looks at itself there.
    runs(&environment, &fleet, &[5]);
}

#[test]
fn login_shells_that_are_no_sh_and_talk() {
    if !may_make() {
        return;
    }
    let environment = Environment::new();
    let cshrc = "echo 'echo Welcome to csh' >$home/.cshrc";
    let fish = "mkdir -p $home/.config/fish; echo 'echo Welcome to fish' >$home/.config/fish/config.fish";
    let fleet = FleetPlan::default()
        .host_with(1, shell("/bin/tcsh", cshrc))
        .host_with(2, shell("/usr/bin/fish", fish))
        .host_with(3, shell("FLEET/ash", "ln -s $(command -v busybox) FLEET/ash"))
        .host_with(4, shell("/bin/bash", "echo 'echo Welcome to bash' >$home/.bashrc"))
        .start();
    runs(&environment, &fleet, &[1, 2, 3, 4]);
    for number in 1..=4 {
        has_only(&fleet.home(number), &[".cache", ".local", ".cshrc", ".config", ".bashrc"]);
        assert_eq!(fleet.stubs(number).len(), 1, "host {number}");
    }
    let document =
        environment.reaching(&fleet, ["doctor", &fleet.names(1..=4), "-o", "json"]).run().succeeds().json();
    for (number, noise) in
        [(0, Some("Welcome to csh")), (1, Some("Welcome to fish")), (2, None), (3, Some("Welcome to bash"))]
    {
        let findings = document[number]["findings"].as_array().unwrap();
        let told = findings.iter().find(|finding| finding["check"] == "noise");
        assert_eq!(told.is_some(), noise.is_some(), "{findings:?}");
        assert!(
            told.is_none_or(|told| told["message"].as_str().unwrap().contains(noise.unwrap())),
            "{findings:?}"
        );
    }
}

#[test]
fn homes_that_are_missing() {
    if !may_make() {
        return;
    }
    let environment = Environment::new();
    let temporary = "mount -t tmpfs none /var/tmp";
    let fleet = FleetPlan::default()
        .host_with(1, login("unset HOME", temporary))
        .host_with(2, login("HOME=/dev/null/gone", temporary))
        .host_with(3, login("HOME=$HOME/gone", ""))
        .host_with(4, login("HOME=", temporary))
        .start();
    runs(&environment, &fleet, &[1, 2, 3, 4]);
    // What is there while a script runs is its own runner and its own folder.
    for number in [1, 2, 4] {
        let line = "ls -A /var/tmp | wc -l";
        let outcome =
            environment.exec(&fleet, &fleet.name(number)).args(["-o", "grouped", "-q", "--", line]).run();
        let out = outcome.succeeds().out();
        assert_eq!(out.lines().last(), Some("2"), "host {number}: {out}");
        has_only(&fleet.home(number), &[]);
    }
    has_only(&fleet.home(3), &["gone"]);
    has_only(&fleet.home(3).join("gone"), &[".cache", ".local"]);
}
