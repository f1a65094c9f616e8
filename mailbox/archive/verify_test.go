package archive_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/mailbox/archive"
)

// trusting are options that trust the signer of the world, and its tokens.
func (w *world) trusting(level archive.Level) archive.VerifyOptions {
	return archive.VerifyOptions{
		Level: level,
		Signer: func(_ context.Context, c *x509.Certificate, _ []*x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
			if !slices.ContainsFunc(w.trusted, c.Equal) && !c.Equal(w.signer.Chain[0]) || at.Before(c.NotBefore) || at.After(c.NotAfter) {
				return nil, errors.New("not the archive's")
			}
			return slices.Concat([]*x509.Certificate{c}, w.signer.Chain[1:], w.trusted), nil
		},
		Token: func(_ context.Context, token, data []byte) (*archive.Proof, error) {
			if string(token) != fmt.Sprintf("token over %x", sha512.Sum512(data)) {
				return nil, errors.New("token over something else")
			}
			return &archive.Proof{Time: now()}, nil
		},
		Evidence: func(_ context.Context, record []byte, leaves [][]byte) (*archive.Proof, error) {
			sums := strings.Split(string(record), "\n")
			if len(leaves) > 1 && len(leaves) != len(sums) {
				return nil, errors.New("not all leaves")
			}
			for i, leaf := range leaves {
				if sums[i] != fmt.Sprintf("%x", sha512.Sum512(leaf)) {
					return nil, fmt.Errorf("leaf %d", i)
				}
			}
			return &archive.Proof{Time: now().Add(time.Minute)}, nil
		},
	}
}

// verify verifies the archive in the folder.
func (w *world) verify(v archive.VerifyOptions) (*archive.Summary, []archive.Finding) {
	w.t.Helper()
	return w.verifyWith(w.storage(safeio.Disk{}), w.options(), v)
}

