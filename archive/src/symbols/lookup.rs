//! Looks up addresses in the tables of a build.

use super::source::{Source, Symbols};
use crate::blocking::blocking;
use crate::bucket::{Piece, ReadError};
use crate::error::{Error, ErrorKind, Result};
use crate::format::columns::Group;
use crate::format::symbols::{Chain, FunctionRows, NameRows, NamedFrame, PackedFrame, SymbolTable};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Frames of all addresses of one lookup. The limit bounds memory if an index has hundreds of inlined functions at
/// every address.
const FRAMES: usize = 4_000_000;

/// Functions at addresses, as numbers of names.
type Packed = Vec<(u64, Vec<PackedFrame>)>;

impl Symbols {
    /// The functions at addresses, which must be sorted. An address without functions has an empty chain.
    pub(super) async fn chains(
        &self,
        source: &Arc<Source>,
        addresses: &[u64],
    ) -> Result<FxHashMap<u64, Chain>> {
        let shared = &self.0;
        let mut chains = FxHashMap::default();
        let mut missing = Vec::new();
        for address in addresses {
            match shared.chains.get(source.number, *address) {
                Some(chain) => {
                    chains.insert(*address, chain);
                }
                None => missing.push(*address),
            }
        }
        let count = |result: &str, addresses: usize| {
            let lookups = &shared.metrics.symbol_lookups;
            let counter = lookups.with_label_values(&[result]);
            counter.inc_by(addresses as u64);
        };
        count("cached", chains.len());
        if missing.is_empty() {
            return Ok(chains);
        }
        let packed = self.packed(source, &missing).await?;
        let texts = self.texts(source, &packed).await?;
        let text = |name: u32| {
            let text = texts.get(&name).map(Arc::clone);
            text.ok_or_else(|| Error::corrupt("missing name"))
        };
        let found = packed.iter().filter(|(_, frames)| !frames.is_empty());
        count("found", found.count());
        let not_found = packed.iter().filter(|(_, frames)| frames.is_empty());
        count("not_found", not_found.count());
        for (address, frames) in packed {
            let frames = frames.into_iter().map(|frame| {
                Ok(NamedFrame {
                    function: text(frame.function)?,
                    file: text(frame.file)?,
                    line: frame.line,
                })
            });
            let mut frames = frames.collect::<Result<Vec<_>>>()?;
            // See `davy_profile::Frame::is_named`.
            frames.retain(|frame| !frame.function.is_empty() || !frame.file.is_empty());
            let chain: Chain = frames.into();
            shared.chains.put(source.number, address, &chain);
            chains.insert(address, chain);
        }
        let bytes = shared.chains.bytes() as i64;
        shared.metrics.symbol_cache_bytes.set(bytes);
        Ok(chains)
    }

    /// Reads the row groups of functions that can hold these addresses, one after the other.
    async fn packed(&self, source: &Arc<Source>, addresses: &[u64]) -> Result<Packed> {
        let (mut packed, mut left) = (Packed::with_capacity(addresses.len()), FRAMES);
        let group_of = |address: &u64| source.meta.group_of_address(*address);
        for same in addresses.chunk_by(|a, b| group_of(a) == group_of(b)) {
            let Some(group) = group_of(&same[0]) else {
                packed.extend(same.iter().map(|address| (*address, Vec::new())));
                continue;
            };
            let rows = self.group(source, SymbolTable::Functions, group).await?;
            let same = same.to_vec();
            let find = move || -> Result<(Packed, usize)> {
                let rows = FunctionRows::read(&rows)?;
                let mut found = Packed::with_capacity(same.len());
                for address in same {
                    let frames = rows.find(address)?;
                    left = left.checked_sub(frames.len()).ok_or_else(too_many)?;
                    found.push((address, frames));
                }
                Ok((found, left))
            };
            let found;
            (found, left) = blocking("look up addresses", find).await??;
            packed.extend(found);
        }
        Ok(packed)
    }

    /// Reads the texts of the names that functions refer to.
    async fn texts(
        &self,
        source: &Arc<Source>,
        packed: &Packed,
    ) -> Result<FxHashMap<u32, Arc<str>>> {
        let frames = packed.iter().flat_map(|(_, frames)| frames);
        let names: BTreeSet<u32> = frames.flat_map(|of| [of.function, of.file]).collect();
        let mut by_group: BTreeMap<(usize, u32), Vec<u32>> = BTreeMap::new();
        for name in names {
            let group = source.meta.group_of_name(name);
            let group = group.ok_or_else(|| Error::corrupt("missing name"))?;
            by_group.entry(group).or_default().push(name);
        }
        let mut texts = FxHashMap::default();
        for ((group, first), names) in by_group {
            let rows = self.group(source, SymbolTable::Names, group).await?;
            let read = move || -> Result<Vec<(u32, Arc<str>)>> {
                let rows = NameRows::read(&rows, first)?;
                let texts = names
                    .into_iter()
                    .map(|name| Ok((name, rows.get(name)?.into())));
                texts.collect()
            };
            texts.extend(blocking("look up names", read).await??);
        }
        Ok(texts)
    }

    async fn group(&self, source: &Source, table: SymbolTable, group: usize) -> Result<Group> {
        let bucket = &self.0.bucket;
        let meta = &source.meta;
        let keys = &bucket.keys;
        let key = keys.symbol_table(&source.tenant, &source.build, &meta.content, &table.file());
        let file = meta.file(table)?;
        let read = bucket.file_group(&key, file, group, Piece::Range).await;
        read.map_err(|error| match error {
            ReadError::Gone => Error::corrupt(format!("{key} does not exist")),
            ReadError::Failed(error) => error,
        })
    }
}

fn too_many() -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("more than {FRAMES} functions at the addresses of one part of the range"),
    )
}
