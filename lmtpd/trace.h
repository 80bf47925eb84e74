#ifndef LMTPD_TRACE_H
#define LMTPD_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* The header fields that final delivery puts in front of a message, RFC 5321 section 4.4. */
struct trace {
    const char *sender;    /* the reverse path without its brackets */
    const char *client;    /* its word for itself, with LHLO */
    const char *peer;      /* its IP address, or "" on a Unix socket */
    const char *hostname;  /* ours */
    const char *id;        /* as in the log */
    const char *recipient; /* the address, or NULL when there are several: none learns of another */
    bool utf8;             /* MAIL had SMTPUTF8 */
};

/* Enough for everything at its longest. */
#define TRACE_SIZE 2048

/* The date as RFC 5322 section 3.3 has it. */
#define TRACE_DATE_SIZE 48
void trace_format_date(time_t now, char text_r[TRACE_DATE_SIZE]);

/* Formats Return-Path and Received, lines ending in CRLF; returns the octets. */
size_t trace_format(const struct trace *trace, time_t now, char text_r[TRACE_SIZE]);

#endif
