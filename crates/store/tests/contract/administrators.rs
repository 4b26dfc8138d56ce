//! Somebody stays who administers the operator, and each mailbox that several persons open.

use crate::certificates::facts;
use crate::support::{Fixture, Holder, START, on_both_engines};
use mail_types::{ActorId, AdminRole, CertificateCriteria, MailboxKind, Role, UserId};
use store::{
    AuditFilter, CertificateError, CertificateHolder, DelegationChange, DirectoryError, GivenAdminRole,
    KeyError, KeySecret, KeyTerms, Opened, PersonKey, Terms,
};

on_both_engines!(
    an_application_administers_the_operator_only_with_a_certificate,
    the_last_application_that_administers_stays_unless_forced,
    what_lets_the_last_application_in_that_administers_stays_unless_forced,
    a_key_that_is_not_what_was_read_is_not_changed,
    a_change_of_roles_says_of_which_domain,
    the_last_administrator_of_a_ward_is_not_barred_unless_forced,
    what_an_application_opened_is_told_mailbox_by_mailbox,
);

const OPERATOR: GivenAdminRole = GivenAdminRole { role: AdminRole::Operator, domain: None };
const AUDITOR: GivenAdminRole = GivenAdminRole { role: AdminRole::Auditor, domain: None };

async fn application(store: &Fixture, name: &str) -> ActorId {
    store.create_application(name).await.unwrap().unwrap().0
}

async fn let_in(store: &Fixture, application: ActorId, key: u8) -> i64 {
    let criteria = CertificateCriteria::new(None, None, None, None, Some([key; 32])).unwrap();
    store.add_certificate_rule(application, &criteria, None, None).await.unwrap().unwrap()
}

async fn an_application_administers_the_operator_only_with_a_certificate(store: &Fixture) {
    let terms =
        KeyTerms { name: "first".to_owned(), scopes: String::new(), roles: vec![OPERATOR], expires_at: None };
    let secret = KeySecret { hash: vec![1; 32], prefix: "vm_1".to_owned() };
    let id = store.create_key(terms, secret).await.unwrap().unwrap();
    let key = store.key(id).await.unwrap().unwrap();
    let lims = application(store, "lims").await;
    store.set_admin_roles(lims, vec![OPERATOR], None, false).await.unwrap().unwrap();
    let refused = Err(KeyError::LastOperator);
    assert_eq!(store.revoke_key(key.clone(), false).await.unwrap(), refused);
    let rule = let_in(store, lims, 1).await;
    assert!(store.remove_certificate_rule(lims, rule, false).await.unwrap().unwrap());
    assert_eq!(store.revoke_key(key.clone(), false).await.unwrap(), refused);
    let_in(store, lims, 2).await;
    assert_eq!(store.revoke_key(key, false).await.unwrap(), Ok(()));
}

async fn the_last_application_that_administers_stays_unless_forced(store: &Fixture) {
    let (lims, other) = (application(store, "lims").await, application(store, "other").await);
    for (application, key) in [(lims, 1), (other, 2)] {
        let_in(store, application, key).await;
        store.set_admin_roles(application, vec![OPERATOR], None, false).await.unwrap().unwrap();
    }
    assert_eq!(store.delete_application(other, false).await.unwrap(), Ok(true));
    let refused = Err(KeyError::LastOperator);
    assert_eq!(store.delete_application(lims, false).await.unwrap(), Err(KeyError::LastOperator));
    assert_eq!(store.set_admin_roles(lims, vec![AUDITOR], None, false).await.unwrap(), refused);
    let read = store.admin_roles_revision(lims).await.unwrap();
    store.set_admin_roles(lims, vec![OPERATOR, AUDITOR], Some(read), false).await.unwrap().unwrap();
    let late = store.set_admin_roles(lims, vec![OPERATOR], Some(read), false).await.unwrap();
    assert_eq!(late, Err(KeyError::Changed), "what was read is looked at where it is changed");
    assert_eq!(store.admin_role_rows(lims).await.unwrap().len(), 2);
    assert_eq!(store.set_admin_roles(lims, vec![AUDITOR], None, true).await.unwrap(), Ok(()));
    assert_eq!(store.delete_application(lims, false).await.unwrap(), Ok(true), "it administered nothing");
}

async fn what_lets_the_last_application_in_that_administers_stays_unless_forced(store: &Fixture) {
    let lims = application(store, "lims").await;
    let facts = facts(7, "CN=lims");
    let holder = CertificateHolder::Application(lims);
    let (certificate, _) = store.add_certificate(holder, facts).await.unwrap().unwrap();
    let pin = CertificateCriteria::new(None, None, None, None, Some([7; 32])).unwrap();
    let rule = store.add_certificate_rule(lims, &pin, Some(certificate), None).await.unwrap().unwrap();
    store.set_admin_roles(lims, vec![OPERATOR], None, false).await.unwrap().unwrap();
    let refused = Err(KeyError::LastOperator);
    assert_eq!(store.remove_certificate_rule(lims, rule, false).await.unwrap(), refused);
    let kept = Err(CertificateError::LastOperator);
    assert_eq!(store.withdraw_certificate(certificate, false).await.unwrap(), kept);
    // A rule with an end date lets nobody in for good.
    let other = CertificateCriteria::new(None, None, None, None, Some([8; 32])).unwrap();
    let until = Some(START.plus_secs(3600));
    store.add_certificate_rule(lims, &other, None, until).await.unwrap().unwrap();
    assert_eq!(store.withdraw_certificate(certificate, false).await.unwrap(), kept);
    let lasting = let_in(store, lims, 9).await;
    assert_eq!(store.remove_certificate_rule(lims, rule, false).await.unwrap(), Ok(true));
    assert_eq!(store.withdraw_certificate(certificate, false).await.unwrap(), Ok(()));
    assert_eq!(store.remove_certificate_rule(lims, lasting, false).await.unwrap(), refused);
    assert_eq!(store.remove_certificate_rule(lims, lasting, true).await.unwrap(), Ok(true));
}

