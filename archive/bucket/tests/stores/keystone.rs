//! Logins at a real Keystone, whose tokens a real Swift accepts.

use crate::world::{Kind, World, options, settings};
use bytes::Bytes;
use davy_base::Clock;
use davy_bucket::{BucketSettings, FaultKind, Secret, open};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// Keystone by its API, as one of its users.
struct Keystone {
    address: String,
    token: String,
    user: String,
    project: String,
    /// The address of the account.
    swift: String,
}

impl Keystone {
    /// Logs in with the password of the tests.
    async fn login(settings: &BucketSettings, user: &str, project: &str, domain: &str) -> Self {
        let domain = json!({"name": domain});
        let password =
            json!({"user": {"name": user, "password": settings.password.0, "domain": domain}});
        let mut keystone = Self {
            address: settings.auth_url.clone(),
            token: String::new(),
            user: String::new(),
            project: String::new(),
            swift: String::new(),
        };
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": password},
            "scope": {"project": {"name": project, "domain": domain}},
        }});
        let (token, answer) = keystone.call(Method::POST, "auth/tokens", &body).await;
        let id = |what: &str| {
            answer["token"][what]["id"]
                .as_str()
                .expect("an id")
                .to_owned()
        };
        (keystone.user, keystone.project) = (id("user"), id("project"));
        keystone.token = token.expect("a token");
        let catalog = answer["token"]["catalog"].as_array().expect("a list");
        let swift = catalog
            .iter()
            .find(|service| service["type"] == "object-store");
        let url = &swift.expect("Swift")["endpoints"][0]["url"];
        url.as_str()
            .expect("an address")
            .clone_into(&mut keystone.swift);
        keystone
    }

    /// How Swift answers to the token.
    async fn swift_status(&self) -> u16 {
        let request = reqwest::Client::new().head(&self.swift);
        let response = request.header("x-auth-token", &self.token).send().await;
        response.expect("Swift responds").status().as_u16()
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> (Option<String>, Value) {
        // A second call changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let request = reqwest::Client::new().request(method, format!("{}/{path}", self.address));
        let request = request
            .header("content-type", "application/json")
            .header("x-auth-token", &self.token);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let response = request.body(body).send().await;
        let response = response.expect("Keystone responds");
        let status = response.status();
        let token = response.headers().get("x-subject-token");
        let token = token.map(|token| token.to_str().expect("text").to_owned());
        let body = response.text().await.expect("a body");
        assert!(status.is_success(), "{path}: {status} {body}");
        (token, serde_json::from_str(&body).unwrap_or_default())
    }
}

async fn is_usable(world: &World) {
    let key = world.key("a");
    let bytes = Bytes::from_static(b"x");
    world.client.put(&key, bytes).await.expect("put");
    assert_eq!(world.client.get(&key).await.expect("get"), "x");
}

#[tokio::test]
async fn token_that_was_revoked_is_renewed() {
    let Some(mut settings) = settings(Kind::Keystone) else {
        return;
    };
    let admin = Keystone::login(&settings, "admin", "admin", "Default").await;
    let home = Keystone::login(&settings, "davy", "profiles", "home").await;
    let (_, roles) = admin
        .call(Method::GET, "roles?name=admin", &json!(null))
        .await;
    let role = roles["roles"][0]["id"].as_str().expect("an id").to_owned();
    let (_, davy) = admin
        .call(Method::GET, &format!("users/{}", home.user), &json!(null))
        .await;
    let password = &settings.password.0;
    let name = format!("renewed-{}", std::process::id());
    let user = json!({"user": {"name": name, "domain_id": davy["user"]["domain_id"], "password": password}});
    let (_, user) = admin.call(Method::POST, "users", &user).await;
    let user = user["user"]["id"].as_str().expect("an id").to_owned();
    let grant = format!("projects/{}/users/{user}/roles/{role}", home.project);
    admin.call(Method::PUT, &grant, &json!(null)).await;

    let renewal = json!({"user": {"password": password}});
    settings.user = name;
    let world = World::with(&settings, options());
    is_usable(&world).await;
    let clock = Clock::system();
    let other = Keystone::login(&settings, &settings.user, "profiles", "home").await;
    // A new password ends all tokens of the user, even if it is the old one. Swift caches what it knows of a token.
    let path = format!("users/{user}");
    admin.call(Method::PATCH, &path, &renewal).await;
    let refused = async {
        while other.swift_status().await != 401 {
            clock.sleep(Duration::from_millis(100)).await;
        }
    };
    let refused = clock.timeout(Duration::from_mins(1), refused).await;
    assert!(refused.is_ok(), "Swift still accepts the revoked token");
    is_usable(&world).await;
}

#[tokio::test]
async fn application_credential_is_accepted_without_a_user() {
    let Some(mut settings) = settings(Kind::Keystone) else {
        return;
    };
    let davy = Keystone::login(&settings, "davy", "profiles", "home").await;
    let wanted =
        json!({"application_credential": {"name": format!("archive-{}", std::process::id())}});
    let path = format!("users/{}/application_credentials", davy.user);
    let (_, credential) = davy.call(Method::POST, &path, &wanted).await;
    let credential = &credential["application_credential"];
    settings.user = String::new();
    settings.password = Secret(String::new());
    let clock = Clock::system();
    let environment = |name: &str| match name {
        "OS_APPLICATION_CREDENTIAL_ID" => credential["id"].as_str().map(str::to_owned),
        "OS_APPLICATION_CREDENTIAL_SECRET" => credential["secret"].as_str().map(str::to_owned),
        _ => None,
    };
    let bucket = open(&settings, &environment, &clock).expect("valid settings");
    is_usable(&World::of(bucket, options(), clock)).await;
}

#[tokio::test]
async fn refusal_of_keystone_names_the_user_and_no_secret() {
    let Some(mut settings) = settings(Kind::Keystone) else {
        return;
    };
    settings.password = Secret("wrong-secret".to_owned());
    let world = World::with(&settings, options());
    let listed = world.client.list(&world.folder()).await;
    let fault = listed.expect_err("refused");
    assert_eq!(fault.kind, FaultKind::Credentials);
    let text = fault.to_string();
    assert!(
        text.contains("refused a token to the user davy: 401 Unauthorized"),
        "{text}"
    );
    assert!(
        text.contains("bucket.password_file") && !text.contains("wrong-secret"),
        "{text}"
    );
}

#[tokio::test]
async fn project_without_the_region_that_is_asked_for_is_refused_with_the_regions_that_there_are() {
    let Some(mut settings) = settings(Kind::Keystone) else {
        return;
    };
    settings.region = "elsewhere".to_owned();
    let world = World::with(&settings, options());
    let listed = world.client.list(&world.folder()).await;
    let text = listed.expect_err("refused").to_string();
    assert!(
        text.contains("elsewhere") && text.contains("here"),
        "{text}"
    );
}
