import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.math.BigInteger;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Date;
import java.util.List;

import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.operator.DefaultDigestAlgorithmIdentifierFinder;
import org.bouncycastle.operator.DigestCalculator;
import org.bouncycastle.operator.DigestCalculatorProvider;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.tsp.TSPAlgorithms;
import org.bouncycastle.tsp.TimeStampRequest;
import org.bouncycastle.tsp.TimeStampRequestGenerator;
import org.bouncycastle.tsp.TimeStampResponse;
import org.bouncycastle.tsp.TimeStampResponseGenerator;
import org.bouncycastle.tsp.TimeStampTokenGenerator;
import org.bouncycastle.tsp.ers.ERSArchiveTimeStampGenerator;
import org.bouncycastle.tsp.ers.ERSByteData;
import org.bouncycastle.tsp.ers.ERSData;
import org.bouncycastle.tsp.ers.ERSDataGroup;
import org.bouncycastle.tsp.ers.ERSEvidenceRecord;
import org.bouncycastle.tsp.ers.ERSEvidenceRecordGenerator;
import org.bouncycastle.tsp.ers.ERSFileData;

/** Evidence records (RFC 4998). The time-stamps of those that are written here are by an authority of Bouncy Castle as well. */
final class Evidence {
    private Evidence() {
    }

    private static DigestCalculatorProvider digests() throws Exception {
        return new JcaDigestCalculatorProviderBuilder().setProvider("BC").build();
    }

    /** The hash of a job; with the parameter NULL where it is asked for, which means the same. */
    private static DigestCalculator hash(Job job) throws Exception {
        AlgorithmIdentifier id = new DefaultDigestAlgorithmIdentifierFinder().find(job.text("hash"));
        return digests().get(job.has("null") ? id : new AlgorithmIdentifier(id.getAlgorithm()));
    }

    /** The data objects of a leaf: data0, data1…, together where they are a group, from a file where that is asked for. */
    private static ERSData leaf(Job job) throws Exception {
        List<ERSData> objects = new ArrayList<>();
        for (int i = 0; job.has("data" + i); i++) {
            if (job.has("file")) {
                File file = File.createTempFile("object", null);
                file.deleteOnExit();
                try (FileOutputStream out = new FileOutputStream(file)) {
                    out.write(job.bytes("data" + i));
                }
                objects.add(new ERSFileData(file));
            } else {
                objects.add(new ERSByteData(job.bytes("data" + i)));
            }
        }
        return job.has("group") ? new ERSDataGroup(objects) : objects.get(0);
    }

    /** Answers a request as an authority does. */
    private static TimeStampResponse stamp(Job job, TimeStampRequest request) throws Exception {
        X509Certificate certificate = job.certificate("cert");
        TimeStampTokenGenerator tokens = new TimeStampTokenGenerator(
            new JcaSimpleSignerInfoGeneratorBuilder().setProvider("BC").build("SHA256withECDSA", job.key("key"), certificate),
            digests().get(new AlgorithmIdentifier(TSPAlgorithms.SHA256)), new ASN1ObjectIdentifier("1.3.6.1.4.1.32473.1"));
        tokens.addCertificates(new JcaCertStore(Collections.singletonList(certificate)));
        Date time = new Date(Long.parseLong(job.text("time")));
        return new TimeStampResponseGenerator(tokens, TSPAlgorithms.ALLOWED).generateGrantedResponse(request, BigInteger.valueOf(time.getTime()), time);
    }

    private static TimeStampRequestGenerator requests() {
        TimeStampRequestGenerator requests = new TimeStampRequestGenerator();
        requests.setCertReq(true);
        return requests;
    }

    /** Makes a tree over leaf0, leaf1…, and returns all records, one after the other. */
    static byte[] write(Job job) throws Exception {
        ERSArchiveTimeStampGenerator tree = new ERSArchiveTimeStampGenerator(hash(job));
        for (int i = 0; job.element("leaf", i) != null; i++) {
            tree.addData(leaf(job.element("leaf", i)));
        }
        TimeStampResponse response = stamp(job, tree.generateTimeStampRequest(requests()));
        ByteArrayOutputStream records = new ByteArrayOutputStream();
        for (ERSEvidenceRecord record : new ERSEvidenceRecordGenerator(digests()).generate(tree.generateArchiveTimeStamps(response))) {
            records.write(record.getEncoded());
        }
        return records.toByteArray();
    }

    /** Renews a record by a new hash tree where a hash is named, else by a time-stamp. */
    static byte[] renew(Job job) throws Exception {
        ERSEvidenceRecord record = new ERSEvidenceRecord(job.bytes("record"), digests());
        if (!job.has("hash")) {
            return record.renewTimeStamp(stamp(job, record.generateTimeStampRenewalRequest(requests()))).getEncoded();
        }
        ERSData data = leaf(job.element("leaf", 0));
        TimeStampResponse response = stamp(job, record.generateHashRenewalRequest(hash(job), data, requests()));
        return record.renewHash(hash(job), data, response).getEncoded();
    }

    /** Holds a record against the leaf, and its last token against the certificate in it. */
    static byte[] read(Job job) throws Exception {
        ERSEvidenceRecord record = new ERSEvidenceRecord(job.bytes("record"), digests());
        record.validatePresent(leaf(job.element("leaf", 0)), new Date(Long.parseLong(job.text("time"))));
        if (!job.has("unsigned")) {
            record.validate(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(record.getSigningCertificate()));
        }
        return record.getEncoded();
    }
}
