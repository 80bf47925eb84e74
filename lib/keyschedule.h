#ifndef LIB_KEYSCHEDULE_H
#define LIB_KEYSCHEDULE_H

/*
 * The key schedule of TLS 1.3 (RFC 8446 section 7.1) as a provider of OpenSSL's: what it calls
 * TLS13-KDF, which derives each of the some 20 keys of a handshake. OpenSSL 3.0's own looks up its
 * hash by name and takes memory for several contexts each time; this one computes nothing else.
 * Hashing itself stays OpenSSL's. A key that came out wrong would end the handshake: both sides
 * prove with such a key that they have seen the same.
 *
 * Registers it for all contexts made from now on. Returns 0, or -1 when OpenSSL lacks something. To
 * be called once, at the start of a program.
 */
int keyschedule_register(void);

/* At the end, when no context is left. */
void keyschedule_unregister(void);

#endif
