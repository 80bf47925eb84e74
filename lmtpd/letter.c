#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/utf8.h"
#include "lib/xalloc.h"
#include "lmtpd/letter.h"
#include "lmtpd/trace.h"

/* Octets in a line of quoted-printable text: RFC 2045 section 6.7. */
#define QUOTED_LINE_MAX 76

/* Octets of text in an encoded word, which has 75 in all (RFC 2047 section 2); the first one shares
 * its line with the field's name. */
#define WORD_ROOM       63
#define FIRST_WORD_ROOM (WORD_ROOM - (sizeof("Subject: ") - 1))

void letter_size(uint64_t octets, enum language language, char text_r[LETTER_SIZE_MAX])
{
    static const char prefixes[] = {'K', 'M', 'G', 'T'};
    const char octet = language == LANGUAGE_FR ? 'o' : 'B';
    unsigned unit = 0;
    uint64_t one = 1024;

    while (unit < 3 && octets >= 1024 * one) {
        one *= 1024;
        unit++;
    }
    uint64_t tenths = octets / one * 10 + octets % one * 10 / one;
    if (tenths == 0 && octets > 0)
        tenths = 1;
    if (tenths % 10 == 0 || tenths >= 1000)
        snprintf(text_r, LETTER_SIZE_MAX, "%" PRIu64 " %c%c", tenths / 10, prefixes[unit], octet);
    else
        snprintf(text_r, LETTER_SIZE_MAX, "%" PRIu64 "%c%" PRIu64 " %c%c", tenths / 10,
                 language == LANGUAGE_EN ? '.' : ',', tenths % 10, prefixes[unit], octet);
}

static uint64_t percent(uint64_t used, uint64_t quota)
{
    /* Of such quotas nothing is lost before the point. */
    if (quota > UINT64_MAX / 1000)
        return used / (quota / 100);
    return quota > 0 ? used * 100 / quota : 100;
}

static bool is_plain(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return length <= FIRST_WORD_ROOM;
}

