use std::io::Read as _;
use std::path::PathBuf;

use super::listing::{self, Format, Table, plain};
use super::{Context, logs};
use crate::error::{Error, ExitCode, OrFail as _, Result};
use crate::ledger::{Artifact, Artifacts, Ledger};
use crate::term::{Term, visible_line};

mod folder;

use folder::{Folder, components};

/// List the files that scripts left, or write them into a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cronium-run artifacts last
  cronium-run artifacts last -o out             each file as out/HOST/PATH
  cronium-run artifacts 01JD2 web01 -o out
  cronium-run artifacts last --format json | jq -r '.[].digest'

A script leaves what it puts into $CRONIUM_OUT, and what artifacts.outputs in its manifest names in its \
work folder; both are fetched when it has ended, also when it failed or timed out. Every file is checked against its SHA-256 while it is written; files that are there are replaced. \
The exit code is 1 where one of them could not be written.")]
pub struct Args {
    /// The run's id, an unambiguous beginning of it, or `last`
    #[arg(value_name = "RUN")]
    run: String,
    /// Only this host
    #[arg(value_name = "HOST")]
    host: Option<String>,
    /// Write the files into this folder, each as DIR/HOST/PATH
    #[arg(short = 'o', long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// What to print where nothing is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let reader = Ledger::open_read(&context.ledger_path()?)?;
    let run = reader.resolve_run(&args.run)?;
    let hosts = reader.hosts(&run)?;
    if let Some(host) = args.host.as_ref().filter(|host| !hosts.contains(host)) {
        return Err(logs::no_such_host("artifacts", &run, host, &hosts));
    }
    let artifacts = reader.artifacts(&run, args.host.as_deref())?;
    let term = &context.term;
    if artifacts.is_empty() && (args.into.is_some() || args.format == Format::Text) {
        term.note("no artifacts");
        return Ok(ExitCode::Success);
    }
    match (args.into, args.format) {
        (Some(folder), _) => write(&artifacts, &reader.contents(), &Folder::make(folder)?, term),
        (None, Format::Json) => listing::printed(term.data(listing::json(&artifacts)?.as_bytes())),
        (None, Format::Text) => listing::printed(term.data(table(&artifacts, term).as_bytes())),
    }
}

fn table(artifacts: &[Artifact], term: &Term) -> String {
    let mut table = Table::new(["HOST", "PATH", "BYTES", "SHA-256"]);
    for artifact in artifacts {
        let Artifact { host, path, bytes, digest, .. } = artifact;
        table.row([plain(host), plain(path), plain(bytes.to_string()), plain(digest)]);
    }
    table.text(term)
}

/// Writes all that can be written, and says of each other file why not.
fn write(artifacts: &[Artifact], contents: &Artifacts, folder: &Folder, term: &Term) -> Result<ExitCode> {
    let mut written = 0;
    for artifact in artifacts {
        match copy(artifact, contents, folder) {
            Ok(()) => written += 1,
            Err(error) => term.error(&error),
        }
    }
    let files = |count: usize| if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
    let shown = folder.path().display();
    if written == artifacts.len() {
        term.note(&format!("{} in {shown}", files(written)));
        return Ok(ExitCode::Success);
    }
    term.note(&format!("{} of {} in {shown}", written, files(artifacts.len())));
    Ok(ExitCode::Failure)
}

