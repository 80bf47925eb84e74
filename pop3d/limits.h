#ifndef POP3D_LIMITS_H
#define POP3D_LIMITS_H

#include <stdint.h>

/*
 * Every limit of pop3d, with what it bounds or the sentence that it answers. Sizes are in octets,
 * times in seconds.
 */

/* A command with its CRLF (RFC 2449 section 4). */
#define LIMIT_LINE 255

/* An AUTH command or SASL response with its CRLF: 8 KiB of base64, because tokens of XOAUTH2 and
 * Kerberos pass the 255 octets that RFC 5034 has in mind. */
#define LIMIT_LONG_LINE (8192 + 64)

/* With this much sent ahead of our answers, no more is read; further octets wait in the kernel, so
 * that a client that pipelines without reading stops itself. Holds the longest line. */
#define LIMIT_INPUT (16 * 1024)

/* Long answers are made, and messages asked for, only while less than this waits to be sent:
 * memory for one session stays near twice this much, whatever the client does. */
#define LIMIT_OUTPUT (64 * 1024)

/* Records that wait to be sent, more than answers come to: the client has TLS itself answer
 * (TLS 1.2 refuses each new handshake) and does not read, which no mail program does. */
#define LIMIT_SEALED (128 * 1024)

/* One piece of a message asked from stored. Enough that most messages come whole. */
#define LIMIT_PIECE (64 * 1024)

/* The first piece for TOP: a header section and some lines, without reading a whole message. */
#define LIMIT_TOP_PIECE (16 * 1024)

/* A piece below this size is copied into the output sooner than it is kept account of. */
#define LIMIT_COPY 2048

/* Messages asked for ahead of the one that is being sent. */
#define LIMIT_FETCHES 16

/* Octets and messages read ahead for one session: what stored does in some 20 us. */
#define LIMIT_AHEAD          (96 * 1024)
#define LIMIT_AHEAD_MESSAGES 8

/* After so many seconds without its RETR, what was read ahead makes room for others. */
#define LIMIT_AHEAD_TIME 1

/* Freed memory that is kept for the next messages instead of being given back and faulted in anew,
 * which costs more than everything that we do with a message. */
#define LIMIT_SPARE_MEMORY (16 * 1024 * 1024)

/* Buffers below this size are a part of it: an output of LIMIT_OUTPUT and a piece is. */
#define LIMIT_SPARE_PIECE (1024 * 1024)

/* One write to a socket. libevent's own 16 KiB would cut a full output buffer in five. */
#define LIMIT_WRITE (256 * 1024)

/* Octets that the kernel takes for a client before they can leave: else it makes room for
 * megabytes, for one that does not read as well. What is on its way comes on top, so a fast line
 * stays full. */
#define LIMIT_UNSENT (128 * 1024)

/* Messages of one mailbox: a session's list is then 16 MB, or 24 with surrogates. Above this,
 * somebody must look. */
#define LIMIT_MESSAGES 1000000

/* Octets of one message, which struct maildrop_entry has room for: 1 TiB. As above. */
#define LIMIT_MESSAGE ((UINT64_C(1) << 40) - 1)

/* Of pop3_sessions, one in so many is kept for clients that have logged in: who only connects
 * cannot take all. */
#define LIMIT_STRANGERS_SHARE 4

/* A process that is full leaves clients to the others for so long, in milliseconds; who still waits
 * then is told that there is no room. */
#define LIMIT_FULL_MS 1000

/* For so long it then takes them in, in milliseconds: meanwhile it could also catch one for which
 * another process has room. */
#define LIMIT_FULL_LOOK_MS 10

/* Connections for which there is no room that are being told so, at once: each lasts until the
 * client has read one line, after a handshake on the port for TLS. Further ones wait where the
 * process is full, and are closed where it is TLS that they would wait with. */
#define LIMIT_REFUSALS 64

/* Commands in a row that are none. Software that speaks another protocol to us (a browser that was
 * led to this port) is hung up on before it reaches anything that looks like a command. */
#define LIMIT_BAD_COMMANDS 10

/* Wrong credentials on one connection: each further guess costs the guesser a connection. A login
 * that failed for another reason is no guess. */
#define LIMIT_FAILED_LOGINS 3

/* From accept to the end of a PROXY header: proxies send it at once (a lost packet costs 3 s). */
#define LIMIT_ARRIVAL_TIME 10

/* From accept to the end of the TLS handshake: it costs the client two round trips. */
#define LIMIT_HANDSHAKE_TIME 30

/* From accept (or the handshake) to a successful login, however many commands come: clients log in
 * at once, and a connection that does not is one that somebody else cannot have. */
#define LIMIT_LOGIN_TIME 180

/* For a client to take the last answer before its connection is closed, and for the handshake of
 * one that will hear nothing else. */
#define LIMIT_FAREWELL_TIME 10

/* For so long a process whose successors serve lets its sessions go on as they like; then each next
 * command but QUIT is answered that the client come again. Who is silent meets the autologout. */
#define LIMIT_RETIRED_TIME 1800

/* From SIGTERM to the end, in milliseconds: the supervisor waits 5 s. */
#define LIMIT_DRAIN_MS 3500

/* One line of authd's. Dovecot's protocol has 16 KiB. */
#define LIMIT_AUTH_LINE (16 * 1024)

/* SASL mechanisms that authd may offer. */
#define LIMIT_MECHANISMS 16

#endif
