# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # "stage" is set by scripts/test
#
# The stages of scripts/test. Each is a function stage_NAME that prints to its log and fails by its
# exit status; what it counts beyond itself it hands to `counted PASSED FAILED`.

# shellcheck disable=SC2034 # read by scripts/test
STAGES_QUICK=(style model shell python release unit)
# shellcheck disable=SC2034
STAGES_LONG=(clang tidy cppcheck sanitize valgrind integration acceptance hostile faults bench)

# repo_files PATTERN…: tracked and new files of the checkout, without ignored ones
repo_files() {
    git -c safe.directory='*' -C "$RH_TOP" ls-files --cached --others --exclude-standard -- "$@" |
        while read -r f; do [ ! -e "$RH_TOP/$f" ] || echo "$f"; done
}

# Scripts are found by their first line.
shell_files() {
    repo_files '*.sh'
    repo_files | grep -vE '\.[^/]*$' | LC_ALL=C xargs awk '/^#!.*[\/ ](ba)?sh$/ { print FILENAME } { nextfile }'
}

# too_long LINES PATTERN…: names the files that are longer
too_long() {
    local max=$1
    shift
    repo_files "$@" | xargs wc -l |
        awk -v max="$max" '$1 > max && $2 != "total" { print $2 ": more than " max " lines"; bad = 1 } END { exit bad }'
}

stage_style() {
    local bad=0
    repo_files '*.c' '*.h' | xargs clang-format --dry-run -Werror
    repo_files '*.c' '*.h' '*.sh' '*.py' 'scripts/*' | grep -v '\.md$' | xargs awk '
        FNR <= 3 && /SPDX-License-Identifier: Apache-2.0/ { good[FILENAME] }
        FNR == 3 { nextfile }
        END { for (i = 1; i < ARGC; i++) if (!(ARGV[i] in good)) { print ARGV[i] ": no licence line"; bad = 1 } exit bad }' ||
        bad=1
    too_long 400 'hook/*.[ch]' 'broker/*.[ch]' 'include/*.[ch]' || bad=1
    # The tests of one module stay in one file.
    too_long 600 'tests/*.[ch]' || bad=1
    git -c safe.directory='*' -C "$RH_TOP" grep -nIE '\b(TODO|FIXME|XXX)\b' -- . \
        ':!scripts/lib/stages.sh' && bad=1
    return "$bad"
}

# Every attack has its row, and every row its attack.
# shellcheck disable=SC2016 # backticks of the table
stage_model() {
    local model=$RH_TOP/docs/threat-model.md
    diff <("$RH_TOP/tests/hostile/run" --list | awk '{ print $1 }' | sort) \
        <(sed -nE 's/^\|.*\| `([a-z]+\/[a-z0-9-]+)` \|$/\1/p' "$model" | sort)
}

# Attacks have variables that the harness sets, and text that a workflow's shell expands.
stage_shell() {
    shell_files | xargs shellcheck -x
    repo_files 'tests/hostile/*/*' | xargs shellcheck -x -e SC2154,SC2016,SC2034
}

stage_python() {
    repo_files '*.py' | python3 -W error -c '
import sys
for name in sys.stdin.read().split("\n"):
    if name:
        compile(open(name, encoding="utf-8").read(), name, "exec")'
}

stage_release() {
    build release
}

stage_clang() {
    build clang
}

# meson_tests KIND [meson test arguments…]: runs and counts; a skipped test is a failed one
meson_tests() {
    local dir=$RH_BUILD/$1 rc=0 n
    shift
    mkdir -p "$dir/meson-logs"
    rm -f "$dir/meson-logs/$stage"*
    # Half of their time is waiting.
    meson test -C "$dir" --no-rebuild --print-errorlogs --num-processes "$((2 * $(nproc)))" \
        --timeout-multiplier 4 --logbase "$stage" "$@" || rc=$?
    n=$(python3 "$RH_TOP/scripts/lib/count_tests.py" "$dir/meson-logs/$stage"*.json)
    # shellcheck disable=SC2086 # two numbers
    counted $n
    return "$rc"
}

stage_unit() {
    CK_TIMEOUT_MULTIPLIER=4 meson_tests release
}

stage_sanitize() {
    build sanitize
    CK_TIMEOUT_MULTIPLIER=4 ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 \
        UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 meson_tests sanitize --suite unit --suite fuzz
}

stage_thread() {
    build thread
    CK_TIMEOUT_MULTIPLIER=4 TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 \
        meson_tests thread --suite unit
}

# What valgrind can follow: the others make system calls that Debian's does not know (pidfd_open,
# openat2, mount_setattr), hold times, or try programs of their own. Sanitizers run them all.
VALGRIND_TESTS=(agent-cgroup agent-env agent-filecmd agent-lease agent-lookup agent-loop agent-report
    agent-users block call cli config config-memory docker docker_follow fd hook-conf hook-env
    hook-preload-facts hook-preload-policy mount-idmap mount-plan peer pool request store store-file
    wire worker-expr worker-parts)

stage_valgrind() {
    CK_TIMEOUT_MULTIPLIER=10 meson_tests release --timeout-multiplier 10 --num-processes "$(nproc)" --wrapper \
        "valgrind -q --leak-check=full --show-leak-kinds=definite,indirect \
        --errors-for-leak-kinds=definite,indirect --error-exitcode=99 --trace-children=no" \
        "${VALGRIND_TESTS[@]/#/unit-}"
}

