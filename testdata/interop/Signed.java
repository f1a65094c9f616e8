import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.security.cert.CertificateFactory;
import java.security.cert.X509CRL;
import java.util.Arrays;
import java.util.Collection;

import org.bouncycastle.asn1.ASN1Encodable;
import org.bouncycastle.asn1.ASN1EncodableVector;
import org.bouncycastle.asn1.ASN1Encoding;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.ASN1Primitive;
import org.bouncycastle.asn1.DERSet;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.cms.AttributeTable;
import org.bouncycastle.asn1.cms.CMSObjectIdentifiers;
import org.bouncycastle.asn1.esf.RevocationValues;
import org.bouncycastle.asn1.ocsp.BasicOCSPResponse;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x509.CertificateList;
import org.bouncycastle.cert.X509CRLHolder;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CRLHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateHolder;
import org.bouncycastle.cert.ocsp.BasicOCSPResp;
import org.bouncycastle.cert.ocsp.OCSPResp;
import org.bouncycastle.cms.CMSAbsentContent;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.CMSSignedDataStreamGenerator;
import org.bouncycastle.cms.CMSSignedGenerator;
import org.bouncycastle.cms.SignerInfoGenerator;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.SimpleAttributeTableGenerator;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;

/** SignedData. */
final class Signed {
    private static final ASN1ObjectIdentifier OCSP_RESPONSE = CMSObjectIdentifiers.id_ri_ocsp_response;
    private static final ASN1ObjectIdentifier REVOCATION_VALUES = PKCSObjectIdentifiers.id_aa_ets_revocationValues;

    private Signed() {
    }

    static byte[] write(Job job) throws Exception {
        boolean attached = !job.has("detached");
        if (job.has("stream")) {
            CMSSignedDataStreamGenerator generator = new CMSSignedDataStreamGenerator();
            fill(generator, job);
            ByteArrayOutputStream message = new ByteArrayOutputStream();
            OutputStream content = generator.open(message, attached);
            content.write(job.bytes("content"));
            content.close();
            return message.toByteArray();
        }
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        generator.setDefiniteLengthEncoding(true);
        fill(generator, job);
        if (job.element("signer", 0) == null) { // certificates only
            return generator.generate(new CMSAbsentContent(), false).getEncoded(ASN1Encoding.DER);
        }
        return generator.generate(new CMSProcessableByteArray(job.bytes("content")), attached).getEncoded(ASN1Encoding.DER);
    }

    private static void fill(CMSSignedGenerator generator, Job job) throws Exception {
        int i = 0;
        for (Job signer = job.element("signer", 0); signer != null; signer = job.element("signer", ++i)) {
            X509CertificateHolder cert = new JcaX509CertificateHolder(signer.certificate("cert"));
            ContentSigner key = new JcaContentSignerBuilder(signer.text("algorithm")).setProvider("BC").build(signer.key("key"));
            JcaSignerInfoGeneratorBuilder builder = new JcaSignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().setProvider("BC").build());
            builder.setDirectSignature(job.has("bare"));
            if (job.has("valuesCRL")) {
                Attribute values = new Attribute(REVOCATION_VALUES, new DERSet(revocationValues(job)));
                builder.setUnsignedAttributeGenerator(new SimpleAttributeTableGenerator(new AttributeTable(values)));
            }
            SignerInfoGenerator info = signer.has("keyID") ? builder.build(key, signer.bytes("keyID")) : builder.build(key, cert);
            generator.addSignerInfoGenerator(info);
        }
        i = 0;
        for (Job bag = job.element("bag", 0); bag != null; bag = job.element("bag", ++i)) {
            generator.addCertificate(new JcaX509CertificateHolder(bag.certificate("cert")));
        }
        if (job.has("crl")) {
            generator.addCRL(crl(job));
        }
        if (job.has("ocsp")) {
            generator.addOtherRevocationInfo(OCSP_RESPONSE, ASN1Primitive.fromByteArray(job.bytes("ocsp")));
        }
    }

    /** The list and the response of the job, as RFC 5126 section 6.3.4 has them. */
    private static RevocationValues revocationValues(Job job) throws Exception {
        BasicOCSPResp basic = (BasicOCSPResp) new OCSPResp(job.bytes("valuesOCSP")).getResponseObject();
        return new RevocationValues(new CertificateList[] {CertificateList.getInstance(job.bytes("valuesCRL"))},
            new BasicOCSPResponse[] {BasicOCSPResponse.getInstance(basic.getEncoded())}, null);
    }

    /** Compares a signer's revocation values, which must be there once, with those of the job. */
    private static void checkRevocationValues(SignerInformation signer, Job job) throws Exception {
        AttributeTable attributes = signer.getUnsignedAttributes();
        ASN1EncodableVector all = attributes == null ? new ASN1EncodableVector() : attributes.getAll(REVOCATION_VALUES);
        if (all.size() != 1 || Attribute.getInstance(all.get(0)).getAttrValues().size() != 1) {
            throw new IllegalArgumentException("revocation values are not found");
        }
        RevocationValues found = RevocationValues.getInstance(Attribute.getInstance(all.get(0)).getAttrValues().getObjectAt(0));
        if (found.getCrlVals().length != 1 || found.getOcspVals().length != 1 || !found.equals(revocationValues(job))) {
            throw new IllegalArgumentException("revocation values are others");
        }
    }

    private static X509CRLHolder crl(Job job) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509", "BC");
        return new JcaX509CRLHolder((X509CRL) factory.generateCRL(new ByteArrayInputStream(job.bytes("crl"))));
    }

    /** Verifies every signature, and looks for the certificates, the list and the response that the job names. */
    static byte[] read(Job job) throws Exception {
        byte[] message = job.bytes("message");
        CMSSignedData signed = job.has("detached") ? new CMSSignedData(new CMSProcessableByteArray(job.bytes("content")), message) : new CMSSignedData(message);
        Collection<SignerInformation> signers = signed.getSignerInfos().getSigners();
        if (signers.size() != job.number("signers")) {
            throw new IllegalArgumentException(signers.size() + " signers");
        }
        for (SignerInformation signer : signers) {
            @SuppressWarnings("unchecked")
            Collection<X509CertificateHolder> certs = signed.getCertificates().getMatches(signer.getSID());
            X509CertificateHolder cert = certs.iterator().next();
            if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(cert))) {
                throw new IllegalArgumentException("signature is not verified");
            }
            if (job.has("valuesCRL")) {
                checkRevocationValues(signer, job);
            }
        }
        int i = 0;
        for (Job bag = job.element("bag", 0); bag != null; bag = job.element("bag", ++i)) {
            X509CertificateHolder cert = new JcaX509CertificateHolder(bag.certificate("cert"));
            if (!signed.getCertificates().getMatches(null).contains(cert)) {
                throw new IllegalArgumentException("certificate " + i + " is not found");
            }
        }
        if (job.has("crl") && !signed.getCRLs().getMatches(null).contains(crl(job))) {
            throw new IllegalArgumentException("revocation list is not found");
        }
        if (job.has("ocsp")) {
            @SuppressWarnings("unchecked")
            Collection<ASN1Encodable> responses = signed.getOtherRevocationInfo(OCSP_RESPONSE).getMatches(null);
            if (responses.size() != 1 || !Arrays.equals(responses.iterator().next().toASN1Primitive().getEncoded(ASN1Encoding.DER), job.bytes("ocsp"))) {
                throw new IllegalArgumentException("OCSP response is not found");
            }
        }
        return signed.getSignedContent() == null ? new byte[0] : (byte[]) signed.getSignedContent().getContent();
    }
}
