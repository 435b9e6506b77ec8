//! Ansible's variables that say how a host is reached.

use serde_json::Value;

use super::hosts_yaml;
use super::ssh_args::{self, Elsewhere};
use crate::error::{Error, Result};
use crate::inventory::entry::{Settings, Vars};
use crate::inventory::spot::Spot;

/// Words that change how Ansible reaches a host, and that nothing here follows yet.
const LEFT_OUT: &[&str] = &[
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
    "ansible_ssh_args",
    "ansible_password",
    "ansible_ssh_pass",
    "ansible_ssh_password",
    "ansible_become_pass",
    "ansible_become_password",
    "ansible_become_exe",
    "ansible_become_flags",
    "ansible_shell_type",
];

/// Sorts variables into settings and the rest as they come.
#[derive(Debug, Default)]
pub struct Sorted {
    pub settings: Settings,
    /// All of them, but no password: these are shown.
    pub vars: Vars,
}

impl Sorted {
    /// Takes one variable; a later one of the same name wins.
    pub fn add(&mut self, name: &str, value: Value, spot: &Spot) -> Result<()> {
        let settings = &mut self.settings;
        match name {
            "ansible_host" | "ansible_ssh_host" => {
                let text = text(name, &value, spot)?;
                settings.address = Some(spot.placed(hosts_yaml::address(&text, spot)?));
            }
            "ansible_port" | "ansible_ssh_port" => {
                settings.port = Some(spot.placed(hosts_yaml::port(&text(name, &value, spot)?, spot)?));
            }
            "ansible_user" | "ansible_ssh_user" => {
                settings.user = Some(spot.placed(hosts_yaml::user(&text(name, &value, spot)?, spot)?));
            }
            "ansible_ssh_private_key_file" | "ansible_private_key_file" => {
                settings.private_key = Some(spot.placed(text(name, &value, spot)?));
            }
            // These two matter to hosts that become another user alone, and are judged there.
            "ansible_become" => {
                let becomes = if is_template(&value) { None } else { Some(switch(name, &value, spot)?) };
                settings.becomes = Some(spot.placed(becomes));
            }
            "ansible_become_user" => {
                let user = match &value {
                    Value::String(text) => text.clone(),
                    value => text(name, value, spot)?,
                };
                settings.become_user = Some(spot.placed(user));
            }
            "ansible_become_method" => {
                let method = text(name, &value, spot)?;
                let method = method.strip_prefix("ansible.builtin.").unwrap_or(&method);
                settings.become_method = Some(spot.placed(method.to_owned()));
            }
            "ansible_connection" => settings.connection = Some(spot.placed(text(name, &value, spot)?)),
            "ansible_ssh_common_args" | "ansible_ssh_extra_args" | "ansible_ssh_args"
                if let Some(elsewhere) = value.as_str().and_then(ssh_args::elsewhere) =>
            {
                match elsewhere {
                    Elsewhere::Jump => match proxy(&value) {
                        Some(Proxy::Jump(jump)) => settings.jump = Some(spot.placed(jump)),
                        Some(Proxy::Command(command)) => settings.proxy_command = Some(spot.placed(command)),
                        None => settings.unclear_proxy = Some(spot.placed(name.to_owned())),
                    },
                    Elsewhere::Other(word) => {
                        settings.elsewhere = Some(spot.placed(format!("{name} with {word}")));
                    }
                }
            }
            _ if LEFT_OUT.contains(&name) && !is_off(&value) => {
                settings.left_out.push(spot.placed(name.to_owned()));
            }
            _ => {}
        }
        let is_password =
            name.starts_with("ansible_") && (name.ends_with("_pass") || name.ends_with("password"));
        if !is_password {
            self.vars.insert(name.to_owned(), value);
        }
        Ok(())
    }
}

enum Proxy {
    Jump(String),
    Command(String),
}

/// What ssh's arguments say of a proxy; nothing where they say it in a way that is not clear.
fn proxy(value: &Value) -> Option<Proxy> {
    let text = value.as_str().filter(|text| !text.contains("{{"))?;
    let words = shlex::split(text)?;
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if let Some(jump) = word.strip_prefix("-J") {
            let jump = if jump.is_empty() { words.next()? } else { jump };
            return Some(Proxy::Jump(jump.to_owned()));
        }
        let Some(option) = word.strip_prefix("-o") else { continue };
        let option = if option.is_empty() { words.next()? } else { option };
        let (keyword, value) = option.split_once(['=', ' '])?;
        match keyword.trim().to_ascii_lowercase().as_str() {
            "proxyjump" => return Some(Proxy::Jump(value.trim().to_owned())),
            "proxycommand" => return Some(Proxy::Command(value.trim().to_owned())),
            _ => {}
        }
    }
    None
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => {
            matches!(text.to_ascii_lowercase().as_str(), "" | "no" | "false" | "off" | "0")
        }
        _ => false,
    }
}

fn is_template(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains("{{"))
}

/// As Ansible reads a boolean.
fn switch(name: &str, value: &Value, spot: &Spot) -> Result<bool> {
    let text = match value {
        Value::Bool(switch) => return Ok(*switch),
        Value::Null => String::new(),
        value => text(name, value, spot)?.to_ascii_lowercase(),
    };
    match text.as_str() {
        "yes" | "true" | "on" | "y" | "t" | "1" => Ok(true),
        "" | "no" | "false" | "off" | "n" | "f" | "0" => Ok(false),
        _ => Err(spot
            .fault(format_args!("{name} is yes or no, not {text}"))
            .hint(format!("write it as {name}: yes"))),
    }
}

/// One text; a number is what it looks like.
fn text(name: &str, value: &Value, spot: &Spot) -> Result<String> {
    match value {
        value if is_template(value) => Err(template(name, spot)),
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(spot
            .fault(format_args!("{name} is text, not {value}"))
            .hint(format!("write it as {name}: VALUE"))),
    }
}

fn template(name: &str, spot: &Spot) -> Error {
    spot.fault(format_args!("{name} is a template, which only Ansible can fill in"))
        .hint("ansible-inventory --list --export > hosts.json  may fill it in; else write the value")
}
