/* The thread-local that OTEP 4947 specifies, and the store that publishes a record in it. */

__attribute__((visibility("default"))) __thread const void *volatile otel_thread_ctx_v1 = 0;

__attribute__((visibility("hidden"))) void davy_tag_otel_attach(const void *record) {
    /* A reader interrupts this thread, so the order of the thread's own stores is sufficient. */
    __atomic_signal_fence(__ATOMIC_RELEASE);
    otel_thread_ctx_v1 = record;
}