async fn a_key_that_is_not_what_was_read_is_not_changed(store: &Fixture) {
    let terms = |name: &str, role| KeyTerms {
        name: name.to_owned(),
        scopes: String::new(),
        roles: vec![role],
        expires_at: None,
    };
    let secret = |octet| KeySecret { hash: vec![octet; 32], prefix: "vm_1".to_owned() };
    let first = store.create_key(terms("first", OPERATOR), secret(1)).await.unwrap().unwrap();
    let second = store.create_key(terms("second", AUDITOR), secret(2)).await.unwrap().unwrap();
    let read = store.key(second).await.unwrap().unwrap();
    store.change_key(read.clone(), terms("second", OPERATOR), false).await.unwrap().unwrap();
    let key = store.key(first).await.unwrap().unwrap();
    store.revoke_key(key.clone(), false).await.unwrap().unwrap();
    // As an auditor's key it could go; it is the last operator's now.
    assert_eq!(store.revoke_key(read, false).await.unwrap(), Err(KeyError::Changed));
    assert_eq!(store.revoke_key(key, false).await.unwrap(), Err(KeyError::UnknownKey));
    let is = store.key(second).await.unwrap().unwrap();
    assert_eq!(store.revoke_key(is, false).await.unwrap(), Err(KeyError::LastOperator));
}

async fn a_change_of_roles_says_of_which_domain(store: &Fixture) {
    store.add_domain("ch.example".parse().unwrap()).await.unwrap();
    let domain = store.domain(&"ch.example".parse().unwrap()).await.unwrap().unwrap().id;
    let lims = application(store, "lims").await;
    let of_domain = GivenAdminRole { role: AdminRole::Domain, domain: Some(domain) };
    store.set_admin_roles(lims, vec![of_domain], None, false).await.unwrap().unwrap();
    store.set_admin_roles(lims, vec![AUDITOR], None, false).await.unwrap().unwrap();
    let filter = AuditFilter { action: Some("roles.changed".to_owned()), ..AuditFilter::default() };
    let rows = store.search_audit(&filter, None, 10).await.unwrap().rows;
    let told = rows.iter().map(|row| match &row.personal {
        Opened::Fields(fields) => fields,
        other => panic!("{other:?}"),
    });
    let told: Vec<_> = told.collect();
    let of_domain = serde_json::json!([format!("domain:{domain}")]);
    assert_eq!((&told[0]["before"], &told[0]["after"]), (&of_domain, &serde_json::json!(["auditor"])));
    assert_eq!((&told[1]["before"], &told[1]["after"]), (&serde_json::json!([]), &of_domain));
}

async fn user(store: &Fixture, login: &str) -> UserId {
    store.person(&PersonKey::Login(login.to_owned())).await.unwrap().unwrap().id
}

async fn ward(store: &Fixture) -> (Holder, ActorId) {
    store.create_user("chief", "", None).await.unwrap();
    let nurse = store.create_user("nurse", "", None).await.unwrap();
    (store.holder("ward", MailboxKind::Organizational, Some("chief")).await, nurse.actor)
}

async fn the_last_administrator_of_a_ward_is_not_barred_unless_forced(store: &Fixture) {
    let (ward, nurse) = ward(store).await;
    let (chief, second) = (user(store, "chief").await, user(store, "nurse").await);
    let refused = Err(DirectoryError::LastAdministrator);
    assert_eq!(store.set_person_disabled(chief, true, false).await.unwrap(), refused);
    let change = DelegationChange::of(ward.mailbox, nurse);
    let passing = Terms::of(Role::Administrator, Some(START.plus_secs(60)));
    store.give_delegation(change.clone(), passing).await.unwrap().unwrap();
    assert_eq!(store.set_person_disabled(chief, true, false).await.unwrap(), refused);
    store.change_delegation(change, Terms::of(Role::Administrator, None)).await.unwrap().unwrap();
    assert_eq!(store.set_person_disabled(chief, true, false).await.unwrap(), Ok(true));
    assert_eq!(store.set_person_disabled(second, true, false).await.unwrap(), refused);
    assert_eq!(store.set_person_disabled(second, true, true).await.unwrap(), Ok(true));
}

async fn what_an_application_opened_is_told_mailbox_by_mailbox(store: &Fixture) {
    let (marie, pierre) = (store.personal("marie").await, store.personal("pierre").await);
    let lims = application(store, "lims").await;
    for mailbox in [marie.mailbox, pierre.mailbox] {
        store.grant(mailbox, lims, Role::Reader).await.unwrap();
    }
    store.delete_application(lims, false).await.unwrap().unwrap();
    let filter = AuditFilter { action: Some("grant.revoked".to_owned()), ..AuditFilter::default() };
    let rows = store.search_audit(&filter, None, 10).await.unwrap().rows;
    let told: Vec<_> = rows.iter().map(|row| row.mailbox).collect();
    assert_eq!(told, [Some(pierre.mailbox), Some(marie.mailbox)]);
}
