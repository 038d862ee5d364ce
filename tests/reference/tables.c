/*
** Prints the README's tables from the lists the code is made of:
** `tables columns` from flow/schema.def, `tables reasons` from capture/reasons.def.
*/
#include <stdio.h>
#include <string.h>

#define SHOWN ""
#define HIDDEN "hidden"
#define DECODED "decoded"
#define REJECTED "rejected"

static void print_columns(void) {
    puts("| column | SQL | unit | from NetFlow v5 | |\n|---|---|---|---|---|");
#define EG_COLUMN(ID, name, visibility, kind, vector, sql, parquet, doc, unit, source, meaning)    \
    printf("| %s | %s | %s | %s | %s%s%s |\n", name, sql, unit, source, visibility,                \
           visibility[0] ? ": " : "", meaning);
#include "flow/schema.def"
}

static void print_reasons(void) {
    puts("| reason | | |\n|---|---|---|");
#define EG_REASON(ID, name, outcome, exporting, meaning)                                           \
    printf("| %s | %s | %s |\n", name, outcome, meaning);
#include "capture/reasons.def"
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "columns") == 0)
        print_columns();
    else if (argc == 2 && strcmp(argv[1], "reasons") == 0)
        print_reasons();
    else
        return 2;
    return 0;
}
