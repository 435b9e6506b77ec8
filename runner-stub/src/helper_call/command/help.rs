//! The manual of the helpers, as `--help` prints it.

pub const ALL: &str = "\
Helpers of a cronium-run script

  cronium input [PATH] [--raw] [--default V]       the run's input as JSON; PATH picks inside: .a.b[0]
  cronium output [VALUE | k=v ...] [--append]      sets the result's output; no VALUE: stdin
  cronium event [FIELD] [--raw] [--default V]      what this run is: ids, name, start, metadata
  cronium getVariable KEY [--raw] [--default V]    prints JSON; a missing key exits 3
  cronium setVariable KEY [VALUE] [--json|--string] [--if-version N]
                                                   VALUE is JSON if it parses, else a string; none: stdin
  cronium incr KEY [N]                             adds N, or 1, and prints the sum
  cronium unset KEY                                removes a variable
  cronium vars [PATTERN] [--raw]                   the keys there are
  cronium condition true|false                     whether what the script looked for is so
  cronium log LEVEL MESSAGE [--context JSON]       debug, info, warn or error
  cronium progress N [STEP]                        N percent are done
  cronium notify AUDIENCE MESSAGE                  a message for people

Names of Cronium are commands too: cronium.input, cronium.output, cronium.getVariable, cronium.setVariable,
cronium.event. In python: import cronium; in node the global cronium; in bash cronium_input and so on.
Files put into $CRONIUM_OUT come back to the operator. `cronium SUBCOMMAND --help` says more.
Exit codes: 0 done, 1 refused or out of reach, 2 usage, 3 no such value, 4 the version is another one.
";

/// `subcommand` by its name in the manual.
pub fn of(subcommand: &str) -> &'static str {
    match subcommand {
        "input" => INPUT,
        "output" => OUTPUT,
        "event" => EVENT,
        "getVariable" => GET,
        "setVariable" => SET,
        "incr" => INCR,
        "vars" => VARS,
        "unset" => UNSET,
        "condition" => CONDITION,
        "log" => LOG,
        "progress" => PROGRESS,
        "notify" => NOTIFY,
        _ => ALL,
    }
}

const INPUT: &str = "\
Usage: cronium input [PATH] [--raw] [--default V]

Prints the run's input as JSON, null where there is none. PATH picks inside: .a.b[0], .[\"odd key\"]

  --raw         a string without its quotes
  --default V   printed where PATH leads to nothing

  name=$(cronium input .user.name --raw)

Exit codes: 0 printed, 1 out of reach, 2 usage, 3 no such value.
";

const OUTPUT: &str = "\
Usage: cronium output [VALUE | k=v ...] [--append]

Sets this host's result, which the operator finds in `show` and -o json; the last one counts. VALUE is JSON
if it parses, else a string; without one, stdin is read. k=v words make an object.

  --append      puts VALUE behind what stands there, as a list

  cronium output disk=81.5 host=\"$(hostname)\"
  df --output=pcent / | cronium output

Exit codes: 0 done, 1 refused or out of reach, 2 usage.
";

const EVENT: &str = "\
Usage: cronium event [FIELD] [--raw] [--default V]

Prints what this run is, as JSON: executionId, eventId, eventName, eventType, userId, startTime, metadata.
FIELD picks inside: .metadata.ticket

  --raw         a string without its quotes
  --default V   printed where FIELD leads to nothing

  cronium event eventName --raw

Exit codes: 0 printed, 1 out of reach, 2 usage, 3 no such field.
";

const GET: &str = "\
Usage: cronium getVariable KEY [--raw] [--default V] [--scope run|host|project|global] [--version]

Prints a variable as JSON. Of scopes that have KEY the nearest counts: run, host, its groups, project, global.

  --raw         a string without its quotes
  --default V   printed where there is no KEY; not where it may not be read
  --scope S     this scope alone
  --version     the number of its version instead, for setVariable --if-version

  level=$(cronium getVariable app/level --raw --default info)

