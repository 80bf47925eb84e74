#ifndef CLI_TLSFOLDER_H
#define CLI_TLSFOLDER_H

#include "lib/certbundle.h"

/*
 * The certificates of an instance: cert.pem with key.pem in tls/, the default one, and one in each
 * folder in it, or in what a link there leads to, as fullchain.pem with privkey.pem (the names that
 * certbot gives; its cert.pem lacks the chain) or else as cert.pem with key.pem. What is no folder
 * and what begins with a dot is left alone.
 */

/*
 * Reads them (the instance is the working directory) and adds them to the writer, the default one
 * first. Calls `bad` for each that cannot be used, with the label that it would have (its folder)
 * and a sentence that says what to do; one that is in `old` (NULL: nothing is) under that label is
 * taken from there instead, which `kept` tells. An entry of `old` whose files have not changed is
 * taken over without reading them. Returns 0, or -1 when the default one could not be read:
 * nothing stands for it then.
 */
int tlsfolder_read(struct certwriter *writer, const struct certbundle *old,
                   void (*bad)(void *context, const char *label, const char *sentence, bool kept),
                   void *context);

/*
 * Whether somebody should know something of an entry that is used all the same: it has expired or
 * will soon (`now`: seconds since 1970), or does not serve one of its names. A clause for after the
 * certificate's place goes to text_r.
 */
bool tlsfolder_remark(const struct certbundle *bundle, uint32_t number, int64_t now, char *text_r,
                      size_t size);

#endif
