#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/*
 * A fuzz target: octets from outside into one noun, which must not crash, leak, hang or break what
 * the target asserts. libFuzzer calls these with what it makes up (make fuzz), replay.c with the
 * files of corpus/NAME (make unit). A target does not depend on what it was called with before.
 */

/* Once, before the first input; for targets that have something to prepare. */
int LLVMFuzzerInitialize(const int *count, char ***arguments);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
