#ifndef ADMIN_PLANPREVIEW_H
#define ADMIN_PLANPREVIEW_H

#include "admin/field.h"
#include "admin/route.h"

/* /api/v1/customers/{customer}/plan-preview: what another plan would mean (db/overplan.h). */

extern const struct parameter plan_preview_parameters[];

void plan_preview_show(struct admin *admin, struct request *request);

#endif
