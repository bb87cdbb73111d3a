# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # the variables are set by tests/hostile/lib/one
#
# For attacks on the network: a world outside the host, listeners, neighbours. Nothing leaves the
# machine: the world is a network namespace behind a pair of interfaces of its own.
#
#   host     198.51.100.1   2001:db8:77::1
#   world    198.51.100.10 … .14   2001:db8:77::10   and, as clouds do, 169.254.169.254 and fd00:ec2::254

WORLD=rh-world WORLD_DIR=/run/rh-world

# The folder of this file, however the attack was started.
NETWORK_LIB=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=tests/hostile/lib/profile.sh
. "$NETWORK_LIB/profile.sh"

world_make() {
    local i
    ip netns add "$WORLD"
    ip link add rhw0 type veth peer name rhw1 netns "$WORLD"
    ip address add 198.51.100.1/24 dev rhw0
    ip -6 address add 2001:db8:77::1/64 dev rhw0 nodad
    ip link set rhw0 up
    for i in 10 11 12 13 14; do
        ip -n "$WORLD" address add "198.51.100.$i/24" dev rhw1
    done
    ip -n "$WORLD" address add 169.254.169.254/32 dev rhw1
    ip -n "$WORLD" -6 address add 2001:db8:77::10/64 dev rhw1 nodad
    ip -n "$WORLD" -6 address add fd00:ec2::254/128 dev rhw1 nodad
    ip -n "$WORLD" link set lo up
    ip -n "$WORLD" link set rhw1 up
    ip -n "$WORLD" route add default via 198.51.100.1
    ip -n "$WORLD" -6 route add default via 2001:db8:77::1
    ip route add 169.254.169.254/32 via 198.51.100.10 dev rhw0
    ip -6 route add fd00:ec2::254/128 via 2001:db8:77::10 dev rhw0
    cat /proc/sys/net/ipv6/conf/all/forwarding >"$WORLD_DIR/forwarding"
    echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
}

world_unmake() {
    ip netns delete "$WORLD" 2>/dev/null || :
    ip link delete rhw0 2>/dev/null || :
    if [ -e "$WORLD_DIR/forwarding" ]; then
        cat "$WORLD_DIR/forwarding" >/proc/sys/net/ipv6/conf/all/forwarding
    fi
    rm -f "$WORLD_DIR/forwarding"
}

# Users of the world that died without leaving it.
world_sweep() {
    local user
    for user in "$WORLD_DIR"/users/*; do
        [ ! -e "$user" ] || [ -e "/proc/${user##*/}" ] || rm -f "$user"
    done
}

# world: is there until the attack has ended; attacks share it
world() {
    mkdir -p "$WORLD_DIR/users"
    (
        flock 9
        world_sweep
        if [ -z "$(ls -A "$WORLD_DIR/users")" ]; then
            world_unmake
            world_make
        fi
        : >"$WORLD_DIR/users/$$"
    ) 9>"$WORLD_DIR/lock"
}

world_leave() {
    [ -e "$WORLD_DIR/users/$$" ] || return 0
    (
        flock 9
        rm -f "$WORLD_DIR/users/$$"
        world_sweep
        [ -n "$(ls -A "$WORLD_DIR/users")" ] || world_unmake
    ) 9>"$WORLD_DIR/lock"
}

# listen NAME NETNS tcp|udp|frames:INTERFACE ADDRESS [PORT]: sets port_NAME; what comes is in
# $box/NAME.heard. NETNS is host or world
listen() {
    local name=$1 netns=$2 kind=$3 address=$4 port=${5:-$((20000 + RANDOM % 10000))} i in=()
    [ "$netns" = host ] || in=(ip netns exec "$WORLD")
    : >"$box/$name.heard"
    "${in[@]}" python3 "$NETWORK_LIB/../listen.py" "$box/$name.heard" "$box/$name.pid" "$kind" "$address" "$port" \
        </dev/null >"$box/$name.said" 2>&1 &
    for ((i = 0; i < 100; i++)); do
        [ ! -e "$box/$name.pid" ] || break
        sleep 0.05
    done
    [ -e "$box/$name.pid" ] || void "no listener: $(cat "$box/$name.said")"
    printf -v "port_$name" '%s' "$port"
}

# world_address ADDRESS: one more of the world, for what no other attack may listen on at the same time
world_address() {
    ip -n "$WORLD" address add "$1/24" dev rhw1 2>/dev/null || :
}

