package certstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/sealmail/sealmail/certstore"
	"github.com/sealmail/sealmail/certstore/vault"
	"github.com/sealmail/sealmail/internal/peertest"
	"github.com/sealmail/sealmail/internal/safeio"
	"github.com/sealmail/sealmail/smime/cms"
)

// encryptTo encrypts a text to these certificates.
func encryptTo(t *testing.T, text string, form cms.IdentifierForm, nodes ...*node) []byte {
	t.Helper()
	options := cms.EnvelopedDataOptions{Cipher: cms.AES256GCM}
	for _, n := range nodes {
		management, err := cms.DefaultKeyManagement(n.cert)
		if err != nil {
			t.Fatal(err)
		}
		options.Recipients = append(options.Recipients, cms.Recipient{Certificate: n.cert, ID: form, KeyManagement: management})
	}
	var out bytes.Buffer
	w, err := cms.NewEnvelopedDataWriter(t.Context(), &out, options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// decrypt opens a message with the first of these that it is for.
func decrypt(t *testing.T, message []byte, decrypters ...*certstore.Decrypter) (string, error) {
	t.Helper()
	info, err := cms.Read(bytes.NewReader(message), cms.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	enveloped := info.(*cms.EnvelopedData)
	for _, r := range enveloped.Recipients {
		for _, d := range decrypters {
			cek, err := d.Unwrap(t.Context(), r)
			if errors.Is(err, cms.ErrNotRecipient) {
				continue
			}
			if err != nil {
				return "", err
			}
			var out bytes.Buffer
			if err := enveloped.Decrypt(t.Context(), &out, cek, cms.DecryptOptions{}); err != nil {
				return "", err
			}
			return out.String(), nil
		}
	}
	return "", cms.ErrNotRecipient
}

func TestDecrypters(t *testing.T) {
	h := newHome(t, safeio.Disk{})
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	rsaNode := issue(t, root, "rsa", newRSAKey(t), asCA(nil)) // an authority's certificate has a key identifier
	ecNode := issue(t, root, "ec", newKey(t), asCA(nil))
	other := issue(t, root, "other", newKey(t), asCA(nil))
	h.addIdentity(t, rsaNode)
	h.addIdentity(t, ecNode)
	decrypters, problems, err := h.store.Decrypters()
	if err != nil || len(problems) != 0 || len(decrypters) != 2 {
		t.Fatal(decrypters, problems, err)
	}
	for _, form := range []cms.IdentifierForm{cms.IssuerAndSerialNumber, cms.SubjectKeyIdentifier} {
		for _, to := range [][]*node{{rsaNode}, {ecNode}, {other, ecNode}, {other, rsaNode}} {
			message := encryptTo(t, "text", form, to...)
			got, err := decrypt(t, message, decrypters...)
			if err != nil || got != "text" {
				t.Errorf("to %s: %q, %v", to[len(to)-1].cert.Subject.CommonName, got, err)
			}
		}
	}
	foreign := encryptTo(t, "text", cms.IssuerAndSerialNumber, other)
	if _, err := decrypt(t, foreign, decrypters...); !errors.Is(err, cms.ErrNotRecipient) {
		t.Errorf("mail for somebody else: %v", err)
	}
	if got, err := decrypt(t, foreign, pair(other).Decrypter()); err != nil || got != "text" {
		t.Errorf("with a key at hand: %q, %v", got, err)
	}
	h.vault.Lock()
	if _, err := decrypt(t, foreign, decrypters...); !errors.Is(err, cms.ErrNotRecipient) {
		t.Errorf("mail for somebody else needs no vault, and yet: %v", err)
	}
	if _, err := decrypt(t, encryptTo(t, "text", cms.IssuerAndSerialNumber, ecNode), decrypters...); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("while the vault is locked: %v", err)
	}
}

// TestDecrypterX25519 opens what is encrypted to the X25519 keys in the PKCS#12 files of RFC 9216, whose passwords are the
// names.
func TestDecrypterX25519(t *testing.T) {
	for _, name := range []string{"carlos", "dana"} {
		bundle, err := certstore.DecodePKCS12(readFile(t, peertest.Corpora(t, "rfc9216", name+".p12")), name)
		if err != nil {
			t.Fatal(err)
		}
		h := newHome(t, safeio.Disk{})
		pairs, _ := bundle.KeyPairs()
		for _, p := range pairs {
			if _, err := h.store.AddIdentity(t.Context(), p, "", "test", now()); err != nil {
				t.Fatal(err)
			}
		}
		decrypters, problems, err := h.store.Decrypters()
		if err != nil || len(problems) != 0 || len(decrypters) != 1 { // the other key, on Ed25519, signs
			t.Fatal(decrypters, problems, err)
		}
		to := &node{cert: decrypters[0].Certificate()}
		for _, form := range []cms.IdentifierForm{cms.IssuerAndSerialNumber, cms.SubjectKeyIdentifier} {
			if got, err := decrypt(t, encryptTo(t, "text", form, to), decrypters...); err != nil || got != "text" {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	}
}

// TestDecrypterWrongKind: a recipient entry that does not go with the key it names is refused, and nothing else.
func TestDecrypterWrongKind(t *testing.T) {
	root := issue(t, nil, "root", newKey(t), asCA(nil))
	ec := issue(t, root, "ec", newKey(t), asCA(nil))
	message := encryptTo(t, "text", cms.IssuerAndSerialNumber, ec)
	claimed := certstore.KeyPair{Key: newRSAKey(t), Chain: certs(ec)}
	if _, err := decrypt(t, message, claimed.Decrypter()); !errors.Is(err, certstore.ErrUnsupportedKey) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	info, err := cms.Read(bytes.NewReader(message), cms.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pair(ec).Decrypter().Unwrap(ctx, info.(*cms.EnvelopedData).Recipients[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
