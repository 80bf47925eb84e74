#ifndef LIB_FETCHMSG_H
#define LIB_FETCHMSG_H

#include <stdint.h>

/*
 * What fetchd's socket run/fetchd.sock speaks (over lib/channel.h). Only the instance's owner may
 * connect. Any other type, or a payload that is not as it is given here, closes the connection.
 * Structs have no holes. What has not been answered when a connection ends is never answered.
 */

enum fetch_type {
    FETCH_PING = 1, /* empty                                     -> FETCH_PONG */
    FETCH_PONG,     /* empty */
    FETCH_ASK,      /* struct fetch_ask, URL, header lines, body -> FETCH_ANSWER */
    FETCH_ANSWER,   /* struct fetch_answer, then the answer's body or a sentence */
    FETCH_CANCEL    /* empty, with the id of a FETCH_ASK: it is broken off and not answered */
};

enum fetch_method { FETCH_GET, FETCH_POST, FETCH_METHOD__MAX };

/* Octets; seconds. */
#define FETCH_URL_MAX     2048
#define FETCH_HEADERS_MAX 4096
#define FETCH_BODY_MAX    (128 * 1024)
#define FETCH_TIME_MAX    60

/*
 * The URL is printable ASCII, of a scheme https, or http where the operator lists the address. The
 * header lines are printable ASCII, and each ends with LF.
 */
struct fetch_ask {
    uint32_t method;        /* enum fetch_method */
    uint32_t seconds;       /* that all of it may take, 1 to FETCH_TIME_MAX */
    uint32_t answer_max;    /* octets of the answer's body, at most FETCH_BODY_MAX */
    uint32_t url_length;    /* 1 to FETCH_URL_MAX */
    uint32_t header_length; /* at most FETCH_HEADERS_MAX */
    uint32_t body_length;   /* at most FETCH_BODY_MAX; 0 for FETCH_GET */
};

enum fetch_result {
    FETCH_DONE,      /* with a status of HTTP, whichever, and the body */
    FETCH_FORBIDDEN, /* no: it leads where nothing is sent (docs/DESIGN.md), and nothing was */
    FETCH_FAILED,    /* the other side's, or the network's */
    FETCH_BUSY,      /* not now: too much is asked for at once */
    FETCH_RESULT__MAX
};

struct fetch_answer {
    uint32_t result; /* enum fetch_result; other than FETCH_DONE: a sentence follows */
    uint32_t status;
};

#endif
