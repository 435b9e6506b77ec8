//! "Privilege": who scripts run as.

use std::path::PathBuf;

use crate::inventory::{Becoming, Method, plain_user};

/// Over what the inventory says of a host.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Privilege")]
pub struct PrivilegeArgs {
    /// Run as root, or as --become-user, instead of the user who logs in; =false where the inventory says so
    #[arg(short, long, value_name = "BOOL", env = "CRONIUM_RUN_BECOME", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new())]
    pub r#become: Option<bool>,
    /// The user that --become makes scripts run as [default: root]
    #[arg(long, value_name = "NAME", env = "CRONIUM_RUN_BECOME_USER", value_parser = plain_user)]
    pub become_user: Option<String>,
    /// The program that --become asks [default: sudo]
    #[arg(long, value_name = "METHOD", env = "CRONIUM_RUN_BECOME_METHOD")]
    pub become_method: Option<Method>,
    /// Ask once for the password that the hosts' sudo, doas or su wants
    #[arg(short = 'K', long, env = "CRONIUM_RUN_ASK_BECOME_PASS", value_parser = clap::builder::BoolishValueParser::new())]
    pub ask_become_pass: bool,
    /// The first line of a file in place of the password that --ask-become-pass asks for
    #[arg(
        long,
        value_name = "FILE",
        env = "CRONIUM_RUN_BECOME_PASSWORD_FILE",
        conflicts_with = "ask_become_pass"
    )]
    pub become_password_file: Option<PathBuf>,
}

impl PrivilegeArgs {
    pub fn becoming(&self) -> Becoming {
        Becoming { wanted: self.r#become, user: self.become_user.clone(), method: self.become_method }
    }

    /// The first flag that says how to become another user, for where nobody does.
    pub fn idle(&self) -> Option<&'static str> {
        let flags = [
            (self.become_user.is_some(), "--become-user"),
            (self.become_method.is_some(), "--become-method"),
            (self.ask_become_pass, "--ask-become-pass"),
            (self.become_password_file.is_some(), "--become-password-file"),
        ];
        flags.into_iter().find_map(|(is_given, flag)| is_given.then_some(flag))
    }
}