func (w *world) verifyWith(s archive.Storage, o archive.Options, v archive.VerifyOptions) (*archive.Summary, []archive.Finding) {
	w.t.Helper()
	var findings []archive.Finding
	summary, err := archive.Verify(w.t.Context(), s, o, v, func(f archive.Finding) error {
		findings = append(findings, f)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	damage, notes := 0, 0
	for _, f := range findings {
		if f.Severity == archive.Damage {
			damage++
		} else {
			notes++
		}
	}
	if summary.Damage != damage || summary.Notes != notes || summary.Sound() != (damage == 0) {
		w.t.Errorf("summary %+v of %d findings", summary, len(findings))
	}
	return summary, findings
}

// damaged returns what findings say is damaged.
func damaged(findings []archive.Finding) (objects []string) {
	for _, f := range findings {
		if f.Severity == archive.Damage {
			objects = append(objects, f.Object)
		}
	}
	return objects
}

// filled makes an archive of seven messages in three segments.
func filled(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	w.create()
	if _, err := w.add(t.Context(), safeio.Disk{}, 1, 7); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) object(name string) string { return filepath.Join(w.dir, filepath.FromSlash(name)) }

// put writes an object as it should not be.
func (w *world) put(name string, data []byte) {
	w.t.Helper()
	w.remove(name)
	if err := os.WriteFile(w.object(name), data, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) get(name string) []byte {
	w.t.Helper()
	data, err := os.ReadFile(w.object(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

func (w *world) remove(name string) {
	w.t.Helper()
	if err := os.Remove(w.object(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
}

func (w *world) list() []string {
	w.t.Helper()
	names, err := w.storage(safeio.Disk{}).List(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return names
}

func TestVerifySound(t *testing.T) {
	w := filled(t)
	_, witness := w.open().Head()
	for _, test := range []struct {
		level   archive.Level
		sample  int
		checked int64
	}{{archive.Quick, 0, 0}, {archive.Sample, 4, 4}, {archive.Sample, 100, 7}, {archive.Full, 0, 7}} {
		v := w.trusting(test.level)
		v.Sample, v.Witness = test.sample, witness
		var last archive.Progress
		v.Progress = func(p archive.Progress) { last = p }
		s, findings := w.verify(v)
		if len(findings) > 0 {
			t.Errorf("level %d: %+v", test.level, findings)
		}
		if s.Checked != test.checked || s.Segments != 3 || s.Messages != 7 || s.Objects != 3+3*5 || s.Headless || s.WithoutKeys != 0 || s.Unstamped != 0 ||
			!s.SignersJudged || !s.TimesJudged || !s.WitnessChecked || !s.Earliest.Equal(now()) || s.Archive == "" || s.Sequence != 4 {
			t.Errorf("level %d: %+v", test.level, s)
		}
		if last.Octets != last.AllOctets || last.Octets == 0 || last.Messages != test.checked || last.AllMessages != test.checked {
			t.Errorf("level %d: progress %+v", test.level, last)
		}
	}
	// An auditor has neither keys nor trust.
	s, findings := w.verifyWith(w.storage(safeio.Disk{}), archive.Options{Now: now}, archive.VerifyOptions{Level: archive.Full})
	if len(findings) > 0 || s.Checked != 0 || s.WithoutKeys != 3 || s.SignersJudged || s.TimesJudged || s.WitnessChecked || !s.Earliest.IsZero() {
		t.Errorf("auditor: %+v, %+v", s, findings)
	}
	if _, err := archive.Verify(t.Context(), archive.NewFolder(safeio.Disk{}, t.TempDir()), w.options(), w.trusting(archive.Quick), nil); !errors.Is(err, archive.ErrNoArchive) {
		t.Errorf("nothing there: %v", err)
	}
}

// TestVerifyEachOctet changes each octet of each object of a small archive, twice. Each change is found, and the object named: also
// by who trusts nobody, and where the certificates of the head are a chain.
func TestVerifyEachOctet(t *testing.T) {
	stride := 1
	if testing.Short() {
		stride = 37
	}
	mustDamage := true
	check := func(w *world, v archive.VerifyOptions, names []string) {
		t.Helper()
		for _, name := range names {
			data := w.get(name)
			w.put(name, data) // which can be written to
			for i := 0; i < len(data); i += stride {
				for _, change := range []byte{1, 0x80} {
					data[i] ^= change
					if err := os.WriteFile(w.object(name), data, 0o600); err != nil {
						t.Fatal(err)
					}
					data[i] ^= change
					s, findings := w.verify(v)
					if (s.Sound() && mustDamage) || !slices.ContainsFunc(findings, func(f archive.Finding) bool { return f.Object == name }) {
						t.Errorf("%s: octet %d with %#x: %+v", name, i, change, findings)
					}
				}
			}
			w.put(name, data)
		}
		if s, findings := w.verify(v); !s.Sound() {
			t.Errorf("afterwards: %+v", findings)
		}
	}
	one := func(signer archive.Signer) *world {
		t.Helper()
		w := newWorld(t)
		w.signer = signer
		w.setWrite()
		w.create()
		if _, err := w.add(t.Context(), safeio.Disk{}, 1, 1); err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := one(certificate(t, "Archive"))
	check(w, w.trusting(archive.Quick), w.list())
	w = one(chain(t))
	check(w, archive.VerifyOptions{}, []string{"head", "archive.json", "seg/000001.p7s"})
	// Another one signs by now, whose certificates archive.json knows nothing of.
	w.trusted, w.signer = w.signer.Chain, chain(t)
	w.setWrite()
	if _, err := w.add(t.Context(), safeio.Disk{}, 2, 2); err != nil {
		t.Fatal(err)
	}
	check(w, w.trusting(archive.Quick), []string{"head"})
	// Who trusts nobody and sees a certificate for which nothing speaks can only be told so.
	mustDamage = false
	check(w, archive.VerifyOptions{}, []string{"head"})
}

// chain makes a certificate that another one has issued.
func chain(t testing.TB) archive.Signer {
	t.Helper()
	root := certificate(t, "Root")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Archive"}, NotBefore: now().Add(-time.Hour), NotAfter: now().AddDate(2, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, root.Chain[0], key.Public(), root.Key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return archive.Signer{Key: key, Chain: []*x509.Certificate{c, root.Chain[0]}}
}

// TestVerifyObjects changes, removes, cuts, extends and exchanges each object.
func TestVerifyObjects(t *testing.T) {
	w := filled(t)
	v := w.trusting(archive.Quick)
	names := w.list()
	expect := func(what, name string) {
		t.Helper()
		s, findings := w.verify(v)
		if s.Sound() || !strings.Contains(strings.Join(damaged(findings), " "), name) {
			t.Errorf("%s: %s: %+v", name, what, findings)
		}
		for _, object := range damaged(findings) {
			if object != name && name != "head" && name != "archive.json" {
				t.Errorf("%s: %s: also %s", name, what, object)
			}
		}
	}
	for i, name := range names {
		data := w.get(name)
		w.remove(name)
		expect("removed", name)
		if err := os.Symlink(filepath.Join(t.TempDir(), "elsewhere"), w.object(name)); err != nil {
			t.Fatal(err)
		}
		expect("a link", name)
		step := max(1, len(data)/40)
		for n := 0; n < len(data); n += step {
			w.put(name, data[:n])
			expect(fmt.Sprintf("cut to %d", n), name)
		}
		w.put(name, append(bytes.Clone(data), 0))
		expect("extended", name)
		w.put(name, append(bytes.Clone(data), data...))
		expect("doubled", name)
		for _, other := range names[:i] {
			if filepath.Ext(other) == filepath.Ext(name) && filepath.Dir(other) == filepath.Dir(name) {
				w.put(name, w.get(other))
				expect("the same as "+other, name)
			}
		}
		w.put(name, data)
	}
	for name, code := range map[string]archive.Code{
		"notes.txt": archive.ObjectForeign, "seg/notes.txt": archive.ObjectUnexpected, "keys/000001.k02": archive.LeftBehind, "seg/000005.zip": archive.RolledBack,
		"seg/000004.zip": archive.LeftBehind, "log/000001.p7m": archive.LeftBehind, "log/000002.p7m": archive.RolledBack, "seg/000001.r01.ers": archive.LeftBehind,
		"seg/000001.zip.bak": archive.ObjectUnexpected,
	} {
		if err := os.MkdirAll(filepath.Dir(w.object(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		w.put(name, []byte("unknown"))
		_, findings := w.verify(v)
		if len(findings) != 1 || findings[0].Object != name || findings[0].Code != code {
			t.Errorf("%s added: %+v", name, findings)
		}
		w.remove(name)
	}
}

// TestVerifyMeanwhile verifies while another one writes: what comes in is no damage.
func TestVerifyMeanwhile(t *testing.T) {
	w := filled(t)
	v := w.trusting(archive.Quick)
	from := 8
	for step := range 40 {
		// Something is archived between two steps of verification, each time at another one.
		n := 0
		s := failing{w.storage(safeio.Disk{}), func(string, int64, int64) error {
			if n++; n == step {
				if _, err := w.add(t.Context(), safeio.Disk{}, from, from); err != nil {
					t.Error(err)
				}
				from++
			}
			return nil
		}}
		v.Workers = 1
		summary, findings := w.verifyWith(s, w.options(), v)
		for _, f := range findings {
			t.Errorf("step %d: %+v", step, f)
		}
		if int(summary.Messages) > from {
			t.Errorf("step %d: %d messages", step, summary.Messages)
		}
	}
	// And the other way round: at each step of a writer.
	steps := 0
	disk := safeio.Disk{Before: func(string, string) error {
		steps++
		if s, findings := w.verify(v); !s.Sound() {
			t.Errorf("at step %d of a writer: %+v", steps, findings)
		}
		return nil
	}}
	if _, err := w.add(t.Context(), disk, from, from+3); err != nil || steps < 20 {
		t.Errorf("%d steps, %v", steps, err)
	}
}
