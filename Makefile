# Every check of the project, from a clean checkout:
#   make test     what CI runs: formatting, lints, all tests against real servers
#   make audit    licences, bans, known vulnerabilities, unused dependencies
#   make docs     the reference in docs/configuration.md, from what stands beside each key in the code
#   make screenshots  the pictures of the status page in docs/
#   make soak     the long versions of the tests against loss and of odd pages, into docs/soak.md (about half an hour)
#   make bench    CPU, bytes and memory over real HTTP on loopback, into docs/benchmarks.md (minutes; needs valgrind)
#   make chart-files   the Helm chart's copies of the dashboards and rules, after each change of one

CARGO ?= cargo
SERVERS := target/test-servers
TOOLS := target/tools

CARGO_DENY := $(TOOLS)/cargo-deny-0.20.2/bin/cargo-deny
CARGO_MACHETE := $(TOOLS)/cargo-machete-0.9.2/bin/cargo-machete

.PHONY: test test-servers test-tools docs screenshots audit bench soak chart-files

test: test-servers test-tools
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) test --locked

# The real Prometheus, Pushgateway, VictoriaMetrics and node_exporter that the tests start, old and new: unpacked, never installed.
test-servers:
	@tests/servers/fetch.sh $(SERVERS)

# What else the tests run: one script for each tool, which leaves it in the folder that it is given.
test-tools:
	@set -e; for script in $(wildcard tests/tools/*.sh); do $$script target/test-tools; done

# A test compares it, and fails where it is old.
docs:
	WRITE_DOCS=1 $(CARGO) test --locked --test it docs::reference::the_reference_of_the_configuration

# The pictures of docs/status.md: an hour of an account that is made up, on a clock that is moved.
screenshots: test-tools
	SCREENSHOTS=$(CURDIR)/docs $(CARGO) test --locked --test it status::browser::the_page_is_pictured

audit: $(CARGO_DENY) $(CARGO_MACHETE)
	$(CARGO_DENY) --locked check licenses bans sources
	@if $(CARGO_DENY) --locked fetch db; then \
	  $(CARGO_DENY) --locked check --disable-fetch advisories; \
	else \
	  echo "audit: known vulnerabilities were NOT checked: the advisory database could not be fetched" >&2; \
	fi
	$(CARGO_MACHETE)

# The folder carries the version, so a new version above is installed beside the old one.
$(TOOLS)/%/bin/cargo-deny:
	$(CARGO) install --locked --root $(TOOLS)/$* cargo-deny --version $(lastword $(subst -, ,$*))

$(TOOLS)/%/bin/cargo-machete:
	$(CARGO) install --locked --root $(TOOLS)/$* cargo-machete --version $(lastword $(subst -, ,$*))

# The figures of docs/benchmarks.md. The binary is copied first: cargo's bench profile writes to the same place.
bench:
	@command -v valgrind > /dev/null || { \
	  echo "bench: valgrind is missing, which counts instructions (Debian, Ubuntu: apt-get install valgrind)" >&2; exit 1; }
	$(CARGO) build --locked --release
	mkdir -p target/bench docs
	cp target/release/fleetpush target/bench/fleetpush
	$(CARGO) bench --locked --bench figures -- $(CURDIR)/target/bench/fleetpush $$(git rev-parse --short HEAD) \
	  > target/bench/figures.md
	cp target/bench/figures.md docs/benchmarks.md
	@cat docs/benchmarks.md

# Kills, outages, full disks, dying servers and pages that nobody would write, for longer and
# alone: one test at a time, built as for benches; pages as for tests, whose build notices a sum that overflows.
SOAK := STORM_KILLS=200 OUTAGE_CYCLES=1440 PARSE_INPUTS=10000000 CATCH_UP_LATENCY_MS=100 SUITE_PEERS=1
soak: test-servers
	$(CARGO) test --locked --profile bench --test it --no-run
	mkdir -p target/soak docs
	{ echo "# The last soak"; echo; \
	  echo "Written by \`make soak\` at commit $$(git rev-parse --short HEAD), with \`$(SOAK)\`, on $$(nproc) cores."; echo; \
	} > target/soak/report.md
	$(SOAK) SOAK_REPORT=$(CURDIR)/target/soak/report.md \
	  $(CARGO) test --locked --profile bench --test it -- storm:: suite::catch_up suite::peers --test-threads 1 --nocapture
	$(SOAK) SOAK_REPORT=$(CURDIR)/target/soak/report.md \
	  $(CARGO) test --locked --test it -- relay_parse::fuzz:: --nocapture
	cp target/soak/report.md docs/soak.md
	@cat docs/soak.md

# The chart's copies of the dashboards and rules; the tests compare them.
chart-files:
	deploy/helm/copy-files.sh
