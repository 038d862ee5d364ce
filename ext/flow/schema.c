/* The schema's descriptors, and the number-to-text rules of every edge. */
#include "flow/schema.h"

#include <string.h>

#include "base/bytes.h"

/* ---- descriptors -------------------------------------------------------- */

enum { SHOWN = 0, HIDDEN = 1 };

/* EST needs the sampling interval beside its counter. */
#define VECTORS_INT(v) EG_VECTOR_BIT(v)
#define VECTORS_IP4(v) EG_VECTOR_BIT(v)
#define VECTORS_TIME(v) EG_VECTOR_BIT(v)
#define VECTORS_PROTO(v) EG_VECTOR_BIT(v)
#define VECTORS_TEXT(v) EG_VECTOR_BIT(v)
#define VECTORS_EST(v) (EG_VECTOR_BIT(v) | EG_VECTOR_BIT(EG_VEC_SAMPLING_INTERVAL))

static const eg_column_info columns[EG_N_COLUMNS] = {
#define EG_COLUMN(ID, col_name, visibility, col_kind, vec, sql, pq, document, u, src, mean)        \
    [EG_COL_##ID] = {.name = (col_name),                                                           \
                     .hidden = (visibility) == HIDDEN,                                             \
                     .kind = EG_KIND_##col_kind,                                                   \
                     .vector = EG_VEC_##vec,                                                       \
                     .vectors = VECTORS_##col_kind(EG_VEC_##vec),                                  \
                     .sql_type = (sql),                                                            \
                     .parquet = (pq),                                                              \
                     .doc = (document),                                                            \
                     .unit = (u),                                                                  \
                     .source = (src),                                                              \
                     .meaning = (mean)},
#include "flow/schema.def"
};

