#![doc = include_str!("../README.md")]

mod attempt;
mod aws_file;
mod client;
mod connector;
mod disk;
mod fault;
mod health;
mod hedge;
mod meter;
mod open;
mod retry;
mod settings;
mod swift;
mod url;

pub use client::upload::Upload;
pub use client::{Client, ClientOptions};
pub use connector::{private_client, web_client};
pub use disk::DiskCache;
pub use fault::{Fault, FaultKind};
pub use health::{Failing, Health};
pub use meter::{Meter, NoMeter, RequestKind, Usage};
pub use object_store::path::Path as ObjectPath;
pub use open::{OpenBucket, check, open};
pub use settings::{BucketSettings, Environment, Secret, SettingsError, process_environment};
pub use swift::{Swift, SwiftOptions};
pub use url::{BucketUrl, Scheme};
