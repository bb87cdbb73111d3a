# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A runner's .env: KEY=VALUE lines without quotes or comments; the last line of a key counts, an
# empty value unsets it. Other lines stay as they are and where they are.
#
# The file lies in a directory that the runner's user can write, so nothing here opens it as root:
# reading and writing are done as the directory's owner, who can then only cheat himself.

ENV_LIBRARY=librunnerhub-preload.so

# as_owner DIR COMMAND…: with the ids of DIR's owner and nothing more
as_owner() {
    local dir=$1 uid gid
    shift
    read -r uid gid < <(stat -c '%u %g' "$dir")
    if [ "$uid" = "$EUID" ]; then
        "$@"
    else
        setpriv --reuid="$uid" --regid="$gid" --clear-groups -- "$@"
    fi
}

# env_read DIR: what .env holds; nothing if there is none
env_read() {
    [ ! -L "$1/.env" ] || die "$1/.env is a symbolic link; make it a file"
    [ -e "$1/.env" ] || return 0
    as_owner "$1" cat "$1/.env"
}

# env_write DIR: replaces .env by stdin in one step, keeping its mode
env_write() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    as_owner "$1" sh -ec 'umask 022
        new=$1/.env.runnerhub
        rm -f "$new"
        cat >"$new"
        [ ! -e "$1/.env" ] || chmod --reference="$1/.env" "$new"
        mv -T "$new" "$1/.env"' env_write "$1"
}

# text_read: sets text to all of stdin, with blank lines at its end but without NUL bytes
text_read() {
    local piece
    text=""
    while IFS= read -r -d '' piece; do
        text+=$piece
    done
    text+=$piece
}

# env_get KEY: value of the last line of KEY on stdin
env_get() {
    KEY=$1 awk '{ sub(/\r$/, "") }
        index($0, ENVIRON["KEY"] "=") == 1 { value = substr($0, length(ENVIRON["KEY"]) + 2) }
        END { print value }'
}

# env_set KEY=VALUE…: stdin with these; an empty value removes the key's lines
env_set() {
    local IFS=$'\n'
    EDITS="$*" awk 'BEGIN {
            n = split(ENVIRON["EDITS"], edit, "\n")
            for (i = 1; i <= n; i++)
                want[substr(edit[i], 1, index(edit[i], "=") - 1)] = edit[i]
        }
        { key = substr($0, 1, index($0, "=") - 1) }
        !(key in want) { print; next }
        !(key in done) && want[key] != key "=" { print want[key] }
        { done[key] = 1 }
        END {
            for (i = 1; i <= n; i++) {
                key = substr(edit[i], 1, index(edit[i], "=") - 1)
                if (!(key in done) && want[key] != key "=")
                    print want[key]
            }
        }'
}

# env_foreign_preload VALUE: the words of an LD_PRELOAD that are not ours, as one value
env_foreign_preload() {
    local word out=""
    local IFS=$' :\t'
    for word in $1; do
        [ "${word##*/}" = "$ENV_LIBRARY" ] || out+=${out:+:}$word
    done
    echo "$out"
}

# env_is_our_hook PATH PRELOAD: a hook file of some RunnerHub, not the administrator's own; of one that
# is gone, if the LD_PRELOAD beside it is of the same directory
env_is_our_hook() {
    case ${1##*/} in
        job-started.sh | job-completed.sh) ;;
        *) return 1 ;;
    esac
    [ -e "${1%/*}/$ENV_LIBRARY" ] || [[ ":${2//[ $'\t']/:}:" == *":${1%/*}/$ENV_LIBRARY:"* ]]
}

# env_foreign_hook KEY: the administrator's own hook in the .env on stdin, or nothing
env_foreign_hook() {
    local text path
    text_read
    path=$(env_get "$1" <<<"$text")
    [ -z "$path" ] || env_is_our_hook "$path" "$(env_get LD_PRELOAD <<<"$text")" || echo "$path"
}

# env_wired LIBEXEC: the .env on stdin as RunnerHub needs it
env_wired() {
    local libexec=$1 text foreign
    text_read
    foreign=$(env_foreign_preload "$(printf '%s' "$text" | env_get LD_PRELOAD)")
    printf '%s' "$text" | env_set "LD_PRELOAD=$libexec/$ENV_LIBRARY${foreign:+:$foreign}" \
        "ACTIONS_RUNNER_HOOK_JOB_STARTED=$libexec/job-started.sh" \
        "ACTIONS_RUNNER_HOOK_JOB_COMPLETED=$libexec/job-completed.sh"
}

# env_unwired STARTED COMPLETED: the .env on stdin without RunnerHub, with these hooks if not empty
env_unwired() {
    local text foreign edits=() key hook
    text_read
    foreign=$(env_foreign_preload "$(printf '%s' "$text" | env_get LD_PRELOAD)")
    edits+=("LD_PRELOAD=$foreign")
    for key in STARTED COMPLETED; do
        hook=$(printf '%s' "$text" | env_foreign_hook "ACTIONS_RUNNER_HOOK_JOB_$key")
        [ -n "$hook" ] || hook=$1
        edits+=("ACTIONS_RUNNER_HOOK_JOB_$key=$hook")
        shift
    done
    printf '%s' "$text" | env_set "${edits[@]}"
}
