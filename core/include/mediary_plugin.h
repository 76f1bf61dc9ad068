/*
 * The binary interface between the host and a loaded plugin. Generated from core/src/plugin/abi.rs.
 *
 * Rules, for ever: structs that carry a `size` only grow at their end, and a reader of one looks at a field only when
 * `size` covers it; fields and numbers are never reused; enumerations are `uint32_t` or `int32_t`; strings are UTF-8,
 * not NUL-terminated, and borrowed for the call; nothing unwinds across the boundary; a buffer belongs to whoever holds a
 * `release` that is not NULL. A change that breaks a rule is a new entry symbol, `mediary_plugin_v2`, beside this one.
 */

#ifndef MEDIARY_PLUGIN_H
#define MEDIARY_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

/* Major number of this interface: a plugin of another one is not loaded. It is not the version of mediary. */
#define MEDIARY_ABI_MAJOR 1

/* Minor number: grows when fields are appended. Plugins of any minor number are loaded. */
#define MEDIARY_ABI_MINOR 0

/* It worked. */
#define MEDIARY_STATUS_OK 0

/* There is nothing more: of `next` and of `pull`. */
#define MEDIARY_STATUS_END 1

/* Failed: the environment, such as a file that cannot be read. */
#define MEDIARY_STATUS_IO (-1)

/* Failed: the data breaks its format's specification. */
#define MEDIARY_STATUS_MALFORMED (-2)

/* Failed: the data asks for something this plugin cannot do. */
#define MEDIARY_STATUS_UNSUPPORTED (-3)

/* Failed: a limit was hit. */
#define MEDIARY_STATUS_LIMIT (-4)

/* Failed: an option has a value that cannot be used. */
#define MEDIARY_STATUS_OPTION (-5)

/* Failed: the host asked to stop. */
#define MEDIARY_STATUS_CANCELLED (-6)

/* Failed: the plugin broke down, or one side broke this contract. */
#define MEDIARY_STATUS_PLUGIN (-7)

/* A finding worth knowing; also a log line. */
#define MEDIARY_SEVERITY_INFO 0

/* The input was read with a repair, or something was set aside. */
#define MEDIARY_SEVERITY_WARNING 1

/* Part of the content is missing or unreliable. */
#define MEDIARY_SEVERITY_ERROR 2

/* A message that holds a record header: answer to `header`. */
#define MEDIARY_MESSAGE_HEADER 0

/* A message that holds a record. */
#define MEDIARY_MESSAGE_RECORD 1

/* A message that holds the next chunk of the stream of the record before. */
#define MEDIARY_MESSAGE_CHUNK 2

/* The stream of the record before is at its end. */
#define MEDIARY_MESSAGE_END_OF_STREAM 3

/* The score of an answer that cannot tell. */
#define MEDIARY_SCORE_UNKNOWN 256

/* Flag of a stamp: panics unwind and are caught inside the plugin (Rust). */
#define MEDIARY_FLAG_CATCHES_PANICS 1

/* Flag of a stamp: little-endian. */
#define MEDIARY_FLAG_LITTLE_ENDIAN 2

/* Text: UTF-8, not NUL-terminated, borrowed for the call. `ptr` may be NULL when `len` is 0. */
typedef struct mediary_str {
    /* First byte. */
    const uint8_t *ptr;
    /* Bytes. */
    size_t len;
} mediary_str;

/*
 Bytes with an owner. Whoever holds it with a `release` that is not NULL calls that once, from any thread. To hand a
 buffer over, copy the struct and set `release` to NULL in the one that is left behind.
 */
typedef struct mediary_buf {
    /* First byte, aligned to the elements it holds (64 is always right). May be NULL when `len` is 0. */
    const uint8_t *ptr;
    /* Bytes, at most `PTRDIFF_MAX`. */
    size_t len;
    /* For `release`. */
    void *owner;
    /* Frees it; sets `release` of `self` to NULL. NULL means: already handed over. */
    void (*release)(struct mediary_buf *buf);
} mediary_buf;

