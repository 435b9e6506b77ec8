# What a host says of itself: lines of fields with tabs between. Read by `sh` from its stdin, in one
# go, so that nothing here is taken from what follows it. It needs what is in busybox, and leaves
# nothing behind. Set before it: `need`, bytes of the largest runner; `digests`, names of the
# runners; `socket`, a file to remove.
{
    exec </dev/null 2>/dev/null
    LC_ALL=C
    export LC_ALL
    umask 077
    printf 'cronium-run:probe\t%s\n' "$(date +%s)"
    say() {
        what=$1
        shift
        printf '%s' "$what"
        for field; do printf '\t%s' "$(printf '%s' "$field" | tr '\t\n' '  ' | head -c 200)"; done
        echo
    }
    rm -f "$socket"

    say machine "$(uname -s)" "$(uname -m)"
    user=$(id -un || echo "$USER")
    entry=$(getent passwd "$user" || grep "^$user:" /etc/passwd)
    say user "$user" "$(id -u)" "${entry##*:}"
    if [ -z "$HOME" ]; then say home unset ''; elif [ -d "$HOME" ]; then say home there "$HOME"; else say home missing "$HOME"; fi

    # Tries a folder as the bootstrap line does, and takes away what it made.
    try() {
        made= state=
        case $1 in
        /var/tmp | /tmp)
            d=$(mktemp -d "$1/cronium-run.XXXXXXXXXX" 2>&1) && made=$d || { say place "$1" denied "$d"; return; }
            ;;
        *)
            d=$1/cronium-run/stub
            missing=$d
            # The deepest first: in this order they are removed.
            while [ -n "$missing" ] && [ ! -d "$missing" ]; do
                made="$made$missing
"
                missing=${missing%/*}
            done
            why=$(mkdir -p "$d" 2>&1) || state=denied
            ;;
        esac
        t=$d/.probe.$$
        if [ -z "$state" ]; then
            # The shell's own word comes from outside the braces.
            if ! why=$( { printf '#!/bin/sh\nexit 0\n' >"$t"; } 2>&1 && chmod 700 "$t" 2>&1); then
                state=denied
                case $why in *'No space'*) state=full ;; esac
            elif ! why=$("$t" 2>&1); then
                state=noexec
            elif ! why=$(dd if=/dev/zero of="$t" bs="$need" count=1 2>&1); then
                state=full
            else
                state=fine why=
            fi
        fi
        rm -f "$t"
        printf '%s\n' "$made" | while read -r d; do [ -z "$d" ] || rmdir "$d"; done
        say place "$1" "$state" "$why"
    }
    cache=${XDG_CACHE_HOME:-${HOME:-/dev/null}/.cache}
    for place in "$cache" /var/tmp /tmp; do
        try "$place"
        { df -Pk "$place" || df -Pk "$HOME"; } | while read -r _ size _ free _ mount; do
            case $size in *[!0-9]* | '') ;; *) say disk "$place" "$size" "$free" "$mount" ;; esac
        done
    done
    for digest in $digests; do
        [ -x "$cache/cronium-run/stub/$digest" ] && case $(sha256sum <"$cache/cronium-run/stub/$digest" || echo none) in
        "$digest"* | none) say cached "$digest" ;;
        *) say damaged "$digest" ;;
        esac
    done
    for tool in dd gzip mktemp sha256sum; do command -v $tool >/dev/null || say lacks $tool; done

    while read -r name number _; do
        case $name in MemTotal: | MemAvailable:) say memory "${name%:}" "$number" ;; esac
    done </proc/meminfo

    for name in sh bash python3 node pwsh; do
        path=$(command -v $name) || continue
        case $name in
        sh) version=$(readlink -f "$path") ;;
        *) version=$("$path" --version | head -n 1) ;;
        esac
        say interpreter $name "$path" "$version"
    done

    [ "$(id -u)" = 0 ] || for name in sudo doas; do
        command -v $name >/dev/null || continue
        why=$($name -n true 2>&1) && why=free
        say become $name "$why"
    done
    echo end
    exit 0
}
