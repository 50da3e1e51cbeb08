# injected.t - whatever strangers say, one event is one line of the log, and
# one field of a header.
use strict;
use warnings;

use lib 't/lib', 't/resolve';
use Alone;
use Encode ();
use File::Path qw(make_path);
use Postrider qw(free_port is_root slurp spew wait_for);
use Test::More;

plan skip_all => 'nsd is not installed' unless Alone::nsd();

# What a resolver says of 127.0.0.2 is its own; clients whose names are ours to
# choose have addresses in a network of this test's alone.
my $net = '192.0.2';
if (is_root() && !$ENV{PRIVATE_NETWORK} &&
    system("unshare -n ip link show lo >/dev/null 2>&1") == 0) {
	$ENV{PRIVATE_NETWORK} = 1;
	exec 'unshare', '-n', 'sh', '-c', 'ip link set lo up && ' .
	    join('', map { "ip addr add $net.$_/32 dev lo && " } 1 .. 3) .
	    'exec "$@"', 'sh', $^X, '-It/lib', $0;
}
plan skip_all => 'a network of our own needs root and ip'
    unless $ENV{PRIVATE_NETWORK};

my $fake = 'Dec  1 00:00:00 x postrider/smtpd[1]: fake';
my %payload = (
	lines => "a\r\n$fake", bare => "a\n$fake\rb", title => "\x1b]0;x\x07",
	csi => "\x9b31m \xc2\x9b31m", format => '%n%s%p%1000000d',
	bidi => "abc\xe2\x80\xaedef\xe2\x81\xa6\xe2\x80\x8f",
	long => 'L' x 10240, nul => "a\0b", del => "\x7f\x08",
	broken => "\xff\xfe\xc0\x80",
);
my $dns = free_port();
my $mail = Postrider->new(settings => {
	local_recipient_maps => '', notify_classes => '',
	mynetworks => "$net.0/24, 127.0.0.1",
	dns_servers => "127.0.0.1\@$dns", dns_hosts_file => '',
	smtpd_soft_error_limit => 1000, smtpd_hard_error_limit => 1000,
	smtpd_junk_command_limit => 1000, smtpd_error_sleep_time => '0s',
	minimal_backoff_time => '1000s', debug_peer_list => "$net.3" });
my $dir = $mail->dir;

# A host that answers with each of them, in each class.
my @answers = map { $payload{$_} =~ s/\r\n/\r/gr } sort keys %payload;
my $sink = $mail->sink(replies => sub {
	my ($verb, $line) = @_;

	return undef unless $verb eq 'RCPT' && $line =~ /<(\d+)-(\d+)@/;
	return \"$1 $answers[$2]\r\n";
});
spew($mail->etc . '/transport', 'far.test smtp:[127.0.0.1]:' . $sink->port .
    "\n");
spew($mail->etc . '/checks', "/^Subject:/ WARN\n/^X-Drop:/ REJECT\n");
$mail->set(transport_maps => 'texthash:' . $mail->etc . '/transport',
    header_checks => 'regexp:' . $mail->etc . '/checks');

# Clients' names: .2 has one that is none, .3 the same as a name
# that points back to it.
spew("$dir/reverse.zone", <<'END');
$ORIGIN 2.0.192.in-addr.arpa.
$TTL 300
@	SOA	ns.x.test. h.x.test. 1 3600 600 86400 60
@	NS	ns.x.test.
2	PTR	a.b\(c\)\013\010X:\032y.evil.test.
3	PTR	x\013\010y\027\0930\032z.evil.test.
END
spew("$dir/evil.zone", <<'END');
$ORIGIN evil.test.
$TTL 300
@	SOA	ns.x.test. h.x.test. 1 3600 600 86400 60
@	NS	ns.x.test.
a.b\(c\)\013\010X:\032y	A	192.0.2.2
x\013\010y\027\0930\032z	A	192.0.2.3
END
Alone::name_server($dir, $dns, '2.0.192.in-addr.arpa' => 'reverse.zone',
    'evil.test' => 'evil.zone');
$mail->start;

sub client
{
	my ($from) = @_;
	my $c = Postrider::Client->new($mail->port, from => $from);

	$c->expect(220);
	return $c;
}

# Say it and hear all that is answered; an answer that never comes is one.
sub say_raw
{
	my ($c, $bytes) = @_;

	$c->raw("$bytes\r\nNOOP end\r\n");
	for (1 .. 50) {
		my $reply = $c->reply // last;
		last if $reply eq '250 2.0.0 Ok';
	}
}

