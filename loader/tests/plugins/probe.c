/* A plugin that does what its input says, right or wrong. The build defines what is wrong with the file itself. */
#include <stdio.h>
#include "v1.h"

#ifndef MAJOR
#define MAJOR 1
#endif
#ifndef MAGIC
#define MAGIC "MEDIARY1"
#endif
#ifndef BITS
#define BITS (8 * sizeof(void *))
#endif
#ifndef ID
#define ID "told"
#endif
#ifndef NAME
#define NAME "told"
#endif

#ifndef NO_STAMP
__attribute__((used, section(".mediary_abi"))) const stamp mediary_stamp = {
    MAGIC, sizeof(stamp), MAJOR, 0, BITS, 2, "c test"};
#endif

#ifndef NO_MANIFEST
#ifndef MANIFEST
#define MANIFEST                                                                                                    \
    "{\"manifest\":1,\"name\":\"" NAME "\",\"version\":\"1.0\",\"license\":\"MIT\",\"needs\":[],\"formats\":[{"    \
    "\"id\":\"" ID "\",\"name\":\"Told\",\"kinds\":[\"table\"],\"extensions\":[\"told\"],\"media_types\":[],"      \
    "\"signatures\":[{\"offset\":0,\"bytes\":\"544f4c44\",\"mask\":\"\"}],\"probes\":false,\"reads\":true,"        \
    "\"writes\":[],\"many_records\":true,\"siblings\":true,\"options\":[{\"name\":\"level\",\"use\":\"read\","     \
    "\"type\":\"int\",\"min\":0,\"max\":9,\"choices\":[],\"default\":\"3\",\"help\":\"A number.\"}],"              \
    "\"spec\":\"\",\"tier\":\"standard\"}]}"
#endif
__attribute__((used, section(".mediary_manifest"))) const char mediary_manifest[] = MANIFEST;
#endif

#ifdef UNDEFINED
extern void mediary_nowhere_to_be_found(void);
#endif

static int made, released, closed;

static void release(buf *self) {
    released++;
    free(self->owner);
    self->release = NULL;
}

static buf buffer(size_t len) {
    uint8_t *bytes = aligned_alloc(64, (len + 63) / 64 * 64);
    memset(bytes, 7, len);
    made++;
    return (buf){bytes, len, bytes, release};
}

typedef struct { char told[64]; int step; int64_t sibling; } reader;

static int32_t emit(const host *h, uint32_t what, const char *json, buf *buffers, size_t count) {
    message m = {sizeof m, what, text(json), buffers, count};
    return h->emit(h->ctx, &m);
}

static int32_t probe(const host *h, str format, const view *v, answer *a) {
    (void)h, (void)format;
    a->score = 150;
    strcpy((char *)a->reason, "it is told");
    if (v->len >= 9 && !memcmp(v->head.ptr, "TOLD wild", 9)) a->score = 4711;
    if (v->len >= 11 && !memcmp(v->head.ptr, "TOLD unsure", 11)) a->score = 256;
    if (v->len >= 9 && !memcmp(v->head.ptr, "TOLD fail", 9)) return MALFORMED;
    return OK;
}

static int32_t open_(const host *h, str format, const input *in, void **out) {
    (void)format;
    reader *r = calloc(1, sizeof *r);
    int64_t got = h->read_at(h->ctx, in->stream, 5, (uint8_t *)r->told, sizeof r->told - 1);
    if (got < 0) { free(r); return (int32_t)got; }
    if (!strcmp(r->told, "open-null")) { free(r); *out = NULL; return OK; }
    *out = r;
    return OK;
}

static int32_t header(const host *h, void *self) {
    reader *r = self;
    if (!strcmp(r->told, "header-silent")) return OK;
    if (!strcmp(r->told, "header-record")) return emit(h, RECORD, "{}", NULL, 0);
    if (!strcmp(r->told, "header")) return emit(h, HEADER, "{\"h\":1}", NULL, 0);
    return UNSUPPORTED;
}

