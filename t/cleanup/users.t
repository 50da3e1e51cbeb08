# users.t - authorized_submit_users and local_login_sender_maps: who may post,
# and as whom, by each way in, and whatever he does himself.

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use Postrider qw(need_root spew wait_for);
use Postrider::Users;
use Test::More;

need_root();
my $can_list = Postrider::Users::install();
# A port that nobody listens at, and nobody else can take.
my $shut = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'tcp')
    or die "socket: $!";
my $mail = Postrider->new(settings => {
	relayhost => '[127.0.0.1]:' . $shut->sockport,
	recipient_delimiter => '+', minimal_backoff_time => '1000s' });
my ($alice, $bob) = ($mail->user(0), $mail->user(1));
my $maildrop = $mail->spool . '/maildrop';
Postrider::Users::list($mail) if $can_list;
END { Postrider::Users::leave($mail) if $mail }

# Post as this user, or as this number without a name.
sub post
{
	my ($who, @words) = @_;
	my ($uid, $gid) = $who =~ /^\d+$/ ? ($who, $who) :
	    (getpwnam $who)[2, 3];

	return $mail->run("Subject: x\n\nx\n", 'setpriv', "--reuid=$uid",
	    "--regid=$gid", '--clear-groups', '--',
	    Postrider::bin() . '/sendmail', '-C', $mail->etc, @words,
	    'far@far.test');
}

sub names
{
	opendir my $d, $maildrop or return;
	return grep { !/^\./ } readdir $d;
}

my $queued = 0;
sub count { return scalar(() = $mail->log =~ /pickup\[\d+\]: \w+: uid=/g) }

sub taken
{
	my ($name, @words) = @_;
	my ($status, $text) = post(@words);

	is($status, 0, $name) or diag $text;
	$queued++;
	wait_for(sub { count() >= $queued }, 10, $name);
	is(count(), $queued, "$name: one message");
}

sub refused
{
	my ($why, $name, @words) = @_;
	my ($status, $text) = post(@words);
	my ($uid) = $words[0] =~ /^\d+$/ ? $words[0] : (getpwnam $words[0])[2];

	is($status, 77, "$name: exit 77");
	like($text, $why, "$name: and why");
	is(count(), $queued, "$name: nothing is queued");
	is(scalar(names()), 0, "$name: nor left for later");
	$mail->wait_log(qr/pickup\[\d+\]: warning: not accepted from uid=$uid: /);
}

sub set
{
	$mail->set(@_);
	$mail->reload;
}

$mail->start;
taken('everybody may post, as anybody', $_, '-f', 'ceo@local.test')
    for $alice, $bob, 54321, 'root';

set(authorized_submit_users => "!$alice, static:anyone");
refused(qr/user $alice\(\d+\) is not allowed to submit mail/,
    'an excluded user', $alice);
taken('the others', $_) for $bob, 'root';
taken('one without a name', 54321, '-f', 'x@y.test');

set(authorized_submit_users => "$alice");
taken('who is in the list', $alice);
refused(qr/not allowed/, 'who is not', $bob);
refused(qr/not allowed/, 'root is no exception', 'root');
refused(qr/user unknown\(54321\) is not allowed/,
    'nor is one without a name', 54321, '-f', 'x@y.test');

spew($mail->etc . '/users', "root ok\nunknown ok\n");
spew($mail->etc . '/names', "$bob\n");
set(authorized_submit_users => 'texthash:' . $mail->etc . '/users, ' .
    $mail->etc . '/names');
taken('by a table', 'root');
taken('unknown is the name of who has none', 54321, '-f', 'x@y.test');
taken('by a file', $bob);
refused(qr/not allowed/, 'in neither', $alice);

set(authorized_submit_users => '');
refused(qr/not allowed/, 'an empty list is nobody', 'root');

# --- as whom -------------------------------------------------------------

spew($mail->etc . '/senders', "root *\n$alice $alice, $alice\@local.test " .
    "\@own.test <>\nuid:54321 robot\@local.test\n");
set(authorized_submit_users => 'static:anyone',
    local_login_sender_maps => 'texthash:' . $mail->etc . '/senders');
taken('* is anybody', 'root', '-f', 'ceo@local.test');
taken("himself, @$_", $alice, @$_) for [], ['-f', "$alice\@local.test"], ['-f', uc "$alice\@local.test"],
    ['-f', "$alice+ext\@local.test"], ['-f', 'any@OWN.test'], ['-f', '<>'];
refused(qr/user $alice\(\d+\) is not allowed to send as <ceo\@local\.test>/,
    'somebody else', $alice, '-f', 'ceo@local.test');
