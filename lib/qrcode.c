#include "lib/qrcode.h"

#include <qrencode.h>
#include <stdint.h>
#include <string.h>

#include "lib/log.h"

#define QUIET 4 /* modules, ISO/IEC 18004 section 9.1 */

/* The dark modules of a row that stand side by side are one stroke. */
static void write_row(FILE *file, const unsigned char *row, int width, int y)
{
    int x = 0;

    while (x < width) {
        int from = x;
        while (x < width && (row[x] & 1) != 0)
            x++;
        if (x > from)
            fprintf(file, "M%d %dh%dv1H%dz", from + QUIET, y + QUIET, x - from, from + QUIET);
        else
            x++;
    }
}

void qrcode_write(FILE *file, const char *text)
{
    QRcode *code =
        QRcode_encodeData((int)strlen(text), (const unsigned char *)text, 0, QR_ECLEVEL_M);

    /* The text fits, by contract, so there was no memory. */
    if (code == NULL)
        log_fatal("out of memory");
    int size = code->width + 2 * QUIET;
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\""
            " shape-rendering=\"crispEdges\" role=\"img\">"
            "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/><path d=\"",
            size, size, size, size);
    for (int y = 0; y < code->width; y++)
        write_row(file, code->data + (size_t)y * (size_t)code->width, code->width, y);
    fputs("\"/></svg>", file);
    QRcode_free(code);
}
