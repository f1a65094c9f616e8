# Targets: build test everystep race bench microbench lint cross fuzz peers. Nothing here is needed to use the module: go build and go test do.

GO       ?= go
FUZZTIME ?= 30s

# The programs that tests compare with, and the Debian packages that hold them.
PEERS         = openssl gpgsm cmsutil java javac dovecot postfix dbus-run-session gnome-keyring-daemon neomutt bsd-mailx jq git unzip python3
PEER_PACKAGES = openssl gpgsm libnss3-tools libbcmail-java $(JDK) dovecot-imapd dovecot-lmtpd postfix time isync libcrypt-smime-perl dbus gnome-keyring neomutt bsd-mailx jq git-email libmailtools-perl unzip python3
# Only where there is none: it is large.
JDK           = $(if $(shell command -v javac),,default-jdk-headless)

# The packages in which goroutines meet, or on which everything else stands.
CORE = ./smime/... ./tsa/... ./certstore/... ./mailbox/... ./internal/safeio/... ./internal/agent

# Flags for make bench; -write writes its table into docs/bench.md.
BENCHFLAGS ?=

.PHONY: build test everystep race bench microbench lint cross fuzz peers

# Without cgo, which costs a tenth of the start-up: names are resolved by Go.
build:
	CGO_ENABLED=0 $(GO) build -o bin/ ./cmd/...

# go test swallows what passing packages print, so the absent peers are named here once more for all packages.
test:
	$(GO) test -timeout 20m ./...
	@PATH="$$PATH:/usr/sbin:/usr/local/sbin"; absent=; \
	for p in $(PEERS); do command -v $$p >/dev/null || absent="$$absent $$p"; done; \
	[ -e /usr/share/java/bcpkix.jar ] || absent="$$absent bouncycastle"; \
	[ "$$(id -u)" = 0 ] || absent="$$absent root(for-dovecot-and-postfix)"; \
	[ -z "$$absent" ] || echo "peers absent, tests skipped:$$absent"

# Kills the program before each step, and harms each line to a server, in each way: half an hour.
everystep:
	SEALMAIL_EVERY_STEP=1 $(GO) test -timeout 90m -run 'TestKill|TestFaults' ./cmd/sealmail

race:
	$(GO) test -race $(CORE)

# Side by side with others, some minutes; see docs/bench.md.
bench:
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 60m ./internal/bench $(BENCHFLAGS)

microbench:
	$(GO) test -run '^$$' -bench . -benchmem $$($(GO) list ./... | grep -v /internal/bench)

lint:
	scripts/lint.sh

# Apart from lint, because the standard library is compiled once more for each system.
cross:
	GOOS=darwin $(GO) vet ./...
	GOOS=windows $(GO) vet ./...

fuzz:
	FUZZTIME=$(FUZZTIME) scripts/fuzz.sh

# Postfix is installed without a configuration: the tests start their own, and the system's is not to run.
peers:
	scripts/peers.sh $(PEER_PACKAGES)