Exit codes: 0 printed, 1 refused or out of reach, 2 usage, 3 no such variable.
";

const SET: &str = "\
Usage: cronium setVariable KEY [VALUE] [--json|--string] [--if-version N] [--scope run|host|project|global]

Sets a variable. VALUE is JSON if it parses, else a string; without one, stdin is read.

  --json, --string   VALUE is just that
  --if-version N     only while its version is N; 0: only while there is none
  --scope S          in this scope; else in the nearest that has KEY, else in global

  cronium setVariable app/level debug
  cronium setVariable app/ports '[80, 443]' --if-version 3

Exit codes: 0 done, 1 refused or out of reach, 2 usage, 4 the version is another one.
";

const INCR: &str = "\
Usage: cronium incr KEY [N] [--scope run|host|project|global]

Adds N, a number, to a variable and prints the sum. N is 1 unless told and may be negative; a KEY that is not
there counts as 0. No addition is lost, however many hosts and runs add at once.

  cronium incr hosts-done
  cronium incr budget -2.5

Exit codes: 0 done, 1 refused, no number or out of reach, 2 usage.
";

const VARS: &str = "\
Usage: cronium vars [PATTERN] [--raw]

Prints the keys this script may read, as a JSON list. In PATTERN, * stands for any characters.

  --raw         one key a line

  cronium vars 'app/*' --raw

Exit codes: 0 printed, 1 out of reach, 2 usage.
";

const UNSET: &str = "\
Usage: cronium unset KEY [--scope run|host|project|global]

Removes a variable, from the nearest scope that has it unless told.

  cronium unset app/lock

Exit codes: 0 removed, 1 refused or out of reach, 2 usage, 3 no such variable.
";

const CONDITION: &str = "\
Usage: cronium condition true|false

Says whether what the script looked for is so. The last one counts: where it is true, exec --on-condition CMD
runs CMD.

  [ -e /var/run/reboot-required ] && cronium condition true

Exit codes: 0 told, 1 out of reach, 2 usage.
";

const LOG: &str = "\
Usage: cronium log LEVEL MESSAGE [--context JSON]

Tells the operator a message beside the output. LEVEL is debug, info, warn or error.

  --context JSON   what belongs to it

  cronium log warn 'disk nearly full' --context '{\"used\": 91}'

Exit codes: 0 told, 1 out of reach, 2 usage.
";

const PROGRESS: &str = "\
Usage: cronium progress N [STEP]

Tells how far the script is: N percent, 0 to 100, and what it is about to do.

  cronium progress 40 'copying files'

Exit codes: 0 told, 1 out of reach, 2 usage.
";

const NOTIFY: &str = "\
Usage: cronium notify AUDIENCE MESSAGE

Tells the operator's side a message for people. AUDIENCE is a word of your own that says for whom;
exec --on-notify CMD gets both.

  cronium notify oncall \"no backup of $(hostname) since Monday\"

Exit codes: 0 told, 1 out of reach, 2 usage.
";

#[cfg(test)]
mod tests {
    use super::super::name;
    use super::*;

    #[test]
    fn every_helper_has_its_page() {
        for name in name::ALL {
            let page = of(name);
            assert!(page.starts_with(&format!("Usage: cronium {name}")), "{name}");
            assert!(page.contains("Exit codes: 0 "), "{name}");
            assert!(
                page.contains(&format!("  cronium {name}")) || page.contains(&format!("cronium {name} ")),
                "{name}"
            );
            assert!(ALL.contains(&format!("\n  cronium {name} ")), "{name}");
        }
    }

    #[test]
    fn lines_fit_a_terminal_of_some_width() {
        for page in name::ALL.map(of).into_iter().chain([ALL]) {
            for line in page.lines() {
                assert!(line.len() <= 112, "{line}");
            }
        }
    }
}
