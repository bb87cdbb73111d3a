# SPDX-License-Identifier: Apache-2.0
"""Two jobs at once, other images, leftovers, and what runnerhub says of it all."""

import json
import os
import shutil

import hub
from flow import RigCase, flow, lines_of, run

BESIDE = flow(
    run("serve", """
echo "$MARK" > "$RUNNER_TEMP/mine"; echo "$MARK" > mine; echo "$MARK" > /tmp/mine
exec -a "process-$MARK" sleep 60 > /dev/null 2>&1 &
python3 -m http.server 8123 > /dev/null 2>&1 &
echo "address=$(hostname -i)"; echo "host=$(hostname)"
"""),
    run("look", """
for i in $(seq 30); do [ "$(cat /tmp/mine)" = "$MARK" ] && sleep 0.1; done
echo "mine=$(cat mine)$(cat "$RUNNER_TEMP/mine")$(cat /tmp/mine)"
echo "processes=$(ps -eo args | grep -c '^process-')"
me=$(hostname -i); net=${me%.*}
for i in $(seq 2 40); do
  if [ "$net.$i" != "$me" ] && timeout 1 bash -c "exec 3<> /dev/tcp/$net.$i/8123" 2> /dev/null; then echo "reached=$net.$i"; fi &
done; wait $(jobs -p | tail -n 39)
timeout 5 bash -c "exec 3<> /dev/tcp/$me/8123" && echo "self=reached"
"""), env={"MARK": "@"})
