//! The way back from having disabled what toggles are thrown through: a debug port.

use davy_runtime::Target;

/// The operations that toggle.
const SWITCHING: [&str; 2] = ["ToggleMember", "ToggleEndpoint"];

/// Whether an operation toggles. Its answer is not cut off by what it disables, which may be
/// itself: who asked could not know what became of it.
pub(crate) fn is_toggling(operation: &str) -> bool {
    SWITCHING.contains(&operation)
}

/// Where a process's own debug port is. It is open whatever is disabled.
#[derive(Clone, Debug)]
pub struct DebugPort {
    /// The machine.
    pub host: String,
    /// The address on that machine.
    pub address: String,
}

impl DebugPort {
    /// How something is enabled again without the API; nothing where the API can do it.
    pub(crate) fn way_back(&self, target: &Target) -> Option<String> {
        let what = match target {
            Target::Member(name) if name == "api" => "member",
            Target::Endpoint(name) if is_toggling(name) => "endpoint",
            Target::Member(_) | Target::Endpoint(_) => return None,
        };
        let name = target.name();
        let Self { host, address } = self;
        Some(format!(
            "`davy {what} enable {name} --server http://{address}` on {host} enables it again"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_toggles_are_thrown_through_has_a_way_back_by_the_debug_port() {
        let port = DebugPort {
            host: "shop-1".to_owned(),
            address: "127.0.0.1:8079".to_owned(),
        };
        let check = |target: Target, command: Option<&str>| {
            let expected = command.map(|command| {
                format!("`{command} --server http://127.0.0.1:8079` on shop-1 enables it again")
            });
            assert_eq!(port.way_back(&target), expected);
        };
        let endpoint = |name: &str| Target::Endpoint(name.to_owned());
        check(
            Target::Member("api".to_owned()),
            Some("davy member enable api"),
        );
        check(Target::Member("ui".to_owned()), None);
        for name in SWITCHING {
            let command = format!("davy endpoint enable {name}");
            check(endpoint(name), Some(&command));
        }
        check(endpoint("QuerySvg"), None);
        // They would lead nowhere if the operations were called otherwise.
        let operations: Vec<_> = crate::operations().map(|operation| operation.id).collect();
        assert!(SWITCHING.iter().all(|name| operations.contains(name)));
    }
}
