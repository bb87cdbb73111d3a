# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What connects a runner to a broker: the libexec directory, the registration, the runner's .env.
# install, uninstall and with-runnerhub share it.

# shellcheck source=scripts/lib/envfile.sh
. "$RH_TOP/scripts/lib/envfile.sh"

LIBEXEC_VERBS=(exec job-started job-completed untar refuse)
LIBEXEC_STUBS=(bash sh python python3 pwsh docker)

# put MODE SOURCE TARGET: replaces TARGET in one step, so that what runs goes on undisturbed
put() {
    [ -e "$3" ] && cmp -s "$2" "$3" && [ "$(stat -c %a "$3")" = "$1" ] && return 0
    install -m "$1" "$2" "$3.new"
    mv -T "$3.new" "$3"
}

put_link() {
    if [ ! -L "$2" ] && [ ! -e "$2" ]; then
        ln -s "$1" "$2"
    elif [ "$(readlink "$2")" != "$1" ]; then
        ln -s "$1" "$2.new"
        mv -T "$2.new" "$2"
    fi
}

# libexec_fill BUILD DIR RUNTIME_DIR: everything that runners and containers are given
libexec_fill() {
    local from=$1 dir=$2 runtime=$3 name
    install -d -m 755 "$dir" "$dir/stubs"
    put 755 "$from/hook/runnerhub-hook" "$dir/runnerhub-hook"
    put 755 "$from/broker/agent/runnerhub-agent" "$dir/runnerhub-agent"
    for name in job-started.sh job-completed.sh; do
        put 755 "$RH_TOP/hook/$name" "$dir/$name"
    done
    for name in "${LIBEXEC_VERBS[@]}"; do
        put_link runnerhub-hook "$dir/$name"
    done
    for name in "${LIBEXEC_STUBS[@]}"; do
        put_link ../runnerhub-hook "$dir/stubs/$name"
    done
    put_link "$runtime" "$dir/run"
    # Last: from here on a Worker may load it.
    put 644 "$from/hook/preload/$ENV_LIBRARY" "$dir/$ENV_LIBRARY"
}

# check_root_owned PATH: it and all directories above it are root's alone to change
check_root_owned() {
    local path=$1 owner mode paths=(/) n=0
    while [ -n "$path" ]; do
        paths+=("$path")
        path=${path%/*}
    done
    while read -r owner mode path; do
        n=$((n + 1))
        [ "$owner" = 0 ] || die "$path belongs to uid $owner; it must be root's"
        if ((8#$mode & 8#022)) && ! ((8#$mode & 8#1000)); then
            die "$path may be written by its group or by everybody; chmod go-w it"
        fi
    done < <(stat -c '%u %a %n' "${paths[@]}")
    [ "$n" = ${#paths[@]} ] || die "$1 cannot be looked at"
}

# runner_json_text FILE KEY: a text of .runner (one object, a key a line)
runner_json_text() {
    local value
    value=$(sed -nE '/^.*"'"$2"'"[[:space:]]*:[[:space:]]*"(([^"\\]|\\.)*)".*$/I { s//\1/p; q }' "$1")
    # Escapes of JSON that a path or name may hold.
    value=${value//\\\//\/}
    case $value in
        *\\*) die "$1: cannot read $2 ($value); give it on the command line" ;;
    esac
    echo "$value"
}

# runner_look DIR [USER]: sets runner_{root,work,uid,gid,name,agent} from what is there; name is the
# directory's, agent the one that GitHub knows
runner_look() {
    local dir=$1 user=${2:-} work=""
    [ -d "$dir" ] || die "$dir: no such directory"
    runner_root=$(readlink -f "$dir")
    case $runner_root in *$'\n'*) die "$dir: a line break in its path" ;; esac
    [ -e "$runner_root/bin/Runner.Worker" ] ||
        die "$runner_root is not a runner's directory: it has no bin/Runner.Worker"
    runner_agent=""
    if [ -f "$runner_root/.runner" ]; then
        work=$(runner_json_text "$runner_root/.runner" workFolder)
        runner_agent=$(runner_json_text "$runner_root/.runner" agentName)
    fi
    work=${work:-_work}
    case $work in /*) ;; *) work=$runner_root/$work ;; esac
    runner_work=$(readlink -m "$work")
    runner_owner "$user"
    runner_name=$(registration_name "${runner_root##*/}")
    runner_agent=$(registration_name "$runner_agent")
}

