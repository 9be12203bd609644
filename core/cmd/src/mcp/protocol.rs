//! The messages of the protocol: JSON-RPC 2.0, of which a server of tools needs five methods.

use super::tools::Tools;
use serde_json::{Value, json};

/// Versions of the protocol whose messages this server uses, the newest first.
const VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

const INVALID_REQUEST: i32 = -32_600;
const METHOD_NOT_FOUND: i32 = -32_601;
const INVALID_PARAMS: i32 = -32_602;
const PARSE_ERROR: i32 = -32_700;

const INSTRUCTIONS: &str = "Reads profiles and the state of a running Davy. Begin with list_services, then list_types, then query_top or query_tree. Every answer states the exact total and the exact value of what it leaves out; narrow the selector, the range or the focus to see it. Times are now, 1h (ago), 2026-11-28 13:00 (UTC) or unix time. Selectors look like {service_name=\"api\",member=~\"gc.*\"}.";

/// A client that is connected.
pub(super) struct Session {
    tools: Tools,
}

impl Session {
    pub(super) fn new(tools: Tools) -> Self {
        Self { tools }
    }

    /// The response to a message; none to a notification or an empty line.
    pub(super) fn handle(&mut self, line: &[u8]) -> Option<Value> {
        if line.trim_ascii().is_empty() {
            return None;
        }
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            return Some(error(&Value::Null, PARSE_ERROR, "the message is not JSON"));
        };
        let id = message.get("id")?;
        let Some(method) = message["method"].as_str() else {
            // A response: this server sends no requests.
            let is_response = message.get("result").is_some() || message.get("error").is_some();
            return (!is_response).then(|| error(id, INVALID_REQUEST, "the message has no method"));
        };
        Some(match self.call(method, &message["params"]) {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err((code, reason)) => error(id, code, &reason),
        })
    }

    fn call(&mut self, method: &str, params: &Value) -> Result<Value, (i32, String)> {
        match method {
            "initialize" => {
                let wanted = params["protocolVersion"].as_str().unwrap_or_default();
                let version = VERSIONS
                    .iter()
                    .find(|of| **of == wanted)
                    .unwrap_or(&VERSIONS[0]);
                Ok(json!({
                    "protocolVersion": version,
                    "capabilities": { "tools": {} },
                    "serverInfo": { "name": "davy", "version": env!("CARGO_PKG_VERSION") },
                    "instructions": INSTRUCTIONS,
                }))
            }
            "ping" => Ok(json!({})),
            "tools/list" => Ok(json!({ "tools": self.tools.list() })),
            "tools/call" => {
                let name = params["name"].as_str().unwrap_or_default();
                let arguments = &params["arguments"];
                let called = self.tools.call(name, arguments);
                let called =
                    called.ok_or_else(|| (INVALID_PARAMS, format!("unknown tool {name:?}")))?;
                // A failure of a tool is an answer that the assistant can act on.
                let (text, is_error) = match called {
                    Ok(text) => (text, false),
                    Err(failure) => (failure.report(), true),
                };
                Ok(json!({ "content": [{ "type": "text", "text": text }], "isError": is_error }))
            }
            _ => Err((METHOD_NOT_FOUND, format!("unknown method {method:?}"))),
        }
    }
}

fn error(id: &Value, code: i32, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;
    use crate::server::Server;

    fn session(allows_changes: bool) -> Session {
        let server = Server {
            // Nothing listens there.
            server: "http://127.0.0.1:1".to_owned(),
            token: None,
        };
        Session::new(Tools::new(
            Client::new(&server).expect("valid"),
            allows_changes,
        ))
    }

    fn ask(session: &mut Session, message: &Value) -> Value {
        session
            .handle(message.to_string().as_bytes())
            .expect("a response")
    }

    #[test]
    fn client_learns_version_and_tools_and_changes_need_permission() {
        let mut session = session(false);
        let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "x", "version": "1" } });
        let answer = ask(
            &mut session,
            &json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }),
        );
        assert_eq!(answer["result"]["protocolVersion"], "2025-06-18");
        let notification = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(session.handle(notification.to_string().as_bytes()), None);
        let answer = ask(
            &mut session,
            &json!({ "jsonrpc": "2.0", "id": "a", "method": "tools/list" }),
        );
        assert_eq!(answer["id"], "a");
        let names = |answer: &Value| -> Vec<String> {
            let tools = answer["result"]["tools"].as_array().expect("a list").iter();
            tools
                .map(|tool| tool["name"].as_str().expect("a name").to_owned())
                .collect()
        };
        assert!(names(&answer).contains(&"query_tree".to_owned()));
        assert!(!names(&answer).iter().any(|name| name.starts_with("set_")));
        let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": "set_endpoint", "arguments": {} } });
        assert_eq!(ask(&mut session, &call)["error"]["code"], INVALID_PARAMS);
        let mut session = self::session(true);
        let answer = ask(
            &mut session,
            &json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/list" }),
        );
        assert!(names(&answer).contains(&"set_endpoint".to_owned()));
    }

    #[test]
    fn failure_of_a_tool_is_an_answer_and_bad_messages_are_errors() {
        let mut session = session(false);
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "get_health", "arguments": {} } });
        let answer = ask(&mut session, &call);
        assert_eq!(answer["result"]["isError"], true);
        let text = answer["result"]["content"][0]["text"]
            .as_str()
            .expect("a text");
        assert!(text.contains("cannot connect"), "{text}");
        let code = |session: &mut Session, line: &[u8]| {
            session.handle(line).expect("a response")["error"]["code"].clone()
        };
        assert_eq!(code(&mut session, b"{"), PARSE_ERROR);
        assert_eq!(code(&mut session, br#"{"id":1}"#), INVALID_REQUEST);
        assert_eq!(
            code(&mut session, br#"{"id":1,"method":"nope"}"#),
            METHOD_NOT_FOUND
        );
        assert_eq!(session.handle(b"\n"), None);
        assert_eq!(session.handle(br#"{"id":1,"result":{}}"#), None);
    }
}
