/* The configuration: every setting is written, read back and judged; every mistake names its line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf.h"

static void a_written_file_reads_back(void **state)
{
    struct conf conf, again;
    char *text = NULL, error[256];
    size_t length;
    (void)state;

    conf_default(&conf);
    conf.segment_size = 8 << 20;
    conf.pop3_idle = 1200;
    conf.cleartext_login = true;
    conf.suspended = CONF_SUSPENDED_REFUSE;
    snprintf(conf.hostname, sizeof(conf.hostname), "mail.example");
    snprintf(conf.pop3_proxy_networks, sizeof(conf.pop3_proxy_networks), "::1 10.0.0.0/8");
    FILE *file = open_memstream(&text, &length);
    assert_int_equal(conf_write(&conf, file), 0);
    fclose(file);
    assert_int_equal(conf_parse(&again, text, length, error, sizeof(error)), 0);
    assert_memory_equal(&conf, &again, sizeof(conf));
    free(text);
}

static const struct {
    const char *text;
    const char *error; /* a part of it; NULL: it is taken */
} texts[] = {
    {"", NULL},
    {"# only a comment\n\n", NULL},
    {"pop3_idle = 600\r\n", NULL},
    {"  pop3_idle=700 # at least ten minutes", NULL},
    {"segment_size = 64M\n", NULL},
    {"pop3_idle = 599\n", "line 1: pop3_idle takes a number from 600 to 86400, not \"599\""},
    {"\npop3_idle = ten\n", "line 2: pop3_idle takes a number"},
    {"pop3_idle = -1\n", "takes a number"},
    {"pop3_idle = 99999999999999999999999\n", "takes a number"},
    {"pop3_idle = 600s\n", "takes a number"},
    {"segment_size = 64X\n", "takes a size"},
    {"segment_size = 99999999999G\n", "takes a size"},
    {"segment_size = 64MB\n", "takes a size"},
    {"cleartext_login = maybe\n", "takes yes or no, not \"maybe\""},
    {"suspended = later\n", "takes defer, refuse or keep"},
    {"pop3_proxy_networks =\n", NULL},
    {"pop3_xclient_networks = 127.0.0.1, ::1\n", NULL},
    {"pop3_proxy_networks = 192.0.2.1 2001:db8::/32\n", NULL},
    {"pop3_proxy_networks = haproxy\n",
     "pop3_proxy_networks takes addresses and networks like 192.0.2.1 10.0.0.0/8, not \"haproxy\""},
    {"page_url = https://mail.example.net/pages/\nsmtp_server = smtp.example.net:465\n", NULL},
    {"page_url =\nsmtp_server =\n", NULL},
    {"page_url = mail.example.net\n", "page_url takes an address like https://"},
    {"page_url = https://\n", "page_url takes"},
    {"page_url = https://a.example/?b\n", "page_url takes"},
    {"page_url = javascript:alert(1)\n", "page_url takes"},
    {"page_url = https://a.example/\"><b>\n", "page_url takes"},
    {"page_url = https://a.example/b c\n", "page_url takes"},
    {"smtp_server = smtp.example.net\n", "smtp_server takes a server like mail.example.net:995"},
    {"smtp_server = smtp.example.net:0\n", "smtp_server takes"},
    {"smtp_server = smtp.example.net:65536\n", "smtp_server takes"},
    {"pop3_server = <b>:995\n", "pop3_server takes"},
    {"pop3_server = :995\n", "pop3_server takes"},
    {"pop3_server = a.example:995x\n", "pop3_server takes"},
    {"hostname =\n", "takes 1 to 255 octets of text"},
    {"hostname\n", "line 1: write it as \"name = value\""},
    {"pop4_listen = *:110\n", "there is no setting \"pop4_listen\""},
};

static void every_mistake_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct conf conf;
        char error[256] = "";

        conf_default(&conf);
        conf.pop3_idle = 4711; /* stays when nothing is taken */
        int result = conf_parse(&conf, texts[i].text, strlen(texts[i].text), error, sizeof(error));
        if (texts[i].error == NULL) {
            assert_int_equal(result, 0);
            assert_int_not_equal(conf.pop3_idle, 4711);
            continue;
        }
        assert_int_equal(result, -1);
        assert_int_equal(conf.pop3_idle, 4711);
        if (strstr(error, texts[i].error) == NULL)
            fail_msg("\"%s\" does not hold \"%s\"", error, texts[i].error);
    }
}

static void a_nul_is_no_text(void **state)
{
    struct conf conf;
    char error[256];
    (void)state;

    assert_int_equal(conf_parse(&conf, "pop3_idle\0= 600\n", 16, error, sizeof(error)), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_written_file_reads_back),
        cmocka_unit_test(every_mistake_is_told),
        cmocka_unit_test(a_nul_is_no_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
