#include <inttypes.h>
#include <stdlib.h>

#include "admin/route.h"
#include "admin/traffic.h"
#include "lib/xalloc.h"

/* What is answered here; anything else counts as the last. */
static const unsigned statuses[] = {200, 201, 202, 204, 304, 400, 401, 403, 404, 405, 406,
                                    409, 412, 413, 415, 422, 429, 500, 501, 503, 0};

#define STATUSES (sizeof(statuses) / sizeof(statuses[0]))

struct traffic {
    const struct route *routes;
    size_t count;
    uint64_t (*answers)[STATUSES]; /* of each route, and of none */
};

struct traffic *traffic_new(const struct route *routes, size_t count)
{
    struct traffic *traffic = xcalloc(1, sizeof(*traffic));

    traffic->routes = routes;
    traffic->count = count;
    traffic->answers = xcalloc(count + 1, sizeof(*traffic->answers));
    return traffic;
}

void traffic_free(struct traffic *traffic)
{
    free(traffic->answers);
    free(traffic);
}

void traffic_note(struct traffic *traffic, const struct route *route, unsigned status)
{
    size_t row = route != NULL ? (size_t)(route - traffic->routes) : traffic->count;
    size_t column = 0;

    while (column < STATUSES - 1 && statuses[column] != status)
        column++;
    traffic->answers[row][column]++;
}

void traffic_write(const struct traffic *traffic, FILE *file)
{
    fputs("# HELP bellhop_http_answers_total answers by route and status, since admin was started\n"
          "# TYPE bellhop_http_answers_total counter\n",
          file);
    for (size_t row = 0; row <= traffic->count; row++)
        for (size_t column = 0; column < STATUSES; column++) {
            const struct route *route = row < traffic->count ? &traffic->routes[row] : NULL;
            if (traffic->answers[row][column] > 0)
                fprintf(file,
                        "bellhop_http_answers_total{method=\"%s\",route=\"%s\",code=\"%u\"} "
                        "%" PRIu64 "\n",
                        route != NULL ? route->method : "", route != NULL ? route->path : "",
                        statuses[column], traffic->answers[row][column]);
        }
}