/* Read from the file before it is loaded: symbol `mediary_stamp`, section `.mediary_abi`. Scalars only. */
typedef struct mediary_stamp_v1 {
    /* The eight bytes "MEDIARY1". */
    uint8_t magic[8];
    /* Bytes of this struct. */
    uint32_t size;
    /* MEDIARY_ABI_MAJOR the plugin was built for. */
    uint16_t major;
    /* MEDIARY_ABI_MINOR the plugin was built for. */
    uint16_t minor;
    /* Bits of a pointer: 32 or 64. */
    uint32_t pointer_bits;
    /* MEDIARY_FLAG_…, added up. */
    uint32_t flags;
    /* What built it, for people: compiler and version, NUL-padded. */
    uint8_t builder[64];
} mediary_stamp_v1;

/* A place in an input. */
typedef struct mediary_place {
    /* Byte offset; `UINT64_MAX` when it is not known. */
    uint64_t byte;
    /* Line from 1; 0 when it is not known. */
    uint64_t line;
    /* Column in bytes from 1; 0 when it is not known. */
    uint64_t column;
    /* Path of the element, e.g. `meshes[0]`; empty when there is none. */
    struct mediary_str element;
} mediary_place;

/* Why a call failed. */
typedef struct mediary_failure {
    /* Bytes of this struct. */
    uint32_t size;
    /* MEDIARY_STATUS_…, negative. */
    int32_t status;
    /* Lower case, no full stop: what was expected and what was found. */
    struct mediary_str message;
    /* What to do about it; may be empty. */
    struct mediary_str hint;
    /* Where. */
    struct mediary_place place;
    /* Of MEDIARY_STATUS_LIMIT: the limit's name; empty otherwise. */
    struct mediary_str limit;
    /* Of MEDIARY_STATUS_LIMIT: how much was wanted. */
    uint64_t wanted;
    /* Of MEDIARY_STATUS_LIMIT: how much is allowed. */
    uint64_t allowed;
} mediary_failure;

/* A finding that does not stop a read. */
typedef struct mediary_finding {
    /* Bytes of this struct. */
    uint32_t size;
    /* MEDIARY_SEVERITY_…. */
    uint32_t severity;
    /* Stable code without the format's id, e.g. `missing-texture`. */
    struct mediary_str code;
    /* What was expected and found. */
    struct mediary_str message;
    /* Where. */
    struct mediary_place place;
    /* How often it occurred. */
    uint64_t count;
} mediary_finding;

/* JSON and the buffers it refers to by index. */
typedef struct mediary_message {
    /* Bytes of this struct. */
    uint32_t size;
    /* MEDIARY_MESSAGE_…. */
    uint32_t what;
    /* The JSON. */
    struct mediary_str json;
    /* The buffers. */
    struct mediary_buf *buffers;
    /* Number of buffers. */
    size_t buffer_count;
} mediary_message;

/* An input to read. */
typedef struct mediary_input {
    /* Bytes of this struct. */
    uint32_t size;
    /* The number the host knows it by: 0 for the input itself, others for files beside it. */
    uint32_t stream;
    /* Length in bytes. */
    uint64_t len;
    /* File name without folder; a hint. Valid as long as the reader. */
    struct mediary_str name;
} mediary_input;

/* What is looked at to recognise a format. */
typedef struct mediary_view {
    /* Bytes of this struct. */
    uint32_t size;
    /* Always 0. */
    uint32_t reserved;
    /* Length of the whole input in bytes. */
    uint64_t len;
    /* The first 64 KiB, or all. */
    struct mediary_str head;
    /* The last 64 KiB, or all. */
    struct mediary_str tail;
    /* File name; a hint that the host weighs itself. */
    struct mediary_str name;
} mediary_view;

/* The answer of `probe`. */
typedef struct mediary_answer {
    /* Bytes of this struct. */
    uint32_t size;
    /* 0 not this format, 1 to 255 this format, MEDIARY_SCORE_UNKNOWN cannot tell. */
    uint32_t score;
    /* Why, in words, NUL-padded. */
    uint8_t reason[120];
} mediary_answer;

/*
 What the host offers. Valid, with its `ctx`, from `open` to `close` of a reader, and for a call of `probe` and `write`.
 Its functions may be called from any thread while a function of the plugin runs. They return MEDIARY_STATUS_OK or a negative
 status, which the plugin may simply hand back: the host remembers its own error.
 */
