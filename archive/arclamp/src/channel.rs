//! Channels and the profile types of their stacks.

use davy_profile::Profile;
use std::time::Duration;

/// A Redis channel, or the logs of one, and what its stacks are samples of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// Whether the stacks are of wall-clock time; otherwise they are of CPU time.
    pub is_wall: bool,
    /// Time between two samples of a request. Arc Lamp's clients take one each minute.
    pub period: Duration,
}

impl Channel {
    /// A channel with this name. Channels whose name has the word `wall` sample wall-clock time.
    pub fn named(name: &str) -> Self {
        let mut words = name.split(['-', '_', '.', ':']);
        Self {
            name: name.to_owned(),
            is_wall: words.any(|word| word == "wall"),
            period: Duration::from_mins(1),
        }
    }

    /// The name of its profiles, the first part of their type id.
    pub fn profile_name(&self) -> &'static str {
        if self.is_wall { "wall" } else { "process_cpu" }
    }

    /// The id of the profile type of its stacks.
    pub fn profile_type(&self) -> String {
        let of = if self.is_wall { "wall" } else { "cpu" };
        format!("{}:samples:count:{of}:nanoseconds", self.profile_name())
    }

    /// An empty profile of this type.
    pub(crate) fn profile(&self) -> Profile {
        let mut profile = Profile::new();
        profile.add_sample_type("samples", "count");
        let of = if self.is_wall { "wall" } else { "cpu" };
        profile.period_type = davy_profile::ValueType {
            kind: profile.strings.intern(of),
            unit: profile.strings.intern("nanoseconds"),
        };
        profile.period = i64::try_from(self.period.as_nanos()).unwrap_or(i64::MAX);
        profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_follows_from_the_words_of_the_name() {
        let kind = |name: &str| Channel::named(name).profile_type();
        let (cpu, wall) = (
            "process_cpu:samples:count:cpu:nanoseconds",
            "wall:samples:count:wall:nanoseconds",
        );
        assert_eq!(kind("excimer"), cpu);
        assert_eq!(kind("excimer-wall"), wall);
        assert_eq!(kind("excimer-k8s-wall"), wall);
        assert_eq!(kind("wallaby"), cpu);
    }
}
