//! Saved views: links to profiles with a title and a note.

use super::captures::refused;
use super::change::Operator;
use crate::control::Control;
use crate::parameters::Parameters;
use crate::problem::{Problem, failed};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get};
use axum::{Json, Router};
use davy_archive::ingest::tenant;
use davy_base::Random;
use davy_store::{NewView, ViewRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// Views in a response if the request sets no limit.
const LIMIT_DEFAULT: u32 = 200;
/// Views in a response, and of a tenant, at most.
const VIEWS_MAX: u32 = 2_000;
const TITLE_BYTES_MAX: usize = 200;
const NOTE_BYTES_MAX: usize = 4_000;
const LINK_BYTES_MAX: usize = 8_000;
/// The pages whose address holds all that they show.
const PAGES: [&str; 6] = ["", "explore", "compare", "members", "fleet", "archive"];

pub(super) fn router(control: &Control) -> Router {
    Router::new()
        .route("/api/v1/views", get(list).post(create))
        .route("/api/v1/views/{id}", delete(remove))
        .with_state(control.clone())
}

/// A view to save.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ViewRequest {
    /// The title. At most 200 bytes.
    #[schemars(length(min = 1, max = TITLE_BYTES_MAX))]
    title: String,
    /// What it shows. At most 4,000 bytes.
    #[serde(default)]
    #[schemars(length(max = NOTE_BYTES_MAX))]
    note: String,
    /// The address, relative to the first page: `explore?type=...`. Its times should be absolute. At most 8,000 bytes.
    #[schemars(length(max = LINK_BYTES_MAX))]
    link: String,
}

/// Saved views.
#[derive(Serialize)]
struct List {
    views: Vec<ViewRow>,
}

#[derive(Deserialize)]
struct Page {
    limit: Option<u32>,
}

/// A view that was deleted.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ViewDeleted {
    /// Its id.
    id: String,
    /// Its title.
    title: String,
}

/// A view that was saved.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ViewSaved {
    /// Its id.
    id: String,
}

async fn list(
    State(control): State<Control>,
    headers: HeaderMap,
    Parameters(page): Parameters<Page>,
) -> Result<Json<List>, Problem> {
    let tenant = tenant(&headers).map_err(refused)?;
    let limit = page.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, VIEWS_MAX);
    let views = control.0.store.views(tenant.key(), limit).await;
    let views = views.map_err(failed("views"))?;
    Ok(Json(List { views }))
}

async fn create(
    State(control): State<Control>,
    headers: HeaderMap,
    operator: Operator,
    body: Bytes,
) -> Result<Json<ViewSaved>, Problem> {
    let tenant = tenant(&headers).map_err(refused)?;
    let request: ViewRequest = serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_request(format!(
            "invalid body: {error}; expected JSON such as {{\"title\": \"...\", \"link\": \"explore?type=cpu\"}}"
        ))
    })?;
    check(&request)?;
    let now = control.0.clock.now().millis().unsigned_abs();
    let id = Ulid::from_parts(now, Random::system().next_u128()).to_string();
    let view = NewView {
        id: id.clone(),
        tenant: tenant.key().to_owned(),
        title: request.title.trim().to_owned(),
        note: request.note.trim().to_owned(),
        link: request.link,
        operator: operator.name().to_owned(),
    };
    let saved = control.0.store.add_view(&view, VIEWS_MAX).await;
    if !saved.map_err(failed("views"))? {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            format!("{VIEWS_MAX} views are saved already; delete some of them"),
        ));
    }
    Ok(Json(ViewSaved { id }))
}

async fn remove(
    State(control): State<Control>,
    Path(id): Path<String>,
    headers: HeaderMap,
    operator: Operator,
) -> Result<Json<ViewDeleted>, Problem> {
    let tenant = tenant(&headers).map_err(refused)?;
    let title = control.0.store.delete_view(tenant.key(), &id).await;
    let Some(title) = title.map_err(failed("views"))? else {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("view {id:?} not found; GET /api/v1/views lists the views"),
        ));
    };
    operator.audit(&control, "view.delete", &title).await?;
    Ok(Json(ViewDeleted { id, title }))
}

fn check(request: &ViewRequest) -> Result<(), Problem> {
    if request.title.trim().is_empty() {
        return Err(Problem::bad_request("invalid \"title\": it is empty"));
    }
    let lengths = [
        ("title", &request.title, TITLE_BYTES_MAX),
        ("note", &request.note, NOTE_BYTES_MAX),
        ("link", &request.link, LINK_BYTES_MAX),
    ];
    for (name, text, max) in lengths {
        if text.len() > max {
            return Err(Problem::bad_request(format!(
                "invalid {name:?}: expected at most {max} bytes, got {}",
                text.len()
            )));
        }
    }
    // A link of the list must not lead to another site or run as a script.
    let page = request.link.split(['?', '#']).next().unwrap_or("");
    let is_plain = request.link.chars().all(|c| !c.is_control() && c != '\\');
    if !PAGES.contains(&page) || !is_plain {
        return Err(Problem::bad_request(format!(
            "invalid \"link\" {:?}: expected an address relative to the first page, such as explore?type=cpu",
            request.link.chars().take(100).collect::<String>()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(title: &str, link: &str) -> Option<String> {
        let request = ViewRequest {
            title: title.to_owned(),
            note: String::new(),
            link: link.to_owned(),
        };
        check(&request).err().map(|problem| problem.detail)
    }

    #[test]
    fn links_of_the_page_are_accepted() {
        for link in [
            "",
            "?by=operation",
            "explore?type=cpu&from=1#zoom=a.b",
            "compare?a=//b:c",
            "members",
        ] {
            assert_eq!(refusal("heap of api", link), None, "{link}");
        }
    }

    #[test]
    fn links_to_other_sites_and_scripts_are_refused() {
        for link in [
            "https://example.com/",
            "//example.com",
            "javascript:alert(1)",
            "/explore",
            "explore\\?",
            "../explore",
            "explore?\n",
        ] {
            let refusal = refusal("heap", link).unwrap_or_default();
            assert!(refusal.contains("\"link\""), "{link}: {refusal}");
        }
    }

    #[test]
    fn view_needs_a_title_of_a_limited_length() {
        assert!(refusal("  ", "explore").is_some_and(|detail| detail.contains("empty")));
        let long = "x".repeat(TITLE_BYTES_MAX + 1);
        assert!(refusal(&long, "explore").is_some_and(|detail| detail.contains("201")));
    }
}
