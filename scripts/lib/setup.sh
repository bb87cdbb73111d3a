# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The set-up that demo, test, bench and with-runnerhub share: packages, engine, node, images. Each
# part looks first and does only what is missing, so that it costs half a second when all is there.

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/lib/packages.sh
. "$RH_TOP/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/engine.sh
. "$RH_TOP/scripts/lib/engine.sh"
# shellcheck source=scripts/lib/node.sh
. "$RH_TOP/scripts/lib/node.sh"
# shellcheck source=scripts/lib/images.sh
. "$RH_TOP/scripts/lib/images.sh"

# Once for a script and all that it starts: they find it in RH_SET_UP, and the engine as it was found.
setup_all() {
    need_root
    [ "${RH_SET_UP:-}" != "$RH_CACHE ${RH_ENGINE_SOCKET:-}" ] || return 0
    with_lock packages need_packages "${PACKAGES_RUN[@]}"
    engine_ready
    node_ready
    images_ready
    export RH_SET_UP="$RH_CACHE $RH_ENGINE_SOCKET"
}
