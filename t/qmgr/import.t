# import.t - postrider queue import: a queue of Debian's Postfix becomes ours,
# message by message: envelopes, contents, ages and holds.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(slurp spew wait_for);
use Postrider::Client;
use Postrider::Postfix;
use Postrider::QueueFile;
use Test::More;

my $mail = Postrider->new;
my $answer = '450 4.2.0 not now';
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;

	return undef if $verb ne 'RCPT' || $line =~ /<ok/;
	return -e $mail->etc . '/go' ? undef : $answer;
});
spew($mail->etc . '/head', "/^Subject: prepend/ PREPEND X-More: " .
    "a longer line than any other in this message\n" .
    "/^Subject: replace/ REPLACE Subject: replaced by a longer text\n" .
    "/^Subject: hold/ HOLD\n/^Subject: filter/ FILTER smtp:[127.0.0.1]:" .
    $sink->port . "\n/^Subject: redirect/ REDIRECT r\@redirect.test\n" .
    "/^Subject: copy/ BCC copy\@copy.test\n");
my %same = (relayhost => '[127.0.0.1]:' . $sink->port,
    smtp_host_lookup => 'native');
my $postfix = Postrider::Postfix->new(settings => { %same,
    header_checks => 'regexp:' . $mail->etc . '/head',
    smtpd_authorized_verp_clients => '127.0.0.1', strict_smtputf8 => 'no',
    delay_warning_time => '1s', minimal_backoff_time => '600s' })
    or plan skip_all => 'no Postfix: ' . Postrider::Postfix::why();
my $spool = $postfix->dir . '/spool';
my $old = "$spool/imported-by-postrider";
$mail->set(%same);
$mail->start;
$mail->stop;
$postfix->start;

# --- what is in Postfix's queue ----------------------------------------------

