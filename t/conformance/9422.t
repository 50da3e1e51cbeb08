# 9422.t - RFC 9422: the limits that a server tells, and a client keeps to.
use strict;
use warnings;
use Test::More;
use Postrider qw(free_port slurp spew wait_for);
use Postrider::CA;
use Postrider::Fixture;

my ($few, $many) = (free_port(), free_port());
my $sut = Postrider::Fixture->new(
	settings => { smtpd_recipient_limit => 150, smtp_processes => 1,
		smtp_connection_cache_on_demand => 'yes',
		smtp_tls_security_level => 'may',
		smtp_mx_session_limit => 2 },
	master => "127.0.0.1:$few inet n - n - - smtpd\n" .
	    "  -o smtpd_recipient_limit=3\n" .
	    "127.0.0.1:$many inet n - n - - smtpd\n" .
	    "  -o smtpd_recipient_limit=1000000\n");

# A host that offers these limits; it refuses "bad", puts "later" off. The one
# with TLS is called "inside".
my $mx = Postrider::CA->new($sut->etc . '/ca')->issue(name => 'inside.test');
my %sink;
sub host
{
	my ($name, $limits, @more) = @_;
	my $offer = ref $limits ? $limits : sub { $limits };

	$sink{$name} = $sut->sink(is_noting => 1, tls => $name eq 'inside' ?
	    { cert => $mx->{chain}, key => $mx->{key} } : undef,
	    replies => sub {
		my ($verb, $line, $s) = @_;
		return join "\r\n", '250-sink', '250-PIPELINING',
		    (map { "250-$_" } $offer->($s)), '250 HELP'
		    if $verb eq 'EHLO';
		return '550 5.1.1 who?' if $verb eq 'RCPT' && $line =~ /<bad/;
		return undef;
	});
	open my $routes, '>>', $sut->etc . '/transport';
	print $routes "$_.test smtp:[127.0.0.1]:" . $sink{$name}->port . "\n"
	    for $name, @more;
	close $routes;
}
my $lowered = $sut->etc . '/lowered';
host('two', 'LIMITS RCPTMAX=2');
host('one', 'LIMITS MAILMAX=1');
host('domains', 'LIMITS RCPTDOMAINMAX=1', 'third');
host('half', 'LIMITS RCPTMAX=abc MAILMAX=3');
host('zero', 'LIMITS RCPTMAX=0 MAILMAX=01 RCPTDOMAINMAX=1234567');
host('noise', 'LIMITS ;;');
host('empty', 'LIMITS');
host('inside', sub { $_[0]{tls} ? () : ('STARTTLS', 'LIMITS RCPTMAX=1') });
host('new', 'LIMITS FUTURE=1 RCPTMAX=2 OTHER');
host('falling', sub { -e $lowered ? 'LIMITS MAILMAX=1 RCPTMAX=1' :
    'LIMITS MAILMAX=1 RCPTMAX=4' });
host('rising', sub { $_[0]{number} == 1 ? 'LIMITS MAILMAX=1 RCPTMAX=1' :
    () });
$sut->start;

# Send one message to all of these and wait for the outcomes.
sub deliver
{
	my (@to) = @_;
	my $id = $sut->take($sut->friend, from => '', to => \@to);

	return map { $sut->wait_log(qr/ $id: to=<\Q$_\E>, relay=.*\n/, 20) }
	    @to;
}
sub to { my ($host, $n) = @_; return map { "r$_\@$host.test" } 1 .. $n }
# How many recipients each RCPT group had, refused ones too.
sub asked
{
	my ($host) = @_;
	my $raw = join '', $sink{$host}->raw;

	my @transactions = split /^MAIL /m, $raw;

	shift @transactions;
	return join ' ', map { scalar(() = /^RCPT /mg) } @transactions;
}

# --- the server ---------------------------------------------------------------

