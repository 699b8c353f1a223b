#!/usr/bin/env bash
# Installs check-jsonschema, which carries the schema of compose files: FOLDER/compose-schema/bin/check-jsonschema.
#
#   tests/tools/compose-schema.sh [FOLDER]      (default: target/test-tools)
set -euo pipefail

readonly tool=compose-schema
readonly version=0.39.0

# shellcheck source=tests/tool.sh
source "$(dirname "$(realpath "$0")")/../tool.sh"
enter "$@"

# A virtual environment holds its own path: where it was moved it is made again.
stamp="$version $folder $(python3 --version)"
[[ ! -f $folder/.stamp || $(<"$folder/.stamp") != "$stamp" ]] || exit 0

python3 -m venv --clear "$folder" 9>&- || fail "python3 cannot make a virtual environment (Debian: apt-get install python3-venv)"
"$folder/bin/pip" install --quiet --disable-pip-version-check "check-jsonschema==$version" ||
  fail "check-jsonschema $version could not be installed; check that PyPI can be reached, then run make test-tools again"
"$folder/bin/check-jsonschema" --version >/dev/null || fail "check-jsonschema does not start; run make test-tools again"
echo "$stamp" >"$folder/.stamp"
