#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/instance.h"
#include "cli/material.h"
#include "cli/share.h"
#include "cli/tlsfolder.h"
#include "lib/certbundle.h"
#include "lib/child.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/notice.h"
#include "lib/owner.h"
#include "lib/xalloc.h"

/* As much as lib/conf.c takes, and one octet to see that there is more. */
#define CONF_SIZE_MAX (64 * 1024 + 1)

/* Debian's file has 220 KiB. */
#define AUTHORITIES_MAX (4 * 1024 * 1024)

void material_init(struct material *material)
{
    memset(material, 0, sizeof(*material));
    material->conf_text = -1;
    material->tls = -1;
    material->authorities = -1;
    for (unsigned i = 0; i < LANGUAGE__MAX; i++)
        material->texts[i] = -1;
}

static int publish(int *fd, const char *name, const char *content, size_t length)
{
    if (*fd >= 0)
        return share_write(*fd, content, length);
    *fd = share_new(name, content, length);
    return *fd < 0 ? -1 : 0;
}

static long read_conf_file(char *text_r)
{
    int fd = open(INSTANCE_CONF, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    long length = child_read(fd, text_r, CONF_SIZE_MAX);
    int error = errno;
    close(fd);
    errno = error;
    return length;
}

/* The text that was checked is the text that is handed on, whatever happens to the file. */
int material_load_conf(struct material *material, char *error_r, size_t error_size)
{
    char text[CONF_SIZE_MAX];
    char reason[384];
    struct conf conf;

    long length = read_conf_file(text);
    if (length < 0) {
        snprintf(error_r, error_size, "cannot read " INSTANCE_CONF ": %s", strerror(errno));
        return -1;
    }
    if (length == CONF_SIZE_MAX) {
        snprintf(error_r, error_size, INSTANCE_CONF " is longer than %d octets", CONF_SIZE_MAX - 1);
        return -1;
    }
    if (conf_parse(&conf, text, (size_t)length, reason, sizeof(reason)) < 0) {
        snprintf(error_r, error_size, INSTANCE_CONF ": %s", reason);
        return -1;
    }
    if (publish(&material->conf_text, "bellhop-conf", text, (size_t)length) < 0) {
        snprintf(error_r, error_size, "cannot keep the configuration in memory: %s",
                 strerror(errno));
        return -1;
    }
    material->conf = conf;
    return 0;
}

/* What is wrong with the default certificate. */
struct complaint {
    char *error_r;
    size_t error_size;
};

static void on_bad(void *context, const char *label, const char *sentence, bool kept)
{
    const struct complaint *complaint = context;

    if (strcmp(label, INSTANCE_TLS) == 0)
        snprintf(complaint->error_r, complaint->error_size, "%s", sentence);
    else if (kept)
        log_error("the certificate of %s/ stays as it was: %s", label, sentence);
    else
        log_error("the certificate of %s/ is left out: %s", label, sentence);
}

static void remark(int fd)
{
    struct certbundle *bundle = certbundle_open(fd);
    const int64_t now = time(NULL);
    struct certbundle_entry entry;
    char text[1024];

    for (uint32_t i = 0; bundle != NULL && i < certbundle_count(bundle); i++)
        if (tlsfolder_remark(bundle, i, now, text, sizeof(text)) &&
            certbundle_entry(bundle, i, &entry))
            log_warning("the certificate of %s/: %s", entry.label, text);
    certbundle_close(bundle);
}

void material_count_certificates(const struct material *material)
{
    struct certbundle *bundle = certbundle_open(material->tls);
    uint32_t count = bundle != NULL ? certbundle_count(bundle) : 0;
    struct certbundle_entry entry;
    int64_t first = INT64_MAX;

    for (uint32_t i = 0; i < count; i++)
        if (certbundle_entry(bundle, i, &entry) && entry.not_after < first)
            first = entry.not_after;
    metric_set(METRIC_CERTIFICATES, count);
    metric_set(METRIC_CERTIFICATES_EXPIRE, first);
    certbundle_close(bundle);
}

int material_load_tls(struct material *material, char *error_r, size_t error_size)
{
    struct complaint complaint = {error_r, error_size};
    int result = -1;

    error_r[0] = '\0';
    if (material->tls < 0 && (material->tls = share_new("bellhop-tls", NULL, 0)) < 0) {
        snprintf(error_r, error_size, "cannot keep the certificates in memory: %s",
                 strerror(errno));
        return -1;
    }
    struct certwriter *writer = certwriter_begin(material->tls);
    struct certbundle *old = certbundle_open(material->tls);
    if (tlsfolder_read(writer, old, on_bad, &complaint) < 0)
        certwriter_cancel(writer);
    else
        result = certwriter_end(writer, time(NULL));
    if (result < 0 && error_r[0] == '\0')
        snprintf(error_r, error_size, "cannot keep the certificates in memory: %s",
                 strerror(errno));
    certbundle_close(old);
    if (result == 0) {
        remark(material->tls);
        material_count_certificates(material);
    }
    return error_r[0] == '\0' ? 0 : -1;
}

/* Into text_r, which has room for NOTICE_TEXT_MAX octets and one more. Returns the octets, or -1.
 */
static long read_text(const char *name, char *text_r, char *reason_r, size_t reason_size)
{
    struct notice notice;
    long length = -1;

    int fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0)
        length = child_read(fd, text_r, NOTICE_TEXT_MAX + 1);
    if (length < 0)
        snprintf(reason_r, reason_size, "it cannot be read: %s", strerror(errno));
    else if (notice_parse(&notice, text_r, (size_t)length, reason_r, reason_size) < 0)
        length = -1;
    if (fd >= 0)
        close(fd);
    return length;
}

