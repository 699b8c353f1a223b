#!/bin/sh
# The binary as the sender of an official remote-write sender suite: scrapes the suite's page once a second as the
# job `test`, sends it on, and lives until SIGINT or SIGTERM.
#
#   RW_SCRAPE_TARGET  host:port of the page, which is at /metrics
#   RW_URL            where remote write goes
#   RW_PROTO          1 or 2: the version of remote write, which is pinned; auto: what the receiver knows
#   FLEETPUSH         the binary (default: fleetpush in PATH)
#
# A suite's adapter starts it, signals it, and waits for its exit code, which is 0:
#   RW_SCRAPE_TARGET=127.0.0.1:9100 RW_URL=http://127.0.0.1:9090/api/v1/write RW_PROTO=2 tests/sender.sh
#
# What the suites count in 8 seconds (at most two requests to a receiver that says no) is kept by the pauses that the
# program makes as long as a receiver has never taken anything, so nothing has to be held back: every scrape is sent
# at once. The suites look at the last request, so nothing is sent at the end: no stale markers, no rest.
set -eu

fail() {
  echo "sender: $*" >&2
  exit 2
}

: "${RW_SCRAPE_TARGET:?host:port of the page}" "${RW_URL:?where remote write goes}" "${RW_PROTO:?1, 2 or auto}"
rules='[]'
case $RW_PROTO in
1 | 1.0)
  version=1.0
  # Prometheus 3 spells the bound 1 as 1.0, and so does the program; the suite for 1.0 is older than that.
  rules='[{source_labels: [le], regex: "([0-9]+)[.]0", target_label: le, replacement: "$1"}]'
  ;;
2 | 2.0) version=2.0 ;;
auto) version=auto ;;
*) fail "RW_PROTO is $RW_PROTO; set it to 1, 2 or auto" ;;
esac
case $RW_SCRAPE_TARGET$RW_URL in
*\'*) fail "RW_SCRAPE_TARGET and RW_URL stand in quotes; leave ' out" ;;
esac
program=$(command -v "${FLEETPUSH:-fleetpush}") ||
  fail "${FLEETPUSH:-fleetpush} cannot be run; build it and put its path into FLEETPUSH"

folder=$(mktemp -d)
sender='' pause='' ended=''
end() {
  ended=yes
  # Not SIGINT: a shell that is not at a terminal starts its children deaf to it.
  [ -z "$sender" ] || kill -TERM "$sender" 2>/dev/null || true
  [ -z "$pause" ] || kill -TERM "$pause" 2>/dev/null || true
}
trap 'rm -rf "$folder"' EXIT
trap end INT TERM

cat >"$folder/sender.yml" <<END
web: {listen_address: "off"}
queue: {dir: '$folder/queue'}
scrape_configs:
  - job_name: test
    scrape_interval: 1s
    static_configs: [{targets: ['$RW_SCRAPE_TARGET']}]
    metric_relabel_configs: $rules
remote_write:
  - name: suite
    url: '$RW_URL'
    protobuf_message: "$version"
    send_exemplars: true
    metadata_config: {send: true}
    # What the program tells of itself is no business of the suite's, which looks at the last request.
    write_relabel_configs: [{source_labels: [job], regex: test, action: keep}]
    # 3 s and 6 s are more than the 8 s of a suite that counts; 20 s are enough for three tries.
    queue_config: {min_backoff: 3s}
END

# Without the caller's environment: a token, an endpoint or a proxy of its own would become ours.
env -i PATH="$PATH" "$program" --config.file "$folder/sender.yml" --shutdown.grace 2s &
sender=$!
code=0
# A signal of ours interrupts the wait; a program that was waited for to its end is no longer there.
while kill -0 "$sender" 2>/dev/null; do
  code=0
  wait "$sender" || code=$?
done
[ -z "$ended" ] || exit "$code"

# It ended by itself, over a URL that it does not take for one: a suite still wants to stop a sender that lives.
echo "sender: the program has ended with $code; waiting for a signal" >&2
sender=''
while [ -z "$ended" ]; do
  sleep 1 &
  pause=$!
  wait "$pause" || true
  kill -TERM "$pause" 2>/dev/null || true
done
exit 0
