//! An axum server with `/debug/pprof/*`.
//!
//! `cargo run --features axum --example axum -- http://127.0.0.1:4040`, then
//! `go tool pprof http://127.0.0.1:3000/debug/pprof/profile?member=api`.

use axum::extract::{MatchedPath, Request};
use axum::{Router, middleware, routing::get};
use davy_profiler::{Builder, debug_router};

davy_profiler::use_jemalloc!();

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Builder::new("on-axum").spool(std::env::temp_dir().join("on-axum"));
    if let Some(archiver) = std::env::args().nth(1) {
        builder = builder.archiver(archiver);
    }
    let profiler = builder.start()?;
    // The operation is the route, not the path: there are few routes, but clients can make up any number of paths.
    let by_route = |route: MatchedPath, request: Request, next: middleware::Next| async move {
        davy_tag::tagged("api", route.as_str(), next.run(request)).await
    };
    let app = Router::new()
        .route(
            "/sum",
            get(async || (0..50_000_000u64).sum::<u64>().to_string()),
        )
        .route_layer(middleware::from_fn(by_route))
        .merge(debug_router(profiler.handle()));
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
            axum::serve(listener, app).await
        })?;
    Ok(())
}
