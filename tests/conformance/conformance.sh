#!/bin/sh
# What helpers do, told in shell. Arguments name the sections to check. Its sisters in python and
# node check the same; tests/conformance.rs runs all of them in every mode.
set -eu
. cronium.sh
. cronium.sh

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# is WHAT GOT WANT
is() {
    [ "$2" = "$3" ] || fail "$1: $(printf '%.200s' "$2") instead of $(printf '%.200s' "$3")"
}

# exits WANT COMMAND...
exits() {
    want=$1
    shift
    code=0
    "$@" >/dev/null 2>&1 </dev/null || code=$?
    is "exit code of $*" "$code" "$want"
}

check_input() {
    is 'whole input' "$(cronium_input | head -c 1)" '{'
    is 'a place' "$(cronium_input '.deep.list[1].name')" '"Zoë"'
    is 'raw' "$(cronium_input deep.list[1].name --raw)" 'Zoë'
    is 'an odd key' "$(cronium_input '.["odd.key [0]"]')" 'true'
    is 'null is there' "$(cronium_input .deep.nothing --default 5)" 'null'
    is 'default' "$(cronium_input .no.such --default 5)" '5'
    exits 3 cronium_input .no.such
    exits 3 cronium_input '.deep.list[9]'
    exits 2 cronium_input '.deep.list[0'
    exits 2 cronium_input a b
}

check_values() {
    for name in empty text unicode quotes lines zero minus half large true false null list object nested; do
        want=$(cronium_input ".values.$name")
        cronium_set_variable "conf/v/$name" --json "$want"
        is "$name" "$(cronium_get_variable "conf/v/$name")" "$want"
    done
    cronium_set_variable conf/plain 5
    is 'JSON if it parses' "$(cronium_get_variable conf/plain)" '5'
    cronium_set_variable conf/plain --string 5
    is 'a string of digits' "$(cronium_get_variable conf/plain)" '"5"'
    cronium_set_variable conf/plain ''
    is 'an empty string' "$(cronium_get_variable conf/plain)" '""'
    big=$(head -c 900000 /dev/zero | tr '\0' x)
    printf '%s' "$big" | cronium_set_variable conf/big
    is '900 kB' "$(cronium_get_variable conf/big --raw)" "$big"
}

check_keys() {
    for key in 'a/b' 'a?b' 'a#b' 'a%2Fb' 'two words' 'grün' '.' "it's"; do
        cronium_set_variable "conf/k/$key" --string "$key"
        is "key $key" "$(cronium_get_variable "conf/k/$key" --raw)" "$key"
    done
}

check_missing() {
    exits 3 cronium_get_variable conf/none
    is 'default' "$(cronium_get_variable conf/none --default '{"a": 1}')" '{"a":1}'
    is 'empty default' "$(cronium_get_variable conf/none --default '' --raw)" ''
    is 'the default is not stored' "$(cronium_get_variable conf/none --default null)" 'null'
}

check_before() {
    is 'set by a run before' "$(cronium_get_variable locked/before)" '{"by":"another run"}'
}

check_versions() {
    exits 0 cronium_set_variable conf/version 1 --if-version 0
    exits 4 cronium_set_variable conf/version 2 --if-version 0
    is 'first' "$(cronium_get_variable conf/version --version)" '1'
    exits 0 cronium_set_variable conf/version 2 --if-version 1
    exits 4 cronium_set_variable conf/version 3 --if-version 1
    is 'what was refused is not there' "$(cronium_get_variable conf/version)" '2'
    is 'second' "$(cronium_get_variable conf/version --version)" '2'
}

check_counters() {
    is 'from nothing' "$(cronium_incr conf/count)" '1'
    is 'by 5' "$(cronium_incr conf/count 5)" '6'
    is 'by -2.5' "$(cronium_incr conf/count -2.5)" '3.5'
    cronium_set_variable conf/word '"abc"'
    exits 1 cronium_incr conf/word
    exits 2 cronium_incr conf/count many
}

check_unset() {
    cronium_set_variable conf/gone 1
    exits 0 cronium_unset conf/gone
    exits 3 cronium_get_variable conf/gone
    exits 3 cronium_unset conf/gone
}

check_vars() {
    for key in b a c/d; do cronium_set_variable "conf/l/$key" 1; done
    is 'keys' "$(cronium_vars 'conf/l/*')" '["conf/l/a","conf/l/b","conf/l/c/d"]'
    is 'one a line' "$(cronium_vars 'conf/*/c/d' --raw)" 'conf/l/c/d'
    is 'none' "$(cronium_vars 'none/*')" '[]'
    is 'not what may not be read' "$(cronium_vars 'other*')" '[]'
}

check_scopes() {
    cronium_set_variable conf/scoped widest --scope global
    cronium_set_variable conf/scoped host --scope host
    cronium_set_variable conf/scoped run --scope run
    is 'nearest' "$(cronium_get_variable conf/scoped --raw)" 'run'
    is 'named' "$(cronium_get_variable conf/scoped --raw --scope host)" 'host'
    cronium_unset conf/scoped --scope run
    is 'next' "$(cronium_get_variable conf/scoped --raw)" 'host'
    cronium_unset conf/scoped --scope host
    is 'widest' "$(cronium_get_variable conf/scoped --raw)" 'widest'
    exits 2 cronium_get_variable conf/scoped --scope planet
}

check_limits() {
    exits 1 cronium_get_variable other/secret
    exits 1 cronium_get_variable other/secret --default 1
    exits 1 cronium_set_variable other/secret 2
    exits 1 cronium_set_variable locked/before 2
    exits 1 cronium_incr locked/count
    exits 1 cronium_unset locked/before
    code=0
    head -c 1100000 /dev/zero | tr '\0' x | cronium_set_variable conf/huge 2>/dev/null || code=$?
    is 'over 1 MiB' "$code" '1'
}

check_event() {
    is 'execution' "$(cronium_event executionId --raw)" "$CRONIUM_EXECUTION_ID"
    is 'event' "$(cronium_event eventId --raw)" '42'
    is 'metadata' "$(cronium_event .metadata.ticket)" '"T-1"'
    is 'default' "$(cronium_event none --default 0)" '0'
    exits 3 cronium_event none
}

check_told() {
    cronium_log info hello --context '{"a":[1,null]}'
    cronium_log warning 'zwölf % done'
    cronium_progress 12.5 'copying files'
    cronium_progress 100
    cronium_notify oncall 'wake up'
    cronium_condition false
    cronium_condition true
    exits 2 cronium_log loud hello
    exits 2 cronium_progress 101
    exits 2 cronium_condition maybe
}

one_of_many() {
    cronium_set_variable "conf/own/$1" "$1"
    for _ in 1 2 3 4 5 6 7 8 9 10; do cronium_incr conf/sum >/dev/null; done
    is 'own' "$(cronium_get_variable "conf/own/$1")" "$1"
}

check_processes() {
    children=
    for number in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        one_of_many $number &
        children="$children $!"
    done
    for child in $children; do wait "$child" || fail 'one of 20 processes'; done
    is 'sum' "$(cronium_get_variable conf/sum)" '200'
}

check_output() {
    cronium_output 'not the last'
    cronium_output --append 'behind a string'
    cronium_output null
    cronium_output --append 1
    cronium_output --append two
    cronium_output --append three='[3]' four=
    echo '{"checked":"all"}' | cronium_output --append
}

for section in "$@"; do "check_$section"; done
