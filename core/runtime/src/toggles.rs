//! Toggles: the configured and live settings of members and endpoints, and the effective result.

use davy_base::Timestamp;
use davy_profile::units::duration;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// How long a request may hold its slot by default.
pub const SLOT_DEFAULT: Duration = Duration::from_secs(30);

/// Maximum number of targets with a live setting.
const LIVE_MAX: usize = 4_096;

/// What a toggle applies to.
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

/// A setting of a target. `None` leaves a property to other settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Whether the target is enabled.
    pub enabled: Option<bool>,
    /// The maximum number of concurrent requests.
    pub limit: Option<u32>,
    /// How long a request may hold its slot.
    pub slot: Option<Duration>,
    /// The operator who set it, or empty.
    pub operator: String,
    /// The stated reason.
    pub why: String,
    /// When it was set.
    pub at: Timestamp,
    /// Where it was set: the name of a flag, variable or file, or `live`.
    pub source: String,
}

/// The result of all settings of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Whether the target is enabled.
    pub enabled: bool,
    /// The maximum number of concurrent requests; `None` without a limit.
    pub limit: Option<u32>,
    /// How long a request may hold its slot.
    pub slot: Duration,
    /// The decisive setting: the one that disables the target, else that of the limit, else that of the
    /// slot, else the one that enables it.
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

/// A target with all its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSettings {
    /// The target.
    pub target: Target,
    /// The configured settings.
    pub configured: Vec<Arc<Setting>>,
    /// The live setting.
    pub live: Option<Arc<Setting>>,
    /// The result.
    pub effective: Effective,
}

/// Why a live setting is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToggleError {
    /// The configuration disables the target.
    #[error(
        "{name} is disabled by {source_name}, and a live toggle cannot enable it; change {source_name} and reload"
    )]
    Disabled {
        /// The target's name.
        name: String,
        /// Where it is disabled.
        source_name: String,
    },
    /// The configured limit is lower.
    #[error(
        "{source_name} limits {name} to {configured}, so a live limit of {requested} has no effect; set a lower limit, or change {source_name} and reload"
    )]
    Limit {
        /// The target's name.
        name: String,
        /// The requested limit.
        requested: u32,
        /// The configured limit.
        configured: u32,
        /// Where it is configured.
        source_name: String,
    },
    /// The configured slot time is shorter.
    #[error(
        "{source_name} sets the slot time of {name} to {}, so a live slot time of {} has no effect; set a shorter one, or change {source_name} and reload",
        duration(*.configured), duration(*.requested)
    )]
    Slot {
        /// The target's name.
        name: String,
        /// The requested slot time.
        requested: Duration,
        /// The configured slot time.
        configured: Duration,
        /// Where it is configured.
        source_name: String,
    },
    /// Too many targets have a live setting.
    #[error(
        "too many live toggles: {LIVE_MAX} members and endpoints have one already; clear some of them first"
    )]
    TooMany,
}

/// All toggles of a process. Cheap to clone; clones share the settings.
///
/// **The most restrictive setting wins**: disabled before limited before enabled, the lower limit, the
/// shorter slot. A live setting can therefore restrict the configuration but not relax it.
#[derive(Clone, Debug)]
pub struct Toggles(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Mutex<Settings>,
    /// The result of `settings`, computed at every change so that reading it is a look-up.
    effective: RwLock<Published>,
    changes: watch::Sender<u64>,
}

type Published = HashMap<Target, Effective>;

#[derive(Debug, Default)]
struct Settings {
    configured: BTreeMap<Target, Vec<Arc<Setting>>>,
    live: BTreeMap<Target, Arc<Setting>>,
}

impl Default for Toggles {
    fn default() -> Self {
        Self::new()
    }
}

