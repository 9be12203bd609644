//! Rules and their totals in the bucket.

use super::state::RuleState;
use crate::bucket::{Bucket, ReadError};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Tenant, encode};
use crate::recording_rule::{RULES, RecordingRule};
use bytes::Bytes;
use davy_base::Clock;
use object_store::path::Path;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The folder of a tenant's rules.
const FOLDER: &str = "rules";
const RULE: &str = "rule.json";
const STATE: &str = "state.json";

/// The rules of all tenants: those of the configuration, and those that were stored by the API. Cheap to clone.
#[derive(Clone)]
pub struct RuleStore {
    pub(super) bucket: Arc<Bucket>,
    pub(super) clock: Clock,
    provisioned: Arc<RwLock<Arc<Vec<RecordingRule>>>>,
    accepts_changes: bool,
}

impl RuleStore {
    pub(crate) fn new(
        bucket: Arc<Bucket>,
        clock: Clock,
        provisioned: Vec<RecordingRule>,
        accepts_changes: bool,
    ) -> Self {
        Self {
            bucket,
            clock,
            provisioned: Arc::new(RwLock::new(Arc::new(provisioned))),
            accepts_changes,
        }
    }

    /// Whether there can be rules at all.
    pub fn is_used(&self) -> bool {
        self.accepts_changes || !self.all_provisioned().is_empty()
    }

    /// The clock of the archive.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Replaces the rules of the configuration, from the next evaluation on. The totals of rules that stay the same go on.
    pub fn replace(&self, rules: Vec<RecordingRule>) {
        let mut provisioned = self
            .provisioned
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *provisioned = Arc::new(rules);
    }

    fn all_provisioned(&self) -> Arc<Vec<RecordingRule>> {
        let provisioned = self.provisioned.read();
        Arc::clone(&provisioned.unwrap_or_else(PoisonError::into_inner))
    }

    /// The rules of the configuration.
    pub(super) fn provisioned(&self, tenant: &Tenant) -> Vec<RecordingRule> {
        let rules = self.all_provisioned();
        let of_tenant = rules.iter().filter(|rule| rule.tenant() == *tenant);
        of_tenant.cloned().collect()
    }

    fn folder(&self, tenant: &Tenant) -> Path {
        self.bucket.keys.root().join(tenant.key()).join(FOLDER)
    }

    fn key(&self, tenant: &Tenant, id: &str, file: &str) -> Path {
        self.folder(tenant).join(encode(id)).join(file)
    }

    /// The rules of a tenant with whether the configuration has them, sorted by id. A stored rule with the id of one of the
    /// configuration does not count.
    pub async fn list(&self, tenant: &Tenant) -> Result<Vec<(RecordingRule, bool)>> {
        let mut all: BTreeMap<String, (RecordingRule, bool)> = BTreeMap::new();
        if self.accepts_changes {
            let objects = self.bucket.list(&self.folder(tenant)).await?;
            let rules = objects.into_iter().map(|object| object.location);
            for key in rules.filter(|key| key.filename() == Some(RULE)).take(RULES) {
                if let Some(rule) = self.read::<RecordingRule>(&key).await? {
                    all.insert(rule.id.clone(), (rule, false));
                }
            }
        }
        for rule in self.provisioned(tenant) {
            all.insert(rule.id.clone(), (rule, true));
        }
        Ok(all.into_values().collect())
    }

    /// Stores a rule. Its generation must be that of the stored one, or 0 if it does not matter.
    pub async fn upsert(&self, tenant: &Tenant, mut rule: RecordingRule) -> Result<RecordingRule> {
        self.check_changes(tenant, &rule.id)?;
        rule.check()
            .map_err(|error| Error::invalid(error.to_string()))?;
        let key = self.key(tenant, &rule.id, RULE);
        let before: Option<RecordingRule> = self.read(&key).await?;
        let generation = before.as_ref().map_or(0, |before| before.generation);
        if rule.generation != 0 && rule.generation != generation {
            return Err(Error::invalid(format!(
                "rule {:?} has generation {generation}, not {}: somebody else has changed it; read it again",
                rule.id, rule.generation
            )));
        }
        if before.is_none() && self.list(tenant).await?.len() >= RULES {
            return Err(Error::new(
                ErrorKind::Exceeded,
                format!("the tenant has {RULES} rules, the limit; delete one"),
            ));
        }
        rule.generation = generation + 1;
        self.write(&key, &rule).await?;
        Ok(rule)
    }

    /// Deletes a stored rule and its totals. Returns whether there was one.
    pub async fn delete(&self, tenant: &Tenant, id: &str) -> Result<bool> {
        self.check_changes(tenant, id)?;
        let key = self.key(tenant, id, RULE);
        if self.read::<RecordingRule>(&key).await?.is_none() {
            return Ok(false);
        }
        self.bucket.delete(&key).await?;
        self.bucket.delete(&self.key(tenant, id, STATE)).await?;
        Ok(true)
    }

    fn check_changes(&self, tenant: &Tenant, id: &str) -> Result<()> {
        if self.provisioned(tenant).iter().any(|rule| rule.id == id) {
            return Err(Error::invalid(format!(
                "rule {id:?} is in archive.rules_file; change it there"
            )));
        }
        if self.accepts_changes {
            return Ok(());
        }
        Err(Error::invalid(
            "rules are only read from archive.rules_file; set archive.rules_api = true to store them in the bucket",
        ))
    }

    /// The tenants that have rules or could have them.
    pub(super) async fn tenants(&self) -> Result<Vec<Tenant>> {
        let provisioned = self.all_provisioned();
        let mut tenants: Vec<Tenant> = provisioned.iter().map(RecordingRule::tenant).collect();
        if self.accepts_changes {
            let folders = self.bucket.folders(&self.bucket.keys.root()).await?;
            tenants.extend(folders.iter().filter_map(|folder| Tenant::from_key(folder)));
        }
        tenants.sort();
        tenants.dedup();
        Ok(tenants)
    }

    pub(super) async fn state(&self, tenant: &Tenant, id: &str) -> Result<Option<RuleState>> {
        self.read(&self.key(tenant, id, STATE)).await
    }

    pub(super) async fn put_state(
        &self,
        tenant: &Tenant,
        id: &str,
        state: &RuleState,
    ) -> Result<()> {
        self.write(&self.key(tenant, id, STATE), state).await
    }

    async fn read<T: DeserializeOwned>(&self, key: &Path) -> Result<Option<T>> {
        match self.bucket.get_current(key).await {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Error::corrupt_by(error).within(key)),
            Err(ReadError::Gone) => Ok(None),
            Err(ReadError::Failed(error)) => Err(error),
        }
    }

    async fn write<T: Serialize>(&self, key: &Path, value: &T) -> Result<()> {
        let text = serde_json::to_vec(value).map_err(Error::corrupt_by)?;
        self.bucket.put(key, Bytes::from(text)).await
    }
}
