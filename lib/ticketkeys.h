#ifndef LIB_TICKETKEYS_H
#define LIB_TICKETKEYS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The keys of TLS session tickets, in memory that the supervisor writes and every pop3d reads: so a
 * ticket that one process gave can be opened by another, also by one that was started since.
 * Nothing else ever holds them, and a key that is replaced is gone at once from all of them.
 *
 * There are two: tickets are made with the current one, and accepted with the previous one as well.
 */

/* Seconds from one rotation to the next, which is also how long a ticket lives: so it can be used
 * for all of its time, and what it is sealed with is gone after twice as long. */
#define TICKETKEYS_PERIOD (4 * 3600)

#define TICKETKEYS_NAME_SIZE   16
#define TICKETKEYS_SECRET_SIZE 32

enum ticketkeys_which { TICKETKEYS_CURRENT, TICKETKEYS_PREVIOUS, TICKETKEYS__MAX };

struct ticketkey {
    uint8_t name[TICKETKEYS_NAME_SIZE]; /* travels with a ticket in clear */
    uint8_t secret[TICKETKEYS_SECRET_SIZE];
};

struct ticketkeys; /* the shared memory */

/* The size in octets of the shared memory, for the supervisor's ftruncate(). */
size_t ticketkeys_size(void);

/*
 * The supervisor maps the zeroed memory and draws both keys. It is kept out of swap and core dumps
 * where the machine allows. Returns NULL (errno) on failure.
 */
struct ticketkeys *ticketkeys_make(int fd);

/* The current key becomes the previous one, which is wiped, and a new one is drawn. */
void ticketkeys_rotate(struct ticketkeys *keys);

/* A reader maps the memory. Returns NULL (errno) on failure. */
const struct ticketkeys *ticketkeys_attach(int fd);

/*
 * Copies both keys; the caller wipes them. Returns 0, or -1 when they were being replaced at this
 * very moment: the caller does without.
 */
int ticketkeys_read(const struct ticketkeys *keys, struct ticketkey keys_r[TICKETKEYS__MAX]);

/* Either mapping goes away; the memory stays for as long as somebody has it. */
void ticketkeys_detach(const struct ticketkeys *keys);

#endif
