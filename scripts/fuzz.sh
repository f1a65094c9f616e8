#!/usr/bin/env bash
# Runs every fuzz target of the tree in turn, each for $FUZZTIME (default 30s). Ends at the first failure, whose input
# go test has written to the package's testdata/fuzz.
set -eu
cd "$(dirname "$0")/.."
time=${FUZZTIME:-30s}
count=0

# Sorted, so that two runs are alike: "folder/file_test.go:func FuzzName(f *testing.F) {".
while IFS= read -r line; do
	file=${line%%:*}
	name=${line#*:func }
	name=${name%%(*}
	echo "--- ./$(dirname "$file") $name ($time)"
	# Minimizing may otherwise take a minute for one input that is merely interesting.
	status=0
	out=$(go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 5s "./$(dirname "$file")" 2>&1) || status=$?
	printf '%s\n' "$out"
	# The go command fails at times because its time is over, and has found nothing then: an input that fails is always
	# written, or named.
	if [ $status -ne 0 ] && { ! grep -qx '    context deadline exceeded' <<<"$out" || grep -qE 'Failing input|panic|_test\.go:' <<<"$out"; }; then
		exit $status
	fi
	count=$((count + 1))
done < <(git grep --untracked -E '^func Fuzz[A-Za-z0-9_]*\(' -- '*_test.go' | LC_ALL=C sort)

echo "$count fuzz targets, $time each"
