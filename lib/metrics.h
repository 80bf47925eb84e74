#ifndef LIB_METRICS_H
#define LIB_METRICS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Counters that all programs keep in one area of shared memory, made by the supervisor; admin
 * shows them as Prometheus text. Each process has a slot of its own, so no two of them write to
 * one cache line; a reader adds the slots up. A counter goes on counting when its process is
 * started again in the same slot; a gauge begins at 0.
 *
 * Programs of two versions may share the area while one takes over from the other (`bellhop
 * reload`), with tables that differ: which column of a slot a metric has is agreed on by its name,
 * in the area itself. What is fixed is the area's size, and a program that has another one refuses.
 */

/* The supervisor, and its processes: of several reloads, while the former still have sessions. */
#define METRICS_SLOTS 400

/* Columns of a slot: more than all versions' metrics together that ever share an area. */
#define METRICS_COLUMNS 256

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/*
 * A histogram of durations is as many metrics: how many took up to so many seconds and longer than
 * the one before, and all their microseconds. ID is the first of them, for metric_observe().
 */
#define METRICS_BUCKETS 13
#define METRICS_HISTOGRAM(ROW, id, name, help)                                                     \
    ROW(id, METRIC_HISTOGRAM, name "_bucket{le=\"0.0005\"}", help)                                 \
    ROW(id##_1, METRIC_HISTOGRAM, name "_bucket{le=\"0.001\"}", help)                              \
    ROW(id##_2, METRIC_HISTOGRAM, name "_bucket{le=\"0.0025\"}", help)                             \
    ROW(id##_3, METRIC_HISTOGRAM, name "_bucket{le=\"0.005\"}", help)                              \
    ROW(id##_4, METRIC_HISTOGRAM, name "_bucket{le=\"0.01\"}", help)                               \
    ROW(id##_5, METRIC_HISTOGRAM, name "_bucket{le=\"0.025\"}", help)                              \
    ROW(id##_6, METRIC_HISTOGRAM, name "_bucket{le=\"0.05\"}", help)                               \
    ROW(id##_7, METRIC_HISTOGRAM, name "_bucket{le=\"0.1\"}", help)                                \
    ROW(id##_8, METRIC_HISTOGRAM, name "_bucket{le=\"0.25\"}", help)                               \
    ROW(id##_9, METRIC_HISTOGRAM, name "_bucket{le=\"0.5\"}", help)                                \
    ROW(id##_10, METRIC_HISTOGRAM, name "_bucket{le=\"1\"}", help)                                 \
    ROW(id##_11, METRIC_HISTOGRAM, name "_bucket{le=\"2.5\"}", help)                               \
    ROW(id##_12, METRIC_HISTOGRAM, name "_bucket{le=\"+Inf\"}", help)                              \
    ROW(id##_SUM, METRIC_HISTOGRAM, name "_sum", help)

/* One metric for each program: rows of one name with other labels stand together. */
#define METRICS_RESTARTS(ROW, id, program)                                                         \
    ROW(RESTARTS_##id, METRIC_COUNTER, "bellhop_restarts_total{program=\"" program "\"}",          \
        "times that a program was started again after a crash")

/* name, type, help. The names follow the conventions of Prometheus. */
#define METRICS_TABLE(ROW)                                                                         \
    ROW(POP3_CONNECTIONS, METRIC_COUNTER, "bellhop_pop3_connections_total",                        \
        "POP3 connections accepted")                                                               \
    ROW(POP3_REFUSED, METRIC_COUNTER, "bellhop_pop3_refused_total",                                \
        "POP3 connections for which there was no room")                                            \
    ROW(POP3_SESSIONS, METRIC_GAUGE, "bellhop_pop3_sessions", "POP3 connections open now")         \
    ROW(POP3_LOGINS, METRIC_COUNTER, "bellhop_pop3_logins_total", "POP3 logins that succeeded")    \
    ROW(POP3_LOGIN_FAILURES, METRIC_COUNTER, "bellhop_pop3_login_failures_total",                  \
        "POP3 logins that failed")                                                                 \
    ROW(POP3_RETRIEVED, METRIC_COUNTER, "bellhop_pop3_retrieved_total", "messages sent by RETR")   \
    ROW(POP3_RETRIEVED_OCTETS, METRIC_COUNTER, "bellhop_pop3_retrieved_octets_total",              \
        "octets of messages sent by RETR and TOP")                                                 \
    ROW(POP3_DELETED, METRIC_COUNTER, "bellhop_pop3_deleted_total", "messages deleted at QUIT")    \
    ROW(POP3_TLS_FAILURES, METRIC_COUNTER, "bellhop_pop3_tls_failures_total",                      \
        "TLS handshakes that failed")                                                              \
    ROW(POP3_TLS_HANDSHAKES, METRIC_COUNTER, "bellhop_pop3_tls_handshakes_total",                  \
        "TLS handshakes completed")                                                                \
    ROW(POP3_TLS_RESUMED, METRIC_COUNTER, "bellhop_pop3_tls_resumed_total",                        \
        "TLS handshakes that resumed a session")                                                   \
    ROW(AUTH_CHECKS, METRIC_COUNTER, "bellhop_auth_checks_total", "credentials checked")           \
    ROW(AUTH_REFUSED, METRIC_COUNTER, "bellhop_auth_refused_total", "credentials refused")         \
    ROW(AUTH_CACHE_HITS, METRIC_COUNTER, "bellhop_auth_cache_hits_total",                          \
        "credentials checked without a password hash")                                             \
    ROW(AUTH_HASHES, METRIC_COUNTER, "bellhop_auth_hashes_total", "password hashes computed")      \
    ROW(AUTH_QUEUE, METRIC_GAUGE, "bellhop_auth_queue", "credentials waiting for a hash thread")   \
    ROW(AUTH_BUSY, METRIC_COUNTER, "bellhop_auth_busy_total",                                      \
        "checks turned away because the queue was full")                                           \
    ROW(AUTH_DELAYED, METRIC_COUNTER, "bellhop_auth_delayed_total",                                \
        "checks turned away because of too many wrong passwords")                                  \
    ROW(AUTH_KNOWN_WRONG, METRIC_COUNTER, "bellhop_auth_known_wrong_total",                        \
        "passwords refused because they were wrong before")                                        \
    ROW(AUTH_EVENTS_DROPPED, METRIC_COUNTER, "bellhop_auth_events_dropped_total",                  \
        "events of logins that could not be written to the account database")                      \
    ROW(LMTP_CONNECTIONS, METRIC_COUNTER, "bellhop_lmtp_connections_total",                        \
        "LMTP connections accepted")                                                               \
    ROW(LMTP_SESSIONS, METRIC_GAUGE, "bellhop_lmtp_sessions", "LMTP connections open now")         \
    ROW(LMTP_DELIVERED, METRIC_COUNTER, "bellhop_lmtp_delivered_total",                            \
        "recipients answered with 250 after DATA")                                                 \
    ROW(LMTP_REFUSED, METRIC_COUNTER, "bellhop_lmtp_refused_total",                                \
        "recipients answered with 5xx, at RCPT or after DATA")                                     \
    ROW(LMTP_DEFERRED, METRIC_COUNTER, "bellhop_lmtp_deferred_total",                              \
        "recipients answered with 4xx, at RCPT or after DATA")                                     \
    ROW(LMTP_OVER_QUOTA, METRIC_COUNTER, "bellhop_lmtp_over_quota_total",                          \
        "of those deferred, recipients whose mailbox was full")                                    \
    ROW(QUOTA_WARNINGS, METRIC_COUNTER, "bellhop_quota_warnings_total",                            \
        "warnings delivered to mailboxes that are nearly full")                                    \
    ROW(STORE_DELIVERIES, METRIC_COUNTER, "bellhop_store_deliveries_total",                        \
        "messages made durable")                                                                   \
    ROW(STORE_DELIVERED_OCTETS, METRIC_COUNTER, "bellhop_store_delivered_octets_total",            \
        "octets of messages made durable")                                                         \
    ROW(STORE_EXPUNGED, METRIC_COUNTER, "bellhop_store_expunged_total", "messages expunged")       \
    ROW(STORE_EXPIRED, METRIC_COUNTER, "bellhop_store_expired_total",                              \
        "messages removed because they were older than the plan's retention")                      \
    ROW(STORE_COMMITS, METRIC_COUNTER, "bellhop_store_commits_total", "group commits")             \
    METRICS_HISTOGRAM(ROW, STORE_SYNC, "bellhop_store_sync_seconds",                               \
                      "how long it took to make a group commit durable")                           \
    ROW(STORE_LIVE_OCTETS, METRIC_GAUGE, "bellhop_store_live_octets",                              \
        "octets of mail that is somebody's, at the last look")                                     \
    ROW(STORE_USED_OCTETS, METRIC_GAUGE, "bellhop_store_used_octets",                              \
        "octets that segments take up, at the last look")                                          \
    ROW(STORE_SESSIONS, METRIC_GAUGE, "bellhop_store_sessions", "mailboxes open now")              \
    ROW(STORE_LOGOUTS, METRIC_COUNTER, "bellhop_store_logouts_total",                              \
        "sessions ended because their mailbox was suspended, removed or changed")                  \
    ROW(STORE_READ_OCTETS, METRIC_COUNTER, "bellhop_store_read_octets_total",                      \
        "octets of bodies read for fronts")                                                        \
    ROW(STORE_DAMAGED, METRIC_COUNTER, "bellhop_store_damaged_total",                              \
        "reads that found a damaged message")                                                      \
    ROW(STORE_WRITE_FAILURES, METRIC_COUNTER, "bellhop_store_write_failures_total",                \
        "writes or syncs of mail that failed")                                                     \
    ROW(STORE_DISK_FULL, METRIC_COUNTER, "bellhop_store_disk_full_total",                          \
        "deliveries turned away because the disk was full")                                        \
    ROW(STORE_MOVED_OCTETS, METRIC_COUNTER, "bellhop_store_moved_octets_total",                    \
        "octets copied forward to empty sparse segments")                                          \
    ROW(STORE_RECLAIMED_OCTETS, METRIC_COUNTER, "bellhop_store_reclaimed_octets_total",            \
        "octets of segments removed")                                                              \
    ROW(HTTP_REQUESTS, METRIC_COUNTER, "bellhop_http_requests_total", "HTTP requests answered")    \
    METRICS_HISTOGRAM(ROW, HTTP_TIME, "bellhop_http_request_seconds",                              \
                      "from a request's header to its answer")                                     \
    ROW(WEBHOOKS_TOLD, METRIC_COUNTER, "bellhop_webhooks_told_total",                              \
        "events that a webhook has taken")                                                         \
    ROW(WEBHOOKS_FAILED, METRIC_COUNTER, "bellhop_webhooks_failed_total",                          \
        "times that a webhook did not take an event")                                              \
    ROW(WEBHOOKS_WAITING, METRIC_GAUGE, "bellhop_webhooks_waiting",                                \
        "events that webhooks are still to be told, at the last count")                            \
    ROW(WEBHOOKS_BEHIND, METRIC_GAUGE, "bellhop_webhooks_oldest_seconds",                          \
        "for how long the oldest of them had waited then")                                         \
    ROW(JOBS_RUNNING, METRIC_GAUGE, "bellhop_jobs_running", "bulk uploads that are worked on now") \
    ROW(JOBS_MADE, METRIC_COUNTER, "bellhop_jobs_made_total", "addresses made by bulk uploads")    \
    ROW(JOBS_WRONG, METRIC_COUNTER, "bellhop_jobs_wrong_total",                                    \
        "rows of bulk uploads in which something was wrong")                                       \
    ROW(HTTP_TLS_HANDSHAKES, METRIC_COUNTER, "bellhop_http_tls_handshakes_total",                  \
        "TLS handshakes of HTTP clients completed")                                                \
    ROW(HTTP_TLS_FAILURES, METRIC_COUNTER, "bellhop_http_tls_failures_total",                      \
        "TLS handshakes of HTTP clients that failed or were given up")                             \
    ROW(POP3_PROCESSES, METRIC_GAUGE, "bellhop_pop3_processes", "processes of pop3d")              \
    ROW(AUTH_PROCESSES, METRIC_GAUGE, "bellhop_auth_processes", "processes of authd")              \
    ROW(LMTP_PROCESSES, METRIC_GAUGE, "bellhop_lmtp_processes", "processes of lmtpd")              \
    ROW(STORE_PROCESSES, METRIC_GAUGE, "bellhop_store_processes", "processes of stored")           \
    ROW(HTTP_PROCESSES, METRIC_GAUGE, "bellhop_http_processes", "processes of admin")              \
    ROW(FETCH_PROCESSES, METRIC_GAUGE, "bellhop_fetch_processes", "processes of fetchd")           \
    METRICS_RESTARTS(ROW, POP3, "pop3d")                                                           \
    METRICS_RESTARTS(ROW, AUTH, "authd")                                                           \
    METRICS_RESTARTS(ROW, LMTP, "lmtpd")                                                           \
    METRICS_RESTARTS(ROW, STORE, "stored")                                                         \
    METRICS_RESTARTS(ROW, HTTP, "admin")                                                           \
    METRICS_RESTARTS(ROW, FETCH, "fetchd")                                                         \
    ROW(CERTIFICATES, METRIC_GAUGE, "bellhop_certificates", "certificates in tls/")                \
    ROW(CERTIFICATES_EXPIRE, METRIC_GAUGE, "bellhop_certificates_first_expiry_timestamp_seconds",  \
        "when the first of them expires")                                                          \
    ROW(CONFINED, METRIC_GAUGE, "bellhop_confined",                                                \
        "processes confined by both Landlock and seccomp")

#define METRIC_ENUM(id, type, name, help) METRIC_##id,
enum metric { METRICS_TABLE(METRIC_ENUM) METRIC__MAX };
#undef METRIC_ENUM

struct metric_info {
    const char *name;
    const char *help;
    enum metric_type type;
};

extern const struct metric_info metric_infos[METRIC__MAX];

/* The size in octets of the shared area, for the supervisor's ftruncate(). */
size_t metrics_size(void);

/*
 * Maps the shared area and writes to `slot` from now on; gauges of that slot become 0. Without
 * this call, counts go to private memory and are not seen. Returns 0, or -1 (errno; EPROTO: it is
 * another version's area).
 */
int metrics_attach(int fd, unsigned slot);

/* The process of this slot has ended: its gauges become 0, its counters stay in the sums. */
void metrics_leave(unsigned slot);

/* Adds to a metric of this process; `amount` may be negative for a gauge. From any thread. */
void metric_add(enum metric metric, int64_t amount);

/* Sets a gauge of this process. From any thread. */
void metric_set(enum metric metric, int64_t value);

/* Counts a duration in a histogram, by its first metric. From any thread. */
void metric_observe(enum metric histogram, uint64_t microseconds);

/* The sum over all slots. */
int64_t metric_sum(enum metric metric);

#endif
