# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A private instance of RunnerHub: everything of it lies below <state>/i/XXXXXX.
#
#   lock              held by with-runnerhub; free means that it died and that the next run cleans up
#   run/ state/       the broker's runtime and state directories
#   etc/              runnerhub.yaml, runners.d/
#   libexec/ bin/     programs
#   broker.log        what the broker said
#   env.<n>/          a runner's .env as it was: root (its directory), env (absent if there was none)
#   r1/ r2/           stand-in runners, if none were given

# shellcheck source=scripts/lib/broker.sh
. "$RH_TOP/scripts/lib/broker.sh"
# shellcheck source=scripts/lib/firewall.sh
. "$RH_TOP/scripts/lib/firewall.sh"
# shellcheck source=scripts/lib/wiring.sh
. "$RH_TOP/scripts/lib/wiring.sh"

INSTANCES=$RH_STATE/i

# Programs of a build that CMD finds on PATH: name and place.
INSTANCE_PROGRAMS=(
    broker/daemon/runnerhubd
    broker/cli/runnerhub
    tests/worker/run-workflow
)

# instance_create: first the sweep; both under one lock, since a directory is unlocked when it is new
instance_create() {
    instances_sweep
    instance_mkdir
}

# instance_mkdir: sets instance and holds its lock in instance_lock
instance_mkdir() {
    install -d -m 755 "$INSTANCES"
    check_root_owned "$INSTANCES"
    instance=$(mktemp -d "$INSTANCES/XXXXXX")
    chmod 755 "$instance"
    [ ${#instance} -le 38 ] || die "$INSTANCES is too long: sockets below it would not fit"
    exec {instance_lock}>"$instance/lock"
    flock -n "$instance_lock"
}

# What killed runs have left. Held locks belong to runs that go on; where there is no lock at all, a run
# is just removing its directory, or was killed before it had made one, a while ago. Nothing is made
# there: the one that removes it would find it in its way.
instances_sweep() {
    local dir fd
    for dir in "$INSTANCES"/*/; do
        dir=${dir%/}
        if [ ! -d "$dir" ] || [ -e "$dir/kept" ]; then
            continue
        fi
        if ! { exec {fd}<"$dir/lock"; } 2>/dev/null; then
            [ -n "$(find "$dir" -maxdepth 0 -mmin +1 2>/dev/null)" ] || continue
            { exec {fd}<"$dir"; } 2>/dev/null || continue
        fi
        if flock -n "$fd"; then
            say "removing what a killed run left: $dir"
            # Its faults, if it had any, are not this run's.
            instance_remove "$dir" 0 || :
        fi
        exec {fd}>&-
    done
}

# instance_network_name DIR: of the network of its own that an instance has
instance_network_name() {
    echo "runnerhub-${1##*/}"
}

# instance_network DIR: removes it, and its rules
instance_network() {
    local name id
    name=$(instance_network_name "$1")
    firewall_remove "$name"
    # {"name":["…"]}; by id, since the engine may have two of one name
    for id in $(engine_api GET "/networks?filters=%7B%22name%22%3A%5B%22$name%22%5D%7D" |
        grep -oE '"Id":"[0-9a-f]{64}"' | cut -d '"' -f 4); do
        engine_api DELETE "/networks/$id" >/dev/null 2>&1 || : # somebody is on it still
    done
}

instance_config() {
    local from=$1 to=$instance/etc/runnerhub.yaml
    [ -n "$from" ] || from=$RH_TOP/scripts/lib/instance.yaml
    awk -v dir="$instance" -v socket="$RH_ENGINE_SOCKET" -v network="$(instance_network_name "$instance")" \
        -v firewall="${RUNNERHUB_FIREWALL:-}" -v warm="${RUNNERHUB_WARM:-}" \
        -f "$RH_TOP/scripts/lib/config.awk" "$from" "$from" >"$to"
    chmod 644 "$to"
}

# instance_fill BUILD CONFIG
instance_fill() {
    local build=$1 config=$2 program
    install -d -m 755 "$instance"/{run,state,etc,etc/runners.d,bin}
    libexec_fill "$build" "$instance/libexec" "$instance/run"
    for program in "${INSTANCE_PROGRAMS[@]}"; do
        [ -x "$build/$program" ] || die "$build/$program is not built"
        put 755 "$build/$program" "$instance/bin/${program##*/}"
    done
    ln -s "$RH_TOP/scripts/lib/hub-broker" "$instance/bin/hub-broker"
    instance_config "$config"
}

# What jobs of another user have left in the work directory of the runner last looked at is given to
# its user: tests run one runner as several users.
instance_work_owner() {
    local entry
    for entry in "$runner_work" "$runner_work"/*; do
        case $entry in */_runnerhub) continue ;; esac
        if [ -d "$entry" ] && [ ! -L "$entry" ] && [ "$(stat -c %u "$entry")" != "$runner_uid" ]; then
            find "$entry" -xdev -path "$runner_work/_runnerhub" -prune -o \
                -exec chown -h "$runner_uid:$runner_gid" {} +
        fi
    done
}

