#!/usr/bin/env bash
# Makes the vectors anew, with new keys: testdata/make.sh PATH-OF-SEALMAIL. What must be found in them (NN-name.want.json) is
# written by `go test ./cmd/sealmail -run TestVectors -update`, and is to be read before it is committed.
set -eu
sealmail=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
echo test >pw
from=(--not-before 2026-01-01T00:00:00Z --not-after 2035-01-01T00:00:00Z)

"$sealmail" ca init --dir ca --name "Vector" --organization "Example GmbH" --unprotected -q >/dev/null
issue() { # purpose key name output
	"$sealmail" ca issue --dir ca --purpose "$1" --key "$2" --name "$3" ${5:+--email "$5"} "${from[@]}" -o "$4" -q >/dev/null --p12-password-file pw
}
issue mail p256 "Alice Adams" alice-p256.p12 alice@example.test
issue mail rsa2048 "Alice Adams" alice-rsa2048.p12 alice@example.test
issue mail p256 "Bob Brown" bob-p256.p12 bob@example.test
issue mail rsa2048 "Bob Brown" bob-rsa2048.p12 bob@example.test
issue tsa p256 "Vector TSA" tsa.p12
for who in alice-p256 alice-rsa2048 bob-p256 bob-rsa2048; do
	openssl pkcs12 -in $who.p12 -passin file:pw -nodes -nocerts -out $who.key
	openssl pkcs12 -in $who.p12 -passin file:pw -nokeys -clcerts -out $who.pem
done
cp ca/root.pem ca/issuing.pem bob-p256.p12 bob-rsa2048.p12 "$here/pki/"

header() { printf 'From: Alice Adams <alice@example.test>\r\nTo: bob@example.test\r\nSubject: %s\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@example.test>\r\n' "$1" "$2"; }
entity() { printf 'Content-Type: text/plain; charset=us-ascii\r\n\r\nDear Bob,\r\n\r\nthis is vector %s.\r\n' "$1"; }
crlf() { sed 's/\r$//; s/$/\r/'; }
out="$here/vectors"

{ header "not signed" 01; printf 'MIME-Version: 1.0\r\n'; entity 01; } >"$out/01-unsigned.eml"

{ header "openssl, detached" 02; entity 02 | openssl cms -sign -stream -signer alice-rsa2048.pem -inkey alice-rsa2048.key -certfile ca/issuing.pem | crlf; } >"$out/02-openssl-detached-rsa.eml"

{ header "openssl, opaque" 03; entity 03 | openssl cms -sign -nodetach -signer alice-p256.pem -inkey alice-p256.key -certfile ca/issuing.pem | crlf; } >"$out/03-openssl-opaque-p256.eml"

{ header "openssl, CBC" 04; entity 04 | openssl cms -encrypt -stream -aes-256-cbc bob-rsa2048.pem | crlf; } >"$out/04-openssl-encrypted-rsa-cbc.eml"

{ header "openssl, GCM, signed inside" 05
  entity 05 | openssl cms -sign -signer alice-p256.pem -inkey alice-p256.key -certfile ca/issuing.pem | crlf |
	openssl cms -encrypt -aes-256-gcm bob-p256.pem | crlf; } >"$out/05-openssl-signed-encrypted-p256-gcm.eml"

"$sealmail" tsa serve --p12 tsa.p12 --p12-password-file pw --policy 1.3.6.1.4.1.32473.1 --state state >url &
until [ -s url ]; do read -r -t 0.1 <> <(:) || :; done
url=$(sed 's/.*"url":"\([^"]*\)".*/\1/' url)
export SEALMAIL_HOME=$work/home
"$sealmail" cert trust ca/root.pem --for mail >/dev/null
"$sealmail" cert trust ca/root.pem --for tsa >/dev/null
{ header "timestamped, header protected" 06; printf 'MIME-Version: 1.0\r\n'; entity 06; } |
	"$sealmail" sign --p12 alice-p256.p12 --p12-password-file pw --tsa "$url" -o signed.eml
"$sealmail" encrypt signed.eml --to ./bob-p256.pem -o "$out/06-timestamped-encrypted.eml"
cp signed.eml "$out/07-timestamped.eml"

sed 's/this is vector 02/this is Vector 02/' "$out/02-openssl-detached-rsa.eml" >"$out/08-altered-content.eml"

# One letter of the ciphertext's base64, far from its ends.
awk 'NR == 30 { $0 = (substr($0, 1, 1) == "A" ? "B" : "A") substr($0, 2) } { print }' "$out/06-timestamped-encrypted.eml" >"$out/09-altered-ciphertext.eml"

# The signature of 02 beside the address of somebody else.
sed 's/^From: .*/From: Mallory <mallory@example.test>\r/' "$out/02-openssl-detached-rsa.eml" >"$out/10-other-sender.eml"

# RFC 3274, by Python's zlib and a few lines of DER: Debian's OpenSSL is built without zlib.
compress() {
	printf 'MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=compressed-data; name=smime.p7z\r\nContent-Transfer-Encoding: base64\r\n\r\n'
	python3 -c '
import base64, sys, zlib
def element(tag, *parts):
    content = b"".join(parts)
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag]) + (bytes([len(content)]) if len(content) < 128 else bytes([128 + len(size)]) + size) + content
def oid(text): return element(6, bytes.fromhex(text))
content = element(0xa0, element(4, zlib.compress(sys.stdin.buffer.read(), 9)))
data = element(0x30, element(2, b"\0"), element(0x30, oid("2a864886f70d0109100308")), element(0x30, oid("2a864886f70d010701"), content))
sys.stdout.buffer.write(base64.encodebytes(element(0x30, oid("2a864886f70d0109100109"), element(0xa0, data))).replace(b"\n", b"\r\n"))'
}

{ header "signed, then compressed" 11; sed 1,5d "$out/02-openssl-detached-rsa.eml" | compress; } >"$out/11-signed-compressed.eml"

# 4 MiB of zeros, a thousandth of that when compressed.
{ header "a bomb" 12; head -c 4194304 /dev/zero | compress; } >"$out/12-bomb.eml"

{ header "openssl, 3DES" 13; entity 13 | openssl cms -encrypt -des3 bob-rsa2048.pem | crlf; } >"$out/13-openssl-3des.eml"
