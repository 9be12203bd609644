//! The object stores under test. `ops/dev/versitygw run`, `ops/dev/swift run` and `ops/dev/azurite run` start the servers.

use davy_base::{Clock, Random};
use davy_bucket::{
    BucketSettings, Client, ClientOptions, FaultKind, Meter, OpenBucket, RequestKind, Secret, open,
};
use object_store::path::Path;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// A kind of object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Memory,
    /// versitygw.
    S3,
    /// OpenStack Swift by its own API.
    Swift,
    /// OpenStack Swift by its S3 API.
    SwiftS3,
    /// OpenStack Swift by its own API, with tokens of Keystone.
    Keystone,
    /// An emulator of Azure's blob storage.
    Azure,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The settings of a bucket of this kind; `None` and a skipped test if its server does not run.
pub(crate) fn settings(kind: Kind) -> Option<BucketSettings> {
    let settings = match kind {
        Kind::File => {
            // Kept until the process ends.
            let folder = tempfile::tempdir().expect("a folder").keep();
            Some(BucketSettings::new(format!("file://{}", folder.display())))
        }
        Kind::Memory => Some(BucketSettings::new("memory:")),
        Kind::S3 => variable("DEV_S3").map(|endpoint| BucketSettings {
            endpoint,
            access_key: variable("DEV_S3_ACCESS_KEY").unwrap_or_default(),
            secret_key: Secret(variable("DEV_S3_SECRET_KEY").unwrap_or_default()),
            ..BucketSettings::new("s3://davy")
        }),
        Kind::Swift => variable("DEV_SWIFT").map(|address| BucketSettings {
            auth_url: format!("{address}/auth/v1.0"),
            user: variable("DEV_SWIFT_USER").unwrap_or_default(),
            password: Secret(variable("DEV_SWIFT_PASSWORD").unwrap_or_default()),
            // Several pages for the objects of a test.
            page: Some(300),
            ..BucketSettings::new("swift://davy")
        }),
        Kind::SwiftS3 => variable("DEV_SWIFT").map(|endpoint| BucketSettings {
            endpoint,
            access_key: variable("DEV_SWIFT_USER").unwrap_or_default(),
            secret_key: Secret(variable("DEV_SWIFT_PASSWORD").unwrap_or_default()),
            ..BucketSettings::new("s3://davy")
        }),
        Kind::Keystone => variable("DEV_KEYSTONE").map(|auth_url| BucketSettings {
            auth_url,
            user: "davy".to_owned(),
            password: Secret(variable("DEV_SWIFT_PASSWORD").unwrap_or_default()),
            project: "profiles".to_owned(),
            domain: "home".to_owned(),
            page: Some(300),
            ..BucketSettings::new("swift://davy")
        }),
        Kind::Azure => variable("DEV_AZURE").map(|endpoint| BucketSettings {
            endpoint,
            access_key: variable("DEV_AZURE_ACCOUNT").unwrap_or_default(),
            secret_key: Secret(variable("DEV_AZURE_KEY").unwrap_or_default()),
            ..BucketSettings::new("az://davy")
        }),
    };
    if settings.is_none() {
        let script = match kind {
            Kind::S3 => "versitygw",
            Kind::Azure => "azurite",
            _ => "swift",
        };
        davy_test_support::skip(&format!(
            "the server of {kind:?} does not run; start the tests with `ops/dev/{script} run`"
        ));
    }
    settings
}

/// Counts of a client.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<BTreeMap<String, u64>>);

impl Counts {
    fn add(&self, name: String, by: u64) {
        *self.0.lock().expect("no panic").entry(name).or_default() += by;
    }

    pub(crate) fn of(&self, name: &str) -> u64 {
        self.0
            .lock()
            .expect("no panic")
            .get(name)
            .copied()
            .unwrap_or_default()
    }
}

impl Meter for Counts {
    fn requests(&self, kind: RequestKind, _: &Path, requests: u64) {
        self.add(kind.name().to_owned(), requests);
    }
    fn failed(&self, kind: RequestKind, _: &Path, reason: FaultKind) {
        self.add(format!("failed {} {}", kind.name(), reason.name()), 1);
    }
    fn retried(&self, kind: RequestKind, reason: FaultKind) {
        self.add(format!("retried {} {}", kind.name(), reason.name()), 1);
    }
    fn retry_denied(&self, kind: RequestKind) {
        self.add(format!("denied {}", kind.name()), 1);
    }
    fn hedged(&self, won: bool) {
        self.add(format!("hedged {won}"), 1);
    }
    fn bytes(&self, kind: RequestKind, _: &Path, bytes: u64) {
        self.add(format!("bytes {}", kind.name()), bytes);
    }
}

/// A client, and a folder in its bucket that no other test uses.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) counts: Arc<Counts>,
    folder: String,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl World {
    /// A client of an object store of this kind, if its server runs.
    pub(crate) fn new(kind: Kind) -> Option<Self> {
        Some(Self::with(&settings(kind)?, options()))
    }

    pub(crate) fn with(settings: &BucketSettings, options: ClientOptions) -> Self {
        let clock = Clock::system();
        let bucket = open(settings, &|_| None, &clock).expect("valid settings");
        Self::of(bucket, options, clock)
    }

    pub(crate) fn of(bucket: OpenBucket, options: ClientOptions, clock: Clock) -> Self {
        let counts = Arc::new(Counts::default());
        let meter: Arc<dyn Meter> = Arc::clone(&counts) as _;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            client: Client::new(bucket, options, clock, Random::seeded(7), meter),
            counts,
            folder: format!("test-{}-{number}", std::process::id()),
        }
    }

    pub(crate) fn key(&self, name: &str) -> Path {
        Path::parse(format!("{}/{name}", self.folder)).expect("a key")
    }

    pub(crate) fn folder(&self) -> Path {
        Path::from(self.folder.as_str())
    }
}

/// Options for a machine that is busy with other tests.
pub(crate) fn options() -> ClientOptions {
    ClientOptions {
        timeout: std::time::Duration::from_mins(1),
        attempt_timeout: std::time::Duration::from_secs(30),
        hedge: false,
        multipart_bytes: 5 << 20,
        ..ClientOptions::default()
    }
}
