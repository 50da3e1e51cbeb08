#!/usr/bin/perl
# virtual.t - mailboxes of nobody's.

use strict;
use warnings;
use lib 't/lib';

use Postrider qw(need_root slurp spew);
use Test::More;

need_root();

my ($UID, $GID) = (5001, 5002);
my $mail = Postrider->new(files => {
    boxes => <<'END',
a@v.test	v.test/a/
b@v.test	v.test/b
@catch.test	catch/all/
up@v.test	../escaped
deep@v.test	new/path/to/it/
link@v.test	link/
root@v.test	v.test/root
bad@v.test	v.test/bad
low@v.test	v.test/low
none@v.test	v.test/none
groot@v.test	v.test/groot
huge@v.test	v.test/huge
minus@v.test	v.test/minus
mail@v.test	v.test/mail
END
    uids => join('', map { "$_\@v.test $UID\n" } qw(a b up deep link groot)) .
    "\@catch.test $UID\nroot\@v.test 0\nbad\@v.test nobody\n" .
    "low\@v.test 99\nhuge\@v.test 4294967296\nminus\@v.test -1\n" .
    'mail@v.test ' . getpwnam('postrider') . "\n",
    gids => join('', map { "$_\@v.test $GID\n" } qw(a b up deep link root bad
	low none huge minus mail)) . "\@catch.test $GID\ngroot\@v.test 0\n" },
    settings => { virtual_mailbox_domains => 'v.test catch.test',
    recipient_delimiter => '+', minimal_backoff_time => '300s',
    virtual_mailbox_limit => '20000', message_size_limit => '18000' });
my ($dir, $etc) = ($mail->dir, $mail->etc);
my $base = "$dir/virtual";

mkdir $base;
mkdir "$base/v.test";
chown $UID, $GID, $base, "$base/v.test";
chmod 0755, $base;
$mail->set(virtual_mailbox_base => $base,
    virtual_mailbox_maps => "texthash:$etc/boxes",
    virtual_uid_maps => "texthash:$etc/uids",
    virtual_gid_maps => "texthash:$etc/gids");
$mail->start;

# "dsn status (text)" of a recipient; submitted here, so that smtpd's own
# checks do not come first.
sub deliver
{
	my ($to, $text) = @_;
	my $before = () = $mail->log =~ / to=<\Q$to\E>, /g;

	$mail->sendmail($text // "Subject: x\n\nFrom me\n", '-f', '', $to);
	Postrider::wait_for(sub { (() = $mail->log =~
	    / to=<\Q$to\E>, .*status=/g) > $before }, 10,
	    "$to\n" . $mail->log);
	my @all = $mail->log =~ / to=<\Q$to\E>, (?:orig_to=\S+ )?(.*)/g;
	return $all[-1] =~ s/.*relay=(\S+), .*dsn=(\S+), status=/$1 $2 /r;
}

is(deliver('a@v.test'), 'virtual 2.0.0 sent (delivered to maildir)',
    'a Maildir, by the service virtual that every system has');
like($mail->log, qr{/virtual\[\d+\]: \w+: to=<a\@v\.test>}, 'the program');
my ($text) = $mail->maildir("$base/v.test/a");
like($text, qr/\AReturn-Path: <>\nX-Original-To: a\@v\.test\nDelivered-To: a\@v\.test\n/,
    'head');
my ($file) = glob "$base/v.test/a/new/*";
is_deeply([ (stat $file)[4, 5] ], [ $UID, $GID ], 'owner and group');
is((stat $file)[2] & 07777, 0600, 'mode');

is(deliver('b@v.test'), 'virtual 2.0.0 sent (delivered to mailbox)', 'an mbox');
like(slurp("$base/v.test/b"), qr/\AFrom MAILER-DAEMON .*^>From me$/ms,
    'with quoting');
is((stat "$base/v.test/b")[4], $UID, 'owner');
is(deliver('A+ext@v.test'), 'virtual 2.0.0 sent (delivered to maildir)',
    'case and extension');
is(deliver('any@catch.test'), 'virtual 2.0.0 sent (delivered to maildir)',
    'a whole domain');
is(scalar($mail->maildir("$base/catch/all")), 1, 'is there');
is(deliver('deep@v.test'), 'virtual 2.0.0 sent (delivered to maildir)',
    'directories are made');
is(deliver('nobody@v.test'),
    'virtual 5.1.1 bounced (unknown user: "nobody@v.test")', 'unknown');

like(deliver('up@v.test'), qr/^virtual 4\.3\.5 deferred .*bad value/,
    'not out of the base');
symlink '/etc', "$base/link";
like(deliver('link@v.test'), qr/^virtual 4\.2\.0 deferred .*Permission denied/,
    'LOC-07: a link to elsewhere, as the mailbox\'s owner');

# DLV-04
like(deliver("$_->[0]\@v.test"), qr/^virtual 4\.3\.5 deferred .*$_->[1]/,
    "DLV-04: $_->[0]") for [ root => 'bad value' ], [ bad => 'bad value' ],
    [ low => 'virtual_minimum_uid' ], [ none => 'not in virtual_uid_maps' ],
    [ groot => 'bad value' ], [ huge => 'bad value' ],
    [ minus => 'bad value' ], [ mail => 'unknown user' ];
ok(!-e "$base/v.test/$_", "nothing in $_")
    for qw(root bad low none groot huge minus mail);

my $half = "Subject: x\n\n" . ('x' x 70 . "\n") x 160;
like(deliver('b@v.test', $half), qr/sent/, 'half of the limit');
like(deliver('b@v.test', $half), qr/^virtual 5\.2\.2 bounced \(mailbox full/,
    'virtual_mailbox_limit');
like(deliver('a@v.test', "Delivered-To: a\@v.test\n\nx\n"),
    qr/^virtual 5\.4\.6 bounced \(mail forwarding loop for a\@v\.test\)/,
    'a loop');
is_deeply([$mail->complaints], [], 'no complaints');
done_testing();
