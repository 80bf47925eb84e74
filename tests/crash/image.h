#ifndef TESTS_CRASH_IMAGE_H
#define TESTS_CRASH_IMAGE_H

#include <stddef.h>

#include "tests/crash/random.h"
#include "tests/crash/trace.h"

/*
 * What a power loss leaves of store/ when it comes before entry `cut` of the trace. The model,
 * which is what POSIX and ext4 (ordered data) promise and not more:
 *
 * - A file's content and size as of its last fsync or fdatasync are there.
 * - Of content written later, each sector of 512 octets is there as of any moment between that sync
 *   and the loss: writes may be lost, kept, torn and overtake each other. A sector itself is
 *   written whole. Sectors that were never written are zeros.
 * - Size changes, preallocation and holes since that sync happened up to any moment, in order.
 * - The names in the folder are as of its last fsync. Of what was made, renamed and unlinked
 *   later: either what happened up to any moment (a journal's order), or any part of it.
 *   Syncing a file does not make its name durable.
 */
void image_build(const struct trace *trace, uint64_t cut, struct random random, const char *folder);

/* The same with nothing lost: what the folder looks like to programs at that moment. */
void image_build_whole(const struct trace *trace, uint64_t cut, const char *folder);

/*
 * Begins `next` with what was built: the files of `folder`, all of them durable, and what the world
 * was told before the cut.
 */
void image_continue(const struct trace *trace, uint64_t cut, const char *folder,
                    struct trace *next);

/* A moment to lose power at: any after `first`, more often one where something is in the balance.
 */
uint64_t image_choose_cut(const struct trace *trace, uint64_t first, struct random *random);

#endif
