#ifndef STORED_CHECKSUM_H
#define STORED_CHECKSUM_H

/*
 * XXH3 with the widest vectors that this processor has. The library's plain functions are compiled
 * for the oldest ones of the architecture and take three times as long; the sums are the same.
 */
#include <xxhash.h>
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>
#endif

#endif
