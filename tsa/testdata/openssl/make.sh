#!/bin/sh
# Makes the vectors beside it anew; see README.md.
set -eu
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

printf 'the value of a signature' >message

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$tmp/root.key" -out root.pem \
	-days 3650 -subj '/O=Example/CN=Example Root' 2>/dev/null
cat >"$tmp/ext" <<-'END'
	keyUsage = critical, digitalSignature
	extendedKeyUsage = critical, timeStamping
END
issue() {
	name=$1
	shift
	openssl req -newkey "$@" -nodes -keyout "$tmp/$name.key" -out "$tmp/$name.csr" \
		-subj '/O=Example/CN=Example TSA' 2>/dev/null
	openssl x509 -req -in "$tmp/$name.csr" -CA root.pem -CAkey "$tmp/root.key" -CAcreateserial -CAserial "$tmp/ca.srl" \
		-days 3650 -extfile "$tmp/ext" -out "$name.pem" 2>/dev/null
}
issue rsa rsa:2048
issue ec ec -pkeyopt ec_paramgen_curve:P-256

reply() { # key, signing-certificate hash, name
	cat >"$tmp/ts.cnf" <<-END
		[tsa]
		default_tsa = authority
		[authority]
		serial = $tmp/serial
		signer_digest = sha256
		default_policy = 1.3.6.1.4.1.32473.1
		digests = sha256, sha384, sha512
		accuracy = secs:1, millisecs:500, microsecs:100
		ordering = yes
		tsa_name = yes
		ess_cert_id_chain = no
		ess_cert_id_alg = $2
	END
	openssl ts -reply -config "$tmp/ts.cnf" -queryfile "$3.tsq" -signer "$1.pem" -inkey "$tmp/$1.key" \
		-out "$3.tsr" 2>/dev/null
}
query() { openssl ts -query -data message "$@" 2>/dev/null; }

query -sha256 -cert -out rsa-v1.tsq
query -sha512 -cert -tspolicy 1.3.6.1.4.1.32473.1 -out rsa-v2.tsq
query -sha384 -out ec-v1.tsq
query -sha256 -cert -no_nonce -out ec-v2.tsq
query -sha256 -tspolicy 1.2.3 -out refused.tsq
reply rsa sha1 rsa-v1
reply rsa sha256 rsa-v2
reply ec sha1 ec-v1
reply ec sha256 ec-v2
reply ec sha256 refused
