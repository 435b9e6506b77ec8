# Helpers of a cronium-run script, for POSIX sh and bash.
#
#   . cronium.sh        (bash scripts have it already)
#   name=$(cronium_input .user.name --raw)
#   cronium_set_variable greeting "hello $name"
#
# Arguments, output and exit codes are those of the command: cronium SUBCOMMAND --help

cronium_input() { cronium input "$@"; }
cronium_output() { cronium output "$@"; }
cronium_event() { cronium event "$@"; }
cronium_get_variable() { cronium getVariable "$@"; }
cronium_set_variable() { cronium setVariable "$@"; }
cronium_incr() { cronium incr "$@"; }
cronium_vars() { cronium vars "$@"; }
cronium_unset() { cronium unset "$@"; }
cronium_condition() { cronium condition "$@"; }
cronium_log() { cronium log "$@"; }
cronium_progress() { cronium progress "$@"; }
cronium_notify() { cronium notify "$@"; }
