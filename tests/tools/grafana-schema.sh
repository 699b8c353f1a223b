#!/usr/bin/env bash
# Fetches Grafana's own types of dashboards, and the compiler that holds our dashboards against them, from npm.
#
#   tests/tools/grafana-schema.sh [FOLDER]      (default: target/test-tools)
set -euo pipefail

readonly packages=(@grafana/schema@11.6.0 typescript@5.6.3)

fail() {
  echo "test tools: grafana-schema: $*" >&2
  exit 1
}

script=$(realpath "$0")
folder=${1:-target/test-tools}/grafana-schema
mkdir -p "$folder" || fail "$folder cannot be created; make it writable or name another folder as the first argument"

# Two runs at once would unpack over each other.
exec 9>"$folder/.lock"
flock 9

stamp=$(cksum <"$script")
[[ ! -f $folder/.stamp || $(<"$folder/.stamp") != "$stamp" ]] || exit 0
command -v npm >/dev/null || fail "npm is missing; install Node.js (Debian, Ubuntu: apt-get install npm)"

rm -rf "$folder/node_modules" "$folder/package-lock.json"
echo '{"private": true}' >"$folder/package.json"
npm install --prefix "$folder" --no-audit --no-fund --ignore-scripts --save-exact "${packages[@]}" >"$folder/install.log" 2>&1 ||
  fail "npm could not fetch ${packages[*]} ($(tail -n1 "$folder/install.log")); check the network and npm's registry, then run make test-tools again"
node "$folder/node_modules/typescript/bin/tsc" --version >/dev/null ||
  fail "the TypeScript compiler does not start; install Node.js 16 or later"
echo "$stamp" >"$folder/.stamp"
echo "test tools: grafana-schema: ${packages[*]}"
