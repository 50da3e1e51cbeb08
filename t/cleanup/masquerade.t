# masquerade.t - sub-domains are left out of addresses.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(slurp spew wait_for);
use Postrider::QueueFile;
use Test::More;

my $mail = Postrider->new(settings => {
	relayhost => '[127.0.0.1]:' . Postrider::free_port(),
	minimal_backoff_time => '1000s',
	masquerade_domains => '!keep.example.test foo.example.test example.test',
	masquerade_exceptions => 'root, texthash:${config_directory}/users',
	cleanup_processes => 1 },
    files => { users => "daemon x\n" })->start;

# One message by SMTP; the queue file.
sub smtp
{
	my (%o) = @_;
	my $reply = $mail->send(from => 'al@some.test',
	    to => ['bob@far.test'], text => "Subject: x\n\nbody\n", %o);
	my ($id) = $reply =~ /^250 2\.0\.0 Ok: queued as (\w+)$/
	    or die "unexpected reply: $reply";
	return Postrider::QueueFile->find($mail, $id);
}

subtest 'senders' => sub {
	my %shown = (
		'a@host.example.test' => 'a@example.test',
		'a@b.c.foo.example.test' => 'a@foo.example.test',
		'a@foo.example.test' => 'a@foo.example.test',
		'a@keep.example.test' => 'a@keep.example.test',
		'a@x.keep.example.test' => 'a@x.keep.example.test',
		'a@example.test' => 'a@example.test',
		'a@notexample.test' => 'a@notexample.test',
		'root@host.example.test' => 'root@host.example.test',
		'daemon@host.example.test' => 'daemon@host.example.test',
		'"a b"@host.example.test' => '"a b"@example.test',
	);
	is(smtp(from => $_)->{sender}, $shown{$_}, $_) for sort keys %shown;
};

subtest 'headers, but not recipients' => sub {
	my $f = smtp(to => ['b@host.example.test'], text =>
	    "From: Al <a\@host.example.test>\nTo: b\@host.example.test,\n" .
	    " root\@host.example.test\nSubject: x\n\nx\n");
	is($f->{recipients}[0], 'b@host.example.test');
	like($f->{content}, qr/\r\nFrom: Al <a\@example\.test>\r\nTo: b\@example\.test,\r\n root\@host\.example\.test\r\n/);
};

subtest 'classes' => sub {
	$mail->set(masquerade_classes => 'envelope_recipient',
	    masquerade_exceptions => undef);
	$mail->reload;
	my $f = wait_for(sub {
		my $f = smtp(from => 'a@h.example.test',
		    to => ['b@h.example.test'], text =>
		    "From: root\@h.example.test\nSubject: x\n\nx\n");
		return $f->{sender} eq 'a@h.example.test' ? $f : undef;
	}, 20, 'the new settings');
	is($f->{recipients}[0], 'b@example.test');
	like($f->{content}, qr/\r\nFrom: root\@h\.example\.test\r\n/);
};

is_deeply([$mail->complaints], [], 'nothing is complained of');
$mail->stop;
done_testing;
