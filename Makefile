# Every check of the project, from a clean checkout:
#   make test     what CI runs: formatting, lints, all tests against real servers
#   make audit    licences, bans, known vulnerabilities, unused dependencies

CARGO ?= cargo
SERVERS := target/test-servers
TOOLS := target/tools

CARGO_DENY := $(TOOLS)/cargo-deny-0.20.2/bin/cargo-deny
CARGO_MACHETE := $(TOOLS)/cargo-machete-0.9.2/bin/cargo-machete

.PHONY: test test-servers audit

test: test-servers
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) test --locked

# The real Prometheus, Pushgateway and VictoriaMetrics that the tests start, old and new: unpacked, never installed.
test-servers:
	@tests/servers/fetch.sh $(SERVERS)

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
