# 2033.t - RFC 2033: the client as lmtp, an answer for each recipient.
use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Test::More;
use Postrider qw(spew wait_for);
use Postrider::Fixture;

my $sut = Postrider::Fixture->new;

# A store that knows some and has no room for others.
sub talk
{
	my ($verb, $line, $s) = @_;

	return '500 5.5.1 this is LMTP' if $verb =~ /^(?:EHLO|HELO)$/;
	return '550 5.1.1 who?' if $verb eq 'RCPT' && $line =~ /<nobody/;
	return '503 5.5.1 nobody' if $verb eq 'DATA' && !@{ $s->{rcpt} };
	if ($verb eq 'DOT') {
		return '452 4.2.2 full' if $line =~ /^full/;
		return '550 5.7.1 no more' if $line =~ /^gone/;
		return 'CLOSE' if $s->{from} =~ /^cut/ && $s->{answers}++;
		return "250 2.1.5 <$line> saved";
	}
	return undef;
}
my %store = (
	data => $sut->sink(lmtp => 1, is_noting => 1, replies => \&talk),
	chunk => $sut->sink(lmtp => 1, is_noting => 1, replies => \&talk,
	    extensions => [qw(PIPELINING CHUNKING ENHANCEDSTATUSCODES)]),
	once => $sut->sink(replies => sub {
		return '250 sink' if $_[0] eq 'LHLO';
		return ['250 2.0.0 only this', 'CLOSE'] if $_[0] eq 'DOT';
		return undef;
	}),
);

# A store that gives each answer when it is told to: when a file is there.
my $slow = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1',
    Proto => 'tcp') or die "listen: $!";
my $gate = $sut->etc . '/gate';
my $pid = fork // die "fork: $!";
if ($pid == 0) {
	my $c = $slow->accept;
	my $count = 0;
	syswrite $c, "220 store LMTP\r\n";
	while (defined(my $line = <$c>)) {
		$count++ if $line =~ /^RCPT/;
		if ($line !~ /^DATA/) {
			syswrite $c, "250 2.0.0 Ok\r\n";
			next;
		}
		syswrite $c, "354 go\r\n";
		while (($line = <$c>) ne ".\r\n") {}
		for my $n (1 .. $count) {
			select undef, undef, undef, 0.02
			    until $n == 1 || -e "$gate.$n";
			syswrite $c, "250 2.1.5 answer $n\r\n";
		}
	}
	POSIX::_exit(0);
}
END { my $status = $?; kill 'KILL', $pid; waitpid $pid, 0; $? = $status }

open my $routes, '>>', $sut->etc . '/transport';
print $routes "$_.test lmtp:inet:127.0.0.1:" . $store{$_}->port . "\n"
    for keys %store;
print $routes 'slow.test lmtp:inet:127.0.0.1:' . $slow->sockport . "\n";
close $routes;
$sut->{master} .= "lmtp unix - - n - - lmtp -o lmtp_data_done_timeout=30s\n";
$sut->write_config;
$sut->start;

sub mail
{
	my ($host, $from, $text, @to) = @_;

	return $sut->take($sut->friend, from => $from,
	    to => [map { "$_\@$host.test" } @to], text => $text);
}
sub outcome
{
	my ($id, $to) = @_;

	return $sut->wait_log(qr/ $id: to=<\Q$to\E\@.*\n/, 20);
}

# --- an answer for each -------------------------------------------------------

