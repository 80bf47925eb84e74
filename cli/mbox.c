#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "cli/mbox.h"

#define FROM        "From "
#define FROM_LENGTH (sizeof(FROM) - 1)
#define OWN         "bellhop-"
#define OWN_LENGTH  (sizeof(OWN) - 1)

/* A time of day tells such a line from a sentence that begins with the word. */
bool mbox_is_from(const char *line, size_t length)
{
    if (length < FROM_LENGTH || length >= MBOX_FROM_MAX || memcmp(line, FROM, FROM_LENGTH) != 0 ||
        memchr(line, '\0', length) != NULL)
        return false;
    for (size_t i = FROM_LENGTH; i + 4 < length; i++)
        if (isdigit((unsigned char)line[i]) && isdigit((unsigned char)line[i + 1]) &&
            line[i + 2] == ':' && isdigit((unsigned char)line[i + 3]) &&
            isdigit((unsigned char)line[i + 4]))
            return true;
    return false;
}

void mbox_parse_from(const char *line, size_t length, int64_t *time_r,
                     char unique_id_r[UNIQUEID_SIZE])
{
    char text[MBOX_FROM_MAX];

    memcpy(text, line, length);
    text[length] = '\0';
    const char *address = text + FROM_LENGTH;
    size_t address_length = strcspn(address, " ");
    const char *date = address + address_length;
    unique_id_r[0] = '\0';
    if (strncmp(address, OWN, OWN_LENGTH) == 0 &&
        uniqueid_is_valid(address + OWN_LENGTH, address_length - OWN_LENGTH)) {
        memcpy(unique_id_r, address + OWN_LENGTH, address_length - OWN_LENGTH);
        unique_id_r[address_length - OWN_LENGTH] = '\0';
    }
    time_t time = curl_getdate(date, NULL);
    *time_r = time > 0 ? time : 0;
}

size_t mbox_format_from(const char *unique_id, int64_t time, char line_r[MBOX_FROM_MAX])
{
    time_t seconds = time;
    struct tm date;
    char text[32];

    gmtime_r(&seconds, &date);
    asctime_r(&date, text); /* with the line's LF */
    return (size_t)snprintf(line_r, MBOX_FROM_MAX, FROM OWN "%s %s", unique_id, text);
}

/* --- quoting ---------------------------------------------------------------------------------- */

void mbox_quoting_init(struct mbox_quoting *quoting, bool quote)
{
    *quoting = (struct mbox_quoting){.quote = quote};
}

static char *put_held(struct mbox_quoting *quoting, char *output)
{
    if (quoting->held)
        *output++ = '>';
    memcpy(output, FROM, quoting->match);
    output += quoting->match;
    quoting->held = false;
    quoting->match = 0;
    quoting->text = true;
    return output;
}

/* One octet at the beginning of a line; `text` is set when it is clear what the line is. */
static char *take_begin(struct mbox_quoting *quoting, char octet, char *output)
{
    if (octet == '>' && quoting->match == 0) {
        if (quoting->quote || quoting->held)
            *output++ = '>';
        quoting->held = !quoting->quote;
    } else if (octet != FROM[quoting->match]) {
        output = put_held(quoting, output);
        *output++ = octet;
        quoting->text = octet != '\n';
    } else if (++quoting->match == FROM_LENGTH) {
        quoting->held = quoting->quote;
        output = put_held(quoting, output);
    }
    return output;
}

size_t mbox_quote(struct mbox_quoting *quoting, const char *input, size_t length, char *output_r)
{
    const char *at = input, *end = input + length;
    char *output = output_r;

    while (at < end) {
        if (!quoting->text) {
            output = take_begin(quoting, *at++, output);
            continue;
        }
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        size_t run = feed != NULL ? (size_t)(feed - at) + 1 : (size_t)(end - at);
        memcpy(output, at, run);
        output += run;
        at += run;
        quoting->text = feed == NULL;
    }
    return (size_t)(output - output_r);
}

size_t mbox_quote_end(struct mbox_quoting *quoting, char *output_r)
{
    return (size_t)(put_held(quoting, output_r) - output_r);
}
