#ifndef LIB_VERSION_H
#define LIB_VERSION_H

/* What `bellhop --version` says, and /metrics. */
#ifndef BELLHOP_VERSION
#define BELLHOP_VERSION "0.1"
#endif

#endif
