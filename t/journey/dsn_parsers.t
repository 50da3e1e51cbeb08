# dsn_parsers.t - reports of every kind, as RFC 3461 wants them, read by those
# who did not write them: Python's email package, flufl.bounce (of Mailman)
# and Mail::DeliveryStatus::BounceParser.

use strict;
use warnings;
use utf8;

use lib 't/lib';
use JSON::PP ();
use Postrider qw(slurp spew wait_for);
use Test::More;

my $python = '/usr/bin/python3';	# Debian's, where its packages are
plan skip_all => 'flufl.bounce is not installed'
    if system("$python -c 'import flufl.bounce' 2>/dev/null") != 0;
plan skip_all => 'Mail::DeliveryStatus::BounceParser is not installed'
    unless eval { require Mail::DeliveryStatus::BounceParser };

# --- a system, and what its next hops say ---------------------------------------

my $mail = Postrider->new(clock => 1, settings => {
	smtpd_peername_lookup => 'no', delay_warning_time => '1h',
	bounce_size_limit => 20_000, local_recipient_maps => '',
	virtual_alias_domains => 'virtual.test',
	virtual_alias_maps => 'inline:{ { one@virtual.test = r@plain.test }, ' .
	    '{ two@virtual.test = r1@plain.test, r2@plain.test }, ' .
	    '{ gone@virtual.test = bad@dsn.test } }' });
my $user = $mail->user(0);
spew($mail->etc . '/aliases', "postmaster root\nteam r3\@plain.test, " .
    "r4\@plain.test\nboss r5\@plain.test\nmoved x\@closed.test\n");

sub say_what
{
	my ($verb, $line) = @_;
	return undef if $verb ne 'RCPT';
	return '450 4.2.1 later' if $line =~ /busy/;
	return "550 5.1.1 Postfach \xc3\xbcberf\xc3\xbcllt" if $line =~ /umlaut/;
	return "550-5.7.1 one\r\n550-5.7.1 " . 'two ' x 100 .
	    "\r\n550 5.7.1 three" if $line =~ /long/;
	return '550 no such user here' if $line =~ /codeless/;
	return '550 5.1.1 no such user' if $line =~ /bad/;
	return undef;
}
my $dsn = $mail->sink(replies => \&say_what);
my $plain = $mail->sink(replies => \&say_what,
    extensions => [qw(PIPELINING 8BITMIME ENHANCEDSTATUSCODES)]);
my $back = $mail->sink;
my $table = $mail->etc . '/transport';
spew($table, <<"END");
dsn.test	smtp:[127.0.0.1]:@{[ $dsn->port ]}
plain.test	smtp:[127.0.0.1]:@{[ $plain->port ]}
down.test	smtp:[127.0.0.1]:@{[ Postrider::free_port() ]}
closed.test	error:5.1.2 this domain has moved away
back.test	smtp:[127.0.0.1]:@{[ $back->port ]}
END
$mail->set(transport_maps => "texthash:$table");
$mail->start;

# --- the cases ------------------------------------------------------------------

# name => { mail: parameters of MAIL; to: recipients with theirs; text; and
# what the report is to say: recipients => [address, action, class of status],
# or none at all }.
my $text = "From: al\@back.test\nSubject: hello\n" .
    "Message-ID: <original\@back.test>\n\nHello, world.\n";
