#!/usr/bin/env bash
# Runs on every host. Try it here first:  cronium-run exec local .
set -euo pipefail

# What was given with --input, as JSON; `null` when nothing was.
input=$(cronium input)
echo "hello from $(uname -n), level $LEVEL, input $input"

# What stands here is the host's result, as JSON if it parses.
cronium output host="$(uname -n)" kernel="$(uname -r)"
