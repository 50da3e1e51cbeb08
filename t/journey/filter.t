#!/usr/bin/perl
# filter.t - mail that passes a content filter before it goes where it is for:
# by SMTP, and out of a second smtpd; by a command, and back by sendmail.

use strict;
use warnings;
use lib 't/lib';

use Postrider qw(bin free_port need_root slurp spew wait_for);
use Postrider::QueueFile;
use Test::More;

need_root();

my $dir = File::Temp->newdir('prt-filter-XXXX', DIR => '/tmp', CLEANUP => 1);
chmod 0755, $dir;
my ($back, $other_port) = (free_port(), free_port());

# The filter: refuses what is bad, puts off while it is told so, brings the
# rest back with a line more, and says what it heard there. Sinks are processes
# of their own, which hear of our wishes by files.
sub bring_back
{
	my ($name, $session, $data) = @_;

	return '550 5.7.1 infected' if $data =~ /^Subject: bad/m;
	return '450 4.7.1 not now' if -e "$dir/shut";
	my $c = Postrider::Client->new($back);
	$c->expect(220);
	$c->command('EHLO filter.test', 250);
	$c->command("MAIL FROM:<$session->{from}>", 250);
	for (@{ $session->{rcpt} }) {
		my $reply = $c->command("RCPT TO:<$_>");
		return $reply if $reply !~ /^250/;
	}
	$c->command('DATA', 354);
	my $reply = $c->data("X-Filtered: by $name\n$data");
	$c->command('QUIT', 221);
	return $reply;
}

my $mail = Postrider->new;
my %filter = map {
	my $name = $_;
	($name => $mail->sink(name => $name, replies => sub {
		my ($verb, $line, $s) = @_;
		return undef unless $verb eq 'DOT';
		return eval { bring_back($name, $s, $s->{data}) } //
		    "451 4.3.0 filter: $@" =~ s/\n.*//sr;
	}))
} qw(scan one two);
my $box = $mail->sink(path => $mail->dir . '/box');
chmod 0666, $mail->dir . '/box';
my $far = $mail->sink;
my $gate = free_port();
my ($alice, $bob) = ($mail->user(0), $mail->user(1));

# A script as simple as a filter can be.
spew("$dir/simple", <<"END");
#!/bin/sh
in=$dir/in.\$\$
trap "rm -f \$in" 0 1 2 3 15
{ echo 'X-Simply: filtered'; cat; } >\$in || exit 75
grep -q '^Subject: bad' \$in && { echo no; exit 69; }
@{[bin()]}/sendmail -C @{[$mail->etc]} -G -i "\$@" <\$in
END
chmod 0755, "$dir/simple";
chmod 01777, $dir;

spew("$dir/show", <<"END");
#!/bin/sh
{ echo "\$@"; cat; } >$dir/shown.new && mv $dir/shown.new $dir/shown.\$\$
END
chmod 0755, "$dir/show";

spew($mail->etc . '/header', <<"END");
/^Subject: to two/ FILTER one:[127.0.0.1]:@{[$filter{one}->port]}
/^X-Then:/ FILTER one:[127.0.0.1]:@{[$filter{two}->port]}
/^Subject: redirected/ REDIRECT r\@far.test
/^Subject: show/ FILTER show:
/^Subject: usual/ FILTER one:
/^Subject: nobody/ FILTER nobody:here
/^Subject: box/ FILTER lmtp:unix:@{[$mail->dir]}/box
/^X-Filtered/ REJECT looked at twice
END

$mail->{master} = <<"END";
scan unix - - n - 10 smtp
  -o smtp_send_xforward_command=yes -o disable_mime_output_conversion=yes
  -o smtp_generic_maps=
one unix - - n - 10 smtp
show unix - n n - - pipe
  user=$alice argv=$dir/show \${nexthop} \${recipient}
filter unix - n n - 10 pipe
  flags=Rq user=$alice null_sender=
  argv=$dir/simple -f \${sender} -- \${recipient}
127.0.0.1:$back inet n - n - 10 smtpd
  -o content_filter=
  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_milters
  -o smtpd_helo_restrictions= -o smtpd_client_restrictions=
  -o smtpd_sender_restrictions= -o smtpd_relay_restrictions=
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
  -o mynetworks=127.0.0.0/8 -o smtpd_authorized_xforward_hosts=127.0.0.0/8
127.0.0.1:$gate inet n - n - - smtpd
  -o content_filter=filter:dummy -o header_checks=
