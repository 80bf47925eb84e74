#ifndef LIB_JSONTEXTS_H
#define LIB_JSONTEXTS_H

struct json_t;

/* A list of the texts that stand in `joined` with one or more of `separator` between them. */
struct json_t *jsontexts_split(const char *joined, char separator);

#endif
