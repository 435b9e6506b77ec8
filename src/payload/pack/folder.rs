use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use cronium_wire::archive::{ArchiveError, MAX_ENTRIES, MAX_UNPACKED};
use cronium_wire::manifest::{FILE_NAME, Manifest};
use ignore::WalkBuilder;

use super::Tarball;
use crate::error::{Error, OrFail as _, Result};
use crate::payload::{Packed, manifest_fault};

/// Patterns as in `.gitignore`, in any folder of the payload.
const IGNORE_FILE: &str = ".croniumignore";

/// Packs a folder: its manifest first, then all files sorted by path.
///
/// Left out: what `.croniumignore` files name and those files themselves, `.git`, what macOS puts
/// beside files, and the archive that `pack` writes by default, with its signature. Folders stand
/// in the archive only where they are empty. The entrypoint is made executable.
pub fn pack_dir(dir: &Path) -> Result<Packed> {
    let (manifest_path, manifest_bytes) = read_manifest(dir)?;
    let manifest = Manifest::parse(&manifest_bytes)
        .map_err(|error| manifest_fault(error.in_file(manifest_path.display().to_string())))?;
    let fallback = folder_name(dir);
    let own_output = format!("{}.tar.gz", manifest.effective_name(&fallback));

    let mut tarball = Tarball::new(&manifest_bytes)?;
    let mut total = manifest_bytes.len() as u64;
    for Found { path, name, metadata } in find(dir, &manifest_path, &own_output)? {
        let executable = is_executable(&metadata) || name == manifest.entrypoint;
        if metadata.is_file() {
            total += metadata.len();
            if total > MAX_UNPACKED {
                return Err(refuse(dir, ArchiveError::TooLarge));
            }
            let content = fs::read(&path).or_fail(|| format!("cannot read {}", path.display()))?;
            tarball.file(&name, &content, executable)?;
        } else if metadata.is_symlink() {
            let target = fs::read_link(&path).or_fail(|| format!("cannot read {}", path.display()))?;
            tarball.link(&name, utf8(&path, target.to_str())?)?;
        } else if metadata.is_dir() {
            tarball.folder(&name)?;
        } else {
            return Err(Error::usage(format!("{} is a device, socket or pipe", path.display()))
                .hint(format!("echo '/{name}' >> {}", dir.join(IGNORE_FILE).display())));
        }
    }
    Packed::new(tarball.finish()?, &fallback).map_err(|error| refuse(dir, error))
}

/// The folder's own name, also for `.` and `x/..`.
fn folder_name(dir: &Path) -> String {
    let real = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn read_manifest(dir: &Path) -> Result<(PathBuf, Vec<u8>)> {
    let mut there = [FILE_NAME, "manifest.yml"].map(|name| dir.join(name)).into_iter();
    let there: Vec<PathBuf> = there.by_ref().filter(|path| path.is_file()).collect();
    match there.as_slice() {
        [path] => {
            let bytes = fs::read(path).or_fail(|| format!("cannot read {}", path.display()))?;
            Ok((path.clone(), bytes))
        }
        [] => Err(Error::usage(format!("no {FILE_NAME} in {}", dir.display()))
            .hint(format!("cronium-run init {}", dir.display()))),
        _ => Err(Error::usage(format!("both {FILE_NAME} and manifest.yml in {}", dir.display()))
            .hint(format!("rm {}", dir.join("manifest.yml").display()))),
    }
}

struct Found {
    path: PathBuf,
    /// Relative to the folder, with `/`.
    name: String,
    metadata: Metadata,
}

/// Everything to pack beside the manifest, sorted by the bytes of its name.
fn find(dir: &Path, manifest: &Path, own_output: &str) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let walk = WalkBuilder::new(dir)
        .standard_filters(false)
        .add_custom_ignore_filename(IGNORE_FILE)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    for entry in walk {
        let entry = entry.or_fail(|| format!("cannot read {}", dir.display()))?;
        let path = entry.path();
        let relative = path.strip_prefix(dir).expect("it was found in the folder");
        let name = utf8(path, relative.to_str())?.replace(std::path::MAIN_SEPARATOR, "/");
        let is_output =
            [own_output.to_owned(), format!("{own_output}.sigstore.json"), format!("{own_output}.sig")]
                .contains(&name);
        if name.is_empty() || path == manifest || is_output || is_left_out(entry.file_name().to_str()) {
            continue;
        }
        let metadata = path.symlink_metadata().or_fail(|| format!("cannot read {}", path.display()))?;
        found.push(Found { path: path.to_owned(), name, metadata });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    // A folder is packed with the files in it; alone it stands only where there are none.
    let names: Vec<String> = found.iter().map(|found| found.name.clone()).collect();
    let holds_something = |folder: &str| {
        let inside = format!("{folder}/");
        let at = names.partition_point(|name| *name < inside);
        names.get(at).is_some_and(|name| name.starts_with(&inside))
    };
    found.retain(|found| !found.metadata.is_dir() || !holds_something(&found.name));
    if found.len() >= MAX_ENTRIES {
        return Err(refuse(dir, ArchiveError::TooManyEntries));
    }
    Ok(found)
}

fn is_left_out(file_name: Option<&str>) -> bool {
    file_name.is_some_and(|name| matches!(name, IGNORE_FILE | ".DS_Store") || name.starts_with("._"))
}

#[cfg(unix)]
fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &Metadata) -> bool {
    false
}

fn utf8<'a>(path: &Path, name: Option<&'a str>) -> Result<&'a str> {
    name.ok_or_else(|| {
        Error::usage(format!("the name {path:?} is not UTF-8"))
            .hint("rename it, or name it in .croniumignore")
    })
}

fn refuse(dir: &Path, error: ArchiveError) -> Error {
    let hint = match &error {
        ArchiveError::Entrypoint { entrypoint, .. } => {
            format!("check entrypoint in {FILE_NAME}, and that {IGNORE_FILE} does not leave out {entrypoint}")
        }
        _ => format!("leave files out by naming them in {}", dir.join(IGNORE_FILE).display()),
    };
    Error::usage(format!("{} cannot be packed", dir.display())).because(error).hint(hint)
}
