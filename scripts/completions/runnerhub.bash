# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Completion of runnerhub(1) for bash: put it in /usr/share/bash-completion/completions/runnerhub.
# Commands and options are what the program's own --help says.

_runnerhub() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local program=${COMP_WORDS[0]} command="" words="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --socket) i=$((i + 1)) ;;
            -*) ;;
            *) command=${COMP_WORDS[i]} && break ;;
        esac
    done
    COMPREPLY=()
    case $command:$previous in
        *:--socket | *:--config) mapfile -t COMPREPLY < <(compgen -f -- "$current") && return ;;
        doctor:--runner) mapfile -t COMPREPLY < <(compgen -d -- "$current") && return ;;
        jobs:--state) words="starting running ending ended" ;;
        jobs:--result) words="completed failed abandoned" ;;
        containers:--state) words="creating warm leased stopping removed failed" ;;
        jobs:jobs) words="list show $("$program" jobs --help 2>/dev/null | grep -oE '^ +--[a-z]+')" ;;
        :*)
            words="--help --version --json --socket
                $("$program" --help 2>/dev/null | awk '/^  [a-z]+ / { print $1 }')"
            ;;
        *) words="--help $("$program" "$command" --help 2>/dev/null | grep -oE '^ +--[a-z]+')" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _runnerhub runnerhub
