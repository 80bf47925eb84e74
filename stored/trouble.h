#ifndef STORED_TROUBLE_H
#define STORED_TROUBLE_H

/*
 * What is wrong with the disk, told without a storm: the first failure of a kind is one line of
 * error, further ones are counted and told once a minute, and when it has passed that is a line of
 * info. From the event loop only.
 */

enum trouble {
    TROUBLE_FULL,  /* no room for mail */
    TROUBLE_WRITE, /* writing or syncing mail fails */
    TROUBLE_READ,  /* reading fails, and not because of one damaged message */
    TROUBLE__MAX
};

/* `what` failed with `error`, an errno value. */
void trouble_tell(enum trouble kind, const char *what, int error);

/* It works again. Does nothing where nothing was told. */
void trouble_passed(enum trouble kind);

#endif
