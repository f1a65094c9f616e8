import java.io.ByteArrayInputStream;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;

import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;

/** One job: name=value pairs with a space between them. Octets are in base64; lists are numbered: signer0.cert. */
final class Job {
    private final Map<String, String> values = new HashMap<>();
    private final String prefix;

    Job(String line) {
        prefix = "";
        for (String pair : line.split(" ")) {
            int at = pair.indexOf('=');
            values.put(pair.substring(0, at), pair.substring(at + 1));
        }
    }

    private Job(Job whole, String prefix) {
        this.prefix = prefix;
        values.putAll(whole.values);
    }

    /** The members of the numbered element of a list; null behind its end. */
    Job element(String list, int number) {
        String start = list + number + ".";
        return values.keySet().stream().anyMatch(name -> name.startsWith(start)) ? new Job(this, start) : null;
    }

    boolean has(String name) {
        return values.containsKey(prefix + name);
    }

    String text(String name) {
        String value = values.get(prefix + name);
        if (value == null) {
            throw new IllegalArgumentException("job without " + prefix + name);
        }
        return value;
    }

    int number(String name) {
        return Integer.parseInt(text(name));
    }

    ASN1ObjectIdentifier oid(String name) {
        return new ASN1ObjectIdentifier(text(name));
    }

    byte[] bytes(String name) {
        return Base64.getDecoder().decode(text(name));
    }

    X509Certificate certificate(String name) throws Exception {
        return (X509Certificate) CertificateFactory.getInstance("X.509", "BC").generateCertificate(new ByteArrayInputStream(bytes(name)));
    }

    /** A private key in PKCS #8. */
    PrivateKey key(String name) throws Exception {
        String algorithm = PrivateKeyInfo.getInstance(bytes(name)).getPrivateKeyAlgorithm().getAlgorithm().getId();
        return KeyFactory.getInstance(algorithm, "BC").generatePrivate(new PKCS8EncodedKeySpec(bytes(name)));
    }

    static String encode(byte[] octets) {
        return Base64.getEncoder().encodeToString(octets);
    }
}
