package interop

import (
	"bufio"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sealmail/sealmail/internal/peertest"
)

const bouncyCastleHow = "the Java program in `testdata/interop` with `CMSSignedDataGenerator`, `CMSEnvelopedDataGenerator`, `CMSAuthEnvelopedDataGenerator` and so on, and the classes that read; " +
	"DigestedData, an originator named by certificate, X25519 and HKDF, which its generators do not have, are put together from its parts"

// The classes of Bouncy Castle, as Debian installs them.
var bouncyCastleJars = []string{"/usr/share/java/bcprov.jar", "/usr/share/java/bcpkix.jar", "/usr/share/java/bcutil.jar"}

func needsBouncyCastle(t testing.TB) {
	peertest.Files(t, "Bouncy Castle", bouncyCastleJars...)
	programs("java", "javac")(t)
}

// bouncyCastle is one Java process that does one job after another.
type bouncyCastle struct {
	*pki
	mutex   sync.Mutex
	jobs    io.Writer
	answers *bufio.Reader
}

// startBouncyCastle compiles and starts the Java program; it ends with t.
func startBouncyCastle(t testing.TB, p *pki) (peer, string) {
	checkout, err := peertest.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob(filepath.Join(checkout, "testdata", "interop", "*.java"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("%d sources, %v", len(sources), err)
	}
	classes, jars := t.TempDir(), strings.Join(bouncyCastleJars, ":")
	// What the compiler that starts fast makes of the code is fast enough, for both.
	javac := []string{"-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-proc:none", "-encoding", "UTF-8", "-nowarn", "-d", classes, "-cp", jars}
	peertest.Run(t, "javac", append(javac, sources...)...)
	java := exec.Command(peertest.Command(t, "java"), "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", jars+":"+classes, "Interop")
	jobs, err := java.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := java.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	java.Stderr = &said
	if err := java.Start(); err != nil {
		t.Fatal(err)
	}
	b := &bouncyCastle{pki: p, jobs: jobs, answers: bufio.NewReader(answers)}
	t.Cleanup(func() {
		jobs.Close() // the program ends with its input
		if err := java.Wait(); err != nil {
			t.Errorf("java: %v\n%s", err, said.String())
		}
	})
	version, err := b.answers.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return b, "Bouncy Castle " + strings.TrimSpace(version)
}

// job is what the Java program's class Job reads.
type job struct{ strings.Builder }

func newJob(op string) *job {
	j := &job{}
	j.WriteString("op=" + op)
	return j
}

func (j *job) text(name, value string) *job {
	fmt.Fprintf(j, " %s=%s", name, value)
	return j
}

func (j *job) bytes(name string, value []byte) *job {
	return j.text(name, base64.StdEncoding.EncodeToString(value))
}

func (j *job) set(name string, on bool) *job {
	if on {
		j.text(name, "")
	}
	return j
}

// do has the program do a job.
func (b *bouncyCastle) do(t testing.TB, j *job) ([]byte, error) {
	t.Helper()
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if _, err := io.WriteString(b.jobs, j.String()+"\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := b.answers.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if text, ok := strings.CutPrefix(answer, "yes "); ok {
		data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil {
			t.Fatal(err)
		}
		return data, nil
	}
	return nil, limit(strings.TrimSpace(strings.TrimPrefix(answer, "no ")))
}

func (b *bouncyCastle) write(t testing.TB, f form) ([]byte, error) {
	t.Helper()
	switch f.kind {
	case signedData, certsOnly:
		j := newJob("sign").bytes("content", content).set("detached", f.detached).set("stream", f.ber).set("bare", f.bare)
		for i, s := range f.signers {
			id, prefix := b.ids[s.who], fmt.Sprintf("signer%d.", i)
			j.bytes(prefix+"cert", id.cert.Raw).bytes(prefix+"key", id.pkcs8(t)).text(prefix+"algorithm", javaSignature(s))
			if s.keyID {
				j.bytes(prefix+"keyID", id.cert.SubjectKeyId)
			}
		}
		return b.do(t, b.bag(j, f))
	case envelopedData:
		j := newJob("encrypt").bytes("content", content).text("cipher", cipherOIDs[f.cipher].String()).set("attributes", f.attributes)
		if bits, ok := strings.CutPrefix(f.cipher, "rc2-"); ok {
			j.text("keySize", strings.TrimSuffix(bits, "-cbc"))
		}
		if f.originators {
			j.bytes("originatorInfo", b.ids["originator"].cert.Raw)
		}
		for i, r := range f.recipients {
			b.recipient(t, j, fmt.Sprintf("recipient%d.", i), r)
		}
		return b.do(t, j)
	case encryptedData:
		return b.do(t, newJob("encryptData").bytes("content", content).text("cipher", cipherOIDs[f.cipher].String()).bytes("key", b.kek[:keySize(f.cipher)]))
	case compressedData:
		return b.do(t, newJob("compress").bytes("content", content))
	case digestedData:
		return b.do(t, newJob("digest").bytes("content", content).text("hash", hashNames[f.hash]))
	}
	return nil, errors.New("form of no kind")
}

// bag names what goes along with the signers.
func (b *bouncyCastle) bag(j *job, f form) *job {
	for i, cert := range b.certificates(f) {
		j.bytes(fmt.Sprintf("bag%d.cert", i), cert.Raw)
	}
	if f.crl {
		j.bytes("crl", b.crl)
	}
	if f.ocsp {
		j.bytes("ocsp", b.ocsp)
	}
	if f.values {
		j.bytes("valuesCRL", b.crl).bytes("valuesOCSP", b.ocsp)
	}
	return j
}

// certificates are those in the bag of a SignedData.
func (p *pki) certificates(f form) (certs []*x509.Certificate) {
	if f.kind == certsOnly {
		return []*x509.Certificate{p.ids["rsa"].cert, p.ids["p256"].cert}
	}
	for _, s := range f.signers {
		certs = append(certs, p.ids[s.who].cert)
	}
	return certs
}

// javaSignature is the name of a signature algorithm in Java.
func javaSignature(s signer) string {
	hash := strings.ReplaceAll(hashNames[s.hash], "-", "")
	switch {
	case s.who == "ed25519":
		return "Ed25519"
	case s.who != "rsa":
		return hash + "withECDSA"
	case s.pss:
		return hash + "withRSAandMGF1"
	}
	return hash + "withRSA"
}

func (b *bouncyCastle) recipient(t testing.TB, j *job, prefix string, r recipient) {
	id := b.ids[r.who]
	if id.cert != nil {
		j.bytes(prefix+"cert", id.cert.Raw)
	}
	if r.keyID {
		j.bytes(prefix+"keyID", id.cert.SubjectKeyId)
	}
	switch r.way {
	case rsaPKCS1v15:
		j.text(prefix+"way", "rsa")
	case rsaOAEP:
		j.text(prefix+"way", "oaep").text(prefix+"hash", hashNames[r.hash]).text(prefix+"mgf", hashNames[r.mgfHash()])
		if r.label {
			j.bytes(prefix+"label", b.label)
		}
	case agreeX963, agreeCofactor, agreeHKDF:
		j.text(prefix+"way", "agree").text(prefix+"scheme", schemeOIDs[r.way][r.hash].String()).text(prefix+"wrap", r.wrapOID().String()).set(prefix+"parts", byParts(r))
		if r.static {
			o := b.ids["originator"]
			j.bytes(prefix+"originator", o.cert.Raw).bytes(prefix+"originatorKey", o.pkcs8(t))
		}
		if r.ukm {
			j.bytes(prefix+"ukm", b.kekID)
		}
	case sharedKEK:
		j.text(prefix+"way", "kek").set(prefix+"des", r.des).bytes(prefix+"kek", b.kek[:r.wrap/8]).bytes(prefix+"keyID", b.kekID)
	case password:
		j.text(prefix+"way", "password").text(prefix+"hash", hashNames[r.hash]).text(prefix+"wrap", cipherOIDs[r.passwordCipher()].String()).bytes(prefix+"password", b.password)
	}
}

// byParts tells whether the CMS of Bouncy Castle 1.72 does not have the key agreement.
func byParts(r recipient) bool { return r.way == agreeHKDF || r.who == "x25519" }

func (b *bouncyCastle) read(t testing.TB, f form, message, detached []byte) ([]byte, error) {
	t.Helper()
	switch f.kind {
	case signedData, certsOnly:
		j := newJob("verify").bytes("message", message).text("signers", fmt.Sprint(len(f.signers))).set("detached", f.detached)
		if f.detached {
			j.bytes("content", detached)
		}
		return b.do(t, b.bag(j, f))
	case encryptedData:
		return b.do(t, newJob("decryptData").bytes("message", message).bytes("key", b.contentKey(f, message)))
	case compressedData:
		return b.do(t, newJob("uncompress").bytes("message", message))
	case digestedData:
		return b.do(t, newJob("verifyDigest").bytes("message", message))
	}
	var got []byte
	for _, r := range f.recipients {
		j := newJob("decrypt").bytes("message", message)
		b.recipient(t, j, "", r)
		if id := b.ids[r.who]; id.key != nil {
			j.bytes("key", id.pkcs8(t))
		}
		one, err := b.do(t, j)
		if err != nil {
			return nil, err
		}
		if got != nil && string(one) != string(got) {
			t.Errorf("%s reads another content", r.who)
		}
		got = one
	}
	return got, nil
}
