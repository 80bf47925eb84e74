#include "admin/suspension.h"
#include "admin/problem.h"
#include "admin/request.h"

const char *const suspension_mails[] = {"keep", "defer", "refuse", NULL};

enum suspension_result suspension_take(struct request *request, struct suspension *state)
{
    const struct suspension before = *state;
    const char *mail = field_text(request->json, "suspended_mail", NULL);

    state->suspended = field_bool(request->json, "suspended", before.suspended);
    if (mail != NULL && !state->suspended) {
        problem_member(request, "/suspended_mail", "not-suspended",
                       "it goes with being suspended only");
        (void)problem_wrong(request);
        return SUSPENSION_WRONG;
    }
    if (!state->suspended || field_given(request->json, "suspended_mail"))
        state->mail = DB_SUSPENDED_AS_CONFIGURED;
    if (mail != NULL)
        (void)db_suspended_mail_parse(mail, &state->mail);
    return state->suspended == before.suspended && state->mail == before.mail ? SUSPENSION_SAME
                                                                              : SUSPENSION_CHANGED;
}