typedef struct mediary_host {
    /* Bytes of this struct: a function is there when `size` covers it. */
    uint32_t size;
    /* MEDIARY_ABI_MAJOR of the host. */
    uint16_t major;
    /* MEDIARY_ABI_MINOR of the host. */
    uint16_t minor;
    /* For every function below. */
    void *ctx;
    /* Reads up to `len` bytes at `offset`; returns how many, fewer only at the end, or a negative status. */
    int64_t (*read_at)(void *ctx, uint32_t stream, uint64_t offset, uint8_t *to, size_t len);
    /* All bytes of a stream, without a copy where the host can: memory-mapped or shared. */
    int32_t (*map)(void *ctx, uint32_t stream, struct mediary_buf *bytes);
    /* A file descriptor to read the stream from with `pread`, or a negative status. It belongs to the host. */
    int32_t (*descriptor)(void *ctx, uint32_t stream);
    /* Opens a file beside the input by its relative name. The host refuses names that lead elsewhere. */
    int32_t (*open_sibling)(void *ctx, struct mediary_str name, struct mediary_input *sibling);
    /* To be called about every megabyte or thousand elements: MEDIARY_STATUS_CANCELLED or MEDIARY_STATUS_LIMIT when it is to stop. */
    int32_t (*checkpoint)(void *ctx);
    /* Before `delta` bytes are allocated, and with a negative `delta` after they are freed: MEDIARY_STATUS_LIMIT when it may not. */
    int32_t (*reserve)(void *ctx, int64_t delta);
    /* The value of a limit by name; `UINT64_MAX` is unlimited. MEDIARY_STATUS_OPTION for an unknown name. */
    int32_t (*limit)(void *ctx, struct mediary_str name, uint64_t *value);
    /*
     The checked value of an option of the format, as text (`true`, `12`, `0.5`), valid as long as the reader or the call
     of `write`. MEDIARY_STATUS_OPTION for an unknown name.
     */
    int32_t (*option)(void *ctx, struct mediary_str name, struct mediary_str *value);
    /* 0 lenient, 1 default, 2 strict. */
    uint32_t (*strictness)(void *ctx);
    /* A line for the log; `level` is MEDIARY_SEVERITY_…. */
    void (*log)(void *ctx, uint32_t level, struct mediary_str text);
    /* Reports a finding. */
    void (*report)(void *ctx, const struct mediary_finding *finding);
    /* Reports what a writer could not carry over: `code` without the format's id, and how many of it. */
    void (*lose)(void *ctx, struct mediary_str code, uint64_t count, struct mediary_str message);
    /* Hands over a header, a record, a chunk or the end of a stream. The host owns the buffers also when it fails. */
    int32_t (*emit)(void *ctx, const struct mediary_message *message);
    /*
     For writers: the next chunk of the record's stream; MEDIARY_STATUS_END at its end. The JSON is valid until the next `pull`;
     so are the buffers, of which the plugin may take any over.
     */
    int32_t (*pull)(void *ctx, struct mediary_message *chunk);
    /* For writers: opens a file beside the output by its plain name. Output 0 is the main one. */
    int32_t (*create)(void *ctx, struct mediary_str name, uint32_t *output);
    /* For writers: writes all bytes at the output's position. */
    int32_t (*write)(void *ctx, uint32_t output, const uint8_t *bytes, size_t len);
    /* For writers: moves the position of output 0, from the start. */
    int32_t (*seek)(void *ctx, uint64_t position);
    /* For writers: the name of the output without folder and extension, valid for the call. */
    int32_t (*stem)(void *ctx, struct mediary_str *stem);
    /* Says why the call is about to return a negative status. */
    void (*fail)(void *ctx, const struct mediary_failure *failure);
} mediary_host;

/*
 What a plugin offers. Functions a plugin does not have are NULL. They may be called from any thread; a reader is used by
 one thread at a time.
 */
