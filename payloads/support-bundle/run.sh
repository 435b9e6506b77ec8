#!/bin/sh
# Collects what tells how a host is doing into a tarball that comes back to the operator.
set -eu

lines=$(cronium input .lines --raw --default 200)
bundle=$TMPDIR/support
mkdir "$bundle"

# keep NAME COMMAND...: what the command prints; a host on which it fails goes on without.
keep() {
  file=$bundle/$1
  shift
  "$@" >"$file" 2>&1 || cronium log warn "failed: $*"
}

cronium progress 10 'asking the system'
keep system.txt uname -a
keep uptime.txt uptime
keep disks.txt df -P -k
keep memory.txt cat /proc/meminfo
keep mounts.txt cat /proc/mounts

cronium progress 50 'copying the ends of logs'
for log in /var/log/messages /var/log/syslog /var/log/auth.log; do
  if [ -r "$log" ]; then keep "${log##*/}" tail -n "$lines" "$log"; fi
done

cronium progress 90 'packing'
tar -cf - -C "$TMPDIR" support | gzip >"$CRONIUM_OUT/support.tar.gz"
cronium output files="$(ls "$bundle" | wc -l)" bytes="$(wc -c <"$CRONIUM_OUT/support.tar.gz")"
