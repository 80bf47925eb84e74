#include <idn2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <stringprep.h>

#include "lib/search.h"

/* Of nameprep, which knows how long the table is, these two steps; neither leaves nothing. */
static void find_steps(Stringprep_profile steps_r[3])
{
    unsigned count = 0;

    memset(steps_r, 0, 3 * sizeof(*steps_r));
    for (const Stringprep_profile *step = stringprep_nameprep; step->operation != 0; step++)
        if (count < 2 &&
            (step->table == stringprep_rfc3454_B_2 || step->operation == STRINGPREP_NFKC))
            steps_r[count++] = *step;
}

/* Most texts are ASCII, for which libidn is slow. What it does not take stays as it is. */
static void fold(char folded_r[SEARCH_FOLDED_SIZE], const char *text)
{
    Stringprep_profile steps[3];
    bool ascii = true;

    snprintf(folded_r, SEARCH_TEXT_MAX + 1, "%s", text);
    for (char *c = folded_r; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
        ascii = ascii && (unsigned char)*c < 0x80;
    }
    if (ascii)
        return;
    find_steps(steps);
    (void)stringprep(folded_r, SEARCH_FOLDED_SIZE, 0, steps);
}

void search_begin(struct search *search_r, const char *part)
{
    fold(search_r->folded, part == NULL ? "" : part);
}

bool search_fits(const struct search *search, const char *text)
{
    char folded[SEARCH_FOLDED_SIZE];

    if (search->folded[0] == '\0')
        return true;
    fold(folded, text);
    return strstr(folded, search->folded) != NULL;
}

bool search_fits_address(const struct search *search, const char *text)
{
    const char *at = strrchr(text, '@');
    const char *domain = at == NULL ? text : at + 1;
    char written[SEARCH_TEXT_MAX + 1];
    char *unicode = NULL;

    if (search_fits(search, text))
        return true;
    if (strstr(domain, "xn--") == NULL || idn2_to_unicode_8z8z(domain, &unicode, 0) != IDN2_OK)
        return false;
    snprintf(written, sizeof(written), "%.*s%s", (int)(domain - text), text, unicode);
    idn2_free(unicode);
    return search_fits(search, written);
}
