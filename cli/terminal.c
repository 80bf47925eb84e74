#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "cli/terminal.h"

/* Signals that would leave the terminal without echo if they ended the program. */
static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static ssize_t read_line(char *text_r, size_t size)
{
    size_t length = 0;

    while (length < size && interrupted == 0) {
        ssize_t got = read(STDIN_FILENO, text_r + length, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        if (text_r[length++] == '\n')
            return (ssize_t)length;
    }
    return -1;
}

ssize_t terminal_ask(const char *prompt, char *text_r, size_t size)
{
    struct sigaction old_actions[SIGNALS];
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: read() shall end */
    struct termios shown;
    ssize_t length = -1;

    if (tcgetattr(STDIN_FILENO, &shown) < 0)
        return -1;
    interrupted = 0;
    for (size_t i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &action, &old_actions[i]);
    struct termios hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    hidden.c_lflag |= ICANON;
    /* What was typed before the question was asked is no answer to it. */
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) == 0) {
        fputs(prompt, stderr);
        length = read_line(text_r, size);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    }
    fputc('\n', stderr);
    for (size_t i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &old_actions[i], NULL);
    return length;
}
