//! The service with which agents ask what debug files to upload. davy-symbols takes the files.

use crate::exchange::{self, unknown};
use crate::messages::debuginfo::{
    BuildRequest, FileMetadata, ListDebuginfoResponse, ObjectMetadata, ShouldInitiateUploadRequest,
    ShouldInitiateUploadResponse, Time, UPLOADED,
};
use crate::messages::minor::Empty;
use crate::protocol::Wire;
use crate::scope::{invalid, unary};
use crate::status::{Code, Status};
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use davy_archive::ingest::{SymbolStore, tenant};
use davy_archive::key::Tenant;

/// The route of `debuginfo.v1alpha1`.
pub(crate) fn routes(symbols: SymbolStore) -> Router {
    Router::new()
        .route("/debuginfo.v1alpha1.DebuginfoService/{method}", post(serve))
        .with_state(symbols)
}

async fn serve(
    State(symbols): State<SymbolStore>,
    Path(method): Path<String>,
    request: Request,
) -> Response {
    let tenant = tenant(request.headers());
    let clock = symbols.clock();
    let answer = async |wire, message: Bytes| {
        let tenant = tenant?;
        call(&symbols, &tenant, &method, (wire, &message)).await
    };
    exchange::serve(request, clock, answer).await
}

async fn call(
    symbols: &SymbolStore,
    tenant: &Tenant,
    method: &str,
    from: (Wire, &Bytes),
) -> Result<Bytes, Status> {
    match method {
        "ShouldInitiateUpload" => {
            unary(from, |request| should_upload(symbols, tenant, request)).await
        }
        "UploadFinished" => unary(from, |request| finished(symbols, tenant, request)).await,
        "ListDebuginfo" => unary(from, |_: Empty| list(symbols, tenant)).await,
        "DeleteDebuginfo" => unary(from, |request| delete(symbols, tenant, request)).await,
        _ => Err(unknown(method)),
    }
}

async fn should_upload(
    symbols: &SymbolStore,
    tenant: &Tenant,
    request: ShouldInitiateUploadRequest,
) -> Result<ShouldInitiateUploadResponse, Status> {
    let build_id = request.file.unwrap_or_default().gnu_build_id;
    let (should_initiate_upload, reason) = if build_id.is_empty() {
        (
            false,
            "the file has no GNU build id, by which profiles refer to it".to_owned(),
        )
    } else {
        match symbols.get(tenant, &build_id).await? {
            Some(stored) => {
                let functions =
                    davy_profile::units::count(stored.functions as usize, "function", "functions");
                (
                    false,
                    format!("the symbols of the build are stored: {functions}"),
                )
            }
            None => (true, "no symbols of the build are stored".to_owned()),
        }
    };
    Ok(ShouldInitiateUploadResponse {
        should_initiate_upload,
        reason,
    })
}

fn build_id(request: BuildRequest) -> Result<String, Status> {
    if request.gnu_build_id.is_empty() {
        return Err(invalid("missing gnu_build_id"));
    }
    Ok(request.gnu_build_id)
}

fn not_found(build_id: &str) -> Status {
    Status::new(
        Code::NotFound,
        format!("no symbols of build {build_id:?} are stored; upload the file first"),
    )
}

/// The response to the upload came after the symbols had been stored, so there is nothing left to do.
async fn finished(
    symbols: &SymbolStore,
    tenant: &Tenant,
    request: BuildRequest,
) -> Result<Empty, Status> {
    let build_id = build_id(request)?;
    match symbols.get(tenant, &build_id).await? {
        Some(_) => Ok(Empty {}),
        None => Err(not_found(&build_id)),
    }
}

async fn list(symbols: &SymbolStore, tenant: &Tenant) -> Result<ListDebuginfoResponse, Status> {
    let (all, _) = symbols.list(tenant).await?;
    let object = all.into_iter().map(|stored| ObjectMetadata {
        file: Some(FileMetadata {
            gnu_build_id: stored.build_id,
            name: stored.file,
            ..FileMetadata::default()
        }),
        state: UPLOADED,
        finished_at: Some(Time {
            seconds: stored.at.millis().div_euclid(1_000),
            nanos: stored.at.millis().rem_euclid(1_000) as i32 * 1_000_000,
        }),
        size_bytes: i64::try_from(stored.bytes).unwrap_or(i64::MAX),
    });
    Ok(ListDebuginfoResponse {
        object: object.collect(),
    })
}

async fn delete(
    symbols: &SymbolStore,
    tenant: &Tenant,
    request: BuildRequest,
) -> Result<Empty, Status> {
    let build_id = build_id(request)?;
    if symbols.delete(tenant, &build_id).await? {
        Ok(Empty {})
    } else {
        Err(not_found(&build_id))
    }
}
