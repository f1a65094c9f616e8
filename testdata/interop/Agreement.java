import java.security.Key;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.cert.X509Certificate;
import java.security.spec.X509EncodedKeySpec;
import java.util.Map;

import javax.crypto.Cipher;
import javax.crypto.KeyAgreement;
import javax.crypto.spec.SecretKeySpec;

import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.ASN1Sequence;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.DERSequence;
import org.bouncycastle.asn1.cms.IssuerAndSerialNumber;
import org.bouncycastle.asn1.cms.KeyAgreeRecipientIdentifier;
import org.bouncycastle.asn1.cms.KeyAgreeRecipientInfo;
import org.bouncycastle.asn1.cms.OriginatorIdentifierOrKey;
import org.bouncycastle.asn1.cms.OriginatorPublicKey;
import org.bouncycastle.asn1.cms.RecipientEncryptedKey;
import org.bouncycastle.asn1.cms.RecipientInfo;
import org.bouncycastle.asn1.cms.ecc.ECCCMSSharedInfo;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.Certificate;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.cms.CMSException;
import org.bouncycastle.cms.jcajce.JceKeyAgreeEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipientInfoGenerator;
import org.bouncycastle.crypto.DerivationFunction;
import org.bouncycastle.crypto.Digest;
import org.bouncycastle.crypto.generators.HKDFBytesGenerator;
import org.bouncycastle.crypto.generators.KDF2BytesGenerator;
import org.bouncycastle.crypto.params.HKDFParameters;
import org.bouncycastle.crypto.params.KDFParameters;
import org.bouncycastle.crypto.util.DigestFactory;
import org.bouncycastle.operator.GenericKey;
import org.bouncycastle.util.Pack;

/**
 * The key agreements of RFC 8418, X25519 and HKDF, for versions of Bouncy Castle whose CMS does not have them: put together
 * from its agreement, derivation, key wrap and ASN.1.
 */
final class Agreement {
    private static final String HKDF = "1.2.840.113549.1.9.16.3."; // RFC 8418 section 7
    private static final Map<String, Digest> DIGESTS = Map.of(
            "1.3.132.1.11.1", DigestFactory.createSHA256(), "1.3.132.1.11.2", DigestFactory.createSHA384(), "1.3.132.1.11.3", DigestFactory.createSHA512(),
            HKDF + "19", DigestFactory.createSHA256(), HKDF + "20", DigestFactory.createSHA384(), HKDF + "21", DigestFactory.createSHA512());
    private static final Map<ASN1ObjectIdentifier, Integer> WRAPS = Map.of(
            NISTObjectIdentifiers.id_aes128_wrap, 16, NISTObjectIdentifiers.id_aes192_wrap, 24, NISTObjectIdentifiers.id_aes256_wrap, 32);

    private Agreement() {
    }

    /** The key-encryption key (RFC 8418 section 2). */
    private static Key wrapKey(AlgorithmIdentifier scheme, PrivateKey ours, PublicKey theirs, byte[] ukm) throws Exception {
        KeyAgreement agreement = KeyAgreement.getInstance(ours.getAlgorithm().startsWith("X") ? "X25519" : "ECDH", "BC");
        agreement.init(ours);
        agreement.doPhase(theirs, true);
        byte[] shared = agreement.generateSecret();

        AlgorithmIdentifier wrap = AlgorithmIdentifier.getInstance(scheme.getParameters());
        byte[] key = new byte[WRAPS.get(wrap.getAlgorithm())];
        byte[] info = new ECCCMSSharedInfo(wrap, ukm, Pack.intToBigEndian(8 * key.length)).getEncoded("DER");
        String id = scheme.getAlgorithm().getId();
        if (id.startsWith(HKDF)) {
            HKDFBytesGenerator hkdf = new HKDFBytesGenerator(DIGESTS.get(id));
            hkdf.init(new HKDFParameters(shared, ukm, info));
            hkdf.generateBytes(key, 0, key.length);
        } else {
            DerivationFunction kdf = new KDF2BytesGenerator(DIGESTS.get(id)); // that of X9.63
            kdf.init(new KDFParameters(shared, info));
            kdf.generateBytes(key, 0, key.length);
        }
        return new SecretKeySpec(key, "AES");
    }

    /** Writes a recipient. */
    static final class Generator extends JceKeyAgreeRecipientInfoGenerator {
        private final PrivateKey sender;
        private final X509Certificate cert;
        private byte[] ukm;

