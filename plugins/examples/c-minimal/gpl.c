/* GIMP palettes: a plugin in C that needs nothing but mediary_plugin.h.
 *
 * Specification: https://developer.gimp.org/core/standards/gpl/
 *
 *     GIMP Palette
 *     Name: Pastels
 *     Columns: 4
 *     # a comment
 *     226 145 145	Pale red
 *
 * Read as a table with the columns r, g, b (0 to 255) and name; Name and Columns become properties.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mediary_plugin.h"

MEDIARY_STAMP();
MEDIARY_MANIFEST(
    "{\"manifest\":1,\"name\":\"example-gpl\",\"version\":\"1.0.0\",\"license\":\"MIT OR Apache-2.0\",\"formats\":[{"
    "\"id\":\"gpl\",\"name\":\"GIMP palette\",\"kinds\":[\"table\"],\"extensions\":[\"gpl\"],"
    "\"media_types\":[\"application/x-gimp-palette\"],"
    "\"signatures\":[{\"offset\":0,\"bytes\":\"47494d502050616c65747465\"}],\"reads\":true,"
    "\"spec\":\"https://developer.gimp.org/core/standards/gpl/\"}]}");

/* A reader; what `emit` has taken is NULL. */
typedef struct reader {
    const mediary_host *host;
    uint64_t len;
    int step;
    char *text;           /* the file, with a NUL behind it */
    int64_t *channels[3]; /* one value a row */
    uint64_t *offsets;    /* of the names: rows + 1 */
    char *names;
    size_t rows;
    char *json; /* of the record */
} reader;

static int32_t failed(const reader *self, int32_t status, const char *message, uint64_t line) {
    mediary_failure failure = {0};
    failure.size = sizeof failure;
    failure.status = status;
    failure.message.ptr = (const uint8_t *)message;
    failure.message.len = strlen(message);
    failure.place.byte = UINT64_MAX;
    failure.place.line = line;
    self->host->fail(self->host->ctx, &failure);
    return status;
}

/* Memory that the host has agreed to; NULL with `status` set otherwise. */
static void *reserve(const reader *self, size_t count, size_t size, int32_t *status) {
    void *memory = NULL;
    if (*status < 0)
        return NULL;
    if (count > (size_t)(INT64_MAX / 2) / size) {
        *status = failed(self, MEDIARY_STATUS_UNSUPPORTED, "the palette is too large for this machine", 0);
        return NULL;
    }
    *status = self->host->reserve(self->host->ctx, (int64_t)(count * size));
    if (*status < 0)
        return NULL;
    memory = calloc(count, size);
    if (!memory)
        *status = failed(self, MEDIARY_STATUS_IO, "there is no memory left", 0);
    return memory;
}

static int is_utf8(const char *text, size_t len) {
    const unsigned char *at = (const unsigned char *)text, *end = at + len;
    while (at < end) {
        unsigned c = *at++, more = c < 0x80 ? 0 : c < 0xc2 ? 9 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : 9;
        if (more == 9 || more > (size_t)(end - at))
            return 0;
        if ((c == 0xe0 && *at < 0xa0) || (c == 0xed && *at > 0x9f) || (c == 0xf0 && *at < 0x90) ||
            (c == 0xf4 && *at > 0x8f))
            return 0;
        for (; more; more--)
            if ((*at++ & 0xc0) != 0x80)
                return 0;
    }
    return 1;
}

/* Writes a JSON string; `to` has room for six bytes a byte and two. */
static char *quote(char *to, const char *text, size_t len) {
    *to++ = '"';
    for (; len; len--, text++) {
        if (*text == '"' || *text == '\\')
            *to++ = '\\';
        if ((unsigned char)*text < 0x20)
            to += sprintf(to, "\\u%04x", (unsigned)*text);
        else
            *to++ = *text;
    }
    *to++ = '"';
    return to;
}

