package interop

import (
	"testing"
)

const sample = "This is some sample content."

// rfc4134 are the examples of RFC 4134: SHA-1, DSA, Triple-DES and RC2.
func rfc4134(t *testing.T, c *corpus) {
	c.keysOf(t, "BobRSASignByCarl.cer", "BobPrivRSAEncrypt.pri")
	const (
		dsa = "sha1/dsa-sha1: unsupported"
		rsa = "sha1/rsa-pkcs1v15: weak"
		key = "737c791f25ead0e04629254352f7dc6291e5cb26917ada32"
	)
	c.entries = []entry{
		{"3.1.bin 3.2.bin", refused("unsupported content type 1.2.840.113549.1.7.1")},
		{"4.1.bin 4.4.bin 4.7.bin 4.10.bin", message{layers: "opaque " + dsa, content: sample}.holds},
		{"4.2.bin 4.5.bin", message{layers: "opaque " + rsa, content: sample}.holds},
		{"4.3.bin", message{layers: "detached " + dsa, content: sample, beside: "ExContent.bin"}.holds},
		{"4.6.bin", message{layers: "opaque " + dsa + ", " + dsa, content: sample}.holds},
		{"4.8.eml", message{layers: "detached " + dsa, content: "\n" + sample}.holds},
		{"4.9.eml", message{layers: "opaque " + dsa, content: "\r\n" + sample}.holds},
		{"4.11.bin", bag(2, 1)},
		{"5.1.bin 5.3.eml", message{layers: "enveloped-data 3des-cbc rsa-pkcs1v15: decrypted", content: sample}.holds},
		{"5.2.bin", message{layers: "enveloped-data rc2-cbc rsa-pkcs1v15+rc2-wrap: decrypted", content: sample}.holds},
		{"6.0.bin", digested(sample)},
		{"7.1.bin", underKey(key, sample, 0)},
		{"7.2.bin", underKey(key, sample, 1)},
		{"*RSA*.cer", certificates(1)},
		{"AliceDSS*.cer CarlDSS*.cer", certificates(1)},
		{"DianeDSS*.cer", because("its DSA parameters are those of the issuer, which crypto/x509 refuses; 4.6.bin has it in its bag")},
		{"*RSA*.pri", privateKey},
		{"*DSS*.pri", because("private keys for DSA, with which nothing is signed here")},
		{"*.crl", because("lists of version 1, which crypto/x509 refuses; 4.4.bin has one in its bag")},
		{"ExContent.bin", because("the content of the examples")},
		{"rfc4134.txt", because("prose")},
	}
}

// rfc9216 are the sample identities of RFC 9216, with which everything is done that they are for.
func rfc9216(t *testing.T, c *corpus) {
	c.entries = []entry{
		{"alice-sign.crt.pem bob-sign.crt.pem carlos-sign.crt.pem dana-sign.crt.pem", signsAndVerifies},
		{"alice-encrypt.crt.pem bob-encrypt.crt.pem carlos-encrypt.crt.pem dana-encrypt.crt.pem", encryptsAndDecrypts},
		{"*-sign.key.pem *-encrypt.key.pem", pairs},
		{"*.p12", samePairs},
		{"ca-rsa.crt.pem ca-ed25519.crt.pem", issuers},
		{"ca-rsa-cross.crt.pem ca-ed25519-cross.crt.pem", crossed},
		{"ca-*.key.pem", pairs},
	}
}

