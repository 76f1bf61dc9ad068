/* The plugin interface 1.0 as it was published, written down a second time: what is built with this must load for ever. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct { const uint8_t *ptr; size_t len; } str;
typedef struct buf { const uint8_t *ptr; size_t len; void *owner; void (*release)(struct buf *); } buf;
typedef struct {
    uint8_t magic[8]; uint32_t size; uint16_t major, minor; uint32_t pointer_bits, flags; uint8_t builder[64];
} stamp;
typedef struct { uint64_t byte, line, column; str element; } place;
typedef struct {
    uint32_t size; int32_t status; str message, hint; place place; str limit; uint64_t wanted, allowed;
} failure;
typedef struct { uint32_t size, severity; str code, message; place place; uint64_t count; } finding;
typedef struct { uint32_t size, what; str json; buf *buffers; size_t buffer_count; } message;
typedef struct { uint32_t size, stream; uint64_t len; str name; } input;
typedef struct { uint32_t size, reserved; uint64_t len; str head, tail, name; } view;
typedef struct { uint32_t size, score; uint8_t reason[120]; } answer;
typedef struct {
    uint32_t size; uint16_t major, minor; void *ctx;
    int64_t (*read_at)(void *, uint32_t, uint64_t, uint8_t *, size_t);
    int32_t (*map)(void *, uint32_t, buf *);
    int32_t (*descriptor)(void *, uint32_t);
    int32_t (*open_sibling)(void *, str, input *);
    int32_t (*checkpoint)(void *);
    int32_t (*reserve)(void *, int64_t);
    int32_t (*limit)(void *, str, uint64_t *);
    int32_t (*option)(void *, str, str *);
    uint32_t (*strictness)(void *);
    void (*log)(void *, uint32_t, str);
    void (*report)(void *, const finding *);
    void (*lose)(void *, str, uint64_t, str);
    int32_t (*emit)(void *, const message *);
    int32_t (*pull)(void *, message *);
    int32_t (*create)(void *, str, uint32_t *);
    int32_t (*write)(void *, uint32_t, const uint8_t *, size_t);
    int32_t (*seek)(void *, uint64_t);
    int32_t (*stem)(void *, str *);
    void (*fail)(void *, const failure *);
} host;
typedef struct {
    uint32_t size; uint16_t major, minor;
    int32_t (*probe)(const host *, str, const view *, answer *);
    int32_t (*open)(const host *, str, const input *, void **);
    int32_t (*header)(const host *, void *);
    int32_t (*next)(const host *, void *);
    void (*close)(const host *, void *);
    int32_t (*write)(const host *, str, message *);
    void (*later)(void); /* a field of a later minor number */
} plugin;

enum { OK = 0, END = 1, IO = -1, MALFORMED = -2, UNSUPPORTED = -3, LIMIT = -4, OPTION = -5, CANCELLED = -6, PLUGIN = -7 };
enum { HEADER = 0, RECORD = 1, CHUNK = 2, END_OF_STREAM = 3 };

static inline str text(const char *chars) { return (str){(const uint8_t *)chars, strlen(chars)}; }
