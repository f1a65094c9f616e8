package certstore_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/internal/peertest"
)

const bouncyCastle = "/usr/share/java/bcprov.jar"

// bcArgs make keytool use Bouncy Castle for its key stores.
var bcArgs = []string{"-providerclass", "org.bouncycastle.jce.provider.BouncyCastleProvider", "-providerpath", bouncyCastle}

// keyStores are files under a password that other programs make of a key and two certificates in PKCS#12, each named alice.
func keyStores(t *testing.T, p12 string) map[string]func(t *testing.T, out string) {
	keytool := func(args ...string) func(*testing.T, string) {
		return func(t *testing.T, out string) {
			peertest.Files(t, "Bouncy Castle", bouncyCastle)
			peertest.Run(t, "keytool", append([]string{"-importkeystore", "-noprompt", "-srckeystore", p12, "-srcstoretype", "PKCS12", "-srcstorepass", "correct horse",
				"-destkeystore", out, "-deststorepass", "correct horse", "-destkeypass", "correct horse"}, args...)...)
		}
	}
	pk12util := func(args ...string) func(*testing.T, string) {
		return func(t *testing.T, out string) {
			peertest.Run(t, "pk12util", append([]string{"-o", out, "-n", "alice", "-d", nssDatabase(t, p12), "-W", "correct horse"}, args...)...)
		}
	}
	stores := map[string]func(*testing.T, string){
		"keytool":        keytool("-deststoretype", "PKCS12"),
		"keytool legacy": keytool("-deststoretype", "PKCS12", "-J-Dkeystore.pkcs12.legacy"),
		"pk12util":       pk12util(),
	}
	for _, kind := range []string{"PKCS12", "PKCS12-3DES-3DES", "PKCS12-3DES-40RC2"} {
		stores["Bouncy Castle "+kind] = keytool(append([]string{"-deststoretype", kind, "-destprovidername", "BC"}, bcArgs...)...)
	}
	for _, cipher := range []string{"PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-CBC", "PKCS #12 V2 PBE With SHA-1 And 128 Bit RC2 CBC", "AES-128-CBC", "AES-192-CBC", "AES-256-CBC"} {
		stores["pk12util "+cipher] = pk12util("-c", cipher, "-C", cipher)
	}
	return stores
}

// nssDatabase is a new database of NSS, without a password, that a PKCS#12 file was imported into.
func nssDatabase(t *testing.T, p12 string) string {
	t.Helper()
	db := "sql:" + t.TempDir()
	peertest.Run(t, "certutil", "-N", "-d", db, "--empty-password")
	peertest.Run(t, "pk12util", "-i", p12, "-d", db, "-W", "correct horse")
	return db
}

// TestPKCS12FromPeers reads what other programs write: key, chain and name come out.
func TestPKCS12FromPeers(t *testing.T) {
	peertest.Command(t, "openssl")
	dir := t.TempDir()
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	leaf := issue(t, root, "leaf", newRSAKey(t), forMail("alice@example.org", nil))
	in, p12 := filepath.Join(dir, "chain.pem"), filepath.Join(dir, "in.p12")
	write(t, in, certstore.EncodeCertificates(leaf.cert, root.cert))
	peertest.Run(t, "openssl", "pkcs12", "-export", "-in", in, "-inkey", writeKey(t, dir, leaf), "-name", "alice", "-passout", "pass:correct horse", "-out", p12)
	for name, make := range keyStores(t, p12) {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out.p12")
			make(t, out)
			data := readFile(t, out)
			bundle, err := certstore.DecodePKCS12(data, "correct horse")
			if err != nil {
				t.Fatal(err)
			}
			pairs, rest := bundle.KeyPairs()
			if len(pairs) != 1 || len(rest) != 0 || len(pairs[0].Chain) != 2 || !pairs[0].Chain[0].Equal(leaf.cert) || pairs[0].Label != "alice" {
				t.Errorf("%d pairs, %d left: %+v", len(pairs), len(rest), pairs)
			}
			if _, err := certstore.DecodePKCS12(data, "correct horses"); err == nil {
				t.Error("a wrong password opens it")
			}
		})
	}
	t.Run("gpgsm", func(t *testing.T) {
		legacy, err := certstore.EncodeLegacyPKCS12(pair(leaf, root), "correct horse") // gpgsm 2.2 reads no other
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "legacy.p12")
		write(t, file, legacy)
		data := gpgsm(t, gpgsmHome(t, file), "--export-secret-key-p12", "alice@example.org")
		bundle, err := certstore.ReadFile(data, func() ([]byte, error) { return []byte("correct horse"), nil })
		if err != nil || len(bundle.Keys) != 1 || !certstore.KeyMatches(leaf.cert, bundle.Keys[0]) {
			t.Errorf("%d keys, %v", len(bundle.Keys), err)
		}
	})
}

