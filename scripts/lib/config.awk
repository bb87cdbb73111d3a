# SPDX-License-Identifier: Apache-2.0
#
# A configuration file for a private instance: what says where things are is replaced, the rest
# stays, line for line, so that messages name the lines of the file that was given.
# Variables: dir (the instance's directory), socket (the engine's), network (the isolated one's name),
# firewall (what its rules are put into force with; may be empty), warm (how many containers each
# profile keeps; may be empty). The file is read twice.

BEGIN {
    inner = "name: '" network "'" (firewall == "" ? "" : ", firewall: '" firewall "'")
    lines = "network:\n  name: '" network "'" (firewall == "" ? "" : "\n  firewall: '" firewall "'")
}

FNR == NR {
    if (/^docker:/)
        in_docker = 1
    else if (/^[^ #\t]/)
        in_docker = 0
    if (in_docker && /(^[ \t]+|[{,][ \t]*)socket:/)
        has_socket = 1
    if (/^docker:/)
        has_docker = 1
    if (/^network:/)
        has_network = 1
    if (/^group:/)
        has_group = 1
    next
}

/^(runtime_dir|state_dir|libexec_dir|runners_dir):/ {
    print "# of the private instance: " $0
    next
}

/^docker:/ && !has_socket {
    if (/\{/)
        sub(/\{/, "{socket: '" socket "', ")
    else
        $0 = "docker:\n  socket: '" socket "'"
}

/^network:/ {
    if (/\{/)
        sub(/\{/, "{" inner ", ")
    else
        $0 = lines
}

warm != "" && /^[ \t]+warm:/ {
    sub(/[0-9]+/, warm)
}

{ print }

END {
    print "runtime_dir: '" dir "/run'"
    print "state_dir: '" dir "/state'"
    print "libexec_dir: '" dir "/libexec'"
    print "runners_dir: '" dir "/etc/runners.d'"
    if (!has_group)
        print "group: ''"
    if (!has_network)
        print lines
    if (!has_docker)
        print "docker:\n  socket: '" socket "'"
}
