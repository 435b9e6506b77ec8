//! Arguments that Ansible hands to `ssh`: which of them lead to another place than the inventory says.

/// `ssh -o KEY=VALUE` of these names another host, port or user.
const OPTIONS: &[&str] = &["hostname", "port", "user"];
/// As `ssh -o`: a way through another machine.
const JUMPS: &[&str] = &["proxyjump", "proxycommand", "proxyusefdpass"];
/// The letters of `ssh` that take a value. Source: ssh.c of OpenSSH 10.0.
const WITH_VALUE: &str = "BbcDEeFIiJLlmOoPpQRSWw";
/// Where a template of Ansible begins.
const TEMPLATE: &str = "{{";

/// What would be missed without the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// A way through another machine.
    Jump,
    /// As it is written: `-p`, `-o User`.
    Other(String),
}

/// Whether an argument leads elsewhere: one that names another place before a way through another
/// machine. Words are split as a shell does.
pub fn elsewhere(arguments: &str) -> Option<Elsewhere> {
    let Some(words) = shlex::split(arguments) else {
        return Some(Elsewhere::Other("an open quote".to_owned()));
    };
    let mut words = words.iter();
    let mut jump = None;
    while let Some(word) = words.next() {
        // `-4Ap2222` is `-4 -A -p 2222`.
        let Some(letters) = word.strip_prefix('-') else {
            match word.contains(TEMPLATE) {
                true => return Some(template()),
                false => continue,
            }
        };
        if letters.starts_with(TEMPLATE) {
            return Some(template());
        }
        for (at, letter) in letters.char_indices() {
            if !WITH_VALUE.contains(letter) {
                continue;
            }
            let rest = &letters[at + letter.len_utf8()..];
            let value = if rest.is_empty() { words.next().map_or("", String::as_str) } else { rest };
            let found = match letter {
                'J' | 'W' => Some(Elsewhere::Jump),
                'p' | 'l' | 'F' => Some(Elsewhere::Other(format!("-{letter}"))),
                'o' => option(value),
                _ => None,
            };
            match found {
                Some(Elsewhere::Jump) => jump = found,
                Some(Elsewhere::Other(_)) => return found,
                None => {}
            }
            break;
        }
    }
    jump
}

/// It may stand for any argument.
fn template() -> Elsewhere {
    Elsewhere::Other("a template".to_owned())
}

/// `KEY=VALUE`, `KEY VALUE` or `KEY = VALUE`.
fn option(text: &str) -> Option<Elsewhere> {
    // A quote that never ends stands there still.
    let text = text.trim_start_matches([' ', '\'', '"']);
    let key = &text[..text.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(text.len())];
    let lower = key.to_ascii_lowercase();
    match lower.as_str() {
        unknown if unknown.contains(TEMPLATE) => Some(template()),
        jump if JUMPS.contains(&jump) => Some(Elsewhere::Jump),
        other if OPTIONS.contains(&other) => Some(Elsewhere::Other(format!("-o {key}"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn arguments_that_lead_elsewhere() {
        let other = |word: &str| Some(Elsewhere::Other(word.to_owned()));
        for (arguments, expected) in [
            ("", None),
            ("-o ControlMaster=auto -o ControlPersist=60s -C -4", None),
            ("-i key -E Port=7 -o 'SetEnv User=x' -S pl", None),
            ("-o StrictHostKeyChecking=no", None),
            ("-J bastion", Some(Elsewhere::Jump)),
            ("-o ProxyJump=bastion", Some(Elsewhere::Jump)),
            ("-o 'proxycommand ssh -W %h:%p b'", Some(Elsewhere::Jump)),
            ("-oProxyCommand=\"nc %h %p\"", Some(Elsewhere::Jump)),
            ("-W a:22", Some(Elsewhere::Jump)),
            ("-J bastion -p 2222", other("-p")),
            ("-p 2222", other("-p")),
            ("-p2222", other("-p")),
            ("-4Cp 2222", other("-p")),
            ("-l root", other("-l")),
            ("-F /dev/null", other("-F")),
            ("-o Port=2222", other("-o Port")),
            ("-oUser=root", other("-o User")),
            ("-o 'hostname = other'", other("-o hostname")),
            ("-C -o LogLevel=ERROR -o \"User root\"", other("-o User")),
            ("{{ my_args }}", other("a template")),
            ("-C -{{ my_flags }}", other("a template")),
            ("-o {{ my_option }}", other("a template")),
            ("-o {{key}}=1", other("a template")),
            ("-i '{{ folder }}/key' -o 'UserKnownHostsFile={{ folder }}/known'", None),
            ("-i '{{ folder }}/key' -p 7", other("-p")),
            ("-o ProxyCommand='{{ x }}'", Some(Elsewhere::Jump)),
            ("-o 'Port=1", other("an open quote")),
        ] {
            assert_eq!(elsewhere(arguments), expected, "{arguments}");
        }
    }

    proptest! {
        #[test]
        fn no_arguments_make_it_panic(text in "[-op =JlPé'\" ]{0,12}") {
            let _ = elsewhere(&text);
        }
    }
}