# The same by DATA and by BDAT.
for my $case (['data', '2033-4.2-c', 'x'], ['chunk', '2033-4.3-a', 'x'],
    ['chunk', '2033-4.3-a', ('y' x 70 . "\n") x 3000]) {
	my ($host, $row, @body) = @$case;
	my $text = "Subject: each-$host-" . @body . "\n\n@body\n";
	my $from = "each-$host-" . @body . '@remote.test';
	my $before = $store{$host}->count;
	my $id = mail($host, $from, $text, qw(ann full gone bob nobody));
	my %expected = (ann => qr/dsn=2\.1\.5, status=sent \(250 2\.1\.5 <ann/,
	    full => qr/dsn=4\.2\.2, status=deferred .*452 4\.2\.2 full/,
	    gone => qr/dsn=5\.7\.1, status=bounced .*550 5\.7\.1 no more/,
	    bob => qr/dsn=2\.1\.5, status=sent \(250 2\.1\.5 <bob/,
	    nobody => qr/dsn=5\.1\.1, status=bounced/);
	like(outcome($id, $_), $expected{$_}, "$row $_ has his own answer")
	    for sort keys %expected;
	my ($report) = wait_for(sub { my @r = grep { $_->{rcpt}[0] eq $from }
	    $sut->remote->messages; @r && \@r }, 20, 'the report')->[0];
	is(join(' ', sort $report->{data} =~
	    /^Final-Recipient: rfc822; (\w+)\@/mg), 'gone nobody',
	    "$row the sender hears of those who failed");
	my ($status, $queue) = $sut->postrider('queue', 'list', '-j');
	my ($entry) = grep { /"$id"/ } split /\n/, $queue;
	my @left = ($entry // '') =~ /"address": ?"(\w+)\@/g;
	is("@left", 'full', "$row only who has no room waits");
	is($store{$host}->count, $before + 1, "$row it was sent once");
}
{
	my ($m) = grep { @{ $_->{chunks} // [] } > 1 } $store{chunk}->messages;
	cmp_ok(scalar(@{ $m->{chunks} }), '>', 2,
	    '2033-4.3-a chunks that are not the last have one answer each');
	my $raw = join '', map { $_->raw } $store{chunk}, $store{data};
	unlike($raw, qr/^(?:EHLO|HELO)/m, 'the client says LHLO, always');
	like($raw, qr/\ALHLO sut\.test\r\n/, 'with our name');
}

# The same one twice is two recipients, with an answer each, or one.
{
	my $id = mail('data', 's@remote.test', "Subject: twice\n\nx\n",
	    qw(ann ann cem));
	like(outcome($id, 'cem'), qr/status=sent \(250 2\.1\.5 <cem/,
	    '2033-4.2-c answers are not mixed up by one that comes twice');
}

# --- as they arrive -----------------------------------------------------------

{
	my $id = mail('slow', 's@remote.test', "Subject: slow\n\nx\n",
	    qw(one two three));
	for my $n (1 .. 3) {
		spew("$gate.$n", '') if $n > 1;
		ok($sut->wait_log(qr/ $id: to=<.*status=sent \(250 2\.1\.5 answer $n\)/),
		    "2033-5-d answer $n is taken when it comes");
		is($sut->said(qr/ $id: to=</), $n,
		    '2033-5-d and does not wait for the others');
	}
	is(scalar(() = $sut->log =~ / $id: to=<(?:one|two|three)\@/g), 3,
	    '2033-5-d each has had his');
	$sut->wait_log(qr/ $id: removed/);
}

# --- it breaks ----------------------------------------------------------------

{
	my $id = mail('data', 'cut@remote.test', "Subject: broken\n\nx\n",
	    qw(ann cem bob));
	my @three = map { outcome($id, $_) } qw(ann cem bob);
	is(scalar(grep { /status=sent \(250 2\.1\.5/ } @three), 1,
	    '2033-5-c an answer that came counts');
	is(scalar(grep { /dsn=4\.4\.2, status=deferred/ } @three), 2,
	    '2033-5-c who has none waits');
	$id = mail('once', 's@remote.test', "Subject: once\n\nx\n",
	    qw(ann bob cem));
	my @lines = map { outcome($id, $_) } qw(ann bob cem);
	is(scalar(grep { /status=sent/ } @lines), 1,
	    '2033-5-c one answer for three is the first one\'s');
	is(scalar(grep { /dsn=4\.4\.2, status=deferred/ } @lines), 2,
	    '2033-5-c the others are tried again');
	my ($status, $queue) = $sut->postrider('queue', 'list', '-j');
	my ($entry) = grep { /"$id"/ } split /\n/, $queue;
	is(scalar(() = ($entry // '') =~ /"address": ?"\w+\@/g), 2,
	    '2033-5-c and who has it is not');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