refused(qr/not allowed to send/, 'a domain below his', $alice, '-f',
    'x@sub.own.test');
refused(qr/not allowed to send/, 'who is in no table', $bob);
taken('a number', 54321, '-f', 'robot@local.test');
refused(qr/not allowed to send/, 'a number as somebody else', 54321, '-f',
    'x@y.test');
my ($status, $text) = $mail->run(join("\r\n", 'MAIL FROM:<ceo@local.test>',
    'RCPT TO:<far@far.test>', 'DATA', '', 'x', '.', 'QUIT', ''), 'setpriv',
    '--reuid=' . getpwnam($alice), '--clear-groups', '--',
    Postrider::bin() . '/sendmail', '-C', $mail->etc, '-bs');
like($text, qr/^554 5\.3\.0 .*not allowed to send as/m, 'by -bs, too');
is(count(), $queued, 'and nothing is queued');

set(empty_address_local_login_sender_maps_lookup_key => 'nobody');
refused(qr/not allowed to send as <>/, 'the null sender has another name',
    $alice, '-f', '<>');

# --- while the system is down --------------------------------------------

SKIP: {
	skip 'postdrop cannot be let read this directory here', 12
	    unless $can_list;
	$mail->stop;
	$mail->set(local_login_sender_maps => 'static:*',
	    authorized_submit_users => "!$alice, static:anyone");
	($status, $text) = post($alice);
	is($status, 77, 'postdrop refuses who is excluded by name: 77');
	like($text, qr/not allowed to submit mail/, 'and says so');
	is(scalar(names()), 0, 'nothing is left');
	is((post($bob))[0], 0, 'the others may');

	# What postdrop cannot know, and what was put there before the list
	# was made: pickup sees whose file it is.
	spew($mail->etc . '/users', "$bob ok\n");
	$mail->set(authorized_submit_users => 'texthash:' . $mail->etc .
	    '/users');
	is((post($alice, '-f', 'victim@far.test'))[0], 0,
	    'tables are not for postdrop');
	is(scalar(names()), 2, 'two files');
	$mail->start;
	$queued++;
	wait_for(sub { !names() }, 15, 'an empty maildrop');
	is(count(), $queued, 'one is queued');
	my $line = $mail->wait_log(
	    qr/returned to sender as \w+: 554 5\.7\.1 user $alice/);
	my ($id) = $line =~ /as (\w+)/;
	my ($report) = wait_for(sub {
		(grep { /^Subject: x$/m } $mail->mbox($alice))[0] }, 15,
		'a report to the owner');
	like($report =~ s/\n\s+/ /gr, qr/not allowed to submit/,
	    'the other goes back to its owner, with the reason');
	like($report, qr/^To: $alice/m, 'which is to him');
	unlike($mail->log, qr/$id: to=<victim/,
	    'and not to whom he called its sender');

	$mail->stop;
	$mail->set(authorized_submit_users => 'static:anyone');
	is((post($alice, '-f', 'ceo@local.test'))[0], 0,
	    'the same with senders');
	$mail->set(local_login_sender_maps => "inline:{{$alice = $alice}}");
	$mail->start;
	$mail->wait_log(qr/returned to sender as \w+: 554 5\.7\.1 user (?x:
	    $alice\(\d+\)\ is\ not\ allowed\ to\ send\ as\ <ceo)/);
	is(count(), $queued, 'pickup asks for every file');
}

# --- a resolve that does not answer --------------------------------------

set(local_login_sender_maps => 'static:*', ipc_timeout => '1s',
    authorized_submit_users => "$alice");
my @resolve = $mail->children('resolve');
kill 'STOP', @resolve;
SKIP: {
	skip 'postdrop cannot be let read this directory here', 2
	    unless $can_list;
	($status, $text) = post($alice);
	is($status, 0, 'without an answer the mail waits');
	is(count(), $queued, 'and is not queued');
}
kill 'CONT', @resolve;
if ($can_list) {
	$queued++;
	wait_for(sub { count() == $queued }, 20, 'resolve');
	pass('until there is one');
}

is(join('', $mail->complaints), '', 'nothing crashed');

# --- settings of pickup's own --------------------------------------------

for my $type ('unix', 'fifo') {
	my $own = Postrider->new(settings => {
		relayhost => '[127.0.0.1]:' . $shut->sockport },
	    master => "pickup $type n - n 60 1 pickup\n" .
	    "  -o authorized_submit_users=!root,static:anyone\n");
	$own->start;
	($status, $text) = $own->sendmail("Subject: x\n\nx\n", 'a@far.test');
	is($status, 77, "those in its line of master.cf act ($type)");
	$own->stop;
}
done_testing;
