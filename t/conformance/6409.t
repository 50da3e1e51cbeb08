# 6409.t - RFC 6409: a service for our own users: those of our networks, and,
# with a login, those of anywhere.
use strict;
use warnings;
use IO::Select;
use MIME::Base64;
use Test::More;
use Time::HiRes qw(time);
use Postrider qw(free_port wait_for);
use Postrider::AuthServer;
use Postrider::CA;
use Postrider::Fixture;

my ($submission, $login) = (free_port(), free_port());
my $sut = Postrider::Fixture->new(settings => {
	local_header_rewrite_clients =>
	    'permit_mynetworks, permit_sasl_authenticated',
	smtpd_sasl_type => 'dovecot', smtpd_sender_login_maps =>
	    'inline:{alice@local.test=alice, bob@local.test=bob}',
	append_dot_mydomain => 'yes', mydomain => 'remote.test',
	smtpd_client_connection_count_limit => 0,
    }, master => <<"END");
127.0.0.1:$submission inet n - n - - smtpd
  -o syslog_name=postrider/submission -o message_size_limit=5000000
  -o smtpd_discard_ehlo_keywords=etrn,silent-discard
  -o smtpd_client_restrictions=permit_mynetworks,reject
127.0.0.1:$login inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes
  -o smtpd_tls_security_level=encrypt -o smtpd_hide_client_session=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o smtpd_sender_restrictions=reject_sender_login_mismatch
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
END
my $auth = Postrider::AuthServer->new($sut->dir . '/auth',
    users => { alice => 'good' });
my $mx = Postrider::CA->new($sut->etc . '/ca')->issue(name => 'sut.test');
$sut->set(smtpd_sasl_path => $sut->dir . '/auth',
    smtpd_tls_chain_files => $mx->{all});
$sut->start;

my $number = 0;

