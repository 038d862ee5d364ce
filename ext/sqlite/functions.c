/*
** Scalar functions. None opens files; all are deterministic and innocuous. NULL in
** any argument gives NULL.
**
**   ip4_num(text)          the address as a number; NULL if it is none
**   ip4_text(number)       dotted text; NULL outside 0..2^32-1
**   ip4_in(addr, cidr)     1 or 0; addr is text or a number, NULL if it is no address;
**                          an error if cidr is no network
**   ip4_prefix(addr, bits) the network as 'a.b.c.d/bits'; an error unless bits is 0..32
**   protocol_name(number)  IANA keyword, or the number as text; NULL outside 0..255
**   tcp_flags_text(number) eight letters CEUAPRSF, '.' where the bit is clear; NULL outside 0..255
**   earlgrey_version()     version text
*/
#include "earlgrey.h"
#include "flow/schema.h"
#include "sqlite/sql_tables.h"

#include <string.h>

/* An address given as text or number. */
static bool read_address(sqlite3_value *value, uint32_t *addr) {
    if (sqlite3_value_type(value) == SQLITE_INTEGER) {
        int64_t n = sqlite3_value_int64(value);
        *addr = (uint32_t)n;
        return n >= 0 && n <= UINT32_MAX;
    }
    if (sqlite3_value_type(value) != SQLITE_TEXT)
        return false;
    const char *text = (const char *)sqlite3_value_text(value);
    return text != NULL && eg_ip4_parse(text, (size_t)sqlite3_value_bytes(value), addr);
}

/* An integer of 0..255 from a value that is one. */
static bool read_octet(sqlite3_value *value, uint8_t *n) {
    if (sqlite3_value_numeric_type(value) != SQLITE_INTEGER)
        return false;
    int64_t v = sqlite3_value_int64(value);
    *n = (uint8_t)v;
    return v >= 0 && v <= 255;
}

static void ip4_num(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    (void)argc;
    uint32_t addr;
    if (read_address(argv[0], &addr))
        sqlite3_result_int64(ctx, addr);
}

static void ip4_text(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    (void)argc;
    uint32_t addr;
    char text[EG_IP4_TEXT_MAX];
    if (sqlite3_value_numeric_type(argv[0]) == SQLITE_INTEGER && read_address(argv[0], &addr))
        sqlite3_result_text(ctx, text, (int)eg_ip4_format(addr, text), SQLITE_TRANSIENT);
}

void eg_sql_ip4_in(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    (void)argc;
    uint32_t addr, first, last;
    if (sqlite3_value_type(argv[0]) == SQLITE_NULL || sqlite3_value_type(argv[1]) == SQLITE_NULL)
        return;
    const char *cidr = (const char *)sqlite3_value_text(argv[1]);
    if (cidr == NULL) {
        sqlite3_result_error_nomem(ctx);
    } else if (!eg_cidr_parse(cidr, (size_t)sqlite3_value_bytes(argv[1]), &first, &last)) {
        char *message =
            sqlite3_mprintf("ip4_in: '%.80s' is no network: expected a form like 10.0.0.0/8", cidr);
        sqlite3_result_error(ctx, message ? message : "ip4_in: no network", -1);
        sqlite3_free(message);
    } else if (read_address(argv[0], &addr)) {
        sqlite3_result_int(ctx, addr >= first && addr <= last);
    }
}

static void ip4_prefix(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    (void)argc;
    uint32_t addr;
    if (sqlite3_value_type(argv[0]) == SQLITE_NULL || sqlite3_value_type(argv[1]) == SQLITE_NULL)
        return;
    int64_t bits = sqlite3_value_int64(argv[1]);
    if (sqlite3_value_numeric_type(argv[1]) != SQLITE_INTEGER || bits < 0 || bits > 32) {
        sqlite3_result_error(ctx, "ip4_prefix: expected a prefix length of 0 to 32", -1);
        return;
    }
    if (!read_address(argv[0], &addr))
        return;
    char text[EG_IP4_TEXT_MAX];
    eg_ip4_format(bits == 0 ? 0 : addr & (~UINT32_C(0) << (32 - bits)), text);
    char *network = sqlite3_mprintf("%s/%d", text, (int)bits);
    if (network == NULL)
        sqlite3_result_error_nomem(ctx);
    else
        sqlite3_result_text(ctx, network, -1, sqlite3_free);
}

static void protocol_name(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    (void)argc;
    uint8_t proto;
    char text[EG_PROTO_TEXT_MAX];
    if (read_octet(argv[0], &proto))
        sqlite3_result_text(ctx, text, (int)eg_proto_format(proto, text), SQLITE_TRANSIENT);
}

static void tcp_flags_text(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    (void)argc;
    static const char letters[] = "CEUAPRSF";
    uint8_t flags;
    char text[8];
    if (!read_octet(argv[0], &flags))
        return;
    for (int i = 0; i < 8; i++)
        text[i] = '.';
    for (int i = 0; i < 8; i++)
        if (flags & (0x80 >> i))
            text[i] = letters[i];
    sqlite3_result_text(ctx, text, sizeof text, SQLITE_TRANSIENT);
}

static void version(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    (void)argc, (void)argv;
    sqlite3_result_text(ctx, EARLGREY_VERSION, -1, SQLITE_STATIC);
}

int eg_register_functions(sqlite3 *db) {
    static const struct {
        const char *name;
        int n_arguments;
        void (*function)(sqlite3_context *, int, sqlite3_value **);
    } functions[] = {
        {"ip4_num", 1, ip4_num},
        {"ip4_text", 1, ip4_text},
        {"ip4_in", 2, eg_sql_ip4_in},
        {"ip4_prefix", 2, ip4_prefix},
        {"protocol_name", 1, protocol_name},
        {"tcp_flags_text", 1, tcp_flags_text},
        {"earlgrey_version", 0, version},
    };
    int rc = SQLITE_OK;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0] && rc == SQLITE_OK; i++)
        rc = sqlite3_create_function_v2(db, functions[i].name, functions[i].n_arguments,
                                        SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL,
                                        functions[i].function, NULL, NULL, NULL);
    return rc;
}
