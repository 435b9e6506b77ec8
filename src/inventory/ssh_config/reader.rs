//! Files → [`Config`].

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::criteria::Criteria;
use super::keyword::{self, Meaning};
use super::openssh::OpenSsh;
use super::{Config, Place, Scope, Section, Source, line};
use crate::error::{Error, Result};
use crate::inventory::{Account, wildcard};

/// OpenSSH's own limit.
const MAX_DEPTH: usize = 16;

const SYSTEM_FOLDER: &str = "/etc/ssh";

pub(super) fn read(source: &Source, options: &[String], account: &Account) -> Result<Config> {
    let mut reader = Reader {
        config: Config {
            sections: Vec::new(),
            options: 0,
            scopes: Vec::new(),
            openssh: None,
            local_user: account.user.clone(),
            hosts: Vec::new(),
            warnings: Vec::new(),
        },
        account,
        ignored: Vec::new(),
    };
    for option in options {
        reader.option(option)?;
    }
    reader.config.options = reader.config.sections.len();
    let user = File { of_user: true, depth: 0 };
    match source {
        Source::Nothing => {}
        Source::File(path) => {
            let text = fs::read_to_string(path).map_err(|error| {
                Error::usage(format!("cannot read the SSH configuration {}", path.display()))
                    .because(error)
                    .hint("-F none  reads no SSH configuration")
            })?;
            reader.file(path, &text, &[], user)?;
        }
        Source::Standard => {
            let own = account.ssh_dir().join("config");
            if let Some(text) = reader.open(&own, true)? {
                reader.file(&own, &text, &[], user)?;
            }
            let system = Path::new(SYSTEM_FOLDER).join("ssh_config");
            if let Some(text) = reader.open(&system, false)? {
                reader.file(&system, &text, &[], File { of_user: false, depth: 0 })?;
            }
        }
    }
    Ok(reader.config)
}

struct Reader<'a> {
    config: Config,
    account: &'a Account,
    /// Patterns of `IgnoreUnknown`.
    ignored: Vec<String>,
}

#[derive(Clone, Copy)]
struct File {
    /// A user's file, not the system's: `~` means something and paths are relative to `~/.ssh`.
    of_user: bool,
    depth: usize,
}