# Is every line whole, short, and harmless?
sub check_log
{
	my ($id, $name) = @_;
	my @lines = split /\n/, $mail->log;
	my (@shape, @long, @bytes, @text);

	$name //= 'postrider';
	for (@lines) {
		push @shape, $_ unless
		    m{^\w{3} [ \d]\d \d\d:\d\d:\d\d [\w-]+ $name/[^\[]{1,127}\[\d+\]: .};
		push @long, $_ if length > 2047;
		push @bytes, $_ if /[\x00-\x1f\x7f]/;
		my $copy = $_;
		my $text = eval { Encode::decode('UTF-8', $copy,
		    Encode::FB_CROAK) } // do { push @text, $_; next };
		push @text, $_ if
		    $text =~ /[\x{80}-\x{9f}\x{61c}\x{200e}\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}]/;
	}
	cmp_ok(scalar @lines, '>', 50, "$id: there is a log");
	is("@shape", '', "$id: one event is one line");
	is("@long", '', "$id: of at most 2 kB");
	is("@bytes", '', "$id: without control bytes");
	is("@text", '', "$id: without C1 controls and marks of direction");
}

subtest 'INJ-11: what is said to us and of us' => sub {
	for my $name (sort keys %payload) {
		my $p = $payload{$name};
		for my $from (map { "$net.$_" } 1 .. 3) {
			my $c = client($from);
			say_raw($c, "EHLO $p");
			say_raw($c, "HELO [$p]");
			say_raw($c, 'EHLO c.test');
			say_raw($c, "MAIL FROM:<$p>");
			say_raw($c, "MAIL FROM:<\"$p\"\@x.test>");
			say_raw($c, "MAIL FROM:<a\@$p>");
			say_raw($c, 'RSET');
			say_raw($c, "MAIL FROM:<a\@b.test> ENVID=$p");
			say_raw($c, 'MAIL FROM:<a@b.test>');
			say_raw($c, "RCPT TO:<$p>");
			say_raw($c, "RCPT TO:<\"$p\"\@elsewhere.test>");
			say_raw($c, "RCPT TO:<\"$p\"\@local.test>");
			say_raw($c, "VRFY $p");
			say_raw($c, "ETRN $p");
			say_raw($c, "$p $p");
			$c->socket->close;
		}
		for my $field ('Subject', 'X-Drop') {
			my $c = client("$net.1");
			$c->script('EHLO c.test' => 250,
			    'MAIL FROM:<a@b.test>' => 250,
			    'RCPT TO:<r@local.test>' => 250, DATA => 354);
			$c->raw("$field: $p\r\nMessage-ID: <$p>\r\n\r\nx\r\n.\r\n");
			$c->reply;
			$c->socket->close;
		}
	}
	like($mail->wait_log(qr/%n%s%p%1000000d/), qr/%n/,
	    'INJ-11: a format is text');
	ok($mail->said(qr/warning: header Subject: /) >= keys %payload,
	    'INJ-11: warnings of headers were there');
	ok($mail->said(qr/\[\d+\]: < \S+: /) > 50,
	    'INJ-11: and lines of a session in detail');
	ok($mail->said(qr/connect from unknown\[192\.0\.2\.$_\]/) > 0,
	    "INJ-11: a strange name is none, .$_") for 2, 3;
	check_log('INJ-11');
};

subtest 'INJ-11: what other hosts answer' => sub {
	my $c = client("$net.1");
	my @to;

	for my $code (250, 450, 550) {
		push @to, map { "$code-$_\@far.test" } 0 .. $#answers;
	}
	$c->command('EHLO c.test', 250);
	for my $to (@to) {
		$c->script('MAIL FROM:<>' => 250, "RCPT TO:<$to>" => 250,
		    DATA => 354);
		$c->data("x\n");
	}
	$c->command('QUIT', 221);
	wait_for(sub { $mail->said(qr/to=<\d+-\d+\@far\.test>.*status=/) >=
	    @to }, 30, 'the outcomes');
	check_log('INJ-11');
};

