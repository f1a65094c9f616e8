import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.Security;

import org.bouncycastle.jce.provider.BouncyCastleProvider;

/**
 * Writes and reads CMS messages and evidence records with Bouncy Castle, for the tests of internal/interop. It takes jobs on standard input, one
 * to a line, and answers each with a line on standard output: "yes" and a message or content in base64, or "no" and what
 * Bouncy Castle said. Its first line is the version. It ends with its input.
 */
public final class Interop {
    private Interop() {
    }

    public static void main(String[] args) throws Exception {
        PrintStream answers = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        System.setOut(System.err); // answers and nothing else
        BouncyCastleProvider provider = new BouncyCastleProvider();
        Security.addProvider(provider);
        answers.println(provider.getVersionStr());
        answers.flush();

        BufferedReader jobs = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = jobs.readLine(); line != null; line = jobs.readLine()) {
            try {
                answers.println("yes " + Job.encode(run(new Job(line))));
            } catch (Exception | LinkageError e) {
                answers.println("no " + words(e));
            }
            answers.flush();
        }
    }

    private static byte[] run(Job job) throws Exception {
        switch (job.text("op")) {
            case "sign":
                return Signed.write(job);
            case "verify":
                return Signed.read(job);
            case "encrypt":
                return Enveloped.write(job);
            case "decrypt":
                return Enveloped.read(job);
            case "encryptData":
                return Others.writeEncrypted(job);
            case "decryptData":
                return Others.readEncrypted(job);
            case "compress":
                return Others.writeCompressed(job);
            case "uncompress":
                return Others.readCompressed(job);
            case "digest":
                return Others.writeDigested(job);
            case "verifyDigest":
                return Others.readDigested(job);
            case "writeEvidence":
                return Evidence.write(job);
            case "renewEvidence":
                return Evidence.renew(job);
            case "readEvidence":
                return Evidence.read(job);
            default:
                throw new IllegalArgumentException("no such job");
        }
    }

    /** The first exception and, where it says more, the one that caused all. */
    private static String words(Throwable e) {
        Throwable cause = e;
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        String first = String.valueOf(e.getMessage());
        String last = String.valueOf(cause.getMessage());
        String said = first.contains(last) ? first : first + ": " + last;
        return e.getClass().getSimpleName() + ": " + said.replaceAll("\\s+", " ");
    }
}
