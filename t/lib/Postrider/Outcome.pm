package Postrider::Outcome;

# What became of a message: the line in the log, the queue, the report, the
# next attempt. For tests that send many messages at once and then look:
#
#	my $outcome = Postrider::Outcome->new($mail, $back);
#	$outcome->wait_for(map { $id{$_} } @cases);
#	$outcome->check($id, to => 'r@far.test', from => 'al@back.test',
#	    status => 'bounced', dsn => '5.1.1', text => qr/no such user/);
#
# $back is the sink where reports to senders arrive. Each message has a sender
# of its own, so that its reports are found.

use strict;
use warnings;

use JSON::PP ();
use Postrider;
use Test::More;

sub new
{
	my ($class, $mail, $back) = @_;

	return bless { mail => $mail, back => $back }, $class;
}

# Wait until each of these messages has an outcome, and until everything that
# follows is done; then the log and the queue are read, once.
sub wait_for
{
	my ($self, $seconds, @ids) = @_;
	my $mail = $self->{mail};
	my @open = @ids;

	eval { Postrider::wait_for(sub {
		my $log = $mail->log;
		@open = grep { $log !~ / $_: to=/ } @open;
		return !@open;
	}, $seconds, 'outcomes') } or
	    BAIL_OUT("no outcome of @open\n" . $mail->log);
	@open = @ids;
	eval { Postrider::wait_for(sub {
		my $log = $mail->log;
		my $due = $mail->due;
		@open = grep { $log !~ /qmgr\[\d+\]: $_: removed/ &&
		    ($due->{$_} // 0) < $mail->now } @open;
		return !@open && $mail->queue_count('incoming') == 0;
	}, 20, 'the end') } or
	    BAIL_OUT("no end of @open\n" . $mail->log);
	$self->read;
}

# Look again.
sub read
{
	my ($self) = @_;
	my $mail = $self->{mail};
	my ($status, $text) = $mail->postrider('queue', 'list', '-j');

	$self->{entries} = { map { ($_->{queue_id} => $_) }
	    map { JSON::PP::decode_json($_) } grep { /^\{/ } split /\n/, $text };
	$self->{log} = $mail->log;
	$self->{messages} = [$self->{back}->messages];
}

# The texts of the reports to an address.
sub reports
{
	my ($self, $to) = @_;

	return map { $_->{data} } grep { $_->{rcpt}[0] eq $to }
	    @{ $self->{messages} };
}

sub is_removed
{
	my ($self, $id) = @_;

	return $self->{log} =~ /qmgr\[\d+\]: $id: removed/;
}

# It waits for these recipients, and is tried again after about so many
# seconds (an attempt's pause, a quarter more or less).
sub check_waiting
{
	my ($self, $id, $text, $pause, @to) = @_;
	my $entry = $self->{entries}{$id} // { recipients => [] };
	my $mail = $self->{mail};

	is($entry->{queue_name}, 'deferred', 'it waits');
	is_deeply([sort map { $_->{address} } @{ $entry->{recipients} }],
	    [sort @to], 'for those who had no other answer');
	like($entry->{recipients}[0]{delay_reason} // '', $text,
	    'the queue tells why');
	my $in = ($mail->due->{$id} // 0) - $mail->now;
	ok($in > $pause * 0.70 && $in < $pause * 1.28,
	    sprintf 'it is tried again in %d s', $in);
	ok(!$self->is_removed($id));
}

# One report, of these recipients, with this code and text. Returns it with
# its fields unfolded.
sub check_report
{
	my ($self, $sender, $dsn, $text, @to) = @_;
	my @reports = $self->reports($sender);

	is(scalar @reports, 1, 'the sender has one report') or return '';
	my $flat = $reports[0] =~ s/\r\n +/ /gr;
	is_deeply([sort $flat =~ /^Final-Recipient: rfc822; (\S+)\r$/mg],
	    [sort @to], 'of those who failed');
	is_deeply([$flat =~ /^Action: (\S+)\r$/mg], [('failed') x @to],
	    'and only of them');
	is_deeply([$flat =~ /^Status: (\S+)\r$/mg], [($dsn) x @to],
	    'with the code of the log');
	like($flat, $text, 'and the words');
	return $flat;
}

# Everything about a message to one recipient. dsn and status are texts or
# regular expressions. Returns the line of the log.
sub check
{
	my ($self, $id, %o) = @_;
	my ($line) = $self->{log} =~ /(.* $id: to=<\Q$o{to}\E>, .*)/;
	my ($dsn, $status, $text) = ($line // '') =~
	    /, dsn=(\S+), status=(\S+) \((.*)\)$/;
	my @reports = $self->reports($o{from});

	ok(defined $status, 'there is a line in the log') or return '';
	note($line =~ s/.*?\]: //r);
	like($status, qr/^(?:$o{status})$/, $status);
	like($dsn, ref $o{dsn} ? qr/^(?:$o{dsn})$/ : qr/^\Q$o{dsn}\E$/,
	    "dsn=$dsn");
	like($text, $o{text}, 'the log has the words');
	if ($status eq 'deferred') {
		$self->check_waiting($id, $o{text}, $o{pause}, $o{to});
	} else {
		ok($self->is_removed($id), 'the message is removed');
		ok(!$self->{entries}{$id}, 'from the queue too');
	}
	if ($status eq 'bounced') {
		my $report = $self->check_report($o{from}, $dsn, $o{text},
		    $o{to});
		like($report, qr/^Diagnostic-Code: smtp; \d{3}[ -]/m,
		    'and what the host said') if $text =~ /\bsaid: /;
	} else {
		is(scalar @reports, 0, 'the sender hears nothing');
	}
	return $line;
}

1;
