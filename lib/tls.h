#ifndef LIB_TLS_H
#define LIB_TLS_H

#include <openssl/ssl.h>

struct ticketkeys;

/* What all connections over TLS have in common: settings, certificates, keys of tickets. */
struct tls;

/*
 * With the certificates that `fd` holds now (lib/certbundle.h). Sessions can be resumed with `keys`
 * (lib/tickets.h); NULL: they cannot. Both must outlive it. Returns NULL with a reason in *error_r
 * (static text).
 */
struct tls *tls_new(int fd, const struct ticketkeys *keys, const char **error_r);

/* Connections must be gone. NULL is allowed. */
void tls_free(struct tls *tls);

/*
 * Takes the certificates that the file holds now, for connections from now on. Returns 0, or -1
 * with a reason in *error_r (static text); all is then as before.
 */
int tls_reload(struct tls *tls, const char **error_r);

/*
 * A new connection, a server's. It gets the certificate of the host that the client names, or the
 * default one. The caller frees it with SSL_free(). Returns NULL when there is no memory.
 */
SSL *tls_connection(struct tls *tls);

#endif
