//! A control of a process without members, for tests.

use crate::access::{Access, AccessOptions};
use crate::control::{Control, ControlOptions, Identity};
use crate::debug_port::DebugPort;
use crate::endpoints::Endpoints;
use davy_base::Clock;
use davy_runtime::Toggles;
use davy_store::{Store, StoreOptions};
use prometheus::Registry;
use tempfile::TempDir;
use ulid::Ulid;

/// A control on the database in `folder`, on a host with this clock.
pub(crate) async fn control_on(folder: &TempDir, clock: Clock) -> Control {
    let url = format!("sqlite:{}", folder.path().join("davy.db").display());
    let store = Store::new(StoreOptions {
        url,
        connections_max: 2,
        clock: clock.clone(),
    })
    .expect("a valid URL");
    let migrated = store.migrate().await;
    let registry = Registry::new();
    let toggles = Toggles::new();
    let debug = DebugPort {
        host: "shop-1".to_owned(),
        address: "127.0.0.1:8079".to_owned(),
    };
    let endpoints = Endpoints::new(
        clock.clone(),
        toggles.clone(),
        None,
        debug.clone(),
        &registry,
    );
    let access = Access::new(AccessOptions::default(), &registry);
    let control = Control::new(ControlOptions {
        identity: Identity {
            id: Ulid(7),
            process: "web".to_owned(),
            host: debug.host,
            parent: None,
            version: "0",
            debug: debug.address,
        },
        clock,
        store: store.member("control", 2),
        endpoints: endpoints.expect("metrics are registered once"),
        toggles,
        profiler: None,
        members: vec!["gc.audit".to_owned()],
        access: access.expect("metrics are registered once"),
    });
    control.observe_database(&migrated);
    control
}