static const struct vector_info {
    uint8_t width;
    bool is_signed;
} vectors[EG_N_VECTORS] = {
#define EG_VECTOR(ID, ctype)                                                                       \
    [EG_VEC_##ID] = {.width = sizeof(ctype), .is_signed = sizeof(ctype) == 8},
#include "flow/schema.def"
};

const eg_column_info *eg_column_about(eg_column col) {
    return &columns[col];
}

bool eg_column_is_text(eg_column col) {
    eg_kind k = columns[col].kind;
    return k != EG_KIND_INT && k != EG_KIND_EST;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool eg_name_equal(const char *name, const char *text, size_t n_bytes) {
    for (size_t i = 0; i < n_bytes; i++)
        if (name[i] == '\0' || lower(name[i]) != lower(text[i]))
            return false;
    return name[n_bytes] == '\0';
}

eg_column eg_column_find(const char *name, size_t n_bytes) {
    for (int c = 0; c < EG_N_COLUMNS; c++)
        if (eg_name_equal(columns[c].name, name, n_bytes))
            return (eg_column)c;
    return EG_N_COLUMNS;
}

size_t eg_vector_width(eg_vector v) {
    return vectors[v].width;
}

void eg_vector_range(eg_vector v, int64_t *lo, int64_t *hi) {
    if (vectors[v].is_signed) {
        *lo = INT64_MIN + 1; /* INT64_MIN is EG_NO_TIME */
        *hi = INT64_MAX;
    } else {
        *lo = 0;
        *hi = (int64_t)((UINT64_C(1) << (8 * vectors[v].width)) - 1);
    }
}

/* ---- addresses ---------------------------------------------------------- */

static char *put_octet(char *p, unsigned v) {
    if (v >= 100)
        *p++ = (char)('0' + v / 100);
    if (v >= 10)
        *p++ = (char)('0' + v / 10 % 10);
    *p++ = (char)('0' + v % 10);
    return p;
}

/* Each octet as text with a dot behind it, and how many characters that is. */
typedef struct octet_text {
    char text[4];
    uint8_t n_bytes;
} octet_text;

#define DIGIT(n) ((char)('0' + (n) % 10))
#define OCTET(n)                                                                                   \
    {                                                                                              \
        {DIGIT((n) >= 100  ? (n) / 100                                                             \
               : (n) >= 10 ? (n) / 10                                                              \
                           : (n)),                                                                 \
         (n) >= 100  ? DIGIT((n) / 10)                                                             \
         : (n) >= 10 ? DIGIT(n)                                                                    \
                     : '.',                                                                        \
         (n) >= 100  ? DIGIT(n)                                                                    \
         : (n) >= 10 ? '.'                                                                         \
                     : '\0',                                                                       \
         (n) >= 100 ? '.' : '\0'},                                                                 \
            (n) >= 100  ? 4                                                                        \
            : (n) >= 10 ? 3                                                                        \
                        : 2                                                                        \
    }
#define OCTETS_4(n) OCTET(n), OCTET((n) + 1), OCTET((n) + 2), OCTET((n) + 3)
#define OCTETS_16(n) OCTETS_4(n), OCTETS_4((n) + 4), OCTETS_4((n) + 8), OCTETS_4((n) + 12)
#define OCTETS_64(n) OCTETS_16(n), OCTETS_16((n) + 16), OCTETS_16((n) + 32), OCTETS_16((n) + 48)
static const octet_text octets[256] = {OCTETS_64(0), OCTETS_64(64), OCTETS_64(128), OCTETS_64(192)};

/* Four characters are written of each octet, which is all that there is room for. */
size_t eg_ip4_format(uint32_t addr, char *out) {
    char *p = out;
    for (int shift = 24; shift >= 0; shift -= 8) {
        const octet_text *o = &octets[(addr >> shift) & 255];
        memcpy(p, o->text, sizeof o->text);
        p += o->n_bytes;
    }
    *--p = '\0';
    return (size_t)(p - out);
}

bool eg_ip4_parse(const char *text, size_t n_bytes, uint32_t *addr) {
    uint32_t value = 0;
    size_t i = 0;
    for (int part = 0; part < 4; part++) {
        if (part > 0 && (i >= n_bytes || text[i++] != '.'))
            return false;
        size_t start = i;
        unsigned v = 0;
        while (i < n_bytes && i - start < 3 && text[i] >= '0' && text[i] <= '9')
            v = v * 10 + (unsigned)(text[i++] - '0');
        if (i == start || v > 255 || (text[start] == '0' && i - start > 1))
            return false;
        value = value << 8 | v;
    }
    if (i != n_bytes)
        return false;
    *addr = value;
    return true;
}

bool eg_cidr_parse(const char *text, size_t n_bytes, uint32_t *first, uint32_t *last) {
    const char *slash = memchr(text, '/', n_bytes);
    unsigned bits = 32;
    size_t n_addr = n_bytes;
    if (slash != NULL) {
        n_addr = (size_t)(slash - text);
        size_t n = n_bytes - n_addr - 1;
        const char *d = slash + 1;
        if (n < 1 || n > 2 || d[0] < '0' || d[0] > '9' || (n == 2 && (d[1] < '0' || d[1] > '9')) ||
            (n == 2 && d[0] == '0'))
            return false;
        bits = n == 1 ? (unsigned)(d[0] - '0') : (unsigned)((d[0] - '0') * 10 + (d[1] - '0'));
        if (bits > 32)
            return false;
    }
    uint32_t addr;
    if (!eg_ip4_parse(text, n_addr, &addr))
        return false;
    uint32_t mask = bits == 0 ? 0 : ~UINT32_C(0) << (32 - bits);
    *first = addr & mask;
    *last = addr | ~mask;
    return true;
}

size_t eg_ip6_format(const uint8_t addr[16], char *out) {
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    static const char hex[] = "0123456789abcdef";
    char *p = out;
    if (memcmp(addr, mapped, sizeof mapped) == 0) {
        memcpy(p, "::ffff:", 7);
        return 7 + eg_ip4_format(eg_be32(addr + 12), p + 7);
    }
    /* the first longest run of two or more zero groups becomes "::" */
    int best = -1, best_len = 1;
    for (int i = 0; i < 8; i++) {
        int n = 0;
        while (i + n < 8 && eg_be16(addr + 2 * (i + n)) == 0)
            n++;
        if (n > best_len) {
            best = i;
            best_len = n;
        }
        if (n > 0)
            i += n - 1;
    }
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            *p++ = ':';
            *p++ = ':';
            i += best_len - 1;
            continue;
        }
        if (i > 0 && p[-1] != ':')
            *p++ = ':';
        unsigned g = eg_be16(addr + 2 * i);
        int shift = 12;
        while (shift > 0 && g >> shift == 0)
            shift -= 4;
        for (; shift >= 0; shift -= 4)
            *p++ = hex[(g >> shift) & 15];
    }
    *p = '\0';
    return (size_t)(p - out);
}

