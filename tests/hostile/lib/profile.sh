# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What an attack's config() may print the broker's configuration with.

# only_profile NAME LINE…: a configuration with one profile, NAME, and these lines in it
only_profile() {
    printf 'timeouts:\n  drain: 5s\ndefault_profile: %s\nprofiles:\n  %s:\n    image: runnerhub-debian\n' "$1" "$1"
    shift
    printf '    %s\n' "$@"
}

# profile LINE…: debian, with these further lines
profile() {
    only_profile debian 'warm: 1' "$@"
}

# small_profile LINE…: small, whose limits are soon reached; its disk limit is among the further lines
small_profile() {
    only_profile small 'warm: 2' 'memory: 256M' 'pids: 100' 'files: 20000' 'output: 32M' 'nofile: 4096' "$@"
}
