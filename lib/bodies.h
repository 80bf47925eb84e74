#ifndef LIB_BODIES_H
#define LIB_BODIES_H

#include <stdint.h>

/*
 * Memory through which stored hands bodies to one front (STORE_MEMORY in lib/storemsg.h): it has
 * STORE_MEMORY_SIZE octets. Who has only the descriptor can read and can neither write nor change
 * the size, so stored may check what it has put there, and nobody meets memory that is gone.
 */

/* For stored: mapped for writing, with a descriptor to hand on. NULL: there is none now (errno). */
uint8_t *bodies_make(int *fd_r);

/* For a front: mapped for reading; closes `fd`. NULL: it is no such memory (errno). */
const uint8_t *bodies_attach(int fd);

/* Either one's end of it. NULL is allowed. */
void bodies_detach(const uint8_t *bodies);

#endif