for my $service ([$sut->port, 150], [$few, 3], [$many, 999_999]) {
	my ($port, $limit) = @$service;
	my $c = $sut->stranger(port => $port, helo => undef);
	my ($line) = $c->command('EHLO c.test') =~ /^250[- ](LIMITS\b.*)$/m;

	like($line // '', qr/^LIMITS(?: (?:MAILMAX|RCPTMAX|RCPTDOMAINMAX)(?:=[^ =]+)?)+$/,
	    "9422-3-a $line has registered names");
	my %value = ($line // '') =~ / (\w+)=(\S+)/g;
	is($value{RCPTMAX}, $limit, "9422-4.1-a RCPTMAX is the limit");
	is(scalar(grep { !/^[1-9]\d{0,5}$/ } values %value), 0,
	    '9422-4.1-a one to six digits');
	next if $limit > 150;
	$c->command('MAIL FROM:<s@remote.test>', 250);
	my @replies = map { $c->command("RCPT TO:<alice+$_\@local.test>") }
	    1 .. $limit + 1;
	is(scalar(grep { /^250/ } @replies), $limit,
	    "9422-4.1-a $limit recipients are taken");
	like($replies[-1], qr/^452 4\.5\.3/,
	    '9422-4.1-a and one more is too many');
}

# --- the client ---------------------------------------------------------------

{
	deliver(to('two', 5));
	is(asked('two'), '2 2 1', '9422-4.2-a RCPTMAX=2: two at a time');
	my @lines = deliver('bad1@two.test', 'bad2@two.test', 'r8@two.test');
	is(asked('two'), '2 2 1 2 1', '9422-4.2-a refused ones count, too');
	like($lines[2], qr/status=sent/, '9422-4.2-a and all are asked for');
	is(scalar(map { @{ $_->{rcpt} } } $sink{two}->messages), 6,
	    '9422-4.2-a nobody has it twice');

	deliver('a@one.test');
	deliver('b@one.test');
	is($sink{one}->sessions, 2,
	    '9422-4.1-b MAILMAX=1: a session for each message');
	is(scalar(grep { (() = /^MAIL /mg) > 1 } $sink{one}->raw), 0,
	    '9422-4.1-b each with one MAIL');

	deliver('a@domains.test', 'b@domains.test');
	is($sink{domains}->sessions, 1, 'two of one domain go together');
	deliver('a@third.test');
	is($sink{domains}->sessions, 2,
	    '9422-4.3-a RCPTDOMAINMAX=1: another domain, another session');
	is(scalar(grep { /domains\.test/ && /third\.test/ }
	    $sink{domains}->raw), 0, '9422-4.3-a none has both');
}
{
	deliver(to('half', 4));
	is(asked('half'), '4', '9422-3.7-a RCPTMAX=abc is no limit');
	deliver('r5@half.test') for 1 .. 3;
	is(scalar(grep { (() = /^MAIL /mg) > 3 } $sink{half}->raw), 0,
	    '9422-3.7-a MAILMAX=3 beside it is one');
	is(join('+', map { scalar(() = /^MAIL /mg) } $sink{half}->raw), '3+1',
	    '9422-3.7-a which is used');
	for my $host ('zero', 'noise', 'empty') {
		deliver(to($host, 4)) for 1, 2;
		is(asked($host), '4 4', "9422-3.7-a $host: no limit in it");
		is($sink{$host}->sessions, 1, "9422-3.7-a $host: of any kind");
	}
	deliver(to('new', 3));
	is(asked('new'), '2 1', '9422-3.7-a a name that is not known hides ' .
	    'no other');
}
{
	deliver(to('falling', 4));
	spew($lowered, '');
	deliver(to('falling', 3));
	is(asked('falling'), '4 1 1 1',
	    '9422-3.8-a a host that lowers a limit is obeyed');
	deliver(to('rising', 1));
	deliver(to('rising', 3));
	is(asked('rising'), '1 3',
	    '9422-3.8-a one that has none any more is not limited');
	is(scalar(grep { (() = /^MAIL /mg) > 1 } $sink{falling}->raw), 0,
	    '9422-3.8-a MAILMAX is kept to in all of it');
}
{
	my ($line) = deliver(to('inside', 5));
	like($line, qr/status=sent/, '9422-3.6-a a host with TLS gets it');
	is(($sink{inside}->messages)[0]{tls} ? 1 : 0, 1,
	    '9422-3.6-a by TLS');
	is(asked('inside'), '5',
	    '9422-3.6-a where the limit told in clear is none any more');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
