# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_cronium_run_global_optspecs
    string join \n ledger= color= log-file= v/verbose h/help V/version
end

function __fish_cronium_run_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_cronium_run_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_cronium_run_using_subcommand
    set -l cmd (__fish_cronium_run_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c cronium-run -n "__fish_cronium_run_needs_command" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_needs_command" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_needs_command" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_needs_command" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "exec" -d 'Run a payload, a script or a command on many hosts'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "deploy" -d 'Put the stub, payloads and trusted keys on hosts, and run nothing'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "attach" -d 'Go on with a run that was detached, interrupted or lost: stream it from where this ledger stands'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "collect" -d 'Fetch what hosts have finished since nobody listened, and settle what is unknown'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "cancel" -d 'Kill a run on hosts where it still goes on, and fetch what it left'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "rerun" -d 'Run the same payload again on hosts of a past run'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "init" -d 'Make a payload folder from a template'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "pack" -d 'Pack a folder into a signed payload'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "sign" -d 'Sign a payload'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "verify" -d 'Verify a payload\'s signature and contents'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "inspect" -d 'Show what a payload holds'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "keygen" -d 'Make a signing key pair'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "hosts" -d 'Show which hosts a selection names, and how they are reached'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "doctor" -d 'Look at hosts before running anything: login, sudo, runner\'s cache, interpreters, forwarding, clock'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "runs" -d 'List past runs, newest first'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "show" -d 'Show one run: what was run, and how each host ended'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "logs" -d 'Print what hosts printed: their stdout on stdout, their stderr on stderr'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "artifacts" -d 'List the files that scripts left, or write them into a folder'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "keeper" -d 'Look at the connections that --persist keeps, or close them'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "vars" -d 'Read and write the variables that scripts share'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "demo" -d 'Run a signed sample payload on SSH hosts of our own'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "completions" -d 'Print a completion script for a shell'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "generate" -d 'Write man pages and completion scripts into a folder'
complete -c cronium-run -n "__fish_cronium_run_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -s i -l inventory -d 'An inventory: hosts.yaml, a list of hosts, Ansible\'s INI or YAML, ssh_config, or a program that prints JSON (repeat) [default: $XDG_CONFIG_HOME/cronium-run/hosts.yaml]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -s l -l limit -d 'Only those of the targets that this names, too' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -s x -l exclude -d 'None of the targets that this names' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -s u -l user -d 'The user to log in as; user@host says it for one target and wins' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -s p -l port -d 'The port; host:port says it for one target and wins' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l private-key -d 'A private key to try before those of ssh_config and the agent (repeat)' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -s J -l jump -d 'Jump hosts on the way to every target, user@host:port with commas between; none goes straight' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -s F -l ssh-config -d 'The only ssh_config to read; none reads none [default: ~/.ssh/config and /etc/ssh/ssh_config]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l ssh-option -d 'A setting of ssh_config that wins over all files, such as ConnectTimeout=3 (repeat)' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l known-hosts -d 'The only file of host keys; new ones are added to it [default: as ssh_config says]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l host-key -d 'How host keys are checked [default: as ssh_config says, else ask]' -r -f -a "ask\t'You are asked about unknown keys, once for all; where nobody can be, as strict'
strict\t'An unknown or changed key is refused'
accept-new\t'An unknown key is recorded, a changed one refused'
off\t'No check at all'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l password-file -d 'The first line of a file in place of the password that --ask-pass asks for' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l connect-timeout -d 'How long TCP, key exchange and login may take each: 10, 10s, 1m [default: as ssh_config says, else 10s]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -s b -l become -d 'Run as root, or as --become-user, instead of the user who logs in; =false where the inventory says so' -r -f -a "true\t''
false\t''"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l become-user -d 'The user that --become makes scripts run as [default: root]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l become-method -d 'The program that --become asks [default: sudo]' -r -f -a "sudo\t''
doas\t'With a password, over a terminal of its own'
su\t'Always with a password: that of the user to become'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l become-password-file -d 'The first line of a file in place of the password that --ask-become-pass asks for' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l persist -d 'Keep connections this long for commands to come: 10m; 0 keeps none. What a file says does not hold where CI is set' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -s f -l forks -d 'How many hosts at once' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l serial -d 'Sizes of batches, one after the other: 5 or 1,10%,50%; the last repeats, a part is one of all hosts' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l canary -d 'So many hosts alone first: one that is not ok stops the run with exit code 7' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l max-fail -d 'More failed, unreachable, timed out or rejected hosts stop the run with exit code 7: 3, 10%' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l retries -d 'How often a host is tried again that could not be reached and was sent no job' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l gate -d 'A shell command run here between batches: unless it exits 0, the run stops with exit code 7' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l gate-timeout -d 'The gate is killed after this time, and the run stops' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l pause -d 'Wait between batches, before the gate: 30s, 5m' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l timeout -d 'Kill the script with all it started after this time: 90s, 15m, 1h30m [default: the manifest\'s]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l reconnect -d 'How long a lost connection is tried to be made again, while the script runs on; 0 never [default: 5m]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l lease -d 'How long a script may go on without us before it is killed, 14d at most [default: 1d; 14d with --detach]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l idle-timeout -d 'Kill the script with all it started where it prints nothing for this time: 5m' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l max-output -d 'How much of stdout and of stderr each is kept, half of it from the beginning, half from the end: 500K, 2G [default: 64M]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l input -d 'What `cronium input` gives: JSON, @FILE, or - for stdin' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l env -d 'A variable of the script\'s environment (repeat)' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l project -d 'The project whose variables the script sees, those in scope project:NAME' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l key -d 'The private key to sign with what is not signed yet [default: the operator\'s own]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l verify-key -d 'The public key that a signed payload must verify with [default: that of --key]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -s o -l output -d 'What to print' -r -f -a "auto\t'Progress while the run goes on, then `grouped`'
stream\t'Lines as they come, each behind the name of its host'
grouped\t'At the end: identical output once, under the set of its hosts'
json\t'At the end: one JSON document'
jsonl\t'Every event as it comes, one line of JSON each'
quiet\t'Nothing but errors'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l junit -d 'Write the outcome of every host as JUnit XML, too' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l events -d 'Write every event as a line of JSON, too' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l output-dir -d 'Write each host\'s output to files of its own, too' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l on-condition -d 'Run a shell command here for each host whose script told `condition true` last' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l on-notify -d 'Run a shell command here for each `cronium notify` of a script' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -s k -l ask-pass -d 'Ask for a password once and try it after the keys, at targets but not at jump hosts'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -s K -l ask-become-pass -d 'Ask once for the password that the hosts\' sudo, doas or su wants'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l list-hosts -d 'Print the hosts and stop'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -s C -l check -d 'Print what would be done and touch nothing'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -l detach -d 'Leave each host once its script has started; attach RUN or collect RUN fetches the results'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -s q -l quiet -d 'No progress and no summary: only data and errors'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand exec" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l trust -d 'A public key to pin for the user on the hosts (repeat)' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -s i -l inventory -d 'An inventory: hosts.yaml, a list of hosts, Ansible\'s INI or YAML, ssh_config, or a program that prints JSON (repeat) [default: $XDG_CONFIG_HOME/cronium-run/hosts.yaml]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -s l -l limit -d 'Only those of the targets that this names, too' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -s x -l exclude -d 'None of the targets that this names' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -s u -l user -d 'The user to log in as; user@host says it for one target and wins' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -s p -l port -d 'The port; host:port says it for one target and wins' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l private-key -d 'A private key to try before those of ssh_config and the agent (repeat)' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -s J -l jump -d 'Jump hosts on the way to every target, user@host:port with commas between; none goes straight' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -s F -l ssh-config -d 'The only ssh_config to read; none reads none [default: ~/.ssh/config and /etc/ssh/ssh_config]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l ssh-option -d 'A setting of ssh_config that wins over all files, such as ConnectTimeout=3 (repeat)' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l known-hosts -d 'The only file of host keys; new ones are added to it [default: as ssh_config says]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l host-key -d 'How host keys are checked [default: as ssh_config says, else ask]' -r -f -a "ask\t'You are asked about unknown keys, once for all; where nobody can be, as strict'
strict\t'An unknown or changed key is refused'
accept-new\t'An unknown key is recorded, a changed one refused'
off\t'No check at all'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l password-file -d 'The first line of a file in place of the password that --ask-pass asks for' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l connect-timeout -d 'How long TCP, key exchange and login may take each: 10, 10s, 1m [default: as ssh_config says, else 10s]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -s b -l become -d 'Run as root, or as --become-user, instead of the user who logs in; =false where the inventory says so' -r -f -a "true\t''
false\t''"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l become-user -d 'The user that --become makes scripts run as [default: root]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l become-method -d 'The program that --become asks [default: sudo]' -r -f -a "sudo\t''
doas\t'With a password, over a terminal of its own'
su\t'Always with a password: that of the user to become'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l become-password-file -d 'The first line of a file in place of the password that --ask-become-pass asks for' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l persist -d 'Keep connections this long for commands to come: 10m; 0 keeps none. What a file says does not hold where CI is set' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -s f -l forks -d 'How many hosts at once' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l serial -d 'Sizes of batches, one after the other: 5 or 1,10%,50%; the last repeats, a part is one of all hosts' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l canary -d 'So many hosts alone first: one that is not ok stops the run with exit code 7' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l max-fail -d 'More failed, unreachable, timed out or rejected hosts stop the run with exit code 7: 3, 10%' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l retries -d 'How often a host is tried again that could not be reached and was sent no job' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l gate -d 'A shell command run here between batches: unless it exits 0, the run stops with exit code 7' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l gate-timeout -d 'The gate is killed after this time, and the run stops' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l pause -d 'Wait between batches, before the gate: 30s, 5m' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l key -d 'The private key to sign with what is not signed yet [default: the operator\'s own]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l verify-key -d 'The public key that a signed payload must verify with [default: that of --key]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -s o -l output -d 'What to print' -r -f -a "auto\t'Progress while the run goes on, then `grouped`'
stream\t'Lines as they come, each behind the name of its host'
grouped\t'At the end: identical output once, under the set of its hosts'
json\t'At the end: one JSON document'
jsonl\t'Every event as it comes, one line of JSON each'
quiet\t'Nothing but errors'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l junit -d 'Write the outcome of every host as JUnit XML, too' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l events -d 'Write every event as a line of JSON, too' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l output-dir -d 'Write each host\'s output to files of its own, too' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -s k -l ask-pass -d 'Ask for a password once and try it after the keys, at targets but not at jump hosts'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -s K -l ask-become-pass -d 'Ask once for the password that the hosts\' sudo, doas or su wants'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -l list-hosts -d 'Print the hosts and stop'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -s C -l check -d 'Print what would be done and touch nothing'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -s q -l quiet -d 'No progress and no summary: only data and errors'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand deploy" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -s i -l inventory -d 'An inventory: hosts.yaml, a list of hosts, Ansible\'s INI or YAML, ssh_config, or a program that prints JSON (repeat) [default: $XDG_CONFIG_HOME/cronium-run/hosts.yaml]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -s l -l limit -d 'Only those of the targets that this names, too' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -s x -l exclude -d 'None of the targets that this names' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -s u -l user -d 'The user to log in as; user@host says it for one target and wins' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -s p -l port -d 'The port; host:port says it for one target and wins' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l private-key -d 'A private key to try before those of ssh_config and the agent (repeat)' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -s J -l jump -d 'Jump hosts on the way to every target, user@host:port with commas between; none goes straight' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -s F -l ssh-config -d 'The only ssh_config to read; none reads none [default: ~/.ssh/config and /etc/ssh/ssh_config]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l ssh-option -d 'A setting of ssh_config that wins over all files, such as ConnectTimeout=3 (repeat)' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l known-hosts -d 'The only file of host keys; new ones are added to it [default: as ssh_config says]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l host-key -d 'How host keys are checked [default: as ssh_config says, else ask]' -r -f -a "ask\t'You are asked about unknown keys, once for all; where nobody can be, as strict'
strict\t'An unknown or changed key is refused'
accept-new\t'An unknown key is recorded, a changed one refused'
off\t'No check at all'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l password-file -d 'The first line of a file in place of the password that --ask-pass asks for' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l connect-timeout -d 'How long TCP, key exchange and login may take each: 10, 10s, 1m [default: as ssh_config says, else 10s]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -s b -l become -d 'Run as root, or as --become-user, instead of the user who logs in; =false where the inventory says so' -r -f -a "true\t''
false\t''"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l become-user -d 'The user that --become makes scripts run as [default: root]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l become-method -d 'The program that --become asks [default: sudo]' -r -f -a "sudo\t''
doas\t'With a password, over a terminal of its own'
su\t'Always with a password: that of the user to become'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l become-password-file -d 'The first line of a file in place of the password that --ask-become-pass asks for' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l persist -d 'Keep connections this long for commands to come: 10m; 0 keeps none. What a file says does not hold where CI is set' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l reconnect -d 'How long a lost connection is tried to be made again; 0 never [default: as the run did, else 5m]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -s o -l output -d 'What to print' -r -f -a "auto\t'Progress while the run goes on, then `grouped`'
stream\t'Lines as they come, each behind the name of its host'
grouped\t'At the end: identical output once, under the set of its hosts'
json\t'At the end: one JSON document'
jsonl\t'Every event as it comes, one line of JSON each'
quiet\t'Nothing but errors'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l junit -d 'Write the outcome of every host as JUnit XML, too' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l events -d 'Write every event as a line of JSON, too' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l output-dir -d 'Write each host\'s output to files of its own, too' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l on-condition -d 'Run a shell command here for each host whose script told `condition true` last' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l on-notify -d 'Run a shell command here for each `cronium notify` of a script' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -l adopt -d 'Take up a run that another ledger began, or further hosts of it'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -s k -l ask-pass -d 'Ask for a password once and try it after the keys, at targets but not at jump hosts'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -s K -l ask-become-pass -d 'Ask once for the password that the hosts\' sudo, doas or su wants'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -s q -l quiet -d 'No progress and no summary: only data and errors'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand attach" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -s i -l inventory -d 'An inventory: hosts.yaml, a list of hosts, Ansible\'s INI or YAML, ssh_config, or a program that prints JSON (repeat) [default: $XDG_CONFIG_HOME/cronium-run/hosts.yaml]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -s l -l limit -d 'Only those of the targets that this names, too' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -s x -l exclude -d 'None of the targets that this names' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -s u -l user -d 'The user to log in as; user@host says it for one target and wins' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -s p -l port -d 'The port; host:port says it for one target and wins' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -l private-key -d 'A private key to try before those of ssh_config and the agent (repeat)' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -s J -l jump -d 'Jump hosts on the way to every target, user@host:port with commas between; none goes straight' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -s F -l ssh-config -d 'The only ssh_config to read; none reads none [default: ~/.ssh/config and /etc/ssh/ssh_config]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -l ssh-option -d 'A setting of ssh_config that wins over all files, such as ConnectTimeout=3 (repeat)' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -l known-hosts -d 'The only file of host keys; new ones are added to it [default: as ssh_config says]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -l host-key -d 'How host keys are checked [default: as ssh_config says, else ask]' -r -f -a "ask\t'You are asked about unknown keys, once for all; where nobody can be, as strict'
strict\t'An unknown or changed key is refused'
accept-new\t'An unknown key is recorded, a changed one refused'
off\t'No check at all'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -l password-file -d 'The first line of a file in place of the password that --ask-pass asks for' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -l connect-timeout -d 'How long TCP, key exchange and login may take each: 10, 10s, 1m [default: as ssh_config says, else 10s]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -s b -l become -d 'Run as root, or as --become-user, instead of the user who logs in; =false where the inventory says so' -r -f -a "true\t''
false\t''"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -l become-user -d 'The user that --become makes scripts run as [default: root]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -l become-method -d 'The program that --become asks [default: sudo]' -r -f -a "sudo\t''
doas\t'With a password, over a terminal of its own'
su\t'Always with a password: that of the user to become'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -l become-password-file -d 'The first line of a file in place of the password that --ask-become-pass asks for' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -l persist -d 'Keep connections this long for commands to come: 10m; 0 keeps none. What a file says does not hold where CI is set' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -l reconnect -d 'How long a lost connection is tried to be made again; 0 never [default: as the run did, else 5m]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -s o -l output -d 'What to print' -r -f -a "text\t'Text for people'
json\t'One JSON document'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -l on-condition -d 'Run a shell command here for each host whose script told `condition true` last' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -l on-notify -d 'Run a shell command here for each `cronium notify` of a script' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -s k -l ask-pass -d 'Ask for a password once and try it after the keys, at targets but not at jump hosts'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -s K -l ask-become-pass -d 'Ask once for the password that the hosts\' sudo, doas or su wants'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand collect" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -s i -l inventory -d 'An inventory: hosts.yaml, a list of hosts, Ansible\'s INI or YAML, ssh_config, or a program that prints JSON (repeat) [default: $XDG_CONFIG_HOME/cronium-run/hosts.yaml]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -s l -l limit -d 'Only those of the targets that this names, too' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -s x -l exclude -d 'None of the targets that this names' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -s u -l user -d 'The user to log in as; user@host says it for one target and wins' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -s p -l port -d 'The port; host:port says it for one target and wins' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -l private-key -d 'A private key to try before those of ssh_config and the agent (repeat)' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -s J -l jump -d 'Jump hosts on the way to every target, user@host:port with commas between; none goes straight' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -s F -l ssh-config -d 'The only ssh_config to read; none reads none [default: ~/.ssh/config and /etc/ssh/ssh_config]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -l ssh-option -d 'A setting of ssh_config that wins over all files, such as ConnectTimeout=3 (repeat)' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -l known-hosts -d 'The only file of host keys; new ones are added to it [default: as ssh_config says]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -l host-key -d 'How host keys are checked [default: as ssh_config says, else ask]' -r -f -a "ask\t'You are asked about unknown keys, once for all; where nobody can be, as strict'
strict\t'An unknown or changed key is refused'
accept-new\t'An unknown key is recorded, a changed one refused'
off\t'No check at all'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -l password-file -d 'The first line of a file in place of the password that --ask-pass asks for' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -l connect-timeout -d 'How long TCP, key exchange and login may take each: 10, 10s, 1m [default: as ssh_config says, else 10s]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -s b -l become -d 'Run as root, or as --become-user, instead of the user who logs in; =false where the inventory says so' -r -f -a "true\t''
false\t''"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -l become-user -d 'The user that --become makes scripts run as [default: root]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -l become-method -d 'The program that --become asks [default: sudo]' -r -f -a "sudo\t''
doas\t'With a password, over a terminal of its own'
su\t'Always with a password: that of the user to become'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -l become-password-file -d 'The first line of a file in place of the password that --ask-become-pass asks for' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -l persist -d 'Keep connections this long for commands to come: 10m; 0 keeps none. What a file says does not hold where CI is set' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -s o -l output -d 'What to print' -r -f -a "text\t'Text for people'
json\t'One JSON document'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -s k -l ask-pass -d 'Ask for a password once and try it after the keys, at targets but not at jump hosts'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -s K -l ask-become-pass -d 'Ask once for the password that the hosts\' sudo, doas or su wants'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand cancel" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -s i -l inventory -d 'An inventory: hosts.yaml, a list of hosts, Ansible\'s INI or YAML, ssh_config, or a program that prints JSON (repeat) [default: $XDG_CONFIG_HOME/cronium-run/hosts.yaml]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -s l -l limit -d 'Only those of the targets that this names, too' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -s x -l exclude -d 'None of the targets that this names' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -s u -l user -d 'The user to log in as; user@host says it for one target and wins' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -s p -l port -d 'The port; host:port says it for one target and wins' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l private-key -d 'A private key to try before those of ssh_config and the agent (repeat)' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -s J -l jump -d 'Jump hosts on the way to every target, user@host:port with commas between; none goes straight' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -s F -l ssh-config -d 'The only ssh_config to read; none reads none [default: ~/.ssh/config and /etc/ssh/ssh_config]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l ssh-option -d 'A setting of ssh_config that wins over all files, such as ConnectTimeout=3 (repeat)' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l known-hosts -d 'The only file of host keys; new ones are added to it [default: as ssh_config says]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l host-key -d 'How host keys are checked [default: as ssh_config says, else ask]' -r -f -a "ask\t'You are asked about unknown keys, once for all; where nobody can be, as strict'
strict\t'An unknown or changed key is refused'
accept-new\t'An unknown key is recorded, a changed one refused'
off\t'No check at all'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l password-file -d 'The first line of a file in place of the password that --ask-pass asks for' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l connect-timeout -d 'How long TCP, key exchange and login may take each: 10, 10s, 1m [default: as ssh_config says, else 10s]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -s b -l become -d 'Run as root, or as --become-user, instead of the user who logs in; =false where the inventory says so' -r -f -a "true\t''
false\t''"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l become-user -d 'The user that --become makes scripts run as [default: root]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l become-method -d 'The program that --become asks [default: sudo]' -r -f -a "sudo\t''
doas\t'With a password, over a terminal of its own'
su\t'Always with a password: that of the user to become'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l become-password-file -d 'The first line of a file in place of the password that --ask-become-pass asks for' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l persist -d 'Keep connections this long for commands to come: 10m; 0 keeps none. What a file says does not hold where CI is set' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -s f -l forks -d 'How many hosts at once' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l serial -d 'Sizes of batches, one after the other: 5 or 1,10%,50%; the last repeats, a part is one of all hosts' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l canary -d 'So many hosts alone first: one that is not ok stops the run with exit code 7' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l max-fail -d 'More failed, unreachable, timed out or rejected hosts stop the run with exit code 7: 3, 10%' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l retries -d 'How often a host is tried again that could not be reached and was sent no job' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l gate -d 'A shell command run here between batches: unless it exits 0, the run stops with exit code 7' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l gate-timeout -d 'The gate is killed after this time, and the run stops' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l pause -d 'Wait between batches, before the gate: 30s, 5m' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l reconnect -d 'How long a lost connection is tried to be made again, while the script runs on; 0 never [default: 5m]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l lease -d 'How long a script may go on without us before it is killed, 14d at most [default: 1d; 14d with --detach]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l idle-timeout -d 'Kill the script with all it started where it prints nothing for this time: 5m' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l max-output -d 'How much of stdout and of stderr each is kept, half of it from the beginning, half from the end: 500K, 2G [default: 64M]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -s o -l output -d 'What to print' -r -f -a "auto\t'Progress while the run goes on, then `grouped`'
stream\t'Lines as they come, each behind the name of its host'
grouped\t'At the end: identical output once, under the set of its hosts'
json\t'At the end: one JSON document'
jsonl\t'Every event as it comes, one line of JSON each'
quiet\t'Nothing but errors'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l junit -d 'Write the outcome of every host as JUnit XML, too' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l events -d 'Write every event as a line of JSON, too' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l output-dir -d 'Write each host\'s output to files of its own, too' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l on-condition -d 'Run a shell command here for each host whose script told `condition true` last' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l on-notify -d 'Run a shell command here for each `cronium notify` of a script' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l failed -d 'On hosts where the script failed, timed out, was rejected or cancelled'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l unreachable -d 'On hosts that were not reached'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l unknown -d 'On hosts whose end is not known: the script may have run there'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l not-run -d 'On hosts that did not get their turn'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l all -d 'On every host of the run, those where it succeeded and those that were left running, too'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -s k -l ask-pass -d 'Ask for a password once and try it after the keys, at targets but not at jump hosts'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -s K -l ask-become-pass -d 'Ask once for the password that the hosts\' sudo, doas or su wants'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l list-hosts -d 'Print the hosts and stop'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -s C -l check -d 'Print what would be done and touch nothing'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -l detach -d 'Leave each host once its script has started; attach RUN or collect RUN fetches the results'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -s q -l quiet -d 'No progress and no summary: only data and errors'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand rerun" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand init" -l interpreter -d 'What runs the script' -r -f -a "bash\t''
python\t''
node\t''"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand init" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand init" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand init" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand init" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand init" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand pack" -s o -l output-file -d 'Where to write the payload [default: NAME.tar.gz in this folder]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand pack" -l key -d 'The private key to sign with [default: the operator\'s own]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand pack" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand pack" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand pack" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand pack" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand pack" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand pack" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand sign" -l key -d 'The private key to sign with [default: the operator\'s own]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand sign" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand sign" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand sign" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand sign" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand sign" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand sign" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand verify" -l key -d 'The public key it must be signed with [default: the operator\'s own]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand verify" -l bundle -d 'The signature\'s file [default: the one beside the payload]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand verify" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand verify" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand verify" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand verify" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand verify" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand inspect" -l key -d 'The public key to verify with [default: the operator\'s own]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand inspect" -s o -l output -d 'How to tell it' -r -f -a "text\t''
json\t''"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand inspect" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand inspect" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand inspect" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand inspect" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand inspect" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keygen" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keygen" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keygen" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keygen" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keygen" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keygen" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -s o -l output -d 'What to print' -r -f -a "text\t'Text for people'
json\t'One JSON document'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -s i -l inventory -d 'An inventory: hosts.yaml, a list of hosts, Ansible\'s INI or YAML, ssh_config, or a program that prints JSON (repeat) [default: $XDG_CONFIG_HOME/cronium-run/hosts.yaml]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -s l -l limit -d 'Only those of the targets that this names, too' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -s x -l exclude -d 'None of the targets that this names' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -s u -l user -d 'The user to log in as; user@host says it for one target and wins' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -s p -l port -d 'The port; host:port says it for one target and wins' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -l private-key -d 'A private key to try before those of ssh_config and the agent (repeat)' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -s J -l jump -d 'Jump hosts on the way to every target, user@host:port with commas between; none goes straight' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -s F -l ssh-config -d 'The only ssh_config to read; none reads none [default: ~/.ssh/config and /etc/ssh/ssh_config]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -l ssh-option -d 'A setting of ssh_config that wins over all files, such as ConnectTimeout=3 (repeat)' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -l known-hosts -d 'The only file of host keys; new ones are added to it [default: as ssh_config says]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -l host-key -d 'How host keys are checked [default: as ssh_config says, else ask]' -r -f -a "ask\t'You are asked about unknown keys, once for all; where nobody can be, as strict'
strict\t'An unknown or changed key is refused'
accept-new\t'An unknown key is recorded, a changed one refused'
off\t'No check at all'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -l password-file -d 'The first line of a file in place of the password that --ask-pass asks for' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -l connect-timeout -d 'How long TCP, key exchange and login may take each: 10, 10s, 1m [default: as ssh_config says, else 10s]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -s b -l become -d 'Run as root, or as --become-user, instead of the user who logs in; =false where the inventory says so' -r -f -a "true\t''
false\t''"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -l become-user -d 'The user that --become makes scripts run as [default: root]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -l become-method -d 'The program that --become asks [default: sudo]' -r -f -a "sudo\t''
doas\t'With a password, over a terminal of its own'
su\t'Always with a password: that of the user to become'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -l become-password-file -d 'The first line of a file in place of the password that --ask-become-pass asks for' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -l groups -d 'Show the groups of the inventory, how many hosts each has, and which'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -s k -l ask-pass -d 'Ask for a password once and try it after the keys, at targets but not at jump hosts'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -s K -l ask-become-pass -d 'Ask once for the password that the hosts\' sudo, doas or su wants'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand hosts" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -s o -l output -d 'What to print' -r -f -a "text\t'Text for people'
json\t'One JSON document'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -s f -l forks -d 'How many hosts at once' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -s i -l inventory -d 'An inventory: hosts.yaml, a list of hosts, Ansible\'s INI or YAML, ssh_config, or a program that prints JSON (repeat) [default: $XDG_CONFIG_HOME/cronium-run/hosts.yaml]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -s l -l limit -d 'Only those of the targets that this names, too' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -s x -l exclude -d 'None of the targets that this names' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -s u -l user -d 'The user to log in as; user@host says it for one target and wins' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -s p -l port -d 'The port; host:port says it for one target and wins' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -l private-key -d 'A private key to try before those of ssh_config and the agent (repeat)' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -s J -l jump -d 'Jump hosts on the way to every target, user@host:port with commas between; none goes straight' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -s F -l ssh-config -d 'The only ssh_config to read; none reads none [default: ~/.ssh/config and /etc/ssh/ssh_config]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -l ssh-option -d 'A setting of ssh_config that wins over all files, such as ConnectTimeout=3 (repeat)' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -l known-hosts -d 'The only file of host keys; new ones are added to it [default: as ssh_config says]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -l host-key -d 'How host keys are checked [default: as ssh_config says, else ask]' -r -f -a "ask\t'You are asked about unknown keys, once for all; where nobody can be, as strict'
strict\t'An unknown or changed key is refused'
accept-new\t'An unknown key is recorded, a changed one refused'
off\t'No check at all'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -l password-file -d 'The first line of a file in place of the password that --ask-pass asks for' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -l connect-timeout -d 'How long TCP, key exchange and login may take each: 10, 10s, 1m [default: as ssh_config says, else 10s]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -s b -l become -d 'Run as root, or as --become-user, instead of the user who logs in; =false where the inventory says so' -r -f -a "true\t''
false\t''"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -l become-user -d 'The user that --become makes scripts run as [default: root]' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -l become-method -d 'The program that --become asks [default: sudo]' -r -f -a "sudo\t''
doas\t'With a password, over a terminal of its own'
su\t'Always with a password: that of the user to become'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -l become-password-file -d 'The first line of a file in place of the password that --ask-become-pass asks for' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -s k -l ask-pass -d 'Ask for a password once and try it after the keys, at targets but not at jump hosts'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -s K -l ask-become-pass -d 'Ask once for the password that the hosts\' sudo, doas or su wants'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -l list-hosts -d 'Print the hosts and stop'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand doctor" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand runs" -s n -l limit -d 'How many to list; 0 lists all' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand runs" -l status -d 'Only runs with this status; `interrupted` are those whose process died, too' -r -f -a "running\t''
succeeded\t''
failed\t''
stopped\t''
unknown\t''
detached\t''
interrupted\t''"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand runs" -l host -d 'Only runs on this host, named as it was in the run' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand runs" -s o -l output -d 'What to print' -r -f -a "text\t'Text for people'
json\t'One JSON document'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand runs" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand runs" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand runs" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand runs" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand runs" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand runs" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand show" -s o -l output -d 'What to print' -r -f -a "text\t'Text for people'
json\t'One JSON document'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand show" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand show" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand show" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand show" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand show" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand logs" -l stream -d 'Which of the two streams' -r -f -a "stdout\t''
stderr\t''
both\t''"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand logs" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand logs" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand logs" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand logs" -l told -d 'What scripts told beside their output instead: log, notify, progress and condition, by time'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand logs" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand logs" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand logs" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand artifacts" -s o -l into -d 'Write the files into this folder, each as DIR/HOST/PATH' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand artifacts" -l format -d 'What to print where nothing is written' -r -f -a "text\t'Text for people'
json\t'One JSON document'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand artifacts" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand artifacts" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand artifacts" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand artifacts" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand artifacts" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand artifacts" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and not __fish_seen_subcommand_from status stop serve help" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and not __fish_seen_subcommand_from status stop serve help" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and not __fish_seen_subcommand_from status stop serve help" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and not __fish_seen_subcommand_from status stop serve help" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and not __fish_seen_subcommand_from status stop serve help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and not __fish_seen_subcommand_from status stop serve help" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and not __fish_seen_subcommand_from status stop serve help" -f -a "status" -d 'List the connections that are kept: ready (a runner waits there), open, or in use'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and not __fish_seen_subcommand_from status stop serve help" -f -a "stop" -d 'Close all kept connections, unless a command is at work over one'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and not __fish_seen_subcommand_from status stop serve help" -f -a "serve" -d 'Be the keeper: started by commands that need one'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and not __fish_seen_subcommand_from status stop serve help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from status" -s o -l output -d 'What to print' -r -f -a "text\t'Text for people'
json\t'One JSON document'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from status" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from status" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from status" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from status" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from stop" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from stop" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from stop" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from stop" -l force -d 'Close those too that a command is at work over: it goes on over connections of its own'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from stop" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from stop" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from serve" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from serve" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from serve" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from serve" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from serve" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from help" -f -a "status" -d 'List the connections that are kept: ready (a runner waits there), open, or in use'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from help" -f -a "stop" -d 'Close all kept connections, unless a command is at work over one'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from help" -f -a "serve" -d 'Be the keeper: started by commands that need one'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand keeper; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and not __fish_seen_subcommand_from get set list rm history explain help" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and not __fish_seen_subcommand_from get set list rm history explain help" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and not __fish_seen_subcommand_from get set list rm history explain help" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and not __fish_seen_subcommand_from get set list rm history explain help" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and not __fish_seen_subcommand_from get set list rm history explain help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and not __fish_seen_subcommand_from get set list rm history explain help" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and not __fish_seen_subcommand_from get set list rm history explain help" -f -a "get" -d 'Print a variable\'s value as JSON'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and not __fish_seen_subcommand_from get set list rm history explain help" -f -a "set" -d 'Write a variable'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and not __fish_seen_subcommand_from get set list rm history explain help" -f -a "list" -d 'List variables, by key'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and not __fish_seen_subcommand_from get set list rm history explain help" -f -a "rm" -d 'Remove a variable; its history stays'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and not __fish_seen_subcommand_from get set list rm history explain help" -f -a "history" -d 'Show every write of a variable: when, by whom, which value'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and not __fish_seen_subcommand_from get set list rm history explain help" -f -a "explain" -d 'Show which value a script would see, and what hides what'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and not __fish_seen_subcommand_from get set list rm history explain help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from get" -l scope -d 'Where it lives: global, host:NAME, group:NAME, project:NAME or run:ID' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from get" -s o -l output -d 'What to print: the value, or all that is known of it' -r -f -a "text\t'Text for people'
json\t'One JSON document'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from get" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from get" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from get" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from get" -l raw -d 'Print a string without its quotes'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from get" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from get" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from set" -l scope -d 'Where it lives: global, host:NAME, group:NAME, project:NAME or run:ID' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from set" -l if-version -d 'Only where the variable has this version now; 0: only where it is not there' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from set" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from set" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from set" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from set" -l json -d 'The value must be JSON'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from set" -l string -d 'The value is a string, whatever it looks like'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from set" -l secret -d 'Seal the value; scripts can read it, no command shows it'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from set" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from set" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from list" -l scope -d 'Only those that live here: global, host:NAME, group:NAME, project:NAME or run:ID' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from list" -s o -l output -d 'What to print' -r -f -a "text\t'Text for people'
json\t'One JSON document'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from list" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from list" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from list" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from rm" -l scope -d 'Where it lives: global, host:NAME, group:NAME, project:NAME or run:ID' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from rm" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from rm" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from rm" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from rm" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from rm" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from history" -l scope -d 'Where it lives: global, host:NAME, group:NAME, project:NAME or run:ID' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from history" -s o -l output -d 'What to print' -r -f -a "text\t'Text for people'
json\t'One JSON document'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from history" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from history" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from history" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from history" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from history" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from history" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from explain" -l host -d 'As on this host, named as it is in runs' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from explain" -l group -d 'As in this group (repeat, nearest first)' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from explain" -l project -d 'As in this project' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from explain" -l run -d 'As in this run: its id, an unambiguous beginning of it, or `last`' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from explain" -s o -l output -d 'What to print' -r -f -a "text\t'Text for people'
json\t'One JSON document'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from explain" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from explain" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from explain" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from explain" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from explain" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from help" -f -a "get" -d 'Print a variable\'s value as JSON'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from help" -f -a "set" -d 'Write a variable'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from help" -f -a "list" -d 'List variables, by key'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove a variable; its history stays'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from help" -f -a "history" -d 'Show every write of a variable: when, by whom, which value'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from help" -f -a "explain" -d 'Show which value a script would see, and what hides what'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand vars; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand demo" -l hosts -d 'How many hosts to start, 200 at most' -r
complete -c cronium-run -n "__fish_cronium_run_using_subcommand demo" -s o -l output -d 'What to print' -r -f -a "auto\t'Progress while the run goes on, then `grouped`'
stream\t'Lines as they come, each behind the name of its host'
grouped\t'At the end: identical output once, under the set of its hosts'
json\t'At the end: one JSON document'
jsonl\t'Every event as it comes, one line of JSON each'
quiet\t'Nothing but errors'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand demo" -l junit -d 'Write the outcome of every host as JUnit XML, too' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand demo" -l events -d 'Write every event as a line of JSON, too' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand demo" -l output-dir -d 'Write each host\'s output to files of its own, too' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand demo" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand demo" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand demo" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand demo" -s q -l quiet -d 'No progress and no summary: only data and errors'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand demo" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand demo" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand completions" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand completions" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand completions" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand completions" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand completions" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand generate" -l ledger -d 'The ledger: a SQLite file [default: $XDG_STATE_HOME/cronium-run/ledger.db]' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand generate" -l color -d 'When to use colour' -r -f -a "auto\t'Where the stream is a terminal; NO_COLOR, CLICOLOR_FORCE and CLICOLOR are heeded'
always\t'Everywhere, in files too'
never\t'Nowhere'"
complete -c cronium-run -n "__fish_cronium_run_using_subcommand generate" -l log-file -d 'Append what the program does to a file, for whoever looks for a fault' -r -F
complete -c cronium-run -n "__fish_cronium_run_using_subcommand generate" -s v -l verbose -d 'Log more (repeat); to stderr where no --log-file is named'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand generate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand generate" -s V -l version -d 'Print version'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "exec" -d 'Run a payload, a script or a command on many hosts'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "deploy" -d 'Put the stub, payloads and trusted keys on hosts, and run nothing'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "attach" -d 'Go on with a run that was detached, interrupted or lost: stream it from where this ledger stands'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "collect" -d 'Fetch what hosts have finished since nobody listened, and settle what is unknown'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "cancel" -d 'Kill a run on hosts where it still goes on, and fetch what it left'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "rerun" -d 'Run the same payload again on hosts of a past run'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "init" -d 'Make a payload folder from a template'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "pack" -d 'Pack a folder into a signed payload'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "sign" -d 'Sign a payload'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "verify" -d 'Verify a payload\'s signature and contents'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "inspect" -d 'Show what a payload holds'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "keygen" -d 'Make a signing key pair'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "hosts" -d 'Show which hosts a selection names, and how they are reached'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "doctor" -d 'Look at hosts before running anything: login, sudo, runner\'s cache, interpreters, forwarding, clock'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "runs" -d 'List past runs, newest first'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "show" -d 'Show one run: what was run, and how each host ended'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "logs" -d 'Print what hosts printed: their stdout on stdout, their stderr on stderr'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "artifacts" -d 'List the files that scripts left, or write them into a folder'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "keeper" -d 'Look at the connections that --persist keeps, or close them'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "vars" -d 'Read and write the variables that scripts share'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "demo" -d 'Run a signed sample payload on SSH hosts of our own'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "completions" -d 'Print a completion script for a shell'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "generate" -d 'Write man pages and completion scripts into a folder'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and not __fish_seen_subcommand_from exec deploy attach collect cancel rerun init pack sign verify inspect keygen hosts doctor runs show logs artifacts keeper vars demo completions generate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and __fish_seen_subcommand_from keeper" -f -a "status" -d 'List the connections that are kept: ready (a runner waits there), open, or in use'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and __fish_seen_subcommand_from keeper" -f -a "stop" -d 'Close all kept connections, unless a command is at work over one'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and __fish_seen_subcommand_from keeper" -f -a "serve" -d 'Be the keeper: started by commands that need one'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and __fish_seen_subcommand_from vars" -f -a "get" -d 'Print a variable\'s value as JSON'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and __fish_seen_subcommand_from vars" -f -a "set" -d 'Write a variable'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and __fish_seen_subcommand_from vars" -f -a "list" -d 'List variables, by key'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and __fish_seen_subcommand_from vars" -f -a "rm" -d 'Remove a variable; its history stays'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and __fish_seen_subcommand_from vars" -f -a "history" -d 'Show every write of a variable: when, by whom, which value'
complete -c cronium-run -n "__fish_cronium_run_using_subcommand help; and __fish_seen_subcommand_from vars" -f -a "explain" -d 'Show which value a script would see, and what hides what'
