//! The resources, one a file: each has its handlers, what they take and give, and its lines of the table of rules.

mod audit;
mod audit_holds;
mod delegations;
mod description;
mod domains;
mod folders;
mod jobs;
mod keys;
mod mailboxes;
mod messages;
mod passwords;
mod protocol_name;
mod quotas;
mod roles;
mod running;
mod service;
pub(crate) mod users;

use crate::access::RouteRule;
use crate::api::Api;
use utoipa_axum::router::OpenApiRouter;

/// Every resource.
pub(crate) fn all() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .merge(audit::routes())
        .merge(audit_holds::routes())
        .merge(delegations::routes())
        .merge(description::routes())
        .merge(domains::routes())
        .merge(folders::routes())
        .merge(jobs::routes())
        .merge(keys::routes())
        .merge(passwords::routes())
        .merge(quotas::routes())
        .merge(roles::routes())
        .merge(messages::routes())
        .merge(mailboxes::routes())
        .merge(running::routes())
        .merge(service::routes())
        .merge(users::routes())
}

/// Every line of the table of rules.
pub(crate) fn rules() -> impl Iterator<Item = &'static RouteRule> {
    [
        audit::RULES,
        audit_holds::RULES,
        delegations::RULES,
        description::RULES,
        domains::RULES,
        folders::RULES,
        jobs::RULES,
        keys::RULES,
        mailboxes::RULES,
        messages::RULES,
        passwords::RULES,
        quotas::RULES,
        roles::RULES,
        service::RULES,
        users::RULES,
    ]
    .into_iter()
    .flatten()
    .chain(running::rules())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_has_one_rule_and_every_rule_an_operation() {
        let document = serde_json::to_value(crate::api::document()).unwrap();
        let mut operations = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            let methods = item
                .as_object()
                .unwrap()
                .keys()
                .filter(|key| ["get", "post", "put", "patch", "delete"].contains(&key.as_str()));
            operations.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
        }
        let rules: Vec<String> =
            super::rules().map(|rule| format!("{} {}{}", rule.method, crate::api::BASE, rule.path)).collect();
        let unique: BTreeSet<String> = rules.iter().cloned().collect();
        assert_eq!(rules.len(), unique.len(), "a rule stands twice");
        assert_eq!(operations, unique);
    }
}
