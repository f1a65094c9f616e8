import java.security.MessageDigest;
import java.security.SecureRandom;

import org.bouncycastle.asn1.BEROctetString;
import org.bouncycastle.asn1.cms.CMSObjectIdentifiers;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.cms.DigestedData;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cms.CMSCompressedData;
import org.bouncycastle.cms.CMSCompressedDataGenerator;
import org.bouncycastle.cms.CMSDigestedData;
import org.bouncycastle.cms.CMSEncryptedData;
import org.bouncycastle.cms.CMSEncryptedDataGenerator;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.ZlibCompressor;
import org.bouncycastle.cms.jcajce.ZlibExpanderProvider;
import org.bouncycastle.operator.DefaultDigestAlgorithmIdentifierFinder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.operator.jcajce.JceInputDecryptorProviderBuilder;

/** EncryptedData, CompressedData and DigestedData. */
final class Others {
    private Others() {
    }

    /** Chance that begins with a key, because the generator of EncryptedData makes the key itself. */
    private static final class KeyFirst extends SecureRandom {
        private static final long serialVersionUID = 1;
        private transient byte[] key;

        KeyFirst(byte[] key) {
            this.key = key;
        }

        @Override
        public void nextBytes(byte[] octets) {
            if (key == null) {
                super.nextBytes(octets);
                return;
            }
            System.arraycopy(key, 0, octets, 0, octets.length);
            key = null;
        }
    }

    static byte[] writeEncrypted(Job job) throws Exception {
        JceCMSContentEncryptorBuilder builder = new JceCMSContentEncryptorBuilder(job.oid("cipher")).setProvider("BC").setSecureRandom(new KeyFirst(job.bytes("key")));
        return new CMSEncryptedDataGenerator().generate(new CMSProcessableByteArray(job.bytes("content")), builder.build()).toASN1Structure().getEncoded();
    }

    static byte[] readEncrypted(Job job) throws Exception {
        CMSEncryptedData data = new CMSEncryptedData(ContentInfo.getInstance(job.bytes("message")));
        return data.getContent(new JceInputDecryptorProviderBuilder().setProvider("BC").build(job.bytes("key")));
    }

    static byte[] writeCompressed(Job job) throws Exception {
        return new CMSCompressedDataGenerator().generate(new CMSProcessableByteArray(job.bytes("content")), new ZlibCompressor()).getEncoded();
    }

    static byte[] readCompressed(Job job) throws Exception {
        return new CMSCompressedData(job.bytes("message")).getContent(new ZlibExpanderProvider());
    }

    /** There is no generator, only the structure. */
    static byte[] writeDigested(Job job) throws Exception {
        AlgorithmIdentifier algorithm = new DefaultDigestAlgorithmIdentifierFinder().find(job.text("hash"));
        byte[] content = job.bytes("content");
        byte[] digest = MessageDigest.getInstance(job.text("hash"), "BC").digest(content);
        ContentInfo inner = new ContentInfo(CMSObjectIdentifiers.data, new BEROctetString(content));
        return new ContentInfo(CMSObjectIdentifiers.digestedData, new DigestedData(algorithm, inner, digest)).getEncoded();
    }

    static byte[] readDigested(Job job) throws Exception {
        CMSDigestedData data = new CMSDigestedData(job.bytes("message"));
        if (!data.verify(new JcaDigestCalculatorProviderBuilder().setProvider("BC").build())) {
            throw new IllegalArgumentException("digest is not verified");
        }
        return (byte[]) data.getDigestedContent().getContent();
    }
}
