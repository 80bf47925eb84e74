#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/number.h"
#include "cli/progress.h"
#include "lib/clock.h"
#include "lib/xalloc.h"

/* Seconds between two drawings, and between two lines where nobody can draw. */
#define DRAW_PAUSE 0.2
#define LINE_PAUSE 10.0

/* Before this many seconds a rate says nothing about what is to come. */
#define RATE_SECONDS 1.0

#define BAR 20

struct progress {
    const char *title;
    enum progress_unit unit;
    uint64_t done, total;
    bool terminal, asked;
    double began, shown; /* seconds on the monotonic clock */
};

static double now(void)
{
    return (double)clock_microseconds() / 1e6;
}

static void format_amount(enum progress_unit unit, uint64_t amount, char text_r[NUMBER_SIZE_TEXT])
{
    if (unit == PROGRESS_OCTETS)
        number_format_size(amount, text_r);
    else
        snprintf(text_r, NUMBER_SIZE_TEXT, "%" PRIu64, amount);
}

static void format_left(double seconds, char *text_r, size_t size)
{
    unsigned long whole = seconds < 359999 ? (unsigned long)seconds : 359999;

    if (whole >= 3600)
        snprintf(text_r, size, ", %lu:%02lu:%02lu left", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(text_r, size, ", %lu:%02lu left", whole / 60, whole % 60);
}

static void format_bar(unsigned percent, char text_r[BAR + 1])
{
    unsigned filled = percent * BAR / 100;

    memset(text_r, '.', BAR);
    memset(text_r, '=', filled);
    text_r[BAR] = '\0';
}

void progress_format(const char *title, enum progress_unit unit, uint64_t done, uint64_t total,
                     double seconds, char text_r[PROGRESS_TEXT])
{
    const char *noun = unit == PROGRESS_MESSAGES ? " messages" : "";
    char amount[NUMBER_SIZE_TEXT], rate[NUMBER_SIZE_TEXT] = "", left[32] = "", bar[BAR + 1];
    double per_second = seconds >= RATE_SECONDS ? (double)done / seconds : 0;

    format_amount(unit, done, amount);
    if (per_second >= 1)
        format_amount(unit, (uint64_t)per_second, rate);
    if (total > 0 && per_second > 0 && done < total)
        format_left((double)(total - done) / per_second, left, sizeof(left));
    const char *comma = rate[0] != '\0' ? ", " : "", *slash = rate[0] != '\0' ? "/s" : "";
    if (total == 0) {
        snprintf(text_r, PROGRESS_TEXT, "%s %s%s%s%s%s", title, amount, noun, comma, rate, slash);
        return;
    }
    /* A message may have come since the total was asked for. */
    unsigned percent = done < total ? (unsigned)((double)done / (double)total * 100) : 100;
    format_bar(percent, bar);
    if (unit == PROGRESS_PERCENT) {
        snprintf(text_r, PROGRESS_TEXT, "%s [%s] %u%%", title, bar, percent);
        return;
    }
    snprintf(text_r, PROGRESS_TEXT, "%s [%s] %u%% %s%s%s%s%s%s", title, bar, percent, amount, noun,
             comma, rate, slash, left);
}

static void show(struct progress *progress, double time)
{
    char text[PROGRESS_TEXT];

    progress->shown = time;
    progress_format(progress->title, progress->unit, progress->done, progress->total,
                    time - progress->began, text);
    /* What anybody else writes goes over the line, not behind it. */
    fprintf(stderr, progress->terminal ? "%s\033[K\r" : "%s\n", text);
    fflush(stderr);
}

struct progress *progress_begin(const char *title, enum progress_unit unit, uint64_t total,
                                bool asked)
{
    struct progress *progress = xcalloc(1, sizeof(*progress));

    progress->title = title;
    progress->unit = unit;
    progress->total = total;
    progress->terminal = isatty(STDERR_FILENO) == 1;
    progress->asked = asked;
    progress->began = progress->shown = now();
    if (progress->terminal)
        show(progress, progress->began);
    return progress;
}

void progress_add(struct progress *progress, uint64_t amount)
{
    progress->done += amount;
    if (!progress->terminal && !progress->asked)
        return;
    double time = now();
    if (time - progress->shown >= (progress->terminal ? DRAW_PAUSE : LINE_PAUSE))
        show(progress, time);
}

void progress_end(struct progress *progress)
{
    if (progress == NULL)
        return;
    if (progress->terminal)
        fputs("\033[K", stderr);
    else if (progress->asked)
        show(progress, now());
    free(progress);
}