subtest 'INJ-11: names of files, and what users call things' => sub {
	my $spool = $mail->spool;

	for my $name (sort keys %payload) {
		my $p = substr $payload{$name} =~ tr{/\0}{__}r, 0, 200;
		for my $place ("$spool/maildrop", "$spool/incoming",
		    "$spool/deferred/0") {
			make_path($place);
			spew("$place/$p", 'x');
		}
		$mail->sendmail("Subject: $p\n\nx\n", '-F', $p, '-f', $p,
		    'r@local.test') unless $payload{$name} =~ /\0/;
		next if $payload{$name} =~ /\0/;
		$mail->postrider('log', '-w', $payload{$name});
		$mail->postrider('queue', 'hold', $p);
	}
	$mail->postrider('queue', 'flush');
	is($mail->stop, 0, 'INJ-11: stop');
	$mail->start;
	$mail->send(from => 'a@b.test', to => ['r@local.test']);
	check_log('INJ-11');
};

# A program's own name is the caller's to choose, and so is a tag.
subtest 'INJ-24: what programs are called' => sub {
	my $bin = Postrider::bin();
	my $called = "x\n$fake\x1b]0;x\x07 " . 'y' x 60_000;
	my $tag = "x\x1b]0;x\x07\r\xc2\x9b%n" . 'y' x 300;

	for my $is_running (1, 0) {
		$mail->stop unless $is_running;
		for my $words (['', $called, 'log', '-w', 'hear'],
		    ['', 'postlog', '-t', $tag, 'hear'],
		    ['', 'postlog', '-t', "x\x1by/z\x1b", 'hear'],
		    ['', 'postlog', '-t', $called, 'hear'],
		    ['-queue', "$called/postsuper", '-h', 'ALL'],
		    ['-queue', 'postsuper', '-h', $called]) {
			my ($which, $name, @rest) = @$words;
			$mail->run('', $^X, '-e', 'exec { shift } @ARGV',
			    "$bin/postrider$which", $name, '-c', $mail->etc,
			    @rest);
		}
	}
	is($mail->said(qr/\]: hear$/m), 2 * 3, 'INJ-24: they were heard');
	is($mail->said(qr{ postrider/x\\033\]0;x\\007\\015\\302\\233%ny+\[.*hear$}m),
	    2, 'INJ-24: under a name that is escaped');
	is($mail->said(qr{ x\\033y/z\\033\[\d+\]: hear$}m), 2,
	    'INJ-24: or two');
	check_log('INJ-24', qr/(?:postrider|x\\033y)/);
	$mail->start;
};

# --- headers ----------------------------------------------------------------------

# The fields of a header, unfolded.
sub fields
{
	my ($data) = @_;
	my ($header) = $data =~ /^(.*?)\r\n\r\n/s;

	return split /\r\n/, $header =~ s/\r\n[ \t]+/ /gr;
}

subtest 'INJ-13: a Received field has the shape that it must have' => sub {
	my @names = ('x) by mx.local.test (evil', '"', 'a(b', 'x;y',
	    "x\tby y", 'a..b', '<x>', "x\x00y", '[192.0.2.1) (evil]',
	    '[IPv6:::1 by evil]', 'x,y', "x\\");
	my $word = qr/[A-Za-z0-9._\[\]:-]+/;
	my ($tried, $before) = (0, $sink->count);

	for my $from (map { "$net.$_" } 1 .. 3) {
		for my $name (@names) {
			my $c = client($from);
			say_raw($c, "EHLO $name");
			say_raw($c, 'EHLO c.test') if $tried % 2;
			$c->script('MAIL FROM:<a@b.test>' => 250,
			    "RCPT TO:<n$tried\@far.test>" => 250,
			    DATA => 354);
			$c->data("Subject: one\nX-Two: two\n\nx\n");
			$c->command('QUIT', 221);
			$tried++;
		}
	}
	wait_for(sub { $sink->count >= $before + $tried }, 30, 'the messages');
	my @messages = grep { ($_->{rcpt}[0] // '') =~ /^n\d/ } $sink->messages;
	is(scalar @messages, $tried, 'INJ-13: all have come');
	my @wrong;
	for my $m (@messages) {
		my @fields = fields($m->{data});
		my @names = map { /^([^:]*):/ ? lc $1 : "?$_" } @fields;
		push @wrong, "@names" unless "@names" =~
		    /^received subject x-two(?: (?:message-id|date|from|to))*$/;
		push @wrong, $fields[0] unless $fields[0] =~
		    /^Received: from $word \((?:$word )?\[$word\]\) by $word \(Postrider\) with E?SMTP id \w+ for <n\d+\@far\.test>; \w{3}, [\w: ]+ [+-]\d{4}$/;
	}
	is(join("\n", @wrong), '', 'INJ-13: nothing more, nothing less');
};

is(join('', $mail->complaints), '', 'nothing crashed');
Alone::stop_name_server();
done_testing();
