/* The order of addresses as dotted texts, without the texts. */
#ifndef EG_ADDRESS_ORDER_H
#define EG_ADDRESS_ORDER_H

#include <stdint.h>

/* A number that compares among others as the address's dotted text does among texts,
** byte by byte; every number is the key of exactly one address. */
uint32_t eg_ip4_text_key(uint32_t addr);

/* Makes keys of n addresses, in place. */
void eg_ip4_text_keys(uint32_t *addrs, uint32_t n);

/* And back. */
uint32_t eg_ip4_of_text_key(uint32_t key);

#endif
