#ifndef CLI_EVENTFLUSH_H
#define CLI_EVENTFLUSH_H

/*
 * Has authd give away the events that it has counted and admin write them. Says on standard error
 * when that takes too long; without authd there is nothing to write.
 */
void eventflush(void);

#endif