my $list = "$user\@local.test";
my %cases = (
	# failures
	'failure' => { to => ['bad@dsn.test'],
	    report => [['bad@dsn.test', 'failed', '5.1.1']] },
	'failure-many' => { to => [map { "bad$_\@dsn.test" } 1 .. 120],
	    report => [map { ["bad$_\@dsn.test", 'failed', '5.1.1'] }
	    1 .. 120] },
	'failure-some' => { to => ['bad@dsn.test', 'good@dsn.test',
	    'bad2@plain.test'], report => [['bad@dsn.test', 'failed', '5.1.1'],
	    ['bad2@plain.test', 'failed', '5.1.1']] },
	'failure-words' => { to => ['umlaut@dsn.test'], letter =>
	    qr/Postfach/, report => [['umlaut@dsn.test', 'failed', '5.1.1']] },
	'failure-long' => { to => ['long@dsn.test'],
	    report => [['long@dsn.test', 'failed', '5.7.1']] },
	'failure-codeless' => { to => ['codeless@dsn.test'],
	    report => [['codeless@dsn.test', 'failed', '5.0.0']] },
	'failure-local' => { to => ["$user-nobody\@local.test"],
	    report => [["$user-nobody\@local.test", 'failed', '5.1.1']] },
	'failure-closed' => { to => ['moved@local.test'], letter =>
	    qr/moved away/, report => [['x@closed.test', 'failed', '5.1.2']] },
	'failure-alias' => { to => ['gone@virtual.test'], original =>
	    'rfc822; gone@virtual.test', letter => qr/gone\@virtual\.test/,
	    report => [['bad@dsn.test', 'failed', '5.1.1']] },
	'failure-orcpt' => { mail => ' RET=HDRS ENVID=QQ+3D1',
	    to => ['bad@dsn.test ORCPT=rfc822;first+2Bone@back.test'],
	    original => 'rfc822; first+one@back.test',
	    envelope_id => 'QQ=1', returned => 'text/rfc822-headers',
	    report => [['bad@dsn.test', 'failed', '5.1.1']] },
	'failure-full' => { mail => ' RET=FULL', to => ['bad@dsn.test'],
	    returned => 'message/rfc822', body => qr/Hello, world/,
	    report => [['bad@dsn.test', 'failed', '5.1.1']] },
	'failure-big' => { to => ['bad@dsn.test'], text => $text .
	    ('x' x 70 . "\n") x 500, returned => 'text/rfc822-headers',
	    report => [['bad@dsn.test', 'failed', '5.1.1']] },
	'failure-8bit' => { mail => ' BODY=8BITMIME', to => ['bad@dsn.test'],
	    text => "From: al\@back.test\nSubject: gr\xc3\xbc\xc3\x9fe\n" .
	    "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n" .
	    "Content-Transfer-Encoding: 8bit\n\n\xc3\xa4\n", subject => qr/gr/,
	    report => [['bad@dsn.test', 'failed', '5.1.1']] },
	'failure-mime' => { to => ['bad@dsn.test'], text =>
	    "Subject: hello\nMIME-Version: 1.0\nContent-Type: " .
	    "multipart/mixed; boundary=\"b\"\n\n--b\n\none\n--b\n\ntwo\n" .
	    "--b--\n", report => [['bad@dsn.test', 'failed', '5.1.1']] },
	'failure-asked' => { to => ['bad@dsn.test NOTIFY=FAILURE'],
	    report => [['bad@dsn.test', 'failed', '5.1.1']] },
	'failure-unasked' => { to => ['bad@dsn.test NOTIFY=SUCCESS,DELAY'] },
	'failure-never' => { to => ['bad@dsn.test NOTIFY=NEVER'] },

	# delays; then the end, days later
	'delay' => { to => ['busy@dsn.test'], mail => ' ENVID=later',
	    envelope_id => 'later',
	    report => [['busy@dsn.test', 'delayed', '4.2.1']],
	    then => [['busy@dsn.test', 'failed', '4.2.1']] },
	'delay-many' => { to => [map { "busy$_\@dsn.test" } 1 .. 60],
	    report => [map { ["busy$_\@dsn.test", 'delayed', '4.2.1'] }
	    1 .. 60],
	    then => [map { ["busy$_\@dsn.test", 'failed', '4.2.1'] }
	    1 .. 60] },
	'delay-down' => { to => ['x@down.test'],
	    report => [['x@down.test', 'delayed', '4.4.1']],
	    then => [['x@down.test', 'failed', '4.4.1']] },
	'delay-asked' => { to => ['busy@dsn.test NOTIFY=DELAY'],
	    report => [['busy@dsn.test', 'delayed', '4.2.1']] },
	'delay-unasked' => { to => ['busy@dsn.test NOTIFY=FAILURE'],
	    report => [['busy@dsn.test', 'failed', '4.2.1']] },
	'delay-never' => { to => ['busy@dsn.test NOTIFY=NEVER'] },

	# success
	'success-none' => { to => ['good@plain.test'] },
	'success-local' => { to => ["$list NOTIFY=SUCCESS"],
	    mail => ' RET=FULL ENVID=abc', envelope_id => 'abc',
	    report => [[$list, 'delivered', '2.0.0']] },
	# That host takes the request over, and the duty.
	'success-passed' => { to => ['good@dsn.test NOTIFY=SUCCESS'],
	    seen => [$dsn, qr/NOTIFY=SUCCESS/i] },
	'success-relayed' => { to => ['good@plain.test NOTIFY=SUCCESS'],
	    report => [['good@plain.test', 'relayed', '2.0.0']] },
	'success-many' => { to => [map { "good$_\@plain.test NOTIFY=SUCCESS" }
	    1 .. 70], report => [map { ["good$_\@plain.test", 'relayed',
	    '2.0.0'] } 1 .. 70] },
	# One address for another: the wish goes along (RFC 3461 5.2.7.2).
	'success-alias' => { to => ['one@virtual.test NOTIFY=SUCCESS'],
	    original => 'rfc822; one@virtual.test',
	    report => [['r@plain.test', 'relayed', '2.0.0']] },
	# Many for one: it ends here (5.2.7.3).
	'success-expanded' => { to => ['two@virtual.test NOTIFY=SUCCESS'],
	    report => [['two@virtual.test', 'expanded', '2.0.0']] },
	'success-team' => { to => ['team@local.test NOTIFY=SUCCESS'],
	    report => [['team@local.test', 'expanded', '2.0.0']] },
	'success-boss' => { to => ['boss@local.test NOTIFY=SUCCESS'],
	    report => [['r5@plain.test', 'relayed', '2.0.0']] },
	'success-failed' => { to => ['bad@plain.test NOTIFY=SUCCESS,FAILURE'],
	    report => [['bad@plain.test', 'failed', '5.1.1']] },
	'success-never' => { to => ["$list NOTIFY=NEVER"] },
	'success-unasked' => { to => ["$list NOTIFY=FAILURE,DELAY"] },
);

