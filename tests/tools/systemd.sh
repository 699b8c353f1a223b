#!/usr/bin/env bash
# Makes sure of systemd and systemd-analyze, which try the units. They cannot be unpacked beside the system, so root
# installs them; they are not started here.
#
#   tests/tools/systemd.sh [FOLDER]      (FOLDER is not used)
set -euo pipefail

readonly programs=(/usr/lib/systemd/systemd systemd-analyze systemctl journalctl deb-systemd-helper setpriv unshare nsenter)

missing() {
  local program
  for program in "${programs[@]}"; do command -v "$program" >/dev/null || echo "$program"; done
}

[[ -n $(missing) ]] || exit 0
if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  { apt-get -qq update && apt-get -qq install -y --no-install-recommends systemd init-system-helpers util-linux; } >/dev/null || true
fi
[[ -z $(missing) ]] || {
  echo "test tools: systemd: these are missing: $(missing | tr '\n' ' '); install systemd, init-system-helpers and util-linux (Debian: apt-get install)" >&2
  exit 1
}
