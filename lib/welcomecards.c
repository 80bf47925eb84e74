#include "lib/welcomecards.h"

#include <string.h>
#include <time.h>

#include "lib/qrcode.h"

struct words {
    const char *title;
    const char *note; /* on the screen, not on paper */
    const char *address;
    const char *choose;
    const char *until; /* and a date */
    const char *pop3;
    const char *smtp;
    const char *port;
};

static const struct words words[LANGUAGE__MAX] = {
    [LANGUAGE_EN] = {"Welcome to your mailbox",
                     "Print this page and then delete it: each link opens a mailbox.",
                     "Address, and user name",
                     "Choose your password: scan the code, or open this link", "Good once, until",
                     "Incoming mail (POP3)", "Outgoing mail (SMTP)", "port"},
    [LANGUAGE_DE] = {"Willkommen in Ihrem Postfach",
                     "Drucken Sie diese Seite und löschen Sie sie dann: Jeder Link öffnet ein "
                     "Postfach.",
                     "Adresse und Benutzername",
                     "Wählen Sie Ihr Passwort: Code scannen oder diesen Link öffnen",
                     "Einmal gültig, bis", "Posteingang (POP3)", "Postausgang (SMTP)", "Port"},
    [LANGUAGE_FR] = {"Bienvenue dans votre boîte aux lettres",
                     "Imprimez cette page, puis supprimez-la : chaque lien ouvre une boîte.",
                     "Adresse et nom d’utilisateur",
                     "Choisissez votre mot de passe : scannez le code ou ouvrez ce lien",
                     "Valable une fois, jusqu’au", "Courrier entrant (POP3)",
                     "Courrier sortant (SMTP)", "port"},
    [LANGUAGE_ES] = {"Le damos la bienvenida a su buzón",
                     "Imprima esta página y después elimínela: cada enlace abre un buzón.",
                     "Dirección y nombre de usuario",
                     "Elija su contraseña: escanee el código o abra este enlace",
                     "Válido una vez, hasta el", "Correo entrante (POP3)", "Correo saliente (SMTP)",
                     "puerto"},
    [LANGUAGE_IT] = {"Le diamo il benvenuto nella Sua casella di posta",
                     "Stampi questa pagina e poi la elimini: ogni link apre una casella.",
                     "Indirizzo e nome utente",
                     "Scelga la password: scansioni il codice o apra questo link",
                     "Valido una volta, fino al", "Posta in arrivo (POP3)",
                     "Posta in uscita (SMTP)", "porta"},
    [LANGUAGE_NL] = {"Welkom in uw postvak",
                     "Druk deze pagina af en verwijder haar daarna: elke link opent een postvak.",
                     "Adres en gebruikersnaam",
                     "Kies uw wachtwoord: scan de code of open deze link",
                     "Eenmaal geldig, tot en met", "Inkomende mail (POP3)", "Uitgaande mail (SMTP)",
                     "poort"},
    [LANGUAGE_PT] = {"Damos-lhe as boas-vindas à sua caixa de correio",
                     "Imprima esta página e depois elimine-a: cada ligação abre uma caixa.",
                     "Endereço e nome de utilizador",
                     "Escolha a sua palavra-passe: leia o código ou abra esta ligação",
                     "Válida uma vez, até", "Correio recebido (POP3)", "Correio enviado (SMTP)",
                     "porta"},
};

/*
 * Four rows of 64 mm are 256 mm: less than the 259 mm that Letter leaves, and two cards of 95 mm
 * less than the 190 mm of A4. A row grows with a long address and is never parted. Borders are
 * printed also by browsers that leave out backgrounds.
 */
static const char style[] =
    "@page{margin:10mm}"
    "*{box-sizing:border-box}"
    "body{margin:0;font:7.5pt/1.3 Helvetica,Arial,sans-serif;color:#000;background:#fff}"
    ".note{margin:3mm;font-size:11pt}"
    "@media print{.note{display:none}}"
    ".row{display:flex;width:190mm;min-height:64mm;break-inside:avoid}"
    ".card{width:95mm;padding:3.5mm;border:.2mm dashed #888;overflow-wrap:anywhere}"
    ".top{display:flex;justify-content:space-between}"
    "svg{flex:none;width:29mm;height:29mm}"
    "h2{margin:0 0 1mm;font-size:9.5pt}"
    "p{margin:0 0 1mm}"
    "b{display:block;font-size:9pt}"
    "code{display:block;font-size:7pt}"
    "small{color:#444;font-size:7pt}";

