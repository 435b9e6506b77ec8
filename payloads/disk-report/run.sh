#!/bin/sh
# Prints every file system that is fuller than the limit, and fails if there is one.
set -eu

limit=$(cronium input .limit --raw --default 90)

# The whole table comes back as a file:  cronium-run artifacts last -o out
df -P -k >"$CRONIUM_OUT/df.txt"

# POSIX df: device, blocks, used, free, percent, place.
full=$(awk -v limit="$limit" '
  NR > 1 && $1 ~ "^/dev/" { percent = $5; sub("%", "", percent); if (percent + 0 > limit + 0) print $6, $5 }
' "$CRONIUM_OUT/df.txt")

if [ -n "$full" ]; then
  echo "$full"
  # What --on-condition and --on-notify of the operator wait for.
  cronium condition true
  cronium notify disks "$full"
  cronium output "$full"
  exit 1
fi
echo "nothing above $limit%"
cronium condition false
cronium output ok=true limit="$limit"
