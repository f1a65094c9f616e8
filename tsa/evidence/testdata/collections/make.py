#!/usr/bin/env python3
"""Makes the records of this folder with openssl and a few lines of DER, step by step as RFC 4998 sections 4.2 and 5.2 have it.

Two collections, of five objects and of two, are stamped with a token each, both by SHA-256; then renewed together by
time-stamp, by hash tree with SHA-512, and by time-stamp once more. Each object has its own record, made without the others.
"""

import hashlib
import os
import subprocess
import tempfile

COLLECTIONS = {"a": 5, "b": 2}
ALGORITHMS = {  # AlgorithmIdentifier without parameters (RFC 5754 section 2)
    "sha256": bytes.fromhex("300b0609608648016503040201"),
    "sha512": bytes.fromhex("300b0609608648016503040203"),
}


def tlv(tag, *parts):
    content = b"".join(parts)
    n = len(content)
    if n < 128:
        return bytes([tag, n]) + content
    length = n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def digest(name, *parts):
    return hashlib.new(name, b"".join(parts)).digest()


def tree(name, leaves):
    """Returns the root over the leaves, and for each leaf what stands beside its path to the root."""
    nodes, at, beside = list(leaves), list(range(len(leaves))), [[] for _ in leaves]
    while len(nodes) > 1:
        for leaf, i in enumerate(at):
            if i ^ 1 < len(nodes):
                beside[leaf].append(nodes[i ^ 1])
            at[leaf] = i // 2
        pairs = [sorted(nodes[i:i + 2]) for i in range(0, len(nodes), 2)]
        nodes = [pair[0] if len(pair) == 1 else digest(name, *pair) for pair in pairs]
    return nodes[0], beside


def archive_time_stamp(name, hashes, token):
    """hashes are the leaf and what stands beside its path; a leaf that is stamped itself needs no tree."""
    reduced = [] if len(hashes) == 1 else [tlv(0xA2, *(tlv(0x30, tlv(0x04, h)) for h in hashes))]
    return tlv(0x30, tlv(0xA0, ALGORITHMS[name][2:]), *reduced, token)


def sequence(chains):
    return tlv(0x30, *(tlv(0x30, *chain) for chain in chains))


class Authority:
    def __init__(self, cwd):
        self.cwd = cwd
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
digests=sha256,sha512
serial=serial
signer_digest=sha256
ess_cert_id_alg=sha256
""")
        with open(os.path.join(cwd, "serial"), "w") as f:
            f.write("01\n")
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "ts.cnf", "-days", "36500"]
        self.openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Example Root", "-extensions", "ca")
        self.openssl("req", "-x509", *curve, "-keyout", "tsa.key", "-out", "tsa.pem", "-subj", "/CN=Example TSA", "-extensions", "tsa",
                     "-CA", "ca.pem", "-CAkey", "ca.key")

    def openssl(self, *args):
        subprocess.run(["openssl", *args], cwd=self.cwd, check=True, capture_output=True)

    def read(self, name):
        with open(os.path.join(self.cwd, name), "rb") as f:
            return f.read()

    def stamp(self, name, root):
        self.openssl("ts", "-query", "-digest", root.hex(), "-" + name, "-cert", "-out", "q.tsq")
        self.openssl("ts", "-reply", "-config", "ts.cnf", "-section", "ts", "-queryfile", "q.tsq", "-signer", "tsa.pem", "-inkey", "tsa.key",
                     "-token_out", "-out", "token.der")
        return self.read("token.der")


def main():
    objects = {c: [f"object {i + 1} of {c}\n".encode() for i in range(n)] for c, n in COLLECTIONS.items()}
    with tempfile.TemporaryDirectory() as cwd:
        authority = Authority(cwd)
        records = {c: [] for c in objects}  # the chains of each object's record
        first = {}
        for c, list_ in objects.items():
            leaves = [digest("sha256", o) for o in list_]
            root, beside = tree("sha256", leaves)
            first[c] = authority.stamp("sha256", root)
            records[c] = [[[archive_time_stamp("sha256", [leaf, *path], first[c])]] for leaf, path in zip(leaves, beside)]

        # By time-stamp: over the tokens of both, which is the same for all objects of one.
        leaves = [digest("sha256", first[c]) for c in objects]
        root, beside = tree("sha256", leaves)
        token = authority.stamp("sha256", root)
        for c, leaf, path in zip(objects, leaves, beside):
            for chains in records[c]:
                chains[0].append(archive_time_stamp("sha256", [leaf, *path], token))

        # By hash tree: over each object and its own record so far; a tree for each collection, and one above them.
        values = {c: [digest("sha512", digest("sha512", o), digest("sha512", sequence(chains))) for o, chains in zip(objects[c], records[c])]
                  for c in objects}
        trees = {c: tree("sha512", values[c]) for c in objects}
        root, above = tree("sha512", [trees[c][0] for c in objects])
        token = authority.stamp("sha512", root)
        for c, over in zip(objects, above):
            for chains, leaf, path in zip(records[c], values[c], trees[c][1]):
                chains.append([archive_time_stamp("sha512", [leaf, *path, *over], token)])

        # By time-stamp: both have the same token now, so that there is one thing to stamp.
        leaf = digest("sha512", token)
        token = authority.stamp("sha512", leaf)
        for c in objects:
            for chains in records[c]:
                chains[1].append(archive_time_stamp("sha512", [leaf], token))
        root_pem = authority.read("ca.pem")

    with open("root.pem", "wb") as f:
        f.write(root_pem)
    for c in objects:
        for i, (o, chains) in enumerate(zip(objects[c], records[c]), 1):
            with open(f"{c}{i}.txt", "wb") as f:
                f.write(o)
            with open(f"{c}{i}.ers", "wb") as f:
                f.write(tlv(0x30, tlv(0x02, b"\x01"), tlv(0x30, *ALGORITHMS.values()), sequence(chains)))


main()
