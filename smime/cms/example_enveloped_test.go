package cms_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/sealmail/sealmail/smime/cms"
)

// Encrypt a content as it comes in, in constant memory. The recipient's certificate is all that is needed.
func ExampleNewEnvelopedDataWriter() {
	bob := testP256() // a certificate and its key
	content := strings.NewReader("Content-Type: text/plain\r\n\r\nFor your eyes only\r\n")

	keyManagement, err := cms.DefaultKeyManagement(bob.cert)
	if err != nil {
		log.Fatal(err)
	}
	var message bytes.Buffer
	w, err := cms.NewEnvelopedDataWriter(context.Background(), &message, cms.EnvelopedDataOptions{
		Cipher:     cms.AES256GCM,
		Recipients: []cms.Recipient{{Certificate: bob.cert, KeyManagement: keyManagement}},
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(w, content); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil { // writes the tag
		log.Fatal(err)
	}

	fmt.Println(decrypt(&message, bob))
	// Output:
	// aes-256-gcm, ecdh-p256: "Content-Type: text/plain\r\n\r\nFor your eyes only\r\n"
	// <nil>
}

// Only who has the key can open a message.
func ExampleEnvelopedData_Decrypt() {
	ctx := context.Background()
	bob, eve := testP256(), otherP256()
	var message bytes.Buffer
	w, err := cms.NewEnvelopedDataWriter(ctx, &message, cms.EnvelopedDataOptions{
		Cipher:     cms.AES256GCM,
		Recipients: []cms.Recipient{{Certificate: bob.cert, KeyManagement: cms.ECDHStdSHA256}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(w, "Hello")
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}

	altered := bytes.Clone(message.Bytes())
	altered[len(altered)-12]++ // in the tag
	fmt.Println(decrypt(bytes.NewReader(message.Bytes()), bob))
	fmt.Println(decrypt(bytes.NewReader(message.Bytes()), eve))
	fmt.Println(decrypt(bytes.NewReader(altered), bob))
	// Output:
	// aes-256-gcm, ecdh-p256: "Hello"
	// <nil>
	// message is not encrypted to this certificate
	// message cannot be decrypted
}

// Read a message, try the key on every recipient that is its owner, and release the content only where all is well.
func decrypt(message io.Reader, recipient identity) error {
	info, err := cms.Read(message, cms.Limits{})
	if err != nil {
		return err
	}
	enveloped, ok := info.(*cms.EnvelopedData)
	if !ok {
		return errors.New("not an encrypted message")
	}
	key, err := recipient.key.(*ecdsa.PrivateKey).ECDH()
	if err != nil {
		return err
	}
	for _, r := range enveloped.Recipients {
		agreement, ok := r.(*cms.KeyAgreeRecipientInfo)
		if !ok || !r.Recipient().Matches(recipient.cert) {
			continue
		}
		cek, err := agreement.Unwrap(key)
		if err != nil {
			return err
		}
		var quarantine bytes.Buffer
		if err := enveloped.Decrypt(context.Background(), &quarantine, cek, cms.DecryptOptions{}); err != nil {
			return err
		}
		fmt.Printf("%s, %s: %q\n", enveloped.Cipher, r.AlgorithmName(), quarantine.String())
		return nil
	}
	return cms.ErrNotRecipient
}
