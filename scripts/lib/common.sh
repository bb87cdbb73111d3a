# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What every script here needs: where things are, messages, locks, waiting. Sourced, never run.
#
# Places (each may be set in the environment):
#   RUNNERHUB_DEV_CACHE   images as tar files, node            /var/cache/runnerhub-dev
#   RUNNERHUB_DEV_STATE   private engine's data, instances     /var/lib/runnerhub-dev
#   RUNNERHUB_DEV_RUN     private engine's socket and pid      /run/runnerhub-dev
#   RUNNERHUB_BUILD       build directories                    <checkout>/build

set -euo pipefail
shopt -s inherit_errexit

RH_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
RH_CACHE=${RUNNERHUB_DEV_CACHE:-/var/cache/runnerhub-dev}
RH_STATE=${RUNNERHUB_DEV_STATE:-/var/lib/runnerhub-dev}
RH_RUN=${RUNNERHUB_DEV_RUN:-/run/runnerhub-dev}
RH_BUILD=${RUNNERHUB_BUILD:-$RH_TOP/build}
export RH_TOP RH_CACHE RH_STATE RH_RUN RH_BUILD

# A broken or foreign locale must not change what tools print or how text sorts.
export LC_ALL=C.UTF-8

say() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
}

die() {
    say "$*"
    exit 1
}

usage_error() {
    say "$*"
    say "try --help"
    exit 2
}

# Prints the first comment of the script that is running, without its marks and licence line.
print_help() {
    awk 'NR > 2 { if ($0 !~ /^#/) exit; sub(/^# ?/, ""); print }' "$0"
}

need_root() {
    [ "$EUID" = 0 ] || die "must run as root (the broker mounts into containers); try: sudo $0"
}

# have COMMAND…: all of them are there
have() {
    local c
    for c in "$@"; do
        command -v "$c" >/dev/null 2>&1 || return 1
    done
}

# wait_until SECONDS COMMAND…: until it succeeds; 1 if it never did
wait_until() {
    local until_s=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$until_s" ] || return 1
        sleep 0.05
    done
}

# with_lock NAME COMMAND…: one process of this machine at a time. The kernel lets go of the lock
# when its holder dies, however it dies. What COMMAND starts and leaves running must call close_fds.
with_lock() {
    local name=$1 fd rc=0
    shift
    mkdir -p "$RH_RUN"
    exec {fd}>"$RH_RUN/$name.lock"
    if ! flock -w 2 "$fd"; then
        say "waiting for another run ($name)"
        flock "$fd"
    fi
    "$@" || rc=$?
    exec {fd}>&-
    return "$rc"
}

# close_fds: all above the standard three, in a child that is about to become something else
close_fds() {
    local fd
    for fd in "/proc/$BASHPID/fd"/*; do
        fd=${fd##*/}
        [ "$fd" -le 2 ] || eval "exec $fd>&-"
    done
}

# pid_runs PID PROGRAM WORD: PID is alive, its executable's name is PROGRAM and its command line
# holds WORD. Guards against a number that the kernel has given to somebody else since.
pid_runs() {
    local pid=$1 program=$2 word=$3 exe words=()
    [[ $pid =~ ^[1-9][0-9]*$ ]] || return 1
    exe=$(readlink "/proc/$pid/exe" 2>/dev/null) || return 1
    exe=${exe% (deleted)}
    [ "${exe##*/}" = "$program" ] || return 1
    { mapfile -d '' -t words <"/proc/$pid/cmdline"; } 2>/dev/null || return 1
    [[ "${words[*]}" == *"$word"* ]]
}

# Asked often, so nothing is started for it. Its name, in parentheses, may hold anything.
pid_gone() {
    local stat
    { IFS= read -r -d '' stat <"/proc/$1/stat"; } 2>/dev/null || [ -n "${stat:-}" ] || return 0
    [[ "${stat##*) }" == Z* ]]
}

# end_pid PID SECONDS: SIGTERM, then after SECONDS SIGKILL
end_pid() {
    kill -TERM "$1" 2>/dev/null || return 0
    wait_until "$2" pid_gone "$1" && return 0
    say "process $1 did not end within $2 s and is killed"
    kill -KILL "$1" 2>/dev/null || return 0
    wait_until 5 pid_gone "$1"
}

# remove_tree DIR…: with what a killed run may have left mounted below (never what is behind it)
remove_tree() {
    local dir point
    for dir in "$@"; do
        [ -e "$dir" ] || continue
        while read -r point; do
            umount -l "$(printf '%b' "$point")"
        done < <(awk -v d="$(readlink -f "$dir")" 'index($5, d "/") == 1 {print $5}' \
            /proc/self/mountinfo | tac)
        rm -rf --one-file-system "$dir"
    done
}
