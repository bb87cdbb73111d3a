# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The broker of a private instance: start, end. $1 is always the instance's directory, in which are
#   etc/runnerhub.yaml  bin/runnerhubd  broker.pid  broker.log  asan.* (reports of sanitizers)

# broker_pid DIR: its pid if it runs
broker_pid() {
    local pid
    [ -f "$1/broker.pid" ] && pid=$(<"$1/broker.pid") && pid_runs "$pid" runnerhubd "$1/etc/runnerhub.yaml" &&
        ! pid_gone "$pid" && echo "$pid"
}

# In the child that becomes the broker: nothing of ours is open, nothing of our environment is seen.
broker_exec() {
    local dir=$1
    close_fds
    cd /
    exec env -i --default-signal=INT,QUIT PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        NOTIFY_SOCKET="$dir/notify" ${RUNNERHUB_WEAKEN:+RUNNERHUB_WEAKEN="$RUNNERHUB_WEAKEN"} \
        ASAN_OPTIONS="log_path=$dir/asan:detect_stack_use_after_return=1:strict_string_checks=1${RUNNERHUB_ASAN:+:$RUNNERHUB_ASAN}" \
        UBSAN_OPTIONS="log_path=$dir/asan:halt_on_error=1:print_stacktrace=1" \
        setsid "$dir/bin/runnerhubd" --config "$dir/etc/runnerhub.yaml" \
        </dev/null >>"$dir/broker.log" 2>&1
}

# broker_start DIR: returns when the broker says that it is ready; 1 and the log's end if it does not
broker_start() {
    local dir=$1 seconds=${RUNNERHUB_START_SECONDS:-90} waiter listening
    rm -f "$dir"/broker.{pid,down} "$dir/notify"
    coproc WAITER {
        exec python3 -I -S "$RH_TOP/scripts/lib/notify_wait.py" "$dir/notify" "$seconds" "$dir/broker.pid"
    }
    waiter=$WAITER_PID
    read -r listening <&"${WAITER[0]}" || :
    [ "$listening" = listening ] || die "cannot listen at $dir/notify"
    (broker_exec "$dir") &
    echo $! >"$dir/broker.pid.new"
    mv "$dir/broker.pid.new" "$dir/broker.pid"
    disown
    wait "$waiter" && return 0
    if broker_pid "$dir" >/dev/null; then
        say "the broker did not become ready within $seconds s; the end of its log:"
    else
        say "the broker did not start; the end of its log:"
    fi
    tail -n 20 "$dir/broker.log" >&2
    return 1
}

# broker_stop and broker_kill leave broker.down, so that nobody wonders later why it is not there.
#
# broker_stop DIR SECONDS: 1 if it had to be killed
broker_stop() {
    local pid
    pid=$(broker_pid "$1") || return 0
    touch "$1/broker.down"
    kill -TERM "$pid" 2>/dev/null || return 0
    wait_until "$2" pid_gone "$pid" && return 0
    say "the broker did not end within $2 s of SIGTERM and is killed"
    broker_kill "$1"
    return 1
}

broker_kill() {
    local pid
    pid=$(broker_pid "$1") || return 0
    touch "$1/broker.down"
    kill -KILL "$pid" 2>/dev/null || return 0
    wait_until 10 pid_gone "$pid"
}
