#include <stdlib.h>

#include "cli/source.h"
#include "lib/xalloc.h"

struct source_message *source_add(struct source *source, const struct source_message *message)
{
    size_t count = source->count;

    /* Room for 64, 128, 256, ... */
    if (count == 0 || (count >= 64 && (count & (count - 1)) == 0))
        source->messages =
            xrealloc(source->messages, (count == 0 ? 64 : 2 * count) * sizeof(source->messages[0]));
    source->messages[count] = *message;
    source->size += message->size;
    source->count++;
    return &source->messages[count];
}

void source_free(struct source *source)
{
    if (source == NULL)
        return;
    for (size_t i = 0; i < source->count; i++)
        free(source->messages[i].name);
    free(source->messages);
    source->free(source);
}