typedef struct mediary_plugin {
    /* Bytes of this struct: a function is there when `size` covers it. */
    uint32_t size;
    /* MEDIARY_ABI_MAJOR the plugin was built for. */
    uint16_t major;
    /* MEDIARY_ABI_MINOR the plugin was built for. */
    uint16_t minor;
    /*
     Looks at content. Without it the signatures of the manifest decide alone. The host offers `log` and `fail` for it, all other
     functions are NULL: what there is to look at is in `view`.
     */
    int32_t (*probe)(const struct mediary_host *host,
                     struct mediary_str format,
                     const struct mediary_view *view,
                     struct mediary_answer *answer);
    /* Starts reading: sets `reader`. Reads no more than the first bytes. */
    int32_t (*open)(const struct mediary_host *host,
                    struct mediary_str format,
                    const struct mediary_input *input,
                    void **reader);
    /* Emits one header: facts without the payload. NULL, or MEDIARY_STATUS_UNSUPPORTED: the host reads the first record instead. */
    int32_t (*header)(const struct mediary_host *host, void *reader);
    /* Emits the next record, chunk or end of stream, one or a few of them; MEDIARY_STATUS_END when there is nothing more. */
    int32_t (*next)(const struct mediary_host *host, void *reader);
    /* Frees a reader. Called once, also after an error. */
    void (*close)(const struct mediary_host *host, void *reader);
    /*
     Writes one record; streams are pulled from the host. The message's buffers stay the host's, valid for the call,
     of which the plugin may take any over.
     */
    int32_t (*write)(const struct mediary_host *host,
                     struct mediary_str format,
                     struct mediary_message *record);
} mediary_plugin;

/*
 The entry symbol, `mediary_plugin_v1`: called once after loading. `host` offers `log` alone, for ever. NULL: the plugin
 declines.
 */
typedef const struct mediary_plugin *(*mediary_entry)(const struct mediary_host *host);

#ifdef __cplusplus
extern "C" {
#endif
/* The entry symbol, the one function a plugin exports: see mediary_entry. */
#if defined(_WIN32)
__declspec(dllexport)
#elif defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const mediary_plugin *mediary_plugin_v1(const mediary_host *host);
#ifdef __cplusplus
}
#endif

#if defined(__GNUC__)
#if defined(__APPLE__)
#define MEDIARY_SECTION_(apple, windows, elf) section("__DATA," apple)
#elif defined(_WIN32)
#define MEDIARY_SECTION_(apple, windows, elf) section(windows)
#else
#define MEDIARY_SECTION_(apple, windows, elf) section(elf)
#endif
#ifdef __cplusplus
#define MEDIARY_EXTERN_ extern "C"
#else
#define MEDIARY_EXTERN_ extern
#endif
#define MEDIARY_TEXT_(number) #number
#define MEDIARY_TEXT(number) MEDIARY_TEXT_(number)
#if defined(__clang__)
#define MEDIARY_BUILDER_ "C, clang " MEDIARY_TEXT(__clang_major__)
#else
#define MEDIARY_BUILDER_ "C, gcc " MEDIARY_TEXT(__GNUC__)
#endif
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MEDIARY_FLAGS_ MEDIARY_FLAG_LITTLE_ENDIAN
#else
#define MEDIARY_FLAGS_ 0
#endif

#define MEDIARY_SHOWN_ MEDIARY_EXTERN_ __attribute__((visibility("default")))
#define MEDIARY_PLACED_(apple, windows, elf) __attribute__((used, MEDIARY_SECTION_(apple, windows, elf)))

/* At file scope, once: the stamp of the plugin, in its section. */
#define MEDIARY_STAMP() \
    MEDIARY_SHOWN_ const mediary_stamp_v1 mediary_stamp; \
    MEDIARY_PLACED_("__mediary_abi", ".medabi", ".mediary_abi") \
    const mediary_stamp_v1 mediary_stamp = { \
        {'M', 'E', 'D', 'I', 'A', 'R', 'Y', '1'}, sizeof(mediary_stamp_v1), MEDIARY_ABI_MAJOR, \
        MEDIARY_ABI_MINOR, 8 * sizeof(void *), MEDIARY_FLAGS_, MEDIARY_BUILDER_}

/* At file scope, once: the manifest of the plugin, in its section. `text` is a string literal of JSON. */
#define MEDIARY_MANIFEST(text) \
    MEDIARY_SHOWN_ const char mediary_manifest[sizeof(text)]; \
    MEDIARY_PLACED_("__mediary_man", ".medman", ".mediary_manifest") \
    const char mediary_manifest[sizeof(text)] = text
#endif

/* A string literal as a mediary_str. */
#define MEDIARY_STR(literal) {(const uint8_t *)("" literal), sizeof(literal) - 1}

/* Whether the other side's struct has a field: everything behind the first minor version is asked for this way. */
#define MEDIARY_HAS(pointer, type, field) \
    ((pointer)->size >= offsetof(type, field) + sizeof((pointer)->field))

#endif  /* MEDIARY_PLUGIN_H */
