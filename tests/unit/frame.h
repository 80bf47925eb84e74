#ifndef TESTS_UNIT_FRAME_H
#define TESTS_UNIT_FRAME_H

#include <stdint.h>

/* What stands before each message of a channel, for tests that write and read them themselves. */
struct frame {
    uint32_t length;
    uint8_t version;
    uint8_t type;
    uint16_t zero;
    uint32_t id;
};

#endif
