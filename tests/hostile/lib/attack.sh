# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # the variables are set by tests/hostile/lib/one
#
# What the functions of an attack may use. Variables:
#
#   runner     root directory of the runner that the attack's workflow runs on
#   work temp  its _work and _work/_temp
#   neighbour  root directory of another runner on the same host
#   uid        user that the runner runs as
#   box        scratch directory of this attack on the host; the runner's user may write in it
#   canary     a random word
#   report     run-workflow's JSON
#   log        what run-workflow printed
#   options    array for before(): further arguments of run-workflow (--actions DIR …)
#
# A verdict is one of three: the attack got nowhere; it worked, with a line that says what it got; and a
# void one, when the attempt itself never ran. Only got() says the second: a command that fails in
# between proves nothing.

WORKED=4 VOID=3

# void TEXT…: ends the verdict; nothing is proven either way
void() {
    echo "$*"
    exit "$VOID"
}

# got TEXT…: ends the verdict; the attack worked
got() {
    echo "$*"
    exit "$WORKED"
}

# said LOG: without the lines in which the Worker shows a step's own text and environment
said() {
    grep -avF -e $'\e[36;1m' -e '##[group]Run ' -e '##[endgroup]' -- "$1" || :
}

# tried WORD [LOG]: the log holds WORD, printed by the attempt itself
tried() {
    said "${2:-$log}" | grep -qaF -- "$1" || void "the attempt did not run: no \"$1\" in the log"
}

# shows WORD [LOG]: the log holds WORD
shows() {
    said "${2:-$log}" | grep -qaF -- "$1"
}

fingerprint() {
    if [ -L "$1" ] || [ -e "$1" ]; then
        stat -c '%F %a %u %g %s' -- "$1"
        if [ -L "$1" ]; then readlink -- "$1"; fi
        if [ -f "$1" ]; then sha256sum <"$1"; fi
    else
        echo absent
    fi
}

# watch FILE…: for before(), what unchanged is to look at beyond $box and the runners' own files
watch() {
    local f
    for f in "$@"; do
        fingerprint "$f" >"$RH_WATCHED/${f//\//%}"
    done
}

# unchanged FILE…: as it was before the workflow ran
unchanged() {
    local f kept
    for f in "$@"; do
        kept=$RH_WATCHED/${f//\//%}
        [ -e "$kept" ] || void "$f was not looked at before"
        [ "$(fingerprint "$f")" = "$(cat "$kept")" ] || got "$f was changed: $(head -c 200 -- "$f" 2>&1 | head -n 1)"
    done
}

# absent FILE…: was not made
absent() {
    local f
    for f in "$@"; do
        if [ -L "$f" ] || [ -e "$f" ]; then
            got "$f was made"
        fi
    done
}

# nowhere WORD: in neither the log, nor what the Worker uploaded, nor the runner's work directory
nowhere() {
    local found
    found=$(said "$log" | grep -aF -m 1 -- "$1") && got "the log has it: $found"
    found=$(grep -aF -m 1 -- "$1" "$report") && got "it was uploaded: $found"
    found=$(grep -raFl -m 1 -- "$1" "$work" 2>/dev/null | head -n 1) && [ -n "$found" ] &&
        got "it is in $found"
    return 0
}

# step_outcome NAME: success, failure, skipped or cancelled; of the first step of that name
step_outcome() {
    awk -v name="$1" '
        /^ *"name": / { here = index($0, "\"name\": \"" name "\"") > 0 }
        here && /^ *"outcome": / { gsub(/^ *"outcome": "|",?$/, ""); print; exit }' "$report"
}

# run_flow NAME [ARGUMENT…]: runs the workflow on stdin on the same runner, a next job. Its log and
# report are $box/NAME.log and $box/NAME.json. Return: run-workflow's status
run_flow() {
    local name=$1
    shift
    cat >"$box/$name.yml"
    timeout 60 run-workflow "$box/$name.yml" --runner "$runner" --json "$box/$name.json" "$@" \
        >"$box/$name.log" 2>&1 </dev/null
}

# next_job_works: the runner still does a plain job
next_job_works() {
    run_flow next <<'YAML' || got "the next job ends with $?: $(said "$box/next.log" | grep -a '##\[error\]' || tail -n 3 "$box/next.log")"
name: next
on: push
jobs:
  next:
    runs-on: self-hosted
    steps:
      - run: |
          echo "still=$((40 + 2))" >> "$GITHUB_OUTPUT"
          echo x > "$RUNNER_TEMP/file"; echo x > file
        id: one
      - run: echo "next job ${{ steps.one.outputs.still }}"
YAML
    tried "next job 42" "$box/next.log"
}