# The database names a file once for each program that it is compiled into; once is enough.
tidy_database() {
    mkdir -p "$RH_BUILD/clang/tidy"
    python3 -c '
import json, sys
commands = {c["file"]: c for c in json.load(open(sys.argv[1]))}
json.dump(list(commands.values()), open(sys.argv[2], "w"))' \
        "$RH_BUILD/clang/compile_commands.json" "$RH_BUILD/clang/tidy/compile_commands.json"
}

# Unit tests are spared the analyzer, which takes most of the time.
stage_tidy() {
    local run=(run-clang-tidy -quiet -p "$RH_BUILD/clang/tidy" -j "$(nproc)") rc=0
    build clang
    tidy_database
    "${run[@]}" "^$RH_TOP/(include|hook|broker|tests/worker|tests/fuzz|tests/bench)/.*" || rc=1
    "${run[@]}" -checks='-clang-analyzer-*' "^$RH_TOP/tests/unit/.*" || rc=1
    return "$rc"
}

# cppcheck does not know the cleanup attribute, so what it calls a leak often is none; sanitizers and
# valgrind look for leaks. alloca is what a function of variable arguments has in a vfork child, where
# nothing may be allocated. Unit tests are left out: it takes Check's assertions for calls that return.
stage_cppcheck() {
    repo_files 'include/*.c' 'hook/*.c' 'broker/*.c' 'tests/worker/*.c' 'tests/fuzz/*.c' |
        cppcheck --quiet --std=c11 --language=c -j "$(nproc)" --inline-suppr \
            --enable=warning,performance,portability --error-exitcode=1 -D_GNU_SOURCE \
            "-D__$(uname -m)__" --suppress=missingIncludeSystem --suppress=memleak \
            --suppress=resourceLeak --suppress=allocaCalled \
            -I "$RH_TOP" -I "$RH_TOP/include" --file-list=-
}

# Each target for a few seconds beyond its seeds, which the unit tests replay.
stage_fuzz() {
    "$RH_TOP/scripts/fuzz" 5
    counted "$("$RH_TOP/scripts/fuzz" --list | wc -l)" 0
}

# real_tests KIND DIRECTORY [OPTION…]: tests against a real engine, with the programs of a build
real_tests() {
    local kind=$1 directory=$2 rc=0 json=$RH_BUILD/logs/$stage.json
    shift 2
    setup_all
    build "$kind"
    python3 "$RH_TOP/tests/integration/run.py" --build "$RH_BUILD/$kind" --json "$json" \
        "$@" "$RH_TOP/$directory" || rc=$?
    # shellcheck disable=SC2046 # two numbers
    counted $(python3 "$RH_TOP/scripts/lib/count_tests.py" "$json")
    return "$rc"
}

stage_integration() {
    # They mostly wait.
    real_tests sanitize tests/integration --jobs 3
}

stage_acceptance() {
    real_tests release tests/integration/acceptance --jobs 2
}

# hostile_iptables: the kind that is not nftables within, if this kernel has it
hostile_iptables() {
    if iptables-legacy-save -t filter >/dev/null 2>&1; then
        echo iptables-legacy
    else
        echo iptables
    fi
}

# Each attack twice: against what is shipped, where it gets nowhere, and with its defence off, where it
# works; those on the network also with the other firewall. The weak build has no need of unit tests.
stage_hostile() {
    local rc=0 json=$RH_BUILD/logs/$stage.json targets
    setup_all
    build release
    mapfile -t targets < <(ninja -C "$RH_BUILD/release" -t targets all | sed -nE \
        's,^((hook|broker|tests/worker)/[^:]*(runnerhub[a-z-]*|\.so|run-workflow|Runner\.[A-Z][a-z]*)): .*,\1,p')
    build weak "${targets[@]}"
    "$RH_TOP/tests/hostile/check-release" "$RH_BUILD/release" "$RH_BUILD/weak" || rc=1
    "$RH_TOP/tests/hostile/run" --build "$RH_BUILD/release" --json "$json" || rc=1
    "$RH_TOP/tests/hostile/run" --firewall "$(hostile_iptables)" --build "$RH_BUILD/release" --json "$json.iptables" || rc=1
    "$RH_TOP/tests/hostile/run" --weak --build "$RH_BUILD/weak" --json "$json.weak" || rc=1
    # shellcheck disable=SC2046 # two numbers
    counted $(python3 "$RH_TOP/scripts/lib/count_tests.py" "$json" "$json.iptables" "$json.weak")
    return "$rc"
}

# The matrix of faults and a short soak, with the release build.
stage_faults() {
    local json=$RH_BUILD/logs/$stage.json rc=0
    setup_all
    build release
    "$RH_TOP/tests/faults/run" --build "$RH_BUILD/release" --json "$json" --jobs 5 || rc=1
    "$RH_TOP/scripts/soak" --build "$RH_BUILD/release" --seconds 20 --runners 24 || rc=1
    # shellcheck disable=SC2046 # two numbers
    counted $(python3 "$RH_TOP/scripts/lib/count_tests.py" "$json")
    return "$rc"
}

stage_bench() {
    "$RH_TOP/scripts/bench" --quick --json "$RH_BUILD/logs/bench.json"
}
