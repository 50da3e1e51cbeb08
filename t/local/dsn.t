#!/usr/bin/perl
# dsn.t - what becomes of the sender's wish for reports when an alias or a
# .forward leads elsewhere (RFC 3461 5.2.7).

use strict;
use warnings;
use lib 't/lib';

use Postrider qw(need_root spew wait_for);
use Test::More;

need_root();

my $mail = Postrider->new(files => { aliases => <<'END',
postmaster root
one prt-alice
chain one
team prt-alice, root
list prt-alice, root
owner-list root
gone no-such-user
END
    virtual => "v1\@virtual.test one\@local.test\n" .
	"v2\@virtual.test prt-alice\@local.test, root\@local.test\n" },
    settings => { minimal_backoff_time => '300s',
    virtual_alias_domains => 'virtual.test',
    virtual_alias_maps => 'texthash:${config_directory}/virtual' })->start;
my ($alice, $bob) = ($mail->user(0), $mail->user(1));
my $home = (getpwnam $alice)[7];
my $seen = 0;

# Send with NOTIFY; when the queue is empty, the reports that came back: the
# action, original and final recipient of each.
sub reports
{
	my ($to, $notify) = @_;
	my $c = $mail->client;

	$c->expect(220);
	$c->script('EHLO client.test' => 250,
	    "MAIL FROM:<$bob\@local.test> ENVID=E-1" => 250,
	    "RCPT TO:<$to> NOTIFY=$notify" => 250, DATA => 354);
	my ($id) = $c->data("Subject: x\n\nx\n") =~ /queued as (\w+)/ or die;
	$mail->wait_log(qr/$id: removed/, 20);
	$mail->wait_empty;
	my @mbox = $mail->mbox($bob);
	my @new = @mbox[$seen .. $#mbox];
	$seen = @mbox;
	return join '; ', sort map {
		my ($action) = /^Action: (\w+)$/m;
		my ($original) = /^Original-Recipient: rfc822; ?(\S+)$/m;
		my ($final) = /^Final-Recipient: rfc822; ?(\S+)$/m;
		ok(/^Original-Envelope-Id: E-1$/m ? 1 : 0, 'ENVID');
		join ' ', map { $_ // '-' } $action, $original, $final
	} @new;
}

unlink "$home/.forward";
is(reports("$alice\@local.test", 'SUCCESS'),
    "delivered - $alice\@local.test", 'a mailbox');
is(reports('one@local.test', 'SUCCESS'),
    "delivered one\@local.test $alice\@local.test",
    'an alias of one hands the wish on');
is(reports('chain@local.test', 'SUCCESS,FAILURE'),
    "delivered chain\@local.test $alice\@local.test",
    'so does an alias of an alias');
is(reports('team@local.test', 'SUCCESS'), 'expanded - team@local.test',
    'an alias of several is expanded');
is(reports('list@local.test', 'SUCCESS'), 'delivered - list@local.test',
    'a list takes delivery');
is(reports('one@local.test', 'NEVER'), '', 'nobody asked');
is(reports('gone@local.test', 'NEVER'), '', 'not even for failures');
is(reports('gone@local.test', 'FAILURE'),
    'failed gone@local.test no-such-user@local.test',
    'who asked hears of the address that he knows');
is(reports('v1@virtual.test', 'SUCCESS'),
    "delivered v1\@virtual.test $alice\@local.test",
    'through a virtual alias');
is(reports('v2@virtual.test', 'SUCCESS'),
    'expanded - v2@virtual.test', 'a virtual alias of several');

spew("$home/.forward", "root\n");
chown +(getpwnam $alice)[2, 3], "$home/.forward";
is(reports("$alice\@local.test", 'SUCCESS'),
    "delivered $alice\@local.test root\@local.test",
    'a .forward to one hands the wish on');
spew("$home/.forward", "root, postmaster\n");
is(reports("$alice\@local.test", 'SUCCESS'),
    "expanded - $alice\@local.test", 'one to several is expanded');
unlink "$home/.forward";

is_deeply([$mail->complaints], [], 'no complaints');
done_testing();
