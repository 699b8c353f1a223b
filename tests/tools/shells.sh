#!/usr/bin/env bash
# Fetches what reads the manual page and the completions: mandoc, zsh and fish, as Debian packages that are only
# unpacked, into FOLDER/shells. bash is on every machine that runs this.
#
#   tests/tools/shells.sh [FOLDER]      (default: target/test-tools)
set -euo pipefail

readonly release=bookworm
readonly packages=(mandoc zsh zsh-common fish fish-common libpcre2-32-0)
readonly programs=(mandoc zsh fish)

# shellcheck source=tests/debian.sh
source "$(dirname "$(realpath "$0")")/../debian.sh"
fail() {
  echo "shells: $*" >&2
  exit 1
}

root=${1:-target/test-tools}
script=$(realpath "$0")
mkdir -p "$root" || fail "$root cannot be created; make it writable or name another folder as the first argument"
root=$(realpath "$root")
folder=$root/shells

for tool in apt-get dpkg flock; do
  command -v "$tool" >/dev/null ||
    fail "$tool is missing; run this on Debian or in a Debian container, or put ${programs[*]} into $folder/usr/bin"
done

# Two runs at once would unpack over each other.
exec 9>"$root/.shells.lock"
flock 9

stamp="$(cat "$script" "$(dirname "$script")/../debian.sh" | cksum) $(dpkg --print-architecture)"
if [[ -f $folder/.stamp && $(<"$folder/.stamp") == "$stamp" ]]; then
  exit 0
fi

apt_root=$root/.apt-shells
log=$root/shells.log
rm -rf "$apt_root" "$folder"
trap 'rm -rf "$apt_root"' EXIT

download "$release" "$log" "${packages[@]}" ||
  fail "the packages could not be fetched ($(apt_error "$log")); check the network and the mirror in apt's sources, then run make test-tools again (everything apt said: $log)"
for deb in "$apt_root/$release"/debs/*.deb; do
  dpkg -x "$deb" "$folder" || fail "$(basename "$deb") cannot be unpacked; run make test-tools again"
done
# Debian's alternatives would make it; bin is not usr/bin in a folder that was only unpacked.
[[ -e $folder/usr/bin/zsh ]] || ln -s ../../bin/zsh "$folder/usr/bin/zsh"
for program in "${programs[@]}"; do
  [[ -x $folder/usr/bin/$program ]] || fail "the packages have no $program; look at the list of packages in $script"
done
echo "$stamp" >"$folder/.stamp"
