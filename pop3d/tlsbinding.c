#include "pop3d/tlsbinding.h"

bool tls_can_bind(const SSL *tls)
{
    return tls != NULL && SSL_version(tls) == TLS1_3_VERSION;
}

int tls_binding(SSL *tls, uint8_t binding_r[TLS_BINDING_SIZE])
{
    static const char label[] = "EXPORTER-Channel-Binding";

    return SSL_export_keying_material(tls, binding_r, TLS_BINDING_SIZE, label, sizeof(label) - 1,
                                      NULL, 0, 0) == 1
               ? 0
               : -1;
}
