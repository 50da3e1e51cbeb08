#!/usr/bin/perl
# reroute.t - mailbox_transport and fallback_transport: recipients that another
# transport delivers.

use strict;
use warnings;
use lib 't/lib';

use Postrider qw(need_root spew wait_for);
use Test::More;

need_root();

my $port = Postrider::free_port();
my $mail = Postrider->new(files => {
	aliases => "postmaster root\nboth prt-alice, prt-bob\n" .
	    "copy \\prt-bob\n",
	mailboxes => "prt-bob smtp:[127.0.0.1]:$port\n",
	unknown => "special discard:silently\nself local\n" },
    master => "blackhole unix - - n - - discard\n",
    settings => { local_recipient_maps => '', recipient_delimiter => '+',
    minimal_backoff_time => '300s', fallback_transport => 'error:5.1.1 nobody' });
my $etc = $mail->etc;
$mail->set(mailbox_transport_maps => "texthash:$etc/mailboxes",
    fallback_transport_maps => "texthash:$etc/unknown");
$mail->start;
my ($alice, $bob) = ($mail->user(0), $mail->user(1));
my $home = (getpwnam $alice)[7];
my $sink = $mail->sink(port => $port);

# What the log says of a message's recipients, sorted: "agent status (text)".
sub outcomes
{
	my ($to, $lines, %o) = @_;
	my ($id) = $mail->send(from => 's@far.test', to => [$to],
	    text => $o{text} // "Subject: x\n\nx\n") =~ /queued as (\w+)/
	    or die;
	my @lines;

	wait_for(sub {
		@lines = grep { /\b$id: to=/ } split /^/, $mail->log;
		return @lines >= $lines;
	}, 20, "$lines lines of $id\n" . $mail->log);
	return join '; ', sort map {
		/postrider\/(\w+)\[.* to=<([^>]*)>,.*status=(.*)/ ?
		    "$1 $2 $3" : () } @lines;
}

subtest 'a mailbox that another transport has' => sub {
	like(outcomes("$bob\@local.test", 1),
	    qr/^smtp $bob\@local\.test sent \(250 /,
	    'is delivered by that one, and local logs nothing');
	my ($m) = wait_for(sub { my @m = $sink->messages; @m ? \@m : undef },
	    10)->[-1];
	is_deeply($m->{rcpt}, ["$bob\@local.test"], 'the address stays');
	like(outcomes("PRT-BOB+x\@local.test", 1),
	    qr/^smtp PRT-BOB\+x\@local\.test sent/,
	    'users are looked up in lower case, without extension');
	like(outcomes("$alice\@local.test", 1),
	    qr/^local $alice\@local\.test sent \(delivered to mailbox\)$/,
	    'others have theirs');
};

subtest 'aliases and .forward come first' => sub {
	my $before = $sink->messages;
	like(outcomes('both@local.test', 1), qr/^local .*sent \(forwarded as/,
	    'alias');
	wait_for(sub { scalar($sink->messages) > $before }, 10, 'his copy');
	my @m = $sink->messages;
	is_deeply($m[-1]{rcpt}, ["$bob\@local.test"], 'his own name');

	spew("$home/.forward", "\\$alice, $bob\n");
	chown +(getpwnam $alice)[2, 3], "$home/.forward";
	$before = $sink->messages;
	like(outcomes("$alice\@local.test", 2),
	    qr/delivered to mailbox.*forwarded as/, '.forward');
	wait_for(sub { scalar($sink->messages) > $before }, 10, 'his copy');
	unlink "$home/.forward";
};

subtest 'a copy to another user\'s mailbox is a message of its own' => sub {
	like(outcomes('copy@local.test', 1),
	    qr/^local copy\@local\.test sent \(forwarded as/);
	wait_for(sub { (grep { $_->{data} =~ /^Delivered-To: copy\@/m }
	    $sink->messages) ? 1 : 0 }, 10, 'it');
	pass('delivered');
};

subtest 'who is not known here' => sub {
	is(outcomes('special@local.test', 1),
	    'error special@local.test sent (silently)', 'by the table');
	is(outcomes('nobody-here@local.test', 1),
	    'error nobody-here@local.test bounced (nobody)', 'by the rest');
	is(outcomes('self@local.test', 1), 'local self@local.test deferred ' .
	    '(fallback_transport: "local" is no other transport)',
	    'never to ourselves');
};

subtest 'a service with the command discard swallows' => sub {
	$mail->set(fallback_transport => 'blackhole:2.3.4 gone');
	$mail->reload;
	wait_for(sub {
		return outcomes('someone@local.test', 1) =~
		    /^error .*sent \(gone\)/;
	}, 20, 'the new transport');
	pass('under any name');
};

subtest 'a table that cannot be read makes the mail wait' => sub {
	$mail->set(mailbox_transport_maps => "texthash:$etc/missing");
	$mail->stop;
	$mail->start;
	is(outcomes("$alice\@local.test", 1), "local $alice\@local.test " .
	    "deferred (mailbox_transport_maps: lookup of $alice failed)");
};

subtest 'everybody\'s mailbox' => sub {
	$mail->set(mailbox_transport_maps => undef,
	    mailbox_transport => "smtp:[127.0.0.1]:$port");
	$mail->stop;
	$mail->start;
	like(outcomes("$alice\@local.test", 1), qr/^smtp .*sent/, 'users');
	like(outcomes('no-such-user@local.test', 1), qr/^smtp .*sent/,
	    'and those whom nobody knows');
};

is_deeply([$mail->complaints], [], 'no complaints');
done_testing();