# A message by the submission service; as the next host (remote.test) got it.
sub submit
{
	my ($text, %o) = @_;
	my $tag = 'tag-' . $number++;
	my $c = $sut->friend(port => $submission);

	$sut->take($c, from => $o{from} // 'alice@local.test',
	    to => [$o{to} // 'far@remote.test'],
	    text => $o{is_raw} ? $text =~ s/TAG/$tag/r :
	    "X-Tag: $tag\n$text");
	$c->command('QUIT', 221);
	return ($sut->wait_remote(qr/\b$tag\b/))[0];
}

# The fields of this name in a header.
sub fields
{
	my ($m, $name) = @_;
	my ($header) = $m->{data} =~ /\A(.*?\r\n)\r\n/s;

	return ($header =~ s/\r\n(?=[ \t])//gr) =~ /^$name:[ \t]*(.*?)\r$/mig;
}

# --- a service of its own -----------------------------------------------------

{
	my $c = $sut->stranger(port => $submission, helo => undef);
	my $d = $sut->stranger(helo => undef);
	my ($own, $other) = map { $_->command('EHLO c.test') } $c, $d;
	isnt($own, $other, '6409-3.1-a it offers what it was configured for');
	like($own, qr/SIZE 5000000/, '6409-3.1-a its own limit');
	like($other, qr/^250[- ]ETRN$/m, '6409-3.1-a what it has not');
	unlike($own, qr/ETRN/, '6409-3.1-a the other has');
	for my $service ([$c, qr/^554 5\.7\.1 /, 'submission'],
	    [$d, qr/^250 /, 'the MX']) {
		my ($client, $re, $name) = @$service;
		$client->command('MAIL FROM:<s@remote.test>');
		like($client->command('RCPT TO:<alice@local.test>'), $re,
		    "6409-3.1-a a stranger writes to alice by $name");
	}
	$c->close;
	my $e = $sut->friend(port => $submission);
	$e->command('MAIL FROM:<alice@local.test>', 250);
	like($e->command('RCPT TO:<far@remote.test>'), qr/^250/,
	    '6409-3.1-a our own write to the world');
	ok($sut->wait_log(qr/postrider\/submission\/smtpd\[\d+\]: connect from/),
	    '6409-3.1-a the log tells them apart');
}

# --- envelopes ----------------------------------------------------------------

{
	my $m = submit("Subject: x\n\nx\n", from => 'alice');
	is($m->{from}, 'alice@local.test', '6409-4.2-a a bare sender is ' .
	    'completed');
	$m = submit("Subject: x\n\nx\n", from => 'alice@mx');
	is($m->{from}, 'alice@mx.remote.test',
	    '6409-4.2-a as is a host without a domain');
	my $c = $sut->friend(port => $submission);
	$c->command('MAIL FROM:<alice@local.test>', 250);
	my $reply = $c->command('RCPT TO:<bob>');
	like($reply, qr/^250/, '6409-4.2-a a bare recipient, too');
	$c->command('DATA', 354);
	$c->data("Subject: bare-bob\n\nx\n", 250);
	is(scalar($sut->wait_mail('bob', qr/^Subject: bare-bob$/m)), 1,
	    '6409-4.2-a who is local then');
	$m = submit("From: alice\nTo: bob, Carol <carol\@mx>, \"d e\"\n" .
	    "Cc: ed (a \@ comment)\nReply-To: f\nSubject: x\n\nx\n");
	is(join(' | ', map { fields($m, $_) } qw(From To Cc Reply-To)),
	    'alice@local.test | bob@local.test, Carol <carol@mx.remote.test>' .
	    ', "d e"@local.test | ed@local.test (a @ comment) | f@local.test',
	    '6409-4.2-b domains in the header are whole, too');

	$c = $sut->friend(port => $submission);
	like($c->command('MAIL FROM:<>'), qr/^250/,
	    '6409-3.2-a the null sender is no reason to refuse');
	$c->command('RCPT TO:<alice@local.test>', 250);
	$c->command('DATA', 354);
	$c->data("Subject: null\n\nx\n", 250);
	my ($kept) = $sut->wait_mail('alice', qr/^Subject: null$/m);
	like($kept, qr/^Return-Path: <>$/m, '6409-3.2-a nor to lose it');

	for my $bad ('a..b@x.test', '.a@x.test', 'a@x..test', 'a@-x.test',
	    'a b@x.test', '@x.test', 'a@[1.2.3]') {
		like($c->command("MAIL FROM:<$bad>"), qr/^501 5\.1\.7 /,
		    "6409-5.1-a <$bad> sends nothing");
		$c->command('MAIL FROM:<alice@local.test>', 250);
		like($c->command("RCPT TO:<$bad>"), qr/^501 5\.1\.3 /,
		    "6409-5.1-a <$bad> gets nothing");
		$c->command('RSET', 250);
	}
	for my $to ('JoHn+Tag@remote.test', 'a%b@remote.test',
	    '"x y"@remote.test', 'o\'brien=c@remote.test') {
		my $seen = submit("To: $to\nSubject: x\n\nx\n", to => $to);
		is($seen->{rcpt}[0], $to, "6409-8.8-a <$to> stays as it is");
		is((fields($seen, 'To'))[0], $to,
		    "6409-8.8-a in the header, too");
	}
}

# What nobody is offered is not understood, nor taken for something else.
{
	my $c = $sut->friend(port => $submission, helo => undef);
	unlike($c->command('EHLO c.test'),
	    qr/ATRN|DELIVERBY|FUTURERELEASE|MT-PRIORITY|BINARYMIME/,
	    'these are not offered');
	like($c->command('ATRN x.test'), qr/^500 5\.5\.2 /, 'ATRN');
	for my $wish ('BY=120;R', 'HOLDFOR=60', 'MT-PRIORITY=3') {
		like($c->command("MAIL FROM:<alice\@local.test> $wish"),
		    qr/^555 5\.5\.4 /, $wish);
	}
}

# --- what is added ------------------------------------------------------------

my $date = qr/(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d [+-]\d{4}/;
my $id = qr/<[A-Za-z0-9!#\$%&'*+\/=?^_`{|}~.-]+\@[A-Za-z0-9.-]+>/;
{
	my $m = submit("From: alice\@local.test\nSubject: x\n\nx\n");
	like(join('|', fields($m, 'Date')), qr/^$date(?: \(\w+\))?$/,
	    '6409-8.2-a one Date is added');
	like(join('|', fields($m, 'Message-ID')), qr/^$id$/,
	    '6409-8.3-a and one Message-ID');
	$m = submit("Date: Mon, 2 Nov 2026 10:00:00 +0100\n" .
	    "Message-ID: <mine\@local.test>\n\nx\n");
	is(join('|', fields($m, 'Date')), 'Mon, 2 Nov 2026 10:00:00 +0100',
	    '6409-8.2-a one that is there stays');
	is(join('|', fields($m, 'Message-ID')), '<mine@local.test>',
	    '6409-8.3-a so does the other');
	my $c = $sut->stranger;
	$sut->take($c, from => 's@remote.test', to => ['alice@local.test'],
	    text => "Subject: foreign\n\nx\n");
	my ($foreign) = $sut->wait_mail('alice', qr/^Subject: foreign$/m);
	unlike($foreign, qr/^(?:Date|Message-ID|From):/mi,
	    '6409-8.3-a at the MX nothing is added to a stranger\'s mail');
}

# --- what goes out is mail ----------------------------------------------------

# What is wrong with a message, by RFC 5322 (and 5321 for lines).
sub flaws
{
	my ($m) = @_;
	my ($header, $body) = $m->{data} =~ /\A(.*?\r\n)\r\n(.*)\z/s
	    or return 'no end of the header';
	my @flaws;

	push @flaws, 'a bare CR or LF'
	    if $m->{data} =~ /(?<!\r)\n|\r(?!\n)/;
	push @flaws, 'a long line' if $m->{data} =~ /^[^\r]{999,}\r$/m;
	# White lines in a field are the author's (RFC 5322 4.2).
	for my $line (split /\r\n/, $header) {
		push @flaws, "no field: $line"
		    unless $line =~ /^[!-9;-~]+[ \t]*:|^[ \t]/;
	}
	for my $name ('Date', 'From', 'Message-ID') {
		my @all = fields($m, $name);
		push @flaws, "$name: @all" if @all != 1;
	}
	push @flaws, 'bad From' unless ((fields($m, 'From'))[0] // '') =~
	    /^(?:.*<)?[^<>\s@]+\@[A-Za-z0-9.-]+>?(?: \(.*\))?$/;
	push @flaws, 'bad Date' unless (fields($m, 'Date'))[0] =~ $date;
	return join '; ', @flaws;
}
{
	my %odd = (
		'no header' => "TAG is all there is\n",
		'no header, a colon' => "tag TAG: see below\n\nx\n",
		'an empty line first' => "\nTAG\n",
		'nothing but a subject' => "Subject: TAG\n",
		'a broken field' => "Subject: TAG\nthis is none\nTo: x\@y.test\n\nx\n",
		'a space before the colon' => "Subject : TAG\n\nx\n",
		'a long line' => "Subject: TAG\n\n" . 'x' x 5000 . "\n",
		'a long field' => 'X-Long: ' . 'word ' x 900 .
		    "\nSubject: TAG\n\nx\n",
		'an mbox' => "From alice Mon Nov  2 10:00:00 2026\n" .
		    "Subject: TAG\n\nx\n",
		'white lines in a field' => "Subject: TAG\n   \n a\n\nx\n",
		'bare line ends' => "Subject: TAG\n\na\rb\nc\n",
	);
	for my $what (sort keys %odd) {
		my $m = submit($odd{$what}, is_raw => 1);
		is(flaws($m), '', "6409-8-a $what: what goes out is mail")
		    or diag substr $m->{data}, 0, 600;
	}
}

# --- with a login ---------------------------------------------------------------

{
	my $c = $sut->stranger(port => $login, helo => undef);
	$c->command('EHLO c.test', 250);
	my $ehlo = $c->starttls;
	like($ehlo, qr/^250[- ]$_\b/m, "6409-7-a $_") for 'AUTH PLAIN',
	    qw(PIPELINING ENHANCEDSTATUSCODES SIZE 8BITMIME DSN CHUNKING
	    SMTPUTF8);
	like($c->command('MAIL FROM:<alice@local.test>'),
	    qr/^530 5\.7\.0 Authentication required/,
	    '6409-4.3-a MAIL of who has not logged in');
	like($c->command('MAIL FROM:<>'), qr/^530 5\.7\.0 /,
	    '6409-4.3-a whoever it is from');
	$c->command('AUTH PLAIN ' . encode_base64("\0alice\0good", ''), 235);
	$c->command('MAIL FROM:<bob@local.test>', 250);
	like($c->command('RCPT TO:<far@remote.test>'), qr/^553 5\.7\.1 /,
	    '6409-6.1-a a sender that is somebody else\'s');
	$c->command('RSET', 250);
	like($c->command('MAIL FROM:<>'), qr/^250 /,
	    '6409-3.2-a the null sender is nobody\'s');
	$c->command('RSET', 250);
	my $subject = $sut->subject;
	$sut->take($c, from => 'alice', to => ['far@remote.test'],
	    text => "To: bob\nSubject: $subject\n\nx\n");
	my ($m) = $sut->wait_remote(qr/^Subject: $subject\r$/m);
	is($m->{from}, 'alice@local.test', '6409-4.2-a who has logged in');
	is((fields($m, 'To'))[0], 'bob@local.test', '6409-4.2-b the header');
	is(flaws($m), '', '6409-8-a what goes out is mail');
	like((fields($m, 'Message-ID'))[0], $id, '6409-8.3-a with an id');
	like((fields($m, 'Received'))[0], qr/^by sut\.test \(\S+\) with ESMTPSA id \w+\s+for <far\@remote\.test>;/s,
	    '6409-6-a Received has no client in it');
	unlike($m->{data}, qr/127\.0\.0\.2|c\.test/, '6409-6-a nor has the rest');
	$c->command('QUIT', 221);
	$c = $sut->stranger(port => $login, helo => undef);
	like($c->command('EHLO c.test', 250), qr/^250[- ]STARTTLS$/m,
	    '6409-7-a STARTTLS');
}

# --- in time ------------------------------------------------------------------

{
	my @clients = map { Postrider::Client->new($submission,
	    from => '127.0.0.1') } 1 .. 100;
	my $worst = 0;
	my @steps = ('220', 'EHLO c.test' => 250,
	    'MAIL FROM:<alice@local.test>' => 250,
	    'RCPT TO:<bob@local.test>' => 250, 'DATA' => 354,
	    "Subject: crowd\r\n\r\nx\r\n." => 250, 'QUIT' => 221);
	my $good = 0;
	unshift @steps, undef;
	while (my ($command, $code) = splice @steps, 0, 2) {
		my $began = time;
		for my $c (@clients) {
			$c->raw("$command\r\n") if defined $command;
		}
		for my $c (@clients) {
			$good++ if $c->reply =~ /^$code/;
		}
		my $took = time - $began;
		$worst = $took if $took > $worst;
	}
	is($good, 700, '6409-5.3-a a hundred sessions, each command answered');
	cmp_ok($worst, '<', 10,
	    sprintf '6409-5.3-a the slowest after %.2f s', $worst);
	is(scalar($sut->wait_mail('bob', qr/^Subject: crowd$/m, 100)), 100,
	    '6409-5.3-a and all is there');
}
is(join('', $sut->complaints), '', 'nothing crashed');
done_testing();