/* ---- times -------------------------------------------------------------- */

#define DAY_MS INT64_C(86400000)

static void put_digits(char *p, unsigned v, int n) {
    while (n-- > 0) {
        p[n] = (char)('0' + v % 10);
        v /= 10;
    }
}

size_t eg_time_format(int64_t ms, char *out) {
    ms = ms < EG_TIME_MIN_MS ? EG_TIME_MIN_MS : ms > EG_TIME_MAX_MS ? EG_TIME_MAX_MS : ms;
    ms -= EG_TIME_MIN_MS; /* from here on unsigned, counted from year 0 */
    unsigned day = (unsigned)(ms / DAY_MS), rest = (unsigned)(ms % DAY_MS);
    /* Years that begin on 1 March put the leap day last, so that months have a
    ** closed form; 0000-01-01 is day 306 of the year -1 in that count. */
    unsigned d = day + 306 + 146097 - 366; /* days since -0400-03-01 */
    unsigned era = d / 146097, doe = d % 146097;
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    unsigned dom = doy - (153 * mp + 2) / 5 + 1;
    unsigned month = mp < 10 ? mp + 3 : mp - 9;
    unsigned year = yoe + era * 400 + (month <= 2) - 400;

    memcpy(out, "0000-00-00 00:00:00.000", EG_TIME_TEXT_MAX);
    put_digits(out, year, 4);
    put_digits(out + 5, month, 2);
    put_digits(out + 8, dom, 2);
    put_digits(out + 11, rest / 3600000, 2);
    put_digits(out + 14, rest / 60000 % 60, 2);
    put_digits(out + 17, rest / 1000 % 60, 2);
    put_digits(out + 20, rest % 1000, 3);
    return EG_TIME_TEXT_MAX - 1;
}

int64_t eg_time_lower_bound(const char *text, size_t n_bytes, bool *exact) {
    /* The text grows with the time, so bisection finds the border for any bytes. */
    int64_t lo = EG_TIME_MIN_MS, hi = EG_TIME_MAX_MS + 1;
    char t[EG_TIME_TEXT_MAX];
    const size_t n_time = EG_TIME_TEXT_MAX - 1;
    *exact = false;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        eg_time_format(mid, t);
        int c = memcmp(t, text, n_bytes < n_time ? n_bytes : n_time);
        if (c == 0)
            c = n_bytes < n_time ? 1 : n_bytes > n_time ? -1 : 0;
        if (c == 0)
            *exact = true;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo > EG_TIME_MAX_MS ? INT64_MAX : lo;
}

/* ---- protocols ---------------------------------------------------------- */

