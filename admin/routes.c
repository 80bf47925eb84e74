#include "admin/routes.h"
#include "admin/addresses.h"
#include "admin/apikeys.h"
#include "admin/apppasswords.h"
#include "admin/customers.h"
#include "admin/document.h"
#include "admin/domains.h"
#include "admin/exposition.h"
#include "admin/health.h"
#include "admin/invitations.h"
#include "admin/meta.h"
#include "admin/planpreview.h"
#include "admin/plans.h"
#include "admin/records.h"
#include "admin/removals.h"
#include "admin/sessions.h"
#include "admin/tokenissuers.h"
#include "admin/usage.h"
#include "admin/webhookapi.h"

#define API "/api/v1"

/* clang-format off */
const struct route routes[] = {
    {"GET", "/livez", SCOPE_OPEN, .handle = health_live, .about = "whether the API runs"},
    {"GET", "/readyz", SCOPE_OPEN, .handle = health_ready,
     .about = "whether everything works, and what does not"},
    {"GET", "/healthz", SCOPE_OPEN, .handle = health_ready, .about = "the same as /readyz"},
    {"GET", "/metrics", SCOPE_OPEN, .handle = exposition_get, .about = "counters for Prometheus"},
    {"GET", API "/openapi.json", SCOPE_OPEN, .handle = document_get, .about = "this document"},

    {"GET", API "/invitations/{token}", SCOPE_OPEN, .handle = invitation_show,
     .about = "what an invitation is for, for who has nothing but the token",
     .schema = "OpenInvitation"},
    {"POST", API "/invitations/{token}", SCOPE_OPEN, 0, 0, invitation_fields,
     .handle = invitation_check, .apply = invitation_take,
     .about = "choose the password of the mailbox, once; its sessions end"},

    {"GET", API "/self", SCOPE_ANY, EVERYBODY, .handle = self_show,
     .about = "the key that asks", .schema = "ApiKey"},

    {"GET", API "/meta", SCOPE_ANY, EVERYBODY, .handle = meta_show,
     .about = "limits, and what can be set", .schema = "Meta"},

    {"GET", API "/plans", SCOPE_ANY, READERS, ROUTE_LIST, .handle = plans_list,
     .about = "the plans; a customer sees its own", .schema = "Plan"},
    {"POST", API "/plans", SCOPE_ANY, OPERATORS, 0, plan_new_fields, .apply = plan_add,
     .show = plan_show, .about = "make a plan", .schema = "Plan"},
    {"GET", API "/plans/{plan}", SCOPE_PLAN, READERS, .show = plan_show,
     .about = "a plan", .schema = "Plan"},
    {"PATCH", API "/plans/{plan}", SCOPE_PLAN, OPERATORS, 0, plan_fields, .apply = plan_change,
     .show = plan_show, .about = "change a plan", .schema = "Plan"},
    {"DELETE", API "/plans/{plan}", SCOPE_PLAN, OPERATORS, .apply = plan_remove, .show = plan_show,
     .about = "remove a plan that no customer is on"},

    {"GET", API "/customers", SCOPE_ANY, READERS, ROUTE_LIST, NULL, customers_parameters,
     .handle = customers_list, .about = "the customers; a customer's key sees its own", .schema = "Customer"},
    {"POST", API "/customers", SCOPE_ANY, OPERATORS, 0, customer_new_fields,
     .handle = customer_check, .apply = customer_add, .show = customer_show,
     .about = "make a customer", .schema = "Customer"},
    {"GET", API "/customers/{customer}", SCOPE_CUSTOMER, READERS, .show = customer_show,
     .about = "a customer", .schema = "Customer"},
    {"PATCH", API "/customers/{customer}", SCOPE_CUSTOMER, OPERATORS, 0, customer_fields,
     .handle = customer_check, .apply = customer_change, .show = customer_show,
     .about = "change, suspend or resume a customer", .schema = "Customer"},
    {"DELETE", API "/customers/{customer}", SCOPE_CUSTOMER, OPERATORS, .apply = customer_remove,
     .show = customer_show, .about = "remove a customer with all that it has; see /removed"},
    {"GET", API "/customers/{customer}/plan-preview", SCOPE_CUSTOMER, ALL_OPERATOR,
     ROUTE_ASKS, NULL, plan_preview_parameters, .handle = plan_preview_show,
     .about = "what moving a customer to a plan would mean", .schema = "PlanPreview"},

    {"GET", API "/customers/{customer}/token-issuers", SCOPE_CUSTOMER, READERS,
     ROUTE_LIST | ROUTE_WHOLE, .handle = token_issuers_list,
     .about = "whose tokens open the customer's mailboxes", .schema = "TokenIssuer"},
    {"POST", API "/customers/{customer}/token-issuers", SCOPE_CUSTOMER, OPERATORS, 0,
     token_issuer_new_fields, .handle = token_issuer_check, .apply = token_issuer_add,
     .about = "let an issuer's tokens open the customer's mailboxes", .schema = "TokenIssuer"},
    {"DELETE", API "/customers/{customer}/token-issuers/{name}", SCOPE_CUSTOMER, OPERATORS,
     .apply = token_issuer_remove, .about = "let an issuer's tokens open nothing any more"},

    {"GET", API "/domains", SCOPE_ANY, READERS, ROUTE_LIST, NULL, customer_parameters,
     .handle = domains_list, .about = "the domains", .schema = "Domain"},
    {"POST", API "/domains", SCOPE_ANY, ADMINS, ROUTE_WHOLE, domain_new_fields,
     .handle = domain_check, .apply = domain_add, .show = domain_show,
     .about = "give a domain to a customer", .schema = "Domain"},
    {"GET", API "/domains/{domain}", SCOPE_DOMAIN, READERS, .show = domain_show,
     .about = "a domain", .schema = "Domain"},
    {"PATCH", API "/domains/{domain}", SCOPE_DOMAIN, ADMINS, 0, domain_fields,
     .handle = domain_check_change, .apply = domain_change, .show = domain_show,
     .about = "set or take away a domain's catch-all", .schema = "Domain"},
    {"DELETE", API "/domains/{domain}", SCOPE_DOMAIN, ADMINS, ROUTE_WHOLE, .apply = domain_remove,
     .show = domain_show, .about = "remove a domain with its addresses and mail"},

    {"GET", API "/addresses", SCOPE_ANY, EVERYBODY, ROUTE_LIST, NULL, address_parameters,
     .handle = addresses_list, .about = "the addresses, mailboxes and aliases",
     .schema = "Address"},
    {"POST", API "/addresses", SCOPE_ANY, ADMINS, 0, address_new_fields,
     .handle = address_check_new, .apply = address_add_new, .show = address_show,
     .about = "make a mailbox, or with targets an alias", .schema = "Address"},
    {"GET", API "/addresses/{address}", SCOPE_ADDRESS, EVERYBODY, .show = address_show,
     .about = "an address", .schema = "Address"},
    {"PATCH", API "/addresses/{address}", SCOPE_ADDRESS, ADMINS, 0, address_fields,
     .handle = address_check, .apply = address_change, .show = address_show,
     .about = "change an address, suspend or resume a mailbox", .schema = "Address"},
    {"DELETE", API "/addresses/{address}", SCOPE_ADDRESS, ADMINS, .apply = address_remove,
     .show = address_show, .about = "remove an address with its mail"},
    {"GET", API "/addresses/{address}/usage", SCOPE_MAILBOX, EVERYBODY, .handle = usage_show,
     .about = "how full a mailbox is", .schema = "Usage"},
    {"GET", API "/usage", SCOPE_ANY, EVERYBODY, ROUTE_LIST, NULL, customer_parameters,
     .handle = usages_list, .about = "how full mailboxes are, in the order of their addresses",
     .schema = "Usage"},
    {"GET", API "/addresses/{address}/events", SCOPE_MAILBOX, EVERYBODY, ROUTE_LIST, NULL,
     address_event_parameters, .handle = address_events_list, .about = "logins, refusals and new passwords of a mailbox",
     .schema = "Event"},

    {"GET", API "/addresses/{address}/sessions", SCOPE_MAILBOX, EVERYBODY, ROUTE_LIST,
     .handle = address_sessions_list, .about = "the POP3 session that has a mailbox",
     .schema = "Session"},
    {"DELETE", API "/addresses/{address}/sessions", SCOPE_MAILBOX, RESETTERS | ROLE(OWNER),
     .apply = address_sessions_end, .about = "end the POP3 session that has a mailbox"},

    {"PUT", API "/addresses/{address}/password", SCOPE_MAILBOX, RESETTERS | ROLE(OWNER), 0,
     password_fields, .handle = password_check_new, .apply = password_set,
     .about = "set a mailbox's password"},
    {"POST", API "/addresses/{address}/password", SCOPE_MAILBOX, RESETTERS, 0, no_fields,
     .handle = password_draw, .apply = password_set,
     .about = "draw a mailbox's password, shown once", .schema = "Password"},
    {"DELETE", API "/addresses/{address}/password", SCOPE_MAILBOX, ADMINS,
     .apply = password_remove, .about = "let nobody log in with a password"},
    {"POST", API "/addresses/{address}/invitation", SCOPE_MAILBOX, RESETTERS, 0, no_fields,
     .handle = invitation_prepare, .apply = invitation_add,
     .about = "draw a token with which the owner sets the password, or another one",
     .schema = "Invitation"},

    {"GET", API "/addresses/{address}/app-passwords", SCOPE_MAILBOX, EVERYBODY, ROUTE_LIST,
     .handle = app_passwords_list, .about = "a mailbox's app passwords by their names",
     .schema = "AppPassword"},
    {"POST", API "/addresses/{address}/app-passwords", SCOPE_MAILBOX, ADMINS | ROLE(OWNER), 0,
     app_password_new_fields, .handle = app_password_check, .apply = app_password_add,
     .about = "draw an app password, shown once", .schema = "NewAppPassword"},
    {"DELETE", API "/addresses/{address}/app-passwords/{name}", SCOPE_MAILBOX,
     ADMINS | ROLE(OWNER), .apply = app_password_remove, .about = "remove an app password"},

    {"GET", API "/removed", SCOPE_ANY, READERS, ROUTE_LIST, NULL, removal_parameters,
     .handle = removals_list, .about = "what was removed and can be restored, the oldest first",
     .schema = "Removal"},
    {"GET", API "/removed/{removal}", SCOPE_REMOVAL, READERS, .show = removal_show,
     .about = "something that was removed", .schema = "Removal"},
    {"POST", API "/removed/{removal}/restore", SCOPE_REMOVAL, ADMINS, 0, no_fields,
     .apply = removal_restore, .about = "bring back what was removed, as it was"},
    {"DELETE", API "/removed/{removal}", SCOPE_REMOVAL, OPERATORS, .apply = removal_purge,
     .show = removal_show, .about = "purge what was removed: its mail goes too"},

    {"GET", API "/api-keys", SCOPE_ANY, ADMINS | ROLE(OPERATOR_READ), ROUTE_LIST, NULL,
     customer_parameters, .handle = api_keys_list, .about = "the API keys", .schema = "ApiKey"},
    {"POST", API "/api-keys", SCOPE_ANY, ADMINS, 0, api_key_new_fields, .handle = api_key_check,
     .apply = api_key_add, .about = "draw an API key, shown once", .schema = "NewApiKey"},
    {"GET", API "/api-keys/{key}", SCOPE_KEY, ADMINS | ROLE(OPERATOR_READ), .show = api_key_show,
     .about = "an API key", .schema = "ApiKey"},
    {"PATCH", API "/api-keys/{key}", SCOPE_KEY, ADMINS, 0, api_key_fields,
     .handle = api_key_check_change, .apply = api_key_change, .show = api_key_show,
     .about = "change an API key's name, role, networks, rate or expiry", .schema = "ApiKey"},
    {"DELETE", API "/api-keys/{key}", SCOPE_KEY, ADMINS, .apply = api_key_remove,
     .show = api_key_show, .about = "let an API key open nothing any more"},

    {"GET", API "/webhooks", SCOPE_ANY, ADMINS | ROLE(OPERATOR_READ), ROUTE_LIST | ROUTE_WHOLE, NULL,
     customer_parameters, .handle = webhooks_list, .about = "who is told over HTTP of what happens",
     .schema = "Webhook"},
    {"POST", API "/webhooks", SCOPE_ANY, ADMINS, ROUTE_WHOLE, webhook_new_fields,
     .handle = webhook_check_new, .apply = webhook_add,
     .about = "tell a URL of what happens, with a secret that is shown once",
     .schema = "NewWebhook"},
    {"GET", API "/webhooks/{webhook}", SCOPE_WEBHOOK, ADMINS | ROLE(OPERATOR_READ), ROUTE_WHOLE,
     .show = webhook_show, .about = "a webhook, and how it answers", .schema = "Webhook"},
    {"PATCH", API "/webhooks/{webhook}", SCOPE_WEBHOOK, ADMINS, ROUTE_WHOLE, webhook_fields,
     .handle = webhook_check, .apply = webhook_change, .show = webhook_show,
     .about = "change a webhook, switch it off or on", .schema = "Webhook"},
    {"DELETE", API "/webhooks/{webhook}", SCOPE_WEBHOOK, ADMINS, ROUTE_WHOLE,
     .apply = webhook_remove, .show = webhook_show, .about = "tell a webhook nothing more"},
    {"POST", API "/webhooks/{webhook}/secret", SCOPE_WEBHOOK, ADMINS, ROUTE_WHOLE,
     webhook_secret_fields, .apply = webhook_renew,
     .about = "draw another secret, shown once; the one of before is used as well for a time",
     .schema = "NewWebhook"},
    {"POST", API "/webhooks/{webhook}/replay", SCOPE_WEBHOOK, ADMINS, ROUTE_WHOLE,
     webhook_replay_fields, .handle = webhook_replay_check, .apply = webhook_replay,
     .about = "tell it again what happened from an event or a time on"},
    {"POST", API "/webhooks/{webhook}/test", SCOPE_WEBHOOK, ADMINS, ROUTE_WHOLE, no_fields,
     .handle = webhook_test, .about = "tell it something now, and see what it answers",
     .schema = "WebhookTest"},
    {"GET", API "/webhooks/{webhook}/deliveries", SCOPE_WEBHOOK, ADMINS | ROLE(OPERATOR_READ),
     ROUTE_LIST | ROUTE_WHOLE, .handle = webhook_deliveries_list,
     .about = "what it is still to be told, the next first", .schema = "Delivery"},

    {"GET", API "/sessions", SCOPE_ANY, READERS, ROUTE_LIST, NULL, customer_parameters,
     .handle = sessions_list, .about = "the POP3 sessions that are open", .schema = "Session"},
    {"DELETE", API "/customers/{customer}/sessions", SCOPE_CUSTOMER, RESETTERS, ROUTE_WHOLE,
     .apply = customer_sessions_end, .about = "end all POP3 sessions of a customer"},

    {"GET", API "/events", SCOPE_ANY, READERS, ROUTE_LIST, NULL, event_parameters,
     .handle = events_list, .about = "logins, refusals and new passwords, the newest first",
     .schema = "Event"},
    {"GET", API "/audit", SCOPE_ANY, READERS, ROUTE_LIST | ROUTE_WHOLE, NULL, audit_parameters,
     .handle = audit_list, .about = "who changed what, the newest first", .schema = "Audit"},
};
/* clang-format on */

const size_t routes_count = sizeof(routes) / sizeof(routes[0]);
