#include "db/statement.h"

#include <sqlite3.h>
#include <string.h>

#include "db/handle.h"
#include "lib/log.h"

/*
 * All SQL, and the one place that turns SQLite's answers into ours. No statement is put together at
 * run time; the macros below are columns that several statements share, in the order in which one
 * function reads them.
 */

#define PLAN_COLUMNS                                                                               \
    "plan.name, plan.addresses, plan.domains, plan.mailbox_octets, plan.mailbox_messages,"         \
    " plan.message_octets, plan.retention_days, plan.poll_seconds, plan.protection,"               \
    " plan.sending, plan.catch_all"

#define CUSTOMER_COLUMNS                                                                           \
    "customer.id, customer.name, plan.name, customer.suspended, customer.created,"                 \
    " (SELECT count(*) FROM domain WHERE domain.customer = customer.id),"                          \
    " (SELECT count(*) FROM address WHERE address.customer = customer.id), customer.language,"     \
    " customer.suspended_mail, customer.over_plan"                                                 \
    " FROM customer JOIN plan ON plan.id = customer.plan"

#define DOMAIN_COLUMNS                                                                             \
    "domain.customer, customer.name, domain.name, domain.created,"                                 \
    " (SELECT count(*) FROM address WHERE address.domain = domain.id),"                            \
    " (SELECT address.local || '@' || own.name FROM address"                                       \
    "  JOIN domain AS own ON own.id = address.domain WHERE address.id = domain.catch_all)"         \
    " FROM domain JOIN customer ON customer.id = domain.customer"

#define MAILADDRESS_COLUMNS                                                                        \
    "address.customer, customer.name, address.local || '@' || domain.name, address.mailbox,"       \
    " mailbox.name, mailbox.suspended, credential.mailbox IS NOT NULL,"                            \
    " CASE WHEN invitation.expires > unixepoch() THEN invitation.expires END,"                     \
    " (SELECT count(*) FROM address_target JOIN mailbox AS target"                                 \
    "  ON target.id = address_target.mailbox WHERE address_target.address = address.id),"          \
    " address.created, address.over_plan, mailbox.suspended_mail, mailbox.octets,"                 \
    " mailbox.language, mailbox.pop3, mailbox.smtp"                                                \
    " FROM domain JOIN address ON address.domain = domain.id"                                      \
    " JOIN customer ON customer.id = address.customer"                                             \
    " LEFT JOIN mailbox ON mailbox.id = address.mailbox"                                           \
    " LEFT JOIN credential ON credential.mailbox = address.mailbox"                                \
    " LEFT JOIN invitation ON invitation.mailbox = address.mailbox"

/* `mail`: what happens to it while the mailbox is suspended. */
#define ROUTE_COLUMNS                                                                              \
    "mailbox.id, min(plan.mailbox_octets, coalesce(mailbox.octets, plan.mailbox_octets)),"         \
    " plan.mailbox_messages, plan.message_octets,"                                                 \
    " mailbox.suspended OR customer.suspended OR address.over_plan OR own.over_plan,"              \
    " CASE WHEN customer.suspended THEN customer.suspended_mail"                                   \
    "      WHEN mailbox.suspended THEN mailbox.suspended_mail END"

#define ROUTE_JOINS                                                                                \
    " LEFT JOIN address_target ON address_target.address = address.id"                             \
    " JOIN mailbox ON mailbox.id = coalesce(address.mailbox, address_target.mailbox)"              \
    " JOIN address AS own ON own.mailbox = mailbox.id"                                             \
    " JOIN customer ON customer.id = mailbox.customer"                                             \
    " JOIN plan ON plan.id = customer.plan"

#define AUDIT_COLUMNS                                                                              \
    "audit.id, audit.number, audit.time, audit.customer, audit.actor, audit.remote,"               \
    " audit.request, audit.action, audit.object, audit.digest, audit.chain, audit.changes,"        \
    " (SELECT customer.name FROM customer WHERE customer.id = audit.customer) FROM audit"

#define ISSUER_COLUMNS                                                                             \
    "id, customer, issuer, audience, claim, created, ifnull(fetched, 0), tried, failures, "        \
    "failure,"                                                                                     \
    " due FROM token_issuer"

/* Its customer has not been removed. */
#define ISSUER_IS_LIVE "EXISTS (SELECT 1 FROM customer WHERE customer.id = token_issuer.customer)"

/* The addresses of ?1 on `plan`, with which are beyond it, from the oldest on. */
#define RANKED_ADDRESSES(plan_is)                                                                  \
    "(SELECT address.id, address.local || '@' || place.name AS text, address.mailbox,"             \
    "        address.over_plan, customer.over_plan AS rule,"                                       \
    "        place.rank > plan.domains OR row_number() OVER (PARTITION BY"                         \
    "            place.rank > plan.domains ORDER BY address.created, address.id)"                  \
    "            > plan.addresses AS beyond"                                                       \
    " FROM (SELECT domain.id, domain.name, row_number() OVER (ORDER BY created, id) AS rank"       \
    "       FROM domain WHERE domain.customer = ?1) AS place"                                      \
    " JOIN address ON address.domain = place.id"                                                   \
    " JOIN customer ON customer.id = ?1 JOIN plan ON " plan_is ")"

#define REMOVAL_COLUMNS                                                                            \
    "removal.id, removal.customer, any_customer.name, removal.kind, removal.name, removal.time,"   \
    " removal.purge FROM removal JOIN any_customer ON any_customer.id = removal.customer"

/* Its time has not come, nor that of its customer's. */
#define REMOVAL_WAITS                                                                              \
    "removal.purge > unixepoch() AND NOT EXISTS (SELECT 1 FROM removal AS whole"                   \
    " WHERE whole.id = any_customer.removed AND whole.purge <= unixepoch())"

/* ?1 to ?3: customer, admin user, mailbox; NULL for what a person is not. */
#define PERSON "customer IS ?1 AND admin_user IS ?2 AND mailbox IS ?3"

#define PERSON_EXISTS                                                                              \
    "(EXISTS (SELECT 1 FROM mailbox WHERE id = ?3 AND customer = ?1) OR"                           \
    " EXISTS (SELECT 1 FROM admin_user WHERE id = ?2 AND customer IS ?1))"

#define SECOND_FACTOR "(SELECT id FROM second_factor WHERE " PERSON ")"

#define PAGE_SESSION_COLUMNS                                                                       \
    "digest, customer, admin_user, mailbox, created, seen, expires, remote, agent FROM session"

#define EVENT_COLUMNS                                                                              \
    "event.id, event.time, event.count, event.customer, event.mailbox, event.kind,"                \
    " event.address, event.remote, event.protocol, event.mechanism, event.credential,"             \
    " event.reason, (SELECT customer.name FROM customer WHERE customer.id = event.customer)"       \
    " FROM event"

/* How many there are that have not been removed. */
#define COUNT(table)                                                                               \
    "(SELECT count(*) FROM " table ")"                                                             \
    " - (SELECT count(*) FROM " table " WHERE removed IS NOT NULL)"

#define APP_PASSWORD_COLUMNS                                                                       \
    "id, name, pop3, smtp, expires, created, used, used_address FROM app_password"

#define API_KEY_COLUMNS                                                                            \
    "api_key.id, api_key.name, api_key.role, api_key.customer, customer.name, domain.name,"        \
    " api_key.mailbox, address.local || '@' || home.name, api_key.networks, api_key.rate,"         \
    " api_key.expires, api_key.created, api_key.used, api_key.used_address,"                       \
    " coalesce(customer.suspended, 0) OR coalesce(mailbox.suspended, 0)"                           \
    " OR coalesce(address.over_plan, 0) FROM api_key"                                              \
    " LEFT JOIN any_customer AS customer ON customer.id = api_key.customer"                        \
    " LEFT JOIN any_domain AS domain ON domain.id = api_key.domain"                                \
    " LEFT JOIN any_mailbox AS mailbox ON mailbox.id = api_key.mailbox"                            \
    " LEFT JOIN any_address AS address ON address.mailbox = api_key.mailbox"                       \
    " LEFT JOIN any_domain AS home ON home.id = address.domain"                                    \
    " WHERE customer.removed IS NULL AND domain.removed IS NULL AND address.removed IS NULL"       \
    " AND mailbox.removed IS NULL"

#define ADMIN_USER_COLUMNS                                                                         \
    "admin_user.id, admin_user.customer, customer.name, admin_user.login, admin_user.name,"        \
    " admin_user.role, admin_user.suspended, admin_user.hash IS NOT NULL,"                         \
    " coalesce(second_factor.confirmed, 0) > 0,"                                                   \
    " CASE WHEN invitation.expires > unixepoch() THEN invitation.expires END, admin_user.created"  \
    " FROM admin_user"                                                                             \
    " LEFT JOIN any_customer AS customer ON customer.id = admin_user.customer"                     \
    " LEFT JOIN second_factor ON second_factor.admin_user = admin_user.id"                         \
    " LEFT JOIN admin_invitation AS invitation ON invitation.admin_user = admin_user.id"           \
    " WHERE customer.removed IS NULL"

#define WEBHOOK_COLUMNS                                                                            \
    "webhook.id, webhook.customer, webhook.url, webhook.events, webhook.created, webhook.cursor,"  \
    " webhook.failing, webhook.failures, webhook.next, webhook.disabled, webhook.failure,"         \
    " webhook.answered, webhook.status, webhook.old_until,"                                        \
    " (SELECT customer.name FROM customer WHERE customer.id = webhook.customer) FROM webhook"

#define OUTBOX_COLUMNS                                                                             \
    "outbox.id, outbox.time, outbox.customer, outbox.type, outbox.object, outbox.detail,"          \
    " audit.actor, audit.remote, audit.request, audit.changes,"                                    \
    " (SELECT customer.name FROM customer WHERE customer.id = outbox.customer)"                    \
    " FROM outbox LEFT JOIN audit ON audit.id = outbox.audit"

#define JOB_COLUMNS                                                                                \
    "job.id, job.customer, job.actor, job.remote, job.request, job.format, job.mode, job.dry_run," \
    " job.state, job.octets, job.rows, job.aliases, job.wrong, job.place, job.made, job.created,"  \
    " job.begun, job.ended, job.secret IS NOT NULL FROM job"

/* The cursor of a new event at ?2, in microseconds; ?3 is above all there are. */
#define OUTBOX_CURSOR                                                                              \
    "max(?2, 1 + coalesce((SELECT outbox.id FROM outbox WHERE outbox.id < ?3"                      \
    "                      ORDER BY outbox.id DESC LIMIT 1), 0))"

/* Whether anybody wants to hear of the customer ?1. */
#define WEBHOOK_EXISTS                                                                             \
    "(EXISTS (SELECT 1 FROM webhook WHERE customer = ?1)"                                          \
    " OR EXISTS (SELECT 1 FROM webhook WHERE customer IS NULL))"

