#!/usr/bin/env bash
# Runs on every host. Try it here first:  cronium-run exec local . --input '{"name": "Ada"}'
set -euo pipefail

# What was given with --input; a path picks inside it.
name=$(cronium_input .name --raw --default world)

# A variable, kept on your side: no addition is lost, however many hosts add at once.
visits=$(cronium_incr "visits/$CRONIUM_HOST")
echo "hello $name from $(uname -n), visit $visits, level $LEVEL"

# What is put here comes back:  cronium-run artifacts last -o out
df -P -k >"$CRONIUM_OUT/disks.txt"

# The host's result, in the ledger and in -o json.
cronium_output kernel="$(uname -r)" visits="$visits"
