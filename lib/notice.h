#ifndef LIB_NOTICE_H
#define LIB_NOTICE_H

#include <stddef.h>
#include <stdio.h>

#include "lib/language.h"

/*
 * The text of the warning that a mailbox is nearly full, one for each language: UTF-8, the first
 * line "Subject: ...", then the message. Operators edit it (texts/quota-warning.LANG.txt of an
 * instance); the built-in ones are in the folder texts/ of the sources. Placeholders stand for what
 * differs from mailbox to mailbox.
 */

#define NOTICE_TEXT_MAX    (16 * 1024) /* octets */
#define NOTICE_SUBJECT_MAX 200         /* octets, with its placeholders */

/* In the text: the name in braces, like {address}. */
enum notice_value {
    NOTICE_ADDRESS,       /* the mailbox's own */
    NOTICE_PERCENT,       /* how full it is, of octets or of messages, whichever is more */
    NOTICE_USED,          /* octets, as people read them: "1.5 GB" */
    NOTICE_QUOTA,         /* the same */
    NOTICE_MESSAGES,      /* how many there are */
    NOTICE_MESSAGE_QUOTA, /* how many there may be */
    NOTICE_VALUES
};

/* Points into the text. */
struct notice {
    const char *subject;
    size_t subject_length;
    const char *body;
    size_t body_length;
};

/* Text that notice_parse() takes. */
const char *notice_builtin(enum language language);

/* Returns 0, or -1 with one sentence in error_r that says what is wrong where. */
int notice_parse(struct notice *notice_r, const char *text, size_t length, char *error_r,
                 size_t error_size);

/* Writes a part of a notice with its placeholders replaced. */
void notice_write(const char *text, size_t length, const char *const values[NOTICE_VALUES],
                  FILE *file);

#endif
