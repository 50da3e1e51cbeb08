# room.t - a disk that is nearly full is told as such, before the file system
# tells; reports find room nevertheless; a disk that cannot be written to is
# told at MAIL, once a minute in the log, and forgotten as soon as it can.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(need_root slurp spew wait_for);
use Postrider::Mounts;
use Postrider::Disk;
use Test::More;
use Time::HiRes qw(sleep time);

need_root();
my $alone = Postrider::Mounts::alone();
my $missing = !$alone ? 'a private mount namespace cannot be had here' :
    Postrider::Disk::missing();
plan(skip_all => $missing) if $missing;

my $mail = Postrider->new(settings => {
	relay_domains => 'far.test', smtpd_peername_lookup => 'no',
	minimal_backoff_time => '1000s', message_size_limit => 1000000,
	smtpd_client_connection_count_limit => 1000, in_flow_delay => '0s' });
my $answer = $mail->dir . '/answer';
my $sink = $mail->sink(replies => sub {
	return $_[0] eq 'RCPT' ? slurp($answer) : undef;
});
$mail->set(relayhost => '[127.0.0.1]:' . $sink->port);
spew($answer, '450 4.2.1 later');
my $spool = $mail->spool;
my $main = $$;
END {
	if ($mail && $$ == $main) {
		local $?;
		eval { $mail->stop(now => 1) };
		system("umount -R -l $spool 2>/dev/null");
	}
}

# A queue on a small file system.
sub begin_on
{
	my ($options) = @_;
	Postrider::Mounts::tmpfs($spool, "mode=755,$options");
	spew($mail->dir . '/log', '');
	$mail->start;
}

sub end
{
	$mail->stop(now => 1);
	system("umount -R -l $spool 2>/dev/null");
}

sub begin_mail
{
	my $c = $mail->client;
	$c->expect(220);
	$c->script('EHLO c.test' => 250);
	return $c;
}

# The code of a small message, and where it was heard.
sub try_one
{
	my $c = begin_mail();
	for my $line ('MAIL FROM:<root@local.test>', 'RCPT TO:<b@far.test>',
	    'DATA') {
		my $reply = $c->command($line);
		return (substr($reply, 0, 3), substr($line, 0, 4))
		    if $reply !~ /^[23]/;
	}
	return (substr($c->data("x\n\nx\n", qr/^\d/), 0, 3), 'end');
}

# P1 of room.c
subtest 'what is on its way is counted' => sub {
	begin_on('size=24m');
	my $line = 'x' x 78 . "\r\n";
	my @clients = map { begin_mail() } 1 .. 40;
	my (%heard, @going);
	for my $c (@clients) {
		if ($c->command('MAIL FROM:<a@b.test>') !~ /^250/) {
			$heard{MAIL}++;
			next;
		}
		$c->script('RCPT TO:<b@far.test>' => 250, DATA => 354);
		$c->raw("Subject: x\r\n\r\n" . $line x 2500);
		push @going, $c;
	}
	# All of them are under way, a fifth of each is there.
	$_->raw($line x 8700) for @going;
	$heard{ substr $_->data("x\n", qr/^\d/), 0, 3 }++ for @going;
	diag(join ', ', map { "$_: $heard{$_}" } sort keys %heard);
	cmp_ok($heard{250}, '>', 5, 'some are taken');
	cmp_ok(($heard{MAIL} // 0) + ($heard{452} // 0), '>', 5,
	    'others are to come again');
	is($heard{451}, undef, 'nothing else is said');
	is($mail->said(qr/No space left/), 0,
	    'before the file system says anything');
	cmp_ok($mail->said(qr/error: \w+: cannot begin the queue file: insufficient system storage/),
	    '<=', 2, 'the log is told once by each process');
	$_->close for @clients;
	wait_for(sub { $mail->queue_count == $heard{250} }, 10,
	    'the queue: what was accepted, and nothing else');
	end();
};

subtest 'inodes, too' => sub {
	begin_on('size=50m,nr_inodes=300');
	my (%heard, $last);
	for (1 .. 300) {
		my ($code, $where) = try_one();
		$heard{$code}++;
		$last = $where;
		last if $code eq '452' && $heard{452} > 5;
	}
	cmp_ok($heard{250}, '>', 50, 'many are taken');
	is($heard{452}, 6, 'then no more') or diag(explain(\%heard));
	is($last, 'MAIL', 'which is said at MAIL');
	is($mail->said(qr/No space left/), 0,
	    'before the file system says anything');
	end();
};

subtest 'a report finds room when nothing else does' => sub {
	begin_on('size=24m');
	my ($code) = try_one();
	is($code, 250, 'a message');
	$mail->wait_log(qr/status=deferred/);
	my ($free) = (split ' ', (`df -B1 --output=size,avail $spool`)[1])[1];
	system('fallocate', '-l', $free - 1_200_000, "$spool/ballast") == 0
	    or die 'fallocate';
	is_deeply([try_one()], ['452', 'MAIL'], 'no other');
	my ($status) = $mail->sendmail("x\n", 'b@far.test');
	is($status, 75, 'of no user either');
	spew($answer, '550 5.1.1 never');
	$mail->postrider('queue', 'flush');
	$mail->wait_log(qr/sender non-delivery notification/);
	$mail->wait_log(qr/to=<root\@local.test>.*status=sent/);
	is($mail->said(qr/No space left/), 0, 'there is space for it');
	unlink "$spool/ballast";
	my $began = time;
	wait_for(sub { (try_one())[0] eq '250' }, 10, 'mail');
	cmp_ok(time - $began, '<', 5, 'with space there is mail again');
	end();
	spew($answer, '450 4.2.1 later');
};

# Files that cannot be written to, though nothing of the file system says so.
subtest 'a disk that says no' => sub {
	my $image = $mail->dir . '/image';
	open my $f, '>', $image or die;
	truncate $f, 64 << 20 or die;
	close $f;
	system('mkfs.ext4', '-q', '-F', '-b', 4096, '-m', 0, $image) == 0
	    or die 'mkfs';
	Postrider::Disk::attach($image, $spool);
	spew($mail->dir . '/log', '');
	$mail->set(smtpd_processes => 2);
	$mail->start;
	is((try_one())[0], 250, 'at first it is well');
	system('mount', '-o', 'remount,abort', $spool) == 0 or die 'abort';
	my (%where, %codes);
	for (1 .. 30) {
		my ($code, $place) = try_one();
		$codes{$code}++;
		$where{$place}++;
	}
	is_deeply([keys %codes], ['452'], 'then it is 452')
	    or diag(explain(\%codes));
	cmp_ok($where{MAIL}, '>=', 24, 'nearly always at MAIL')
	    or diag(explain(\%where));
	my $told = $mail->said(qr/cleanup\[\d+\]: error: /);
	cmp_ok($told, '>', 0, 'the log is told');
	cmp_ok($told, '<=', 2, 'once by each process');
	$mail->crash;
	Postrider::Disk::detach($spool);
	Postrider::Disk::attach($image, $spool);
	$mail->start;
	my $began = time;
	wait_for(sub { (try_one())[0] eq '250' }, 10, 'mail');
	cmp_ok(time - $began, '<', 5, 'a good disk is good at once');
	$mail->stop;
	Postrider::Disk::detach($spool);
};

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing;
