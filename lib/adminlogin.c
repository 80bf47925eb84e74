#include "lib/adminlogin.h"

#include <stdio.h>
#include <string.h>

static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
static const char others[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_";

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

int adminlogin_parse_name(char name_r[ADMINLOGIN_NAME_MAX + 1], const char *text,
                          const char **error_r)
{
    size_t length = strnlen(text, ADMINLOGIN_NAME_MAX + 1);
    for (size_t i = 0; i < length && i < ADMINLOGIN_NAME_MAX; i++) {
        name_r[i] = lower(text[i]);
    }
    if (length > 0 && length <= ADMINLOGIN_NAME_MAX) {
        name_r[length] = '\0';
        if (strchr(first, name_r[0]) != NULL && strspn(name_r, others) == length) {
            return 0;
        }
    }
    *error_r =
        "the name of a login is 1 to 64 letters, digits, \".\", \"-\" and \"_\" of ASCII, the "
        "first a letter or a digit";
    return -1;
}

int adminlogin_parse(char login_r[ADMINLOGIN_MAX + 1], const char *text)
{
    char part[ADMINLOGIN_NAME_MAX + 1];
    char name[ADMINLOGIN_NAME_MAX + 1];
    const char *error;
    size_t length = strcspn(text, "@");
    const char *customer = text + length;
    if (length >= sizeof(part)) {
        return -1;
    }
    memcpy(part, text, length);
    part[length] = '\0';
    size_t digits = *customer == '@' ? strspn(customer + 1, "0123456789") : 0;
    if (adminlogin_parse_name(name, part, &error) < 0 ||
        (*customer == '@' && (digits == 0 || digits > 18 || customer[1 + digits] != '\0'))) {
        return -1;
    }
    snprintf(login_r, ADMINLOGIN_MAX + 1, "%s%s", name, customer);
    return 0;
}