static bool is_letter_or_digit(unsigned char octet)
{
    return (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z') ||
           (octet >= '0' && octet <= '9');
}

/* One character in the Q encoding, into at most 12 octets. Returns how many. */
static size_t encode_character(const char *text, size_t length, char *encoded_r)
{
    size_t done = 0;

    for (size_t i = 0; i < length; i++) {
        unsigned char octet = (unsigned char)text[i];
        if (is_letter_or_digit(octet))
            encoded_r[done++] = text[i];
        else if (octet == ' ')
            encoded_r[done++] = '_';
        else
            done += (size_t)snprintf(encoded_r + done, 4, "=%02X", octet);
    }
    return done;
}

/* RFC 2047: no character is split between two words. */
static void write_subject(const char *text, size_t length, FILE *file)
{
    size_t room = FIRST_WORD_ROOM;
    uint32_t character;
    char encoded[16];

    fputs("Subject: ", file);
    if (is_plain(text, length)) {
        fwrite(text, 1, length, file);
        fputs("\r\n", file);
        return;
    }
    fputs("=?UTF-8?Q?", file);
    while (length > 0) {
        size_t size = utf8_decode(text, length, &character);
        size = size > 0 ? size : 1;
        size_t needed = encode_character(text, size, encoded);
        if (needed > room) {
            fputs("?=\r\n =?UTF-8?Q?", file);
            room = WORD_ROOM;
        }
        fwrite(encoded, 1, needed, file);
        room -= needed;
        text += size;
        length -= size;
    }
    fputs("?=\r\n", file);
}

/* RFC 2045 section 6.7: one line of text, without its end. */
static void write_quoted_line(const char *text, size_t length, FILE *file)
{
    size_t column = 0;

    for (size_t i = 0; i < length; i++) {
        unsigned char octet = (unsigned char)text[i];
        bool blank = octet == ' ' || octet == '\t';
        bool as_it_is = blank ? i + 1 < length : octet > ' ' && octet <= '~' && octet != '=';
        size_t needed = as_it_is ? 1 : 3;
        if (column + needed > QUOTED_LINE_MAX - 1) {
            fputs("=\r\n", file);
            column = 0;
        }
        if (as_it_is)
            fputc(octet, file);
        else
            fprintf(file, "=%02X", octet);
        column += needed;
    }
    fputs("\r\n", file);
}

static void write_body(const char *text, size_t length, FILE *file)
{
    while (length > 0) {
        const char *newline = memchr(text, '\n', length);
        size_t line = newline != NULL ? (size_t)(newline - text) : length;
        size_t shown = line > 0 && text[line - 1] == '\r' ? line - 1 : line;
        write_quoted_line(text, shown, file);
        line += newline != NULL;
        text += line;
        length -= line;
    }
}

static FILE *open_memory(char **text_r, size_t *length_r)
{
    FILE *file = open_memstream(text_r, length_r);

    if (file == NULL)
        log_fatal("out of memory");
    return file;
}

static char *fill_in(const char *text, size_t length, const char *const values[NOTICE_VALUES],
                     size_t *length_r)
{
    char *filled;
    FILE *file = open_memory(&filled, length_r);

    notice_write(text, length, values, file);
    if (fclose(file) != 0)
        log_fatal("out of memory");
    return filled;
}

static void write_head(const struct db_owner *owner, const char *hostname, time_t now, FILE *file)
{
    char domain[ADDRESS_DOMAIN_MAX + 1];
    char date[TRACE_DATE_SIZE];
    char id[33];
    uint8_t random[16];
    const char *error;

    if (address_parse_domain(domain, hostname, strlen(hostname), &error) < 0)
        memcpy(domain, owner->address.domain, sizeof(domain));
    trace_format_date(now, date);
    randombytes_buf(random, sizeof(random));
    sodium_bin2hex(id, sizeof(id), random, sizeof(random));
    fprintf(file,
            "Return-Path: <>\r\n"
            "From: <postmaster@%s>\r\n"
            "To: <%s>\r\n"
            "Date: %s\r\n"
            "Message-ID: <%s@%s>\r\n"
            "Auto-Submitted: auto-generated\r\n"
            "MIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n",
            domain, owner->address.text, date, id, domain);
}

char *letter_format(const struct letter *letter, const struct db_owner *owner,
                    const struct notice *notice, const char *hostname, time_t now, size_t *length_r)
{
    char used[LETTER_SIZE_MAX], quota[LETTER_SIZE_MAX], messages[24], most[24], full[24];
    uint64_t of_octets = percent(letter->octets, letter->quota_octets);
    uint64_t of_messages = percent(letter->messages, letter->quota_messages);
    const char *const values[NOTICE_VALUES] = {
        [NOTICE_ADDRESS] = owner->address.text,
        [NOTICE_PERCENT] = full,
        [NOTICE_USED] = used,
        [NOTICE_QUOTA] = quota,
        [NOTICE_MESSAGES] = messages,
        [NOTICE_MESSAGE_QUOTA] = most,
    };
    size_t subject_length, body_length;
    char *message;

    letter_size(letter->octets, owner->language, used);
    letter_size(letter->quota_octets, owner->language, quota);
    snprintf(messages, sizeof(messages), "%" PRIu64, letter->messages);
    snprintf(most, sizeof(most), "%" PRIu64, letter->quota_messages);
    snprintf(full, sizeof(full), "%" PRIu64, of_octets > of_messages ? of_octets : of_messages);
    char *subject = fill_in(notice->subject, notice->subject_length, values, &subject_length);
    char *body = fill_in(notice->body, notice->body_length, values, &body_length);
    FILE *file = open_memory(&message, length_r);
    write_head(owner, hostname, now, file);
    write_subject(subject, subject_length, file);
    fputs("\r\n", file);
    write_body(body, body_length, file);
    if (fclose(file) != 0)
        log_fatal("out of memory");
    free(subject);
    free(body);
    return message;
}
