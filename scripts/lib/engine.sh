# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The container engine that everything here uses. Sets RH_ENGINE_SOCKET, exports DOCKER_HOST.
#
# The first that answers is taken: RUNNERHUB_ENGINE_SOCKET, DOCKER_HOST, /var/run/docker.sock, and
# last a private dockerd with its own data root, exec root and socket, which is started if need be
# and left running for the next run (scripts/setup --stop ends it). An engine that was there is
# never stopped, configured or pruned.
#
# RUNNERHUB_ENGINE=private skips the others.

engine_private_socket=$RH_RUN/docker.sock

# engine_api METHOD PATH [curl arguments…]: body on stdout, fails on any status from 400
engine_api() {
    local method=$1 path=$2
    shift 2
    curl -sS --fail-with-body --unix-socket "$RH_ENGINE_SOCKET" --max-time 600 -X "$method" "$@" \
        "http://engine/v1.41$path"
}

engine_answers() {
    [ -S "$1" ] && [ "$(curl -s --max-time 5 --unix-socket "$1" http://engine/_ping)" = OK ]
}

# Prints the sockets that may be used as they are, one a line.
engine_candidates() {
    if [ -n "${RUNNERHUB_ENGINE_SOCKET:-}" ]; then
        echo "$RUNNERHUB_ENGINE_SOCKET"
        return
    fi
    [ "${RUNNERHUB_ENGINE:-}" != private ] || return 0
    case ${DOCKER_HOST:-} in
        unix://*) echo "${DOCKER_HOST#unix://}" ;;
    esac
    echo /var/run/docker.sock
}

# Sets RH_ENGINE_SOCKET to an engine that answers; 1 if none does.
engine_find() {
    local s
    while read -r s; do
        if engine_answers "$s"; then
            RH_ENGINE_SOCKET=$s
            return 0
        fi
    done < <(engine_candidates)
    engine_answers "$engine_private_socket" && RH_ENGINE_SOCKET=$engine_private_socket
}

# A minimal container may have no control groups mounted, and dockerd does not start without.
engine_cgroups() {
    [ -e /sys/fs/cgroup/cgroup.controllers ] || [ -d /sys/fs/cgroup/memory ] && return 0
    say "mounting control groups at /sys/fs/cgroup"
    mount -t cgroup2 none /sys/fs/cgroup
}

engine_private_pid() {
    local pid
    pid=$(cat "$RH_RUN/docker.pid" 2>/dev/null) && pid_runs "$pid" dockerd "$RH_STATE/docker" &&
        echo "$pid"
}

# What a killed dockerd leaves: pid files that it would believe, and perhaps its containerd.
engine_clear() {
    local own=$RH_RUN/docker/containerd pid
    pid=$(cat "$own/containerd.pid" 2>/dev/null || :)
    if pid_runs "$pid" containerd "$own"; then
        end_pid "$pid" 10
    fi
    rm -f "$RH_RUN/docker.pid" "$engine_private_socket" "$own/containerd.pid" "$own"/*.sock
}

# engine_launch ARGUMENT…: dockerd in its own session, nothing of ours open in it
engine_launch() {
    engine_clear
    # Not the machine's own configuration: it may name other places and contradict ours.
    echo '{}' >"$RH_RUN/daemon.json"
    (
        close_fds
        cd /
        exec setsid dockerd --data-root "$RH_STATE/docker" --exec-root "$RH_RUN/docker" \
            --pidfile "$RH_RUN/docker.pid" --host "unix://$engine_private_socket" \
            --config-file "$RH_RUN/daemon.json" "$@" </dev/null >>"$RH_STATE/dockerd.log" 2>&1
    ) &
    engine_child=$!
    wait_until 60 engine_up_or_dead && engine_answers "$engine_private_socket"
}

engine_up_or_dead() {
    pid_gone "$engine_child" || engine_answers "$engine_private_socket"
}

engine_start_private() {
    local pid
    engine_answers "$engine_private_socket" && return 0
    if pid=$(engine_private_pid); then
        say "the private dockerd ($pid) runs without answering"
        wait_until 20 engine_answers "$engine_private_socket" && return 0
        end_pid "$pid" 20
    fi
    say "no engine answers; starting a private dockerd (log: $RH_STATE/dockerd.log)"
    engine_cgroups
    mkdir -p "$RH_STATE/docker" "$RH_RUN/docker"
    engine_launch && return 0
    # Some kernels and containers have no usable packet filter. Jobs without network still run.
    if grep -q iptables "$RH_STATE/dockerd.log"; then
        say "dockerd found no usable iptables; trying without"
        engine_launch --iptables=false --ip6tables=false && return 0
    fi
    tail -n 15 "$RH_STATE/dockerd.log" >&2
    die "the private dockerd did not come up"
}

# Installs dockerd if there is none, and makes sure that an engine answers.
engine_ready() {
    if ! engine_find; then
        [ -z "${RUNNERHUB_ENGINE_SOCKET:-}" ] ||
            die "no engine answers on $RUNNERHUB_ENGINE_SOCKET (RUNNERHUB_ENGINE_SOCKET)"
        if ! have dockerd; then
            need_packages docker.io
            # The package may start its own service.
            [ ! -d /run/systemd/system ] || wait_until 20 engine_find || true # none: ours is next
        fi
        if ! engine_find; then
            with_lock engine engine_start_private
            RH_ENGINE_SOCKET=$engine_private_socket
        fi
    fi
    export RH_ENGINE_SOCKET DOCKER_HOST="unix://$RH_ENGINE_SOCKET"
}

# Ends the private dockerd, if one runs, with the containers in it.
engine_stop_private() {
    local pid
    if pid=$(engine_private_pid); then
        end_pid "$pid" 30
        say "stopped the private dockerd ($pid)"
    fi
}
