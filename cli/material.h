#ifndef CLI_MATERIAL_H
#define CLI_MATERIAL_H

#include <stddef.h>

#include "lib/conf.h"
#include "lib/language.h"

struct ticketkeys;

/*
 * What programs are given to read: the configuration's text, the certificates, the texts of
 * warnings, the authorities that others' certificates are believed of, and the keys of session
 * tickets, each in memory that only the supervisor can write (cli/share.h).
 */
struct material {
    struct conf conf;
    int conf_text; /* descriptors; -1 before the first load */
    int tls;       /* a bundle of certificates (lib/certbundle.h) */
    int texts[LANGUAGE__MAX];
    int authorities;               /* as fetch_authorities names them */
    struct ticketkeys *ticketkeys; /* of session tickets; drawn by serve_main() */
};

void material_init(struct material *material);

/*
 * Each reads its files from the instance (the working directory), checks them and replaces what the
 * programs read. Returns 0, or -1 with one sentence in error_r; everything is then as before.
 */
int material_load_conf(struct material *material, char *error_r, size_t error_size);

/*
 * The same for the certificates of tls/ (cli/tlsfolder.h). One that cannot be used stays as it was,
 * or is left out if it is new, with a line in the log; of the rest, what has changed counts. Fails
 * when there is no memory, and when the default one cannot be used: then it alone stays as it was.
 */
int material_load_tls(struct material *material, char *error_r, size_t error_size);

/* Tells /metrics of them; material_load_tls() does so as well. */
void material_count_certificates(const struct material *material);

/*
 * The same for the texts of lib/notice.h. One that cannot be read or used is replaced by the
 * built-in one, with a line in the log: mail does not wait for it. Returns 0, or -1 with one
 * sentence in error_r when there is no memory.
 */
int material_load_texts(struct material *material, char *error_r, size_t error_size);

/*
 * The same for the authorities. A file that cannot be read is a line in the log: the rest of the
 * service needs none. Returns 0, or -1 with one sentence in error_r when there is no memory.
 */
int material_load_authorities(struct material *material, char *error_r, size_t error_size);

#endif
