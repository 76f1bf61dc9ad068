/* A plugin that breaks its contract in every way the suite knows: the word after "HST " in the input says how.
 * What is wrong already at load time is chosen when it is compiled: -DNO_STAMP, -DNO_ENTRY, -DWRONG_MAJOR, -DDECLINES,
 * -DSMALL_TABLE, -DLARGE_TABLE, -DUNDEFINED. With HOSTILE_COUNT=FILE in the environment it writes there, when the process
 * ends, how many buffers it made and how many were released. */
#include "mediary_plugin.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef UNDEFINED
extern int nobody_defines_this(void);
#endif

#ifndef NO_STAMP
#ifdef WRONG_MAJOR
__attribute__((used, section(".mediary_abi"))) const mediary_stamp_v1 mediary_stamp = {
    {'M', 'E', 'D', 'I', 'A', 'R', 'Y', '1'}, sizeof(mediary_stamp_v1), 9, 0, 64, 0, "from the future"};
#else
MEDIARY_STAMP();
#endif
#endif

MEDIARY_MANIFEST("{\"manifest\":1,\"name\":\"hostile\",\"version\":\"1.0.0\",\"license\":\"MIT\",\"formats\":["
                 "{\"id\":\"hostile\",\"name\":\"Hostile\",\"kinds\":[\"image\"],\"extensions\":[\"hst\"],"
                 "\"signatures\":[{\"offset\":0,\"bytes\":\"485354\"}],\"reads\":true,"
                 "\"spec\":\"https://example.org/hostile\"}]}");

static const char GOOD[] = "{\"kind\":\"image\",\"media\":{\"width\":2,\"height\":1,\"channels\":3,\"samples\":{\"u8\":0}}}";
static atomic_int made, released;

typedef struct {
    char word[32];
    int sent;
} reader;

static mediary_str text(const char *chars) {
    mediary_str str = {(const uint8_t *)chars, strlen(chars)};
    return str;
}

static void release(mediary_buf *buf) {
    if (buf->release == NULL) abort();
    free(buf->owner);
    buf->release = NULL;
    atomic_fetch_add(&released, 1);
}

static mediary_buf buffer(size_t len) {
    uint8_t *bytes = calloc(1, len);
    mediary_buf buf = {bytes, len, bytes, release};
    atomic_fetch_add(&made, 1);
    return buf;
}

static void keep(mediary_buf *buf) {
    buf->release = NULL;
}

static int32_t emit(const mediary_host *host, mediary_str json, mediary_buf *bufs, size_t count) {
    mediary_message message = {sizeof message, MEDIARY_MESSAGE_RECORD, json, bufs, count};
    return host->emit(host->ctx, &message);
}

/* A signal that is raised by hand comes back when its handler returns; a fault does not. */
static void fault(volatile int *nowhere) {
    *nowhere = 1;
}

static int32_t probe(const mediary_host *host, mediary_str format, const mediary_view *view, mediary_answer *answer) {
    (void)host, (void)format;
    if (view->head.len >= 12 && memcmp(view->head.ptr, "HST in-probe", 12) == 0) fault(NULL);
    answer->score = view->head.len >= 3 && memcmp(view->head.ptr, "HST", 3) == 0 ? 200 : 0;
    strcpy((char *)answer->reason, "signature HST");
    return MEDIARY_STATUS_OK;
}

static int32_t open_reader(const mediary_host *host, mediary_str format, const mediary_input *input, void **out) {
    (void)format;
    reader *made_reader = calloc(1, sizeof *made_reader);
    char head[36] = {0};
    int64_t got = host->read_at(host->ctx, input->stream, 0, (uint8_t *)head, sizeof head - 1);
    if (got < 0) {
        free(made_reader);
        return (int32_t)got;
    }
    sscanf(head, "HST %31s", made_reader->word);
    if (strcmp(made_reader->word, "in-open") == 0) abort();
    *out = made_reader;
    return MEDIARY_STATUS_OK;
}

