#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fetchd/authorities.h"
#include "lib/child.h"
#include "lib/log.h"
#include "lib/xalloc.h"

struct authorities {
    X509_STORE *store; /* NULL before the first use */
};

#define BEGINNING "-----BEGIN "

/* The file's text, to be freed, and its length; 0: there is none. */
static char *read_file(size_t *length_r)
{
    const int fd = child_descriptor("authorities", 0);
    struct stat status;
    char *text = NULL;

    *length_r = 0;
    if (fd < 0 || fstat(fd, &status) < 0 || status.st_size == 0)
        return NULL;
    text = xmalloc((size_t)status.st_size);
    long length = child_read(fd, text, (size_t)status.st_size);
    *length_r = length > 0 ? (size_t)length : 0;
    return text;
}

static unsigned take_all(X509_STORE *store, const char *text, size_t length)
{
    unsigned count = 0;

    BIO *memory = BIO_new_mem_buf(text, (int)length);
    STACK_OF(X509_INFO) *found = PEM_X509_INFO_read_bio(memory, NULL, NULL, NULL);
    for (int i = 0; i < sk_X509_INFO_num(found); i++) {
        const X509_INFO *info = sk_X509_INFO_value(found, i);
        if (info->x509 != NULL && X509_STORE_add_cert(store, info->x509) == 1)
            count++;
    }
    sk_X509_INFO_pop_free(found, X509_INFO_free);
    BIO_free(memory);
    ERR_clear_error();
    return count;
}

static void warn(void)
{
    log_warning("there are no certificates of authorities in the file that fetch_authorities "
                "names, so nothing can be fetched; Debian's package is ca-certificates");
}

/* Takes some 40 ms for what Debian brings. */
static X509_STORE *make_store(void)
{
    X509_STORE *store = X509_STORE_new();
    size_t length;

    if (store == NULL)
        log_fatal("out of memory");
    char *text = read_file(&length);
    if (length == 0 || take_all(store, text, length) == 0)
        warn();
    free(text);
    return store;
}

struct authorities *authorities_new(void)
{
    size_t length;

    char *text = read_file(&length);
    if (length == 0 || memmem(text, length, BEGINNING, strlen(BEGINNING)) == NULL)
        warn();
    free(text);
    return xcalloc(1, sizeof(struct authorities));
}

void authorities_free(struct authorities *authorities)
{
    if (authorities == NULL)
        return;
    X509_STORE_free(authorities->store);
    free(authorities);
}

void authorities_use(struct authorities *authorities, void *context)
{
    if (authorities->store == NULL)
        authorities->store = make_store();
    SSL_CTX_set1_cert_store(context, authorities->store);
}
