#!/usr/bin/env bash
# Builds the Debian package. The program comes first, since manual page and completions are its own words.
#
#   deploy/debian/build.sh [OPTION]...      OPTIONs are those of cargo deb; the package is in target/debian
#
# With PROGRAM set to a program that is built already, that one is asked, and nothing is built.
set -euo pipefail

cd "$(dirname "$(realpath "$0")")/../.."
command -v cargo-deb >/dev/null || {
  echo "build.sh: cargo-deb is missing: cargo install --locked cargo-deb --version 3.8.0" >&2
  exit 1
}
if [[ -z ${PROGRAM-} ]]; then
  cargo build --locked --release
  PROGRAM=${CARGO_TARGET_DIR:-target}/release/fleetpush
fi

# Where Cargo.toml's assets look for them.
texts=$(dirname "$PROGRAM")/debian
mkdir -p "$texts"
"$PROGRAM" man | gzip -9n >"$texts/fleetpush.1.gz"
"$PROGRAM" completions bash >"$texts/fleetpush.bash"
"$PROGRAM" completions zsh >"$texts/_fleetpush"
"$PROGRAM" completions fish >"$texts/fleetpush.fish"

cargo-deb --no-build --locked "$@"