static int32_t next(const host *h, void *self) {
    reader *r = self;
    int step = r->step++;
    buf b[2];
    if (!strcmp(r->told, "count")) {
        char json[96];
        if (step) return END;
        snprintf(json, sizeof json, "{\"made\":%d,\"released\":%d,\"closed\":%d}", made, released, closed);
        return emit(h, RECORD, json, NULL, 0);
    }
    if (!strcmp(r->told, "record") || !strcmp(r->told, "header")) {
        if (step) return END;
        b[0] = buffer(1 << 20), b[1] = (buf){NULL, 0, NULL, NULL};
        int32_t status = emit(h, RECORD, "{\"r\":1}", b, 2);
        return b[0].release ? PLUGIN : status; /* it is theirs now */
    }
    if (!strcmp(r->told, "stream")) {
        if (!step) return emit(h, RECORD, "{\"s\":1}", NULL, 0);
        if (step == 4) return emit(h, END_OF_STREAM, "", NULL, 0);
        if (step > 4) return END;
        b[0] = buffer(4096);
        return emit(h, CHUNK, "{\"c\":1}", b, 1);
    }
    if (!strcmp(r->told, "no-release")) {
        b[0] = buffer(64), b[1] = b[0], b[1].release = NULL;
        return emit(h, RECORD, "{}", b, 2);
    }
    if (!strcmp(r->told, "ignored")) { /* and it says that all is well */
        b[0] = buffer(64), b[1] = b[0], b[1].release = NULL;
        emit(h, RECORD, "{}", b, 2);
        return OK;
    }
    if (!strcmp(r->told, "huge-buffer")) { b[0] = buffer(64), b[0].len = SIZE_MAX; return emit(h, RECORD, "{}", b, 1); }
    if (!strcmp(r->told, "null-buffer")) { b[0] = buffer(64), b[0].ptr = NULL; return emit(h, RECORD, "{}", b, 1); }
    if (!strcmp(r->told, "bad-utf8")) { b[0] = buffer(64); return emit(h, RECORD, "{\"\xff\":1}", b, 1); }
    if (!strcmp(r->told, "unknown-message")) { b[0] = buffer(64); return emit(h, 99, "{}", b, 1); }
    if (!strcmp(r->told, "a-header")) { b[0] = buffer(64); return emit(h, HEADER, "{}", b, 1); }
    if (!strcmp(r->told, "null-message")) return h->emit(h->ctx, NULL);
    if (!strcmp(r->told, "short-message")) { message m = {8, RECORD, text("{}"), NULL, 0}; return h->emit(h->ctx, &m); }
    if (!strcmp(r->told, "null-json")) { message m = {sizeof m, RECORD, {NULL, 5}, NULL, 0}; return h->emit(h->ctx, &m); }
    if (!strcmp(r->told, "null-buffers")) { message m = {sizeof m, RECORD, text("{}"), NULL, 5}; return h->emit(h->ctx, &m); }
    if (!strcmp(r->told, "flood"))
        for (;;) {
            b[0] = buffer(16);
            int32_t status = emit(h, RECORD, "{}", b, 1);
            if (status) return status;
        }
    if (!strcmp(r->told, "flood-bytes"))
        for (;;) {
            b[0] = buffer(1 << 20);
            int32_t status = emit(h, RECORD, "{}", b, 1);
            if (status) return status;
        }
    if (!strcmp(r->told, "idle")) return OK;
    if (!strcmp(r->told, "status")) return 77;
    if (!strcmp(r->told, "silent")) return MALFORMED;
    if (!strcmp(r->told, "fail") || !strcmp(r->told, "late-fail")) {
        if (r->told[0] == 'l' && !step) { b[0] = buffer(8); emit(h, RECORD, "{\"r\":1}", b, 1); }
        failure f = {sizeof f, LIMIT, text("too many holes"), text("fill them"), {5, 2, 1, text("holes[3]")},
                     text("elements"), 9, 8};
        h->fail(h->ctx, &f);
        return LIMIT;
    }
    if (!strcmp(r->told, "missing-sibling")) {
        input in = {sizeof in, 0, 0, {NULL, 0}};
        return h->open_sibling(h->ctx, text("../secret"), &in);
    }
    if (!strcmp(r->told, "sibling")) {
        input in = {sizeof in, 0, 0, {NULL, 0}}, again = in;
        char json[128], bytes[8] = {0};
        buf mapped;
        if (step) return END;
        int32_t status = h->open_sibling(h->ctx, text("b.bin"), &in);
        if (status) return status;
        h->open_sibling(h->ctx, text("b.bin"), &again);
        h->read_at(h->ctx, in.stream, 1, (uint8_t *)bytes, 2);
        status = h->map(h->ctx, in.stream, &mapped);
        if (status) return status;
        snprintf(json, sizeof json, "%u %u %d %s %.*s %d %d", in.stream, again.stream, (int)in.len, bytes,
                 (int)mapped.len, (const char *)mapped.ptr, h->descriptor(h->ctx, in.stream),
                 (int)h->read_at(h->ctx, 9, 0, (uint8_t *)bytes, 1));
        mapped.release(&mapped);
        return emit(h, RECORD, json, NULL, 0);
    }
    if (!strcmp(r->told, "ask")) {
        char json[160];
        uint64_t pixels = 0, none = 0;
        str level = {NULL, 0};
        if (step) return END;
        int32_t known = h->limit(h->ctx, text("pixels"), &pixels), unknown = h->limit(h->ctx, text("nothing"), &none);
        int32_t option = h->option(h->ctx, text("level"), &level), other = h->option(h->ctx, text("depth"), &level);
        int32_t much = h->reserve(h->ctx, INT64_MAX), some = h->reserve(h->ctx, 1000);
        h->reserve(h->ctx, -5000);
        finding f = {sizeof f, 1, text("odd-thing"), text("expected even"), {3, 0, 0, {NULL, 0}}, 0};
        h->report(h->ctx, &f);
        h->report(h->ctx, NULL);
        h->log(h->ctx, 0, text("hello"));
        snprintf(json, sizeof json, "%d %llu %d %d %.*s %d %d %d %u %d", known, (unsigned long long)pixels, unknown, option,
                 (int)level.len, (const char *)level.ptr, other, much, some, h->strictness(h->ctx), h->checkpoint(h->ctx));
        return emit(h, RECORD, json, NULL, 0);
    }
    if (!strcmp(r->told, "findings")) {
        char code[32];
        if (step) return END;
        for (int i = 0; i < 5000; i++) {
            snprintf(code, sizeof code, "odd-%d", i);
            finding f = {sizeof f, 1, text(code), text("odd"), {UINT64_MAX, 0, 0, {NULL, 0}}, 1};
            h->report(h->ctx, &f);
        }
        return emit(h, RECORD, "{}", NULL, 0);
    }
    if (!strcmp(r->told, "stubborn")) { /* does not stop when it is asked to */
        if (!step) return emit(h, RECORD, "{}", NULL, 0);
        h->checkpoint(h->ctx);
        b[0] = buffer(64);
        return emit(h, RECORD, "{}", b, 1);
    }
    if (!strcmp(r->told, "table") || !strcmp(r->told, "range") || !strcmp(r->told, "unfinished")) {
        /* Two records of three chunks with four rows each. */
        if (step == 10) return END;
        if (r->told[0] == 'u' && step == 3) return END;
        if (step % 5 == 0)
            return emit(h, RECORD,
                        "{\"kind\":\"table\",\"stream\":true,"
                        "\"media\":{\"schema\":[{\"name\":\"a\",\"type\":\"int64\"}]}}", NULL, 0);
        if (step % 5 == 4) return emit(h, END_OF_STREAM, "", NULL, 0);
        b[0] = buffer(4 * sizeof(int64_t));
        for (int i = 0; i < 4; i++) ((int64_t *)b[0].owner)[i] = 10 * step + i;
        return emit(h, CHUNK,
                    r->told[0] == 'r' && step == 2 ? "{\"rows\":4,\"columns\":[{\"data\":{\"int64\":5}}]}"
                                                   : "{\"rows\":4,\"columns\":[{\"data\":{\"int64\":0}}]}", b, 1);
    }
    if (!strcmp(r->told, "bad-json")) return step ? END : emit(h, RECORD, "{\"kind\":\"tab", NULL, 0);
    if (!strcmp(r->told, "stray-chunk")) return emit(h, CHUNK, "{}", NULL, 0);
    if (!strcmp(r->told, "html")) { /* no stream, and no end of one */
        if (step == 2) return END;
        b[0] = buffer(4);
        return emit(h, RECORD, "{\"kind\":\"html\",\"media\":{\"text\":0}}", b, 1);
    }
    if (!strcmp(r->told, "pulls")) { message m = {sizeof m, 0, {NULL, 0}, NULL, 0}; return h->pull(h->ctx, &m); }
    return UNSUPPORTED;
}

