import java.nio.charset.StandardCharsets;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.cert.X509Certificate;
import java.security.interfaces.ECPublicKey;
import java.security.spec.MGF1ParameterSpec;
import java.util.Collection;
import java.util.Map;

import javax.crypto.SecretKey;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import javax.crypto.spec.SecretKeySpec;

import org.bouncycastle.asn1.ASN1EncodableVector;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.DERSet;
import org.bouncycastle.asn1.DERUTF8String;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.cms.AttributeTable;
import org.bouncycastle.asn1.cms.CMSObjectIdentifiers;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.jcajce.JcaX509CertificateHolder;
import org.bouncycastle.cms.CMSAttributeTableGenerator;
import org.bouncycastle.cms.CMSAuthEnvelopedData;
import org.bouncycastle.cms.CMSAuthEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSException;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.KEKRecipientId;
import org.bouncycastle.cms.KeyAgreeRecipientId;
import org.bouncycastle.cms.OriginatorInfoGenerator;
import org.bouncycastle.cms.OriginatorInformation;
import org.bouncycastle.cms.PasswordRecipient;
import org.bouncycastle.cms.PasswordRecipientId;
import org.bouncycastle.cms.RecipientId;
import org.bouncycastle.cms.RecipientInfoGenerator;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.RecipientInformationStore;
import org.bouncycastle.cms.SimpleAttributeTableGenerator;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceKEKEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKEKRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JceKeyAgreeEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipientId;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientId;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JcePasswordEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JcePasswordRecipientInfoGenerator;
import org.bouncycastle.operator.OutputAEADEncryptor;
import org.bouncycastle.operator.OutputEncryptor;
import org.bouncycastle.operator.jcajce.JcaAlgorithmParametersConverter;

/** EnvelopedData and, with an authenticating cipher, AuthEnvelopedData. */
final class Enveloped {
    private static final Map<String, PasswordRecipient.PRF> PRF = Map.of(
            "SHA-1", PasswordRecipient.PRF.HMacSHA1, "SHA-224", PasswordRecipient.PRF.HMacSHA224, "SHA-256", PasswordRecipient.PRF.HMacSHA256,
            "SHA-384", PasswordRecipient.PRF.HMacSHA384, "SHA-512", PasswordRecipient.PRF.HMacSHA512);
    private static final ASN1ObjectIdentifier CONTENT_HINT = PKCSObjectIdentifiers.id_aa.branch("4"); // RFC 2634, any attribute will do

    private Enveloped() {
    }

    static byte[] write(Job job) throws Exception {
        CMSProcessableByteArray content = new CMSProcessableByteArray(job.bytes("content"));
        JceCMSContentEncryptorBuilder builder = job.has("keySize")
                ? new JceCMSContentEncryptorBuilder(job.oid("cipher"), job.number("keySize")) : new JceCMSContentEncryptorBuilder(job.oid("cipher"));
        OutputEncryptor encryptor = builder.setProvider("BC").build();
        OriginatorInformation originator = job.has("originatorInfo")
                ? new OriginatorInfoGenerator(new JcaX509CertificateHolder(job.certificate("originatorInfo"))).generate() : null;
        CMSAttributeTableGenerator attributes = new SimpleAttributeTableGenerator(new AttributeTable(
                new Attribute(CONTENT_HINT, new DERSet(new DERUTF8String("hint")))));
        if (encryptor instanceof OutputAEADEncryptor) {
            CMSAuthEnvelopedDataGenerator generator = new CMSAuthEnvelopedDataGenerator();
            for (int i = 0; job.element("recipient", i) != null; i++) {
                generator.addRecipientInfoGenerator(recipient(job.element("recipient", i)));
            }
            if (originator != null) {
                generator.setOriginatorInfo(originator);
            }
            if (job.has("attributes")) {
                generator.setAuthenticatedAttributeGenerator(attributes);
            }
            return generator.generate(content, (OutputAEADEncryptor) encryptor).getEncoded();
        }
        CMSEnvelopedDataGenerator generator = new CMSEnvelopedDataGenerator();
        for (int i = 0; job.element("recipient", i) != null; i++) {
            generator.addRecipientInfoGenerator(recipient(job.element("recipient", i)));
        }
        if (originator != null) {
            generator.setOriginatorInfo(originator);
        }
        if (job.has("attributes")) {
            generator.setUnprotectedAttributeGenerator(attributes);
        }
        return generator.generate(content, encryptor).getEncoded();
    }

