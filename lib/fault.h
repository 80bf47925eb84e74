#ifndef LIB_FAULT_H
#define LIB_FAULT_H

#include <errno.h>
#include <stdbool.h>

/*
 * Named points at which a test lets a program die or a call fail; docs/HACKING.md says how. They
 * are there with -DBELLHOP_FAULTS only (`make faults`) and nothing at all in any other build.
 *
 * A test arms points in the file run/fault of the instance, one a line:
 *
 *   commit.synced 3 kill          at the third pass the program kills itself, as kill -9 would
 *   segment.write 1 error EIO     at the first pass the call fails, once, with this errno
 *   index.commit 1 failing EIO    it fails from then on, until the line is gone
 *
 * A count is kept in the file as well, and a line is taken out before it fires: what is started
 * again goes on. One process at a time may pass the points of a file.
 */

/* Passes the point. Returns 0, or the errno with which the call behind it is to fail (errno, too).
 */
int fault_pass(const char *point);

/* As fault_pass(), where nothing can fail. */
void fault_die_at(const char *point);

/* A place to die at; and a call, which returns 0 or an errno, before which to die or fail. */
#ifdef BELLHOP_FAULTS
#define fault_point(point)     fault_die_at(point)
#define fault_try(point, call) (fault_pass(point) != 0 ? errno : (call))
#else
#define fault_point(point)     ((void)0)
#define fault_try(point, call) (call)
#endif

/* Builds for tests, which must be confined less (lib/confine.c, lib/callfilter.c). */
#ifdef BELLHOP_FAULTS
#define FAULTS true
#else
#define FAULTS false
#endif
#ifdef BELLHOP_SANITIZED
#define SANITIZED true
#else
#define SANITIZED false
#endif

#endif
