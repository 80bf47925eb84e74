#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "admin/longtext.h"
#include "admin/wipedstream.h"
#include "lib/log.h"
#include "lib/xalloc.h"

struct longtext {
    struct longtext_source source;
    char *text; /* the pieces that are there; may hold what is shown once */
    size_t length;
    size_t sent;
    bool ended;
};

void longtext_answer(struct request *request, unsigned status, const char *type,
                     const struct longtext_source *source)
{
    struct longtext *longtext = xcalloc(1, sizeof(*longtext));

    longtext->source = *source;
    request_set(request, status, NULL);
    request->answer.type = type;
    request->answer.longtext = longtext;
}

static void forget(struct longtext *longtext)
{
    if (longtext->text != NULL)
        sodium_memzero(longtext->text, longtext->length);
    free(longtext->text);
    longtext->text = NULL;
    longtext->length = longtext->sent = 0;
}

/* Makes some `size` octets, at least one piece. Returns 0 or -1. */
static int make(struct longtext *longtext, size_t size)
{
    int result = 1;

    forget(longtext);
    FILE *file = wipedstream_open(&longtext->text, &longtext->length);
    do {
        result = longtext->source.next(longtext->source.context, file);
    } while (result > 0 && fflush(file) == 0 && longtext->length < size);
    if (fclose(file) != 0)
        log_panic("out of memory");
    longtext->ended = result == 0;
    return result < 0 ? -1 : 0;
}

long longtext_read(struct longtext *longtext, char *octets_r, size_t size)
{
    if (longtext->sent == longtext->length && !longtext->ended && make(longtext, size) < 0)
        return -1;
    size_t length = longtext->length - longtext->sent;
    if (length > size)
        length = size;
    if (length > 0)
        memcpy(octets_r, longtext->text + longtext->sent, length);
    longtext->sent += length;
    return (long)length;
}

void longtext_free(struct longtext *longtext)
{
    if (longtext == NULL)
        return;
    forget(longtext);
    longtext->source.free(longtext->source.context);
    free(longtext);
}
