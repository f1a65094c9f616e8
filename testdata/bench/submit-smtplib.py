# Submits messages over one connection with Python's smtplib, each time that a line is read from stdin, and prints the seconds that
# it took, by the clock and of the CPU. Connecting and logging in count. Nothing of it is kept on the disk of the sender.
import smtplib
import ssl
import sys
import time

address, ca, user, password, to, path, count = sys.argv[1:]
host, port = address.rsplit(":", 1)
with open(path, "rb") as f:
    message = f.read()
context = ssl.create_default_context(cafile=ca)

for line in sys.stdin:
    wall, cpu = time.time(), time.process_time()
    server = smtplib.SMTP_SSL(host, int(port), context=context)
    server.login(user, password)
    for _ in range(int(count)):
        server.sendmail(user, [to], message)
    server.quit()
    print("%.6f %.6f" % (time.time() - wall, time.process_time() - cpu), flush=True)
