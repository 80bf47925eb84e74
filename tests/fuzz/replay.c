/*
 * Runs a target over the files that are its arguments. Built with any compiler; with clang,
 * libFuzzer's own main() takes its place.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

#define FILE_MAX (1024 * 1024)

/* For targets that prepare nothing. */
__attribute__((weak)) int LLVMFuzzerInitialize(const int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    return 0;
}

/* The octets have memory of their own, so that a sanitizer sees who reads behind them. */
static uint8_t *read_whole(const char *path, size_t *size_r)
{
    static uint8_t room[FILE_MAX];
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        perror(path);
        exit(1);
    }
    *size_r = fread(room, 1, sizeof(room), file);
    fclose(file);
    uint8_t *octets = malloc(*size_r > 0 ? *size_r : 1);
    if (octets == NULL)
        abort();
    for (size_t i = 0; i < *size_r; i++)
        octets[i] = room[i];
    return octets;
}

int main(int count, char *arguments[])
{
    /* Before the target changes the folder. */
    uint8_t **inputs = calloc((size_t)count, sizeof(inputs[0]));
    size_t *sizes = calloc((size_t)count, sizeof(sizes[0]));

    if (count < 2 || inputs == NULL || sizes == NULL) {
        (void)fprintf(stderr, "usage: %s FILE...\n", count > 0 ? arguments[0] : "replay");
        return 2;
    }
    for (int i = 1; i < count; i++)
        inputs[i] = read_whole(arguments[i], &sizes[i]);
    LLVMFuzzerInitialize(&count, &arguments);
    for (int i = 1; i < count; i++) {
        if (getenv("REPLAY_NAMES") != NULL)
            (void)fprintf(stderr, "%s\n", arguments[i]);
        LLVMFuzzerTestOneInput(inputs[i], sizes[i]);
        free(inputs[i]);
    }
    free(inputs);
    free(sizes);
    return 0;
}