/* clang-format off */
const struct statement statements[STATEMENT__MAX] = {
    [STATEMENT_BEGIN] = {"begin", STATEMENT_CONTROL, "BEGIN IMMEDIATE"},
    [STATEMENT_READ] = {"read", STATEMENT_CONTROL, "BEGIN"},
    [STATEMENT_COMMIT] = {"commit", STATEMENT_CONTROL, "COMMIT"},
    [STATEMENT_ROLLBACK] = {"rollback", STATEMENT_CONTROL, "ROLLBACK"},
    [STATEMENT_SAVEPOINT] = {"savepoint", STATEMENT_CONTROL, "SAVEPOINT change"},
    [STATEMENT_RELEASE] = {"release", STATEMENT_CONTROL, "RELEASE change"},
    [STATEMENT_UNDO] = {"undo", STATEMENT_CONTROL, "ROLLBACK TO change"},

    [STATEMENT_PLAN_ADD] = {"plan_add", STATEMENT_OPERATOR,
        "INSERT INTO plan (name, addresses, domains, mailbox_octets, mailbox_messages,"
        "                  message_octets, retention_days, poll_seconds, protection, sending,"
        "                  catch_all)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"},
    [STATEMENT_PLAN_FIND] = {"plan_find", STATEMENT_OPERATOR,
        "SELECT " PLAN_COLUMNS " FROM plan WHERE plan.name = ?1"},
    [STATEMENT_PLAN_SET] = {"plan_set", STATEMENT_OPERATOR,
        "UPDATE plan SET addresses = ?2, domains = ?3, mailbox_octets = ?4, mailbox_messages = ?5,"
        "                message_octets = ?6, retention_days = ?7, poll_seconds = ?8,"
        "                protection = ?9, sending = ?10, catch_all = ?11"
        " WHERE name = ?1"},
    [STATEMENT_PLAN_NEXT] = {"plan_next", STATEMENT_OPERATOR,
        "SELECT " PLAN_COLUMNS " FROM plan WHERE plan.name > ?1 ORDER BY plan.name LIMIT 1"},
    /* A customer that uses more than ?2 addresses or ?3 domains on the plan ?1. */
    [STATEMENT_PLAN_EXCEEDED] = {"plan_exceeded", STATEMENT_OPERATOR,
        "SELECT customer.name,"
        "       (SELECT count(*) FROM address WHERE address.customer = customer.id) AS addresses,"
        "       (SELECT count(*) FROM domain WHERE domain.customer = customer.id) AS domains"
        " FROM plan JOIN customer ON customer.plan = plan.id"
        " WHERE plan.name = ?1 AND customer.over_plan = 'refuse'"
        "   AND (addresses > ?2 OR domains > ?3) LIMIT 1"},
    [STATEMENT_CUSTOMER_ADD] = {"customer_add", STATEMENT_OPERATOR,
        "INSERT INTO any_customer (name, plan, created)"
        " SELECT ?1, plan.id, unixepoch() FROM plan WHERE plan.name = ?2"},
    [STATEMENT_CUSTOMER_NEXT] = {"customer_next", STATEMENT_OPERATOR,
        "SELECT " CUSTOMER_COLUMNS
        " WHERE customer.name > ?1 ORDER BY customer.name LIMIT 1"},
    [STATEMENT_OPERATOR_DOMAIN_NEXT] = {"operator_domain_next", STATEMENT_OPERATOR,
        "SELECT " DOMAIN_COLUMNS " WHERE domain.name > ?1 ORDER BY domain.name LIMIT 1"},
    /* In the domain ?1, then in the domains behind it: with both in one, SQLite reads each domain
     * from its first address. */
    [STATEMENT_OPERATOR_MAILADDRESS_BEHIND] = {"operator_mailaddress_behind", STATEMENT_OPERATOR,
        "SELECT " MAILADDRESS_COLUMNS
        " WHERE domain.name = ?1 AND address.local > ?2 ORDER BY address.local LIMIT 1"},
    [STATEMENT_OPERATOR_MAILADDRESS_NEXT] = {"operator_mailaddress_next", STATEMENT_OPERATOR,
        "SELECT " MAILADDRESS_COLUMNS
        " WHERE domain.name > ?1 ORDER BY domain.name, address.local LIMIT 1"},
    [STATEMENT_OPERATOR_AUDIT_NEXT] = {"operator_audit_next", STATEMENT_OPERATOR,
        "SELECT " AUDIT_COLUMNS " WHERE audit.id < ?1 ORDER BY audit.id DESC LIMIT 1"},
    [STATEMENT_OPERATOR_AUDIT_FOLLOW] = {"operator_audit_follow", STATEMENT_OPERATOR,
        "SELECT " AUDIT_COLUMNS " WHERE audit.id > ?1 ORDER BY audit.id LIMIT 1"},
    /* What the next row of the customer ?1 stands behind; 0: the operator's own. */
    [STATEMENT_AUDIT_NEWEST] = {"audit_newest", STATEMENT_OPERATOR,
        "SELECT (SELECT number FROM audit WHERE customer IS nullif(?1, 0) AND number < ?2"
        "        ORDER BY number DESC LIMIT 1),"
        "       (SELECT digest FROM audit WHERE customer IS nullif(?1, 0) AND number < ?2"
        "        ORDER BY number DESC LIMIT 1),"
        "       (SELECT chain FROM audit WHERE id < ?2 ORDER BY id DESC LIMIT 1)"},
    /* ?1 is 0 for the operator's. */
    [STATEMENT_WEBHOOK_ADD] = {"webhook_add", STATEMENT_OPERATOR,
        "INSERT INTO webhook (customer, url, events, secret, created, cursor)"
        " SELECT nullif(?1, 0), ?2, ?3, ?4, ?5 / 1000000, max(?5,"
        "     coalesce((SELECT id FROM outbox WHERE id < ?6 ORDER BY id DESC LIMIT 1), 0))"
        " WHERE ?1 = 0 OR EXISTS (SELECT 1 FROM customer WHERE id = ?1)"},
    [STATEMENT_WEBHOOK_REMOVE] = {"webhook_remove", STATEMENT_OPERATOR,
        "DELETE FROM webhook WHERE customer IS nullif(?1, 0) AND id = ?2"},
    [STATEMENT_WEBHOOK_REPLAY] = {"webhook_replay", STATEMENT_OPERATOR,
        "UPDATE webhook SET failing = NULL, failures = 0, next = 0, disabled = NULL, cursor ="
        "     min(?3, max(coalesce((SELECT max(id) FROM outbox), 0), unixepoch() * 1000000))"
        " WHERE customer IS nullif(?1, 0) AND id = ?2"},
    /* What is NULL stays. What is switched on or off, or leads elsewhere, has not failed yet. */
    [STATEMENT_WEBHOOK_SET] = {"webhook_set", STATEMENT_OPERATOR,
        "UPDATE webhook SET url = coalesce(?3, url), events = coalesce(?4, events),"
        "     disabled = iif(?5 IS NULL, disabled, iif(?5, NULL, coalesce(disabled, unixepoch()))),"
        "     failing = iif(coalesce(?3, ?5) IS NULL, failing, NULL),"
        "     failures = iif(coalesce(?3, ?5) IS NULL, failures, 0),"
        "     next = iif(coalesce(?3, ?5) IS NULL, next, 0)"
        " WHERE customer IS nullif(?1, 0) AND id = ?2"},
    [STATEMENT_WEBHOOK_RENEW] = {"webhook_renew", STATEMENT_OPERATOR,
        "UPDATE webhook SET old_secret = secret, secret = ?3, old_until = ?4"
        " WHERE customer IS nullif(?1, 0) AND id = ?2"},
    [STATEMENT_OPERATOR_WEBHOOK_FIND] = {"operator_webhook_find", STATEMENT_OPERATOR,
        "SELECT " WEBHOOK_COLUMNS " WHERE webhook.id = ?1"},
    [STATEMENT_OPERATOR_WEBHOOK_NEXT] = {"operator_webhook_next", STATEMENT_OPERATOR,
        "SELECT " WEBHOOK_COLUMNS " WHERE webhook.id > ?1 ORDER BY webhook.id LIMIT 1"},
    [STATEMENT_WEBHOOK_SECRET] = {"webhook_secret", STATEMENT_OPERATOR,
        "SELECT secret, iif(old_until > unixepoch(), old_secret, NULL) FROM webhook WHERE id = ?1"},
    /* ?2 is the cursor that it was told from; ?4 is 0 where it was not told. */
    [STATEMENT_WEBHOOK_TOLD] = {"webhook_told", STATEMENT_OPERATOR,
        "UPDATE webhook SET cursor = ?3, failing = NULL, failures = 0, next = 0,"
        "     answered = iif(?4 = 0, answered, unixepoch()), status = iif(?4 = 0, status, ?4)"
        " WHERE id = ?1 AND cursor = ?2 AND disabled IS NULL"},
    [STATEMENT_WEBHOOK_FAILED] = {"webhook_failed", STATEMENT_OPERATOR,
        "UPDATE webhook SET failing = coalesce(failing, ?3), failures = failures + 1, next = ?4,"
        "                   failure = ?5, answered = ?3, status = ?6"
        " WHERE id = ?1 AND cursor = ?2 AND disabled IS NULL"},
    [STATEMENT_WEBHOOK_GIVE_UP] = {"webhook_give_up", STATEMENT_OPERATOR,
        "UPDATE webhook SET disabled = ?3 WHERE id = ?1 AND cursor = ?2 AND disabled IS NULL"},
    [STATEMENT_OUTBOX_NEWEST] = {"outbox_newest", STATEMENT_OPERATOR,
        "SELECT id FROM outbox WHERE id < ?1 ORDER BY id DESC LIMIT 1"},
    [STATEMENT_OPERATOR_OUTBOX_NEXT] = {"operator_outbox_next", STATEMENT_OPERATOR,
        "SELECT " OUTBOX_COLUMNS " WHERE outbox.id > ?1 ORDER BY outbox.id LIMIT 1"},
    [STATEMENT_OPERATOR_OUTBOX_WAITING] = {"operator_outbox_waiting", STATEMENT_OPERATOR,
        "SELECT count(*), min(id) FROM (SELECT id FROM outbox WHERE id > ?1 ORDER BY id LIMIT ?2)"
        " HAVING count(*) > 0"},
    [STATEMENT_OUTBOX_CROSSING] = {"outbox_crossing", STATEMENT_OPERATOR,
        "INSERT INTO outbox (id, time, customer, type, object, detail)"
        " SELECT " OUTBOX_CURSOR ", ?2 / 1000000, mailbox.customer, 'mailbox.quota-crossed',"
        "        address.local || '@' || domain.name,"
        "        json_object('percent', ?4, 'used_bytes', ?5, 'quota_bytes', ?6,"
        "                    'used_messages', ?7, 'quota_messages', ?8)"
        " FROM mailbox JOIN address ON address.mailbox = mailbox.id"
        " JOIN domain ON domain.id = address.domain"
        " WHERE mailbox.id = ?1 AND"
        "     (EXISTS (SELECT 1 FROM webhook WHERE webhook.customer = mailbox.customer)"
        "      OR EXISTS (SELECT 1 FROM webhook WHERE webhook.customer IS NULL))"},
    [STATEMENT_OUTBOX_PRUNE] = {"outbox_prune", STATEMENT_OPERATOR,
        "DELETE FROM outbox WHERE id IN (SELECT old.id FROM outbox AS old WHERE old.id < ?1"
        "     AND old.id < (SELECT id FROM outbox WHERE id < ?2 ORDER BY id DESC LIMIT 1)"
        "     ORDER BY old.id LIMIT ?3)"},
    /* The tables and what their rows consist of, for db/changes.c. */
    [STATEMENT_CHANGES_COLUMNS] = {"changes_columns", STATEMENT_CONTROL,
        "SELECT tables.name, columns.name, columns.dflt_value, columns.pk"
        " FROM sqlite_schema AS tables JOIN pragma_table_info(tables.name) AS columns"
        " WHERE tables.type = 'table' ORDER BY tables.name, columns.cid"},
    [STATEMENT_CHANGES_PLAN] = {"changes_plan", STATEMENT_OPERATOR,
        "SELECT name FROM plan WHERE id = ?1"},
    [STATEMENT_CHANGES_DOMAIN] = {"changes_domain", STATEMENT_OPERATOR,
        "SELECT name FROM any_domain WHERE id = ?1"},
    [STATEMENT_CHANGES_MAILBOX] = {"changes_mailbox", STATEMENT_OPERATOR,
        "SELECT own.local || '@' || at.name FROM any_address AS own"
        " JOIN any_domain AS at ON at.id = own.domain WHERE own.mailbox = ?1"},
    [STATEMENT_CHANGES_ADDRESS] = {"changes_address", STATEMENT_OPERATOR,
        "SELECT own.local || '@' || at.name FROM any_address AS own"
        " JOIN any_domain AS at ON at.id = own.domain WHERE own.id = ?1"},
    /* CROSS JOIN: along the mailboxes' ids, so that a sweep passes each of them once. */
    [STATEMENT_OPERATOR_RETENTION_NEXT] = {"operator_retention_next", STATEMENT_OPERATOR,
        "SELECT mailbox.id, plan.retention_days FROM mailbox"
        " CROSS JOIN customer ON customer.id = mailbox.customer"
        " CROSS JOIN plan ON plan.id = customer.plan"
        " WHERE mailbox.id > ?1 AND plan.retention_days > 0 ORDER BY mailbox.id LIMIT 1"},
    [STATEMENT_OPERATOR_MAILBOX_LIST] = {"operator_mailbox_list", STATEMENT_OPERATOR,
        "SELECT id FROM mailbox WHERE ?1 = 0 AND id > ?2 ORDER BY id LIMIT ?3"},
    [STATEMENT_DROP_NEXT] = {"drop_next", STATEMENT_OPERATOR,
        "SELECT mailbox FROM mailbox_drop WHERE mailbox > ?1 ORDER BY mailbox LIMIT 1"},
    [STATEMENT_DROP_DONE] = {"drop_done", STATEMENT_OPERATOR,
        "DELETE FROM mailbox_drop WHERE mailbox = ?1"},
    [STATEMENT_LOGOUT_LIST] = {"logout_list", STATEMENT_OPERATOR,
        "SELECT id, mailbox, created FROM logout WHERE id > ?1 ORDER BY id LIMIT ?2"},
    [STATEMENT_LOGOUT_FORGET] = {"logout_forget", STATEMENT_OPERATOR,
        "DELETE FROM logout WHERE id <= ?1 AND created + ?2 < unixepoch()"},
    [STATEMENT_ISSUER_DUE] = {"issuer_due", STATEMENT_OPERATOR,
        "SELECT " ISSUER_COLUMNS " WHERE due <= ?1 AND (due, id) > (?2, ?3) AND " ISSUER_IS_LIVE
        " ORDER BY due, id LIMIT 1"},
    [STATEMENT_ISSUER_ANY] = {"issuer_any", STATEMENT_OPERATOR,
        "SELECT 1 FROM token_issuer WHERE id > 0 AND " ISSUER_IS_LIVE " LIMIT 1"},
    /* A customer of the plan ?1 that may have to be fitted into it. */
    [STATEMENT_OVERPLAN_CUSTOMER_NEXT] = {"overplan_customer_next", STATEMENT_OPERATOR,
        "SELECT customer.id FROM plan JOIN customer ON customer.plan = plan.id"
        " WHERE plan.name = ?1 AND customer.id > ?2 AND customer.over_plan = 'suspend'"
        " ORDER BY customer.id LIMIT 1"},
    [STATEMENT_OPERATOR_REMOVAL_NEXT] = {"operator_removal_next", STATEMENT_OPERATOR,
        "SELECT " REMOVAL_COLUMNS " WHERE removal.id > ?1 AND " REMOVAL_WAITS
        " ORDER BY removal.id LIMIT 1"},
    [STATEMENT_REMOVAL_DUE] = {"removal_due", STATEMENT_OPERATOR,
        "SELECT " REMOVAL_COLUMNS " WHERE removal.purge <= unixepoch()"
        " ORDER BY removal.purge LIMIT 1"},
    [STATEMENT_EVENT_CUSTOMER_NEXT] = {"event_customer_next", STATEMENT_OPERATOR,
        "SELECT event.customer FROM event WHERE event.customer > ?1"
        " ORDER BY event.customer LIMIT 1"},
    [STATEMENT_OPERATOR_EVENT_NEXT] = {"operator_event_next", STATEMENT_OPERATOR,
        "SELECT " EVENT_COLUMNS " WHERE event.id < ?1 ORDER BY event.id DESC LIMIT 1"},
    [STATEMENT_OPERATOR_EVENT_SUM] = {"operator_event_sum", STATEMENT_OPERATOR,
        "SELECT event.id, event.kind, event.count FROM event WHERE event.id >= ?1"
        " ORDER BY event.id DESC LIMIT ?2"},
    /* Through the views SQLite would look at each row; of a whole table it counts by the page. */
    [STATEMENT_OPERATOR_COUNT] = {"operator_count", STATEMENT_OPERATOR,
        "SELECT " COUNT("any_customer") ", (SELECT count(*) FROM customer WHERE suspended),"
        "       " COUNT("any_domain") ", " COUNT("any_address") ", " COUNT("any_mailbox") ","
        "       (SELECT count(*) FROM removal WHERE purge > unixepoch())"},

    [STATEMENT_OPERATOR_API_KEY_ADD] = {"operator_api_key_add", STATEMENT_OPERATOR,
        "INSERT INTO api_key (name, role, digest, networks, rate, expires, created)"
        " VALUES (?2, ?3, ?4, ?5, ?6, nullif(?7, 0), unixepoch())"},
    [STATEMENT_OPERATOR_API_KEY_NEXT] = {"operator_api_key_next", STATEMENT_OPERATOR,
        "SELECT " API_KEY_COLUMNS " AND api_key.id > ?1 ORDER BY api_key.id LIMIT 1"},
    /* ?1 is 0 for the operator's. */
    [STATEMENT_ADMIN_USER_ADD] = {"admin_user_add", STATEMENT_OPERATOR,
        "INSERT INTO admin_user (customer, login, name, role, created)"
        " SELECT nullif(?1, 0), ?2, ?3, ?4, unixepoch()"
        " WHERE ?1 = 0 OR EXISTS (SELECT 1 FROM customer WHERE id = ?1)"},
    [STATEMENT_OPERATOR_ADMIN_USER_NEXT] = {"operator_admin_user_next", STATEMENT_OPERATOR,
        "SELECT " ADMIN_USER_COLUMNS " AND admin_user.id > ?1 ORDER BY admin_user.id LIMIT 1"},
    [STATEMENT_OPERATOR_EVENT_ADD] = {"operator_event_add", STATEMENT_OPERATOR,
        "INSERT INTO event (customer, id, mailbox, kind, time, count, refused, address, remote,"
        "                   protocol, mechanism, credential, reason)"
        " VALUES (0, ?2, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"},
    [STATEMENT_IDEMPOTENCY_PRUNE] = {"idempotency_prune", STATEMENT_OPERATOR,
        "DELETE FROM idempotency_key WHERE (api_key, key) IN ("
        "     SELECT old.api_key, old.key FROM idempotency_key AS old WHERE old.created < ?1"
        "     ORDER BY old.created LIMIT 10)"},
    [STATEMENT_PLAN_REMOVE] = {"plan_remove", STATEMENT_OPERATOR,
        "DELETE FROM plan WHERE name = ?1"
        " AND NOT EXISTS (SELECT 1 FROM any_customer WHERE any_customer.plan = plan.id)"},
    /* ?1 is 0 for the operator's. */
    [STATEMENT_JOB_BEGIN] = {"job_begin", STATEMENT_OPERATOR,
        "INSERT INTO job (customer, actor, remote, request, format, mode, dry_run, secret, created)"
        " SELECT nullif(?1, 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8, unixepoch()"
        " WHERE ?1 = 0 OR EXISTS (SELECT 1 FROM customer WHERE id = ?1)"},
    [STATEMENT_JOB_PART_ADD] = {"job_part_add", STATEMENT_OPERATOR,
        "INSERT INTO job_part (job, number, octets)"
        " SELECT id, ?2, ?3 FROM job WHERE id = ?1 AND state = 'upload' AND ended IS NULL"},
    [STATEMENT_JOB_START] = {"job_start", STATEMENT_OPERATOR,
        "UPDATE job SET state = 'checking', octets = coalesce("
        "     (SELECT sum(length(octets)) FROM job_part WHERE job_part.job = job.id), 0)"
        " WHERE customer IS nullif(?1, 0) AND id = ?2 AND state = 'upload' AND ended IS NULL"},
    [STATEMENT_JOB_ABANDON] = {"job_abandon", STATEMENT_OPERATOR,
        "UPDATE job SET secret = NULL, ended = 0"
        " WHERE id = ?1 AND state = 'upload' AND ended IS NULL"},
    [STATEMENT_OPERATOR_JOB_FIND] = {"operator_job_find", STATEMENT_OPERATOR,
        "SELECT " JOB_COLUMNS " WHERE job.id = ?1 AND job.state <> 'upload'"},
    [STATEMENT_OPERATOR_JOB_NEXT] = {"operator_job_next", STATEMENT_OPERATOR,
        "SELECT " JOB_COLUMNS " WHERE job.id < ?1 AND job.state <> 'upload'"
        " ORDER BY job.id DESC LIMIT 1"},
    [STATEMENT_JOB_OPEN_NEXT] = {"job_open_next", STATEMENT_OPERATOR,
        "SELECT " JOB_COLUMNS " INDEXED BY job_open"
        " WHERE job.id > ?1 AND job.state IN ('checking', 'applying')"
        " ORDER BY job.id LIMIT 1"},
    [STATEMENT_JOB_PART_NEXT] = {"job_part_next", STATEMENT_OPERATOR,
        "SELECT number, octets FROM job_part WHERE job = ?1 AND number > ?2"
        " ORDER BY number LIMIT 1"},
    [STATEMENT_JOB_ERROR_NEXT] = {"job_error_next", STATEMENT_OPERATOR,
        "SELECT row, number, line, name, code, reason FROM job_error"
        " WHERE job = ?1 AND (row, number) > (?2, ?3) ORDER BY row, number LIMIT 1"},
    [STATEMENT_JOB_ERROR_ADD] = {"job_error_add", STATEMENT_OPERATOR,
        "INSERT INTO job_error (job, row, number, line, name, code, reason)"
        " SELECT id, ?2, ?3, ?4, ?5, ?6, ?7 FROM job WHERE id = ?1"},
    [STATEMENT_JOB_ERRORS_FORGET] = {"job_errors_forget", STATEMENT_OPERATOR,
        "DELETE FROM job_error WHERE job = ?1"},
    [STATEMENT_JOB_HASH_ADD] = {"job_hash_add", STATEMENT_OPERATOR,
        "INSERT INTO job_hash (job, row, hash, scram)"
        " SELECT id, ?2, ?3, ?4 FROM job WHERE id = ?1 AND state = 'applying'"},
    [STATEMENT_JOB_HASH_FIND] = {"job_hash_find", STATEMENT_OPERATOR,
        "SELECT hash, scram FROM job_hash WHERE job = ?1 AND row = ?2"},
    [STATEMENT_JOB_CHECKED] = {"job_checked", STATEMENT_OPERATOR,
        "UPDATE job SET state = 'applying', rows = ?2, aliases = ?3, wrong = ?4,"
        "               begun = unixepoch()"
        " WHERE id = ?1 AND state = 'checking'"},
    [STATEMENT_JOB_ADVANCE] = {"job_advance", STATEMENT_OPERATOR,
        "UPDATE job SET place = ?3, made = made + ?4, wrong = wrong + ?5"
        " WHERE id = ?1 AND state = 'applying' AND place = ?2"},
    [STATEMENT_JOB_END] = {"job_end", STATEMENT_OPERATOR,
        "UPDATE job SET state = ?2, rows = ?3, aliases = ?4, wrong = max(wrong, ?5),"
        "               ended = unixepoch(), secret = CASE WHEN made > 0 THEN secret END"
        " WHERE id = ?1 AND state IN ('checking', 'applying')"},
    [STATEMENT_JOB_HASHES_FORGET] = {"job_hashes_forget", STATEMENT_OPERATOR,
        "DELETE FROM job_hash WHERE job = ?1"},
    [STATEMENT_JOB_SECRET] = {"job_secret", STATEMENT_OPERATOR,
        "SELECT secret FROM job WHERE id = ?1 AND secret IS NOT NULL"},
    [STATEMENT_JOB_TAKE_RESULT] = {"job_take_result", STATEMENT_OPERATOR,
        "UPDATE job SET secret = NULL WHERE customer IS nullif(?1, 0) AND id = ?2"
        " AND secret IS NOT NULL AND state IN ('done', 'cancelled')"},
    [STATEMENT_JOB_TAKE_CARDS] = {"job_take_cards", STATEMENT_OPERATOR,
        "UPDATE job SET cards = 1 WHERE customer IS nullif(?1, 0) AND id = ?2 AND cards = 0"
        " AND secret IS NOT NULL AND state IN ('done', 'cancelled')"},
    /* What nobody needs any more, a little at a time. */
    [STATEMENT_JOB_UPLOADS_PRUNE] = {"job_uploads_prune", STATEMENT_OPERATOR,
        "UPDATE job SET secret = NULL, ended = 0"
        " WHERE state = 'upload' AND created < unixepoch() - ?1 AND ended IS NULL"},
    [STATEMENT_JOB_RESULTS_PRUNE] = {"job_results_prune", STATEMENT_OPERATOR,
        "UPDATE job SET secret = NULL WHERE secret IS NOT NULL AND ended < unixepoch() - ?1"},
    [STATEMENT_JOB_PARTS_PRUNE] = {"job_parts_prune", STATEMENT_OPERATOR,
        "DELETE FROM job_part WHERE rowid IN (SELECT old.rowid FROM job"
        "     CROSS JOIN job_part AS old ON old.job = job.id"
        "     WHERE job.secret IS NULL AND job.ended >= 0 LIMIT 16)"},
    [STATEMENT_JOB_ERRORS_PRUNE] = {"job_errors_prune", STATEMENT_OPERATOR,
        "DELETE FROM job_error WHERE (job, row, number) IN ("
        "     SELECT old.job, old.row, old.number FROM job"
        "     CROSS JOIN job_error AS old ON old.job = job.id"
        "     WHERE job.ended < unixepoch() - ?1 LIMIT 1000)"},
    [STATEMENT_JOB_PRUNE] = {"job_prune", STATEMENT_OPERATOR,
        "DELETE FROM job WHERE ended < unixepoch() - ?1"
        "   AND NOT EXISTS (SELECT 1 FROM job_part WHERE job_part.job = job.id)"
        "   AND NOT EXISTS (SELECT 1 FROM job_error WHERE job_error.job = job.id)"},

    [STATEMENT_API_KEY_FIND] = {"api_key_find", STATEMENT_FINDS,
        "SELECT " API_KEY_COLUMNS " AND api_key.digest = ?1"},
    [STATEMENT_ADMIN_USER_FIND] = {"admin_user_find", STATEMENT_FINDS,
        "SELECT " ADMIN_USER_COLUMNS " AND admin_user.login = ?1"},
    [STATEMENT_ADMIN_LOGIN_FIND] = {"admin_login_find", STATEMENT_FINDS,
        "SELECT admin_user.id, admin_user.customer,"
        "       admin_user.suspended OR coalesce(customer.suspended, 0), admin_user.hash"
        " FROM admin_user LEFT JOIN any_customer AS customer ON customer.id = admin_user.customer"
        " WHERE admin_user.login = ?1 AND customer.removed IS NULL"},
    [STATEMENT_IDEMPOTENCY_FIND] = {"idempotency_find", STATEMENT_FINDS,
        "SELECT request, answer FROM idempotency_key"
        " WHERE api_key = ?1 AND key = ?2 AND created >= ?3"},
    [STATEMENT_IDEMPOTENCY_ADD] = {"idempotency_add", STATEMENT_FINDS,
        "INSERT INTO idempotency_key (api_key, key, request, answer, created)"
        " VALUES (?1, ?2, ?3, ?4, ?5)"},
    [STATEMENT_IDEMPOTENCY_REMOVE] = {"idempotency_remove", STATEMENT_FINDS,
        "DELETE FROM idempotency_key WHERE api_key = ?1 AND key = ?2"},
    [STATEMENT_CUSTOMER_FIND] = {"customer_find", STATEMENT_FINDS,
        "SELECT " CUSTOMER_COLUMNS " WHERE customer.name = ?1"},
    [STATEMENT_DOMAIN_FIND] = {"domain_find", STATEMENT_FINDS,
        "SELECT " DOMAIN_COLUMNS " WHERE domain.name = ?1"},
    [STATEMENT_MAILADDRESS_FIND] = {"mailaddress_find", STATEMENT_FINDS,
        "SELECT " MAILADDRESS_COLUMNS " WHERE domain.name = ?1 AND address.local = ?2"},
    /* Whose the domain ?1 is, and whether it has the local part ?2. */
    [STATEMENT_PLACE_FIND] = {"place_find", STATEMENT_FINDS,
        "SELECT domain.customer, EXISTS ("
        "     SELECT 1 FROM address WHERE address.domain = domain.id AND address.local = ?2)"
        " FROM domain WHERE domain.name = ?1"},
    [STATEMENT_LOGIN_FIND] = {"login_find", STATEMENT_FINDS,
        "SELECT mailbox.id, mailbox.customer,"
        "       mailbox.suspended OR customer.suspended OR address.over_plan,"
        "       credential.hash, plan.retention_days, plan.poll_seconds,"
        "       coalesce(mailbox.language, customer.language),"
        "       credential.scram, plan.sending AND mailbox.smtp,"
        "       (SELECT max(id) FROM logout), mailbox.pop3"
        " FROM domain JOIN address ON address.domain = domain.id"
        " JOIN mailbox ON mailbox.id = address.mailbox"
        " JOIN customer ON customer.id = mailbox.customer"
        " JOIN plan ON plan.id = customer.plan"
        " LEFT JOIN credential ON credential.mailbox = mailbox.id"
        " WHERE domain.name = ?1 AND address.local = ?2"},
    [STATEMENT_SECRET_FIND] = {"secret_find", STATEMENT_OPERATOR,
        "SELECT octets FROM secret WHERE name = ?1"},
    [STATEMENT_PAGE_SESSION_FIND] = {"page_session_find", STATEMENT_FINDS,
        "SELECT " PAGE_SESSION_COLUMNS " WHERE digest = ?1 AND expires > ?2"
        "   AND (customer IS NULL OR EXISTS ("
        "        SELECT 1 FROM customer AS theirs WHERE theirs.id = session.customer))"
        "   AND (mailbox IS NULL OR EXISTS ("
        "        SELECT 1 FROM mailbox AS own WHERE own.id = session.mailbox))"},
    [STATEMENT_PAGE_SESSION_SEEN] = {"page_session_seen", STATEMENT_FINDS,
        "UPDATE session SET seen = ?2, expires = ?3 WHERE digest = ?1"},
    [STATEMENT_PAGE_SESSION_PRUNE] = {"page_session_prune", STATEMENT_OPERATOR,
        "DELETE FROM session WHERE expires <= ?1"},
    [STATEMENT_APP_PASSWORD_FIND] = {"app_password_find", STATEMENT_FINDS,
        "SELECT " APP_PASSWORD_COLUMNS " WHERE digest = ?1 AND mailbox = ?2"},
    [STATEMENT_ISSUER_OF_DOMAIN] = {"issuer_of_domain", STATEMENT_FINDS,
        "SELECT issuer FROM domain CROSS JOIN token_issuer"
        " ON token_issuer.customer = domain.customer"
        " WHERE domain.name = ?1 ORDER BY issuer LIMIT 1"},
    [STATEMENT_OWNER_FIND] = {"owner_find", STATEMENT_FINDS,
        "SELECT address.local, domain.name, coalesce(mailbox.language, customer.language)"
        " FROM address JOIN mailbox ON mailbox.id = address.mailbox"
        " JOIN domain ON domain.id = address.domain"
        " JOIN customer ON customer.id = address.customer"
        " WHERE address.mailbox = ?1"},
    [STATEMENT_INVITATION_FIND] = {"invitation_find", STATEMENT_FINDS,
        "SELECT invitation.customer, customer.name, address.local || '@' || domain.name,"
        "       invitation.mailbox, mailbox.name, coalesce(mailbox.language, customer.language),"
        "       credential.mailbox IS NOT NULL, invitation.expires, plan.sending AND mailbox.smtp, 0"
        " FROM invitation JOIN mailbox ON mailbox.id = invitation.mailbox"
        " JOIN address ON address.mailbox = invitation.mailbox"
        " JOIN domain ON domain.id = address.domain"
        " JOIN customer ON customer.id = invitation.customer"
        " JOIN plan ON plan.id = customer.plan"
        " LEFT JOIN credential ON credential.mailbox = invitation.mailbox"
        " WHERE invitation.digest = ?1 AND invitation.expires > unixepoch()"
        " UNION ALL SELECT admin_user.customer, coalesce(customer.name, ''), admin_user.login, 0,"
        "       admin_user.name, coalesce(customer.language, 'en'), admin_user.hash IS NOT NULL,"
        "       invitation.expires, 0, admin_user.id"
        " FROM admin_invitation AS invitation"
        " JOIN admin_user ON admin_user.id = invitation.admin_user"
        " LEFT JOIN any_customer AS customer ON customer.id = admin_user.customer"
        " WHERE invitation.digest = ?1 AND invitation.expires > unixepoch()"
        "   AND customer.removed IS NULL"},
    [STATEMENT_EVENT_CUSTOMER] = {"event_customer", STATEMENT_FINDS,
        "SELECT domain.customer FROM domain WHERE domain.name = ?1"},
    /* An address has a mailbox or targets, never both: the limit is DB_ROUTE_MAX. */
    [STATEMENT_ROUTE_FIND] = {"route_find", STATEMENT_FINDS,
        "SELECT " ROUTE_COLUMNS " FROM domain JOIN address ON address.domain = domain.id" ROUTE_JOINS
        " WHERE domain.name = ?1 AND address.local = ?2 LIMIT 100"},
    /* For an address that there is not, and that nobody can restore. */
    [STATEMENT_ROUTE_CATCH_ALL] = {"route_catch_all", STATEMENT_FINDS,
        "SELECT " ROUTE_COLUMNS " FROM domain JOIN address ON address.id = domain.catch_all"
        ROUTE_JOINS
        " WHERE domain.name = ?1 AND plan.catch_all AND NOT EXISTS ("
        "     SELECT 1 FROM any_address AS gone WHERE gone.domain = domain.id"
        "     AND gone.customer = domain.customer AND gone.local = ?2"
        "     AND gone.removed IS NOT NULL) LIMIT 100"},

    /* The last one of the name, of the customer ?3 where it is not 0. */
    [STATEMENT_REMOVAL_FIND] = {"removal_find", STATEMENT_FINDS,
        "SELECT " REMOVAL_COLUMNS " WHERE removal.kind = ?1 AND removal.name = ?2"
        " AND removal.customer = coalesce(nullif(?3, 0), removal.customer)"
        " AND " REMOVAL_WAITS " ORDER BY removal.id DESC LIMIT 1"},

    [STATEMENT_CUSTOMER_GET] = {"customer_get", STATEMENT_TENANT,
        "SELECT " CUSTOMER_COLUMNS " WHERE customer.id = ?1"},
    [STATEMENT_CUSTOMER_SET_PLAN] = {"customer_set_plan", STATEMENT_TENANT,
        "UPDATE any_customer SET plan = (SELECT id FROM plan WHERE name = ?2), over_plan = ?3"
        " WHERE id = ?1 AND removed IS NULL AND EXISTS (SELECT 1 FROM plan WHERE name = ?2)"},
    [STATEMENT_CUSTOMER_SET_NAME] = {"customer_set_name", STATEMENT_TENANT,
        "UPDATE any_customer SET name = ?2 WHERE id = ?1 AND removed IS NULL"},
    [STATEMENT_CUSTOMER_SET_LANGUAGE] = {"customer_set_language", STATEMENT_TENANT,
        "UPDATE any_customer SET language = ?2 WHERE id = ?1 AND removed IS NULL"},
    [STATEMENT_CUSTOMER_SET_SUSPENDED] = {"customer_set_suspended", STATEMENT_TENANT,
        "UPDATE any_customer SET suspended = ?2, suspended_mail = ?3"
        " WHERE id = ?1 AND removed IS NULL"},
    /* What the customer uses, beside the limits of its own plan or of the plan named ?2. */
    [STATEMENT_CUSTOMER_USE] = {"customer_use", STATEMENT_TENANT,
        "SELECT customer.name, plan.name, plan.addresses, plan.domains,"
        "       (SELECT count(*) FROM address WHERE address.customer = customer.id),"
        "       (SELECT count(*) FROM domain WHERE domain.customer = customer.id)"
        " FROM customer JOIN plan ON plan.id = coalesce("
        "     (SELECT wanted.id FROM plan AS wanted WHERE wanted.name = ?2), customer.plan)"
        " WHERE customer.id = ?1"},
    [STATEMENT_DOMAIN_ADD] = {"domain_add", STATEMENT_NOTES,
        "INSERT INTO any_domain (customer, name, created)"
        " SELECT id, ?2, unixepoch() FROM customer WHERE id = ?1"},
    /* To the address ?4@?3, or to none where they are NULL. */
    [STATEMENT_DOMAIN_SET_CATCH_ALL] = {"domain_set_catch_all", STATEMENT_TENANT,
        "UPDATE any_domain SET catch_all = (SELECT address.id FROM domain"
        "     JOIN address ON address.domain = domain.id"
        "     WHERE domain.name = ?3 AND address.local = ?4 AND address.customer = ?1)"
        " WHERE customer = ?1 AND name = ?2 AND removed IS NULL AND (?4 IS NULL OR EXISTS ("
        "     SELECT 1 FROM domain AS at JOIN address ON address.domain = at.id"
        "     WHERE at.name = ?3 AND address.local = ?4 AND address.customer = ?1))"},
    [STATEMENT_DOMAIN_NEXT] = {"domain_next", STATEMENT_TENANT,
        "SELECT " DOMAIN_COLUMNS
        " WHERE domain.customer = ?1 AND domain.name > ?2 ORDER BY domain.name LIMIT 1"},
    /*
     * This, the invitation's and the address's row are of VALUES: for a SELECT SQLite would keep
     * the pages as they were before, and make a table in memory where there are triggers.
     */
    [STATEMENT_MAILBOX_ADD] = {"mailbox_add", STATEMENT_NOTES,
        "INSERT INTO any_mailbox (customer, name, created) VALUES (?1, ?2, unixepoch())"},
    [STATEMENT_MAILBOX_FIND] = {"mailbox_find", STATEMENT_TENANT,
        "SELECT address.mailbox FROM domain JOIN address ON address.domain = domain.id"
        " WHERE domain.name = ?2 AND address.local = ?3 AND address.customer = ?1"
        "   AND address.mailbox IS NOT NULL"},
    [STATEMENT_MAILBOX_SET_NAME] = {"mailbox_set_name", STATEMENT_TENANT,
        "UPDATE any_mailbox SET name = ?3 WHERE customer = ?1 AND id = ?2 AND removed IS NULL"},
    [STATEMENT_MAILBOX_SET_SETTINGS] = {"mailbox_set_settings", STATEMENT_TENANT,
        "UPDATE any_mailbox SET octets = nullif(?3, 0), language = ?4, pop3 = ?5, smtp = ?6"
        " WHERE customer = ?1 AND id = ?2 AND removed IS NULL"},
    [STATEMENT_MAILBOX_SET_SUSPENDED] = {"mailbox_set_suspended", STATEMENT_TENANT,
        "UPDATE any_mailbox SET suspended = ?3, suspended_mail = ?4"
        " WHERE customer = ?1 AND id = ?2 AND removed IS NULL"},
    [STATEMENT_MAILBOX_LIST] = {"mailbox_list", STATEMENT_TENANT,
        "SELECT id FROM mailbox WHERE customer = ?1 AND id > ?2 ORDER BY id LIMIT ?3"},
    [STATEMENT_LOGOUT_MAILBOX] = {"logout_mailbox", STATEMENT_TENANT,
        "INSERT INTO logout (mailbox, created)"
        " SELECT id, unixepoch() FROM mailbox WHERE customer = ?1 AND id = ?2"},
    [STATEMENT_LOGOUT_CUSTOMER] = {"logout_customer", STATEMENT_TENANT,
        "INSERT INTO logout (mailbox, created)"
        " SELECT id, unixepoch() FROM mailbox WHERE customer = ?1"},
    [STATEMENT_CREDENTIAL_SET] = {"credential_set", STATEMENT_TENANT,
        "INSERT INTO credential (mailbox, customer, hash, scram, changed)"
        " SELECT id, customer, ?3, nullif(?4, ''), unixepoch() FROM mailbox"
        " WHERE customer = ?1 AND id = ?2"
        " ON CONFLICT (mailbox) DO UPDATE SET hash = excluded.hash, scram = excluded.scram,"
        "     changed = excluded.changed"},
    [STATEMENT_CREDENTIAL_REMOVE] = {"credential_remove", STATEMENT_TENANT,
        "DELETE FROM credential WHERE customer = ?1 AND mailbox = ?2"},
    [STATEMENT_CREDENTIAL_NEXT] = {"credential_next", STATEMENT_TENANT,
        "SELECT mailbox.id, address.local || '@' || domain.name, credential.hash,"
        "       credential.changed"
        " FROM mailbox JOIN credential ON credential.mailbox = mailbox.id"
        " JOIN address ON address.mailbox = mailbox.id"
        " JOIN domain ON domain.id = address.domain"
        " WHERE mailbox.customer = ?1 AND mailbox.id > ?2 ORDER BY mailbox.id LIMIT 1"},
    [STATEMENT_APP_PASSWORD_ADD] = {"app_password_add", STATEMENT_TENANT,
        "INSERT INTO app_password (mailbox, customer, name, digest, pop3, smtp, expires, created)"
        " SELECT id, customer, ?3, ?4, ?5, ?6, nullif(?7, 0), unixepoch() FROM mailbox"
        " WHERE customer = ?1 AND id = ?2"},
    [STATEMENT_APP_PASSWORD_REMOVE] = {"app_password_remove", STATEMENT_TENANT,
        "DELETE FROM app_password WHERE customer = ?1 AND mailbox = ?2 AND name = ?3"},
    [STATEMENT_APP_PASSWORD_NEXT] = {"app_password_next", STATEMENT_TENANT,
        "SELECT " APP_PASSWORD_COLUMNS
        " WHERE customer = ?1 AND mailbox = ?2 AND name > ?3 ORDER BY name LIMIT 1"},
    [STATEMENT_INVITATION_ADD] = {"invitation_add", STATEMENT_NOTES,
        "INSERT INTO invitation (mailbox, customer, digest, expires, created)"
        " VALUES (?2, ?1, ?3, ?4, unixepoch())"},
    [STATEMENT_INVITATION_SET] = {"invitation_set", STATEMENT_TENANT,
        "INSERT INTO invitation (mailbox, customer, digest, expires, created)"
        " SELECT id, customer, ?3, ?4, unixepoch() FROM mailbox WHERE customer = ?1 AND id = ?2"
        " ON CONFLICT (mailbox) DO UPDATE SET digest = excluded.digest,"
        "     expires = excluded.expires, created = excluded.created"},
    [STATEMENT_INVITATION_REMOVE] = {"invitation_remove", STATEMENT_TENANT,
        "DELETE FROM invitation WHERE customer = ?1 AND mailbox = ?2"},
    [STATEMENT_ADDRESS_PLACE] = {"address_place", STATEMENT_TENANT,
        "SELECT id FROM domain WHERE customer = ?1 AND name = ?2"},
    [STATEMENT_ADDRESS_ADD] = {"address_add", STATEMENT_NOTES,
        "INSERT INTO any_address (customer, domain, local, mailbox, created)"
        " VALUES (?1, ?2, ?3, ?4, unixepoch())"},
    [STATEMENT_MAILADDRESS_BEHIND] = {"mailaddress_behind", STATEMENT_TENANT,
        "SELECT " MAILADDRESS_COLUMNS
        " WHERE domain.customer = ?1 AND domain.name = ?2 AND address.local > ?3"
        " ORDER BY address.local LIMIT 1"},
    [STATEMENT_MAILADDRESS_NEXT] = {"mailaddress_next", STATEMENT_TENANT,
        "SELECT " MAILADDRESS_COLUMNS
        " WHERE domain.customer = ?1 AND domain.name > ?2"
        " ORDER BY domain.name, address.local LIMIT 1"},
    [STATEMENT_ALIAS_FIND] = {"alias_find", STATEMENT_TENANT,
        "SELECT address.id FROM domain JOIN address ON address.domain = domain.id"
        " WHERE domain.name = ?2 AND address.local = ?3 AND address.customer = ?1"
        "   AND address.mailbox IS NULL"},
    [STATEMENT_TARGET_ADD] = {"target_add", STATEMENT_TENANT,
        "INSERT INTO address_target (address, mailbox, customer)"
        " SELECT address.id, mailbox.id, mailbox.customer FROM address, mailbox"
        " WHERE address.customer = ?1 AND address.id = ?2"
        "   AND mailbox.customer = ?1 AND mailbox.id = ?3"
        " ON CONFLICT (address, mailbox) DO UPDATE SET customer = excluded.customer"},
    [STATEMENT_TARGET_REMOVE] = {"target_remove", STATEMENT_TENANT,
        "DELETE FROM address_target WHERE customer = ?1 AND address = ?2 AND mailbox = ?3"},
    /* Those that are removed, so that nobody who comes back gets the alias's mail again. */
    [STATEMENT_TARGETS_FORGET] = {"targets_forget", STATEMENT_TENANT,
        "DELETE FROM address_target WHERE customer = ?1 AND address = ?2 AND NOT EXISTS ("
        "     SELECT 1 FROM mailbox WHERE mailbox.id = address_target.mailbox)"},
    [STATEMENT_TARGET_NEXT] = {"target_next", STATEMENT_TENANT,
        "SELECT own.mailbox, own.local, domain.name FROM address_target"
        " JOIN address AS own ON own.mailbox = address_target.mailbox"
        " JOIN domain ON domain.id = own.domain"
        " WHERE address_target.customer = ?1 AND address_target.address = ?2"
        "   AND (domain.name > ?3 OR (domain.name = ?3 AND own.local > ?4))"
        " ORDER BY domain.name, own.local LIMIT 1"},
    [STATEMENT_OVERPLAN_LIMITS] = {"overplan_limits", STATEMENT_TENANT,
        "SELECT plan_use.addresses, plan.addresses, plan_use.domains, plan.domains, plan.mailbox_octets,"
        "       plan.mailbox_messages"
        " FROM plan_use JOIN plan ON plan.name = ?2 WHERE plan_use.customer = ?1"},
    [STATEMENT_OVERPLAN_PREVIEW] = {"overplan_preview", STATEMENT_TENANT,
        "SELECT text FROM " RANKED_ADDRESSES("plan.name = ?2") " WHERE beyond ORDER BY id"},
    /* Suspends and resumes what must be, by the rule and the plan of the customer. */
    [STATEMENT_OVERPLAN_FIT] = {"overplan_fit", STATEMENT_TENANT,
        "UPDATE any_address SET over_plan = NOT over_plan WHERE removed IS NULL AND id IN ("
        "     SELECT id FROM " RANKED_ADDRESSES("plan.id = customer.plan")
        "     WHERE over_plan <> (rule = 'suspend' AND beyond))"
        " RETURNING over_plan, mailbox, local || '@' || ("
        "     SELECT name FROM domain WHERE domain.id = any_address.domain)"},
    [STATEMENT_REMOVAL_ADD] = {"removal_add", STATEMENT_NOTES,
        "INSERT INTO removal (customer, kind, name, time, purge)"
        " SELECT id, ?2, ?3, unixepoch(), unixepoch() + ?4 FROM customer WHERE id = ?1"},
    /* What goes with the removal ?2: a customer's, a domain's, an address's. */
    [STATEMENT_REMOVE_CUSTOMER] = {"remove_customer", STATEMENT_TENANT,
        "UPDATE any_customer SET removed = ?2 WHERE id = ?1 AND removed IS NULL"},
    [STATEMENT_REMOVE_DOMAINS] = {"remove_domains", STATEMENT_TENANT,
        "UPDATE any_domain SET removed = ?2 WHERE customer = ?1 AND removed IS NULL"},
    [STATEMENT_REMOVE_DOMAIN] = {"remove_domain", STATEMENT_TENANT,
        "UPDATE any_domain SET removed = ?2 WHERE customer = ?1 AND removed IS NULL"
        " AND name = ?3"},
    [STATEMENT_REMOVE_ADDRESSES] = {"remove_addresses", STATEMENT_TENANT,
        "UPDATE any_address SET removed = ?2 WHERE customer = ?1 AND removed IS NULL"},
    [STATEMENT_REMOVE_DOMAIN_ADDRESSES] = {"remove_domain_addresses", STATEMENT_TENANT,
        "UPDATE any_address SET removed = ?2 WHERE customer = ?1 AND removed IS NULL"
        " AND domain = (SELECT id FROM domain WHERE name = ?3)"},
    [STATEMENT_REMOVE_ADDRESS] = {"remove_address", STATEMENT_TENANT,
        "UPDATE any_address SET removed = ?2 WHERE customer = ?1 AND removed IS NULL"
        " AND domain = (SELECT id FROM domain WHERE name = ?3) AND local = ?4"},
    [STATEMENT_REMOVE_MAILBOXES] = {"remove_mailboxes", STATEMENT_TENANT,
        "UPDATE any_mailbox SET removed = ?2 WHERE customer = ?1 AND removed IS NULL AND id IN ("
        "     SELECT mailbox FROM any_address WHERE removed = ?2 AND customer = ?1)"},
    /* An alias that leads to mailboxes of the removal alone, one at a time. */
    [STATEMENT_REMOVE_ALIAS] = {"remove_alias", STATEMENT_TENANT,
        "UPDATE any_address SET removed = ?2 WHERE customer = ?1 AND removed IS NULL AND id = ("
        "     SELECT alias.id FROM any_mailbox AS gone"
        "     JOIN address_target ON address_target.mailbox = gone.id"
        "     JOIN address AS alias ON alias.id = address_target.address"
        "     WHERE gone.removed = ?2 AND gone.customer = ?1 AND NOT EXISTS ("
        "         SELECT 1 FROM address_target AS other JOIN mailbox ON mailbox.id = other.mailbox"
        "         WHERE other.address = alias.id)"
        "     LIMIT 1)"
        " RETURNING local || '@' || (SELECT name FROM any_domain WHERE any_domain.id = domain)"},
    /* A thing comes back only to a place that is there. */
    [STATEMENT_RESTORE_CUSTOMER] = {"restore_customer", STATEMENT_TENANT,
        "UPDATE any_customer SET removed = NULL WHERE id = ?1 AND removed = ?2"},
    [STATEMENT_RESTORE_DOMAINS] = {"restore_domains", STATEMENT_TENANT,
        "UPDATE any_domain SET removed = NULL WHERE customer = ?1 AND removed = ?2"
        " AND EXISTS (SELECT 1 FROM customer WHERE id = ?1)"},
    [STATEMENT_RESTORE_MAILBOXES] = {"restore_mailboxes", STATEMENT_TENANT,
        "UPDATE any_mailbox SET removed = NULL WHERE customer = ?1 AND removed = ?2"},
    [STATEMENT_RESTORE_ADDRESSES] = {"restore_addresses", STATEMENT_TENANT,
        "UPDATE any_address SET removed = NULL WHERE customer = ?1 AND removed = ?2"
        " AND EXISTS (SELECT 1 FROM domain WHERE id = any_address.domain)"},
    /* What could not come back, because its domain has been removed since, comes back with that. */
    [STATEMENT_REMOVAL_HAND_ON] = {"removal_hand_on", STATEMENT_TENANT,
        "UPDATE any_address SET removed = ("
        "     SELECT removed FROM any_domain WHERE any_domain.id = any_address.domain)"
        " WHERE customer = ?1 AND removed = ?2"},
    [STATEMENT_PURGE_CUSTOMER] = {"purge_customer", STATEMENT_TENANT,
        "DELETE FROM any_customer WHERE id = ?1 AND removed = ?2"},
    [STATEMENT_PURGE_DOMAINS] = {"purge_domains", STATEMENT_TENANT,
        "DELETE FROM any_domain WHERE customer = ?1 AND removed = ?2"},
    [STATEMENT_PURGE_ADDRESSES] = {"purge_addresses", STATEMENT_TENANT,
        "DELETE FROM any_address WHERE id IN (SELECT gone.id FROM any_address AS gone"
        "     WHERE gone.customer = ?1 AND gone.removed = ?2 LIMIT ?3)"},
    /* Those that were removed before their domain, or before their customer. */
    [STATEMENT_PURGE_DOMAIN_ADDRESSES] = {"purge_domain_addresses", STATEMENT_TENANT,
        "DELETE FROM any_address WHERE id IN (SELECT gone.id FROM any_domain"
        "     JOIN any_address AS gone ON gone.domain = any_domain.id"
        "     WHERE any_domain.customer = ?1 AND any_domain.removed = ?2"
        "         AND gone.removed IS NOT NULL LIMIT ?3)"},
    [STATEMENT_PURGE_CUSTOMER_ADDRESSES] = {"purge_customer_addresses", STATEMENT_TENANT,
        "DELETE FROM any_address WHERE id IN (SELECT gone.id FROM any_customer"
        "     JOIN any_address AS gone ON gone.customer = any_customer.id"
        "     WHERE any_customer.id = ?1 AND any_customer.removed = ?2"
        "         AND gone.removed IS NOT NULL LIMIT ?3)"},
    [STATEMENT_PURGE_CUSTOMER_DOMAINS] = {"purge_customer_domains", STATEMENT_TENANT,
        "DELETE FROM any_domain WHERE id IN (SELECT gone.id FROM any_customer"
        "     JOIN any_domain AS gone ON gone.customer = any_customer.id"
        "     WHERE any_customer.id = ?1 AND any_customer.removed = ?2"
        "         AND gone.removed IS NOT NULL LIMIT ?3)"},
    [STATEMENT_PURGE_CUSTOMER_REMOVALS] = {"purge_customer_removals", STATEMENT_TENANT,
        "DELETE FROM removal WHERE id IN (SELECT earlier.id FROM any_customer"
        "     JOIN removal AS earlier ON earlier.customer = any_customer.id"
        "     WHERE any_customer.id = ?1 AND any_customer.removed = ?2"
        "         AND earlier.id <> ?2 LIMIT ?3)"},
    /* Of jobs that still run it goes with the customer: what one of them misses would fail it. */
    [STATEMENT_PURGE_CUSTOMER_JOB_PARTS] = {"purge_customer_job_parts", STATEMENT_TENANT,
        "DELETE FROM job_part WHERE rowid IN (SELECT old.rowid FROM any_customer"
        "     JOIN job ON job.customer = any_customer.id"
        "     CROSS JOIN job_part AS old ON old.job = job.id"
        "     WHERE any_customer.id = ?1 AND any_customer.removed = ?2"
        "         AND job.ended IS NOT NULL LIMIT ?3)"},
    [STATEMENT_PURGE_CUSTOMER_JOB_ERRORS] = {"purge_customer_job_errors", STATEMENT_TENANT,
        "DELETE FROM job_error WHERE (job, row, number) IN ("
        "     SELECT old.job, old.row, old.number FROM any_customer"
        "     JOIN job ON job.customer = any_customer.id"
        "     CROSS JOIN job_error AS old ON old.job = job.id"
        "     WHERE any_customer.id = ?1 AND any_customer.removed = ?2"
        "         AND job.ended IS NOT NULL LIMIT ?3)"},
    [STATEMENT_REMOVAL_PURGE] = {"removal_purge", STATEMENT_TENANT,
        "UPDATE removal SET purge = 0 WHERE customer = ?1 AND id = ?2"},
    [STATEMENT_REMOVAL_END] = {"removal_end", STATEMENT_TENANT,
        "DELETE FROM removal WHERE customer = ?1 AND id = ?2"},
    [STATEMENT_REMOVAL_NEXT] = {"removal_next", STATEMENT_TENANT,
        "SELECT " REMOVAL_COLUMNS
        " WHERE removal.customer = ?1 AND removal.id > ?2 AND " REMOVAL_WAITS
        " ORDER BY removal.id LIMIT 1"},
    [STATEMENT_PERSON_NAME] = {"person_name", STATEMENT_TENANT,
        "SELECT address.local || '@' || domain.name FROM address"
        " JOIN domain ON domain.id = address.domain"
        " WHERE address.mailbox = ?3 AND address.customer = ?1"
        " UNION ALL SELECT login FROM admin_user WHERE id = ?2 AND customer IS ?1"},
    [STATEMENT_PERSON_FIND] = {"person_find", STATEMENT_TENANT,
        "SELECT 'owner' AS role, address.local || '@' || domain.name, mailbox.name, customer.name,"
        "       mailbox.suspended OR customer.suspended OR address.over_plan,"
        "       EXISTS (SELECT 1 FROM second_factor WHERE mailbox = ?3 AND confirmed > 0)"
        " FROM address JOIN domain ON domain.id = address.domain"
        " JOIN mailbox ON mailbox.id = address.mailbox"
        " JOIN customer ON customer.id = address.customer"
        " WHERE address.mailbox = ?3 AND address.customer = ?1"
        " UNION ALL SELECT admin_user.role, admin_user.login, admin_user.name, customer.name,"
        "       admin_user.suspended OR coalesce(customer.suspended, 0),"
        "       EXISTS (SELECT 1 FROM second_factor WHERE admin_user = ?2 AND confirmed > 0)"
        " FROM admin_user LEFT JOIN any_customer AS customer ON customer.id = admin_user.customer"
        " WHERE admin_user.id = ?2 AND admin_user.customer IS ?1 AND customer.removed IS NULL"},
    [STATEMENT_PERSON_HASH] = {"person_hash", STATEMENT_TENANT,
        "SELECT hash FROM credential WHERE mailbox = ?3 AND customer = ?1"
        " UNION ALL SELECT hash FROM admin_user"
        " WHERE id = ?2 AND customer IS ?1 AND hash IS NOT NULL"},
    [STATEMENT_SECOND_FACTOR_BEGIN] = {"second_factor_begin", STATEMENT_TENANT,
        "INSERT INTO second_factor (customer, admin_user, mailbox, secret, created)"
        " SELECT ?1, ?2, ?3, ?4, unixepoch() WHERE " PERSON_EXISTS
        " AND NOT EXISTS (SELECT 1 FROM second_factor WHERE " PERSON ")"},
    [STATEMENT_SECOND_FACTOR_FIND] = {"second_factor_find", STATEMENT_TENANT,
        "SELECT secret, coalesce(confirmed, 0), step, wrong, blocked,"
        "       (SELECT count(*) FROM recovery_code WHERE second_factor = second_factor.id)"
        " FROM second_factor WHERE " PERSON},
    [STATEMENT_SECOND_FACTOR_CONFIRM] = {"second_factor_confirm", STATEMENT_TENANT,
        "UPDATE second_factor SET confirmed = ?4 WHERE " PERSON},
    [STATEMENT_SECOND_FACTOR_TAKE] = {"second_factor_take", STATEMENT_TENANT,
        "UPDATE second_factor SET step = ?4, wrong = 0, blocked = 0 WHERE " PERSON
        " AND step < ?4"},
    [STATEMENT_SECOND_FACTOR_WRONG] = {"second_factor_wrong", STATEMENT_TENANT,
        "UPDATE second_factor SET wrong = ?4, blocked = ?5 WHERE " PERSON},
    [STATEMENT_SECOND_FACTOR_REMOVE] = {"second_factor_remove", STATEMENT_TENANT,
        "DELETE FROM second_factor WHERE " PERSON},
    [STATEMENT_RECOVERY_CODE_ADD] = {"recovery_code_add", STATEMENT_TENANT,
        "INSERT INTO recovery_code (digest, second_factor)"
        " SELECT ?4, id FROM second_factor WHERE " PERSON},
    [STATEMENT_RECOVERY_CODE_TAKE] = {"recovery_code_take", STATEMENT_TENANT,
        "DELETE FROM recovery_code WHERE second_factor = " SECOND_FACTOR " AND digest = ?4"},
    [STATEMENT_RECOVERY_CODES_REMOVE] = {"recovery_codes_remove", STATEMENT_TENANT,
        "DELETE FROM recovery_code WHERE second_factor = " SECOND_FACTOR},
    [STATEMENT_PAGE_SESSION_ADD] = {"page_session_add", STATEMENT_TENANT,
        "INSERT INTO session (digest, customer, admin_user, mailbox, created, seen, expires,"
        "                     remote, agent)"
        " SELECT ?4, ?1, ?2, ?3, ?5, ?5, ?6, ?7, ?8 WHERE " PERSON_EXISTS},
    [STATEMENT_PAGE_SESSION_NEXT] = {"page_session_next", STATEMENT_TENANT,
        "SELECT " PAGE_SESSION_COLUMNS " WHERE " PERSON
        " AND expires > ?4 AND (created, digest) < (?5, ?6)"
        " ORDER BY created DESC, digest DESC LIMIT 1"},
    [STATEMENT_PAGE_SESSION_END] = {"page_session_end", STATEMENT_TENANT,
        "DELETE FROM session WHERE " PERSON " AND digest = ?4"},
    /* But the one that asks. */
    [STATEMENT_PAGE_SESSIONS_END] = {"page_sessions_end", STATEMENT_TENANT,
        "DELETE FROM session WHERE " PERSON " AND digest IS NOT ?4"},
    /* All but the newest ?4 + 1. */
    [STATEMENT_PAGE_SESSION_MAKE_ROOM] = {"page_session_make_room", STATEMENT_TENANT,
        "DELETE FROM session WHERE " PERSON " AND (created, digest) < ("
        "     SELECT created, digest FROM session WHERE " PERSON
        "     ORDER BY created DESC, digest DESC LIMIT 1 OFFSET ?4)"},
    [STATEMENT_ADMIN_USER_GET] = {"admin_user_get", STATEMENT_TENANT,
        "SELECT " ADMIN_USER_COLUMNS " AND admin_user.customer IS ?1 AND admin_user.id = ?2"},
    [STATEMENT_ADMIN_USER_NEXT] = {"admin_user_next", STATEMENT_TENANT,
        "SELECT " ADMIN_USER_COLUMNS
        " AND admin_user.customer = ?1 AND admin_user.id > ?2 ORDER BY admin_user.id LIMIT 1"},
    [STATEMENT_ADMIN_USER_SET] = {"admin_user_set", STATEMENT_TENANT,
        "UPDATE admin_user SET name = ?3, role = ?4, suspended = ?5"
        " WHERE customer IS ?1 AND id = ?2"},
    [STATEMENT_ADMIN_USER_SET_HASH] = {"admin_user_set_hash", STATEMENT_TENANT,
        "UPDATE admin_user SET hash = ?3 WHERE customer IS ?1 AND id = ?2"},
    [STATEMENT_ADMIN_USER_REMOVE] = {"admin_user_remove", STATEMENT_TENANT,
        "DELETE FROM admin_user WHERE customer IS ?1 AND id = ?2"},
    [STATEMENT_ADMIN_INVITATION_SET] = {"admin_invitation_set", STATEMENT_TENANT,
        "INSERT INTO admin_invitation (admin_user, customer, digest, expires, created)"
        " SELECT id, customer, ?3, ?4, unixepoch() FROM admin_user"
        " WHERE customer IS ?1 AND id = ?2"
        " ON CONFLICT (admin_user) DO UPDATE SET digest = excluded.digest,"
        "     expires = excluded.expires, created = excluded.created"},
    [STATEMENT_ADMIN_INVITATION_REMOVE] = {"admin_invitation_remove", STATEMENT_TENANT,
        "DELETE FROM admin_invitation WHERE customer IS ?1 AND admin_user = ?2"},
    [STATEMENT_API_KEY_ADD] = {"api_key_add", STATEMENT_TENANT,
        "INSERT INTO api_key (name, role, digest, networks, rate, expires, customer, domain,"
        "                     mailbox, created)"
        " SELECT ?2, ?3, ?4, ?5, ?6, nullif(?7, 0), customer.id, domain.id, mailbox.id, unixepoch()"
        " FROM customer"
        " LEFT JOIN domain ON domain.name = ?8 AND domain.customer = customer.id"
        " LEFT JOIN mailbox ON mailbox.id = ?9 AND mailbox.customer = customer.id"
        " WHERE customer.id = ?1 AND (?8 = '' OR domain.id IS NOT NULL)"
        "   AND (?9 = 0 OR mailbox.id IS NOT NULL)"},
    [STATEMENT_API_KEY_GET] = {"api_key_get", STATEMENT_TENANT,
        "SELECT " API_KEY_COLUMNS " AND api_key.customer IS ?1 AND api_key.id = ?2"},
    [STATEMENT_API_KEY_NEXT] = {"api_key_next", STATEMENT_TENANT,
        "SELECT " API_KEY_COLUMNS
        " AND api_key.customer = ?1 AND api_key.id > ?2 ORDER BY api_key.id LIMIT 1"},
    /* An owner's stays one, and no other becomes one: the table's CHECKs say so too. */
    [STATEMENT_API_KEY_SET] = {"api_key_set", STATEMENT_TENANT,
        "UPDATE api_key SET name = ?3, role = ?4, networks = ?5, rate = ?6, expires = nullif(?7, 0)"
        " WHERE customer IS ?1 AND id = ?2"},
    [STATEMENT_API_KEY_REMOVE] = {"api_key_remove", STATEMENT_TENANT,
        "DELETE FROM api_key WHERE customer IS ?1 AND id = ?2"},
    [STATEMENT_API_KEY_USED] = {"api_key_used", STATEMENT_TENANT,
        "UPDATE api_key SET used = ?3, used_address = nullif(?4, '')"
        " WHERE customer IS ?1 AND id = ?2 AND coalesce(used, 0) <= ?3"},
    [STATEMENT_TRUSTED_ADD] = {"trusted_add", STATEMENT_TENANT,
        "INSERT INTO trusted_network (customer, network, created)"
        " SELECT id, ?2, unixepoch() FROM customer WHERE id = ?1"},
    [STATEMENT_TRUSTED_REMOVE] = {"trusted_remove", STATEMENT_TENANT,
        "DELETE FROM trusted_network WHERE customer = ?1 AND network = ?2"},
    [STATEMENT_TRUSTED_NEXT] = {"trusted_next", STATEMENT_TENANT,
        "SELECT network, created FROM trusted_network WHERE customer = ?1 AND network > ?2"
        " ORDER BY network LIMIT 1"},
    [STATEMENT_ISSUER_ADD] = {"issuer_add", STATEMENT_TENANT,
        "INSERT INTO token_issuer (customer, issuer, audience, claim, created)"
        " SELECT id, ?2, ?3, ?4, unixepoch() FROM customer WHERE id = ?1"},
    [STATEMENT_ISSUER_REMOVE] = {"issuer_remove", STATEMENT_TENANT,
        "DELETE FROM token_issuer WHERE customer = ?1 AND issuer = ?2"},
    [STATEMENT_ISSUER_NEXT] = {"issuer_next", STATEMENT_TENANT,
        "SELECT " ISSUER_COLUMNS " WHERE customer = ?1 AND issuer > ?2 ORDER BY issuer LIMIT 1"},
    [STATEMENT_ISSUER_FIND] = {"issuer_find", STATEMENT_TENANT,
        "SELECT " ISSUER_COLUMNS " WHERE customer = ?1 AND issuer = ?2"},
    [STATEMENT_ISSUER_IS_LIVE] = {"issuer_is_live", STATEMENT_TENANT,
        "SELECT 1 FROM token_issuer WHERE customer = ?1 AND id = ?2 AND " ISSUER_IS_LIVE},
    [STATEMENT_ISSUER_KEYS] = {"issuer_keys", STATEMENT_TENANT,
        "SELECT keys FROM token_issuer WHERE customer = ?1 AND id = ?2 AND keys IS NOT NULL"},
    [STATEMENT_ISSUER_TRY] = {"issuer_try", STATEMENT_TENANT,
        "UPDATE token_issuer SET tried = ?3, due = ?4 WHERE customer = ?1 AND id = ?2"},
    [STATEMENT_ISSUER_FETCHED] = {"issuer_fetched", STATEMENT_TENANT,
        "UPDATE token_issuer SET keys = ?3, fetched = ?4, due = ?5, failures = 0, failure = ''"
        " WHERE customer = ?1 AND id = ?2"},
    [STATEMENT_ISSUER_FAILED] = {"issuer_failed", STATEMENT_TENANT,
        "UPDATE token_issuer SET failures = failures + 1, failure = ?3, due = ?4"
        " WHERE customer = ?1 AND id = ?2"},
    [STATEMENT_ISSUER_WANTED] = {"issuer_wanted", STATEMENT_TENANT,
        "UPDATE token_issuer SET due = ?3 WHERE customer = ?1 AND id = ?2"
        " AND due > ?3 AND tried <= ?4"},
    [STATEMENT_JOB_GET] = {"job_get", STATEMENT_TENANT,
        "SELECT " JOB_COLUMNS " WHERE job.customer = ?1 AND job.id = ?2 AND job.state <> 'upload'"},
    [STATEMENT_JOB_NEXT] = {"job_next", STATEMENT_TENANT,
        "SELECT " JOB_COLUMNS " WHERE job.customer = ?1 AND job.id < ?2 AND job.state <> 'upload'"
        " ORDER BY job.id DESC LIMIT 1"},
    [STATEMENT_AUDIT_ADD] = {"audit_add", STATEMENT_NOTES,
        "INSERT INTO audit (customer, number, time, actor, remote, request, action, object, digest,"
        "                   chain, changes)"
        " VALUES (nullif(?1, 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"},
    [STATEMENT_AUDIT_NEXT] = {"audit_next", STATEMENT_TENANT,
        "SELECT " AUDIT_COLUMNS
        " WHERE audit.customer = ?1 AND audit.number < ?2 ORDER BY audit.number DESC LIMIT 1"},
    [STATEMENT_AUDIT_FOLLOW] = {"audit_follow", STATEMENT_TENANT,
        "SELECT " AUDIT_COLUMNS
        " WHERE audit.customer = ?1 AND audit.number > ?2 ORDER BY audit.number LIMIT 1"},
    [STATEMENT_WEBHOOK_NEXT] = {"webhook_next", STATEMENT_TENANT,
        "SELECT " WEBHOOK_COLUMNS
        " WHERE webhook.customer = ?1 AND webhook.id > ?2 ORDER BY webhook.id LIMIT 1"},
    [STATEMENT_OUTBOX_ADD] = {"outbox_add", STATEMENT_NOTES,
        "INSERT INTO outbox (id, time, customer, type, object, audit, detail)"
        " SELECT " OUTBOX_CURSOR ", ?2 / 1000000, nullif(?1, 0), ?4, ?5, ?6, ''"},
    [STATEMENT_OUTBOX_WANTED] = {"outbox_wanted", STATEMENT_OPERATOR, "SELECT 1 WHERE " WEBHOOK_EXISTS},
    [STATEMENT_OUTBOX_EVENT] = {"outbox_event", STATEMENT_NOTES,
        "INSERT INTO outbox (id, time, customer, type, object, detail)"
        " SELECT " OUTBOX_CURSOR ", ?2 / 1000000, nullif(?1, 0), ?4, event.address,"
        "        json_object('remote', event.remote, 'protocol', event.protocol,"
        "                    'reason', event.reason)"
        " FROM event WHERE event.id = ?5 AND event.customer = ?1 AND " WEBHOOK_EXISTS},
    [STATEMENT_OUTBOX_NEXT] = {"outbox_next", STATEMENT_TENANT,
        "SELECT " OUTBOX_COLUMNS
        " WHERE outbox.customer = ?1 AND outbox.id > ?2 ORDER BY outbox.id LIMIT 1"},
    [STATEMENT_OUTBOX_WAITING] = {"outbox_waiting", STATEMENT_TENANT,
        "SELECT count(*), min(id) FROM (SELECT id FROM outbox WHERE customer = ?1 AND id > ?2"
        "     ORDER BY id LIMIT ?3) HAVING count(*) > 0"},
    [STATEMENT_EVENT_ADD] = {"event_add", STATEMENT_NOTES,
        "INSERT INTO event (customer, id, mailbox, kind, time, count, refused, address, remote,"
        "                   protocol, mechanism, credential, reason)"
        " SELECT customer.id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 FROM customer"
        " WHERE customer.id = ?1 AND (?3 = 0 OR EXISTS ("
        "     SELECT 1 FROM mailbox WHERE mailbox.customer = ?1 AND mailbox.id = ?3))"},
    [STATEMENT_EVENT_COUNT] = {"event_count", STATEMENT_TENANT,
        "UPDATE event SET time = max(time, ?5), count = max(count, ?6)"
        " WHERE customer = ?1 AND id = ?2 AND mailbox = ?3 AND kind = ?4"},
    /* All but the newest ?4 + 1 of a mailbox. */
    [STATEMENT_EVENT_MAKE_ROOM] = {"event_make_room", STATEMENT_TENANT,
        "DELETE FROM event WHERE customer = ?1 AND mailbox = ?2 AND refused = ?3 AND id < ("
        "     SELECT last.id FROM event AS last"
        "     WHERE last.customer = ?1 AND last.mailbox = ?2 AND last.refused = ?3"
        "     ORDER BY last.id DESC LIMIT 1 OFFSET ?4)"},
    [STATEMENT_EVENT_LIMIT] = {"event_limit", STATEMENT_TENANT,
        "SELECT event.id FROM event WHERE event.customer = ?1"
        " ORDER BY event.id DESC LIMIT 1 OFFSET ?2"},
    [STATEMENT_EVENT_PRUNE] = {"event_prune", STATEMENT_TENANT,
        "DELETE FROM event WHERE id IN ("
        "     SELECT old.id FROM event AS old WHERE old.customer = ?1 AND old.id < ?2"
        "     ORDER BY old.id LIMIT ?3)"},
    [STATEMENT_EVENT_NEXT] = {"event_next", STATEMENT_TENANT,
        "SELECT " EVENT_COLUMNS
        " WHERE event.customer = ?1 AND event.id < ?2 ORDER BY event.id DESC LIMIT 1"},
    [STATEMENT_EVENT_SUM] = {"event_sum", STATEMENT_TENANT,
        "SELECT event.id, event.kind, event.count FROM event"
        " WHERE event.customer = ?1 AND event.id >= ?2 ORDER BY event.id DESC LIMIT ?3"},
    [STATEMENT_EVENT_MAILBOX_NEXT] = {"event_mailbox_next", STATEMENT_TENANT,
        "SELECT " EVENT_COLUMNS " WHERE event.id = max("
        "     coalesce((SELECT done.id FROM event AS done WHERE done.customer = ?1"
        "               AND done.mailbox = ?2 AND done.refused = 0 AND done.id < ?3"
        "               ORDER BY done.id DESC LIMIT 1), 0),"
        "     coalesce((SELECT refused.id FROM event AS refused WHERE refused.customer = ?1"
        "               AND refused.mailbox = ?2 AND refused.refused = 1 AND refused.id < ?3"
        "               ORDER BY refused.id DESC LIMIT 1), 0)) LIMIT 1"},
    [STATEMENT_NOTE_UPGRADE] = {"note_upgrade", STATEMENT_TENANT,
        "UPDATE credential SET hash = ?4 WHERE customer = ?1 AND mailbox = ?2 AND hash = ?3"},
    [STATEMENT_NOTE_SCRAM] = {"note_scram", STATEMENT_TENANT,
        "UPDATE credential SET scram = ?4 WHERE customer = ?1 AND mailbox = ?2 AND hash = ?3"},
    [STATEMENT_NOTE_USED] = {"note_used", STATEMENT_TENANT,
        "UPDATE app_password SET used = ?3, used_address = nullif(?4, '')"
        " WHERE customer = ?1 AND id = ?2 AND coalesce(used, 0) <= ?3"},
};
/* clang-format on */