impl Toggles {
    /// Toggles without settings: every target is enabled.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            settings: Mutex::default(),
            effective: RwLock::default(),
            changes: watch::Sender::new(0),
        }))
    }

    /// Replaces all configured settings. A target may have several.
    pub fn set_configured(&self, configured: Vec<(Target, Setting)>) {
        let mut settings = self.settings();
        settings.configured.clear();
        for (target, setting) in configured {
            let of_target = settings.configured.entry(target).or_default();
            of_target.push(Arc::new(setting));
        }
        self.publish(&settings);
    }

    /// Sets the live setting of a target, or clears it with `None`. A setting that has no effect because
    /// the configuration is more restrictive is rejected.
    pub fn set_live(&self, target: Target, setting: Option<Setting>) -> Result<(), ToggleError> {
        let mut settings = self.settings();
        if let Some(setting) = setting {
            check(&settings.configured_of(&target), &target, &setting)?;
            if settings.live.len() >= LIVE_MAX && !settings.live.contains_key(&target) {
                return Err(ToggleError::TooMany);
            }
            settings.live.insert(target, Arc::new(setting));
        } else {
            settings.live.remove(&target);
        }
        self.publish(&settings);
        Ok(())
    }

    /// The effective setting of a target. Called for every request; takes about 100 ns.
    pub fn effective(&self, target: &Target) -> Effective {
        let effective = self.0.effective.read();
        let effective = effective.unwrap_or_else(PoisonError::into_inner);
        effective.get(target).cloned().unwrap_or_default()
    }

    /// Every target with a setting.
    pub fn all(&self) -> Vec<TargetSettings> {
        let settings = self.settings();
        let of_target = |target: Target| TargetSettings {
            configured: settings
                .configured
                .get(&target)
                .cloned()
                .unwrap_or_default(),
            live: settings.live.get(&target).cloned(),
            effective: settings.effective(&target),
            target,
        };
        settings.targets().into_iter().map(of_target).collect()
    }

    /// A counter that increases with every change.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        let settings = self.0.settings.lock();
        settings.unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, settings: &Settings) {
        let entry = |target: Target| {
            let effective = settings.effective(&target);
            (target, effective)
        };
        let effective: Published = settings.targets().into_iter().map(entry).collect();
        let published = self.0.effective.write();
        *published.unwrap_or_else(PoisonError::into_inner) = effective;
        self.0.changes.send_modify(|changes| *changes += 1);
    }
}

impl Settings {
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
        most_restrictive(&settings)
    }
}

/// Combines settings. Of equally restrictive ones the first is decisive.
fn most_restrictive(settings: &[&Arc<Setting>]) -> Effective {
    let toggled = |enabled: bool| settings.iter().find(|s| s.enabled == Some(enabled));
    let limited = settings.iter().filter(|s| s.limit.is_some());
    let limited = limited.min_by_key(|s| s.limit);
    let slotted = settings.iter().filter(|s| s.slot.is_some());
    let slotted = slotted.min_by_key(|s| s.slot);
    let disabled = toggled(false);
    let by = disabled.or(limited).or(slotted).or(toggled(true));
    Effective {
        enabled: disabled.is_none(),
        limit: limited.and_then(|s| s.limit),
        slot: slotted.and_then(|s| s.slot).unwrap_or(SLOT_DEFAULT),
        by: by.map(|setting| Arc::clone(setting)),
    }
}

/// Checks that a live setting has an effect, given the configuration.
fn check(configured: &[&Arc<Setting>], target: &Target, live: &Setting) -> Result<(), ToggleError> {
    if live.enabled == Some(false) {
        return Ok(());
    }
    let name = || target.name().to_owned();
    if let Some(disabled) = configured.iter().find(|s| s.enabled == Some(false)) {
        return Err(ToggleError::Disabled {
            name: name(),
            source_name: disabled.source.clone(),
        });
    }
    for setting in configured {
        if let (Some(requested), Some(configured)) = (live.limit, setting.limit)
            && requested > configured
        {
            return Err(ToggleError::Limit {
                name: name(),
                requested,
                configured,
                source_name: setting.source.clone(),
            });
        }
        if let (Some(requested), Some(configured)) = (live.slot, setting.slot)
            && requested > configured
            && live.limit.is_none()
        {
            return Err(ToggleError::Slot {
                name: name(),
                requested,
                configured,
                source_name: setting.source.clone(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
