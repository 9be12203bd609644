//! What a drill reads of the processes of its fleet: CPU, database queries, and how long they took.

use super::load::agent;
use crate::client::Client;
use crate::failure::Failure;
use crate::server::Server;
use davy_control::MemberRow;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Sums over the control plane since its processes have started.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ControlPlane {
    /// CPU time of its processes, in seconds.
    pub(super) cpu_seconds: f64,
    /// Queries of the gateways, with BEGIN and COMMIT.
    pub(super) gateway_queries: u64,
    /// Queries of the collectors.
    pub(super) collector_queries: u64,
}

impl ControlPlane {
    pub(super) fn read(server: &str) -> Result<Self, Failure> {
        let rows: Vec<MemberRow> = get_json(server, "/api/v1/members")?;
        let mut processes = BTreeMap::new();
        let (mut gateway_queries, mut collector_queries) = (0, 0);
        for row in &rows {
            processes.insert((row.pid, &row.process), row.kernel.cpu_seconds);
            let queries = row.member.usage.db_queries;
            if row.member.name == "gateway" {
                gateway_queries += queries;
            } else if row.member.name.starts_with("gc.") {
                collector_queries += queries;
            }
        }
        Ok(Self {
            cpu_seconds: processes.values().sum(),
            gateway_queries,
            collector_queries,
        })
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
            gateway_queries: self.gateway_queries.saturating_sub(before.gateway_queries),
            collector_queries: self
                .collector_queries
                .saturating_sub(before.collector_queries),
        }
    }
}

pub(super) fn get_json<T: DeserializeOwned>(server: &str, path: &str) -> Result<T, Failure> {
    let server = Server {
        server: server.to_owned(),
        token: None,
    };
    Client::new(&server)?.get_json(path, &[])
}

/// How many statements of a member took longer than a bound of the histogram, and how many there were.
pub(super) fn slow_statements(
    server: &str,
    member: &str,
    bound: &str,
) -> Result<(u64, u64), Failure> {
    let rows: Vec<MemberRow> = get_json(server, "/api/v1/members")?;
    let mut addresses: Vec<&str> = rows.iter().map(|row| row.debug.as_str()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let (mut all, mut fast) = (0, 0);
    for address in addresses.into_iter().filter(|address| !address.is_empty()) {
        let url = format!("http://{address}/metrics");
        let Ok(mut response) = agent().get(&url).call() else {
            continue;
        };
        let text = response.body_mut().read_to_string().unwrap_or_default();
        let value = |line: &str| -> u64 {
            let value = line
                .rsplit(' ')
                .next()
                .and_then(|text| text.parse::<f64>().ok());
            value.unwrap_or(0.0) as u64
        };
        let of_member = format!("member=\"{member}\"");
        let at = format!("le=\"{bound}\"");
        for line in text.lines().filter(|line| line.contains(&of_member)) {
            if line.starts_with("davy_db_query_duration_seconds_count") {
                all += value(line);
            } else if line.starts_with("davy_db_query_duration_seconds_bucket")
                && line.contains(&at)
            {
                fast += value(line);
            }
        }
    }
    Ok((all.saturating_sub(fast), all))
}

/// A quantile of measurements, by rank; zero without any.
pub(super) fn quantile<T: Copy + Ord + Default>(values: &mut [T], percent: usize) -> T {
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100).max(1) - 1;
    values.get(rank).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantile_is_the_value_at_its_rank() {
        let mut values: Vec<u32> = (1..=200).rev().collect();
        assert_eq!(quantile(&mut values, 99), 198);
        assert_eq!(quantile(&mut values, 50), 100);
        assert_eq!(quantile(&mut [7], 99), 7);
        assert_eq!(quantile::<u32>(&mut [], 99), 0);
    }
}
