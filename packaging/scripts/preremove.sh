#!/bin/sh
# Before a package is removed, and not before it is replaced by another version:
# dpkg says "remove" then, and rpm how many versions are left.
set -e
case "$1" in
remove | purge | 0)
    if [ -d /run/systemd/system ]; then
        systemctl disable --now spoked.service spoked.socket || true
    fi
    ;;
esac
