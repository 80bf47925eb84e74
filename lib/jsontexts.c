#include <string.h>

#include <jansson.h>

#include "lib/jsontexts.h"

struct json_t *jsontexts_split(const char *joined, char separator)
{
    const char separators[] = {separator, '\0'};
    json_t *list = json_array();

    for (joined += strspn(joined, separators); *joined != '\0';
         joined += strspn(joined, separators)) {
        size_t length = strcspn(joined, separators);
        json_array_append_new(list, json_stringn(joined, length));
        joined += length;
    }
    return list;
}
