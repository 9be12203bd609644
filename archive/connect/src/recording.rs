//! The service of recording rules.

use crate::exchange::{self, unknown};
use crate::messages::labels::pairs;
use crate::messages::minor::Empty;
use crate::messages::recording::{
    FunctionFilter, ListRulesResponse, Rule, RuleRequest, RuleResponse, StacktraceFilter,
    UpsertRuleRequest,
};
use crate::protocol::{Wire, header_text};
use crate::scope::{invalid, unary};
use crate::status::{Code, Status};
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use davy_archive::ingest::tenant;
use davy_archive::key::Tenant;
use davy_archive::recording::{RecordingRule, RuleStore};

/// The label that is the type of a rule.
const TYPE: &str = "__profile_type__";

/// The route of `settings.v1.RecordingRulesService`.
pub(crate) fn routes(rules: RuleStore) -> Router {
    Router::new()
        .route("/settings.v1.RecordingRulesService/{method}", post(serve))
        .with_state(rules)
}

async fn serve(
    State(rules): State<RuleStore>,
    Path(method): Path<String>,
    request: Request,
) -> Response {
    let tenant = tenant(request.headers());
    let name = header_text(request.headers(), "x-scope-orgid").to_owned();
    let clock = rules.clock();
    let answer = async |wire, message: Bytes| {
        let tenant = tenant?;
        call(&rules, (&tenant, &name), &method, (wire, &message)).await
    };
    exchange::serve(request, clock, answer).await
}

async fn call(
    rules: &RuleStore,
    (tenant, name): (&Tenant, &str),
    method: &str,
    from: (Wire, &Bytes),
) -> Result<Bytes, Status> {
    match method {
        "ListRecordingRules" => unary(from, |_: Empty| list(rules, tenant)).await,
        "GetRecordingRule" => unary(from, |request| get(rules, tenant, request)).await,
        "UpsertRecordingRule" => {
            unary(from, |request| upsert(rules, (tenant, name), request)).await
        }
        "DeleteRecordingRule" => unary(from, |request| delete(rules, tenant, request)).await,
        _ => Err(unknown(method)),
    }
}

async fn list(rules: &RuleStore, tenant: &Tenant) -> Result<ListRulesResponse, Status> {
    if !rules.is_used() {
        return Ok(ListRulesResponse::default());
    }
    let all = rules.list(tenant).await?.into_iter();
    Ok(ListRulesResponse {
        rules: all
            .map(|(rule, provisioned)| message(rule, provisioned))
            .collect(),
    })
}

fn not_found(id: &str) -> Status {
    Status::new(
        Code::NotFound,
        format!("no rule {id:?}; ListRecordingRules lists the rules"),
    )
}

async fn get(
    rules: &RuleStore,
    tenant: &Tenant,
    request: RuleRequest,
) -> Result<RuleResponse, Status> {
    let all = rules.list(tenant).await?;
    let found = all.into_iter().find(|(rule, _)| rule.id == request.id);
    let (rule, provisioned) = found.ok_or_else(|| not_found(&request.id))?;
    Ok(RuleResponse {
        rule: Some(message(rule, provisioned)),
    })
}

async fn upsert(
    rules: &RuleStore,
    (tenant, name): (&Tenant, &str),
    request: UpsertRuleRequest,
) -> Result<RuleResponse, Status> {
    let rule = rules.upsert(tenant, rule(name, request)?).await?;
    Ok(RuleResponse {
        rule: Some(message(rule, false)),
    })
}

async fn delete(rules: &RuleStore, tenant: &Tenant, request: RuleRequest) -> Result<Empty, Status> {
    if rules.delete(tenant, &request.id).await? {
        Ok(Empty {})
    } else {
        Err(not_found(&request.id))
    }
}

/// The rule that a request stores. Without an id, it has the name of its metric.
fn rule(tenant: &str, request: UpsertRuleRequest) -> Result<RecordingRule, Status> {
    let (profile_type, selector) = type_and_selector(&request.matchers)?;
    let function = request
        .stacktrace_filter
        .and_then(|filter| filter.function_name);
    if function.as_ref().is_some_and(|of| of.metric_type != 0) {
        return Err(Status::unimplemented(
            "only totals of stacks are supported, metric_type 0",
        ));
    }
    let labels = request.external_labels.into_iter();
    Ok(RecordingRule {
        id: if request.id.is_empty() {
            request.metric_name.clone()
        } else {
            request.id
        },
        metric_name: request.metric_name,
        profile_type,
        selector,
        group_by: request.group_by,
        external_labels: labels.map(|pair| (pair.name, pair.value)).collect(),
        function: function.map_or_else(String::new, |of| of.function_name),
        tenant: tenant.to_owned(),
        generation: request.generation,
    })
}

/// The type and the selector of matchers, all of which must match.
fn type_and_selector(matchers: &[String]) -> Result<(String, String), Status> {
    let mut kind = String::new();
    let mut inner = Vec::new();
    for matcher in matchers {
        let text = matcher.trim();
        let text = text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'))
            .unwrap_or(text);
        let text = text.trim().trim_end_matches(',');
        // The type is a matcher of its own, or the first or last one of several.
        let mut rest = Vec::new();
        for part in text.split(',') {
            let value = part
                .trim()
                .strip_prefix(TYPE)
                .and_then(|rest| rest.trim_start().strip_prefix("=\""));
            match value.and_then(|value| value.strip_suffix('"')) {
                Some(value) => value.clone_into(&mut kind),
                None => rest.push(part),
            }
        }
        let rest = rest.join(",");
        if !rest.trim().is_empty() {
            inner.push(rest);
        }
    }
    if kind.is_empty() {
        return Err(invalid(format!(
            "missing matcher {TYPE}=\"...\"; a rule reads one type, such as {{{TYPE}=\"process_cpu:cpu:nanoseconds:cpu:nanoseconds\"}}"
        )));
    }
    Ok((kind, format!("{{{}}}", inner.join(","))))
}

fn message(rule: RecordingRule, provisioned: bool) -> Rule {
    let function = Some(rule.function).filter(|function| !function.is_empty());
    let filter = function.map(|function_name| StacktraceFilter {
        function_name: Some(FunctionFilter {
            function_name,
            metric_type: 0,
        }),
    });
    Rule {
        id: rule.id,
        metric_name: rule.metric_name,
        matchers: vec![format!("{{{TYPE}={:?}}}", rule.profile_type), rule.selector],
        profile_type: rule.profile_type,
        group_by: rule.group_by,
        external_labels: pairs(rule.external_labels),
        generation: rule.generation,
        stacktrace_filter: filter,
        provisioned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_is_found_among_the_matchers() {
        let cpu = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
        let check = |matchers: &[&str], expected: (&str, &str)| {
            let matchers: Vec<String> = matchers.iter().map(|&of| of.to_owned()).collect();
            let found = type_and_selector(&matchers).expect("valid");
            assert_eq!((&*found.0, &*found.1), expected);
        };
        check(
            &[
                &format!("{{__profile_type__=\"{cpu}\"}}"),
                "{service_name=\"a,b\"}",
            ],
            (cpu, "{service_name=\"a,b\"}"),
        );
        check(
            &[&format!(
                "{{service_name=\"a\", __profile_type__=\"{cpu}\"}}"
            )],
            (cpu, "{service_name=\"a\"}"),
        );
        check(&[&format!("__profile_type__=\"{cpu}\"")], (cpu, "{}"));
        assert!(type_and_selector(&["{a=\"b\"}".to_owned()]).is_err());
    }
}