/* The texts that the triggers of the migrations raise. */
static const struct {
    const char *message;
    enum db_limit_kind kind;
} limits[] = {
    {"limit: addresses", DB_LIMIT_ADDRESSES},
    {"limit: domains", DB_LIMIT_DOMAINS},
    {"limit: mailbox octets", DB_LIMIT_MAILBOX_OCTETS},
    {"limit: trusted networks", DB_LIMIT_TRUSTED_NETWORKS},
    {"limit: app passwords", DB_LIMIT_APP_PASSWORDS},
    {"limit: webhooks", DB_LIMIT_WEBHOOKS},
    {"limit: api keys", DB_LIMIT_API_KEYS},
    {"limit: admin users", DB_LIMIT_ADMIN_USERS},
    {"limit: token issuers", DB_LIMIT_TOKEN_ISSUERS},
    {"limit: jobs", DB_LIMIT_JOBS},
};

static enum db_result report(const struct db *db, const char *what)
{
    log_error("accounts: %s: %s (%d)", what, sqlite3_errmsg(db->sqlite),
              sqlite3_extended_errcode(db->sqlite));
    return DB_BROKEN;
}

static enum db_result raised(struct db *db, const char *what)
{
    const char *message = sqlite3_errmsg(db->sqlite);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (strcmp(message, limits[i].message) == 0) {
            db->limit.kind = limits[i].kind;
            return DB_LIMIT;
        }
    }
    return report(db, what);
}

