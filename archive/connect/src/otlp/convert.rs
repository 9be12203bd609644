//! From OTLP to pushes of pprof profiles.
//!
//! Samples of a profile whose attribute `service.name` differs are profiles of their own. `samples:count` with a period of
//! `cpu:nanoseconds` becomes CPU time: each count is a period. A sample without values counts its timestamps.

use super::labels::{Attributes, add_indices, add_link, add_pairs, entry, labels, source, text};
use super::messages::{Dictionary, ExportRequest, Profile as Sent, Sample, ValueType};
use crate::json::hex;
use crate::status::Status;
use davy_archive::ingest::{Format, Push, SampleTypes, WindowIdentity};
use davy_profile::{
    Function, Label, LabelSetId, LabelValue, Line, Mapping, NodeId, Profile, pprof,
};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Maximum number of profiles of a request.
const PROFILES: usize = 2_000;

/// Attributes of a mapping that have a build id, the best one first.
const BUILD_IDS: [&str; 3] = [
    "process.executable.build_id.gnu",
    "process.executable.build_id.go",
    "process.executable.build_id.htlhash",
];

/// The attribute that can differ between the samples of a profile.
const SERVICE: &str = "service.name";

/// The pushes of a request, with what each is, for messages.
pub(super) fn pushes(request: &ExportRequest) -> Result<Vec<(String, Push)>, Status> {
    let none = Dictionary::default();
    let dictionary = request.dictionary.as_ref().unwrap_or(&none);
    let mut pushes = Vec::new();
    let mut number = 0;
    for resource in &request.resource_profiles {
        let mut of_resource = Attributes::new();
        if let Some(of) = &resource.resource {
            add_pairs(&mut of_resource, dictionary, &of.attributes)?;
        }
        for scope in &resource.scope_profiles {
            let mut of_scope = of_resource.clone();
            if let Some(of) = &scope.scope {
                add_pairs(&mut of_scope, dictionary, &of.attributes)?;
            }
            for profile in &scope.profiles {
                let mut attributes = of_scope.clone();
                add_indices(&mut attributes, dictionary, &profile.attribute_indices)?;
                for push in pushes_of(dictionary, profile, &attributes)? {
                    if pushes.len() == PROFILES {
                        return Err(Status::invalid(format!(
                            "the request has more than {PROFILES} profiles, the limit; split it"
                        )));
                    }
                    pushes.push((format!("profile {number}"), push));
                }
                number += 1;
            }
        }
    }
    Ok(pushes)
}

/// The pushes of a profile: one for each service.
fn pushes_of(
    dictionary: &Dictionary,
    sent: &Sent,
    attributes: &Attributes,
) -> Result<Vec<Push>, Status> {
    let mut services: BTreeMap<Option<String>, Builder<'_>> = BTreeMap::new();
    for sample in &sent.samples {
        let mut of_sample = Attributes::new();
        add_indices(&mut of_sample, dictionary, &sample.attribute_indices)?;
        add_link(&mut of_sample, dictionary, sample.link_index)?;
        let service = of_sample.remove(SERVICE).filter(|name| !name.is_empty());
        let builder = match services.entry(service) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                new.insert(Builder::new(dictionary, sent)?)
            }
        };
        builder.add(sample, &of_sample)?;
    }
    let mut pushes = Vec::new();
    for (service, builder) in services {
        let labels = source(attributes, service.as_deref());
        let has_id = sent.profile_id.iter().any(|byte| *byte != 0);
        let identity = if has_id {
            let service = service.as_deref().unwrap_or("");
            WindowIdentity::Client(format!("{}{service}", hex::encode(&sent.profile_id)))
        } else {
            WindowIdentity::Content
        };
        pushes.push(Push {
            labels: labels.into(),
            identity,
            span: None,
            format: Format::Pprof(SampleTypes::default()),
            body: pprof::encode(&builder.profile).into(),
        });
    }
    Ok(pushes)
}

/// Copies samples and what they refer to.
struct Builder<'a> {
    dictionary: &'a Dictionary,
    profile: Profile,
    /// What a value is multiplied by.
    scale: i64,
    stacks: FxHashMap<i32, NodeId>,
    locations: FxHashMap<i32, u32>,
    mappings: FxHashMap<i32, u32>,
    sets: FxHashMap<Vec<(String, String)>, LabelSetId>,
}

impl<'a> Builder<'a> {
    fn new(dictionary: &'a Dictionary, sent: &Sent) -> Result<Self, Status> {
        let names = |of: Option<&ValueType>| -> Result<(&'a str, &'a str), Status> {
            let of = of.cloned().unwrap_or_default();
            let kind = text(dictionary, of.type_strindex)?;
            Ok((kind, text(dictionary, of.unit_strindex)?))
        };
        let period = names(sent.period_type.as_ref())?;
        let is_cpu = period == ("cpu", "nanoseconds") && sent.period > 0;
        let (kind, scale) = match names(sent.sample_type.as_ref())? {
            ("samples" | "sample" | "events", "count") if is_cpu => (period, sent.period),
            ("", _) => {
                return Err(Status::invalid(
                    "invalid profile: the sample type has no name",
                ));
            }
            kind => (kind, 1),
        };
        let mut profile = Profile::new();
        profile.add_sample_type(kind.0, kind.1);
        profile.period_type.kind = profile.strings.intern(period.0);
        profile.period_type.unit = profile.strings.intern(period.1);
        profile.period = sent.period;
        (profile.time_nanos, profile.duration_nanos) = span(sent);
        Ok(Self {
            dictionary,
            profile,
            scale,
            stacks: FxHashMap::default(),
            locations: FxHashMap::default(),
            mappings: FxHashMap::default(),
            sets: FxHashMap::default(),
        })
    }