# resolver NAME ADDRESS LINE…: of the world, and nobody else's; the lines are its zone (resolver.py).
# What it is asked is in $box/NAME.heard
resolver() {
    local name=$1 address=$2 i
    shift 2
    world_address "$address"
    printf '%s\n' "$@" >"$box/$name.zone"
    : >"$box/$name.heard"
    ip netns exec "$WORLD" python3 "$NETWORK_LIB/../resolver.py" "$box/$name.heard" "$box/$name.pid" "$address" \
        "$box/$name.zone" </dev/null >"$box/$name.said" 2>&1 &
    for ((i = 0; i < 200; i++)); do
        [ ! -e "$box/$name.pid" ] || break
        sleep 0.05
    done
    [ -e "$box/$name.pid" ] || void "no resolver: $(cat "$box/$name.said")"
}

# heard NAME [WORD]: the listener got that
heard() {
    grep -qaF -- "${2:-$canary}" "$box/$1.heard"
}

# recorded KIND TEXT: among the events of the runner's last job
recorded() {
    local id
    id=$(runnerhub --json jobs --limit 1 | grep -oE '"id": ?"[0-9a-f]{32}"' | head -n 1 | grep -oE '[0-9a-f]{32}')
    runnerhub jobs show "$id" >"$box/record"
    grep -F -- "$1" "$box/record" | grep -qF -- "$2" ||
        void "the record of job $id does not have $1 $2: $(grep -F network. "$box/record" | head -n 3)"
}

# network_after: for after()
network_after() {
    local file
    for file in "$box"/*.pid; do
        [ ! -e "$file" ] || kill "$(cat "$file")" 2>/dev/null || :
    done
    if [ -e "$box/neighbour.job" ]; then
        kill "$(cat "$box/neighbour.job")" 2>/dev/null || :
    fi
    world_leave
}

after() { network_after; }

# hub_containers: ids of the instance's own containers that run a job
hub_containers() {
    docker ps -q --no-trunc --filter "label=runnerhub.hub=${RUNNERHUB_STATE:-$RUNNERHUB_DIR/state}"
}

# neighbour_job PORT: a job on the other runner that listens; sets neighbour_address
neighbour_job() {
    local port=$1 i id
    cat >"$box/neighbour.yml" <<YAML
name: neighbour
on: push
jobs:
  neighbour:
    runs-on: self-hosted
    steps:
      - run: |
          python3 -c '
          import socket, sys
          server = socket.socket()
          server.bind(("0.0.0.0", $port))
          server.listen(8)
          server.settimeout(60)
          print("neighbour listens", flush=True)
          while True:
              client, peer = server.accept()
              client.send(b"$canary")
              client.close()
          '
YAML
    timeout 60 run-workflow "$box/neighbour.yml" --runner "$neighbour" --json "$box/neighbour.json" \
        >"$box/neighbour.log" 2>&1 </dev/null &
    echo $! >"$box/neighbour.job"
    for ((i = 0; i < 200; i++)); do
        for id in $(hub_containers); do
            if nsenter -t "$(docker inspect -f '{{.State.Pid}}' "$id")" -n ss -Hltn "sport = :$port" | grep -q .; then
                # shellcheck disable=SC2034 # for the attack
                neighbour_address=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$id")
                return 0
            fi
        done
        sleep 0.05
    done
    void "the neighbour does not listen: $(tail -n 5 "$box/neighbour.log")"
}

# hub_network FORMAT: of the instance's own network, which may be being made
hub_network() {
    local i
    for ((i = 0; i < 60; i++)); do
        docker network inspect -f "$1" "${RUNNERHUB_NETWORK:-runnerhub-${RUNNERHUB_DIR##*/}}" 2>/dev/null && return
        sleep 0.5
    done
    void "the instance has no network"
}

hub_bridge() {
    hub_network 'br-{{printf "%.12s" .Id}}'
}

hub_gateway() {
    hub_network '{{(index .IPAM.Config 0).Gateway}}'
}

# job TEXT…: a workflow with one step, which runs this
job() {
    printf 'name: attack\non: push\njobs:\n  attack:\n    runs-on: self-hosted\n    steps:\n      - run: |\n'
    printf '%s\n' "$@" | sed 's/^/          /'
}

# reach ADDRESS PORT: Python for a job that connects there, says what it got, and leaves the canary
reach() {
    cat <<PY
python3 -c '
import socket
try:
    s = socket.create_connection(("$1", $2), 3)
    s.send(b"GET /$canary HTTP/1.0\r\n\r\n")
    print("got", s.recv(200))
except OSError as e:
    print("refused", "$1", e)
'
PY
}