/* What a failure of SQLite means to a caller. */
static enum db_result failure(struct db *db, const char *what)
{
    int code = sqlite3_extended_errcode(db->sqlite);
    if ((code & 0xff) == SQLITE_BUSY) {
        return DB_BUSY;
    }
    switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID: return DB_TAKEN;
    case SQLITE_CONSTRAINT_TRIGGER: return raised(db, what);
    default: return report(db, what);
    }
}

/* For the log. */
static const char *name_of(const struct db *db, const struct sqlite3_stmt *statement)
{
    for (size_t i = 0; i < STATEMENT__MAX; i++) {
        if (db->prepared[i] == statement) {
            return statements[i].name;
        }
    }
    return "";
}

struct sqlite3_stmt *statement_get(struct db *db, enum statement_id id)
{
    if (db->prepared[id] == NULL &&
        sqlite3_prepare_v3(db->sqlite, statements[id].sql, -1, SQLITE_PREPARE_PERSISTENT,
                           &db->prepared[id], NULL) != SQLITE_OK) {
        db->unprepared = failure(db, statements[id].name);
    }
    return db->prepared[id];
}

void statement_bind_number(struct sqlite3_stmt *statement, int index, uint64_t value)
{
    sqlite3_bind_int64(statement, index, (sqlite3_int64)value);
}

