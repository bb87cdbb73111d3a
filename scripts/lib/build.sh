# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Builds, each in a directory of its own below RH_BUILD:
#
#   release    what is shipped: -O2, hardened
#   clang      the same by clang; its compile_commands.json serves clang-tidy
#   sanitize   daemons, CLI and unit tests with AddressSanitizer and UBSan
#   thread     the same with ThreadSanitizer
#   fuzz       libFuzzer targets, by clang
#   weak       the release build with switches that turn defences off (tests/hostile)
#
# Warnings are errors in all of them.

# Instrumented code hides from gcc how long a text can be: its warnings of truncation are then wrong.
build_options() {
    case $1 in
        release | clang) ;;
        weak) echo "-Dweaken=true" ;;
        sanitize) echo "-Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 -Dc_args=-Wno-format-truncation" ;;
        thread) echo "-Db_sanitize=thread -Db_lundef=false -Doptimization=1 -Dc_args=-Wno-format-truncation" ;;
        fuzz) echo "-Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 -Dfuzz=true" ;;
        *) die "no such build: $1" ;;
    esac
}

# build KIND [TARGET…]: configured if need be, compiled if need be; output on stdout
build() {
    local kind=$1 dir=$RH_BUILD/$1 compiler=gcc options
    shift
    case $kind in clang | fuzz) compiler=clang ;; esac
    read -r -a options <<<"$(build_options "$kind")"
    if [ ! -f "$dir/build.ninja" ]; then
        # What a killed set-up left is of no use.
        rm -rf "$dir"
        mkdir -p "$RH_BUILD"
        CC=$compiler meson setup "$dir" "$RH_TOP" --prefix=/usr/local -Dwerror=true "${options[@]}" || {
            rm -f "$dir/build.ninja"
            return 1
        }
    fi
    nice ninja -k 0 -C "$dir" "$@"
}

# build_quietly KIND: says nothing unless it takes work or fails
build_quietly() {
    local log=$RH_BUILD/logs/build-$1.log
    mkdir -p "$RH_BUILD/logs"
    [ -f "$RH_BUILD/$1/build.ninja" ] || say "building ($1; log: $log)"
    with_lock "build-$1" build "$1" >"$log" 2>&1 || {
        tail -n 30 "$log" >&2
        die "the build failed; all of it is in $log"
    }
}
