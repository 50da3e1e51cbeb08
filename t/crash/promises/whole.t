# whole.t - what holds for all of it: no message changes (D7), a damaged one
# harms nobody else (D10), want is told as such (D11), and no process is one
# that may not die (D12).
use strict;
use warnings;
use POSIX qw(EIO EMFILE ENFILE ENOMEM ENOSPC);
use Test::More;
use Postrider qw(slurp spew wait_for);
use Postrider::Promise;

my $lab = laboratory('later', settings => { minimal_backoff_time => '1s' });
my $mail = $lab->mail;

# A message that waits, with one byte of this part of its file changed; where
# it is afterwards.
sub damaged
{
	my ($part, $to) = @_;

	unlink $mail->dir . '/seen';
	my ($id) = $mail->send(from => '', to => ["later-$to\@relay.test"],
	    text => "Subject: x\n\n$to " . 'x' x 500 . "\n") =~
	    /queued as (\w+)/;
	my $path = wait_for(sub { (glob $mail->spool . "/deferred/*/$id")[0] },
	    10, 'it to wait');
	my ($qmgr) = $mail->children('qmgr');
	kill 'STOP', $qmgr;
	my $text = slurp($path);
	my $at = $part eq 'preamble' ? 40 : rindex $text, "later-$to";
	open my $f, '+<', $path or die "$path: $!";
	seek $f, $at, 0;
	syswrite $f, chr(ord(substr $text, $at, 1) ^ 1);
	close $f;
	kill 'KILL', $qmgr;
	wait_for(sub { !-e $path }, 20, 'the end of it');
	return $id;
}

sub delivered
{
	my ($to) = @_;

	return scalar grep { /\Q$to\E/ } map { @{ $_->{rcpt} } }
	    $lab->{sink}->messages;
}

promise('whole-1', sub {
	for my $part (qw(preamble envelope)) {
		my $id = damaged($part, $part);
		is(delivered("later-$part"), 0, "damage in the $part: not delivered");
		ok(-e $mail->spool . "/corrupt/$id", 'but set aside');
	}
});

promise('whole-2', sub {
	my $id = damaged('envelope', 'bad');
	$mail->wait_log(qr/$id: .*corrupt/);
	pass('the log says so');
	unlink glob $mail->spool . '/corrupt/*';
	$lab->once;
	pass('and others go their way');
	# What cannot be read now is tried again.
	strike($lab, 'qmgr', qr{^openat spool/deferred/\w+/ID}, $_)
	    for EMFILE, EIO;
	strike($lab, 'qmgr', qr{^pread64 spool/deferred/\w+/ID}, EIO);
	is(join(' ', glob $mail->spool . '/corrupt/*'), '',
	    'and not taken for damaged');
});
$lab->close;

# Of two that resolve only one may be asked; and that for each message only if
# a table could change at any moment.
$lab = laboratory('relay', settings => { resolve_processes => 1,
    virtual_alias_maps => 'unix:passwd.byname' });
$mail = $lab->mail;

promise('whole-3', sub {
	for (['smtpd', qr/^sendmsg private\/cleanup/, ENOMEM],
	    ['cleanup', qr{^openat spool/incoming/ID}, ENFILE],
	    ['cleanup', qr{^fsync spool/incoming/ID}, EIO],
	    ['cleanup', qr{^pwrite64 spool/incoming/ID}, ENOSPC]) {
		my $r = strike($lab, @$_);
		is_refused($lab, $r) if $r->{said} ne 'accepted';
		unlike($r->{said}, qr/refused 5/, 'never for good');
	}
	like($mail->log, qr/(warning|error): .*(Too many open files|No space left)/,
	    'the log says why');
});

promise('whole-4', sub {
	for my $process (qw(smtpd cleanup qmgr resolve anvil log smtp)) {
		my $r = strike($lab, $process, qr/^(recv\w+|accept4|read) /,
		    'before', twice => 1);
		unlike($r->{said}, qr/refused 5/, 'never for good');
	}
	$lab->once;
	pass('and all is well again');
});
$lab->close;
done_testing();
