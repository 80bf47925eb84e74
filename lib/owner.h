#ifndef LIB_OWNER_H
#define LIB_OWNER_H

#include <stdbool.h>

/*
 * Whose an instance is: the owner of its folder, which is the working directory. What root does in
 * one that is another user's is done as that user.
 */

/* Whether root would work here as root: this process is root's and so is the folder. */
bool owner_is_root(void);

/*
 * Where this process is root's: becomes the owner, with the group of store/ and no other, for good.
 * Where the owner is root, it keeps nothing of root's privileges but the name (and its groups, if
 * it has no privileges to begin with). The signal at the
 * parent's death stays as it was. Ends the program when that fails.
 */
void owner_become(void);

/*
 * Where this process is root's: what it opens or makes between these two, it does with the rights
 * of the owner and the group of store/. So it is the owner's; and where the owner has put a link,
 * root touches nothing that the owner could not. errno stays. Ends the program when that fails.
 */
void owner_begin(void);
void owner_end(void);

#endif
