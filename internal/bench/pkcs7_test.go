//go:build unix

package bench

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net/mail"

	"go.mozilla.org/pkcs7"
)

// pkcs7OpenAll is the loop that somebody writes with go.mozilla.org/pkcs7 to do the same: for each message, one after the
// other, decode the base64, decrypt, take the multipart/signed apart, decode the signature, and verify it and the
// signer's chain. It does not compare the signer with the sender, and holds all in memory.
func pkcs7OpenAll(h house) (func() error, error) {
	messages, err := h.messages()
	if err != nil {
		return nil, err
	}
	pair, err := h.pair(reader)
	if err != nil {
		return nil, err
	}
	root, err := h.root()
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	return func() error {
		for i, message := range messages {
			sealed, err := decodeBody(message)
			if err != nil {
				return err
			}
			envelope, err := pkcs7.Parse(sealed)
			if err != nil {
				return err
			}
			clear, err := envelope.Decrypt(pair.Chain[0], pair.Key)
			if err != nil {
				return err
			}
			content, signature, err := splitSigned(clear)
			if err != nil {
				return err
			}
			signed, err := pkcs7.Parse(signature)
			if err != nil {
				return err
			}
			signed.Content = content
			if err := signed.VerifyWithChain(roots); err != nil {
				return fmt.Errorf("message %d: %w", i, err)
			}
		}
		return nil
	}, nil
}

// decodeBody decodes what follows the header.
func decodeBody(message []byte) ([]byte, error) {
	_, body, ok := bytes.Cut(message, []byte("\r\n\r\n"))
	if !ok {
		return nil, errors.New("there is no body")
	}
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(body)))
	n, err := base64.StdEncoding.Decode(decoded, body) // which passes over line ends
	return decoded[:n], err
}

// splitSigned takes a multipart/signed apart.
func splitSigned(message []byte) (content, signature []byte, err error) {
	m, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		return nil, nil, err
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return nil, nil, err
	}
	parts := bytes.Split(message, []byte("\r\n--"+params["boundary"]))
	if len(parts) != 4 {
		return nil, nil, fmt.Errorf("there are %d parts", len(parts)-2)
	}
	content = bytes.TrimPrefix(parts[1], []byte("\r\n"))
	signature, err = decodeBody(parts[2])
	return content, signature, err
}

// pkcs7SealAll is the loop for the other direction: for each letter, one after the other, sign with the same certificates
// and attributes, make a multipart/signed of it, encrypt with AES-256-CBC, and encode.
func pkcs7SealAll(h house) (func() error, error) {
	s, err := h.sealing()
	if err != nil {
		return nil, err
	}
	return func() error {
		for i := range s.letters {
			if _, err := s.sealWithPKCS7(i); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func (s *sealing) sealWithPKCS7(i int) ([]byte, error) {
	signer := s.signers[i%senders]
	signed, err := pkcs7.NewSignedData(s.letters[i])
	if err != nil {
		return nil, err
	}
	signed.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := signed.AddSignerChain(signer.Chain[0], signer.Key, signer.Chain[1:], pkcs7.SignerInfoConfig{}); err != nil {
		return nil, err
	}
	signed.Detach()
	signature, err := signed.Finish()
	if err != nil {
		return nil, err
	}
	const boundary = "=_boundary"
	var clear bytes.Buffer
	clear.WriteString("Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=\"" + boundary + "\"\r\n\r\n--" + boundary + "\r\n")
	clear.Write(s.letters[i])
	clear.WriteString("\r\n--" + boundary + "\r\nContent-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	writeBase64(&clear, signature)
	clear.WriteString("--" + boundary + "--\r\n")
	pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES256CBC // DES by default
	envelope, err := pkcs7.Encrypt(clear.Bytes(), []*x509.Certificate{s.to.Certificate})
	if err != nil {
		return nil, err
	}
	var sealed bytes.Buffer
	sealed.WriteString("Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=\"smime.p7m\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	writeBase64(&sealed, envelope)
	return sealed.Bytes(), nil
}

// writeBase64 writes lines of 76 characters.
func writeBase64(dst *bytes.Buffer, data []byte) {
	text := base64.StdEncoding.EncodeToString(data)
	for len(text) > 0 {
		n := min(len(text), 76)
		dst.WriteString(text[:n])
		dst.WriteString("\r\n")
		text = text[n:]
	}
}