static void close_(const host *h, void *self) {
    (void)h;
    closed++;
    free(self);
}

/* Says what it was given, moves back, writes a file beside it, and takes a buffer over. */
static int32_t write_(const host *h, str format, message *record) {
    (void)format;
    uint32_t beside = 0;
    char line[128];
    str stem = {NULL, 0};
    int chunks = 0;
    message chunk = {sizeof chunk, 0, {NULL, 0}, NULL, 0};
    int32_t status;
    while ((status = h->pull(h->ctx, &chunk)) == OK) chunks++;
    if (status != END) return status;
    if ((status = h->stem(h->ctx, &stem))) return status;
    snprintf(line, sizeof line, "....%.*s %d %d", (int)stem.len, (const char *)stem.ptr, chunks, record->json.len > 2);
    if ((status = h->write(h->ctx, 0, (const uint8_t *)line, strlen(line)))) return status;
    if ((status = h->seek(h->ctx, 0))) return status;
    if ((status = h->write(h->ctx, 0, (const uint8_t *)"TOLD", 4))) return status;
    if ((status = h->create(h->ctx, text("beside.bin"), &beside))) return status;
    if ((status = h->write(h->ctx, beside, (const uint8_t *)"beside", 6))) return status;
    if (record->buffer_count) {
        buf mine = record->buffers[0];
        record->buffers[0].release = NULL;
        mine.release(&mine);
    }
    h->lose(h->ctx, text("colour"), 3, text("colours"));
#ifdef WRITES_WRONG
    WRITES_WRONG;
#endif
    return OK;
}

#ifndef TABLE_SIZE
#define TABLE_SIZE offsetof(plugin, later)
#endif
__attribute__((used)) static const plugin table = {
    TABLE_SIZE, MAJOR, 0, probe, open_, header, next, close_, write_, (void (*)(void))abort};

#ifndef NO_ENTRY
const plugin *mediary_plugin_v1(const host *h) {
#ifdef UNDEFINED
    mediary_nowhere_to_be_found();
#endif
#ifdef DECLINES
    h->log(h->ctx, 2, text("no licence key"));
    return NULL;
#endif
    if (h->emit || h->read_at || !h->log) return NULL;
    return &table;
}
#endif