static int32_t next(const mediary_host *host, void *state) {
    reader *self = state;
    const char *word = self->word;
#define CASE(name) if (strcmp(word, name) == 0)
    if (self->sent++) {
        CASE("silent") return MEDIARY_STATUS_OK;
        return MEDIARY_STATUS_END;
    }
    CASE("abort") abort();
    CASE("segv") fault(NULL);
    CASE("exit") _exit(0);
    CASE("loop") for (volatile int forever = 1; forever;) {}
    CASE("sleep") sleep(100000);
    CASE("alloc") {
        char *bytes = malloc(10ULL << 30);
        if (bytes == NULL) abort();
        memset(bytes, 1, 10ULL << 30);
    }
    CASE("leak") memset(malloc(32 << 20), 1, 32 << 20);
    CASE("chatter") for (int i = 0; i < 200000; i++) puts("all work and no play makes a plugin a dull thing");
    CASE("closed") for (int fd = 0; fd < 64; fd++) close(fd);
    CASE("bad-status") return 77;
    CASE("no-reason") return MEDIARY_STATUS_MALFORMED;
    CASE("silent") return MEDIARY_STATUS_OK;
    CASE("fails") {
        mediary_failure failure = {0};
        failure.size = sizeof failure;
        failure.status = MEDIARY_STATUS_MALFORMED;
        failure.message = text("expected peace, found war");
        failure.hint = text("make peace");
        failure.place.byte = 4;
        host->fail(host->ctx, &failure);
        return MEDIARY_STATUS_MALFORMED;
    }
    if (strcmp(word, "flood") == 0) {
        for (;;) {
            mediary_buf bufs[1] = {buffer(1 << 20)};
            int32_t status = emit(host, text("{\"kind\":\"image\",\"media\":{\"width\":1024,\"height\":1024,"
                                             "\"channels\":1,\"samples\":{\"u8\":0}}}"),
                                  bufs, 1);
            if (status != MEDIARY_STATUS_OK) return status;
        }
    }
    CASE("bulk") { /* 100 MB that are made once: what it costs to hand them over */
        static uint8_t *bulk;
        if (bulk == NULL) {
            bulk = malloc(100000000);
            memset(bulk, 7, 100000000);
        }
        mediary_buf large = {bulk, 100000000, bulk, keep};
        return emit(host, text("{\"kind\":\"image\",\"media\":{\"width\":5000,\"height\":5000,\"channels\":4,\"samples\":{\"u8\":0}}}"),
                    &large, 1);
    }
    mediary_buf bufs[2] = {buffer(6), {0}};
    CASE("bad-utf8") return emit(host, text("{\"kind\":\"\xff\xfe\"}"), bufs, 1);
    CASE("bad-json") return emit(host, text("{\"kind\":"), bufs, 1);
    CASE("bad-index") {
        return emit(host, text("{\"kind\":\"image\",\"media\":{\"width\":2,\"height\":1,\"channels\":3,\"samples\":{\"u8\":7}}}"),
                    bufs, 1);
    }
    CASE("bad-size") {
        return emit(host, text("{\"kind\":\"image\",\"media\":{\"width\":2,\"height\":2,\"channels\":3,\"samples\":{\"u8\":0}}}"),
                    bufs, 1);
    }
    CASE("unused") {
        bufs[1] = buffer(8);
        return emit(host, text(GOOD), bufs, 2);
    }
    CASE("null-release") {
        free(bufs[0].owner);
        atomic_fetch_add(&released, 1);
        bufs[0].release = NULL;
        return emit(host, text(GOOD), bufs, 1);
    }
    CASE("huge") {
        bufs[0].len = SIZE_MAX / 2 + 9;
        return emit(host, text(GOOD), bufs, 1);
    }
    return emit(host, text(GOOD), bufs, 1);
}

static void close_reader(const mediary_host *host, void *state) {
    (void)host;
    free(state);
}

static void count(void) {
    const char *path = getenv("HOSTILE_COUNT");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) {
        fprintf(file, "%d made %d released\n", atomic_load(&made), atomic_load(&released));
        fclose(file);
    }
}

static struct {
    mediary_plugin table;
    void *more[8];
} table = {{
               .size = sizeof(mediary_plugin),
               .major = MEDIARY_ABI_MAJOR,
               .minor = MEDIARY_ABI_MINOR,
               .probe = probe,
               .open = open_reader,
               .next = next,
               .close = close_reader,
           },
           {0}};

#ifndef NO_ENTRY
const mediary_plugin *mediary_plugin_v1(const mediary_host *host) {
    (void)host;
#ifdef UNDEFINED
    nobody_defines_this();
#endif
#ifdef DECLINES
    return NULL;
#endif
#ifdef SMALL_TABLE
    table.table.size = offsetof(mediary_plugin, write);
#endif
#ifdef LARGE_TABLE
    table.table.size = sizeof table;
    memset(table.more, 0xAA, sizeof table.more);
#endif
    atexit(count);
    return &table.table;
}
#endif
