#!/usr/bin/env bash
# Fetches the real servers that the tests start: Prometheus with promtool, Pushgateway and VictoriaMetrics,
# each as an old release (stock/) and as a recent one (new/). They are Debian packages, only unpacked:
# nothing is installed, no root is needed, and the mirror is the one that this machine's apt already uses.
#
#   tests/servers/fetch.sh [FOLDER]      (default: target/test-servers)
set -euo pipefail

readonly stock_suite=bookworm # Prometheus 2.42, which knows remote write 1.0 only
readonly new_suite=forky      # Prometheus 3.5 or later, with remote write 2.0; it moves, so no version is pinned
readonly packages=(prometheus prometheus-pushgateway victoria-metrics) # promtool has its own package from forky on
readonly programs=(prometheus promtool prometheus-pushgateway victoria-metrics)
readonly attempts=4

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

stamp="$(cksum <"$script") $(dpkg --print-architecture)"
ready() { [[ -f $root/$1/.stamp && $(<"$root/$1/.stamp") == "$stamp" ]]; }
if ready stock && ready new; then
  exit 0
fi

apt_root=$root/.apt
rm -rf "$apt_root"
trap 'rm -rf "$apt_root"' EXIT

# The base addresses that apt itself uses for Debian's suites, Debian's own archive first: another
# vendor's repository may carry a suite of the same name.
mirrors() {
  local codename
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
  LC_ALL=C apt-get -o Debug::NoLocking=1 update --print-uris 2>/dev/null |
    sed -nE "s#^'(.*[^/])/+dists/($codename|stable|testing|sid|$stock_suite|$new_suite)/InRelease' .*#\1#p" |
    awk '{ kind = ($0 ~ /\/debian$/) ? 0 : 1; if (!seen[$0]++) print kind, $0 }' | sort -s -n -k1,1 | cut -d' ' -f2-
}

# apt with lists, state and cache of its own; the machine's proxy settings still apply.
private_apt() {
  local suite=$1 home=$apt_root/$1
  shift
  LC_ALL=C apt-get -qq \
    -o Dir::Etc::sourcelist="$home/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o Dir::State="$home/state" -o Dir::State::Lists="$home/lists" -o Dir::State::status="$home/status" \
    -o Dir::Cache="$home/cache" -o Dir::Cache::Archives="$home/archives" \
    -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)" \
    -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 \
    -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
    "$@"
}

# Leaves the files of the named packages in $apt_root/<suite>/debs.
download() {
  local suite=$1 mirror=$2 home=$apt_root/$1 options=""
  shift 2
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  [[ ! -r $keyring ]] || options="[signed-by=$keyring] "
  rm -rf "$home"
  mkdir -p "$home"/{state,lists/partial,cache,archives/partial,debs}
  : >"$home/status"
  echo "deb $options$mirror $suite main" >"$home/sources.list"
  private_apt "$suite" -o APT::Update::Error-Mode=any update &&
    (cd "$home/debs" && private_apt "$suite" download "$@")
}

fetch() {
  local suite=$1 folder=$root/$2 home=$apt_root/$1 attempt mirror fetched="" log=$root/fetch.log
  ! ready "$2" || return 0
  shift 2
  : >"$log"
  for ((attempt = 1; attempt <= attempts; attempt++)); do
    for mirror in "${mirror_list[@]}"; do
      if download "$suite" "$mirror" "$@" >>"$log" 2>&1; then
        fetched=yes
        break 2
      fi
    done
    ((attempt == attempts)) || sleep $((attempt * 3))
  done
  [[ -n $fetched ]] ||
    fail "the packages of $suite could not be fetched in $attempts attempts ($(grep -m1 '^E:' "$log" || tail -n1 "$log")); check the network and the mirror in apt's sources, then run make test-servers again (everything apt said: $log)"

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

mapfile -t mirror_list < <(mirrors)
((${#mirror_list[@]} > 0)) ||
  fail "no Debian mirror is in apt's sources; add one to /etc/apt/sources.list.d and run make test-servers again"

fetch "$stock_suite" stock "${packages[@]}"
fetch "$new_suite" new "${packages[@]}" promtool
