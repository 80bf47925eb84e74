/* A stored of another version is found out before anything is asked of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/channel.h"
#include "lib/log.h"
#include "lib/storehello.h"
#include "lib/storemsg.h"

static struct channel_message message_of(const struct store_hello *hello)
{
    return (struct channel_message){
        .type = STORE_HELLO_IS, .payload = hello, .length = sizeof(*hello)};
}

static void our_own_version_is_good(void **state)
{
    const struct store_hello hello = {.version = STORE_VERSION};
    struct channel_message message = message_of(&hello);
    (void)state;

    assert_int_equal(storehello_take(&message), 0);
    message.length--;
    assert_int_equal(storehello_take(&message), -1);
    message.length++;
    message.type = STORE_PONG;
    assert_int_equal(storehello_take(&message), -1);
}

/* The process ends, and whoever waits for it gets the sentence that is in the log. */
static void another_version_ends_the_process(void **state)
{
    const struct store_hello hello = {.version = STORE_VERSION + 7};
    const struct channel_message message = message_of(&hello);
    char sentence[256] = "";
    int ends[2], status;
    (void)state;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        log_report_to(ends[1]);
        (void)storehello_take(&message);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_true(read(ends[0], sentence, sizeof(sentence) - 1) > 1);
    assert_non_null(strstr(sentence, "of its messages and this program version"));
    assert_non_null(strstr(sentence, "restart"));
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_version_is_good),
        cmocka_unit_test(another_version_ends_the_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
