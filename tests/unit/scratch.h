#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

/*
 * A folder of its own for a test, in TMPDIR or /tmp: made and entered, left and removed with all
 * that is in it.
 * For cmocka's set-up and tear-down.
 */
int scratch_enter(void **state);
int scratch_leave(void **state);

#endif