/* One octet at a time: those of UTF-8 characters mean nothing in HTML. */
static void escape(FILE *file, const char *text)
{
    for (; *text != '\0'; text++)
        switch (*text) {
        case '&': fputs("&amp;", file); break;
        case '<': fputs("&lt;", file); break;
        case '>': fputs("&gt;", file); break;
        case '"': fputs("&quot;", file); break;
        case '\'': fputs("&#39;", file); break;
        default: fputc(*text, file);
        }
}

static void element(FILE *file, const char *name, const char *text)
{
    fprintf(file, "<%s>", name);
    escape(file, text);
    fprintf(file, "</%s>", name);
}

/* Ports that begin in the clear; at any other TLS comes first (RFC 8314). */
static const char *encryption(const char *port)
{
    static const char *const upgraded[] = {"110", "25", "587"};

    for (size_t i = 0; i < sizeof(upgraded) / sizeof(upgraded[0]); i++)
        if (strcmp(port, upgraded[i]) == 0)
            return "STARTTLS";
    return "SSL/TLS";
}

static void write_server(FILE *file, const struct words *say, const char *title, const char *server)
{
    const char *colon = strrchr(server, ':');

    if (colon == NULL)
        return;
    fputs("<p>", file);
    element(file, "small", title);
    fprintf(file, " %.*s, %s&nbsp;%s, %s</p>", (int)(colon - server), server, say->port, colon + 1,
            encryption(colon + 1));
}

void welcomecards_begin(struct welcomecards *cards)
{
    const struct words *say = &words[cards->language];

    fprintf(cards->file,
            "<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"referrer\" content=\"no-referrer\">\n"
            "<meta http-equiv=\"Content-Security-Policy\""
            " content=\"" WELCOMECARDS_POLICY "\">\n<title>",
            language_code(cards->language));
    escape(cards->file, cards->customer);
    fprintf(cards->file, "</title>\n<style>%s</style>\n</head>\n<body>\n<p class=\"note\">%s</p>\n",
            style, say->note);
}

static void write_until(FILE *file, const struct words *say, uint64_t until)
{
    char date[16] = "";
    time_t time = (time_t)until;
    struct tm utc;

    if (gmtime_r(&time, &utc) != NULL)
        (void)strftime(date, sizeof(date), "%Y-%m-%d", &utc);
    fprintf(file, "<small>%s %s</small>", say->until, date);
}

void welcomecards_add(struct welcomecards *cards, const struct welcomecard *card)
{
    const struct words *say = &words[card->language];
    FILE *file = cards->file;

    fputs(cards->count % 2 == 0 ? "<div class=\"row\">\n" : "", file);
    fprintf(file, "<div class=\"card\" lang=\"%s\"><div class=\"top\"><div>",
            language_code(card->language));
    element(file, "h2", say->title);
    fputs("<p>", file);
    escape(file, cards->customer);
    fputs(card->name[0] != '\0' ? "<br>" : "", file);
    escape(file, card->name);
    fputs("</p><p>", file);
    element(file, "small", say->address);
    element(file, "b", card->address);
    fputs("</p></div>", file);
    qrcode_write(file, card->link);
    fputs("</div><p>", file);
    element(file, "small", say->choose);
    element(file, "code", card->link);
    write_until(file, say, card->until);
    fputs("</p>", file);
    write_server(file, say, say->pop3, cards->pop3_server);
    if (card->sending)
        write_server(file, say, say->smtp, cards->smtp_server);
    fputs("</div>\n", file);
    fputs(cards->count % 2 == 1 ? "</div>\n" : "", file);
    cards->count++;
}

void welcomecards_end(struct welcomecards *cards)
{
    fputs(cards->count % 2 == 1 ? "</div>\n" : "", cards->file);
    fputs("</body>\n</html>\n", cards->file);
}
