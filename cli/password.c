#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <sodium.h>

#include "cli/command.h"
#include "cli/file.h"
#include "cli/listing.h"
#include "cli/password.h"
#include "cli/terminal.h"
#include "lib/apppassword.h"
#include "lib/invitation.h"
#include "lib/text.h"

/* What another server takes as a password, and what can be sent to it in a line. */
static const char *check_foreign(const char *text, size_t length)
{
    if (length == 0 || length > PASSWORD_ROOM)
        return length == 0 ? "no password was given" : "the password is too long";
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return "the password holds a control character (a tab or a newline, for example)";
    return NULL;
}

/* The length without the newline. */
static size_t line_length(const char *text, size_t length)
{
    if (length > 0 && text[length - 1] == '\n') {
        length--;
        if (length > 0 && text[length - 1] == '\r')
            length--;
    }
    return length;
}

/* Cuts off the newline and keeps the rest as a password; of another server where `owner` is NULL.
 */
static int take(struct password *password_r, const char *text, size_t length,
                const struct passwordrule_owner *owner)
{
    length = line_length(text, length);
    const char *error =
        owner != NULL ? passwordrule_check(text, length, owner) : check_foreign(text, length);
    if (error != NULL)
        return refuse("%s", error);
    memcpy(password_r->text, text, length);
    password_r->text[length] = '\0';
    password_r->length = length;
    return EXIT_DONE;
}

static int read_input(struct password *password_r, const struct passwordrule_owner *owner)
{
    char *text;

    /* Enough for the longest password with its newline, and to see that one is longer. */
    ssize_t length = file_read(STDIN_FILENO, PASSWORD_ROOM + 3, &text);
    if (length < 0 && errno == EFBIG)
        return refuse("%s", password_check("", PASSWORD_MOST + 1));
    if (length < 0)
        return refuse("cannot read the password from standard input: %s", strerror(errno));
    int result = take(password_r, text, (size_t)length, owner);
    sodium_memzero(text, (size_t)length);
    free(text);
    return result;
}

int password_read(struct password *password_r, const struct passwordrule_owner *owner)
{
    return read_input(password_r, owner);
}

int password_read_foreign(struct password *password_r)
{
    return read_input(password_r, NULL);
}

static int take_kept(struct password_kept *kept_r, char *text, size_t length)
{
    const char *error = "the hash holds a NUL octet";

    kept_r->scram[0] = '\0';
    length = line_length(text, length);
    text[length] = '\0';
    if (strlen(text) == length && storedhash_import(kept_r->hash, text, &error) == 0)
        return EXIT_DONE;
    return refuse("%s", error);
}

int password_read_kept(struct password_kept *kept_r)
{
    char *text;

    ssize_t length = file_read(STDIN_FILENO, STOREDHASH_MAX + 3, &text);
    if (length < 0 && errno == EFBIG)
        return refuse("the hash is longer than %d octets", STOREDHASH_MAX);
    if (length < 0)
        return refuse("cannot read the hash from standard input: %s", strerror(errno));
    int result = take_kept(kept_r, text, (size_t)length);
    sodium_memzero(text, (size_t)length);
    free(text);
    return result;
}

int password_ask_foreign(const char *prompt, struct password *password_r)
{
    char text[PASSWORD_ROOM + 3];
    int result = EXIT_REFUSED;

    ssize_t length = terminal_ask(prompt, text, sizeof(text));
    if (length < 0)
        refuse("no password was typed; nothing was done");
    else
        result = take(password_r, text, (size_t)length, NULL);
    sodium_memzero(text, sizeof(text));
    return result;
}

int password_ask(struct password *password_r, const struct passwordrule_owner *owner)
{
    char first[PASSWORD_ROOM + 3];
    char second[sizeof(first)];
    int result = EXIT_REFUSED;

    ssize_t length = terminal_ask("Password: ", first, sizeof(first));
    ssize_t again = length < 0 ? -1 : terminal_ask("The same again: ", second, sizeof(second));
    if (again < 0)
        refuse("no password was typed; nothing was changed");
    else if (length != again || memcmp(first, second, (size_t)length) != 0)
        refuse("the two passwords differ; nothing was changed");
    else
        result = take(password_r, first, (size_t)length, owner);
    sodium_memzero(first, sizeof(first));
    sodium_memzero(second, sizeof(second));
    return result;
}

int password_show(const char *label, const char *secret)
{
    const struct iovec parts[] = {{(void *)label, strlen(label)},
                                  {(void *)": ", 2},
                                  {(void *)secret, strlen(secret)},
                                  {(void *)"\n", 1}};

    if (fflush(stdout) != 0 || writev(STDOUT_FILENO, parts, 4) < 0)
        return refuse("cannot write the secret to standard output; set another one");
    return EXIT_DONE;
}

void password_draw_invitation(struct drawn_invitation *drawn_r, const struct conf *conf)
{
    invitation_draw(&drawn_r->invitation);
    drawn_r->link[0] = '\0';
    if (conf->page_url[0] != '\0')
        invitation_link(drawn_r->link, conf->page_url, &drawn_r->invitation);
}

int password_show_invitation(struct drawn_invitation *drawn)
{
    int done = password_show("invitation", drawn->invitation.token);

    if (done == EXIT_DONE && drawn->link[0] != '\0')
        done = password_show("link", drawn->link);
    if (done == EXIT_DONE) {
        json_t *until = listing_time(drawn->invitation.until);
        printf("valid until: %s\n", json_string_value(until));
        json_decref(until);
    }
    sodium_memzero(drawn, sizeof(*drawn));
    return done;
}

void login_wipe(struct login *login)
{
    sodium_memzero(login, sizeof(*login));
}
