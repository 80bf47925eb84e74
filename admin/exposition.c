#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>

#include "admin/exposition.h"
#include "admin/request.h"
#include "lib/log.h"
#include "lib/metrics.h"

static const char *const type_names[] = {
    [METRIC_COUNTER] = "counter",
    [METRIC_GAUGE] = "gauge",
};

char *exposition_text(void)
{
    char *text = NULL;
    size_t size;

    FILE *file = open_memstream(&text, &size);
    if (file == NULL)
        log_panic("out of memory");
    for (unsigned i = 0; i < METRIC__MAX; i++) {
        const struct metric_info *info = &metric_infos[i];
        fprintf(file, "# HELP %s %s\n# TYPE %s %s\n%s %" PRId64 "\n", info->name, info->help,
                info->name, type_names[info->type], info->name, metric_sum(i));
    }
    if (fclose(file) != 0 || text == NULL)
        log_panic("out of memory");
    return text;
}

void exposition_get(struct admin *admin, struct request *request)
{
    (void)admin;
    request_answer(request, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
                   exposition_text());
}
