#!/usr/bin/env bash
# Runs every fuzz target of the tree in turn, each for $FUZZTIME (default 30s). Ends at the first failure, whose input
# go test has written to the package's testdata/fuzz. After $FUZZMINUTES (default: no bound) it begins no further target.
set -eu
cd "$(dirname "$0")/.."
time=${FUZZTIME:-30s}
minutes=${FUZZMINUTES:-}
count=0
left=0

fuzz() { # name folder
	# Minimizing may otherwise take a minute for one input that is merely interesting: here it may try a hundred times.
	go test -run '^$' -fuzz "^$1\$" -fuzztime "$time" -fuzzminimizetime 100x "$2"
}

# Sorted, so that two runs are alike: "folder/file_test.go:func FuzzName(f *testing.F) {".
while IFS= read -r line; do
	file=${line%%:*}
	name=${line#*:func }
	name=${name%%(*}
	folder=./$(dirname "$file")
	if [ -n "$minutes" ] && [ "$SECONDS" -ge $((minutes * 60)) ]; then
		left=$((left + 1))
		continue
	fi
	echo "--- $folder $name ($time)"
	# At times the go command fails because its own time is over, and has found nothing. A finding is written to
	# testdata/fuzz, and so fails the second run as well.
	fuzz "$name" "$folder" || { echo "once more"; fuzz "$name" "$folder"; }
	count=$((count + 1))
done < <(git grep --untracked -E '^func Fuzz[A-Za-z0-9_]*\(' -- '*_test.go' | LC_ALL=C sort)

echo "$count fuzz targets, $time each"
[ "$left" = 0 ] || echo "left out: $left targets, as $minutes minutes were over"