// thunderbird are messages that Thunderbird tests with: expected.json says what it makes of them, by a policy that takes
// no SHA-1.
func thunderbird(t *testing.T, c *corpus) {
	for _, name := range []string{"Alice", "Alice-ec", "Bob", "Dave", "Eve", "Fran", "Fran-ec"} {
		c.keysIn(t, name+".p12", "nss")
	}
	c.expect(t, "expected.json")
	const (
		mime      = "Content-Type: text/plain; charset=utf-8; format=flowed"
		text      = "Content-Type: text/plain\r\n\r\nThis is a test message from Alice"
		html      = "Content-Type: text/html\r\n\r\n<html><body>"
		encrypted = "enveloped-data aes-128-cbc rsa-pkcs1v15: decrypted"
		detached  = "detached HASH/rsa-pkcs1v15: "
		opaque    = "opaque HASH/rsa-pkcs1v15: "
		fran      = "This is a test message to Fran.\n"
	)
	c.entries = []entry{
		{"alice.env.eml", message{layers: encrypted, content: mime}.asExpected},
		{"alice.dsig.SHA*.multipart.eml", message{layers: detached + "GOOD", content: mime}.asExpected},
		{"alice.dsig.SHA*.multipart.bad.eml", message{layers: detached + "other content", content: mime}.asExpected},
		{"alice.dsig.SHA*.multipart.mismatch-econtent.eml", message{layers: detached + "two contents", content: mime}.asExpected},
		{"alice.dsig.SHA*.multipart.env.eml", message{layers: encrypted + " > " + detached + "GOOD", content: mime}.asExpected},
		{"alice.env.dsig.SHA*.multipart.eml", message{layers: detached + "other content > " + encrypted, content: mime}.asExpected},
		{"alice.sig.SHA*.opaque.eml", message{layers: opaque + "GOOD", content: text}.asExpected},
		{"alice.sig.SHA*.opaque.env.eml", message{layers: encrypted + " > " + opaque + "GOOD", content: text}.asExpected},
		{"alice.env.sig.SHA*.opaque.eml", message{layers: opaque + "GOOD > " + encrypted, content: mime}.asExpected},
		{"alice.html.sig.SHA*.opaque.eml", message{layers: opaque + "GOOD", content: html}.holds},
		{"alice.html.sig.SHA*.opaque.env.eml", message{layers: encrypted + " > " + opaque + "GOOD", content: html}.holds},

		// What the mails were made of.
		{"alice.dsig.SHA1.multipart alice.dsig.SHA256.multipart alice.dsig.SHA384.multipart alice.dsig.SHA512.multipart",
			message{layers: detached + "GOOD", content: mime}.holds},
		{"alice.dsig.SHA*.multipart.mismatch-econtent", message{layers: detached + "two contents", content: mime}.holds},
		{"alice.sig.SHA1.opaque alice.sig.SHA256.opaque alice.sig.SHA384.opaque alice.sig.SHA512.opaque", message{layers: opaque + "GOOD", content: text}.holds},
		{"alice.mime.dsig.SHA*", message{layers: detached + "GOOD", content: mime, beside: "alice.mime"}.holds},
		{"alice.textplain.sig.SHA*", message{layers: opaque + "GOOD", content: text}.holds},
		// To a certificate of an earlier authority, whose key is not here.
		{"alice.mime.env alice.sig.SHA*.opaque.env alice.dsig.SHA*.multipart.env", message{layers: "enveloped-data aes-128-cbc rsa-pkcs1v15: undecryptable"}.holds},
		{"alice.mime alice.textplain", because("contents")},

		{"interop/fran-ec_*.env", message{layers: "enveloped-data CIPHER ecdh-p384: decrypted", content: fran}.holds},
		{"interop/fran-oaep-*.env interop/fran-oaep_ossl.env", message{layers: "enveloped-data CIPHER rsa-oaep: decrypted", content: fran}.holds},
		{"*.p12 interop/*.p12", opens("nss")},
		{"TestCA.pem", certificates(1)},
		{"README.md expiration.txt expected.json", because("prose, and what is expected")},
	}
}

// nssCorpus are messages that NSS exchanges with OpenSSL; all decrypt.
func nssCorpus(t *testing.T, c *corpus) {
	c.keysIn(t, "Fran.p12", "nss")
	c.keysIn(t, "Fran-ec.p12", "nss")
	const fran = "This is a test message to Fran.\n"
	c.entries = []entry{
		{"fran-ec_*.env", message{layers: "enveloped-data CIPHER ecdh-p384: decrypted", content: fran}.holds},
		{"fran-oaep*.env", message{layers: "enveloped-data CIPHER rsa-oaep: decrypted", content: fran}.holds},
		{"*.p12", opens("nss")},
	}
}

