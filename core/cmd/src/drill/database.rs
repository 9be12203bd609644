//! The database of a drill, which the drill fills and inspects itself.

use crate::failure::Failure;
use davy_store::Store;

/// Runs `work` on a store of its own.
pub(super) fn with_store<T>(
    url: &str,
    work: impl AsyncFnOnce(&Store) -> Result<T, davy_store::Error>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::because("cannot start the runtime"))?;
    let result = runtime.block_on(async {
        let store = Store::open(url).await?;
        let result = work(&store).await;
        store.close().await;
        result
    });
    result.map_err(Failure::because("database access failed"))
}
