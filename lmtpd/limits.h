#ifndef LMTPD_LIMITS_H
#define LMTPD_LIMITS_H

/* What bounds a client of lmtpd, and which attack or which sentence of an RFC each bound answers.
 */

/*
 * Octets of a command line with its CRLF. RFC 5321 section 4.5.3.1.4 asks for 512, SIZE adds 26
 * (RFC 1870 section 3), 8BITMIME 17 (RFC 6152), SMTPUTF8 10 and longer paths (RFC 6531). A longer
 * line is read to its end and refused, so that its rest is never taken for a command.
 */
#define LINE_MAX_OCTETS 2048

/* RFC 5321 section 4.5.3.1.3, without the two brackets. */
#define PATH_MAX_OCTETS 254

/* A name that is not a host's, for the Received line; RFC 1035 section 2.3.4. */
#define LHLO_MAX_OCTETS 255

/* RFC 5321 section 4.5.3.2.7: at least 5 minutes of waiting for the next command. In seconds. */
#define IDLE_SECONDS 300

/* What a client may do after our last reply until we close: so long, in seconds, and send so much.
   It is enough for what was on its way, and nobody keeps a connection busy after its end. */
#define LINGER_SECONDS    2
#define LINGER_OCTETS_MAX (1024 * 1024)

/* Answers with 500, 501 or 503 in a row, after which a client is a port scanner or a lost web
   browser. A delivered message begins a new count. */
#define BAD_COMMANDS_MAX 10

/* Recipients refused at RCPT that are logged in a row; the counters go on. Nobody who guesses
   addresses fills the log. A finished message begins a new count. */
#define REFUSALS_LOGGED_MAX 20

/* RCPT commands accepted in one transaction; RFC 5321 section 4.5.3.1.8 asks for at least 100.
   The mailboxes that they lead to are bounded by STORE_RECIPIENTS_MAX. */
#define TRANSACTION_RECIPIENTS_MAX 1000

/* No message is larger, whatever a plan allows: what SIZE says in the answer to LHLO. */
#define MESSAGE_OCTETS_MAX (1024U * 1024 * 1024)

/* One recv(); also the most that is kept of a client's input while it waits for an answer. */
#define INPUT_SIZE (64 * 1024)

/* The body leaves for stored in pieces of at most this size. */
#define PIECE_SIZE (64 * 1024)

/* With more than this on its way to stored, content is no longer read from clients. */
#define STORE_PENDING_MAX (1024 * 1024)

/* With more replies than this unread by the client, its commands are no longer read. */
#define OUTPUT_PENDING_MAX (16 * 1024)

/*
 * How long stored may take to answer or to make place for content, in seconds. RFC 5321 section
 * 4.5.3.2.6 has a client wait 10 minutes for the reply to a message, so that it hears our "not now"
 * long before it gives up and sends again what may have been stored. stored writes within
 * milliseconds; one that has nothing to say for so long hangs, or its disk does.
 */
#define STORE_ANSWER_SECONDS 60

/* Mailboxes whose usage is remembered: 400 KB. */
#define USAGES_MAX 16384

/* Warnings that a mailbox is nearly full which wait for their delivery, and how long each is tried
   while stored or the account database is away, in seconds. */
#define WARNINGS_MAX    10000
#define WARNING_SECONDS 600

/*
 * Connections of mail servers that ask (lmtpd/inquiry.h): each smtpd process of a Postfix keeps one
 * for policy and one for maps. Of its questions the longest names a client's certificate; it
 * leaves a connection after 1000 seconds (smtpd_policy_service_max_ttl, ipc_ttl).
 */
#define INQUIRIES_MAX          4096
#define INQUIRY_OCTETS_MAX     16384
#define INQUIRY_IDLE_SECONDS   1200
#define SOCKETMAP_QUESTION_MAX 1024

/* After SIGTERM; the supervisor kills what still runs after 4 seconds. */
#define DRAIN_SECONDS 3

#endif
