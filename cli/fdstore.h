#ifndef CLI_FDSTORE_H
#define CLI_FDSTORE_H

/*
 * What authd remembers, kept by systemd while the service is restarted: in the unit's file
 * descriptor store (sd_pid_notify_with_fds(3)), which it has with FileDescriptorStoreMax=1.
 */

/* What the last service has left, which is out of the store then; -1: nothing. */
int fdstore_take(void);

/* Leaves this for the next one. Without systemd, or such a store, nothing happens. */
void fdstore_put(int fd);

#endif
