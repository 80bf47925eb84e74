#ifndef LIB_UNIXSOCKET_H
#define LIB_UNIXSOCKET_H

/* Connects to the Unix stream socket at `path`. Returns a non-blocking descriptor, or -1 (errno).
 */
int unixsocket_connect(const char *path);

#endif
