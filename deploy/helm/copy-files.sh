#!/usr/bin/env bash
# Copies the dashboards and rules into the chart, since a chart can read no file outside its own folder; copies of what
# is gone go too. Run it by `make chart-files` after each change of one of them.
#
#   deploy/helm/copy-files.sh [DEPLOY-FOLDER]      (default: the folder above this script)
set -euo pipefail

deploy=${1:-$(dirname "$(realpath "$0")")/..}
files=$deploy/helm/fleetpush/files

rm -rf "$files"
mkdir -p "$files/dashboards" "$files/rules"
shopt -s nullglob
for dashboard in "$deploy"/grafana/*.json; do
  cp "$dashboard" "$files/dashboards/"
done
for rules in "$deploy"/prometheus/*.yaml "$deploy"/prometheus/*.yml; do
  # Beside the rules lie their tests and an example of Prometheus' own file.
  ! grep -q '^groups:' "$rules" || cp "$rules" "$files/rules/$(basename "${rules%.*}").yaml"
done
rmdir --ignore-fail-on-non-empty "$files/dashboards" "$files/rules" "$files"