END
my $scan = 'scan:[127.0.0.1]:' . $filter{scan}->port;
$mail->set(content_filter => $scan,
    receive_override_options => 'no_address_mappings',
    relayhost => '[127.0.0.1]:' . $far->port,
    virtual_alias_maps => "inline:{ { team\@local.test=$alice, t\@far.test } }",
    header_checks => 'regexp:${config_directory}/header',
    minimal_backoff_time => '300s', queue_run_delay => '300s');
$mail->write_config;
$mail->start;

# One message; its id, or the refusal.
sub post
{
	my ($subject, @to) = @_;
	my $reply = $mail->send(from => "$bob\@local.test", to => \@to,
	    text => "Subject: $subject\nTo: x\@y.test\n\nText.\n");

	return $reply =~ /queued as (\S+)/ ? $1 : $reply;
}

# The one new message of a sink.
my %seen;
sub arrived
{
	my ($sink, $what) = @_;

	wait_for(sub { $sink->count > ($seen{$sink} // 0) }, 10, $what);
	return ($sink->messages)[$seen{$sink}++];
}

sub in_box
{
	my ($user, $re) = @_;

	return wait_for(sub { (grep { /$re/ } $mail->mbox($user))[0] }, 10,
	    "mail for $user with $re");
}

subtest 'through a filter that speaks SMTP' => sub {
	post('hello', 'team@local.test', 'x@far.test');
	my $m = arrived($filter{scan}, 'mail at the filter');
	is_deeply([sort @{ $m->{rcpt} }], ['team@local.test', 'x@far.test'],
	    'it sees one message, and the recipients as they were given');
	unlike($m->{data}, qr/X-Filtered/, 'not filtered yet');

	like(in_box($alice, 'Subject: hello'), qr/^X-Filtered: by scan$/m,
	    'a member of the alias has it, filtered');
	my @far = map { arrived($far, 'mail outside') } 1;
	is_deeply([sort @{ $far[0]{rcpt} }], ['t@far.test', 'x@far.test'],
	    'so have the others, outside');
	like($far[0]{data}, qr/^X-Filtered: by scan\r$/m, 'filtered');
	$mail->wait_empty(10);
	is($filter{scan}->count, 1, 'it was filtered once');
	like($mail->log, qr{smtp/?\S*\[\d+\]: \w+: to=<team\@local\.test>, relay=127\.0\.0\.1\S+, .*dsn=2\.0\.0, status=sent \(250 2\.0\.0 Ok: queued as },
	    'the log tells of both ways');
};

subtest 'mail from sendmail too' => sub {
	my ($status) = $mail->sendmail("Subject: from sendmail\n\nText.\n",
	    '-f', "$bob\@local.test", 'x@far.test');
	is($status, 0);
	is(arrived($filter{scan}, 'mail at the filter')->{from},
	    "$bob\@local.test");
	like(arrived($far, 'mail outside')->{data}, qr/^X-Filtered: by scan\r$/m);
	($status) = $mail->sendmail('', '-bv', '-f', "$bob\@local.test",
	    'asked@far.test');
	is($status, 0, 'who only asks what would become of mail');
	$mail->wait_log(qr/to=<asked\@far\.test>, relay=127\.0\.0\.1\S+:${\ $far->port}, .*status=deliverable/);
	is($filter{scan}->count, $seen{$filter{scan}}, 'asks no filter');
};

subtest 'refused by the filter' => sub {
	post('bad', 'x@far.test');
	my $report = in_box($bob, 'infected');
	unlike($report, qr/X-Filtered/, 'the report comes by itself');
	like($report, qr/^Diagnostic-Code: smtp; 550 5\.7\.1 infected$/m);
	$mail->wait_empty(10);
};

subtest 'the filter is remembered' => sub {
	spew("$dir/shut", '');
	my $id = post('patience', 'x@far.test');
	$mail->wait_log(qr/$id: to=<x\@far\.test>.*status=deferred.*not now/);
	is(Postrider::QueueFile->find($mail, $id)->{filter}, $scan,
	    'in the queue file');
	like((Postrider::run($mail, '', bin() . '/postrider', '-c', $mail->etc,
	    'queue', 'show', $id))[1], qr/^content_filter: \Q$scan\E$/m,
	    'which can be shown');
	$mail->stop;
	$mail->set(content_filter => undef);
	$mail->write_config;
	unlink "$dir/shut";
	$mail->start;
	$mail->postrider('queue', 'flush');
	like(arrived($far, 'mail outside')->{data},
	    qr/^X-Filtered: by scan\r$/m, 'over a restart');
	is(arrived($filter{scan}, 'the same')->{rcpt}[0], 'x@far.test');
	$mail->wait_empty(10);
};

subtest 'header checks name filters' => sub {
	$mail->set(content_filter => $scan,
	    default_filter_nexthop => '[127.0.0.1]:' . $filter{two}->port);
	$mail->write_config;
	$mail->reload;
	my $id = post("to two\nX-Then: yes", 'x@far.test');
	like(arrived($far, 'mail outside')->{data},
	    qr/^X-Filtered: by two\r$/m, 'the last one counts');
	like($mail->log, qr/$id: filter: header Subject: to two from \S+; from=<$bob\@local\.test> to=<x\@far\.test> proto=ESMTP helo=<client\.test>: one:\[127/,
	    'the log tells');
	is($filter{one}->count, 0, 'no other was asked');
	post('redirected', 'x@far.test');
	my $m = arrived($far, 'mail outside');
	is_deeply($m->{rcpt}, ['r@far.test'], 'REDIRECT');
	unlike($m->{data}, qr/X-Filtered/, 'goes by no filter');
	post('usual', 'x@far.test');
	like(arrived($far, 'mail outside')->{data},
	    qr/^X-Filtered: by two\r$/m, 'the usual next hop');
	post('box', 'x@far.test');
	is(arrived($box, 'mail in the socket')->{rcpt}[0], 'x@far.test',
	    'a UNIX socket that only the queue file names');
	$id = post('nobody', 'x@far.test');
	$mail->wait_log(qr/$id: to=<x\@far\.test>.*dsn=4\.3\.0, status=deferred \(mail transport unavailable\)/);
	$mail->postrider('queue', 'delete', $id);
};

subtest 'without a next hop' => sub {
	$mail->set(default_filter_nexthop => undef);
	$mail->write_config;
	$mail->reload;
	post('show', 'y@elsewhere.test');
	my $path = wait_for(sub { (glob "$dir/shown.*[0-9]")[0] }, 10);
	like(slurp($path), qr/^elsewhere\.test y\@elsewhere\.test$/m,
	    'it is the domain of the recipient');
};

subtest 'begun again' => sub {
	spew("$dir/shut", '');
	my @id = map { post("again $_", 'x@far.test') } 1 .. 2;
	$mail->wait_log(qr/$_: to=.*status=deferred.*not now/) for @id;
	my $before = $filter{scan}->count;
	$mail->set(content_filter => 'one:[127.0.0.1]:' . $filter{one}->port);
	$mail->write_config;
	$mail->reload;
	unlink "$dir/shut";
	is(($mail->postrider('queue', 'requeue', $id[0]))[0], 0);
	like(arrived($far, 'mail outside')->{data}, qr/^X-Filtered: by one\r$/m,
	    'by the filter of now');
	$mail->set(content_filter => undef);
	$mail->write_config;
	$mail->reload;
	is(($mail->postrider('queue', 'hold', $id[1]))[0], 0);
	is(($mail->postrider('queue', 'requeue', $id[1]))[0], 0);
	unlike(arrived($far, 'mail outside')->{data}, qr/X-Filtered/,
	    'by none when there is none any more');
	is($filter{scan}->count, $before, 'never by the old one');
	$mail->wait_empty(10);
};

subtest 'a command, and back by sendmail' => sub {
	my $c = $mail->client($gate);
	$c->expect(220);
	$c->script('EHLO client.test' => 250, "MAIL FROM:<$bob\@local.test>" =>
	    250, 'RCPT TO:<team@local.test>' => 250, 'RCPT TO:<x@far.test>' =>
	    250, DATA => 354);
	$c->data("Subject: simple\n\n.\nText.\n");
	my $m = arrived($far, 'mail outside');
	like($m->{data}, qr/^X-Simply: filtered\r\n/m, 'filtered');
	like($m->{data}, qr/\r\n\r\n\.\r\nText\.\r\n\z/, 'whole');
	is($m->{from}, "$bob\@local.test", 'with its sender');
	$mail->wait_empty(10);
	like($mail->log, qr/to=<team\@local\.test>, relay=filter, .*status=sent \(delivered via filter service\)/);

	$c->script("MAIL FROM:<$bob\@local.test>" => 250,
	    'RCPT TO:<x@far.test>' => 250, DATA => 354);
	$c->data("Subject: bad\n\nSimply.\n");
	like(in_box($bob, 'Simply'), qr/^Status: 5/m, 'or not');
	post('around', 'x@far.test');
	unlike(arrived($far, 'mail outside')->{data}, qr/X-Simply/,
	    'other services have no filter');
	$mail->wait_empty(10);
};

is(join('', $mail->complaints), '', 'nothing crashed');
$mail->stop;
done_testing;