// gpgsmHome is a new home of gpgsm that a PKCS#12 file was imported into.
func gpgsmHome(t *testing.T, p12 string) string {
	t.Helper()
	peertest.Command(t, "gpgsm")
	home := t.TempDir()
	write(t, filepath.Join(home, "gpg-agent.conf"), []byte("allow-loopback-pinentry\n"))
	write(t, filepath.Join(home, "gpgsm.conf"), []byte("disable-crl-checks\n"))
	t.Cleanup(func() { peertest.RunErr(t, nil, "gpgconf", "--homedir", home, "--kill", "all") })
	gpgsm(t, home, "--import", p12)
	return home
}

// gpgsm runs gpgsm with the password of the files, and returns what it writes.
func gpgsm(t *testing.T, home string, args ...string) []byte {
	t.Helper()
	out, said, err := peertest.RunErr(t, []byte("correct horse\n"), "gpgsm",
		append([]string{"--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase-fd", "0"}, args...)...)
	if err != nil {
		t.Fatalf("gpgsm %v: %v\n%s", args, err, said)
	}
	return out
}

// TestPKCS12ToPeers gives what is written here to other programs.
func TestPKCS12ToPeers(t *testing.T) {
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	leaf := issue(t, root, "leaf", newRSAKey(t), forMail("alice@example.org", nil))
	for form, encode := range map[string]func(certstore.KeyPair, string) ([]byte, error){"modern": certstore.EncodePKCS12, "legacy": certstore.EncodeLegacyPKCS12} {
		data, err := encode(pair(leaf, root), "correct horse")
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "out.p12")
		write(t, file, data)
		t.Run(form+" OpenSSL", func(t *testing.T) {
			args := []string{"pkcs12", "-in", file, "-passin", "pass:correct horse", "-nodes"}
			info := string(peertest.Run(t, "openssl", append(args, "-info")...))
			if again, err := certstore.ParsePEM([]byte(info)); err != nil || len(again.Keys) != 1 || len(again.Certificates) != 2 {
				t.Errorf("%v\n%s", err, info)
			}
		})
		t.Run(form+" NSS", func(t *testing.T) {
			if keys := peertest.Run(t, "certutil", "-K", "-d", nssDatabase(t, file)); !bytes.Contains(keys, []byte("rsa")) {
				t.Errorf("%s", keys)
			}
		})
		for reader, more := range map[string][]string{"keytool": {"-storetype", "PKCS12"}, "Bouncy Castle": append([]string{"-storetype", "PKCS12", "-providername", "BC"}, bcArgs...)} {
			t.Run(form+" "+reader, func(t *testing.T) {
				peertest.Files(t, "Bouncy Castle", bouncyCastle)
				list := peertest.Run(t, "keytool", append([]string{"-list", "-v", "-keystore", file, "-storepass", "correct horse"}, more...)...)
				if !bytes.Contains(list, []byte("PrivateKeyEntry")) || !bytes.Contains(list, []byte("chain length: 2")) {
					t.Errorf("%s", list)
				}
			})
		}
		if form != "legacy" {
			continue // gpgsm 2.2 does not read PBES2 with HMAC-SHA-256
		}
		t.Run(form+" gpgsm", func(t *testing.T) {
			if keys := gpgsm(t, gpgsmHome(t, file), "--list-secret-keys"); !bytes.Contains(keys, []byte("alice@example.org")) {
				t.Errorf("%s", keys)
			}
		})
	}
}