void statement_bind_text(struct sqlite3_stmt *statement, int index, const char *text)
{
    sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

void statement_bind_blob(struct sqlite3_stmt *statement, int index, const void *data, size_t size)
{
    sqlite3_bind_blob64(statement, index, data, size, SQLITE_STATIC);
}

void statement_reset(struct sqlite3_stmt *statement)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

enum db_result statement_row(struct db *db, struct sqlite3_stmt *statement)
{
    if (statement == NULL) {
        return db->unprepared;
    }
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        return DB_OK;
    }
    enum db_result result = code == SQLITE_DONE ? DB_NONE : failure(db, name_of(db, statement));
    statement_reset(statement);
    return result;
}

/*
 * Every other change is somebody's, and has its audit row: it stands between change_begin() and
 * change_end(). These are what happens by itself.
 */
static const enum statement_id by_itself[] = {
    STATEMENT_OUTBOX_EVENT,       STATEMENT_OUTBOX_PRUNE,        STATEMENT_WEBHOOK_TOLD,
    STATEMENT_WEBHOOK_FAILED,     STATEMENT_DROP_DONE,           STATEMENT_LOGOUT_FORGET,
    STATEMENT_PAGE_SESSION_SEEN,  STATEMENT_PAGE_SESSION_PRUNE,  STATEMENT_API_KEY_USED,
    STATEMENT_IDEMPOTENCY_ADD,    STATEMENT_IDEMPOTENCY_REMOVE,  STATEMENT_IDEMPOTENCY_PRUNE,
    STATEMENT_SECOND_FACTOR_TAKE, STATEMENT_SECOND_FACTOR_WRONG, STATEMENT_EVENT_ADD,
    STATEMENT_EVENT_COUNT,        STATEMENT_EVENT_MAKE_ROOM,     STATEMENT_EVENT_PRUNE,
    STATEMENT_NOTE_UPGRADE,       STATEMENT_NOTE_SCRAM,          STATEMENT_NOTE_USED,
    STATEMENT_ISSUER_TRY,         STATEMENT_ISSUER_FETCHED,      STATEMENT_ISSUER_FAILED,
    STATEMENT_ISSUER_WANTED,      STATEMENT_JOB_BEGIN,           STATEMENT_JOB_PART_ADD,
    STATEMENT_JOB_ABANDON,        STATEMENT_JOB_ERROR_ADD,       STATEMENT_JOB_HASH_ADD,
    STATEMENT_JOB_HASHES_FORGET,  STATEMENT_JOB_CHECKED,         STATEMENT_JOB_ADVANCE,
    STATEMENT_JOB_UPLOADS_PRUNE,  STATEMENT_JOB_RESULTS_PRUNE,   STATEMENT_JOB_PARTS_PRUNE,
    STATEMENT_JOB_ERRORS_PRUNE,   STATEMENT_JOB_ERRORS_FORGET,   STATEMENT_JOB_PRUNE,
    STATEMENT_OPERATOR_EVENT_ADD, STATEMENT_OUTBOX_CROSSING,
};

