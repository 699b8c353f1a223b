#!/usr/bin/env bash
# What the tests of the status page look at it with: Debian's Chromium with plain fonts, and, from the npm registry,
# the library that drives it and the one that judges accessibility.
#
#   tests/tools/browser.sh FOLDER
set -euo pipefail

readonly packages=(playwright-core@1.64.1 axe-core@4.14.1)
readonly fonts=/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf

fail() {
  echo "browser tools: $*" >&2
  exit 1
}

[[ $# == 1 ]] || fail "name the folder for the tools, as in tests/tools/browser.sh target/test-tools"
script=$(realpath "$0")
mkdir -p "$1/browser" || fail "$1 cannot be created; make it writable or name another folder"
folder=$(realpath "$1/browser")

for tool in node npm flock; do
  command -v "$tool" >/dev/null || fail "$tool is missing; install it (Debian: apt-get install nodejs npm util-linux)"
done

# Two runs at once would unpack over each other.
exec 9>"$folder/.lock"
flock 9

if [[ ! -x /usr/bin/chromium || ! -f $fonts ]]; then
  command -v apt-get >/dev/null || fail "/usr/bin/chromium is missing, and there is no apt-get to install it with"
  ((EUID == 0)) || fail "Chromium is missing; run as root: apt-get install --no-install-recommends chromium fonts-liberation"
  log=$folder/apt.log
  {
    apt-get -o Acquire::Retries=3 update -qq &&
      DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 install -y -qq \
        --no-install-recommends chromium fonts-liberation
  } >"$log" 2>&1 || fail "Chromium could not be installed ($(grep -m1 '^E:' "$log" || tail -n1 "$log")); everything apt said: $log"
fi

stamp="$(cksum <"$script")"
if [[ -f $folder/.stamp && $(<"$folder/.stamp") == "$stamp" ]]; then
  exit 0
fi
rm -rf "$folder/node_modules" "$folder/package.json" "$folder/package-lock.json"
echo '{"private": true}' >"$folder/package.json"
# No script of a package runs: none of them needs one, and one would fetch a browser of its own.
npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error "${packages[@]}" >"$folder/npm.log" 2>&1 ||
  fail "${packages[*]} could not be fetched ($(tail -n1 "$folder/npm.log")); everything npm said: $folder/npm.log"
echo "$stamp" >"$folder/.stamp"
echo "browser tools: ${packages[*]} in $folder"
