#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/instance.h"
#include "cli/remoteaccounts.h"
#include "db/audit.h"
#include "db/db.h"

int instance_enter(struct instance *instance)
{
    const char *directory = instance->directory;
    char error[512];

    if (chdir(directory) < 0) {
        if (errno == EACCES)
            refuse("you may not enter %s; run bellhop as the instance's user, or as root",
                   directory);
        else
            refuse("cannot enter the instance %s: %s; \"bellhop init %s\" makes one", directory,
                   strerror(errno), directory);
        return -1;
    }
    if (access(INSTANCE_CONF, F_OK) < 0 && errno == ENOENT) {
        refuse("%s is no instance, for it has no " INSTANCE_CONF
               "; make one with \"bellhop init DIR\" and name it with -C DIR",
               directory);
        return -1;
    }
    if (instance_read_conf(&instance->conf, error, sizeof(error)) < 0) {
        refuse("%s/%s", directory, error);
        return -1;
    }
    return instance->restoring ? 0 : instance_check_whole(directory);
}

int instance_check_whole(const char *directory)
{
    if (access(INSTANCE_UNFINISHED, F_OK) < 0)
        return 0;
    refuse("a restore of %s is under way or was interrupted: run \"bellhop restore\" again with "
           "the same files, and it begins anew",
           directory);
    return -1;
}

int instance_read_conf(struct conf *conf_r, char *error_r, size_t error_size)
{
    char reason[384];

    int fd = open(INSTANCE_CONF, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        snprintf(error_r, error_size, INSTANCE_CONF ": cannot read it: %s%s", strerror(errno),
                 errno == EACCES ? "; run bellhop as the instance's user, or as root" : "");
        return -1;
    }
    int result = conf_read(conf_r, fd, reason, sizeof(reason));
    if (result < 0)
        snprintf(error_r, error_size, INSTANCE_CONF ": %s", reason);
    close(fd);
    return result;
}

struct db *instance_open_database(struct instance *instance)
{
    if (instance->server.url != NULL) {
        accounts = &accounts_remote;
        return remoteaccounts_open(&instance->server);
    }
    return instance_enter(instance) < 0 ? NULL : instance_database(instance);
}

struct db *instance_database(const struct instance *instance)
{
    char error[512];
    char actor[64];

    struct db *db = db_open(INSTANCE_DATABASE, DB_WRITE, error, sizeof(error));
    if (db == NULL) {
        refuse("%s: %s", instance->directory, error);
        return NULL;
    }
    snprintf(actor, sizeof(actor), "bellhop uid=%u", (unsigned)getuid());
    db_audit_actor(db, actor);
    const char *terminal = ttyname(STDIN_FILENO);
    db_audit_source(db, terminal != NULL ? terminal : "", "");
    return db;
}
