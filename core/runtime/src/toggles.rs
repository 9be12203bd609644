//! What configuration says of members and endpoints, what was said live, and what follows.

use davy_base::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// How long a request may hold its slot unless a setting says otherwise.
pub const SLOT_DEFAULT: Duration = Duration::from_secs(30);

/// How many targets may be toggled live.
const LIVE_MAX: usize = 4_096;

/// What is toggled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A member, by its name.
    Member(String),
    /// An endpoint, by its operation.
    Endpoint(String),
}

impl Target {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Member(name) | Self::Endpoint(name) => name,
        }
    }
}

/// What somebody said of a target. What is `None` is left to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// On or off.
    pub enabled: Option<bool>,
    /// How many requests at once.
    pub limit: Option<u32>,
    /// How long a request may hold its slot.
    pub slot: Option<Duration>,
    /// Who said it.
    pub who: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
    /// Where it was said: a flag, a variable, a file, `live`.
    pub source: String,
}

/// What follows from all settings of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// On or off.
    pub enabled: bool,
    /// How many requests at once; `None` where there is no limit.
    pub limit: Option<u32>,
    /// How long a request may hold its slot.
    pub slot: Duration,
    /// The setting that decides: that which disables it, else that of the limit, else that of the
    /// slot, else that which says that it is on.
    pub by: Option<Arc<Setting>>,
}

impl Default for Effective {
    fn default() -> Self {
        Self {
            enabled: true,
            limit: None,
            slot: SLOT_DEFAULT,
            by: None,
        }
    }
}

/// A target with all that was said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toggled {
    /// What is toggled.
    pub target: Target,
    /// What the configuration says of it.
    pub configured: Vec<Arc<Setting>>,
    /// What was said live.
    pub live: Option<Arc<Setting>>,
    /// What follows.
    pub effective: Effective,
}

/// Why a live setting is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToggleRefused {
    /// The configuration toggles the target off.
    #[error(
        "{name} is disabled by {source_name}; change it there and reload, since a live toggle can only narrow what is configured"
    )]
    ConfiguredOff {
        /// The target's name.
        name: String,
        /// Where it is configured.
        source_name: String,
    },
    /// The configuration's limit is lower.
    #[error(
        "{name} is limited to {configured} at once by {source_name}, so a limit of {asked} would change nothing; lower it further, or change it there and reload"
    )]
    ConfiguredLimit {
        /// The target's name.
        name: String,
        /// What was asked for.
        asked: u32,
        /// What is configured.
        configured: u32,
        /// Where.
        source_name: String,
    },
    /// The configuration's slots are shorter.
    #[error(
        "{name} may hold a slot for {configured:?} by {source_name}, so {asked:?} would change nothing; shorten it further, or change it there and reload"
    )]
    ConfiguredSlot {
        /// The target's name.
        name: String,
        /// What was asked for.
        asked: Duration,
        /// What is configured.
        configured: Duration,
        /// Where.
        source_name: String,
    },
    /// More live settings than there may be.
    #[error("{LIVE_MAX} targets are toggled live already; take some of these toggles back first")]
    TooMany,
}

/// All toggles of a process. Cheap to clone; clones see the same.
///
/// **The narrower wins**: off beats a limit beats on, the lower limit beats the higher, the shorter
/// slot the longer. So a live toggle can narrow what is configured and never widen it.
#[derive(Clone, Debug)]
pub struct Toggles(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    said: Mutex<Said>,
    /// What follows from `said`, worked out at every change so that asking is a look-up.
    effective: RwLock<Published>,
    changes: watch::Sender<u64>,
}

type Published = HashMap<Target, Effective>;

#[derive(Debug, Default)]
struct Said {
    configured: BTreeMap<Target, Vec<Arc<Setting>>>,
    live: BTreeMap<Target, Arc<Setting>>,
}

impl Default for Toggles {
    fn default() -> Self {
        Self::new()
    }
}

