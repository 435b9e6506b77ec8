#!/bin/sh
# Prints every file system that is fuller than the limit, and fails if there is one.
set -eu

limit=$(cronium input .limit --raw --default 90)

# POSIX df: device, blocks, used, free, percent, place.
full=$(df -P -k | awk -v limit="$limit" '
  NR > 1 && $1 ~ "^/dev/" { percent = $5; sub("%", "", percent); if (percent + 0 > limit + 0) print $6, $5 }
')

if [ -n "$full" ]; then
  echo "$full"
  cronium output "$full"
  exit 1
fi
echo "nothing above $limit%"
cronium output ok=true limit="$limit"
