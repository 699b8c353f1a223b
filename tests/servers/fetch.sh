#!/usr/bin/env bash
# Fetches the real servers that the tests start: Prometheus with promtool, Pushgateway, VictoriaMetrics and
# node_exporter, each as an old release (stock/) and as a recent one (new/). They are Debian packages, only unpacked:
# nothing is installed, no root is needed, and the mirror is the one that this machine's apt already uses.
#
#   tests/servers/fetch.sh [FOLDER]      (default: target/test-servers)
set -euo pipefail

readonly stock_suite=bookworm # Prometheus 2.42, which knows remote write 1.0 only
readonly new_suite=forky      # Prometheus 3.5 or later, with remote write 2.0; it moves, so no version is pinned
readonly packages=(prometheus prometheus-node-exporter prometheus-pushgateway victoria-metrics) # promtool has its own package from forky on
readonly programs=(prometheus promtool prometheus-node-exporter prometheus-pushgateway victoria-metrics)

# shellcheck source=tests/debian.sh
source "$(dirname "$(realpath "$0")")/../debian.sh"
fail() {
  echo "test servers: $*" >&2
  exit 1
}

root=${1:-target/test-servers}
script=$(realpath "$0")
mkdir -p "$root" || fail "$root cannot be created; make it writable or name another folder as the first argument"
root=$(realpath "$root")

for tool in apt-get dpkg flock; do
  command -v "$tool" >/dev/null ||
    fail "$tool is missing; run this on Debian or in a Debian container, or put the servers into $root/stock/usr/bin and $root/new/usr/bin"
done

# Two runs at once would unpack over each other.
exec 9>"$root/.lock"
flock 9

stamp="$(cat "$script" "$(dirname "$script")/../debian.sh" | cksum) $(dpkg --print-architecture)"
ready() { [[ -f $root/$1/.stamp && $(<"$root/$1/.stamp") == "$stamp" ]]; }
if ready stock && ready new; then
  exit 0
fi

apt_root=$root/.apt
rm -rf "$apt_root"
trap 'rm -rf "$apt_root"' EXIT

fetch() {
  local suite=$1 folder=$root/$2 home=$apt_root/$1 log=$root/fetch.log
  ! ready "$2" || return 0
  shift 2
  download "$suite" "$log" "$@" ||
    fail "the packages of $suite could not be fetched ($(apt_error "$log")); check the network and the mirror in apt's sources, then run make test-servers again (everything apt said: $log)"

  local unpacked=$home/unpacked deb program
  for deb in "$home"/debs/*.deb; do
    dpkg -x "$deb" "$unpacked" || fail "$(basename "$deb") cannot be unpacked; run make test-servers again"
    dpkg-deb --show --showformat '${Package} ${Version}\n' "$deb" >>"$home/versions"
  done
  for program in "${programs[@]}"; do
    "$unpacked/usr/bin/$program" --version >"$log" 2>&1 ||
      fail "$program of $suite does not start on this machine ($(tail -n1 "$log")); use a machine with the C library of $stock_suite or later"
  done
  rm -rf "$folder" "$log"
  mv "$home/versions" "$unpacked/versions"
  echo "$stamp" >"$unpacked/.stamp"
  mv "$unpacked" "$folder"
  echo "test servers: $suite in $folder: $(paste -sd, "$folder/versions" | sed 's/,/, /g')"
}

fetch "$stock_suite" stock "${packages[@]}"
fetch "$new_suite" new "${packages[@]}" promtool