my $client = $mail->client;
$client->expect(220);
$client->command('EHLO client.test', 250);
my %id;
for my $name (sort keys %cases) {
	my $case = $cases{$name};
	$client->command("MAIL FROM:<$name\@back.test>" .
	    ($case->{mail} // ''), 250);
	for my $to (@{ $case->{to} }) {
		my ($address, $more) = $to =~ /^(\S+)(.*)/;
		$client->command("RCPT TO:<$address>$more", 250);
	}
	$client->command('DATA', 354);
	($id{$name}) = $client->data($case->{text} // $text) =~
	    /queued as (\w+)/;
}
$client->command('QUIT', 221);

# --- reading --------------------------------------------------------------------

my $files = $mail->dir . '/reports';
mkdir $files;
my (%read, %taken);

# All reports that have come since the last time, by sender of the original.
sub read_reports
{
	my %reports;
	my $n = 0;
	my @paths;

	for my $message ($back->messages) {
		my $key = $message->{data} =~ /^Message-ID: (\S+)/mi ? $1 : '';
		next if $taken{$key}++;
		my ($name) = $message->{rcpt}[0] =~ /^(.*)\@back\.test$/;
		my $path = "$files/" . scalar keys %taken;
		spew($path, $message->{data});
		push @paths, $path;
		push @{ $reports{$name} }, { message => $message,
		    path => $path };
	}
	my ($status, $output) = $mail->run('', $python, 't/lib/dsn.py',
	    @paths);
	is($status, 0, 'Python reads them') or diag $output;
	my @lines = split /\n/, $output;
	for my $path (@paths) {
		$read{$path} = JSON::PP->new->utf8->decode(shift @lines);
	}
	return %reports;
}

# What the third parser makes of it; it knows mailboxes, with \n.
sub ask_third
{
	my ($data) = @_;
	my $parser = Mail::DeliveryStatus::BounceParser->new(
	    $data =~ s/\r\n/\n/gr);
	my @addresses = sort $parser->addresses;

	return ($parser->is_bounce ? 1 : 0, \@addresses);
}

# The reports of one message, taken together: [address, action, status].
sub check
{
	my ($name, $expected, @reports) = @_;
	my $case = $cases{$name};
	my $action = $expected->[0][1];
	my (@rows, @addresses, @permanent, @temporary, @third, @bounces);

	for my $report (@reports) {
		my $r = $read{ $report->{path} };
		is_deeply($r->{wrong}, [], 'its structure is right');
		is($report->{message}{from}, '', 'it has no sender');
		push @rows, map { [$_->{'final-recipient'} =~ s/^rfc822; *//r,
		    @$_{qw(action status)}] } @{ $r->{recipients} };
		# Parsers tell the sender of the address that he wrote.
		push @addresses, map { ($_->{'original-recipient'} //
		    $_->{'final-recipient'}) =~ s/^rfc822; *//r }
		    @{ $r->{recipients} };
		push @permanent, @{ $r->{permanent} };
		push @temporary, @{ $r->{temporary} };
		my ($is_bounce, $addresses) =
		    ask_third($report->{message}{data});
		push @bounces, $is_bounce;
		push @third, @$addresses if $is_bounce;

		like($r->{message}{'reporting-mta'}, qr/^dns; mail\.local\.test$/);
		is($r->{message}{'original-envelope-id'},
		    $case->{envelope_id}, 'its envelope id');
		# RFC 3461 4.3: RET is about failures.
		my $returned = $action ne 'failed' ? 'text/rfc822-headers' :
		    $case->{returned} // 'message/rfc822';
		is($r->{returned}, $returned, 'what is returned');
		like($r->{subject}, $case->{subject} // qr/^hello$/,
		    'of the message that was sent');
		like($r->{body}, $case->{body}, 'and its text')
		    if $case->{body};
		like($r->{letter}, $case->{letter}, 'people read why')
		    if $case->{letter};
		is($r->{recipients}[0]{'original-recipient'} =~ s/; */; /r,
		    $case->{original}, 'the address that the sender wrote')
		    if $case->{original};
		ok($r->{recipients}[0]{'diagnostic-code'},
		    'a diagnostic code') if $action eq 'failed';
		ok($r->{recipients}[0]{'will-retry-until'}, 'and until when')
		    if $action eq 'delayed';
	}
	my $by = sub { $_[0][0] cmp $_[1][0] };
	is_deeply([sort { $by->($a, $b) } @rows],
	    [sort { $by->($a, $b) } @$expected], "$action, of each");
	@addresses = sort @addresses;
	is_deeply([sort @permanent], $action eq 'failed' ? \@addresses : [],
	    'flufl.bounce: failed');
	is_deeply([sort @temporary], $action eq 'delayed' ? \@addresses : [],
	    'flufl.bounce: delayed');
	is_deeply([sort @third], $action eq 'failed' ? \@addresses : [],
	    'BounceParser: failed');
	is_deeply([grep { $_ != ($action eq 'failed' ? 1 : 0) } @bounces], [],
	    'BounceParser: whether it is a bounce');
}

# Look at what has come for these messages, one group at a time.
sub check_all
{
	my ($what, $field, @names) = @_;
	my %reports = read_reports();

	for my $name (@names) {
		my $expected = $cases{$name}{$field};
		my @reports = @{ delete $reports{$name} // [] };
		subtest "$what: $name" => sub {
			return is(scalar @reports, 0, 'no report')
			    unless $expected;
			ok(scalar @reports, 'a report') or return;
			check($name, $expected, @reports);
		};
	}
	is_deeply([sort keys %reports], [], "$what: nobody else is told");
}

# So far everything but the delays.
my @late = grep { /^delay/ } sort keys %cases;
$mail->settle;
wait_for(sub { $mail->queue_count('deferred') == @late }, 20, 'the queue');
check_all('at once', 'report', grep { !/^delay/ } sort keys %cases);

my ($host, $said) = @{ $cases{'success-passed'}{seen} };
like((grep { $_->{from} eq 'success-passed@back.test' }
    $host->messages)[0]{rcpt_lines}[0], $said,
    'the next hop is asked to report');

$mail->advance(4000);
$mail->settle;
check_all('an hour later', 'report', grep { $_ ne 'delay-unasked' } @late)
    if wait_for(sub { $mail->queue_count('deferred') == @late }, 20, 'them');

$mail->advance(5 * 86400);
$mail->settle;
wait_for(sub { $mail->queue_count == 0 }, 20, 'an empty queue');
$cases{'delay-unasked'}{then} = $cases{'delay-unasked'}{report};
check_all('five days later', 'then', @late);

is(join('', $mail->complaints), '', 'nothing crashed');
done_testing;
