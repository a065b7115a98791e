/* The log callback. */
#include <pthread.h>

#include "net.h"

static struct {
    pthread_mutex_t lock;
    int messages;
    int wrong;      /* messages with something missing in them */
    int after_end;  /* messages after the callback was taken away */
    int ended;
    uint32_t most;  /* the highest level met */
    char last[512];
    enum ipip_status nested; /* of an attempt to replace the callback from inside */
} heard;

static void hear(uint32_t level, const char *target, const char *message, void *user_data) {
    pthread_mutex_lock(&heard.lock);
    heard.messages++;
    heard.after_end += heard.ended;
    heard.wrong += user_data != &heard || strncmp(target, "ipip", 4) != 0 || strchr(message, '\n') != NULL || level == 0 || level > 5;
    if (level > heard.most) heard.most = level;
    if (strstr(message, "blackhole")) snprintf(heard.last, sizeof heard.last, "%s", message);
    pthread_mutex_unlock(&heard.lock);
}

static void reset(void) {
    memset(&heard, 0, sizeof heard);
    pthread_mutex_init(&heard.lock, NULL);
}

static void each_step_is_told_as_its_command(void) {
    NEEDS_ROOT();
    struct ipip_blackhole blackhole = own_block();
    reset();
    CHECK_OK(ipip_set_log_callback(IPIP_LOG_LEVEL_DEBUG, hear, &heard));
    CHECK_OK(ipip_ensure_blackhole(node, &blackhole, NULL));
    CHECK_OK(ipip_set_log_callback(IPIP_LOG_LEVEL_OFF, NULL, NULL));
    int before = heard.messages;
    CHECK(before > 0 && heard.wrong == 0 && heard.most == IPIP_LOG_LEVEL_DEBUG);
    CHECK_PART(heard.last, "blackhole 10.244.79.0/26 proto bird");
    CHECK_OK(ipip_remove_blackhole(node, &blackhole, NULL));
    CHECK(heard.messages == before); /* nobody listens any more */
}

static void a_level_leaves_out_those_behind_it(void) {
    NEEDS_ROOT();
    struct ipip_blackhole blackhole = own_block();
    struct ipip_workload workload;
    reset();
    CHECK_OK(ipip_set_log_callback(IPIP_LOG_LEVEL_WARN, hear, &heard));
    CHECK_OK(ipip_ensure_blackhole(node, &blackhole, NULL));
    CHECK(heard.messages == 0);
    /* A node without a default route answers no workload's ARP, which a person should know. */
    memset(&workload, 0, sizeof workload);
    workload.pod_namespace = "default";
    workload.pod = "podA";
    workload.address = address("10.244.79.20");
    workload.mtu = 1480;
    CHECK_TEXT(sh("ip -n %s route del default", node_name), "");
    CHECK_OK(ipip_ensure_workload(node, pod, &workload, NULL));
    CHECK_OK(ipip_set_log_callback(IPIP_LOG_LEVEL_OFF, NULL, NULL));
    CHECK(heard.messages == 1 && heard.wrong == 0 && heard.most == IPIP_LOG_LEVEL_WARN);
}

static void hear_and_meddle(uint32_t level, const char *target, const char *message, void *user_data) {
    (void)level, (void)target, (void)message, (void)user_data;
    heard.messages++;
    heard.nested = ipip_set_log_callback(IPIP_LOG_LEVEL_OFF, NULL, NULL);
    struct ipip_netns *netns = NULL;
    ipip_netns_open("/nowhere", &netns); /* other calls are allowed */
}

static void it_cannot_replace_itself(void) {
    NEEDS_ROOT();
    struct ipip_blackhole blackhole = own_block();
    reset();
    CHECK_OK(ipip_set_log_callback(IPIP_LOG_LEVEL_DEBUG, hear_and_meddle, NULL));
    CHECK_OK(ipip_ensure_blackhole(node, &blackhole, NULL));
    CHECK_OK(ipip_set_log_callback(IPIP_LOG_LEVEL_OFF, NULL, NULL));
    CHECK(heard.messages > 0);
    CHECK_STATUS(heard.nested, IPIP_STATUS_BUSY);
}

static volatile int stop;

static void *work(void *block) {
    struct ipip_blackhole blackhole = own_block();
    blackhole.block = prefix((const char *)block);
    while (!stop) {
        ipip_ensure_blackhole(node, &blackhole, NULL);
        ipip_remove_blackhole(node, &blackhole, NULL);
    }
    return NULL;
}

static void once_it_is_taken_away_it_is_not_called(void) {
    NEEDS_ROOT();
    static char blocks[3][20] = {"10.244.1.0/26", "10.244.2.0/26", "10.244.3.0/26"};
    pthread_t threads[3];
    int total = 0, late = 0;
    reset();
    stop = 0;
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, work, blocks[i]) == 0);
    for (int round = 0; round < 20; round++) {
        heard.ended = 0; /* nobody is called between the rounds */
        if (ipip_set_log_callback(IPIP_LOG_LEVEL_TRACE, hear, &heard) != IPIP_STATUS_OK) late += 1000;
        usleep(5000);
        if (ipip_set_log_callback(IPIP_LOG_LEVEL_OFF, NULL, NULL) != IPIP_STATUS_OK) late += 1000;
        heard.ended = 1;
        usleep(1000);
    }
    stop = 1;
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    total = heard.messages;
    late += heard.after_end;
    CHECK(total > 0 && late == 0 && heard.wrong == 0);
}

static void unknown_levels_are_refused(void) {
    CHECK_FAILS(ipip_set_log_callback(6, hear, &heard), IPIP_STATUS_INVALID_ARGUMENT, "level is 6, which is no enum ipip_log_level");
    CHECK_STATUS(ipip_set_log_callback(UINT32_MAX, NULL, NULL), IPIP_STATUS_INVALID_ARGUMENT);
}

int main(void) {
    RUN_IN_NET(each_step_is_told_as_its_command);
    RUN_IN_NET(a_level_leaves_out_those_behind_it);
    RUN_IN_NET(it_cannot_replace_itself);
    RUN_IN_NET(once_it_is_taken_away_it_is_not_called);
    RUN(unknown_levels_are_refused);
    return finish();
}