/* IANA's keywords of the assigned Internet protocol numbers. */
static const char *const protocols[256] = {
    [0] = "HOPOPT",
    [1] = "ICMP",
    [2] = "IGMP",
    [3] = "GGP",
    [4] = "IPv4",
    [5] = "ST",
    [6] = "TCP",
    [7] = "CBT",
    [8] = "EGP",
    [9] = "IGP",
    [10] = "BBN-RCC-MON",
    [11] = "NVP-II",
    [12] = "PUP",
    [13] = "ARGUS",
    [14] = "EMCON",
    [15] = "XNET",
    [16] = "CHAOS",
    [17] = "UDP",
    [18] = "MUX",
    [19] = "DCN-MEAS",
    [20] = "HMP",
    [21] = "PRM",
    [22] = "XNS-IDP",
    [23] = "TRUNK-1",
    [24] = "TRUNK-2",
    [25] = "LEAF-1",
    [26] = "LEAF-2",
    [27] = "RDP",
    [28] = "IRTP",
    [29] = "ISO-TP4",
    [30] = "NETBLT",
    [31] = "MFE-NSP",
    [32] = "MERIT-INP",
    [33] = "DCCP",
    [34] = "3PC",
    [35] = "IDPR",
    [36] = "XTP",
    [37] = "DDP",
    [38] = "IDPR-CMTP",
    [39] = "TP++",
    [40] = "IL",
    [41] = "IPv6",
    [42] = "SDRP",
    [43] = "IPv6-Route",
    [44] = "IPv6-Frag",
    [45] = "IDRP",
    [46] = "RSVP",
    [47] = "GRE",
    [48] = "DSR",
    [49] = "BNA",
    [50] = "ESP",
    [51] = "AH",
    [52] = "I-NLSP",
    [53] = "SWIPE",
    [54] = "NARP",
    [55] = "MOBILE",
    [56] = "TLSP",
    [57] = "SKIP",
    [58] = "IPv6-ICMP",
    [59] = "IPv6-NoNxt",
    [60] = "IPv6-Opts",
    [62] = "CFTP",
    [64] = "SAT-EXPAK",
    [65] = "KRYPTOLAN",
    [66] = "RVD",
    [67] = "IPPC",
    [69] = "SAT-MON",
    [70] = "VISA",
    [71] = "IPCV",
    [72] = "CPNX",
    [73] = "CPHB",
    [74] = "WSN",
    [75] = "PVP",
    [76] = "BR-SAT-MON",
    [77] = "SUN-ND",
    [78] = "WB-MON",
    [79] = "WB-EXPAK",
    [80] = "ISO-IP",
    [81] = "VMTP",
    [82] = "SECURE-VMTP",
    [83] = "VINES",
    [84] = "IPTM",
    [85] = "NSFNET-IGP",
    [86] = "DGP",
    [87] = "TCF",
    [88] = "EIGRP",
    [89] = "OSPFIGP",
    [90] = "Sprite-RPC",
    [91] = "LARP",
    [92] = "MTP",
    [93] = "AX.25",
    [94] = "IPIP",
    [95] = "MICP",
    [96] = "SCC-SP",
    [97] = "ETHERIP",
    [98] = "ENCAP",
    [100] = "GMTP",
    [101] = "IFMP",
    [102] = "PNNI",
    [103] = "PIM",
    [104] = "ARIS",
    [105] = "SCPS",
    [106] = "QNX",
    [107] = "A/N",
    [108] = "IPComp",
    [109] = "SNP",
    [110] = "Compaq-Peer",
    [111] = "IPX-in-IP",
    [112] = "VRRP",
    [113] = "PGM",
    [115] = "L2TP",
    [116] = "DDX",
    [117] = "IATP",
    [118] = "STP",
    [119] = "SRP",
    [120] = "UTI",
    [121] = "SMP",
    [122] = "SM",
    [123] = "PTP",
    [124] = "ISIS over IPv4",
    [125] = "FIRE",
    [126] = "CRTP",
    [127] = "CRUDP",
    [128] = "SSCOPMCE",
    [129] = "IPLT",
    [130] = "SPS",
    [131] = "PIPE",
    [132] = "SCTP",
    [133] = "FC",
    [134] = "RSVP-E2E-IGNORE",
    [135] = "Mobility Header",
    [136] = "UDPLite",
    [137] = "MPLS-in-IP",
    [138] = "manet",
    [139] = "HIP",
    [140] = "Shim6",
    [141] = "WESP",
    [142] = "ROHC",
    [143] = "Ethernet",
    [144] = "AGGFRAG",
    [145] = "NSH",
};

const char *eg_proto_name(uint8_t proto) {
    return protocols[proto];
}

size_t eg_proto_format(uint8_t proto, char *out) {
    const char *name = protocols[proto];
    if (name == NULL) {
        char *end = put_octet(out, proto);
        *end = '\0';
        return (size_t)(end - out);
    }
    size_t n = strlen(name);
    memcpy(out, name, n + 1);
    return n;
}

bool eg_proto_parse(const char *text, size_t n_bytes, uint8_t *proto) {
    for (int i = 0; i < 256; i++)
        if (protocols[i] != NULL && eg_name_equal(protocols[i], text, n_bytes)) {
            *proto = (uint8_t)i;
            return true;
        }
    unsigned v = 0;
    if (n_bytes < 1 || n_bytes > 3)
        return false;
    for (size_t i = 0; i < n_bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        v = v * 10 + (unsigned)(text[i] - '0');
    }
    *proto = (uint8_t)v;
    return v <= 255;
}
