#ifndef TESTS_CRASH_BODY_H
#define TESTS_CRASH_BODY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/storemsg.h"

/* Messages whose every octet follows from their serial number and length, in stored form. */

/* The least length, and how long the header section is in all of them. */
#define BODY_LENGTH_MIN 64
#define BODY_TOP_LENGTH 29

void body_make(uint64_t serial, uint8_t *body_r, size_t length);

/* What is said of its surrogate. */
struct store_surrogate body_surrogate(uint64_t serial);

/* The serial number that the first octets tell, at least BODY_TOP_LENGTH; 0: none. */
uint64_t body_serial(const uint8_t *body, size_t length);

#endif