// bouncyCastleCorpus are messages of many programs with which somebody once had trouble.
func bouncyCastleCorpus(t *testing.T, c *corpus) {
	c.keysOf(t, "cert.pem", "key.pem")
	c.keysOf(t, "smimeTKcert.pem", "smimeTKkey.pem")
	c.keysOf(t, "ecdh/ecc.crt", "ecdh/ecc.key")
	const sess = "abcdefghijklmnopqrstuvwxyz0123456789\r\n"
	c.entries = []entry{
		{"ecdh/encSess?.asc", message{layers: "enveloped-data CIPHER ecdh-p256: decrypted", content: sess}.holds},
		{"test192.message", message{layers: "enveloped-data aes-192-cbc rsa-pkcs1v15: decrypted", content: "MIME-Version: 1.0\r\nContent-Type: multipart/mixed;"}.holds},
		// They name the certificate, and its key gives another content key; OpenSSL says "bad decrypt".
		{"test128.message", message{layers: "enveloped-data aes-128-cbc rsa-pkcs1v15: failed"}.holds},
		{"test256.message", message{layers: "enveloped-data aes-256-cbc rsa-pkcs1v15: failed"}.holds},
		{"dotnet_encrypted_mail.eml outlook_2010_beta_sime_msg.eml", message{layers: "enveloped-data 3des-cbc rsa-pkcs1v15: undecryptable"}.holds}, // no key
		{"embeddedmulti.message", message{layers: "detached sha1/rsa-pkcs1v15: weak", content: "Content-Type: multipart/mixed;"}.holds},
		{"extra-nl.eml", message{layers: "detached sha1/rsa-pkcs1v15: weak", content: "Content-Type: multipart/mixed;"}.holds},
		{"multi-alternative.eml", message{layers: "detached sha1/rsa-pkcs1v15: weak", content: "Content-Type: multipart/mixed;"}.holds},
		{"qp-soft-break.eml quotable.message", message{layers: "detached sha1/rsa-pkcs1v15: weak", content: "Content-Type: text/plain;"}.holds},
		{"openssl-signed-sha256-non-default-salt-length.eml", message{layers: "detached sha256/rsa-pss: good", content: "Content-Type: text/plain\r\n"}.holds},
		{"3nnn_smime.eml", message{layers: "detached sha256/rsa-pkcs1v15: good", content: "Content-type: multipart/mixed;"}.holds},
		// A detached signature as the whole of a mail: an attachment, and no layer.
		{"brokenEnv.message", message{content: "Content-Type: application/pkcs7-signature;"}.holds},
		// HTTP: a request line stands before the message.
		{"basicAS2.message rawAS2.message", message{layers: "detached sha1/rsa-pkcs1v15: weak", content: "Content-Type: ", cut: "HTTP/1.1\r\n"}.holds},
		{"attachonly.eml", message{content: "Date: "}.holds},
		{"cert.pem smimeTKcert.pem dotnet_enc_cert.pem ecdh/ecc.crt certpath_*.crt", certificates(1)},
		{"key.pem smimeTKkey.pem ecdh/ecc.key", privateKey},
		{"johndoe.p12", opens("")},
		{"ecdh/sess.txt", because("the content of the others there")},
	}
}

