# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The images that tests, demo and bench use. Each is made once, kept as a tar file in the cache,
# and imported into the engine; a label with the recipe's hash says whether the engine's is current.
#
#   runnerhub-debian   Debian bookworm, minbase, and what jobs commonly need
#   runnerhub-busybox  a static busybox and its applets
#   runnerhub-musl     the same with musl's loader: what a program sees on Alpine
#   runnerhub-empty    nothing at all

IMAGES=(debian busybox musl empty)
IMAGE_DEBIAN_PACKAGES=(bash ca-certificates curl git gzip jq libstdc++6 perl procps python-is-python3
    python3 tar unzip xz-utils zip zstd)
IMAGE_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# What decides an image's content. A change of it makes a new one.
image_recipe() {
    case $1 in
        debian)
            declare -f image_tree_debian
            echo "${IMAGE_DEBIAN_PACKAGES[*]}"
            cat "$NODE_DIR/modules"
            ;;
        *) declare -f "image_tree_$1" image_tree_busybox && dpkg-query -W busybox-static musl ;;
    esac | sha256sum | cut -c 1-16
}

# apt's own mirror and proxy are used, so that what works for apt works here.
image_mirror() {
    local m
    # shellcheck disable=SC2016 # apt-get expands it, not the shell
    m=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' \
        'Component: main' 2>/dev/null | { grep -v security || :; } | head -n 1)
    echo "${m:-http://deb.debian.org/debian/}"
}

image_tree_debian() {
    local tree=$1 include http_proxy=${http_proxy:-}
    include=$(
        IFS=,
        echo "${IMAGE_DEBIAN_PACKAGES[*]}"
    )
    [ -n "$http_proxy" ] || eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
    http_proxy=$http_proxy debootstrap --variant=minbase --include="$include" bookworm "$tree" \
        "$(image_mirror)" >"$RH_CACHE/debootstrap.log" 2>&1 ||
        { tail -n 15 "$RH_CACHE/debootstrap.log" >&2 && return 1; }
    find "$tree"/{dev,var/log,var/cache/apt,var/lib/apt/lists,usr/share/{doc,man,locale}} \
        -mindepth 1 -delete
    xargs -r cp --parents -t "$tree" <"$NODE_DIR/modules"
}

image_tree_busybox() {
    local tree=$1 applet
    mkdir -p "$tree"/{bin,dev,etc,proc,root,sys,tmp,usr/bin,var/tmp}
    chmod 1777 "$tree"/tmp "$tree"/var/tmp
    cp /bin/busybox "$tree/bin/busybox"
    for applet in $(/bin/busybox --list); do
        [ "$applet" = busybox ] || ln -s busybox "$tree/bin/$applet"
    done
    ln -s ../../bin/env "$tree/usr/bin/env"
    echo 'root:x:0:0:root:/root:/bin/sh' >"$tree/etc/passwd"
    echo 'root:x:0:' >"$tree/etc/group"
}

image_tree_musl() {
    local tree=$1 loader
    image_tree_busybox "$tree"
    loader=$(echo /lib/ld-musl-*.so.1)
    mkdir -p "$tree/lib"
    cp -L "$loader" "$tree$loader"
}

image_tree_empty() {
    mkdir -p "$1"
}

# image_make NAME FILE: the tree as a tar file, which appears whole or not at all
image_make() {
    local name=$1 file=$2 work
    mkdir -p "$RH_CACHE/images"
    remove_tree "$RH_CACHE/images/work.$name"*
    rm -f "$RH_CACHE/images/$name"-*.tar
    work=$(mktemp -d "$RH_CACHE/images/work.$name.XXXXXX")
    chmod 755 "$work"
    say "making the image runnerhub-$name"
    if "image_tree_$name" "$work/tree" && tar -C "$work/tree" --numeric-owner -cf "$work/tar" .; then
        mv "$work/tar" "$file"
    fi
    remove_tree "$work"
    [ -f "$file" ]
}

image_current() {
    engine_api GET "/images/runnerhub-$1/json" 2>/dev/null |
        grep -F "\"runnerhub.recipe\":\"$2\"" >/dev/null
}

image_import() {
    local name=$1 recipe=$2 file=$3 query answer=""
    # The query is written out: spaces and "=" of the two changes are %20 and %3D.
    query="fromSrc=-&repo=runnerhub-$name&tag=latest"
    query+="&changes=LABEL%20runnerhub.recipe%3D$recipe&changes=ENV%20PATH%3D$IMAGE_PATH"
    if answer=$(engine_api POST "/images/create?$query" \
        -H 'Content-Type: application/x-tar' -H 'Expect:' -T "$file" 2>&1); then
        image_current "$name" "$recipe" && return 0
    fi
    die "the engine did not take the image runnerhub-$name: $answer"
}

image_ready() {
    local name=$1 recipe file
    recipe=$(image_recipe "$name")
    image_current "$name" "$recipe" && return 0
    file=$RH_CACHE/images/$name-$recipe.tar
    [ -f "$file" ] || image_make "$name" "$file" || die "could not make the image runnerhub-$name"
    image_import "$name" "$recipe" "$file"
}

images_make_all() {
    local name
    for name in "${IMAGES[@]}"; do
        image_ready "$name"
    done
}

images_ready() {
    with_lock images images_make_all
}
