#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "admin/authask.h"
#include "admin/authlink.h"
#include "admin/bulk.h"
#include "admin/counter.h"
#include "admin/crossings.h"
#include "admin/dropper.h"
#include "admin/eventpruner.h"
#include "admin/fetcher.h"
#include "admin/hasher.h"
#include "admin/issuers.h"
#include "admin/jobevents.h"
#include "admin/logouts.h"
#include "admin/purger.h"
#include "admin/retention.h"
#include "admin/store.h"
#include "admin/webhooks.h"
#include "admin/writer.h"
#include "lib/child.h"

/* What the handlers and the loop of this program work with. */
struct admin {
    struct child child;
    struct db *db;         /* to read: changes are the writer's */
    struct db *notes;      /* the same database, for what happens at logins (DB_NOTES) */
    struct db *outbox;     /* and for webhooks (DB_NOTES) */
    struct writer *writer; /* NULL: ended */
    struct hasher *hasher;
    struct counter *counter;
    struct bulk *bulk;
    struct jobevents *jobevents;
    struct api *api;
    struct store *store;
    struct http *http; /* NULL: stopped */
    bool serving;      /* between the words to serve and to retire */
    bool retired;
    struct event *look; /* at the time of the next try to find stored */
    struct dropper dropper;
    struct logouts logouts;
    struct retention retention;
    struct eventpruner eventpruner;
    struct purger purger;
    struct crossings crossings;
    struct webhooks *webhooks;
    struct authlink *authlink;
    struct authask *authask;
    struct fetcher *fetcher;
    struct issuers *issuers;
};

#endif