# instance_claim KEEP: notes the .env of the runner last looked at, which is then this instance's
instance_claim() {
    local keep=$1
    if grep -qxF -- "$runner_root" "$INSTANCES"/*/env.*/root 2>/dev/null; then
        die "$runner_root is wired to another with-runnerhub; wait for it to end, or use a copy of the directory"
    fi
    mkdir -m 700 "$keep.new"
    if [ -e "$runner_root/.env" ]; then
        env_read "$runner_root" >"$keep.new/env"
    fi
    # Complete before .env is touched: a run that is killed in between still puts it back.
    printf '%s' "$runner_root" >"$keep.new/root"
    printf '%s' "$runner_work" >"$keep.new/work"
    mv "$keep.new" "$keep"
}

# instance_runner N DIR [USER]: wires a runner directory, after noting its .env. The owner of what is
# in it says nothing about its next user.
instance_runner() {
    local n=$1 user=$3
    [ -n "$user" ] || [ ! -d "$2" ] || user=$(stat -c %u "$2")
    runner_look "$2" "$user"
    with_lock instances instance_claim "$instance/env.$n"
    instance_work_owner
    runner_wire "$instance/libexec" "$instance/etc/runners.d"
}

# instance_unwire DIR: each runner's .env as it was, byte for byte
instance_unwire() {
    local keep root
    for keep in "$1"/env.*; do
        [ -f "$keep/root" ] || continue
        root=$(<"$keep/root")
        work_uncover "$(<"$keep/work")"
        if [ ! -d "$root" ]; then
            say "$root is gone; its .env cannot be put back"
        elif [ -e "$keep/env" ]; then
            env_write "$root" <"$keep/env"
        else
            as_owner "$root" rm -f "$root/.env"
        fi
        rm -rf "$keep"
    done
}

# instance_containers DIR: removes what the broker's engine still has of it
instance_containers() {
    local id ids hub=$1/state
    # {"label":["runnerhub.hub=…"]}
    ids=$(engine_api GET "/containers/json?all=1&filters=%7B%22label%22%3A%5B%22runnerhub.hub%3D${hub//\//%2F}%22%5D%7D" |
        grep -oE '"Id":"[0-9a-f]{64}"' | cut -d '"' -f 4) || return 0
    for id in $ids; do
        # What the broker asked for last may be done just now.
        engine_api DELETE "/containers/$id?force=1&v=1" >/dev/null 2>&1 ||
            ! engine_api GET "/containers/$id/json" >/dev/null 2>&1 ||
            say "could not remove the container $id"
    done
}

# instance_remove DIR KEEP: ends and undoes everything; the directory stays if KEEP is 1
instance_remove() {
    local dir=$1 keep=$2 rc=0
    broker_stop "$dir" "${RUNNERHUB_STOP_SECONDS:-60}" || rc=1
    instance_containers "$dir"
    instance_network "$dir"
    instance_unwire "$dir"
    if compgen -G "$dir/asan.*" >/dev/null; then
        say "a sanitizer has reported:"
        cat "$dir"/asan.* >&2
        rc=1
    fi
    if [ "$keep" = 1 ]; then
        touch "$dir/kept"
        say "kept: $dir"
    else
        remove_tree "$dir"
    fi
    return "$rc"
}
