#!/bin/sh
# Says whether a folder is a valid bag: complete, and each checksum right (RFC 8493 section 3). It was written from the RFC, and shares
# nothing with the Go package that it judges.
#
#   check.sh FOLDER
#
# Each thing that is wrong is a line on standard output. The exit code is 0 for a valid bag, 1 for another, 2 where nothing can be said.
# Nothing is fetched; only BagIt 1.0 with tag files in UTF-8 is known. It needs a POSIX shell and tools, mktemp, and sha512sum or the like.
set -eu
LC_ALL=C
export LC_ALL

[ $# = 1 ] || { echo "usage: check.sh FOLDER" >&2; exit 2; }
cd -- "$1" || exit 2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM
: >"$work/wrong"

# say notes something that is wrong. Names may hold anything, so that what a terminal could obey is left out.
say() {
	printf '%s\n' "$*" | tr -d '\000-\010\013-\037\177' >>"$work/wrong"
}

# each_said prefixes and notes each line of its input.
each_said() {
	while IFS= read -r what; do say "$1$what"; done
}

cr=$(printf '\r')

# text writes the lines of a text tag file, however they end (section 2.3), and notes what no tag file has.
text() {
	[ ! -s "$1" ] || [ -n "$(tail -c 1 "$1" | tr -dc '\r\n' | od -An -c)" ] || say "malformed: $1: the last line has no end"
	[ "$(head -c 3 "$1" | od -An -tx1 | tr -d ' \n')" != efbbbf ] || say "malformed: $1: it begins with a byte-order mark"
	iconv -f UTF-8 -t UTF-8 "$1" >/dev/null 2>&1 || say "malformed: $1: it is not UTF-8"
	[ "$(tr -dc '\000' <"$1" | wc -c)" -eq 0 ] || say "malformed: $1: it has a NUL"
	sed "s/$cr\$//" "$1" | tr '\r' '\n'
}

# All files, as names stand in a manifest: one to a line, with line ends and percent signs encoded (section 2.1.3).
find . -type f -exec sh -c '
	for f do
		f="${f#./}" awk "BEGIN { s = ENVIRON[\"f\"]; gsub(/%/, \"%25\", s); gsub(/\r/, \"%0D\", s); gsub(/\n/, \"%0A\", s); print s }"
	done' sh {} + | sort >"$work/all"
grep '^data/' "$work/all" >"$work/payload" || :
find . ! -type f ! -type d | each_said 'malformed: neither a file nor a folder: '

# Section 2.1.1.
if [ -f bagit.txt ]; then
	text bagit.txt >"$work/text"
	awk 'NR == 1 && tolower($0) !~ /^bagit-version: 1\.0$/ { print "not the version 1.0" }
		NR == 2 && tolower($0) !~ /^tag-file-character-encoding: utf-8$/ { print "not the encoding UTF-8" }
		END { if (NR != 2) print "not two lines" }' "$work/text" | each_said 'malformed: bagit.txt: '
else
	say 'missing: bagit.txt'
fi

# Section 2.1.2.
[ -d data ] && [ ! -L data ] || say 'missing: the folder data'

# manifest reads a manifest, notes what is wrong with it, and writes its lines: a checksum in small letters, a space, a name.
manifest() { # file, digits of a checksum, payload or tags
	text "$1" >"$work/text"
	awk -v digits="$2" -v kind="$3" '
		function wrong(why) { print "line " NR ": " why >"/dev/stderr" }
		!match($0, /^[0-9A-Fa-f]+[ \t]+/) { wrong("not a checksum and a name"); next }
		{
			sum = tolower(substr($0, 1, RLENGTH)); gsub(/[ \t]/, "", sum)
			name = substr($0, RLENGTH + 1)
			if (length(sum) != digits) { wrong("a checksum of another length"); next }
			gsub(/%0a/, "%0A", name); gsub(/%0d/, "%0D", name)
			plain = name; gsub(/%(25|0A|0D)/, "", plain)
			if (plain ~ /%/) { wrong("encoded otherwise than a name is"); next }
			n = split(name, parts, "/")
			for (i = 1; i <= n; i++)
				if (parts[i] == "" || parts[i] == "." || parts[i] == "..") { wrong("a name that leads elsewhere"); next }
			if (name == "" || name ~ /^~/) { wrong("a name that leads elsewhere"); next }
			if ((name ~ /^data\//) != (kind == "payload")) { wrong("a file that has no place here: " name); next }
			if (seen[name]++) { wrong("listed twice: " name); next }
			print sum " " name
		}' "$work/text" 2>"$work/said"
	each_said "malformed: $1: " <"$work/said"
}

# compare reads the files of a manifest that are there, and compares their checksums.
compare() { # manifest, tool
	while IFS= read -r line; do
		name=${line#* }
		grep -Fqx -e "$name" "$work/all" || continue
		case $name in
		*%*)
			escaped=$(printf '%s' "$name" | sed 's/\\/\\\\/g; s/%0A/\\012/g; s/%0D/\\015/g; s/%25/%/g')
			file=$(printf '%bx' "$escaped")
			file=${file%x}
			;;
		*) file=$name ;;
		esac
		sum=$("$2" <"./$file") || sum=unreadable
		[ "${sum%% *}" = "${line%% *}" ] || say "altered: $name: its checksum is not the one in $1"
	done
}

# Sections 2.1.3, 2.2.1, 2.4 and 3.
payload_manifests=0
for file in manifest-*.txt tagmanifest-*.txt; do
	[ -f "$file" ] || continue
	kind=payload
	[ "${file#tag}" = "$file" ] || kind=tags
	algorithm=${file#*manifest-}
	algorithm=${algorithm%.txt}
	case $algorithm in
	md5) digits=32 ;;
	sha1) digits=40 ;;
	sha224) digits=56 ;;
	sha256) digits=64 ;;
	sha384) digits=96 ;;
	sha512) digits=128 ;;
	*)
		say "unsupported: $file"
		continue
		;;
	esac
	command -v "${algorithm}sum" >/dev/null || { echo "${algorithm}sum is absent" >&2; exit 2; }
	manifest "$file" "$digits" "$kind" >"$work/lines"
	cut -d ' ' -f 2- "$work/lines" | sort >"$work/names"
	comm -23 "$work/names" "$work/all" | each_said "missing: listed in $file: "
	if [ "$kind" = payload ]; then
		payload_manifests=$((payload_manifests + 1))
		comm -13 "$work/names" "$work/payload" | each_said "unexpected: not listed in $file: "
		cp "$work/names" "$work/names-$file"
	else
		cp "$work/names" "$work/tags-$file"
	fi
	compare "$file" "${algorithm}sum" <"$work/lines"
