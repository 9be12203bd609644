//! A gRPC server whose methods are operations.
//!
//! `DAVY_ARCHIVER=http://127.0.0.1:4040 cargo run --features jemalloc,main --example tonic -- 127.0.0.1:3001`

use davy_tag::Tag;
use tonic::transport::Server;
use tonic_health::ServingStatus;

/// The methods that are served. The operation is not just the path, because clients can make up any number of paths.
const METHODS: [&str; 3] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
    "/grpc.health.v1.Health/Watch",
];

#[davy_profiler::main(jemalloc)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("", ServingStatus::Serving)
        .await;
    let by_method = davy_tag::http::layer(|request: &tonic::codegen::http::Request<_>| {
        let path = request.uri().path();
        let method = METHODS.into_iter().find(|method| *method == path);
        Tag::new("grpc", method.unwrap_or("(unknown)"))
    });
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:3001").parse()?;
    // The last window is pushed when the server has stopped.
    let interrupted = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    let server = Server::builder().layer(by_method).add_service(health);
    server.serve_with_shutdown(address, interrupted).await?;
    Ok(())
}
