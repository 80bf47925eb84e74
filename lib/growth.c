#include <event2/buffer.h>
#include <stdlib.h>

#include "lib/fieldtoken.h"
#include "lib/growth.h"
#include "lib/log.h"
#include "lib/message.h"
#include "lib/storemsg.h"
#include "lib/surrogate.h"
#include "lib/xalloc.h"

void growth_init(struct growth *growth)
{
    *growth = (struct growth){.state = GROWTH_BEGINS};
}

void growth_clear(struct growth *growth)
{
    if (growth->surrogate != NULL)
        surrogate_clear(growth->surrogate);
    free(growth->surrogate);
    if (growth->changes != NULL)
        evbuffer_free(growth->changes);
    growth_init(growth);
}

/* Whether what there is of the message says that it has no surrogate. */
static bool has_none(const struct message_encoder *encoder, const char *piece, size_t length,
                     bool last)
{
    uint64_t top_length = encoder->top_length;

    if (last)
        return !surrogate_is_needed(piece, length, top_length);
    return top_length > 0 && top_length <= length && field_is_ascii(piece, piece + top_length) &&
           !surrogate_has_parts(piece, (size_t)top_length);
}

static void begin(struct growth *growth)
{
    growth->state = GROWTH_WALKS;
    growth->surrogate = xmalloc(sizeof(*growth->surrogate));
    surrogate_init(growth->surrogate);
    growth->surrogate->changes_only = true;
    growth->changes = evbuffer_new();
    if (growth->changes == NULL)
        log_fatal("out of memory");
}

void growth_take(struct growth *growth, const struct message_encoder *encoder, const char *piece,
                 size_t length, bool last)
{
    if (growth->state == GROWTH_BEGINS && length > 0) {
        if (has_none(encoder, piece, length, last))
            growth->state = GROWTH_NONE;
        else
            begin(growth);
    }
    if (growth->state != GROWTH_WALKS)
        return;
    surrogate_take(growth->surrogate, piece, length, growth->changes);
    if (last)
        surrogate_end(growth->surrogate, growth->changes);
    (void)evbuffer_drain(growth->changes, evbuffer_get_length(growth->changes));
    if (growth->surrogate->rewritten > GROWTH_REWRITTEN_MAX) {
        growth_clear(growth);
        growth->state = GROWTH_GIVEN_UP;
    }
}

void growth_tell(const struct growth *growth, struct store_surrogate *surrogate_r)
{
    const struct surrogate *surrogate = growth->surrogate;

    *surrogate_r = (struct store_surrogate){
        .version = growth->state != GROWTH_GIVEN_UP ? SURROGATE_VERSION : 0};
    if (growth->state != GROWTH_WALKS || !surrogate->changed)
        return;
    surrogate_r->needed = 1;
    surrogate_r->growth = surrogate->growth;
}
