#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/instance.h"
#include "cli/material.h"
#include "cli/share.h"
#include "cli/tlskey.h"
#include "lib/child.h"
#include "lib/log.h"

/* As much as lib/conf.c takes, and one octet to see that there is more. */
#define CONF_SIZE_MAX (64 * 1024 + 1)

void material_init(struct material *material)
{
    memset(material, 0, sizeof(*material));
    material->conf_text = -1;
    material->tls = -1;
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

int material_load_tls(struct material *material, char *error_r, size_t error_size)
{
    struct tlskey tlskey;
    int result = tlskey_load(&tlskey, INSTANCE_CERTIFICATE, INSTANCE_KEY, error_r, error_size);

    if (result == 0 && tlskey.expired)
        log_warning("the certificate in " INSTANCE_CERTIFICATE
                    " has expired: mail programs will refuse it; renew it and send SIGHUP");
    if (result == 0 && publish(&material->tls, "bellhop-tls", tlskey.pem, tlskey.length) < 0) {
        snprintf(error_r, error_size, "cannot keep the TLS key in memory: %s", strerror(errno));
        result = -1;
    }
    tlskey_wipe(&tlskey);
    return result;
}
