#ifndef TESTS_CRASH_CHECK_H
#define TESTS_CRASH_CHECK_H

#include <stdint.h>

struct index_message;
struct segments;
struct store;

/*
 * Compares a store that has been recovered with what the world was told (expect.h), and takes what
 * it lists for known from now on. Ends the process where a promise is broken. Returns a number
 * that two stores share only if they list the same.
 */
uint64_t check_store(struct store *store, struct segments *segments);

/* Logs that the world knows a message from now on. */
void check_tell(uint64_t mailbox, uint64_t uid, uint64_t serial, uint64_t time);

/* Reads a message's record, judges it, and returns which message it is. */
uint64_t check_message(struct segments *segments, const struct index_message *row);

#endif
