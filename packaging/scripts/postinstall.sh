#!/bin/sh
# After the installation of a package: systemd reads the unit. Nothing is started,
# but a server that runs is started anew, as the new version.
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
    systemctl try-restart spoked.service || true
fi
