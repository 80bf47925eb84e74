#include <event2/buffer.h>
#include <string.h>

#include "lmtpd/limits.h"
#include "lmtpd/lookup.h"
#include "lmtpd/parse.h"
#include "lmtpd/policy.h"
#include "lmtpd/server.h"

/* A request's attributes of which the answer depends; "" is what has not come. */
struct request {
    const char *kind;
    const char *state;
    const char *recipient;
    const char *size;
};

/* Reads lines of name=value up to an empty one, in place. Returns 0 or -1. */
static int parse_request(char *text, struct request *request_r)
{
    *request_r = (struct request){"", "", "", ""};
    const struct {
        const char *name;
        const char **value;
    } wanted[] = {{"request", &request_r->kind},
                  {"protocol_state", &request_r->state},
                  {"recipient", &request_r->recipient},
                  {"size", &request_r->size}};

    for (char *line; (line = strsep(&text, "\n")) != NULL && *line != '\0';) {
        char *value = strchr(line, '=');
        if (value == NULL)
            return -1;
        *value++ = '\0';
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
            if (strcmp(line, wanted[i].name) == 0)
                *wanted[i].value = value;
    }
    return strcmp(request_r->kind, "smtpd_access_policy") == 0 ? 0 : -1;
}

/* An address of somebody else's domain is none of our business. */
static void on_judged(struct inquiry *inquiry, const struct address *recipient, enum reply reply)
{
    if (reply == REPLY_NO_MAILBOX) {
        enum db_result ours = lookup_domain(inquiry_server(inquiry)->lookup, recipient->domain);
        reply = ours == DB_OK ? reply : ours == DB_NONE ? REPLY_RECIPIENT_OK : REPLY_FAILURE;
    }
    inquiry_answer(inquiry, reply == REPLY_RECIPIENT_OK ? "DUNNO" : reply_text(reply));
}

static int take(struct inquiry *inquiry, struct evbuffer *input)
{
    char text[INQUIRY_OCTETS_MAX + 1];
    struct address recipient;
    struct request request;
    uint64_t size = 0;
    const char *error;

    struct evbuffer_ptr end = evbuffer_search(input, "\n\n", 2, NULL);
    if (end.pos < 0)
        return evbuffer_get_length(input) < INQUIRY_OCTETS_MAX ? 0 : -1;
    size_t length = (size_t)end.pos + 2;
    if (length > INQUIRY_OCTETS_MAX)
        return -1;
    evbuffer_remove(input, text, length);
    text[length] = '\0';
    if (memchr(text, '\0', length) != NULL || parse_request(text, &request) < 0)
        return -1;
    if (*request.size != '\0' &&
        parse_size((struct text){request.size, strlen(request.size)}, &size) < 0)
        return -1;
    if (strcmp(request.state, "RCPT") != 0 ||
        address_parse(&recipient, request.recipient, strlen(request.recipient), &error) < 0)
        inquiry_answer(inquiry, "DUNNO");
    else
        inquiry_judge(inquiry, &recipient, size, on_judged);
    return 1;
}

static void frame(struct evbuffer *output, const char *answer, size_t length)
{
    evbuffer_add_printf(output, "action=%.*s\n\n", (int)length, answer);
}

const struct inquiry_protocol policy_protocol = {"policy", take, frame};
