package cms_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/sealmail/sealmail/smime/cms"
)

// Sign a content as it comes in, in constant memory, and send the certificate along.
func ExampleNewSignedDataWriter() {
	alice := testP256() // a certificate and its key
	content := strings.NewReader("Content-Type: text/plain\r\n\r\nHello\r\n")

	scheme, digest, err := cms.DefaultSignature(alice.cert)
	if err != nil {
		log.Fatal(err)
	}
	var message bytes.Buffer
	w, err := cms.NewSignedDataWriter(context.Background(), &message, cms.SignedDataOptions{
		Certificates: []*x509.Certificate{alice.cert},
		Signers: []cms.Signer{{
			Certificate:  alice.cert,
			Key:          alice.key,
			Scheme:       scheme,
			Digest:       digest,
			SigningTime:  testTime,
			Capabilities: cms.OwnCapabilities(),
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(w, content); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil { // signs
		log.Fatal(err)
	}

	fmt.Println(verify(&message))
	// Output:
	// signed 2026-11-21 10:02:11 +0000 UTC with ecdsa-p256: "Content-Type: text/plain\r\n\r\nHello\r\n"
	// <nil>
}

// Read a message, and release its content only after every signature was verified. Whether the certificates are to be
// trusted is another question.
func verify(message io.Reader) error {
	info, err := cms.Read(message, cms.Limits{})
	if err != nil {
		return err
	}
	signed, ok := info.(*cms.SignedData)
	if !ok || signed.Detached() {
		return errors.New("not a signed message with its content")
	}
	var quarantine bytes.Buffer
	digest, err := signed.ReadContent(context.Background(), &quarantine)
	if err != nil {
		return err
	}
	signatures, err := signed.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData})
	if err != nil {
		return err
	}
	for _, s := range signatures {
		at, _ := s.SignerInfo.SigningTime()
		fmt.Printf("signed %v with %s: %q\n", at, cms.SignatureName(s.SignerInfo, s.Certificate), quarantine.String())
	}
	return nil
}

// A detached signature is verified over a content that is elsewhere.
func ExampleSignedData_Verify() {
	alice := testP256()
	content := "Content-Type: text/plain\r\n\r\nHello\r\n"
	der, err := cms.Sign(context.Background(), []byte(content), cms.SignedDataOptions{
		Detached:     true,
		Certificates: []*x509.Certificate{alice.cert},
		Signers:      []cms.Signer{{Certificate: alice.cert, Key: alice.key, Scheme: cms.ECDSA, Digest: crypto.SHA256}},
	})
	if err != nil {
		log.Fatal(err)
	}

	for _, content := range []string{content, "Content-Type: text/plain\r\n\r\nGoodbye\r\n"} {
		info, err := cms.Read(bytes.NewReader(der), cms.Limits{})
		if err != nil {
			log.Fatal(err)
		}
		signed, ok := info.(*cms.SignedData)
		if !ok {
			log.Fatal("not a signed message")
		}
		digest, err := signed.ReadDetached(context.Background(), strings.NewReader(content))
		if err != nil {
			log.Fatal(err)
		}
		_, err = signed.Verify(digest, cms.VerifyOptions{ContentType: cms.OIDData})
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// signature 1 of 1: message digest does not match the content
}