impl Toggles {
    /// Nothing was said; everything is on.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            said: Mutex::default(),
            effective: RwLock::default(),
            changes: watch::Sender::new(0),
        }))
    }

    /// Replaces all that the configuration says. Several settings of one target are allowed.
    pub fn set_configured(&self, settings: Vec<(Target, Setting)>) {
        let mut said = self.said();
        said.configured.clear();
        for (target, setting) in settings {
            let of_target = said.configured.entry(target).or_default();
            of_target.push(Arc::new(setting));
        }
        self.publish(&said);
    }

    /// Says something live, or takes it back by `None`. Refused where it would have no effect because
    /// the configuration is narrower.
    pub fn set_live(&self, target: Target, setting: Option<Setting>) -> Result<(), ToggleRefused> {
        let mut said = self.said();
        if let Some(setting) = setting {
            check(&said.configured_of(&target), &target, &setting)?;
            if said.live.len() >= LIVE_MAX && !said.live.contains_key(&target) {
                return Err(ToggleRefused::TooMany);
            }
            said.live.insert(target, Arc::new(setting));
        } else {
            said.live.remove(&target);
        }
        self.publish(&said);
        Ok(())
    }

    /// What holds for a target now. On the path of every request, so it takes about 100 ns.
    pub fn effective(&self, target: &Target) -> Effective {
        let effective = self.0.effective.read();
        let effective = effective.unwrap_or_else(PoisonError::into_inner);
        effective.get(target).cloned().unwrap_or_default()
    }

    /// Every target of which anything was said.
    pub fn all(&self) -> Vec<Toggled> {
        let said = self.said();
        let toggled = |target: Target| Toggled {
            configured: said.configured.get(&target).cloned().unwrap_or_default(),
            live: said.live.get(&target).cloned(),
            effective: said.effective(&target),
            target,
        };
        said.targets().into_iter().map(toggled).collect()
    }

    /// Tells of every change by a number that grows.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, said: &Said) {
        let entry = |target: Target| {
            let effective = said.effective(&target);
            (target, effective)
        };
        let effective: Published = said.targets().into_iter().map(entry).collect();
        let published = self.0.effective.write();
        *published.unwrap_or_else(PoisonError::into_inner) = effective;
        self.0.changes.send_modify(|changes| *changes += 1);
    }
}

impl Said {
    fn targets(&self) -> BTreeSet<Target> {
        self.configured
            .keys()
            .chain(self.live.keys())
            .cloned()
            .collect()
    }

    fn configured_of(&self, target: &Target) -> Vec<&Arc<Setting>> {
        self.configured.get(target).into_iter().flatten().collect()
    }

    fn effective(&self, target: &Target) -> Effective {
        let mut settings = self.configured_of(target);
        settings.extend(self.live.get(target));
        narrowest(&settings)
    }
}

/// Of several that are equally narrow the first decides.
fn narrowest(settings: &[&Arc<Setting>]) -> Effective {
    let said = |enabled: bool| settings.iter().find(|s| s.enabled == Some(enabled));
    let limited = settings.iter().filter(|s| s.limit.is_some());
    let limited = limited.min_by_key(|s| s.limit);
    let slotted = settings.iter().filter(|s| s.slot.is_some());
    let slotted = slotted.min_by_key(|s| s.slot);
    let off = said(false);
    let by = off.or(limited).or(slotted).or(said(true));
    Effective {
        enabled: off.is_none(),
        limit: limited.and_then(|s| s.limit),
        slot: slotted.and_then(|s| s.slot).unwrap_or(SLOT_DEFAULT),
        by: by.map(|setting| Arc::clone(setting)),
    }
}

/// Whether a live setting changes anything, given what is configured.
fn check(
    configured: &[&Arc<Setting>],
    target: &Target,
    live: &Setting,
) -> Result<(), ToggleRefused> {
    if live.enabled == Some(false) {
        return Ok(());
    }
    let name = || target.name().to_owned();
    if let Some(off) = configured.iter().find(|s| s.enabled == Some(false)) {
        return Err(ToggleRefused::ConfiguredOff {
            name: name(),
            source_name: off.source.clone(),
        });
    }
    for setting in configured {
        if let (Some(asked), Some(configured)) = (live.limit, setting.limit)
            && asked > configured
        {
            return Err(ToggleRefused::ConfiguredLimit {
                name: name(),
                asked,
                configured,
                source_name: setting.source.clone(),
            });
        }
        if let (Some(asked), Some(configured)) = (live.slot, setting.slot)
            && asked > configured
            && live.limit.is_none()
        {
            return Err(ToggleRefused::ConfiguredSlot {
                name: name(),
                asked,
                configured,
                source_name: setting.source.clone(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
