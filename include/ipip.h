/*
 * libipip: the pod network that Calico builds in IPIP mode, for C and C++.
 *
 * Conventions, the same for every function:
 *
 * - A function that can fail returns `enum ipip_status`: 0 is success, every other number is one kind
 *   of failure and means the same for good. `ipip_last_error` then has the text and
 *   `ipip_last_errno` the kernel's number, each per thread.
 * - Names are `ipip_<object>_<verb>`. The object comes first; inputs are const and not changed;
 *   results come last, in parameters named `_out`, written on success only and left alone otherwise
 *   (but `needed_out` is also written with IPIP_STATUS_BUFFER_TOO_SMALL). No parameter is both. An
 *   `_out` may be NULL only where its function says so. Pointers given to one call must not overlap.
 * - A failed call leaves its objects, and the kernel, as they were, unless its status says otherwise
 *   (IPIP_STATUS_HALF_APPLIED, IPIP_STATUS_PANIC).
 * - NULL where an object, a string or a result is needed is an error, not a crash. Enums arrive as
 *   uint32_t and flags as uint8_t (0 or 1), and both are checked.
 * - A buffer is a pointer and its `_len` in octets; it may be NULL if `_len` is 0. Strings are UTF-8
 *   and end in a zero. A string that is returned is static, or written into the caller's buffer:
 *   `needed_out` says how long that must be, the final zero included, so a first call with NULL and 0
 *   asks for the length.
 * - Objects come from `_new`, `_open`, `_create` or an `_out` parameter, and the caller gives each
 *   back once, with its `_free` function, which takes NULL too. Structs whose fields are visible are
 *   plain values; the library keeps no pointer into them after a call.
 * - Threads: the doc of each object says whether threads may share it. Different objects may always be
 *   used at once. The library starts threads only inside a call, and they end with it.
 * - A blocking call has a timeout and returns within it.
 * - No fault inside the library unwinds into C: it becomes IPIP_STATUS_PANIC. A callback must return;
 *   it may neither longjmp nor throw.
 * - Structs may grow with a minor version before 1.0 (compile again), and do not afterwards.
 */

#ifndef IPIP_H
#define IPIP_H

#include <stddef.h>
#include <stdint.h>

/** The version of this header. */
#define IPIP_VERSION_MAJOR 0
#define IPIP_VERSION_MINOR 1
#define IPIP_VERSION_PATCH 0
#define IPIP_VERSION "0.1.0"

/*
 What a call came to. 0 is success; each other number is one kind of failure, has one meaning for
 good and is never used again. Later versions add numbers.
 */
