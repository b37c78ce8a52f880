#!/bin/sh
# After the removal of a package. Jobs in /var/lib/spoked stay.
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi
