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

Every file is checked against its SHA-256 while it is written; files that are there are replaced. \
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
    let name = format!("{} of host {}", visible_line(&artifact.path), visible_line(&artifact.host));
    let unreadable = |error: std::io::Error| {
        let kept = contents.folder().display();
        let digest = visible_line(&artifact.digest);
        Error::failure(match error.kind() {
            std::io::ErrorKind::NotFound => format!("the content of {name} is gone"),
            std::io::ErrorKind::InvalidData => format!("the content of {name} has changed since it came"),
            _ => format!("cannot read the content of {name}"),
        })
        .because(error)
        .hint(format!("ls -l {kept}/{}/{digest}", digest.get(..2).unwrap_or_default()))
    };
    let components = components(&artifact.host, &artifact.path).map_err(|reason| {
        Error::failure(format!("{name} is not written: it would leave the folder")).cause(reason)
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
