/*
 * usage: inject PID CALL [ARGUMENT...] [+ CALL [ARGUMENT...]]...
 *
 * Lets a running process make a system call, as code that has taken it over would: stops it where
 * it waits in one, puts another in its place, and lets it go on as if nothing had been. An argument
 * is a number (0x for hexadecimal), a text after "=", or octets in hexadecimal after "@", of which
 * the call gets the address. Several calls are made one right after the other.
 *
 * Prints what came of each: a number, negative for an errno; "signal N" when it has ended the
 * process. Status 77 when processes may not be traced here.
 */
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_HERE 77

#ifdef __x86_64__

#define CALL_INSTRUCTION 0x050fU
#define CALL_SIZE        2U

/* Where texts go: far below the stack in use, frames of signals included. */
#define TEXTS_BELOW 65536U
#define TEXT_SIZE   256U

#define ARGUMENTS_MAX 6

static void fail(const char *what)
{
    fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
    exit(errno == EPERM ? NOT_HERE : 1);
}

static int wait_for(pid_t process)
{
    int status;

    if (waitpid(process, &status, __WALL) < 0)
        fail("waitpid");
    return status;
}

/* Stops the process in a system call; it waits for events in one nearly all of the time. */
static void stop_in_call(pid_t process, struct user_regs_struct *registers_r)
{
    for (;;) {
        if (ptrace(PTRACE_ATTACH, process, NULL, NULL) < 0)
            fail("attach");
        wait_for(process);
        if (ptrace(PTRACE_GETREGS, process, NULL, registers_r) < 0)
            fail("registers");
        long code = ptrace(PTRACE_PEEKTEXT, process, registers_r->rip - CALL_SIZE, NULL);
        if ((code & 0xffff) == CALL_INSTRUCTION && (long long)registers_r->orig_rax >= 0)
            return;
        ptrace(PTRACE_DETACH, process, NULL, NULL);
        usleep(10000);
    }
}

static size_t read_octets(uint8_t *octets_r, const char *text)
{
    size_t length = 0;

    for (; length < TEXT_SIZE && text[0] != '\0' && text[1] != '\0'; text += 2) {
        const char digits[] = {text[0], text[1], '\0'};
        octets_r[length++] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return length;
}

static void put(pid_t process, uint64_t at, const uint8_t octets[TEXT_SIZE])
{
    for (size_t i = 0; i < TEXT_SIZE; i += sizeof(long)) {
        long word;
        memcpy(&word, octets + i, sizeof(word));
        if (ptrace(PTRACE_POKEDATA, process, at + i, word) < 0)
            fail("write");
    }
}

static uint64_t argument(pid_t process, const char *text, uint64_t room)
{
    uint8_t octets[TEXT_SIZE] = {0};

    if (text[0] == '=')
        snprintf((char *)octets, sizeof(octets), "%s", text + 1);
    else if (text[0] == '@')
        read_octets(octets, text + 1);
    else
        return strtoull(text, NULL, 0);
    put(process, room, octets);
    return room;
}

/* Until the call has come back, through the handler of a signal if it raises one. */
static void step_through(pid_t process, uint64_t back, uint64_t stack)
{
    struct user_regs_struct registers;
    int number = 0;

    do {
        ptrace(PTRACE_SINGLESTEP, process, NULL, number);
        int status = wait_for(process);
        if (WIFSIGNALED(status)) {
            printf("signal %d\n", WTERMSIG(status));
            exit(0);
        }
        number = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
        if (ptrace(PTRACE_GETREGS, process, NULL, &registers) < 0)
            fail("registers");
    } while (number != 0 || registers.rip != back || registers.rsp != stack);
    printf("%lld\n", (long long)registers.rax);
}

/* Makes the call that begins the list; returns where the next one does, or NULL. */
static char **make_call(pid_t process, const struct user_regs_struct *before, char **words)
{
    const uint64_t room = (before->rsp - TEXTS_BELOW) & ~(uint64_t)15;
    struct user_regs_struct registers = *before;
    unsigned long long values[ARGUMENTS_MAX] = {0};
    char **word = words + 1;

    for (size_t i = 0; *word != NULL && strcmp(*word, "+") != 0; i++, word++) {
        if (i == ARGUMENTS_MAX)
            exit(2);
        values[i] = argument(process, *word, room + i * TEXT_SIZE);
    }
    registers.rip -= CALL_SIZE;
    registers.orig_rax = ~0ULL; /* so that the call it was in is not begun again now */
    registers.rax = (unsigned long long)seccomp_syscall_resolve_name(words[0]);
    registers.rdi = values[0];
    registers.rsi = values[1];
    registers.rdx = values[2];
    registers.r10 = values[3];
    registers.r8 = values[4];
    registers.r9 = values[5];
    if (ptrace(PTRACE_SETREGS, process, NULL, &registers) < 0)
        fail("registers");
    step_through(process, before->rip, before->rsp);
    return *word != NULL ? word + 1 : NULL;
}

int main(int argc, char **argv)
{
    struct user_regs_struct before;

    if (argc < 3)
        return 2;
    const pid_t process = (pid_t)strtol(argv[1], NULL, 10);
    stop_in_call(process, &before);
    for (char **words = argv + 2; words != NULL;)
        words = make_call(process, &before, words);
    ptrace(PTRACE_SETREGS, process, NULL, &before);
    ptrace(PTRACE_DETACH, process, NULL, NULL);
    return 0;
}

#else

int main(void)
{
    return NOT_HERE;
}

#endif
