#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/owner.h"

/* The folder's own group may be that of a mail server, which is let in so; store/ has the owner's.
 */
static struct stat look(void)
{
    struct stat folder;
    struct stat store;

    if (stat(".", &folder) < 0)
        log_fatal("cannot see whose the instance is: %s", strerror(errno));
    if (stat("store", &store) == 0)
        folder.st_gid = store.st_gid;
    return folder;
}

bool owner_is_root(void)
{
    return geteuid() == 0 && look().st_uid == 0;
}

/* The names of files open a lot to root without any privilege; nothing else is left to it. */
static int drop_privileges(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

    return (int)syscall(SYS_capset, &header, none);
}

/* Root without privileges, as in many a container, cannot; where it stays root it keeps them. */
static int leave_groups(const struct stat *folder)
{
    return setgroups(0, NULL) == 0 || (errno == EPERM && folder->st_uid == 0) ? 0 : -1;
}

void owner_become(void)
{
    const pid_t parent = getppid();
    int wanted = 0;

    if (geteuid() != 0)
        return;
    const struct stat folder = look();
    /* To change the user takes this back. */
    prctl(PR_GET_PDEATHSIG, &wanted);
    if (leave_groups(&folder) < 0 || setresgid(folder.st_gid, folder.st_gid, folder.st_gid) < 0 ||
        setresuid(folder.st_uid, folder.st_uid, folder.st_uid) < 0 || drop_privileges() < 0 ||
        prctl(PR_SET_PDEATHSIG, wanted) < 0)
        log_fatal("cannot become the owner of the instance, user %u: %s", (unsigned)folder.st_uid,
                  strerror(errno));
    if (wanted != 0 && getppid() != parent)
        exit(1);
}

void owner_begin(void)
{
    if (geteuid() != 0)
        return;
    const struct stat folder = look();
    if (setegid(folder.st_gid) < 0 || seteuid(folder.st_uid) < 0)
        log_fatal("cannot work as the owner of the instance, user %u: %s", (unsigned)folder.st_uid,
                  strerror(errno));
}

void owner_end(void)
{
    const int error = errno;

    if (getuid() != 0)
        return;
    if (seteuid(0) < 0 || setegid(getgid()) < 0)
        log_fatal("cannot be root again: %s", strerror(errno));
    errno = error;
}