enum ipip_status {
    /*
     It worked; the `_out` parameters are written.
     */
    IPIP_STATUS_OK = 0,
    /*
     A pointer that must not be NULL is NULL; the text names the parameter.
     */
    IPIP_STATUS_NULL_ARGUMENT = 1,
    /*
     A value is outside what its parameter or field allows; the text says what is allowed.
     */
    IPIP_STATUS_INVALID_ARGUMENT = 2,
    /*
     A string is not UTF-8.
     */
    IPIP_STATUS_NOT_UTF8 = 3,
    /*
     The buffer for a result is too short; `needed_out`, where there is one, says how long it must be.
     */
    IPIP_STATUS_BUFFER_TOO_SMALL = 4,
    /*
     The library met a fault of its own and stopped the call. Free the objects that the call was
     given and do nothing else with them; other objects are as they were.
     */
    IPIP_STATUS_PANIC = 5,
    /*
     A failure without a number of its own yet; the text says which.
     */
    IPIP_STATUS_INTERNAL = 6,
    /*
     This build or this process cannot do it.
     */
    IPIP_STATUS_UNSUPPORTED = 7,
    /*
     The time given is over. Nothing is wrong: call again.
     */
    IPIP_STATUS_TIMEOUT = 8,
    /*
     It was stopped from another thread.
     */
    IPIP_STATUS_STOPPED = 9,
    /*
     No such thing: namespace, interface, pool, block or handle.
     */
    IPIP_STATUS_NOT_FOUND = 10,
    /*
     The name is taken: namespace, pool.
     */
    IPIP_STATUS_ALREADY_EXISTS = 11,
    /*
     Others kept changing the same record; the retries are used up. Call again later.
     */
    IPIP_STATUS_BUSY = 12,
    /*
     What a datastore holds is damaged or cannot be reached.
     */
    IPIP_STATUS_STORE = 13,
    /*
     The kernel refused for a reason without a number of its own here.
     */
    IPIP_STATUS_KERNEL = 100,
    /*
     The caller lacks a privilege, such as CAP_NET_ADMIN.
     */
    IPIP_STATUS_PERMISSION = 101,
    /*
     This kernel has no ipip driver.
     */
    IPIP_STATUS_NO_DRIVER = 102,
    /*
     A link or route of somebody else is where ours should be, or a link that must exist does not.
     */
    IPIP_STATUS_IN_THE_WAY = 103,
    /*
     The file is not a network namespace.
     */
    IPIP_STATUS_NOT_NETNS = 104,
    /*
     A workload's namespace is the node's own.
     */
    IPIP_STATUS_SAME_NETNS = 105,
    /*
     A step was refused, and the steps before it could not all be taken back.
     */
    IPIP_STATUS_HALF_APPLIED = 106,
    /*
     The interface went down; it may come up again.
     */
    IPIP_STATUS_INTERFACE_DOWN = 107,
    /*
     The interface was removed.
     */
    IPIP_STATUS_INTERFACE_GONE = 108,
    /*
     The buffer ends before the packet does.
     */
    IPIP_STATUS_TRUNCATED = 200,
    /*
     A version field is not 4.
     */
    IPIP_STATUS_VERSION = 201,
    /*
     A header length is below 5 words.
     */
    IPIP_STATUS_HEADER_LEN = 202,
    /*
     A total length is below the header length.
     */
    IPIP_STATUS_TOTAL_LEN = 203,
    /*
     A checksum does not match.
     */
    IPIP_STATUS_CHECKSUM = 204,
    /*
     The outer packet does not carry protocol 4.
     */
    IPIP_STATUS_PROTOCOL = 205,
    /*
     The outer packet is a fragment.
     */
    IPIP_STATUS_OUTER_FRAGMENT = 206,
    /*
     The inner packet has no time left.
     */
    IPIP_STATUS_TTL_ZERO = 207,
    /*
     There is no room for 20 octets in front of the inner packet.
     */
    IPIP_STATUS_HEADROOM = 208,
    /*
     The buffer to write a header into is shorter than the header.
     */
    IPIP_STATUS_HEADER_BUFFER = 209,
    /*
     The packet would exceed 65,535 octets.
     */
    IPIP_STATUS_PACKET_TOO_LONG = 210,
    /*
     An ICMP message is neither echo request nor echo reply.
     */
    IPIP_STATUS_ICMP_TYPE = 211,
    /*
     A DSCP is above 63.
     */
    IPIP_STATUS_DSCP = 212,
    /*
     A fragment offset is above 8191 units of 8 octets.
     */
    IPIP_STATUS_FRAGMENT_OFFSET = 213,
    /*
     The block has no free address.
     */
    IPIP_STATUS_BLOCK_FULL = 300,
    /*
     No pool has a free address, or a free block.
     */
    IPIP_STATUS_POOL_EXHAUSTED = 301,
    /*
     The address is outside the block.
     */
    IPIP_STATUS_OUTSIDE_BLOCK = 302,
    /*
     The address or block is in no pool.
     */
    IPIP_STATUS_OUTSIDE_POOL = 303,
    /*
     The address is assigned already.
     */
    IPIP_STATUS_ALREADY_ASSIGNED = 304,
    /*
     The address is not assigned.
     */
    IPIP_STATUS_NOT_ASSIGNED = 305,
    /*
     The address is assigned with another handle.
     */
    IPIP_STATUS_HANDLE_MISMATCH = 306,
    /*
     The address was released and assigned again since the caller looked.
     */
    IPIP_STATUS_SEQUENCE_MISMATCH = 307,
    /*
     The block belongs to another node.
     */
    IPIP_STATUS_OWNED_BY_ANOTHER = 308,
    /*
     The prefix is not one that blocks of this pool have.
     */
    IPIP_STATUS_BLOCK_SIZE = 309,
    /*
     The pool is malformed, or overlaps another.
     */
    IPIP_STATUS_INVALID_POOL = 310,
    /*
     The address is reserved.
     */
    IPIP_STATUS_RESERVED = 311,
};

/*
 How much a log callback wants to hear; each level includes those before it.
 */
enum ipip_log_level {
    /*
     Nothing.
     */
    IPIP_LOG_LEVEL_OFF = 0,
    /*
     What went wrong and has no caller to be told.
     */
    IPIP_LOG_LEVEL_ERROR = 1,
    /*
     What a person should know.
     */
    IPIP_LOG_LEVEL_WARN = 2,
    /*
     What happened, in large.
     */
    IPIP_LOG_LEVEL_INFO = 3,
    /*
     Each change to the kernel, as the shell command that does the same.
     */
    IPIP_LOG_LEVEL_DEBUG = 4,
    /*
     Everything.
     */
    IPIP_LOG_LEVEL_TRACE = 5,
};

