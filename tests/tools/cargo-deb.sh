#!/usr/bin/env bash
# Builds cargo-deb, which makes the Debian package, in a fixed version: FOLDER/cargo-deb/bin/cargo-deb.
#
#   tests/tools/cargo-deb.sh [FOLDER]      (default: target/test-tools)
set -euo pipefail

readonly tool=cargo-deb
readonly version=3.8.0

# shellcheck source=tests/tool.sh
source "$(dirname "$(realpath "$0")")/../tool.sh"
enter "$@"

stamp="$version $(rustc --version)"
[[ ! -f $folder/.stamp || $(<"$folder/.stamp") != "$stamp" || ! -x $folder/bin/cargo-deb ]] || exit 0

# It runs for seconds: a quick build is worth more than a quick program. xz itself does what lzma would.
CARGO_TARGET_DIR=$folder/build ${CARGO:-cargo} install --quiet --locked --force --debug --root "$folder" \
  --no-default-features cargo-deb --version "$version" ||
  fail "cargo-deb $version could not be built; check that the registry of crates can be reached, then run make test-tools again"
rm -rf "$folder/build"
echo "$stamp" >"$folder/.stamp"
