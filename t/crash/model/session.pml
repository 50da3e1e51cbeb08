/*
 * session.pml - a client that pipelines, and the server that reads it.
 *
 * The stream is made of items: commands, octets of a chunk that are meant as
 * octets, and responses of AUTH. The server consumes items as smtpd does.
 *
 *	DRIFT	octets are never taken for a command, nor a command for octets:
 *		the n-th reply is the reply to the n-th command
 *	OWNER	a transaction ends on every way out: RSET, EHLO, STARTTLS, the
 *		last chunk, QUIT, the loss of the connection
 *	CLEAR	nothing that came in clear is acted upon inside TLS, nor the
 *		login or the transaction of before
 *	LATER	after a chunk was refused none of the same message is taken
 */
mtype = { EHLO, STARTTLS, AUTH, MAIL, RCPT, BDAT, LAST, RSET, QUIT, BAD_BDAT,
    OCTETS, RESPONSE };

chan stream = [3] of { mtype, bit };	/* and whether it came inside TLS */
bit over, tls, extended, mail, rcpt, login, failed, arrival, client_tls;
bit in_auth, chunk, pending, awaited;
byte sent;

#define STEPS	9

/* session.c */
inline transaction_end() { mail = 0; rcpt = 0; failed = 0; arrival = 0 }

/* bdat.c: the octets are read, whatever is said of them. */
inline read_octets(last)
{
	chunk = 1;
	if
#ifdef MUTANT_REFUSED_CHUNK_UNREAD
	:: !mail || failed || !rcpt -> chunk = 0
#endif
	:: mail && !failed && rcpt -> arrival = 1
	:: mail && !failed && rcpt -> failed = 1; arrival = 0	/* too big */
	:: !mail || failed || !rcpt ->
		assert(!arrival || !failed);		/* LATER */
		failed = mail; arrival = 0
	fi;
	pending = last
}

inline end_chunk()
{
	chunk = 0;
	if
	:: pending ->
		pending = 0;
		transaction_end()
	:: else
	fi
}

proctype client()
{
	mtype	what;

	do
	:: over || sent >= STEPS -> break
	:: !over && sent < STEPS && !awaited && nfull(stream) ->
		atomic {
			if
			:: what = EHLO :: what = AUTH :: what = MAIL
			:: what = RCPT :: what = RSET :: what = QUIT
			:: what = BDAT :: what = LAST :: what = BAD_BDAT
			:: what = STARTTLS
			fi;
			sent++;
			if
			:: nfull(stream) -> stream!what, client_tls
			:: else -> skip
			fi
		};
		if
		:: what == BDAT || what == LAST || what == BAD_BDAT ->
			if
			:: stream!OCTETS, client_tls
			:: over -> break
			fi
		:: what == STARTTLS && !client_tls ->
			if	/* he waits for 220, as he must, or not */
			:: awaited = 1
			:: true
			fi
		:: else
		fi
	:: over -> break
	od
}

proctype server()
{
	mtype	what;
	bit	was_tls;

	do
	:: over -> break
	:: !over && empty(stream) && sent >= STEPS -> over = 1	/* it is gone */
	:: !over && nempty(stream) -> atomic {
		stream?what, was_tls;
		assert(was_tls == tls);				/* CLEAR */
		if
		:: chunk ->
			assert(what == OCTETS);			/* DRIFT */
			end_chunk()
		:: !chunk && what == OCTETS -> assert(false)	/* DRIFT */
		:: !chunk && what == EHLO -> extended = 1; transaction_end()
		:: !chunk && what == STARTTLS && extended && !tls ->
			if
#ifndef MUTANT_STARTTLS_KEEPS_INPUT
			:: nempty(stream) -> over = 1	/* refuse_pipelined() */
#endif
			:: else ->
				tls = 1; client_tls = 1; awaited = 0;
#ifndef MUTANT_STARTTLS_FORGETS_NOTHING
				transaction_end();
				login = 0; extended = 0;
#endif
				assert(!mail && !login)		/* CLEAR */
			fi
		:: !chunk && what == STARTTLS && (!extended || tls) ->
			awaited = 0
		:: !chunk && what == AUTH && extended && !mail && !login ->
			login = 1
		:: !chunk && what == AUTH && (!extended || mail || login)
		:: !chunk && what == MAIL ->
			assert(mail || (!rcpt && !failed && !arrival));
			if
			:: !mail -> mail = 1
			:: else
			fi
		:: !chunk && what == RCPT -> rcpt = rcpt || mail
		:: !chunk && what == BDAT -> read_octets(0)
		:: !chunk && what == LAST -> read_octets(1)
		/* a line that hear() or the gate refuses, or no length */
		:: !chunk && what == BAD_BDAT ->
#ifdef MUTANT_BAD_LINE
			skip
#else
			over = 1
#endif
		:: !chunk && what == RSET ->
#ifdef MUTANT_PARTIAL_RESET
			mail = 0; rcpt = 0; failed = 0
#else
			transaction_end()
#endif
		:: !chunk && what == QUIT -> over = 1
		fi }
	od;
	transaction_end();		/* session_run() */
	assert(!mail && !arrival)				/* OWNER */
}

init
{
	atomic { run client(); run server() }
}
