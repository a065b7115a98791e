/* A fault inside the library does not get out. Built against a libipip with the feature test-hooks. */
#include "check.h"

#ifdef __cplusplus
extern "C"
#endif
enum ipip_status ipip_test_panic(void);

static void a_fault_inside_becomes_a_status(void) {
    CHECK_FAILS(ipip_test_panic(), IPIP_STATUS_PANIC, "fault inside the library: asked to");
    CHECK_TEXT(ipip_version(), IPIP_VERSION); /* and the library goes on */
}

int main(void) {
    RUN(a_fault_inside_becomes_a_status);
    return finish();
}
