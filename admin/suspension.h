#ifndef ADMIN_SUSPENSION_H
#define ADMIN_SUSPENSION_H

#include <stdbool.h>

#include "admin/field.h"
#include "db/suspension.h"

struct request;

/* Members of a customer and of a mailbox that may be suspended: "suspended" and "suspended_mail".
 */

/* A field, for the lists. */
#define SUSPENSION_MAIL                                                                            \
    {                                                                                              \
        .name = "suspended_mail", .type = FIELD_TEXT, .nullable = true, .words = suspension_mails, \
        .about = "what happens to mail while it is suspended: keep it for the return, defer or "   \
                 "refuse it; null: as bellhop.conf says"                                           \
    }
extern const char *const suspension_mails[];

struct suspension {
    bool suspended;
    enum db_suspended_mail mail;
};

enum suspension_result {
    SUSPENSION_SAME,    /* the body says nothing new */
    SUSPENSION_CHANGED, /* `state` is as the body says now */
    SUSPENSION_WRONG    /* the request has a problem now: mail of who is not suspended */
};

enum suspension_result suspension_take(struct request *request, struct suspension *state);

#endif
