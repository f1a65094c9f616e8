#!/usr/bin/env bash
# Everything that can be checked without running the program. Each check runs, so that one run shows all.
set -u
cd "$(dirname "$0")/.."
status=0

check() { # name command...
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then
		echo "ok    $name"
	else
		echo "FAIL  $name"
		printf '%s\n' "$out"
		status=1
	fi
}

formatted() { # gofmt -l prints names, and succeeds
	local files
	files=$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l) && [ -z "$files" ] || {
		printf '%s\n' "$files"
		return 1
	}
}

check gofmt formatted
check 'go vet' go vet ./...
check staticcheck go tool staticcheck ./...
check 'go mod tidy' go mod tidy -diff
check 'import rules and other rules of the tree' go test ./internal/archcheck
exit $status
