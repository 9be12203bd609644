//! The names of one query.

use super::source::{Known, MISSING, PRESENT, Source, Symbols};
use crate::error::Error;
use crate::format::tables::{Names, Unnamed};
use crate::key::Tenant;
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Maximum number of builds that one query looks for.
const BUILDS: usize = 1_000;
/// Builds that are looked for concurrently.
const CONCURRENT: usize = 16;

/// What the names of a query depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FoundNames {
    /// Every frame had its name in the pieces.
    #[default]
    NotNeeded,
    /// Every build has symbols.
    All,
    /// Some builds have none so far.
    Some,
}

impl FoundNames {
    /// How long another archiver's symbols may be missed; `None` for ever.
    pub(crate) fn last(self) -> Option<Duration> {
        match self {
            Self::NotNeeded => None,
            Self::All => Some(PRESENT),
            Self::Some => Some(MISSING),
        }
    }
}

/// Names from the same symbols for all parts of a query, even if others are stored meanwhile.
pub(crate) struct Session {
    symbols: Symbols,
    tenant: Tenant,
    /// The symbols of each build that was looked for.
    sources: BTreeMap<String, Option<Arc<Source>>>,
    /// Builds whose names could not be read, with the reason.
    faults: BTreeMap<String, Error>,
    is_limited: bool,
}

impl Session {
    pub(crate) fn new(symbols: &Symbols, tenant: &Tenant) -> Self {
        Self {
            symbols: symbols.clone(),
            tenant: tenant.clone(),
            sources: BTreeMap::new(),
            faults: BTreeMap::new(),
            is_limited: false,
        }
    }

    /// The functions at addresses, as far as they are known. Symbols that cannot be read are noted, and not used
    /// from then on.
    pub(crate) async fn names(&mut self, unnamed: &Unnamed) -> Names {
        self.open(unnamed).await;
        let mut names = Names::new();
        for (build_id, addresses) in unnamed {
            let Some(Some(source)) = self.sources.get(build_id) else {
                continue;
            };
            match self.symbols.chains(source, addresses).await {
                Ok(chains) => {
                    names.insert(build_id.clone(), chains);
                }
                Err(error) => {
                    self.symbols.broken(source, &error);
                    self.faults.insert(build_id.clone(), error);
                    self.sources.insert(build_id.clone(), None);
                }
            }
        }
        names
    }

    /// Looks for the symbols of builds.
    async fn open(&mut self, unnamed: &Unnamed) {
        let is_new = |build_id: &&String| !self.sources.contains_key(*build_id);
        let mut new: Vec<String> = unnamed.keys().filter(is_new).cloned().collect();
        let free = BUILDS.saturating_sub(self.sources.len());
        self.is_limited |= new.len() > free;
        new.truncate(free);
        let (symbols, tenant) = (&self.symbols, &self.tenant);
        let known = new.into_iter().map(|build_id| async move {
            let known = symbols.known(tenant, &build_id).await;
            (build_id, known)
        });
        let known: Vec<(String, Known)> = futures_util::stream::iter(known)
            .buffer_unordered(CONCURRENT)
            .collect()
            .await;
        for (build_id, known) in known {
            let source = match known {
                Known::Present(source) => Some(source),
                Known::Missing => None,
                Known::Failed(error) => {
                    self.faults.insert(build_id.clone(), error);
                    None
                }
            };
            self.sources.insert(build_id, source);
        }
    }

    /// What the names depend on.
    pub(crate) fn found(&self) -> FoundNames {
        if self.sources.is_empty() {
            FoundNames::NotNeeded
        } else if self.sources.values().all(Option::is_some) {
            FoundNames::All
        } else {
            FoundNames::Some
        }
    }

    /// A sentence for each reason why frames have no names.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let faults = self.faults.iter();
        let mut warnings: Vec<String> = faults
            .map(|(build_id, error)| {
                format!("functions of build {build_id} are shown as addresses: {error}")
            })
            .collect();
        let missing = self.sources.iter().filter(|(_, source)| source.is_none());
        for (build_id, _) in missing {
            if self.symbols.missing().is_fetching(&self.tenant, build_id) {
                warnings.push(format!(
                    "functions of build {build_id} are shown as addresses: its debug information is being fetched; retry in a few seconds"
                ));
            }
        }
        if self.is_limited {
            warnings.push(format!(
                "functions of some builds are shown as addresses because there are more than {BUILDS} builds; narrow the selector or the range"
            ));
        }
        warnings
    }
}