/*
 An open network namespace; it lives at least as long as this object.

 Ownership: whoever got it from `ipip_netns_create` and its like frees it. Threads: it never changes,
 so threads may share it without a lock.
 */
struct ipip_netns;

/*
 Takes one message: its level (an enum ipip_log_level), the part of the library that speaks, such as
 "ipip_core::netlink", and the text, one line without a line feed. Both strings are valid during the
 call only; `user_data` is what `ipip_set_log_callback` was given.
 */
typedef void (*ipip_log_callback)(uint32_t level,
                                  const char *target,
                                  const char *message,
                                  void *user_data);

/*
 An IPv4 address. Its octets lie as in a packet and in `struct in_addr`, so `inet_pton(AF_INET, text,
 &address)` fills it.
 */
struct ipip_ipv4 {
    /*
     The octets as they are written: {10, 244, 79, 20} is 10.244.79.20.
     */
    uint8_t octets[4];
};

/*
 An IPv4 prefix.
 */
struct ipip_prefix {
    /*
     The first address: no bit below `len` is set.
     */
    struct ipip_ipv4 network;
    /*
     The length in bits, 0 to 32.
     */
    uint8_t len;
};

/*
 A program's function that runs inside a namespace; what it returns comes back as `result_out`.
 */
typedef int (*ipip_netns_callback)(void *user_data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The name of a status as the header spells it, such as "IPIP_STATUS_OK"; for a number that is none,
 "unknown status". Static, never NULL.
 */
const char *ipip_status_name(uint32_t status);

/*
 What the last failed call on this thread has to say: what it was about, what was found and what is
 allowed; for kernel errors also the kernel's words. "" if none failed yet.

 Never NULL. Valid until the next call that fails on this thread, or the thread's end; copy it to
 keep it. A call that succeeds leaves it as it is, so look only after a failure.
 */
const char *ipip_last_error(void);

/*
 The kernel's error number (`errno.h`) behind the last failed call on this thread; 0 if the kernel
 had no part in it, or no call has failed yet.
 */
int ipip_last_errno(void);

/*
 The version of the library that runs, such as "0.1.0"; compare with `IPIP_VERSION`, that of the
 header. Static, never NULL.
 */
const char *ipip_version(void);

/*
 Whether the library that runs has a feature: 1 or 0. A name that it does not know, and NULL, is 0,
 so a program may ask for features of later versions.

 | name | what it brings |
 |---|---|
 | "memory" | the store that lives in the process |
 | "kernel" | the data path of the kernel's ipip driver |
 | "capture" | live capture |
 | "sqlite", "etcd", "bpf", "userspace" | stores and data paths of later versions |

 # Safety
 `name` is NULL or a string that ends in a zero.
 */
int ipip_has_feature(const char *name);

/*
 Sends the messages of the whole process, up to `level` (an enum ipip_log_level), to `callback`.
 It replaces the one before; NULL ends all messages.

 Threads: the callback is called on whatever thread a message arises, also on threads of the
 library, and on several at once. When this function returns, the callback before is not running
 and will not be called any more, so its `user_data` may go. The callback may call functions of this
 library, except this one; messages that arise meanwhile on its thread are dropped. It must return
 (no longjmp, no C++ exception).

 IPIP_STATUS_INVALID_ARGUMENT for an unknown level, IPIP_STATUS_BUSY from inside a callback,
 IPIP_STATUS_UNSUPPORTED if a Rust program around this library has a logger of its own.
 */
enum ipip_status ipip_set_log_callback(uint32_t level, ipip_log_callback callback, void *user_data);

/*
 Reads an address such as "10.244.79.20".

 IPIP_STATUS_INVALID_ARGUMENT if it is none.

 # Safety
 `text` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_ipv4_from_text(const char *text, Out<ipip_ipv4> address_out);

/*
 Reads a prefix such as "10.244.79.0/26".

 IPIP_STATUS_INVALID_ARGUMENT if it is none, or has bits set below its length.

 # Safety
 `text` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_prefix_from_text(const char *text, Out<ipip_prefix> prefix_out);

/*
 Writes an address as text, at most 16 octets with the final zero.

 IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.

 # Safety
 `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_ipv4_to_text(const struct ipip_ipv4 *address,
                                   char *text,
                                   size_t text_len,
                                   Out<size_t> needed_out);

/*
 Writes a prefix as text, at most 19 octets with the final zero.

 IPIP_STATUS_INVALID_ARGUMENT if it is none, IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit.

 # Safety
 `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_prefix_to_text(const struct ipip_prefix *prefix,
                                     char *text,
                                     size_t text_len,
                                     Out<size_t> needed_out);

/*
 Makes a namespace and names it as `ip netns add NAME` does; it stays until `ipip_netns_remove`. Its
 interfaces are down, loopback included.

 IPIP_STATUS_ALREADY_EXISTS if the name is taken, IPIP_STATUS_INVALID_ARGUMENT if it cannot be a file
 name, IPIP_STATUS_PERMISSION without CAP_SYS_ADMIN; nothing is left behind then.

 # Safety
 `name` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_netns_create(const char *name,
                                   Out<ipip_netns*> netns_out);

/*
 Makes a namespace without a name; it ends with this object and the last socket or process in it.

 IPIP_STATUS_PERMISSION without CAP_SYS_ADMIN.
 */
enum ipip_status ipip_netns_create_unnamed(Out<ipip_netns*> netns_out);

/*
 Opens the namespace behind a file, such as "/run/netns/NAME" or "/proc/PID/ns/net".

 IPIP_STATUS_NOT_FOUND if there is no such file, IPIP_STATUS_NOT_NETNS if it is another kind of file.

 # Safety
 `path` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_netns_open(const char *path,
                                 Out<ipip_netns*> netns_out);

/*
 Opens the namespace that `ip netns add NAME` or `ipip_netns_create` made.

 As `ipip_netns_open`, and IPIP_STATUS_INVALID_ARGUMENT if the name cannot be a file name.

 # Safety
 `name` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_netns_open_named(const char *name, Out<ipip_netns*> netns_out);

/*
 Opens the namespace of the calling thread.

 IPIP_STATUS_NOT_FOUND if /proc is not mounted.
 */
enum ipip_status ipip_netns_open_current(Out<ipip_netns*> netns_out);

/*
 Removes a name made by `ipip_netns_create` or `ip netns add`. `removed_out` (may be NULL) is 1, or 0
 if it was not there, which is success too.

 IPIP_STATUS_PERMISSION without CAP_SYS_ADMIN, IPIP_STATUS_INVALID_ARGUMENT if the name cannot be a
 file name.

 # Safety
 `name` is NULL or a string that ends in a zero.
 */
enum ipip_status ipip_netns_remove(const char *name,
                                   Out<int> removed_out);

/*
 Runs `callback` inside the namespace, on a thread of its own that ends with it, and waits. The
 calling thread stays where it is. A socket that the callback opens belongs to the namespace for
 good and may be used anywhere afterwards. `result_out` (may be NULL) is what the callback returned.

 The callback sees the last error of its own thread. It must return (no longjmp, no C++ exception).

 IPIP_STATUS_PERMISSION without CAP_SYS_ADMIN; the callback has not run then.

 # Safety
 `callback` may be called with `user_data` on another thread.
 */
enum ipip_status ipip_netns_enter(const struct ipip_netns *netns,
                                  ipip_netns_callback callback,
                                  void *user_data,
                                  Out<int> result_out);

/*
 Whether two objects are the same namespace: `same_out` is 1 or 0.
 */
enum ipip_status ipip_netns_is_same(const struct ipip_netns *netns,
                                    const struct ipip_netns *other,
                                    Out<int> same_out);

/*
 The path that it was opened by; for one without a name, a path below /proc that is valid while the
 object lives. `needed_out` (may be NULL) is the length with the final zero.

 IPIP_STATUS_BUFFER_TOO_SMALL if it does not fit, IPIP_STATUS_NOT_UTF8 if it is not UTF-8.

 # Safety
 `text` is NULL or points to `text_len` octets that nobody else uses.
 */
enum ipip_status ipip_netns_path(const struct ipip_netns *netns,
                                 char *text,
                                 size_t text_len,
                                 Out<size_t> needed_out);

/*
 The file descriptor of the namespace, for `setns` and the like. It stays the object's: do not close
 it, and do not use it after `ipip_netns_free`. -1 for NULL.
 */
int ipip_netns_fd(const struct ipip_netns *netns);

/*
 Closes the namespace. A named one stays. NULL is allowed.
 */
void ipip_netns_free(struct ipip_netns *netns);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* IPIP_H */
