#!/bin/sh
# Installs the Debian packages named as arguments, with which the tests compare.
set -eu
as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}
if ! command -v apt-get >/dev/null; then
	echo "make peers is for Debian; elsewhere install by hand: $*" >&2
	exit 1
fi
as_root apt-get update -q
# No system-wide mail server: the tests start their own.
if command -v debconf-set-selections >/dev/null; then
	echo 'postfix postfix/main_mailer_type select No configuration' | as_root debconf-set-selections
fi
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends --no-upgrade "$@"
