#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* What the command line of the load generator says. */
struct options {
    const char *mode;
    struct sockaddr_storage server; /* always a loopback address */
    socklen_t server_length;
    unsigned connections; /* 0: not given */
    uint64_t count;       /* operations in all; 0: not given */
    unsigned seconds;     /* the run ends after so many, whatever has been done */
    unsigned size;        /* octets of a message (lmtp) */
    unsigned recipients;  /* of a message (lmtp) */
    unsigned sources;     /* addresses that clients come from; 0: the one that the kernel takes */
    bool retrieve;        /* session: RETR of the first message, too */
    bool pipeline;        /* session: all commands after the login in one write */
    bool one_by_one;      /* retr: not pipelined */
    bool tls;             /* from the first octet */
    int tls_version;      /* OpenSSL's number of the only one that is spoken; 0: 1.2 and 1.3 */
    bool resume;          /* every connection of a client but its first resumes its session */
    const char *ca;       /* PEM file that the server's certificate is checked against */
    const char *users;    /* file with a line "address<TAB>password" for each mailbox */
    pid_t serve;          /* the supervisor whose processes' CPU time is counted; 0: none */
};

/* Parses argv; exits with status 2 and the usage for a wrong one, 0 after --help. */
void options_parse(struct options *options_r, int argc, char **argv);

#endif
