/*
 * Ends a program in the middle of what it asks of the kernel: preloaded, it lets the first IPIP_TORN_AFTER changes
 * through. The kernel takes the messages of a batch up to there, and the program is killed before it reads an answer.
 */
#define _GNU_SOURCE
#include <linux/netlink.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_netlink(int socket) {
    struct sockaddr address = {0};
    socklen_t len = sizeof address;
    return getsockname(socket, &address, &len) == 0 && address.sa_family == AF_NETLINK;
}

/* Of each four kinds of rtnetlink the third asks, the others change (RTM_NEW, RTM_DEL, RTM_GET, RTM_SET). */
static int is_change(const struct nlmsghdr *message) {
    return message->nlmsg_type >= NLMSG_MIN_TYPE && message->nlmsg_type % 4 != 2;
}

ssize_t send(int socket, const void *data, size_t len, int flags) {
    static long left = -1;
    if (left < 0) {
        const char *count = getenv("IPIP_TORN_AFTER");
        left = count ? atol(count) : 0;
    }
    size_t at = 0;
    while (is_netlink(socket) && at + sizeof(struct nlmsghdr) <= len) {
        const struct nlmsghdr *message = (const void *)((const char *)data + at);
        if (message->nlmsg_len < sizeof *message) break;
        if (is_change(message) && left-- == 0) {
            if (at > 0) syscall(SYS_sendto, socket, data, at, flags, NULL, 0);
            kill(getpid(), SIGKILL);
        }
        at += NLMSG_ALIGN(message->nlmsg_len);
    }
    return syscall(SYS_sendto, socket, data, len, flags, NULL, 0);
}
