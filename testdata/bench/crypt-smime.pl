# Decrypts and verifies all messages of a folder with Crypt::SMIME, one after the other, each time that a line is read from
# stdin, and prints the seconds that it took, by the clock and of the CPU. The folder is a house of internal/bench.
use strict;
use warnings;
use Crypt::SMIME;
use Time::HiRes qw(time);

my $house = shift or die "usage: crypt-smime.pl HOUSE\n";

sub read_file {
    my ($name) = @_;
    open(my $file, '<:raw', $name) or die "$name: $!\n";
    local $/;
    my $text = <$file>;
    close($file);
    return $text;
}

my $smime = Crypt::SMIME->new();
$smime->setPrivateKey(read_file("$house/reader.key"), read_file("$house/reader.pem"));
$smime->setPublicKeyStore("$house/root.pem");    # what signers are held against
my @messages = map { read_file($_) } sort glob("$house/messages/*.eml");
die "$house: no messages\n" unless @messages;

$| = 1;
print "ready\n";
while (<STDIN>) {
    my ($start, @used) = (time, times);
    for my $message (@messages) {
        my $signed = $smime->decrypt($message);
        $smime->check($signed);    # dies where signature or chain do not hold
    }
    my @now = times;
    printf "%.6f %.6f\n", time - $start, $now[0] + $now[1] - $used[0] - $used[1];
}
