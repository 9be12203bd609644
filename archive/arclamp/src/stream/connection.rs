//! One subscription to Redis, which is checked each second.

use crate::settings::{Place, RedisSettings};
use crate::tls::explain;
use davy_base::Clock;
use futures_util::StreamExt;
use redis::Client;
use redis::aio::{PubSubSink, PubSubStream};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Time limit of looking up the server, of connecting and of the answer to a ping.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Time between two pings.
const PING: Duration = Duration::from_secs(1);
/// Number of pings after which the server is looked up again.
const LOOK_UP: u32 = 3;

/// A subscription.
pub(super) struct Connection {
    redis: RedisSettings,
    clock: Clock,
    sink: PubSubSink,
    lines: PubSubStream,
    address: String,
}

/// Why a connection is no longer used.
pub(super) struct Lost {
    pub(super) reason: String,
    /// When the server answered last, on the monotonic clock.
    pub(super) alive_at: Duration,
}

impl Connection {
    /// Finds the server, connects and subscribes.
    pub(super) async fn open(
        redis: &RedisSettings,
        channels: &[&str],
        clock: &Clock,
    ) -> Result<Self, String> {
        let connect = async {
            let (address, client) = look_up(redis, None).await?;
            let connected = client.get_async_pubsub().await;
            let is_tls = redis.tls.is_some();
            let failed = |error: redis::RedisError| {
                format!("{address}: {}", explain(&error.to_string(), is_tls))
            };
            let (mut sink, lines) = connected.map_err(failed)?.split();
            let failed = |error| format!("{address}: cannot subscribe: {error}");
            sink.subscribe(channels).await.map_err(failed)?;
            Ok(Self {
                redis: redis.clone(),
                clock: clock.clone(),
                sink,
                lines,
                address,
            })
        };
        let connected = clock.timeout(TIMEOUT, connect).await;
        connected.unwrap_or_else(|_| {
            let advice = if redis.tls.is_some() {
                "; check that it uses TLS on this port (tls-port)"
            } else {
                ""
            };
            Err(format!(
                "no answer from {redis} within {} s{advice}",
                TIMEOUT.as_secs()
            ))
        })
    }

    /// The address of the server.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Calls `each` with the channel and the bytes of every message, until the connection is lost.
    pub(super) async fn receive(&mut self, mut each: impl FnMut(&str, &[u8])) -> Lost {
        let Self {
            redis,
            clock,
            sink,
            lines,
            address,
        } = self;
        let alive_at = AtomicU64::new(millis(clock));
        let receive = async {
            while let Some(message) = lines.next().await {
                each(message.get_channel_name(), message.get_payload_bytes());
            }
            format!("{address}: connection closed")
        };
        let check = async {
            for round in 1u32.. {
                clock.sleep(PING).await;
                match clock.timeout(TIMEOUT, sink.ping::<redis::Value>()).await {
                    Ok(Ok(_)) => alive_at.store(millis(clock), Ordering::Relaxed),
                    Ok(Err(error)) => return format!("{address}: {error}"),
                    Err(_) => {
                        return format!(
                            "{address}: no answer to a ping within {} s",
                            TIMEOUT.as_secs()
                        );
                    }
                }
                // The name may belong to another server by now, or the master may be another. Errors don't matter as
                // long as this one answers.
                if round.is_multiple_of(LOOK_UP)
                    && let Ok(Ok((now, _))) =
                        clock.timeout(TIMEOUT, look_up(redis, Some(address))).await
                    && now != *address
                {
                    return format!("{redis} is {now} now, and no longer {address}");
                }
            }
            unreachable!("pings do not end")
        };
        let reason = tokio::select! {
            reason = receive => reason,
            reason = check => reason,
        };
        Lost {
            reason,
            alive_at: Duration::from_millis(alive_at.into_inner()),
        }
    }
}

/// The address of the server, and a client for it. Of several addresses the current one is preferred.
async fn look_up(redis: &RedisSettings, current: Option<&str>) -> Result<(String, Client), String> {
    match &redis.place {
        Place::Server(host, port) => {
            let found = tokio::net::lookup_host((host.as_str(), *port)).await;
            let found = found.map_err(|error| format!("cannot resolve {host}: {error}"))?;
            let found: Vec<SocketAddr> = found.collect();
            let is_current = |of: &&SocketAddr| current == Some(of.to_string().as_str());
            let address = found.iter().find(is_current).or(found.first());
            let address = address.ok_or_else(|| format!("{host} has no address"))?;
            let client = redis.client(host, *address);
            let client = client.map_err(|error| format!("{host}: {error}"))?;
            Ok((address.to_string(), client))
        }
        Place::Sentinels(nodes, master) => {
            let is_tls = redis.tls.is_some();
            let failed = |error: redis::RedisError| {
                let error = explain(&error.to_string(), is_tls);
                format!("the Sentinels name no master {master}: {error}")
            };
            let mut sentinels = redis.sentinels(nodes, master).map_err(failed)?;
            let client = sentinels.async_get_client().await.map_err(failed)?;
            Ok((client.get_connection_info().addr().to_string(), client))
        }
    }
}

fn millis(clock: &Clock) -> u64 {
    clock.monotonic().as_millis() as u64
}
