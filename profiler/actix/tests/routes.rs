//! Requests have the tags of their routes while they are handled and while their bodies are produced.

use actix_web::body::BodyStream;
use actix_web::dev::ServiceResponse;
use actix_web::{App, HttpResponse, test, web};
use davy_actix::{TaggedBody, tag_by_route};
use futures_util::stream;

fn current() -> String {
    let tag = davy_tag::current();
    format!("{} {}", tag.member(), tag.op())
}

async fn handled() -> String {
    current()
}

async fn resumed() -> String {
    actix_web::rt::task::yield_now().await;
    current()
}

async fn streamed() -> HttpResponse {
    let chunk = stream::once(async { Ok::<_, actix_web::Error>(web::Bytes::from(current())) });
    HttpResponse::Ok().body(BodyStream::new(chunk))
}

#[actix_web::test]
async fn a_request_and_its_body_have_the_pattern_of_the_route() {
    let app = App::new()
        .route("/orders/{id}", web::get().to(handled))
        .route("/later/{id}", web::get().to(resumed))
        .service(web::scope("/files").route("/{name}", web::get().to(streamed)))
        .default_service(web::to(handled))
        .wrap(tag_by_route("shop"));
    let app = test::init_service(app).await;
    for (path, expected) in [
        ("/orders/17", "shop /orders/{id}"),
        ("/orders/18?a=b", "shop /orders/{id}"),
        ("/later/1", "shop /later/{id}"),
        ("/files/a", "shop /files/{name}"),
        ("/nowhere", "shop (unknown)"),
    ] {
        let request = test::TestRequest::get().uri(path).to_request();
        let response: ServiceResponse<TaggedBody<_>> = test::call_service(&app, request).await;
        assert!(davy_tag::current().is_untagged());
        assert_eq!(test::read_body(response).await, expected, "{path}");
        assert!(davy_tag::current().is_untagged());
    }
}

#[actix_web::test]
async fn errors_of_handlers_pass_through() {
    let fails = async || Err::<String, _>(actix_web::error::ErrorImATeapot("short and stout"));
    let app = App::new()
        .route("/", web::get().to(fails))
        .wrap(tag_by_route("shop"));
    let app = test::init_service(app).await;
    let request = test::TestRequest::get().to_request();
    let response = test::call_service(&app, request).await;
    assert_eq!(response.status(), 418);
    assert_eq!(test::read_body(response).await, "short and stout");
}
