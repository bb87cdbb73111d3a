# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The rules of a broker's network, which stay in force without it: nftables' tables and iptables'
# chains, as broker/daemon/network makes them.

# firewall_base NAME: what the chains of iptables are called after (rh_xtables_base: names that are
# too long are cut, and told apart by FNV-1a)
firewall_base() {
    local name=$1 hash=$((16#cbf29ce484222325)) i
    if [ ${#name} -le 16 ]; then
        echo "$name"
        return
    fi
    for ((i = 0; i < ${#name}; i++)); do
        hash=$(((hash ^ $(printf '%d' "'${name:i:1}")) * 16#100000001b3))
    done
    hash=$(((hash ^ 10) * 16#100000001b3))
    printf '%s-%08x\n' "${name:0:7}" "$(((hash ^ (hash >> 32)) & 16#ffffffff))"
}

# firewall_chains PROGRAM BASE: the text that makes PROGRAM-restore take away all of BASE's, or nothing
firewall_chains() {
    "$1-save" -t filter 2>/dev/null | awk -v base="$2-" '
        function own(chain) {
            return index(chain, base) == 1 &&
                substr(chain, length(base) + 1) ~ /^(fwd|in|src|no|bad|[crs][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f])$/
        }
        /^:/ && own(substr($1, 2)) { empty = empty $1 " - [0:0]\n"; gone = gone "-X " substr($1, 2) "\n" }
        /^-A/ && NF == 4 && $3 == "-j" && own($4) && !own($2) { jumps = jumps "-D " $2 " -j " $4 "\n" }
        END { if (empty != "") printf "*filter\n%s%s%sCOMMIT\n", empty, jumps, gone }'
}

# firewall_remove NAME
firewall_remove() {
    local name=$1 family program base text
    for family in bridge inet; do
        nft delete table "$family" "$name" 2>/dev/null || : # there is none
    done
    base=$(firewall_base "$name")
    for program in iptables ip6tables iptables-legacy ip6tables-legacy; do
        # Looking at a table of the older kind would make it.
        case $program in
            *-legacy) grep -qs filter "/proc/net/${program/tables-legacy/_tables_names}" || continue ;;
        esac
        have "$program-save" "$program-restore" || continue
        text=$(firewall_chains "$program" "$base")
        [ -z "$text" ] || "$program-restore" -w 5 --noflush <<<"$text" || say "rules of $program are left: $base-…"
    done
}
