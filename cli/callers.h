#ifndef CLI_CALLERS_H
#define CLI_CALLERS_H

/*
 * Who asks the supervisor for something: commands of the instance's owner or of root, over
 * run/supervisor.sock. A request is CALLERS_RELOAD, of CALLERS_REQUEST_SIZE octets. The answer is
 * lines of text; the first octet of each says what it is, and the end of the connection follows on
 * CALLERS_DONE and CALLERS_REFUSED.
 */

struct callers;
struct event_base;

#define CALLERS_REQUEST_SIZE 8
#define CALLERS_RELOAD       "reload\n" /* with its NUL */

enum callers_answer { CALLERS_PROGRESS = ' ', CALLERS_DONE = '+', CALLERS_REFUSED = '-' };

/* Listens on this descriptor. `reload` is called when that is asked for; one at a time. */
struct callers *callers_new(struct event_base *base, int listener, void (*reload)(void *context),
                            void *context);

/* Whoever still waits finds the connection closed. */
void callers_free(struct callers *callers);

/* Answers the one that has asked, if it still listens. Anything but progress is the end. */
void callers_tell(struct callers *callers, enum callers_answer answer, const char *sentence);

#endif
