//! Every rule held against `ssh` and a real `sshd`.
