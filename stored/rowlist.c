#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/storemsg.h"
#include "lib/xalloc.h"
#include "stored/index.h"
#include "stored/rowlist.h"

/* For each row the struct, the length of its unique-id, and that. */
struct row_list {
    FILE *file;
    char unique_id[STORE_UNIQUE_ID_MAX + 1]; /* of the row that was read last */
};

struct row_list *row_list_new(void)
{
    struct row_list *list = xcalloc(1, sizeof(*list));
    int fd = open("store", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

    list->file = fd >= 0 ? fdopen(fd, "w+") : tmpfile();
    if (list->file == NULL)
        log_fatal("a temporary file cannot be made: %s", strerror(errno));
    return list;
}

void row_list_free(struct row_list *list)
{
    fclose(list->file);
    free(list);
}

static void put(struct row_list *list, const void *data, size_t length)
{
    if (length > 0 && fwrite(data, length, 1, list->file) != 1)
        log_fatal("the list of messages cannot be written: %s", strerror(errno));
}

void row_list_add(struct row_list *list, const struct index_message *row)
{
    uint8_t length = row->unique_id != NULL ? (uint8_t)strlen(row->unique_id) : 0;

    put(list, row, sizeof(*row));
    put(list, &length, sizeof(length));
    put(list, row->unique_id, length);
}

void row_list_rewind(struct row_list *list)
{
    if (fflush(list->file) != 0)
        log_fatal("the list of messages cannot be written: %s", strerror(errno));
    rewind(list->file);
}

static bool get(struct row_list *list, void *data_r, size_t length)
{
    if (length == 0 || fread(data_r, length, 1, list->file) == 1)
        return true;
    if (ferror(list->file))
        log_fatal("the list of messages cannot be read: %s", strerror(errno));
    return false;
}

bool row_list_next(struct row_list *list, struct index_message *row_r)
{
    uint8_t length;

    if (!get(list, row_r, sizeof(*row_r)) || !get(list, &length, sizeof(length)) ||
        length > STORE_UNIQUE_ID_MAX || !get(list, list->unique_id, length))
        return false;
    list->unique_id[length] = '\0';
    row_r->unique_id = length > 0 ? list->unique_id : NULL;
    return true;
}