done
[ "$payload_manifests" -gt 0 ] || say 'missing: no manifest'
for names in "$work"/names-*; do
	[ -f "$names" ] || continue
	for tags in "$work"/tags-*; do
		[ ! -f "$tags" ] || grep -Fqx -e "${names#"$work"/names-}" "$tags" || say "malformed: ${tags#"$work"/tags-}: ${names#"$work"/names-} is not listed"
	done
done

# Section 2.2.2.
if [ -f bag-info.txt ]; then
	oxum=$(find data -type f -exec sh -c 'for f do wc -c <"$f"; done' sh {} + 2>/dev/null | awk '{ octets += $1; files++ } END { printf "%.0f.%d", octets, files }')
	text bag-info.txt >"$work/text"
	awk -v oxum="$oxum" '
		/^[ \t]/ { if (NR == 1) print "line 1: it continues nothing"; next }
		!/^[^:]+:[ \t]/ || /^[^:]*[ \t]:/ { print "line " NR ": not a label, a colon, a space and a value"; next }
		tolower($0) ~ /^payload-oxum:/ {
			value = substr($0, index($0, ":") + 2)
			if (counts++) print "line " NR ": Payload-Oxum stands there twice"
			if (value !~ /^[0-9]+\.[0-9]+$/) print "line " NR ": Payload-Oxum is not two numbers"
			else if (value != oxum) print "Payload-Oxum is " value ", and there is " oxum
		}' "$work/text" | each_said 'malformed: bag-info.txt: '
fi

# Section 2.2.3.
if [ -f fetch.txt ]; then
	text fetch.txt >"$work/text"
	awk '
		function wrong(why) { print "line " NR ": " why >"/dev/stderr" }
		!match($0, /^[A-Za-z][A-Za-z0-9+.-]*:[^ \t]*[ \t]+([0-9]+|-)[ \t]+/) { wrong("not an absolute address, a length and a name"); next }
		{ name = substr($0, RLENGTH + 1); gsub(/%0a/, "%0A", name); gsub(/%0d/, "%0D", name); print name }' \
		"$work/text" 2>"$work/said" | sort -u >"$work/fetch"
	each_said 'malformed: fetch.txt: ' <"$work/said"
	for names in "$work"/names-*; do
		[ ! -f "$names" ] || comm -23 "$work/fetch" "$names" | each_said "malformed: fetch.txt: not listed in ${names#"$work"/names-}: "
	done
fi

cat "$work/wrong"
[ ! -s "$work/wrong" ] || exit 1