    private static RecipientInfoGenerator recipient(Job job) throws Exception {
        switch (job.text("way")) {
            case "rsa":
                JceKeyTransRecipientInfoGenerator rsa = job.has("keyID")
                        ? new JceKeyTransRecipientInfoGenerator(job.bytes("keyID"), job.certificate("cert").getPublicKey())
                        : new JceKeyTransRecipientInfoGenerator(job.certificate("cert"));
                return rsa.setProvider("BC");
            case "oaep":
                PSource label = job.has("label") ? new PSource.PSpecified(job.bytes("label")) : PSource.PSpecified.DEFAULT;
                OAEPParameterSpec parameters = new OAEPParameterSpec(job.text("hash"), "MGF1", new MGF1ParameterSpec(job.text("mgf")), label);
                AlgorithmIdentifier algorithm = new JcaAlgorithmParametersConverter().getAlgorithmIdentifier(PKCSObjectIdentifiers.id_RSAES_OAEP, parameters);
                JceKeyTransRecipientInfoGenerator oaep = job.has("keyID")
                        ? new JceKeyTransRecipientInfoGenerator(job.bytes("keyID"), algorithm, job.certificate("cert").getPublicKey())
                        : new JceKeyTransRecipientInfoGenerator(job.certificate("cert"), algorithm);
                return oaep.setProvider("BC");
            case "agree":
                return agreement(job);
            case "kek":
                return new JceKEKRecipientInfoGenerator(job.bytes("keyID"), kek(job)).setProvider("BC");
            case "password":
                return new JcePasswordRecipientInfoGenerator(job.oid("wrap"), password(job))
                        .setProvider("BC").setPasswordConversionScheme(PasswordRecipient.PKCS5_SCHEME2_UTF8)
                        .setPRF(PRF.get(job.text("hash"))).setSaltAndIterationCount(new byte[] {1, 2, 3, 4, 5, 6, 7, 8}, 1000);
            default:
                throw new IllegalArgumentException("no such way");
        }
    }

    private static RecipientInfoGenerator agreement(Job job) throws Exception {
        X509Certificate cert = job.certificate("cert");
        PrivateKey sender;
        PublicKey senderPublic;
        if (job.has("originatorKey")) {
            sender = job.key("originatorKey");
            senderPublic = job.certificate("originator").getPublicKey();
        } else {
            KeyPairGenerator generator = KeyPairGenerator.getInstance(cert.getPublicKey() instanceof ECPublicKey ? "EC" : "X25519", "BC");
            if (cert.getPublicKey() instanceof ECPublicKey) {
                generator.initialize(((ECPublicKey) cert.getPublicKey()).getParams());
            }
            KeyPair ephemeral = generator.generateKeyPair();
            sender = ephemeral.getPrivate();
            senderPublic = ephemeral.getPublic();
        }
        JceKeyAgreeRecipientInfoGenerator generator;
        if (job.has("parts")) {
            generator = new Agreement.Generator(job.oid("scheme"), sender, senderPublic, job.oid("wrap"), cert);
        } else if (job.has("originatorKey")) {
            generator = new Agreement.Static(job.oid("scheme"), sender, senderPublic, job.oid("wrap"), job.certificate("originator"));
        } else {
            generator = new JceKeyAgreeRecipientInfoGenerator(job.oid("scheme"), sender, senderPublic, job.oid("wrap"));
        }
        if (job.has("ukm")) {
            generator.setUserKeyingMaterial(job.bytes("ukm"));
        }
        if (job.has("keyID")) {
            generator.addRecipient(job.bytes("keyID"), cert.getPublicKey());
        } else {
            generator.addRecipient(cert);
        }
        return generator.setProvider("BC");
    }

    /** Decrypts with the key of one recipient. */
    static byte[] read(Job job) throws Exception {
        ContentInfo info = ContentInfo.getInstance(job.bytes("message"));
        RecipientInformationStore store = info.getContentType().equals(CMSObjectIdentifiers.authEnvelopedData)
                ? new CMSAuthEnvelopedData(info).getRecipientInfos() : new CMSEnvelopedData(info).getRecipientInfos();
        RecipientInformation recipient;
        switch (job.text("way")) {
            case "kek":
                recipient = one(store, new KEKRecipientId(job.bytes("keyID")));
                return recipient.getContent(new JceKEKEnvelopedRecipient(kek(job)).setProvider("BC"));
            case "password":
                recipient = one(store, new PasswordRecipientId());
                return recipient.getContent(new JcePasswordEnvelopedRecipient(password(job))
                        .setProvider("BC").setPasswordConversionScheme(PasswordRecipient.PKCS5_SCHEME2_UTF8));
            case "agree":
                recipient = one(store, job.has("keyID") ? new KeyAgreeRecipientId(job.bytes("keyID")) : new JceKeyAgreeRecipientId(job.certificate("cert")));
                return recipient.getContent(job.has("parts")
                        ? new Agreement.Reader(job.key("key")) : new JceKeyAgreeEnvelopedRecipient(job.key("key")).setProvider("BC"));
            default:
                recipient = one(store, new JceKeyTransRecipientId(job.certificate("cert")));
                return recipient.getContent(new JceKeyTransEnvelopedRecipient(job.key("key")).setProvider("BC"));
        }
    }

    private static RecipientInformation one(RecipientInformationStore store, RecipientId id) throws CMSException {
        Collection<RecipientInformation> matching = store.getRecipients(id);
        if (matching.size() != 1) {
            throw new CMSException(matching.size() + " matching recipients");
        }
        return matching.iterator().next();
    }

    private static SecretKey kek(Job job) {
        return new SecretKeySpec(job.bytes("kek"), job.has("des") ? "DESede" : "AES");
    }

    private static char[] password(Job job) {
        return new String(job.bytes("password"), StandardCharsets.UTF_8).toCharArray();
    }
}
