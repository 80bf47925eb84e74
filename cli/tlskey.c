#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/tlskey.h"

/* Nobody sits at the terminal of a server: this keeps OpenSSL from asking for a password. */
static char no_password[] = "";

/* Reads a whole file into a buffer of TLSKEY_SIZE_MAX octets. Returns its length or -1 (errno). */
static ssize_t read_file(const char *path, char *buffer_r)
{
    size_t length = 0;
    ssize_t got = 1;

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    while (got > 0 && length < TLSKEY_SIZE_MAX) {
        got = read(fd, buffer_r + length, TLSKEY_SIZE_MAX - length);
        if (got > 0)
            length += (size_t)got;
    }
    int error = got < 0 ? errno : EFBIG;
    close(fd);
    errno = error;
    return got == 0 ? (ssize_t)length : -1;
}

static BIO *open_file(const char *path, const char *what, char *buffer, char *error_r,
                      size_t error_size)
{
    ssize_t length = read_file(path, buffer);

    if (length < 0) {
        snprintf(error_r, error_size, "cannot read %s: %s; put %s there, in PEM form", path,
                 strerror(errno), what);
        return NULL;
    }
    BIO *file = BIO_new_mem_buf(buffer, (int)length);
    if (file == NULL)
        snprintf(error_r, error_size, "cannot read %s: out of memory", path);
    return file;
}

/* Copies all certificates of a file to the output; returns the first one, or NULL. */
static X509 *copy_chain(BIO *file, BIO *output)
{
    X509 *first = NULL;
    X509 *next;

    while ((next = PEM_read_bio_X509(file, NULL, NULL, no_password)) != NULL) {
        PEM_write_bio_X509(output, next);
        if (first == NULL)
            first = next;
        else
            X509_free(next);
    }
    return first;
}

static int load(BIO *output, BIO *certificate_file, BIO *key_file, struct tlskey *tlskey_r,
                const char *certificate_path, const char *key_path, char *error_r,
                size_t error_size)
{
    int result = -1;
    EVP_PKEY *key = NULL;

    X509 *certificate = copy_chain(certificate_file, output);
    if (certificate == NULL) {
        snprintf(error_r, error_size,
                 "%s holds no certificate; put the server's certificate and its chain there, in "
                 "PEM form",
                 certificate_path);
        goto out;
    }
    key = PEM_read_bio_PrivateKey(key_file, NULL, NULL, no_password);
    if (key == NULL) {
        snprintf(error_r, error_size,
                 "%s holds no private key that can be read; put it there in PEM form, not "
                 "encrypted",
                 key_path);
        goto out;
    }
    if (X509_check_private_key(certificate, key) != 1) {
        snprintf(error_r, error_size,
                 "the key in %s does not belong to the first certificate in %s; put both files "
                 "there from one issue",
                 key_path, certificate_path);
        goto out;
    }
    tlskey_r->expired = X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0;
    if (PEM_write_bio_PrivateKey(output, key, NULL, NULL, 0, NULL, NULL) == 1)
        result = 0;
    else
        snprintf(error_r, error_size, "cannot copy the key in %s: out of memory", key_path);
out:
    EVP_PKEY_free(key);
    X509_free(certificate);
    ERR_clear_error();
    return result;
}

/* Both files are parsed and written anew, so that pop3d sees one form, whatever else is in them. */
int tlskey_load(struct tlskey *tlskey_r, const char *certificate_path, const char *key_path,
                char *error_r, size_t error_size)
{
    char certificate_text[TLSKEY_SIZE_MAX];
    char key_text[TLSKEY_SIZE_MAX];
    BIO *key_file = NULL;
    BIO *output = NULL;
    int result = -1;

    tlskey_r->length = 0;
    BIO *certificate_file = open_file(certificate_path, "the server's certificate and its chain",
                                      certificate_text, error_r, error_size);
    if (certificate_file == NULL)
        goto out;
    key_file = open_file(key_path, "the private key", key_text, error_r, error_size);
    if (key_file == NULL)
        goto out;
    /* OpenSSL wipes what a memory BIO held when it is freed. */
    output = BIO_new(BIO_s_mem());
    if (output == NULL || load(output, certificate_file, key_file, tlskey_r, certificate_path,
                               key_path, error_r, error_size) < 0)
        goto out;
    int length = BIO_read(output, tlskey_r->pem, TLSKEY_SIZE_MAX);
    if (length > 0 && BIO_pending(output) == 0) {
        tlskey_r->length = (size_t)length;
        result = 0;
    } else {
        snprintf(error_r, error_size, "%s and %s are longer than %d octets together",
                 certificate_path, key_path, TLSKEY_SIZE_MAX);
    }
out:
    BIO_free(output);
    BIO_free(key_file);
    BIO_free(certificate_file);
    sodium_memzero(key_text, sizeof(key_text));
    sodium_memzero(certificate_text, sizeof(certificate_text));
    return result;
}

void tlskey_wipe(struct tlskey *tlskey)
{
    sodium_memzero(tlskey, sizeof(*tlskey));
}
