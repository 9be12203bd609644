/* The thread-local that OTEP 4947 names, and the one store that publishes a record in it. */

__attribute__((visibility("default"))) __thread const void *volatile otel_thread_ctx_v1 = 0;

__attribute__((visibility("hidden"))) void davy_tag_otel_attach(const void *record) {
    /* Whoever reads has stopped this thread, so that the order of its own stores is enough. */
    __atomic_signal_fence(__ATOMIC_RELEASE);
    otel_thread_ctx_v1 = record;
}