fn copy(artifact: &Artifact, contents: &Artifacts, folder: &Folder) -> Result<()> {
    let name = format!("`{}` of host {}", visible_line(&artifact.path), visible_line(&artifact.host));
    let kept_at = || {
        let digest = visible_line(&artifact.digest);
        format!("{}/{}/{digest}", contents.folder().display(), digest.get(..2).unwrap_or_default())
    };
    let unreadable = |error: std::io::Error| {
        Error::failure(match error.kind() {
            std::io::ErrorKind::NotFound => format!("the content of {name} is gone"),
            std::io::ErrorKind::InvalidData => format!("the content of {name} has changed since it came"),
            _ => format!("cannot read the content of {name}"),
        })
        .because(error)
        .hint(format!("ls -l {}", kept_at()))
    };
    let components = components(&artifact.host, &artifact.path).map_err(|reason| {
        Error::failure(format!("{name} is not written"))
            .cause(reason)
            .hint(format!("its content: {}", kept_at()))
    })?;
    let mut content = contents.open(&artifact.digest).map_err(unreadable)?;
    let fail = || format!("cannot write {name} into {}", folder.path().display());
    let mut file = folder.create(&components).or_fail(fail)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match content.read(&mut buffer).map_err(unreadable)? {
            0 => break,
            read => file.write(&buffer[..read]).or_fail(fail)?,
        }
    }
    file.finish(artifact.mode & 0o111 != 0).or_fail(fail)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::cli::Global;
    use crate::event::{Event, EventKind, Sink as _};
    use crate::ledger::NewRun;
    use crate::term::Color;

    /// A run of two hosts; each of `files` is host, path, mode and content.
    fn recorded(folder: &Path, files: &[(&str, &str, u32, &[u8])]) {
        let ledger = Ledger::open(&folder.join("ledger.db")).unwrap();
        let run = NewRun {
            id: "01JA".into(),
            command: "cronium-run exec web[1-2] job".into(),
            payload: None,
            git_sha: None,
            operator: None,
            plan: json!({}),
            hosts: vec!["web2".into(), "web1".into(), "pod/web".into()],
            started_at: Timestamp::UNIX_EPOCH,
            rerun_of: None,
            order: None,
            signed: None,
        };
        ledger.begin_run(run).unwrap();
        let mut recorder = ledger.recorder("01JA");
        for (seq, (host, path, mode, content)) in files.iter().enumerate() {
            let mut new = ledger.artifacts().begin().unwrap();
            new.write(content).unwrap();
            let kind = EventKind::HostArtifact {
                host: (*host).into(),
                path: (*path).into(),
                digest: new.finish().unwrap(),
                bytes: content.len() as u64,
                mode: *mode,
            };
            recorder.event(&Event { seq: seq as u64, at: Timestamp::UNIX_EPOCH, mark: None, kind }).unwrap();
        }
        recorder.finish().unwrap();
    }

    /// Exit code, stdout and stderr, with the folder's name replaced.
    fn ran(folder: &Path, host: Option<&str>, into: Option<&str>, format: Format) -> (u8, String, String) {
        let (term, captured) = Term::captured();
        let global = Global {
            ledger: Some(folder.join("ledger.db")),
            color: Color::Never,
            log_file: None,
            verbose: 0,
            given: Default::default(),
        };
        let context = Context { term, global };
        let args = Args {
            run: "last".into(),
            host: host.map(str::to_owned),
            into: into.map(|name| folder.join(name)),
            format,
        };
        let code = run(args, &context).unwrap_or_else(|error| {
            context.term.error(&error);
            error.code
        });
        let text = |text: String| text.replace(folder.to_str().unwrap(), "/F");
        (code as u8, text(captured.out()), text(captured.err()))
    }

    #[test]
    fn listed_in_the_plans_order() {
        let folder = tempfile::tempdir().unwrap();
        recorded(
            folder.path(),
            &[
                ("web1", "b.txt", 0o644, b"abc"),
                ("web2", "z/\x1b[2J", 0o755, b""),
                ("web1", "a", 0o644, b"abc"),
            ],
        );
        let (code, out, _) = ran(folder.path(), None, None, Format::Text);
        assert_eq!(code, 0);
        insta::assert_snapshot!(out, @r"
        HOST  PATH       BYTES  SHA-256
        web2  z/\x1b[2J  0      e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
        web1  a          3      ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
        web1  b.txt      3      ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
        ");
        let (_, out, _) = ran(folder.path(), Some("web2"), None, Format::Json);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&out).unwrap(),
            json!([{"host": "web2", "path": "z/\u{1b}[2J", "bytes": 0, "mode": 0o755,
                    "digest": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}])
        );
        let (code, out, err) = ran(folder.path(), Some("web3"), None, Format::Text);
        assert_eq!((code, out.as_str()), (2, ""));
        assert_eq!(err, "error: run 01JA has no host `web3`\n\nhint: cronium-run artifacts 01JA web2\n");
    }

    #[test]
    fn written_and_checked() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        recorded(
            folder.path(),
            &[
                ("web1", "logs/a.txt", 0o644, b"abc"),
                ("web1", "run.sh", 0o755, b"#!/bin/sh\n"),
                ("web2", "logs/a.txt", 0o600, b"abc"),
            ],
        );
        for _ in 0..2 {
            let done = ran(folder.path(), None, Some("out"), Format::Text);
            assert_eq!(done, (0, String::new(), "3 files in /F/out\n".to_owned()));
        }
        let mode = |path: &str| fs::metadata(at(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("out/web1/logs/a.txt"), mode("out/web1/run.sh")), (0o600, 0o700));
        assert_eq!(fs::read(at("out/web2/logs/a.txt")).unwrap(), b"abc");
        let done = ran(folder.path(), Some("web2"), Some("one"), Format::Text);
        assert_eq!(done, (0, String::new(), "1 file in /F/one\n".to_owned()));
        assert!(!at("one/web1").exists());
    }

    #[test]
    fn what_cannot_be_written_is_told_and_the_rest_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        recorded(
            folder.path(),
            &[
                ("web2", "../../escape", 0o644, b"x"),
                ("web2", "changed", 0o644, b"abc"),
                ("web1", "gone", 0o644, b""),
                ("web1", "good", 0o644, b"good"),
                ("pod/web", "good", 0o644, b"good"),
            ],
        );
        let store = at("ledger.artifacts");
        fs::write(store.join("ba/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), "abd")
            .unwrap();
        fs::remove_dir_all(store.join("e3")).unwrap();
        let (code, out, err) = ran(folder.path(), None, Some("out"), Format::Text);
        assert_eq!((code, out.as_str()), (1, ""));
        insta::assert_snapshot!(err, @r"
        error: `../../escape` of host web2 is not written
        caused by: a part of it is '..': it would leave the folder

        hint: its content: /F/ledger.artifacts/2d/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881
        error: the content of `changed` of host web2 has changed since it came
        caused by: its SHA-256 is a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9, not ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad

        hint: ls -l /F/ledger.artifacts/ba/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
        error: the content of `gone` of host web1 is gone
        caused by: No such file or directory (os error 2)

        hint: ls -l /F/ledger.artifacts/e3/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
        error: `good` of host pod/web is not written
        caused by: the host's name holds '/': no folder can have it

        hint: its content: /F/ledger.artifacts/77/770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c
        1 of 5 files in /F/out
        ");
        assert_eq!(fs::read(at("out/web1/good")).unwrap(), b"good");
        assert!(!at("out/web2/changed").exists() && !at("escape").exists());
        // Nothing half written is left.
        assert_eq!(fs::read_dir(at("out/web2")).unwrap().count(), 0);
    }

    #[test]
    fn a_run_without_artifacts() {
        let folder = tempfile::tempdir().unwrap();
        recorded(folder.path(), &[]);
        let none = (0, String::new(), "no artifacts\n".to_owned());
        assert_eq!(ran(folder.path(), None, None, Format::Text), none);
        assert_eq!(ran(folder.path(), None, Some("out"), Format::Text), none);
        assert_eq!(ran(folder.path(), None, None, Format::Json).1, "[]\n");
    }
}
