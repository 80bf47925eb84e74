#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/exposition.h"
#include "admin/hasher.h"
#include "admin/http.h"
#include "admin/request.h"
#include "admin/traffic.h"
#include "admin/writer.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/version.h"

static const char *const type_names[] = {
    [METRIC_COUNTER] = "counter",
    [METRIC_GAUGE] = "gauge",
    [METRIC_HISTOGRAM] = "histogram",
};

static void write_head(FILE *file, const char *name, size_t length, enum metric_type type,
                       const char *help)
{
    fprintf(file, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)length, name, help, (int)length, name,
            type_names[type]);
}

/* From the first metric of it on; returns the one behind it. */
static unsigned write_histogram(FILE *file, unsigned first)
{
    const char *sum_name = metric_infos[first + METRICS_BUCKETS].name;
    size_t length = strlen(sum_name) - strlen("_sum");
    int64_t count = 0;

    write_head(file, sum_name, length, METRIC_HISTOGRAM, metric_infos[first].help);
    for (unsigned i = first; i < first + METRICS_BUCKETS; i++) {
        count += metric_sum(i);
        fprintf(file, "%s %" PRId64 "\n", metric_infos[i].name, count);
    }
    fprintf(file, "%s %.6f\n%.*s_count %" PRId64 "\n", sum_name,
            (double)metric_sum(first + METRICS_BUCKETS) / 1e6, (int)length, sum_name, count);
    return first + METRICS_BUCKETS + 1;
}

/* Whether it is one more of the name that the one before it has, with other labels. */
static bool has_head(unsigned number, size_t length)
{
    const char *name = metric_infos[number].name;

    return name[length] == '{' && number > 0 &&
           strncmp(metric_infos[number - 1].name, name, length + 1) == 0;
}

static unsigned write_metric(FILE *file, unsigned number)
{
    const struct metric_info *info = &metric_infos[number];
    size_t length = strcspn(info->name, "{");

    if (info->type == METRIC_HISTOGRAM)
        return write_histogram(file, number);
    if (!has_head(number, length))
        write_head(file, info->name, length, info->type, info->help);
    fprintf(file, "%s %" PRId64 "\n", info->name, metric_sum(number));
    return number + 1;
}

void exposition_write(FILE *file)
{
    for (unsigned i = 0; i < METRIC__MAX;)
        i = write_metric(file, i);
}

static void write_gauge(FILE *file, const char *name, const char *help, unsigned value)
{
    write_head(file, name, strlen(name), METRIC_GAUGE, help);
    fprintf(file, "%s %u\n", name, value);
}

static void write_own(FILE *file, const struct admin *admin)
{
    traffic_write(http_traffic(admin->http), file);
    write_gauge(file, "bellhop_http_changes_waiting", "changes that wait for the writer",
                writer_waiting(admin->writer));
    write_gauge(file, "bellhop_http_hashes_waiting", "passwords of changes that wait to be hashed",
                hasher_waiting(admin->hasher));
    fputs("# HELP bellhop_build_info 1, and what runs\n# TYPE bellhop_build_info gauge\n"
          "bellhop_build_info{version=\"" BELLHOP_VERSION "\"} 1\n",
          file);
}

void exposition_get(struct admin *admin, struct request *request)
{
    char *text = NULL;
    size_t size;

    FILE *file = open_memstream(&text, &size);
    if (file == NULL)
        log_panic("out of memory");
    exposition_write(file);
    write_own(file, admin);
    if (fclose(file) != 0 || text == NULL)
        log_panic("out of memory");
    request_answer(request, MHD_HTTP_OK, EXPOSITION_TYPE, text);
}
