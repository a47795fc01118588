# SPDX-License-Identifier: MIT
# What the servers' scripts share: sourced. $folder is the server's own; as root it runs as an unprivileged user.

# need TOOL TOOL PACKAGE: both are there, or the script ends.
need() {
    for tool in "$1" "$2"; do
        command -v "$tool" >/dev/null || { echo "$tool is missing: install the Debian package $3" >&2; exit 1; }
    done
}

# be USER: who runs the server, where this is root and there is such a user.
be() {
    user=$(id -un)
    if [ "$(id -u)" -eq 0 ]; then
        user=nobody
        id "$1" >/dev/null 2>&1 && user=$1
    fi
}

unprivileged() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && exec setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups "$@")
    else
        "$@"
    fi
}

# The data folder, which is that user's.
make_folder() {
    chmod 755 "$folder"
    mkdir -p "$data" && chmod 700 "$data" && { [ "$(id -u)" -ne 0 ] || chown "$user" "$data"; } || exit 1
}
