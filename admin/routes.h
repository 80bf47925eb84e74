#ifndef ADMIN_ROUTES_H
#define ADMIN_ROUTES_H

#include "admin/route.h"

/* Everything that admin serves. */
extern const struct route routes[];
extern const size_t routes_count;

#endif
