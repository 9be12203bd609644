//! The debug port of a process, which responds even if members or endpoints are disabled.

use davy_runtime::Target;

/// The operations that toggle.
const TOGGLING: [&str; 2] = ["ToggleMember", "ToggleEndpoint"];

/// Whether an operation toggles. Such a request is finished even if it disables its own operation, so
/// that the operator learns the result.
pub(crate) fn is_toggling(operation: &str) -> bool {
    TOGGLING.contains(&operation)
}

/// Where the debug port of a process is.
#[derive(Clone, Debug)]
pub struct DebugPort {
    /// The machine's name.
    pub host: String,
    /// The address on that machine.
    pub address: String,
}

impl DebugPort {
    /// The command that enables a target through the debug port; `None` if the API can enable it.
    pub(crate) fn recovery(&self, target: &Target) -> Option<String> {
        let command = match target {
            Target::Member(name) if name == "api" => "member",
            Target::Endpoint(name) if is_toggling(name) => "endpoint",
            Target::Member(_) | Target::Endpoint(_) => return None,
        };
        let name = target.name();
        let Self { host, address } = self;
        Some(format!(
            "`davy {command} enable {name} --server http://{address}` on {host} enables it again"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: Target, command: Option<&str>) {
        let port = DebugPort {
            host: "shop-1".to_owned(),
            address: "127.0.0.1:8079".to_owned(),
        };
        let expected = command.map(|command| {
            format!("`{command} --server http://127.0.0.1:8079` on shop-1 enables it again")
        });
        assert_eq!(port.recovery(&target), expected);
    }

    #[test]
    fn recovery_names_the_debug_port_when_the_api_is_disabled() {
        let member = |name: &str| Target::Member(name.to_owned());
        let endpoint = |name: &str| Target::Endpoint(name.to_owned());
        check(member("api"), Some("davy member enable api"));
        check(member("ui"), None);
        for name in TOGGLING {
            let command = format!("davy endpoint enable {name}");
            check(endpoint(name), Some(&command));
        }
        check(endpoint("QuerySvg"), None);
    }

    #[test]
    fn every_name_in_toggling_is_an_operation() {
        let ids: Vec<_> = crate::operations::operations().map(|op| op.id).collect();
        assert!(TOGGLING.iter().all(|name| ids.contains(name)));
    }
}