# One message; Postfix's id.
sub post
{
	my ($subject, $from, $to, $body) = @_;
	my $c = Postrider::Client->new($postfix->port);

	$c->expect(220);
	$c->command('EHLO client.test', 250);
	$c->command("MAIL FROM:$from", 250);
	$c->command("RCPT TO:$_", 250) for @$to;
	$c->command('DATA', 354);
	my $reply = $c->data("Subject: $subject\nFrom: a\@one.test\n" .
	    "Date: Sun, 22 Nov 2026 10:00:00 +0000\n\n" .
	    ($body // "Hello.\n.dot\n\n"));
	$c->command('QUIT', 221);
	return $reply =~ /queued as (\w+)/ ? $1 : die $reply;
}

my %id = (
	plain => post('plain', '<al@one.test>', ['<b@far.test>']),
	some => post('some', '<al@one.test>', ['<b@far.test>', '<ok@far.test>',
	    '<c@far.test>']),
	null => post('null', '<>', ['<b@far.test>']),
	quoted => post('quoted', '<"a b"@one.test>', ['<"c d"@far.test>']),
	dsn => post('dsn', '<al@one.test> ENVID=a+2Bb RET=HDRS BODY=8BITMIME',
	    ['<b@far.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2Bb@y.test',
	    '<c@far.test> NOTIFY=NEVER'], "caf\xc3\xa9\n"),
	verp => post('verp', '<al@one.test> XVERP=+=', ['<b@far.test>']),
	long => post('long', '<al@one.test>', ['<b@far.test>'],
	    ('x' x 5000) . "\n" . ('y' x 2048) . "\n\n" . 'z' x 4096 . "\n"),
	large => post('large', '<al@one.test>', ['<b@far.test>'],
	    "A line of some length.\n" x 10000),
	prepend => post('prepend', '<al@one.test>', ['<b@far.test>']),
	replace => post('replace', '<al@one.test>', ['<b@far.test>']),
	hold => post('hold', '<al@one.test>', ['<b@far.test>']),
	filter => post('filter', '<al@one.test>', ['<b@far.test>']),
	redirect => post('redirect', '<al@one.test>', ['<b@far.test>',
	    '<c@far.test>']),
	copy => post('copy', '<al@one.test>', ['<b@far.test>']),
);
my $held = delete $id{hold};
wait_for(sub {
	my ($status, $text) = $postfix->run('postqueue', '-p');
	return keys(%id) == (() = $text =~ /^\w{6,}\s/mg) - 0 ||
	    $text !~ /^\w{6,}\*/m && $text =~ /copy\.test/;
}, 20, 'deferrals');
wait_for(sub { !grep { $postfix->log !~ /$id{$_}: .*status=deferred/ }
    keys %id }, 20, 'deferrals');
$id{hold} = $held;

is(($mail->postrider('queue', 'import', $spool))[0], 69,
    'a running Postfix is not touched');
wait_for(sub { ($postfix->run('postqueue', '-p'))[1] !~ /^\w+\*/m }, 20,
    'nothing active');
$postfix->run('postsuper', '-e', $id{hold});
$postfix->stop;
my ($sendmail_status) = $postfix->sendmail("From: q\@one.test\n" .
    "Subject: drop\n\nposted\n.\nmore", 'sendmail', '-i', '-f', 'q@one.test',
    '-F', 'Full Name', '-N', 'failure,delay', 'd@far.test', 'e@far.test');
is($sendmail_status, 0, 'posted while it is stopped');

# The file of a message of Postfix's.
sub file
{
	my ($id) = @_;

	return (grep { -f } glob("$spool/{incoming,active,hold}/$id " .
	    "$spool/deferred/*/$id $spool/deferred/$id $old/*/$id"))[0];
}

# What its postcat says of a message.
my (%content, %envelope);
for my $name (keys %id) {
	$content{$name} = ($postfix->run('postcat', '-bh',
	    file($id{$name})))[1];
	$envelope{$name} = ($postfix->run('postcat', '-e',
	    file($id{$name})))[1];
}

# Pointers, as a milter's changes leave them: a header in another place. It has
# not been changed by one here, so it is made from a whole file.
{
	my $text = slurp(file($id{plain}));
	my $line = "N\x0eSubject: plain";
	my $record = sub { 'p' . "\x0f" . sprintf('%15d', $_[0]) };
	my $at = index $text, $line;
	my $new = substr($text, 0, $at) . $record->(0) . substr($text, $at +
	    length $line);
	my $name = 'BBBB01';

	substr $new, $at, 17, $record->(length $new);
	$new .= "N\x17Subject: somewhere else" .
	    $record->($at + 17);
	spew("$spool/deferred/$name", $new);
	chmod 0700, "$spool/deferred/$name";
	$id{pointer} = $name;
	$content{pointer} = ($postfix->run('postcat', '-bh',
	    "$spool/deferred/$name"))[1];
	$envelope{pointer} = ($postfix->run('postcat', '-e',
	    "$spool/deferred/$name"))[1];
	like($content{pointer}, qr/^Subject: somewhere else$/m,
	    'postcat follows the pointers');
}

# --- damage --------------------------------------------------------------------

my $whole = slurp(file($id{plain}));
my %damaged = (
	AAAA01 => substr($whole, 0, length($whole) - 2),
	AAAA02 => substr($whole, 0, 300),
	AAAA03 => $whole =~ s/M\0/%\0/r,
	AAAA04 => '',
	AAAA05 => "p\x0f              0" . 'p' . "\x0f" . sprintf('%15d', 1),
);
for my $id (keys %damaged) {
	spew("$spool/deferred/$id", $damaged{$id});
	chmod 0700, "$spool/deferred/$id";
}
# One whose sender is still to be told of a failure.
spew("$spool/deferred/AAAA08", $whole);
chmod 0700, "$spool/deferred/AAAA08";
spew("$spool/bounce/AAAA08", "<x\@far.test>: unknown\n");
symlink '/etc/passwd', "$spool/deferred/AAAA06";
spew("$spool/incoming/AAAA07", 'C');
chmod 0600, "$spool/incoming/AAAA07";

# Everything that is a file and not damaged; warnings of the delay, too.
my $whole_ones = grep { -f && !/AAAA/ } glob("$spool/{maildrop,hold}/* " .
    "$spool/deferred/*/* $spool/deferred/* $spool/{incoming,active}/*");
cmp_ok($whole_ones, '>=', 15, 'there are some');

# --- import ----------------------------------------------------------------------

my ($status, $text) = $mail->postrider('queue', 'import', '-n', $spool);
is($status, 1, 'some cannot be imported');
like($text, qr/Would be imported: $whole_ones messages/, 'only told');
ok(!-e $old, 'nothing is moved');
is($mail->queue_count, 0, 'nothing is queued');

($status, $text) = $mail->postrider('queue', 'import', $spool);
is($status, 1, 'some stay');
like($text, qr/Imported: $whole_ones messages/, 'the others are imported') or diag $text;
like($text, qr/Left where they are: 7 messages/, 'the damaged ones stay');
like($text, qr/AAAA07: unfinished/, 'what Postfix never accepted is told');
ok(-e "$spool/deferred/$_" || -l "$spool/deferred/$_", "$_ stays")
    for 'AAAA06', 'AAAA08', keys %damaged;
like($text, qr/AAAA08: Postfix has not told its sender yet/, 'and why');
for my $name (sort keys %id) {
	ok(-e file($id{$name}) && file($id{$name}) =~ /^\Q$old/,
	    "$name is aside");
}

# Our id of a message.
my %new;
for my $name (keys %id) {
	($new{$name}) = $text =~ m{/$id{$name}: (\w+), from=<};
}

# What postcat says, in the terms of our file.
sub theirs
{
	my ($text) = @_;
	my (%m, %next);

	for (split /\n/, $text) {
		$m{sender} = $1 if /^sender: (.*)/;
		$m{verp} = $1 if /^verp_delimiters: (.*)/;
		$m{filter} = $1 if /^content_filter: (.*)/;
		$m{redirect} = $1 if /^redirect_to: (.*)/;
		$m{envelope_id} = $1 if /envelope_id=(.*)/;
		$m{return_what} = (undef, 'FULL', 'HDRS')[$1]
		    if /ret_flags=(\d)/;
		$m{flags} |= 2 if /encoding=8bit/;
		$next{notify} = $1 if /notify_flags=(\d+)/;
		$next{orcpt} = $1 if /dsn_orig_rcpt=(.*)/;
		%next = () if /^done_recipient: /;
		if (/^recipient: (.*)/) {
			push @{ $m{recipients} }, $1;
			push @{ $m{notify} }, $next{notify} // 0;
			push @{ $m{orcpts} }, $next{orcpt} // '';
			%next = ();
		}
	}
	return \%m;
}

for my $name (sort keys %id) {
	subtest $name => sub {
		my $ours = Postrider::QueueFile->find($mail, $new{$name});
		my $theirs = theirs($envelope{$name});

		is($ours->{content} =~ s/\r\n/\n/gr, $content{$name} =~
		    s/^postcat: .*\n//mgr, 'the content');
		is($ours->{sender} =~ s/"//gr, $theirs->{sender}, 'sender');
		is($ours->{$_} // '', $theirs->{$_} // '', $_)
		    for qw(verp filter envelope_id return_what);
		is($ours->{flags} & 2, $theirs->{flags} // 0, '8-bit');
		if (defined $theirs->{redirect}) {
			is_deeply($ours->{recipients}, [$theirs->{redirect}],
			    'redirected');
			return;
		}
		is_deeply([map { s/"//gr } @{ $ours->{recipients} }],
		    $theirs->{recipients}, 'recipients');
		is_deeply($ours->{$_}, $theirs->{$_}, $_)
		    for qw(notify orcpts);
		is($ours->{mode}, $name eq 'hold' ? 0710 : 0700, 'its mode');
	};
}
is_deeply(Postrider::QueueFile->find($mail, $new{some})->{recipients},
    ['b@far.test', 'c@far.test'], 'who has got it does not get it again');
like(Postrider::QueueFile->path($mail, $new{hold}), qr{/hold/},
    'held stays held');
my ($seconds) = slurp(file($id{plain})) =~ /T.(\d{9,}) /s;
like(($mail->postrider('queue', 'list', '-j', $new{plain}))[1],
    qr/"arrival_time": $seconds\b/, 'it is as old as it was');
like(($mail->postrider('queue', 'show', '-v', $new{plain}))[1] .
    ($mail->postrider('queue', 'show', $new{plain}))[1], qr/warn/i,
    'the sender has been warned');

($status, $text) = $mail->postrider('queue', 'import', $spool);
is($status, 1, 'again: the damaged ones stay');
like($text, qr/Imported: 0 messages/, 'nothing twice');

# --- delivery --------------------------------------------------------------------

spew($mail->etc . '/go', '');
$mail->start;
my @subjects = grep { $_ ne 'hold' } keys %id;
wait_for(sub { $mail->queue_count == 1 }, 20, 'deliveries');
wait_for(sub { 2 == grep { $mail->log =~ /to=<$_\@far\.test>.*status=sent/ }
    qw(d e) }, 20, "the posted one\n$text" . $mail->log);
my @drops = grep { $_->{data} =~ /^Subject: drop/m } $sink->messages;
is(scalar @drops, 1, 'it was posted once');
like($drops[0]{data}, qr/\r?\n\r?\nposted\r?\n\.\r?\nmore/, 'with its content');
like($drops[0]{data}, qr/^From: q\@one\.test/m, 'and its author');
is($drops[0]{from}, 'q@one.test', 'and its sender');
ok($mail->log =~ /$new{$_}: to=.*status=sent/, "$_ is delivered")
    for @subjects;
ok($mail->log !~ /$new{hold}: to=/, 'but not the held one');

# --- while we run ------------------------------------------------------------------

rename file($id{plain}), "$spool/deferred/$id{plain}";
($status, $text) = $mail->postrider('queue', 'import', $spool);
my ($again) = $text =~ m{/$id{plain}: (\w+), from=<};
ok($again, 'imported while Postrider runs') or diag $text;
wait_for(sub { $mail->log =~ /$again: to=.*status=sent/ }, 10,
    "its delivery, at once\n" . $mail->log);
is(($mail->postrider('queue', 'import', $mail->spool))[0], 66,
    'not our own queue');
is(($mail->postrider('queue', 'import'))[0], 64, 'a directory is wanted');
is(($mail->postrider('queue', 'import', 'spool'))[0], 64, 'an absolute one');
is_deeply([$mail->complaints], [], 'no complaints');
done_testing;
