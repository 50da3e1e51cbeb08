# bcc.t - copies that nobody in the message asked for.

use strict;
use warnings;

use lib 't/lib';
use Postrider qw(slurp spew wait_for);
use Postrider::QueueFile;
use Test::More;

my $mail = Postrider->new(settings => {
	relayhost => '[127.0.0.1]:' . Postrider::free_port(),
	minimal_backoff_time => '1000s',
	always_bcc => 'archive',
	sender_bcc_maps => 'texthash:${config_directory}/sender',
	recipient_bcc_maps => 'texthash:${config_directory}/recipient',
	virtual_alias_maps => 'texthash:${config_directory}/virtual',
	virtual_alias_domains => 'list.test',
	cleanup_processes => 1 },
    files => { sender => "boss\@far.test copies\@far.test\n",
	recipient => "\@watched.test watch\@far.test\n" .
	"user\@far.test \@copy.test\nsame\@far.test same\@far.test\n" .
	"listed\@far.test team\@list.test\nbad\@far.test <<\n",
	virtual => "archive\@local.test store\@far.test\n" .
	"team\@list.test a\@far.test, b\@far.test\n" })->start;

# The recipients of a message.
sub recipients
{
	my ($from, @to) = @_;
	my $reply = $mail->send(from => $from, to => \@to);
	my ($id) = $reply =~ /^250 2\.0\.0 Ok: queued as (\w+)$/
	    or die "unexpected reply: $reply";
	my $f = Postrider::QueueFile->find($mail, $id);
	my %notify;
	@notify{@{ $f->{recipients} }} = @{ $f->{notify} };
	return ($f, join(' ', sort keys %notify), \%notify);
}

my ($f, $all, $notify) = recipients('x@y.test', 'z@far.test');
is($all, 'store@far.test z@far.test', 'always_bcc, through its alias');
is_deeply($notify, { 'store@far.test' => 1, 'z@far.test' => 0 },
    'the sender hears nothing of it');
unlike($f->{content}, qr/store|archive|z\@far.*store/, 'it is not told');

($f, $all) = recipients('boss@far.test', 'z@far.test');
is($all, 'copies@far.test store@far.test z@far.test', 'sender_bcc_maps');
($f, $all) = recipients('x@y.test', map { "u$_\@watched.test" } 1 .. 3);
is($all, 'store@far.test u1@watched.test u2@watched.test u3@watched.test ' .
    'watch@far.test', 'recipient_bcc_maps, once');
($f, $all) = recipients('x@y.test', 'user@far.test');
is($all, 'store@far.test user@copy.test user@far.test', 'another domain');
($f, $all, $notify) = recipients('x@y.test', 'same@far.test');
is($all, 'same@far.test store@far.test', 'a copy to himself is none');
is($notify->{'same@far.test'}, 0, 'and he still reports');
($f, $all) = recipients('x@y.test', 'listed@far.test');
is($all, 'a@far.test b@far.test listed@far.test store@far.test',
    'a copy to a list');
($f, $all) = recipients('x@y.test', 'bad@far.test');
is($all, 'bad@far.test store@far.test', 'what is no address is none');
$mail->wait_log(qr/no address for a copy of mail of bad\@far\.test: "<<"/);
($f, $all) = recipients('x@y.test', map { "m$_\@far.test" } 1 .. 200);
is(scalar(split ' ', $all), 201, 'many recipients');

subtest 'mail of our own is not copied' => sub {
	$mail->sendmail("Subject: x\n\nx\n", '-f', 'al@far.test',
	    'nobody.here@local.test');
	my $log = $mail->wait_log(qr/sender non-delivery notification: (\w+)/);
	my ($id) = $log =~ /: (\w+)$/;
	my $f = Postrider::QueueFile->find($mail, $id);
	is_deeply($f->{recipients}, ['al@far.test']);
};

is_deeply([$mail->complaints], [], 'nothing is complained of');
$mail->stop;
done_testing;
