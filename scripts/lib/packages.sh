# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Debian packages: what building, running and testing need; installed only where missing.

# shellcheck disable=SC2034 # read by the scripts that source this

# To build RunnerHub and run an instance of it. docker.io is added where there is no dockerd.
PACKAGES_RUN=(
    bash build-essential busybox-static ca-certificates check curl debootstrap file git iproute2 iptables
    libcurl4-openssl-dev libjson-c-dev libsqlite3-dev libuv1-dev libyaml-dev linux-libc-dev meson
    musl musl-tools nftables ninja-build pkgconf procps python3 scdoc tar util-linux zstd
)

# To check the sources and test the builds.
# python: what a step of that shell is looked up as on the host.
PACKAGES_TEST=(clang clang-format clang-tidy cppcheck libclang-rt-14-dev python-is-python3 shellcheck valgrind)

# packages_missing NAME…: those that are not installed, one a line
packages_missing() {
    local name state
    local -A there=()
    while read -r name state; do
        [ "$state" != installed ] || there[$name]=1
    done < <(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null)
    for name in "$@"; do
        [ -n "${there[$name]:-}" ] || echo "$name"
    done
}

apt_quiet() {
    local log=$RH_CACHE/apt.log
    mkdir -p "$RH_CACHE"
    if ! DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
        -yq "$@" >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        return 1
    fi
}

# need_packages NAME…: installs those that are missing; the package lists are fetched once if the
# ones that are there do not do.
need_packages() {
    local missing=()
    mapfile -t missing < <(packages_missing "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    have apt-get || die "these Debian packages are missing and there is no apt-get: ${missing[*]}"
    need_root
    say "installing ${missing[*]}"
    apt_quiet install --no-install-recommends "${missing[@]}" 2>/dev/null && return 0
    apt_quiet update || die "apt-get update failed; is Debian's package mirror reachable?"
    apt_quiet install --no-install-recommends "${missing[@]}" ||
        die "apt-get could not install: ${missing[*]}"
}
