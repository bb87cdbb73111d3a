# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A node for runner directories: <cache>/node/bin/node, made once from Debian's (or whichever) nodejs
# package. A job's container runs it, so it must need nothing but glibc and libstdc++ there: the
# libraries that Debian links it to are put beside it, and its run path says so. Debian's reads some
# of its own modules from /usr/share/nodejs; <cache>/node/modules lists them for the images.

NODE_DIR=$RH_CACHE/node

# What every glibc image with libstdc++6 has.
node_system_library() {
    case ${1##*/} in
        ld-linux*.so.* | libc.so.6 | libm.so.6 | libdl.so.2 | libpthread.so.0 | librt.so.1) return 0 ;;
        libstdc++.so.6 | libgcc_s.so.1) return 0 ;;
    esac
    return 1
}

# node_libraries FILE: the libraries beyond the system's that the loader finds for it
node_libraries() {
    local path
    ldd "$1" | awk '/=> \// {print $3}' | while read -r path; do
        node_system_library "$path" || echo "$path"
    done
}

node_make() {
    local source work library
    source=$(readlink -f "$(command -v node)")
    work=$(mktemp -d "$RH_CACHE/node.XXXXXX")
    chmod 755 "$work"
    mkdir "$work/bin" "$work/lib"
    cp "$source" "$work/bin/node"
    for library in $(node_libraries "$source"); do
        cp -L "$library" "$work/lib/${library##*/}"
    done
    if [ -n "$(ls "$work/lib")" ]; then
        need_packages patchelf
        # RPATH, not RUNPATH: it counts for the libraries' own libraries too.
        patchelf --force-rpath --set-rpath "\$ORIGIN/../lib" "$work/bin/node"
        for library in "$work"/lib/*; do
            patchelf --force-rpath --set-rpath "\$ORIGIN" "$library"
        done
    fi
    cat "$work"/bin/node "$work"/lib/* 2>/dev/null |
        { grep -aoE '/usr/share/nodejs/[A-Za-z0-9@_./-]+\.js' || :; } | sort -u >"$work/modules"
    "$work/bin/node" -e 'process.exit(process.version ? 0 : 1)' || return 1
    mv -T "$work" "$NODE_DIR"
}

node_ready_locked() {
    [ -f "$NODE_DIR/modules" ] && return 0
    rm -rf "$RH_CACHE"/node "$RH_CACHE"/node.*
    have node || need_packages nodejs
    say "making a node that runs in containers"
    node_make || die "the node made from $(command -v node) does not run"
}

node_ready() {
    mkdir -p "$RH_CACHE"
    with_lock node node_ready_locked
}