static int load_text(struct material *material, enum language language)
{
    char text[NOTICE_TEXT_MAX + 1];
    char name[64];
    char reason[256];
    const char *used = text;

    snprintf(name, sizeof(name), INSTANCE_TEXT, language_code(language));
    long length = read_text(name, text, reason, sizeof(reason));
    if (length < 0) {
        log_error("%s: %s; the built-in text is used instead", name, reason);
        used = notice_builtin(language);
        length = (long)strlen(used);
    }
    return publish(&material->texts[language], "bellhop-text", used, (size_t)length);
}

int material_load_texts(struct material *material, char *error_r, size_t error_size)
{
    for (unsigned i = 0; i < LANGUAGE__MAX; i++)
        if (load_text(material, (enum language)i) < 0) {
            snprintf(error_r, error_size, "cannot keep the texts in memory: %s", strerror(errno));
            return -1;
        }
    return 0;
}

/*
 * With the owner's rights: what it names is the owner's to choose. Into text_r, which has room for
 * AUTHORITIES_MAX octets. Returns the octets, or -1.
 */
static long read_authorities(const char *path, char *text_r)
{
    owner_begin();
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    owner_end();
    if (fd < 0)
        return -1;
    long length = child_read(fd, text_r, AUTHORITIES_MAX);
    int error = errno;
    close(fd);
    errno = length == AUTHORITIES_MAX ? EFBIG : error;
    return length == AUTHORITIES_MAX ? -1 : length;
}

int material_load_authorities(struct material *material, char *error_r, size_t error_size)
{
    const char *path = material->conf.fetch_authorities;
    char *text = xmalloc(AUTHORITIES_MAX);

    long length = read_authorities(path, text);
    if (length < 0) {
        log_warning("fetch_authorities: cannot read %s: %s", path, strerror(errno));
        length = 0;
    }
    int result = publish(&material->authorities, "bellhop-authorities", text, (size_t)length);
    if (result < 0)
        snprintf(error_r, error_size, "cannot keep the authorities in memory: %s", strerror(errno));
    free(text);
    return result;
}