    fn add(&mut self, sample: &Sample, attributes: &Attributes) -> Result<(), Status> {
        let value = if sample.values.is_empty() {
            sample.timestamps_unix_nano.len() as i64
        } else {
            let values = sample.values.iter();
            values.fold(0i64, |sum, value| sum.saturating_add(*value))
        };
        let stack = self.stack(sample.stack_index)?;
        let labels = labels(attributes);
        let set = match self.sets.get(&labels) {
            Some(set) => *set,
            None => self.set(labels),
        };
        let value = value.saturating_mul(self.scale);
        self.profile.add_sample(stack, set, &[value]);
        Ok(())
    }

    fn set(&mut self, labels: Vec<(String, String)>) -> LabelSetId {
        let strings = &mut self.profile.strings;
        let set: Vec<Label> = labels
            .iter()
            .map(|(name, value)| Label {
                key: strings.intern(name),
                value: LabelValue::Text(strings.intern(value)),
            })
            .collect();
        let id = self.profile.label_sets.intern(&set);
        self.sets.insert(labels, id);
        id
    }

    fn stack(&mut self, index: i32) -> Result<NodeId, Status> {
        if let Some(stack) = self.stacks.get(&index) {
            return Ok(*stack);
        }
        let stack = entry(&self.dictionary.stack_table, index, "stack_table")?;
        let indices = stack.map_or(&[][..], |stack| &stack.location_indices);
        let mut locations = Vec::with_capacity(indices.len());
        for index in indices.iter().rev() {
            locations.extend(self.location(*index)?);
        }
        let stack = self.profile.stack(locations);
        self.stacks.insert(index, stack);
        Ok(stack)
    }

    fn location(&mut self, index: i32) -> Result<Option<u32>, Status> {
        if let Some(location) = self.locations.get(&index) {
            return Ok(Some(*location));
        }
        let dictionary = self.dictionary;
        let Some(of) = entry(&dictionary.location_table, index, "location_table")? else {
            return Ok(None);
        };
        let mapping = self.mapping(of.mapping_index)?;
        let mut lines = Vec::with_capacity(of.lines.len());
        for line in &of.lines {
            let function = entry(
                &dictionary.function_table,
                line.function_index,
                "function_table",
            )?;
            let Some(function) = function else {
                continue;
            };
            let mut string = |index| {
                let text = text(dictionary, index)?;
                Ok::<_, Status>(self.profile.strings.intern(text))
            };
            let function = Function {
                name: string(function.name_strindex)?,
                system_name: string(function.system_name_strindex)?,
                file: string(function.filename_strindex)?,
                start_line: function.start_line,
            };
            lines.push(Line {
                function: self.profile.function(function),
                line: line.line,
                column: line.column,
            });
        }
        let location = self.profile.location(mapping, of.address, &lines);
        self.locations.insert(index, location);
        Ok(Some(location))
    }

    fn mapping(&mut self, index: i32) -> Result<Option<u32>, Status> {
        if let Some(mapping) = self.mappings.get(&index) {
            return Ok(Some(*mapping));
        }
        let dictionary = self.dictionary;
        let Some(of) = entry(&dictionary.mapping_table, index, "mapping_table")? else {
            return Ok(None);
        };
        let mut attributes = Attributes::new();
        add_indices(&mut attributes, dictionary, &of.attribute_indices)?;
        let build_id = BUILD_IDS.iter().find_map(|name| attributes.get(*name));
        let strings = &mut self.profile.strings;
        let mapping = Mapping {
            start: of.memory_start,
            limit: of.memory_limit,
            file_offset: of.file_offset,
            file: strings.intern(text(dictionary, of.filename_strindex)?),
            build_id: strings.intern(build_id.map_or("", String::as_str)),
            ..Mapping::default()
        };
        let number = self.profile.mappings.len() as u32;
        self.profile.mappings.push(mapping);
        self.mappings.insert(index, number);
        Ok(Some(number))
    }
}

/// Start and duration of a profile: as it states them, or those of its timestamps.
fn span(sent: &Sent) -> (i64, i64) {
    let nanos = |nanos: u64| i64::try_from(nanos).unwrap_or(i64::MAX);
    if sent.time_unix_nano > 0 {
        return (nanos(sent.time_unix_nano), nanos(sent.duration_nano));
    }
    let all = || sent.samples.iter().flat_map(|of| &of.timestamps_unix_nano);
    let (first, last) = (all().min(), all().max());
    let first = first.copied().unwrap_or(0);
    let length = last.copied().unwrap_or(0).saturating_sub(first);
    (nanos(first), nanos(sent.duration_nano.max(length)))
}