// gnupgCorpus are messages of 2001, from the beginnings of gpgsm, and certificates of that time.
func gnupgCorpus(t *testing.T, c *corpus) {
	c.sExpression(t, "cert_g10code_test1.der", "32100C27173EF6E9C4E9A25D3D69F86D37A4F939")
	// gpgsm then left out the content-type attribute, which MUST be there (RFC 5652 section 5.3): good ones and tampered
	// ones are refused alike.
	const (
		missing   = "sha1/rsa-pkcs1v15: attribute missing"
		encrypted = "enveloped-data aes-128-cbc rsa-pkcs1v15: decrypted"
	)
	c.entries = []entry{
		{"text-1.osig.pem", message{layers: "opaque " + missing, content: "High Priest:"}.holds},
		{"text-2.osig.pem", message{layers: "opaque " + missing, content: "Military intelligence"}.holds},
		{"text-1.osig-bad.pem text-1.osig-badusage.pem", message{layers: "opaque " + missing, content: "High Priest:", cut: "\n\n"}.holds},
		{"text-2.osig-bad.pem", message{layers: "opaque " + missing, content: "Military intelligence", cut: "\n\n"}.holds},
		{"text-1.dsig.pem", message{layers: "detached " + missing, content: "High Priest:", beside: "text-1.txt"}.holds},
		{"plain-1.cms.asc", message{layers: encrypted, content: "<!-- Dies ist Seite 3,"}.holds},
		{"plain-2.cms.asc", message{layers: encrypted, content: "\n\n<sect>Vorwort\n"}.holds},
		{"plain-3.cms.asc", message{layers: encrypted, content: "Dies ist eine einfache Zeile ohne LF am Ende."}.holds},
		{"plain-large.cms.asc", message{layers: encrypted, content: "# HACKING "}.holds},
		{"cert_cci_test_wzs.pem", because("base64 of the base64 of PEM without content")},
		{"cert_cci_sphinx_ca.pem cert_cci_test_zs.pem cert_cci_user*.pem cert_dfn_*.der cert_g10code_test1.der cert_testpki_testpca.pem samplekeys/*.der samplekeys/cert*.pem samplekeys/gte.pem samplekeys/ossl-rentec-user.pem samplekeys/steed-self-signing-nonthority.pem", certificates(1)},
		{"crl_testpki_testpca.pem", revocationList},
		{"samplekeys/*.p12 samplekeys/*.pfx", because("opened, or refused with a reason, by TestPKCS12Corpora of package certstore")},
		{"key_g10code_*.pem skey_g10code_test1.pem", because("private keys in an old encryption of PEM, which is not read")},
		{"32100C27173EF6E9C4E9A25D3D69F86D37A4F939 567064FE6D14A17B2D811ABB407728BC558AA455 samplekeys/*.key", because("private keys in the form of libgcrypt")},
		{"text-?.txt runtest samplekeys/README samplekeys/Description-p12", because("contents, prose and a script")},
	}
}

// james are mails for which Apache James has tests.
func james(t *testing.T, c *corpus) {
	c.keysIn(t, "smime.p12", "secret")
	c.entries = []entry{
		{"crypted.eml crypted_with_attachment.eml", message{layers: "enveloped-data 3des-cbc rsa-pkcs1v15: decrypted", content: "Content-Type: "}.holds},
		{"bad_crypted.eml", message{layers: "enveloped-data 3des-cbc rsa-pkcs1v15: undecryptable"}.holds}, // to somebody else
		{"mail-with-signature-and-multi-certs.eml", message{layers: "opaque sha256/rsa-pkcs1v15: good", content: "From: user@james.org\r\n"}.holds},
		{"mail_with_signature.eml", message{layers: "detached sha256/rsa-pkcs1v15: good", content: "Content-Type: text/plain\r\n"}.holds},
		{"mail_with_signature_and_content_type_xpkcs7mime.eml", message{layers: "opaque sha256/rsa-pkcs1v15: good", content: "Content-Type: text/plain\r\n"}.holds},
		{"mail_with_bad_signature.eml", message{layers: "detached sha1/rsa-pkcs1v15: other content", content: "Content-Type: text/plain\n"}.holds},
		{"mail_with_no_signature.eml", message{layers: "opaque malformed"}.holds}, // text in the place of CMS
		{"non_smime_mail.eml", message{content: "From: user@james.org\n"}.holds},
		{"certificate.crt rootCA.crt", certificates(1)},
		{"private.key rootCA.private.key", privateKey},
		{"smime.p12", opens("secret")},
		{"request.csr rootCA.srl instruction.md", because("how the certificates were made")},
	}
}

// wycheproof are vectors for parts of smime/cms that are not seen from outside.
func wycheproof(t *testing.T, c *corpus) {
	c.entries = []entry{
		{"aes_cbc_pkcs5_test.json aes_gcm_test.json aes_wrap_test.json rsa_oaep_2048_sha256_mgf1sha256_test.json rsa_pkcs1_2048_test.json ecdh_secp256r1_test.json x25519_asn_test.json",
			vectorsOf("smime/cms")},
	}
}