# registration_name TEXT: as a name that the broker takes
registration_name() {
    local LC_ALL=C name=${1//[!A-Za-z0-9._-]/_}
    name=${name/#[.-]/_}
    echo "${name:0:100}"
}

# The user that the runner runs as: as told, else the directory's owner; if root unpacked it, the
# owner of what the runner itself has made.
runner_owner() {
    local user=$1 place
    if [[ $user =~ ^[0-9]+$ ]]; then
        runner_uid=$user
        # A number that has no name is its own group.
        runner_gid=$(id -g "$user" 2>/dev/null) || runner_gid=$user
        return
    elif [ -n "$user" ]; then
        id "$user" >/dev/null 2>&1 || die "there is no user $user"
        runner_uid=$(id -u "$user")
        runner_gid=$(id -g "$user")
        return
    fi
    for place in "$runner_root" "$runner_work" "$runner_root/_diag"; do
        [ -d "$place" ] || continue
        read -r runner_uid runner_gid < <(stat -c '%u %g' "$place")
        [ "$runner_uid" = 0 ] || return 0
    done
}

# work_uncover WORK: takes off what a broker that is gone has left on _temp
work_uncover() {
    local temp=$1/_temp
    while findmnt -n -o OPTIONS --mountpoint "$temp" 2>/dev/null | grep -q nosymfollow; do
        umount -l "$temp" || return 1
    done
}

yaml_quote() {
    printf "'%s'" "${1//\'/\'\'}"
}

# runner_yaml PROFILE STARTED COMPLETED: the registration of the runner last looked at
runner_yaml() {
    echo "# A runner registered with RunnerHub; written by its install script."
    echo "root: $(yaml_quote "$runner_root")"
    echo "work: $(yaml_quote "$runner_work")"
    echo "uid: $runner_uid"
    echo "gid: $runner_gid"
    [ -z "$1" ] || echo "profile: $(yaml_quote "$1")"
    [ -z "$2" ] || echo "started_hook: $(yaml_quote "$2")"
    [ -z "$3" ] || echo "completed_hook: $(yaml_quote "$3")"
}

# registration_get FILE KEY: undoes yaml_quote
registration_get() {
    sed -n "/^$2: '\(.*\)'\$/ { s//\1/; s/''/'/g; p }" "$1"
}

# registration_of RUNNERS_DIR ROOT: the file that registers ROOT, or nothing
registration_of() {
    grep -lxF -- "root: $(yaml_quote "$2")" "$1"/*.yaml 2>/dev/null | head -n 1 || : # none there
}

# registration_new RUNNERS_DIR: a free file name for the runner last looked at
registration_new() {
    local n=1 name=$runner_name
    while [ -e "$1/$name.yaml" ]; do
        n=$((n + 1))
        name=$runner_name-$n
    done
    echo "$1/$name.yaml"
}

# own_hook KEY REGISTRATION_KEY REGISTRATION: the administrator's hook: as the .env on stdin says, else the registration
own_hook() {
    local hook
    hook=$(env_foreign_hook "$1")
    if [ -z "$hook" ] && [ -f "$3" ]; then
        hook=$(registration_get "$3" "$2")
    fi
    echo "$hook"
}

# runner_wire LIBEXEC RUNNERS_DIR [PROFILE]: registers the runner last looked at and writes its .env.
# Sets runner_registration, runner_started_hook, runner_completed_hook.
runner_wire() {
    local libexec=$1 runners=$2 profile=${3:-} before text
    before=$(env_read "$runner_root" | tr -d '\0')
    text=$(printf '%s' "$before" | env_wired "$libexec")
    runner_registration=$(registration_of "$runners" "$runner_root")
    [ -n "$runner_registration" ] || runner_registration=$(registration_new "$runners")
    [ -n "$profile" ] || [ ! -f "$runner_registration" ] ||
        profile=$(registration_get "$runner_registration" profile)
    runner_started_hook=$(
        own_hook ACTIONS_RUNNER_HOOK_JOB_STARTED started_hook "$runner_registration" <<<"$before"
    )
    runner_completed_hook=$(
        own_hook ACTIONS_RUNNER_HOOK_JOB_COMPLETED completed_hook "$runner_registration" <<<"$before"
    )
    [ -d "$runner_work" ] || install -d -o "$runner_uid" -g "$runner_gid" -m 755 "$runner_work"
    runner_yaml "$profile" "$runner_started_hook" "$runner_completed_hook" >"$runner_registration.new"
    chmod 644 "$runner_registration.new"
    # The registration first: with the .env alone every job would be refused.
    mv -T "$runner_registration.new" "$runner_registration"
    env_write "$runner_root" <<<"$text"
}

# runner_unwire RUNNERS_DIR: the other way round; .env goes if nothing is left in it
runner_unwire() {
    local file started="" completed="" text
    file=$(registration_of "$1" "$runner_root")
    if [ -n "$file" ]; then
        work_uncover "$(registration_get "$file" work)"
        started=$(registration_get "$file" started_hook)
        completed=$(registration_get "$file" completed_hook)
    fi
    if [ -e "$runner_root/.env" ]; then
        text=$(env_read "$runner_root" | env_unwired "$started" "$completed")
        if [ -n "$text" ]; then
            env_write "$runner_root" <<<"$text"
        else
            as_owner "$runner_root" rm -f "$runner_root/.env"
        fi
    fi
    [ -z "$file" ] || rm -f "$file"
}