        Generator(ASN1ObjectIdentifier scheme, PrivateKey sender, PublicKey senderPublic, ASN1ObjectIdentifier wrap, X509Certificate cert) {
            super(scheme, sender, senderPublic, wrap);
            this.sender = sender;
            this.cert = cert;
        }

        @Override
        public JceKeyAgreeRecipientInfoGenerator setUserKeyingMaterial(byte[] material) {
            ukm = material;
            return this;
        }

        @Override
        protected byte[] getUserKeyingMaterial(AlgorithmIdentifier scheme) throws CMSException {
            return ukm;
        }

        @Override
        protected OriginatorPublicKey createOriginatorPublicKey(SubjectPublicKeyInfo key) {
            return new OriginatorPublicKey(key.getAlgorithm(), key.getPublicKeyData().getBytes());
        }

        @Override
        public ASN1Sequence generateRecipientEncryptedKeys(AlgorithmIdentifier scheme, AlgorithmIdentifier wrap, GenericKey contentKey) throws CMSException {
            try {
                Cipher cipher = Cipher.getInstance(wrap.getAlgorithm().getId(), "BC");
                cipher.init(Cipher.WRAP_MODE, wrapKey(scheme, sender, cert.getPublicKey(), ukm));
                Object representation = contentKey.getRepresentation();
                byte[] octets = representation instanceof Key ? ((Key) representation).getEncoded() : (byte[]) representation;
                byte[] wrapped = cipher.wrap(new SecretKeySpec(octets, "AES"));
                IssuerAndSerialNumber name = new IssuerAndSerialNumber(Certificate.getInstance(cert.getEncoded()));
                return new DERSequence(new RecipientEncryptedKey(new KeyAgreeRecipientIdentifier(name), new DEROctetString(wrapped)));
            } catch (Exception e) {
                throw new CMSException(e.getMessage(), e);
            }
        }
    }

    /** Reads a recipient. */
    static final class Reader extends JceKeyAgreeEnvelopedRecipient {
        private final PrivateKey key;

        Reader(PrivateKey key) {
            super(key);
            this.key = key;
            setProvider("BC");
        }

        @Override
        protected Key extractSecretKey(AlgorithmIdentifier scheme, AlgorithmIdentifier content, SubjectPublicKeyInfo originator, ASN1OctetString ukm, byte[] wrapped)
                throws CMSException {
            try {
                String algorithm = key.getAlgorithm().startsWith("X") ? "X25519" : "EC";
                PublicKey theirs = KeyFactory.getInstance(algorithm, "BC").generatePublic(new X509EncodedKeySpec(originator.getEncoded()));
                Cipher cipher = Cipher.getInstance(AlgorithmIdentifier.getInstance(scheme.getParameters()).getAlgorithm().getId(), "BC");
                cipher.init(Cipher.UNWRAP_MODE, wrapKey(scheme, key, theirs, ukm == null ? null : ukm.getOctets()));
                return cipher.unwrap(wrapped, "AES", Cipher.SECRET_KEY);
            } catch (Exception e) {
                throw new CMSException(e.getMessage(), e);
            }
        }
    }

    /** Names the originator by certificate, where the generator would send the key. */
    static final class Static extends JceKeyAgreeRecipientInfoGenerator {
        private final X509Certificate originator;

        Static(ASN1ObjectIdentifier scheme, PrivateKey key, PublicKey publicKey, ASN1ObjectIdentifier wrap, X509Certificate originator) {
            super(scheme, key, publicKey, wrap);
            this.originator = originator;
        }

        @Override
        public RecipientInfo generate(GenericKey contentKey) throws CMSException {
            try {
                KeyAgreeRecipientInfo made = KeyAgreeRecipientInfo.getInstance(super.generate(contentKey).getInfo());
                IssuerAndSerialNumber name = new IssuerAndSerialNumber(Certificate.getInstance(originator.getEncoded()));
                return new RecipientInfo(new KeyAgreeRecipientInfo(
                        new OriginatorIdentifierOrKey(name), made.getUserKeyingMaterial(), made.getKeyEncryptionAlgorithm(), made.getRecipientEncryptedKeys()));
            } catch (java.security.cert.CertificateEncodingException e) {
                throw new CMSException(e.getMessage(), e);
            }
        }
    }
}
