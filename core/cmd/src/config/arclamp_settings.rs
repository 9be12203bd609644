//! The settings in `[arclamp]`.

use super::setting::{Setting, setting_of};
use crate::catalogue::MemberId;

const MEMBERS: &[MemberId] = &[MemberId::ArchiveArclamp];

/// The settings in `[arclamp]`.
pub(super) const ARCLAMP: &[Setting] = &[
    setting_of(
        "arclamp.redis",
        "",
        "Redis to which clients of Arc Lamp publish stacks: redis://HOST:PORT, or rediss://HOST:PORT for TLS; with arclamp.sentinels, redis://NAME of the master [default: that of arclamp.yaml; without both, archive.arclamp does nothing]",
        MEMBERS,
    ),
    setting_of(
        "arclamp.redis_file",
        "",
        "file with arclamp.redis, for a URL with a password",
        MEMBERS,
    ),
    setting_of(
        "arclamp.ca_file",
        "",
        "PEM file with the CAs to trust for Redis with TLS [default: the CAs of the system]",
        MEMBERS,
    ),
    setting_of(
        "arclamp.certificate_file",
        "",
        "PEM file with the certificate to present to Redis with TLS",
        MEMBERS,
    ),
    setting_of(
        "arclamp.key_file",
        "",
        "PEM file with the key of arclamp.certificate_file",
        MEMBERS,
    ),
    setting_of(
        "arclamp.sentinels",
        "",
        "addresses HOST:PORT of Redis Sentinels, separated by commas",
        MEMBERS,
    ),
    setting_of(
        "arclamp.channels",
        "",
        "channels, separated by commas; those with the word wall in their name are of wall-clock time [default: those of arclamp.yaml, or excimer,excimer-wall]",
        MEMBERS,
    ),
    setting_of(
        "arclamp.yaml",
        "",
        "files arclamp-log.yaml of Arc Lamp, separated by commas, from which Redis and the channels are taken",
        MEMBERS,
    ),
    setting_of(
        "arclamp.service",
        "php",
        "label `service_name` of the profiles",
        MEMBERS,
    ),
    setting_of(
        "arclamp.window",
        "10s",
        "duration of a window of stacks",
        MEMBERS,
    ),
    setting_of(
        "arclamp.buffer_bytes",
        "64MiB",
        "memory of stacks that wait to be stored; if it is not enough, the oldest are dropped",
        MEMBERS,
    ),
];