impl Reader<'_> {
    /// `None` for a file that is not there.
    fn open(&self, path: &Path, checked: bool) -> Result<Option<String>> {
        let failed = |error| {
            Error::usage(format!("cannot read the SSH configuration {}", path.display()))
                .because(error)
                .hint("-F none  reads no SSH configuration")
        };
        let metadata = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => return Ok(None),
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if checked && (!self.account.trusts(metadata.uid()) || metadata.mode() & 0o022 != 0) {
            return Err(Error::usage(format!(
                "the SSH configuration {} can be changed by other users",
                path.display()
            ))
            .hint(format!(
                "chown {} {path} && chmod go-w {path}",
                self.account.user,
                path = path.display()
            )));
        }
        fs::read_to_string(path).map(Some).map_err(failed)
    }

    fn option(&mut self, option: &str) -> Result<()> {
        let place = Place { file: Arc::from(format!("--ssh-option {option}")), line: 0 };
        let section = self.section(&[]);
        let file = File { of_user: true, depth: 0 };
        let parsed = line::split(option).map_err(|message| wrong(&place, message))?;
        let keyword = parsed.as_ref().map(|line| line.keyword.as_str());
        match keyword {
            None => Err(wrong(&place, "expected a keyword and a value".into())),
            Some("host" | "match" | "include") => {
                Err(wrong(&place, "an option is one setting for all hosts".into()))
            }
            Some(_) => {
                let warnings = self.config.warnings.len();
                self.line(option, &place, &[], file, section)?;
                if self.config.warnings.len() > warnings {
                    self.config.warnings.truncate(warnings);
                    return Err(wrong(&place, "no such keyword in ssh_config".into()));
                }
                Ok(())
            }
        }
    }

    /// Reads a file whose settings hold where all `around` hold.
    fn file(&mut self, path: &Path, text: &str, around: &[usize], file: File) -> Result<()> {
        let name: Arc<str> = Arc::from(path.display().to_string());
        let mut scopes = around.to_vec();
        let mut section = self.section(&scopes);
        for (number, line) in text.lines().enumerate() {
            let place = Place { file: Arc::clone(&name), line: number + 1 };
            match self.line(line, &place, &scopes, file, section)? {
                Next::Go => {}
                Next::Block(scope) => {
                    scopes.truncate(around.len());
                    self.config.scopes.push(scope);
                    scopes.push(self.config.scopes.len() - 1);
                    section = self.section(&scopes);
                }
                // Settings after an `Include` come after those that it brought.
                Next::Included => section = self.section(&scopes),
            }
        }
        Ok(())
    }

    /// Begins a section and gives its index.
    fn section(&mut self, scopes: &[usize]) -> usize {
        self.config.sections.push(Section { scopes: scopes.to_vec(), settings: Vec::new() });
        self.config.sections.len() - 1
    }

    fn line(
        &mut self,
        text: &str,
        place: &Place,
        scopes: &[usize],
        file: File,
        section: usize,
    ) -> Result<Next> {
        let parsed = line::split(text).map_err(|message| wrong(place, message))?;
        let Some(line) = parsed else { return Ok(Next::Go) };
        // A command is for the shell, with its quotes; conditions are cut in their own way.
        let raw = [line.raw];
        let arguments = match line.keyword.as_str() {
            "proxycommand" | "match" if !line.arguments.is_empty() => &raw[..],
            _ => &line.arguments,
        };
        let meaning =
            keyword::understand(&line.keyword, arguments).map_err(|message| wrong(place, message))?;
        match meaning {
            Meaning::Setting(setting) => {
                self.config.sections[section].settings.push((setting, place.clone()));
            }
            Meaning::Host(patterns) => {
                let placed = patterns.iter().map(|pattern| (pattern.clone(), place.clone()));
                self.config.hosts.extend(placed);
                return Ok(Next::Block(Scope::Host(patterns)));
            }
            Meaning::Match(criteria) => {
                if criteria == Criteria::OpenSsh {
                    self.ask_openssh(place);
                }
                return Ok(Next::Block(Scope::Match(criteria)));
            }
            Meaning::Canonicalize => self.ask_openssh(place),
            Meaning::IgnoreUnknown(patterns) => {
                if self.ignored.is_empty() {
                    self.ignored =
                        patterns.split(',').map(|pattern| pattern.trim().to_ascii_lowercase()).collect();
                }
            }
            Meaning::Include(patterns) => {
                for pattern in &patterns {
                    self.include(pattern, place, scopes, file)?;
                }
                return Ok(Next::Included);
            }
            Meaning::Cosmetic => {}
            Meaning::Unknown if self.is_ignored(&line.keyword) => {}
            Meaning::Unknown => {
                let keyword = line.keyword.escape_debug();
                self.config.warnings.push(format!("{place}: unknown keyword {keyword}, left out"));
            }
        }
        Ok(Next::Go)
    }

    fn is_ignored(&self, keyword: &str) -> bool {
        let mut ignored = false;
        for pattern in &self.ignored {
            match pattern.strip_prefix('!') {
                Some(pattern) if wildcard::matches(pattern, keyword) => return false,
                Some(_) => {}
                None => ignored |= wildcard::matches(pattern, keyword),
            }
        }
        ignored
    }

    fn ask_openssh(&mut self, place: &Place) {
        if self.config.openssh.is_none() {
            self.config.openssh = Some(OpenSsh::because_of(place.clone()));
        }
    }

    fn include(&mut self, pattern: &str, place: &Place, scopes: &[usize], file: File) -> Result<()> {
        if file.depth >= MAX_DEPTH {
            return Err(wrong(place, format!("files include each other more than {MAX_DEPTH} times")));
        }
        let pattern = match pattern {
            absolute if absolute.starts_with('/') => PathBuf::from(absolute),
            home if home.starts_with('~') => {
                let path = self.account.expand_home(home).filter(|_| file.of_user);
                path.ok_or_else(|| wrong(place, format!("{home} means nothing here")))?
            }
            relative if file.of_user => self.account.ssh_dir().join(relative),
            relative => Path::new(SYSTEM_FOLDER).join(relative),
        };
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let pattern = pattern.to_str().ok_or_else(|| wrong(place, "the path is not UTF-8".into()))?;
        let paths = glob::glob_with(pattern, options).map_err(|error| wrong(place, error.to_string()))?;
        for path in paths {
            let path = path.map_err(|error| wrong(place, error.to_string()))?;
            // Between the glob and now it may have gone.
            if let Some(text) = self.open(&path, true)? {
                self.file(&path, &text, scopes, File { depth: file.depth + 1, ..file })?;
            }
        }
        Ok(())
    }
}

enum Next {
    Go,
    /// A `Host` or `Match` line.
    Block(Scope),
    Included,
}

fn wrong(place: &Place, message: String) -> Error {
    let hint = match place.line {
        0 => "write it as a line of ssh_config: --ssh-option Port=2222",
        _ => "man ssh_config  describes the file; -F none reads no SSH configuration",
    };
    Error::usage(format!("{place}: {message}")).hint(hint)
}