/* A number from 0 to 255 behind white space; -1 when there is none. */
static long channel(const char **at, const char *end) {
    long value = 0;
    const char *start;
    while (*at < end && (**at == ' ' || **at == '\t'))
        ++*at;
    for (start = *at; *at < end && **at >= '0' && **at <= '9' && *at - start < 4; ++*at)
        value = value * 10 + (**at - '0');
    return *at == start || value > 255 ? -1 : value;
}

static int starts(const char *line, const char *end, const char *word) {
    size_t len = strlen(word);
    return (size_t)(end - line) >= len && memcmp(line, word, len) == 0;
}

static void trim(const char **at, const char **end) {
    while (*at < *end && (**at == ' ' || **at == '\t'))
        ++*at;
    while (*at < *end && ((*end)[-1] == ' ' || (*end)[-1] == '\t' || (*end)[-1] == '\r'))
        --*end;
}

/* The lines behind the first: colours into the columns, the rest into `properties`. */
static int32_t parse(reader *self, char *properties) {
    const char *at = self->text, *last = self->text + self->len, *gap = "";
    uint64_t line, used = 0;
    int32_t status;
    for (line = 1; at < last; line++) {
        const char *newline = memchr(at, '\n', (size_t)(last - at)), *end = newline ? newline : last, *next = end + 1;
        int named = starts(at, end, "Name:"), columned = starts(at, end, "Columns:");
        if (line % 1000 == 0 && (status = self->host->checkpoint(self->host->ctx)) < 0)
            return status;
        if (line == 1) {
            if (!starts(at, end, "GIMP Palette"))
                return failed(self, MEDIARY_STATUS_MALFORMED, "expected \"GIMP Palette\"", line);
        } else if (!is_utf8(at, (size_t)(end - at))) {
            return failed(self, MEDIARY_STATUS_MALFORMED, "the line is not UTF-8", line);
        } else if (self->rows == 0 && (named || columned)) {
            at += named ? 5 : 8;
            trim(&at, &end);
            properties += sprintf(properties, "%s\"%s\":", gap, named ? "name" : "columns");
            properties = quote(properties, at, (size_t)(end - at));
            gap = ",";
        } else {
            size_t row = self->rows;
            int c;
            trim(&at, &end);
            if (at < end && *at != '#') {
                for (c = 0; c < 3; c++) {
                    long value = channel(&at, end);
                    if (value < 0)
                        return failed(self, MEDIARY_STATUS_MALFORMED, "expected three numbers from 0 to 255", line);
                    self->channels[c][row] = value;
                }
                trim(&at, &end);
                memcpy(self->names + used, at, (size_t)(end - at));
                used += (uint64_t)(end - at);
                self->offsets[++self->rows] = used;
            }
        }
        at = next;
    }
    strcpy(properties, "}}");
    return MEDIARY_STATUS_OK;
}

/* Reads the file and makes room for as many rows as it has lines. */
static int32_t load(reader *self) {
    static const char head[] =
        "{\"kind\":\"table\",\"stream\":true,\"media\":{\"schema\":[{\"name\":\"r\",\"kind\":\"int64\"},"
        "{\"name\":\"g\",\"kind\":\"int64\"},{\"name\":\"b\",\"kind\":\"int64\"},{\"name\":\"name\",\"kind\":\"text\"}]},"
        "\"properties\":{";
    int32_t status = MEDIARY_STATUS_OK;
    size_t len = (size_t)self->len, lines = 1, at;
    int64_t count;
    if (len > SIZE_MAX / 32)
        return failed(self, MEDIARY_STATUS_UNSUPPORTED, "the palette is too large for this machine", 0);
    self->text = reserve(self, len + 1, 1, &status);
    if (!self->text)
        return status;
    count = self->host->read_at(self->host->ctx, 0, 0, (uint8_t *)self->text, len);
    if (count < 0)
        return (int32_t)count;
    self->len = (uint64_t)count;
    for (at = 0; at < (size_t)count; at++)
        lines += self->text[at] == '\n';
    for (at = 0; at < 3; at++)
        self->channels[at] = reserve(self, lines, sizeof(int64_t), &status);
    self->offsets = reserve(self, lines + 1, sizeof(uint64_t), &status);
    self->names = reserve(self, len + 1, 1, &status);
    /* A line "Name:" of 5 bytes becomes 10 bytes, every other byte up to six. */
    self->json = reserve(self, sizeof head + 6 * len + 16, 1, &status);
    if (!self->json)
        return status;
    strcpy(self->json, head);
    return parse(self, self->json + sizeof head - 1);
}

