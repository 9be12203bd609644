//! An axum server with `/debug/pprof/*`.
//!
//! `cargo run --features axum --example axum -- http://127.0.0.1:4040`, then
//! `go tool pprof http://127.0.0.1:3000/debug/pprof/profile?member=api`.

use axum::extract::{MatchedPath, Request};
use axum::{Router, routing::get};
use davy_profiler::{Builder, debug_router};
use davy_tag::Tag;

davy_profiler::use_jemalloc!();

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Builder::new("on-axum").spool(std::env::temp_dir().join("on-axum"));
    if let Some(archiver) = std::env::args().nth(1) {
        builder = builder.archiver(archiver);
    }
    let profiler = builder.start()?;
    // The operation is the route, not the path: there are few routes, but clients can make up any number of paths.
    let by_route = davy_tag::http::layer(|request: &Request| {
        let route = request.extensions().get::<MatchedPath>();
        Tag::new("api", route.map_or("(unknown)", MatchedPath::as_str))
    });
    let app = Router::new()
        .route(
            "/sum",
            get(async || (0..50_000_000u64).sum::<u64>().to_string()),
        )
        .route_layer(by_route)
        .merge(debug_router(profiler.handle()));
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    davy_tag::attribute_parking(runtime.enable_all())
        .build()?
        .block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
            axum::serve(listener, app).await
        })?;
    Ok(())
}
