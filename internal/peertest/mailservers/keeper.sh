# Ends the servers of a test process that died without doing so. The process holds our standard input and writes a
# line when it has stopped them itself; end of file without one means that it was killed.
# Arguments: the folder of state, then the process numbers.
trap '' INT HUP TERM
read -r _ && exit 0
dir=$1
shift
kill -TERM "$@" 2>/dev/null
tries=100
while kill -0 "$@" 2>/dev/null && [ $tries -gt 0 ]; do
	tries=$((tries - 1))
	sleep 0.1
done
kill -KILL "$@" 2>/dev/null
rm -rf "$dir"