static void release(mediary_buf *buffer) {
    free(buffer->owner);
    buffer->release = NULL;
}

static mediary_buf hand_over(void *memory, size_t len) {
    mediary_buf buffer;
    buffer.ptr = memory;
    buffer.len = len;
    buffer.owner = memory;
    buffer.release = release;
    return buffer;
}

static int32_t emit(const reader *self, uint32_t what, const char *json, mediary_buf *buffers, size_t count) {
    mediary_message message = {0};
    message.size = sizeof message;
    message.what = what;
    message.json.ptr = (const uint8_t *)json;
    message.json.len = strlen(json);
    message.buffers = buffers;
    message.buffer_count = count;
    return self->host->emit(self->host->ctx, &message);
}

static int32_t emit_rows(reader *self) {
    mediary_buf buffers[5];
    char json[256];
    int c;
    for (c = 0; c < 3; c++) {
        buffers[c] = hand_over(self->channels[c], self->rows * sizeof(int64_t));
        self->channels[c] = NULL;
    }
    buffers[3] = hand_over(self->offsets, (self->rows + 1) * sizeof(uint64_t));
    buffers[4] = hand_over(self->names, (size_t)self->offsets[self->rows]);
    self->offsets = NULL;
    self->names = NULL;
    sprintf(json,
            "{\"columns\":[{\"data\":{\"int64\":0}},{\"data\":{\"int64\":1}},{\"data\":{\"int64\":2}},"
            "{\"data\":{\"text\":{\"offsets\":3,\"bytes\":4}}}],\"rows\":%zu}",
            self->rows);
    return emit(self, MEDIARY_MESSAGE_CHUNK, json, buffers, 5);
}

static int32_t open_palette(const mediary_host *host, mediary_str format, const mediary_input *input, void **out) {
    reader *self = calloc(1, sizeof *self);
    (void)format; /* there is one */
    if (!self)
        return MEDIARY_STATUS_IO;
    self->host = host;
    self->len = input->len;
    *out = self;
    return MEDIARY_STATUS_OK;
}

static int32_t next(const mediary_host *host, void *opaque) {
    reader *self = opaque;
    int32_t status;
    (void)host; /* it is that of `open` */
    switch (self->step++) {
    case 0:
        status = load(self);
        return status < 0 ? status : emit(self, MEDIARY_MESSAGE_RECORD, self->json, NULL, 0);
    case 1:
        return emit_rows(self);
    case 2:
        return emit(self, MEDIARY_MESSAGE_END_OF_STREAM, "", NULL, 0);
    default:
        return MEDIARY_STATUS_END;
    }
}

static void close_palette(const mediary_host *host, void *opaque) {
    reader *self = opaque;
    int c;
    (void)host;
    if (!self)
        return;
    for (c = 0; c < 3; c++)
        free(self->channels[c]);
    free(self->offsets);
    free(self->names);
    free(self->text);
    free(self->json);
    free(self);
}

const mediary_plugin *mediary_plugin_v1(const mediary_host *host) {
    static const mediary_plugin plugin = {
        .size = sizeof(mediary_plugin),
        .major = MEDIARY_ABI_MAJOR,
        .minor = MEDIARY_ABI_MINOR,
        .open = open_palette,
        .next = next,
        .close = close_palette,
    };
    (void)host; /* there is nothing to log */
    return &plugin;
}
