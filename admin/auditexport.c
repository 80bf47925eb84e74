#include <stdlib.h>

#include "admin/admin.h"
#include "admin/auditexport.h"
#include "admin/domains.h"
#include "admin/longtext.h"
#include "db/auditline.h"
#include "lib/xalloc.h"

struct export
{
    struct db *db;
    uint64_t customer; /* 0: all */
    struct db_audit audit;
};

static int next(void *context, FILE *file)
{
    struct export *export = context;
    enum db_result result = export->customer == 0
                                ? db_operator_audit_follow(export->db, &export->audit)
                                : db_audit_follow(export->db, export->customer, &export->audit);

    if (result != DB_OK)
        return result == DB_NONE ? 0 : -1;
    json_t *line = auditline_make(&export->audit, export->customer == 0);
    int written = line == NULL ? -1 : json_dumpf(line, file, JSON_COMPACT);
    json_decref(line);
    return written == 0 && fputc('\n', file) != EOF ? 1 : -1;
}

static void end(void *context)
{
    struct export *export = context;

    db_audit_free(&export->audit);
    free(export);
}

void audit_export(struct admin *admin, struct request *request)
{
    uint64_t customer;

    if (list_customer(request, &customer) < 0)
        return;
    struct export *export = xcalloc(1, sizeof(*export));
    export->db = admin->db;
    export->customer = customer;
    longtext_answer(request, 200, request->route->type,
                    &(struct longtext_source){next, end, export});
}
