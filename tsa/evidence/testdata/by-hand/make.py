#!/usr/bin/env python3
"""Makes the records of this folder with openssl and a few lines of DER, step by step as RFC 4998 section 4.2 has it.

The tree is that of the RFC's figure 1, with two sons for each father:

            root
           /    \\
         h12     h3
        /   \\
      h1    h2abc
            / | \\
         h2a h2b h2c
"""

import hashlib
import os
import subprocess
import tempfile

OBJECTS = {"1": b"one\n", "2a": b"two, a\n", "2b": b"two, b\n", "2c": b"two, c\n", "3": b"three\n"}
SHA256 = bytes.fromhex("300b0609608648016503040201")  # AlgorithmIdentifier without parameters (RFC 5754 section 2)


def tlv(tag, *parts):
    content = b"".join(parts)
    n = len(content)
    if n < 128:
        return bytes([tag, n]) + content
    length = n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def father(*sons):
    return hashlib.sha256(b"".join(sorted(sons))).digest()


def partial(*values):
    return tlv(0x30, *(tlv(0x04, v) for v in sorted(values)))


def openssl(*args, cwd):
    subprocess.run(["openssl", *args], cwd=cwd, check=True, capture_output=True)


def stamp(root, cwd):
    """Returns a token over the root by an authority that is made for it, and the certificate to trust."""
    with open(os.path.join(cwd, "ts.cnf"), "w") as f:
        f.write("""[req]
distinguished_name=dn
[dn]
[ca]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign
[tsa]
keyUsage=critical,digitalSignature
extendedKeyUsage=critical,timeStamping
[ts]
default_policy=1.3.6.1.4.1.32473.1
digests=sha256
serial=serial
signer_digest=sha256
ess_cert_id_alg=sha256
""")
    with open(os.path.join(cwd, "serial"), "w") as f:
        f.write("01\n")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "ts.cnf", "-days", "36500"]
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Example Root", "-extensions", "ca", cwd=cwd)
    openssl("req", "-x509", *curve, "-keyout", "tsa.key", "-out", "tsa.pem", "-subj", "/CN=Example TSA", "-extensions", "tsa",
            "-CA", "ca.pem", "-CAkey", "ca.key", cwd=cwd)
    openssl("ts", "-query", "-digest", root.hex(), "-sha256", "-cert", "-out", "q.tsq", cwd=cwd)
    openssl("ts", "-reply", "-config", "ts.cnf", "-section", "ts", "-queryfile", "q.tsq", "-signer", "tsa.pem", "-inkey", "tsa.key",
            "-token_out", "-out", "token.der", cwd=cwd)
    with open(os.path.join(cwd, "token.der"), "rb") as f, open(os.path.join(cwd, "ca.pem"), "rb") as g:
        return f.read(), g.read()


def main():
    h = {name: hashlib.sha256(data).digest() for name, data in OBJECTS.items()}
    h2abc = father(h["2a"], h["2b"], h["2c"])
    h12 = father(h["1"], h2abc)
    root = father(h12, h["3"])
    with tempfile.TemporaryDirectory() as cwd:
        token, ca = stamp(root, cwd)
    records = {
        "1": [partial(h["1"], h2abc), partial(h["3"])],
        "2": [partial(h["2a"], h["2b"], h["2c"]), partial(h["1"]), partial(h["3"])],
        "3": [partial(h["3"], h12)],
    }
    for name, data in OBJECTS.items():
        with open(name + ".txt", "wb") as f:
            f.write(data)
    with open("root.pem", "wb") as f:
        f.write(ca)
    for name, reduced in records.items():
        stamped = tlv(0x30, tlv(0xA0, SHA256[2:]), tlv(0xA2, *reduced), token)
        with open(name + ".ers", "wb") as f:
            f.write(tlv(0x30, tlv(0x02, b"\x01"), tlv(0x30, SHA256), tlv(0x30, tlv(0x30, stamped))))


main()
