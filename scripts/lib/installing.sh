# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2034 # the places are read by both
#
# What install and uninstall share: places, options, doing or only telling.

# shellcheck source=scripts/lib/firewall.sh
. "$RH_TOP/scripts/lib/firewall.sh"
# shellcheck source=scripts/lib/wiring.sh
. "$RH_TOP/scripts/lib/wiring.sh"

# Manual pages, below share/man, and the command line's completion.
INSTALLED_PAGES=(man1/runnerhub.1 man5/runnerhub.yaml.5 man8/runnerhubd.8)
INSTALLED_COMPLETION=share/bash-completion/completions/runnerhub

prefix=/usr/local
config_dir=/etc/runnerhub
unit_dir=/etc/systemd/system
dry_run=""

# act WHAT COMMAND…: says what is done and does it; with --dry-run only says it
act() {
    echo "${dry_run:+would: }$1"
    shift
    [ -n "$dry_run" ] || "$@"
}

# places: after the options are read
places() {
    local name
    for name in prefix config_dir unit_dir; do
        case ${!name} in
            /*) ;;
            *) usage_error "--${name//_/-} must be an absolute path" ;;
        esac
    done
    prefix=$(readlink -m "$prefix")
    config_dir=$(readlink -m "$config_dir")
    libexec=$prefix/lib/runnerhub
    runners_dir=$config_dir/runners.d
    config=$config_dir/runnerhub.yaml
    unit=$unit_dir/runnerhubd.service
    case $libexec in
        *[[:space:]:]*) die "$libexec: neither LD_PRELOAD nor a job hook can have blanks or colons" ;;
    esac
}

# config_text FILE KEY: a text at the top level of the configuration
config_text() {
    [ -f "$1" ] || return 0
    sed -nE "s/^$2:[[:space:]]*['\"]?([^'\"#]*[^'\"#[:space:]])['\"]?[[:space:]]*(#.*)?\$/\\1/p" "$1"
}

# network_name FILE: of the isolated profiles' network; network.name in the configuration
network_name() {
    local name=""
    [ ! -f "$1" ] ||
        name=$(sed -nE "/^[[:space:]]*#/d; /^network:/,/^[^[:space:]#]/s/.*\\bname:[[:space:]]*['\"]?([A-Za-z][A-Za-z0-9_.-]*).*/\1/p" "$1" |
            head -n 1)
    echo "${name:-runnerhub}"
}

# The pids of Listeners whose program lies below ROOT: they hand their old environment to each job.
listeners_of() {
    local exe pid
    for exe in /proc/[0-9]*/exe; do
        case $(readlink "$exe" 2>/dev/null || :) in
            "$1"/bin*/Runner.Listener*)
                pid=${exe#/proc/}
                echo "${pid%/exe}"
                ;;
        esac
    done
}

# What changes in .env, as a patch. Values of other keys may be secret: no context is shown.
env_changes() {
    diff -U 0 <(env_read "$runner_root") <(printf '%s' "$1") | grep '^[+-][^+-]' | sed 's/^/    /' || :
}
