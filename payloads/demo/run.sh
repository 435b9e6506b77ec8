#!/bin/sh
# Greets from a host, counts its visits in a variable that the operator keeps, and hands back a result.
set -eu

# What the operator gave with --input; without a greeting in it, our own.
greeting=$(cronium input greeting --raw --default hello)

# Variables outlive runs and are shared by hosts: this one has the host in its name.
visits=$(cronium incr "demo.visits.$CRONIUM_HOST")

kernel=$(uname -sr)
machine=$(uname -m)
system=$(. /etc/os-release 2>/dev/null && printf %s "${PRETTY_NAME-}") || system=
cpus=$(getconf _NPROCESSORS_ONLN 2>/dev/null) || cpus=

echo "$greeting"
echo "$kernel on $machine, ${system:-an unnamed system}, ${cpus:-?} CPUs"
echo "visit $visits, as the operator's ledger has it"

# The host's result: not printed but kept, as JSON.
cronium output kernel="$kernel" machine="$machine" cpus="${cpus:-null}" visits="$visits"
