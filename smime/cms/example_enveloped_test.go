package cms_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"strings"

	"github.com/sealmail/sealmail/smime/cms"
)

// Encrypt a stream for a certificate, and open it with the private key.
func ExampleNewEnvelopedDataWriter() {
	ctx := context.Background()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		log.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		log.Fatal(err)
	}

	// The sender knows the certificate.
	keyManagement, err := cms.DefaultKeyManagement(cert)
	if err != nil {
		log.Fatal(err)
	}
	var message bytes.Buffer
	w, err := cms.NewEnvelopedDataWriter(ctx, &message, cms.EnvelopedDataOptions{
		Cipher:     cms.AES256GCM,
		Recipients: []cms.Recipient{{Certificate: cert, KeyManagement: keyManagement}},
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(w, strings.NewReader("for your eyes only")); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}

	// The recipient finds its own entry among the recipients.
	info, err := cms.Read(&message, cms.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	enveloped, ok := info.(*cms.EnvelopedData)
	if !ok {
		log.Fatalf("not encrypted, but %v", info.ContentType())
	}
	for _, recipient := range enveloped.Recipients {
		agreement, ok := recipient.(*cms.KeyAgreeRecipientInfo)
		if !ok || !recipient.Recipient().Matches(cert) {
			continue
		}
		private, err := key.ECDH()
		if err != nil {
			log.Fatal(err)
		}
		cek, err := agreement.Unwrap(private)
		if err != nil {
			log.Fatal(err)
		}
		// Until Decrypt returns nil, what is in the quarantine is for nobody.
		var quarantine bytes.Buffer
		if err := enveloped.Decrypt(ctx, &quarantine, cek, cms.DecryptOptions{}); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s, %s: %s\n", enveloped.Cipher, recipient.AlgorithmName(), &quarantine)
	}
	// Output: aes-256-gcm, ecdh-p256: for your eyes only
}