static bool is_allowed(const struct db *db, const struct sqlite3_stmt *statement)
{
    for (size_t i = 0; i < sizeof(by_itself) / sizeof(by_itself[0]) && !db->changing; i++) {
        if (db->prepared[by_itself[i]] == statement) {
            return true;
        }
    }
    return db->changing;
}

enum db_result statement_change(struct db *db, struct sqlite3_stmt *statement)
{
    if (statement != NULL && !is_allowed(db, statement)) {
        log_error("accounts: %s: a change without an audit row", name_of(db, statement));
        statement_reset(statement);
        return DB_BROKEN;
    }
    enum db_result result = statement_row(db, statement);
    if (result != DB_NONE) {
        return result;
    }
    return sqlite3_changes(db->sqlite) > 0 ? DB_OK : DB_NONE;
}

uint64_t statement_number(struct sqlite3_stmt *statement, int column)
{
    return (uint64_t)sqlite3_column_int64(statement, column);
}

unsigned statement_count(struct sqlite3_stmt *statement, int column)
{
    return (unsigned)sqlite3_column_int64(statement, column);
}

bool statement_bool(struct sqlite3_stmt *statement, int column)
{
    return sqlite3_column_int64(statement, column) != 0;
}

void statement_text(struct sqlite3_stmt *statement, int column, char *text_r, size_t size)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    size_t length = text == NULL ? 0 : (size_t)sqlite3_column_bytes(statement, column);
    if (length >= size) {
        length = size - 1;
    }
    if (text != NULL) {
        memcpy(text_r, text, length);
    }
    text_r[length] = '\0';
}

void statement_blob(struct sqlite3_stmt *statement, int column, void *octets_r, size_t size)
{
    const void *octets = sqlite3_column_blob(statement, column);
    if (octets != NULL && (size_t)sqlite3_column_bytes(statement, column) == size) {
        memcpy(octets_r, octets, size);
    } else {
        memset(octets_r, 0, size);
    }
}
