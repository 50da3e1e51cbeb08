# database.t - a user database that cannot be read makes nobody unknown.
use strict;
use warnings;
use Test::More;
use Postrider;

Postrider::need_root();
plan skip_all => 'nothing can be mounted here'
    if system('unshare -m --propagation private true 2>/dev/null') != 0;

my $mail = Postrider->new(settings => { minimal_backoff_time => '1s',
    maximal_backoff_time => '1s', queue_run_delay => '1s',
    local_processes => 1, alias_maps => '' });
my $alice = $mail->user;

# All of the system lives where its database is empty.
$mail->{before_master} = ['/usr/bin/unshare', '-m', '--propagation',
    'private', '/bin/sh', '-c', 'mount --bind ' . $mail->dir .
    '/passwd /etc/passwd && exec "$@"', 'sh'];
system('cp', '/etc/passwd', $mail->dir . '/passwd');
my $users = Postrider::slurp('/etc/passwd');
$mail->start;

# In place: the mount is of this very file.
sub database
{
	open my $f, '+<', $mail->dir . '/passwd' or die;
	truncate $f, 0;
	print $f $_[0];
	close $f;
}

# The reply to a recipient.
sub recipient
{
	my ($user) = @_;
	my $c = $mail->client;

	$c->expect(220);
	$c->script('EHLO c.test' => 250, 'MAIL FROM:<>' => 250);
	return $c->command("RCPT TO:<$user\@local.test>");
}

# One message from this machine, about which no server asks.
sub submit
{
	my ($user) = @_;
	my ($status, $text) = $mail->sendmail("Subject: a\n\nb\n",
	    '-f', 'postmaster@local.test', $user);

	return $status;
}

# Who would not find his own user later runs now; alice's process does not.
like(recipient($alice), qr/^250/, 'a user is known');
is(submit($mail->user(1)), 0, 'somebody else has mail');
$mail->wait_empty;
database('');
like(recipient($alice), qr/^4/, 'the server asks to try again');
is(submit($alice), 0, 'sendmail takes the mail');
$mail->wait_log(qr/to=<\Q$alice\E\@.*status=(?!sent)\w+ .*\n/);
like($mail->log, qr/to=<\Q$alice\E\@.*status=deferred \(cannot look up user/,
    'it is deferred, not returned');
database($users);
$mail->wait_empty;
is(scalar(() = $mail->mbox($alice)), 1,
    'and delivered when the database is back');
like(recipient('prt-nobody-at-all'), qr/^550/, 'who is not in the database is unknown');
done_testing();
