#ifndef LIB_QRCODE_H
#define LIB_QRCODE_H

#include <stdio.h>

#define QRCODE_TEXT_MAX 1024 /* octets */

/*
 * Writes a text of up to QRCODE_TEXT_MAX octets as a QR code (ISO/IEC 18004, error correction M) in
 * SVG for an HTML page: one black path on white, with the four modules of white around it that a
 * reader needs. How large it is shown is the page's business.
 */
void qrcode_write(FILE *file, const char *text);

#endif
