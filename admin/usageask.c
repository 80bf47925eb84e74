#include "admin/usageask.h"
#include "admin/admin.h"
#include "admin/problem.h"
#include "admin/request.h"

static void on_usage(void *context, enum store_result result)
{
    struct usageask *ask = ((struct usageask_mailbox *)context)->ask;
    struct request *request = ask->request;

    if (result != STORE_OK)
        ask->failed = true;
    if (--ask->waiting > 0)
        return;
    if (ask->failed) {
        problem_set(request, PROBLEM_BUSY, "the store does not answer; try again");
        request->answer.retry_after = 1;
    }
    ask->done(ask);
    request_send(request);
}

void usageask_add(struct usageask *ask, uint64_t mailbox)
{
    ask->asked[ask->count++] = (struct usageask_mailbox){.ask = ask, .mailbox = mailbox};
}

void usageask_run(struct usageask *ask, struct request *request, void (*done)(struct usageask *ask))
{
    ask->request = request;
    ask->done = done;
    ask->waiting = ask->count;
    if (ask->count == 0) {
        done(ask);
        return;
    }
    for (size_t i = 0, count = ask->count; i < count; i++)
        store_usage(request->admin->store, ask->asked[i].mailbox, &ask->asked[i].usage,
                    (struct store_caller){on_usage, &ask->asked[i]});
}
