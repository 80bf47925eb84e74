#include <stdio.h>
#include <string.h>

#include "lmtpd/trace.h"

/* An IPv6 address needs its tag here, RFC 5321 section 4.1.3. */
static void format_peer(const char *peer, char *text_r, size_t size)
{
    if (peer[0] == '\0')
        text_r[0] = '\0';
    else
        snprintf(text_r, size, " ([%s%s])", strchr(peer, ':') != NULL ? "IPv6:" : "", peer);
}

void trace_format_date(time_t now, char text_r[TRACE_DATE_SIZE])
{
    struct tm parts;

    /* UTC as "+0000": RFC 5322 section 3.3. The process keeps the C locale. */
    if (gmtime_r(&now, &parts) == NULL ||
        strftime(text_r, TRACE_DATE_SIZE, "%a, %d %b %Y %H:%M:%S +0000", &parts) == 0)
        text_r[0] = '\0';
}

size_t trace_format(const struct trace *trace, time_t now, char text_r[TRACE_SIZE])
{
    char peer[80];
    char date[TRACE_DATE_SIZE];

    format_peer(trace->peer, peer, sizeof(peer));
    trace_format_date(now, date);
    int length = snprintf(text_r, TRACE_SIZE,
                          "Return-Path: <%s>\r\n"
                          "Received: from %s%s\r\n"
                          "\tby %s with %s id %s%s%s%s;\r\n"
                          "\t%s\r\n",
                          trace->sender, trace->client, peer, trace->hostname,
                          trace->utf8 ? "UTF8LMTP" : "LMTP", trace->id,
                          trace->recipient != NULL ? "\r\n\tfor <" : "",
                          trace->recipient != NULL ? trace->recipient : "",
                          trace->recipient != NULL ? ">" : "", date);
    return length < TRACE_SIZE ? (size_t)length : TRACE_SIZE - 1;
}
