#!/usr/bin/env bash
# Installs what `make build` made onto this machine, as root. Doing so again updates it; the register is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { echo "install.sh: run it as root" >&2; exit 1; }
[ -x target/release/plategate ] || { echo "install.sh: run 'make build' first" >&2; exit 1; }

getent group gpio >/dev/null || groupadd --system gpio
getent passwd plategate >/dev/null || useradd --system --home-dir /var/lib/plategate --shell /usr/sbin/nologin plategate
install -D -m 755 target/release/plategate /usr/bin/plategate
install -d -m 755 /usr/lib/plategate/models
install -m 644 models/*.onnx /usr/lib/plategate/models/
install -m 644 .cache/onnxruntime/*/libonnxruntime.so.* /usr/lib/plategate/
[ -e /etc/plategate.toml ] || install -m 640 -g plategate deploy/plategate.example.toml /etc/plategate.toml
install -m 644 deploy/99-plategate.rules /etc/udev/rules.d/
install -m 644 deploy/plategate.service /etc/systemd/system/
if [ -d /run/systemd/system ]; then
    udevadm control --reload && udevadm trigger --subsystem-match=gpio --subsystem-match=watchdog --subsystem-match=misc || true
    systemctl daemon-reload
fi
echo "Set the camera and the relay in /etc/plategate.toml, try 'plategate doctor', then: systemctl enable --now plategate"
