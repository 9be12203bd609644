//! What a query of a flame graph leaves out and lets the server choose, so that a page gets its first flame graph with one
//! request: the service, the profile type and the label to group by.

use super::metadata::{Wanted, list};
use super::params::Ask;
use super::scan::Query;
use crate::error::Result;
use crate::labels::SERVICE;
use crate::selector::Selector;
use crate::types::TypeFilter;

/// The service that is chosen if it has profiles: Davy profiles itself.
const OWN_SERVICE: &str = "davy";
/// The label that is grouped by if the profiles have it.
const MEMBER: &str = "member";
/// Types that are chosen if there are profiles of them, by the beginnings of their ids.
const TYPES: [&str; 2] = ["process_cpu:cpu:", "process_cpu:"];
/// The type of a range without profiles.
const TYPE_OF_NONE: &str = "cpu";

/// The query, completed from what the range has.
pub(super) async fn complete(query: &Query, mut ask: Ask) -> Result<Ask> {
    if ask.selector.is_empty() {
        let (services, _) = list(query, &ask, Wanted::Values(SERVICE.to_owned())).await?;
        let own = services.get(OWN_SERVICE);
        if let Some(service) = own.or_else(|| services.first()) {
            ask.selector = Selector::of_service(service);
        }
    }
    if ask.kind.is_none() {
        let (types, _) = list(query, &ask, Wanted::Types).await?;
        let preferred = |start: &&str| types.iter().find(|id| id.starts_with(*start));
        let chosen = TYPES.iter().find_map(preferred).or(types.first());
        ask.kind = TypeFilter::parse(chosen.map_or(TYPE_OF_NONE, String::as_str));
    }
    // A trace crosses services.
    let is_of_a_trace = ask.selector.only().is_of_spans();
    if ask.by.is_empty() && is_of_a_trace && !ask.selector.names_service() {
        ask.by.push(SERVICE.to_owned());
    }
    if ask.by.is_empty() {
        let (names, _) = list(query, &ask, Wanted::Names).await?;
        ask.by.extend(names.get(MEMBER).cloned());
    }
    Ok(ask)
}
