/* The store in a file: opened, listed, watched, moved as lines. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "check.h"

static char directory[] = "/tmp/ipip-c-store-XXXXXX";

static const char *in_directory(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static struct ipip_store *open_store(const char *name) {
    struct ipip_store *store = NULL;
    if (ipip_store_open_sqlite(in_directory(name), NULL, &store) != IPIP_STATUS_OK) {
        printf("%s\n", ipip_last_error());
        exit(2);
    }
    return store;
}

static struct ipip_ipam *with_pool(struct ipip_store *store) {
    struct ipip_ipam *ipam = NULL;
    struct ipip_pool pool;
    memset(&pool, 0, sizeof pool);
    pool.name = "pods";
    pool.cidr = prefix("10.244.0.0/16");
    pool.block_len = 26;
    if (ipip_ipam_new(store, &ipam) != IPIP_STATUS_OK || ipip_ipam_create_pool(ipam, &pool) != IPIP_STATUS_OK) exit(2);
    return ipam;
}

static void addresses_outlive_the_handle(void) {
    struct ipip_store *store = open_store("a");
    struct ipip_ipam *ipam = with_pool(store);
    struct ipip_prefix block;
    size_t count;
    CHECK(ipip_has_feature("sqlite") == 1);
    CHECK_OK(ipip_ipam_claim_any(ipam, "node-a", &block));
    ipip_ipam_free(ipam);
    ipip_store_free(store);
    store = open_store("a");
    CHECK_OK(ipip_ipam_new(store, &ipam));
    CHECK_OK(ipip_ipam_blocks(ipam, &block, 1, &count));
    CHECK(count == 1);
    ipip_store_free(store);
    ipip_ipam_free(ipam);
}

static void options_and_files_are_checked(void) {
    struct ipip_sqlite_options options = {100, 16, IPIP_DURABILITY_PROCESS, 0};
    struct ipip_store *store = NULL;
    int fd;
    CHECK_FAILS(ipip_store_open_sqlite(in_directory("none"), &options, &store), IPIP_STATUS_STORE, "cannot be opened");
    options.create = 2;
    CHECK_FAILS(ipip_store_open_sqlite(in_directory("none"), &options, &store), IPIP_STATUS_INVALID_ARGUMENT, "create is 2, allowed are 0 and 1");
    options.create = 1;
    options.durability = 7;
    CHECK_FAILS(ipip_store_open_sqlite(in_directory("none"), &options, &store), IPIP_STATUS_INVALID_ARGUMENT, "durability is 7");
    fd = open(in_directory("text"), O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0 && write(fd, "hello", 5) == 5 && close(fd) == 0);
    CHECK_FAILS(ipip_store_open_sqlite(in_directory("text"), NULL, &store), IPIP_STATUS_STORE, "is not a database");
    CHECK_FAILS(ipip_store_open_sqlite(NULL, NULL, &store), IPIP_STATUS_NULL_ARGUMENT, "path");
    CHECK_FAILS(ipip_store_open_sqlite("x", NULL, NULL), IPIP_STATUS_NULL_ARGUMENT, "store_out");
    CHECK(store == NULL);
}

static void a_watch_follows_a_list(void) {
    struct ipip_store *store = open_store("w");
    struct ipip_ipam *ipam = with_pool(store);
    struct ipip_records *records;
    struct ipip_record record;
    uint64_t revision;
    CHECK_OK(ipip_store_list(store, "/calico/resources/v3/projectcalico.org/ippools/", &records));
    CHECK(ipip_records_count(records) == 1);
    CHECK_OK(ipip_records_get(records, 0, &record));
    CHECK_TEXT(record.key, "/calico/resources/v3/projectcalico.org/ippools/pods");
    CHECK(record.value_len > 2 && record.value[0] == '{' && record.value[record.value_len - 1] == '}');
    revision = ipip_records_revision(records);
    CHECK(record.revision == revision && revision == 1);
    CHECK_FAILS(ipip_records_get(records, 1, &record), IPIP_STATUS_NOT_FOUND, "record 1 of 1");
    ipip_records_free(records);

    CHECK_OK(ipip_store_watch(store, "/", revision, 10, &records));
    CHECK(ipip_records_count(records) == 0 && ipip_records_revision(records) == revision);
    ipip_records_free(records);
    CHECK_OK(ipip_ipam_claim(ipam, "node-a", prefix("10.244.3.0/26"), NULL));
    CHECK_OK(ipip_ipam_release_block(ipam, "node-a", prefix("10.244.3.0/26"), NULL));
    CHECK_OK(ipip_store_watch(store, "/calico/ipam/v2/assignment/ipv4/block/10.244.3.", revision, 10000, &records));
    CHECK(ipip_records_count(records) == 1);
    CHECK_OK(ipip_records_get(records, 0, &record));
    CHECK(record.value == NULL && record.value_len == 0 && record.revision > revision);
    ipip_records_free(records);
    CHECK_FAILS(ipip_store_watch(store, "/", UINT64_MAX, 0, &records), IPIP_STATUS_COMPACTED, "list again");
    CHECK_FAILS(ipip_store_watch(store, "/calico", 0, 0, &records), IPIP_STATUS_INVALID_ARGUMENT, "must begin with");
    CHECK_FAILS(ipip_store_list(NULL, "/", &records), IPIP_STATUS_NULL_ARGUMENT, "store");
    CHECK_FAILS(ipip_store_list(store, NULL, &records), IPIP_STATUS_NULL_ARGUMENT, "prefix");
    CHECK_FAILS(ipip_store_list(store, "/", NULL), IPIP_STATUS_NULL_ARGUMENT, "records_out");
    CHECK_FAILS(ipip_store_watch(store, "/", 0, 0, NULL), IPIP_STATUS_NULL_ARGUMENT, "records_out");
    CHECK_FAILS(ipip_records_get(NULL, 0, &record), IPIP_STATUS_NULL_ARGUMENT, "records");
    CHECK(ipip_records_count(NULL) == 0 && ipip_records_revision(NULL) == 0);
    ipip_records_free(NULL);
    ipip_ipam_free(ipam);
    ipip_store_free(store);
}

static void records_move_as_lines(void) {
    struct ipip_store *store = open_store("x"), *other;
    struct ipip_ipam *ipam = with_pool(store);
    struct ipip_import_options options = {1, 0};
    struct ipip_imported imported;
    size_t count;
    int fd = open(in_directory("lines"), O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0);
    CHECK_OK(ipip_ipam_claim(ipam, "node-a", prefix("10.244.3.0/26"), NULL));
    CHECK_OK(ipip_store_export(store, fd, &count));
    /* The pool, the record that orders their creation, the block, the claim, and its node as an owner of blocks. */
    CHECK(count == 5);
    CHECK_OK(ipip_store_open_memory(&other));
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK_OK(ipip_store_import(other, fd, &options, &imported));
    CHECK(imported.added == 5 && imported.replaced == 0 && imported.removed == 0 && imported.unchanged == 0);
    options.dry_run = 0;
    options.remove_others = 1;
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK_OK(ipip_store_import(other, fd, &options, &imported));
    CHECK(imported.added == 5);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK_OK(ipip_store_import(other, fd, NULL, &imported));
    CHECK(imported.added == 0 && imported.unchanged == 5);
    CHECK(lseek(fd, 0, SEEK_SET) == 0 && write(fd, "}", 1) == 1 && lseek(fd, 0, SEEK_SET) == 0);
    CHECK_FAILS(ipip_store_import(other, fd, NULL, NULL), IPIP_STATUS_INVALID_ARGUMENT, "line 1 is not a record");
    CHECK_FAILS(ipip_store_import(other, -1, NULL, NULL), IPIP_STATUS_INVALID_ARGUMENT, "file descriptor -1");
    CHECK_FAILS(ipip_store_export(other, 9999, NULL), IPIP_STATUS_INVALID_ARGUMENT, "file descriptor 9999");
    CHECK_FAILS(ipip_store_export(NULL, fd, NULL), IPIP_STATUS_NULL_ARGUMENT, "store");
    CHECK_FAILS(ipip_store_import(NULL, fd, NULL, NULL), IPIP_STATUS_NULL_ARGUMENT, "store");
    CHECK(close(fd) == 0);
    ipip_store_free(other);
    ipip_ipam_free(ipam);
    ipip_store_free(store);
}

static void remove_directory(void) {
    static const char *names[] = {"a", "w", "x", "none", "text", "lines"};
    static const char *ends[] = {"", "-wal", "-shm", "-lock", "-next"};
    char name[32];
    size_t i, j;
    for (i = 0; i < sizeof names / sizeof *names; i++)
        for (j = 0; j < sizeof ends / sizeof *ends; j++) {
            snprintf(name, sizeof name, "%s%s", names[i], ends[j]);
            unlink(in_directory(name));
        }
    rmdir(directory);
}

int main(void) {
    if (!mkdtemp(directory)) return 2;
    RUN(addresses_outlive_the_handle);
    RUN(options_and_files_are_checked);
    RUN(a_watch_follows_a_list);
    RUN(records_move_as_lines);
    remove_directory();
    return finish();
}
