//! The table of verdicts.
#![expect(clippy::unwrap_used, reason = "a test")]

use mail_types::{
    Address, DeliveryRule, LifeCycle, MailboxStatus, PeerIdentity, ReversePath, RevocationState, StateRule,
    Timestamp,
};
use policy::{
    AuthorFacts, AuthorRule, AuthorStanding, Delegated, DomainStanding, MxSenderFacts, NextHopFacts,
    OriginatorFacts, Reason, RecipientFacts, SendAs, TrustList, Verdict, WhiteList, author, next_hop,
    recipient, sender, submission_originators, submission_sender,
};
use std::sync::Arc;

fn peer(subject: &str, revocation: RevocationState) -> PeerIdentity {
    PeerIdentity {
        subject: subject.parse().unwrap(),
        issuer: "CN=CA".parse().unwrap(),
        serial: vec![1],
        dns_names: vec![],
        mail_names: vec![],
        ip_names: vec![],
        policies: vec![],
        not_after: NOW.plus_secs(1_000),
        crl_number: None,
        key_pin: [0; 32],
        revocation,
    }
}

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn list() -> TrustList {
    let list = WhiteList::parse("a.example;CN=mx.a\nb.example;CN=mx.b\n").0;
    TrustList { white_list: Some((Arc::new(list), NOW)), ..TrustList::default() }
}

fn path(address: &str) -> ReversePath {
    ReversePath::Address(address.parse().unwrap())
}

#[test]
fn an_operator_sends_only_for_the_domains_of_its_certificate() {
    let list = list();
    let good = peer("CN=mx.a", RevocationState::Good);
    let ask = |peer, trust, reverse_path: &ReversePath| {
        sender(&MxSenderFacts { peer, trust, now: NOW, reverse_path })
    };
    assert_eq!(ask(Some(&good), &list, &path("x@a.example")), Verdict::Accept);
    assert_eq!(ask(Some(&good), &list, &path("x@b.example")), Verdict::Reject(Reason::NotListed));
    assert_eq!(ask(Some(&good), &list, &ReversePath::Null), Verdict::Accept);
    let stranger = peer("CN=mx.z", RevocationState::Good);
    assert_eq!(ask(Some(&stranger), &list, &ReversePath::Null), Verdict::Reject(Reason::NotListed));
    assert_eq!(ask(None, &list, &path("x@a.example")), Verdict::Reject(Reason::NoCertificate));
}

#[test]
fn what_we_cannot_know_never_rejects() {
    let list = list();
    let stale = peer("CN=mx.z", RevocationState::Unknown("past its date"));
    let good = peer("CN=mx.z", RevocationState::Good);
    let none = TrustList::default();
    let ask = |peer, trust| {
        sender(&MxSenderFacts { peer: Some(peer), trust, now: NOW, reverse_path: &path("x@a.example") })
    };
    assert_eq!(ask(&stale, &list), Verdict::Defer(Reason::RevocationUnknown));
    assert_eq!(ask(&good, &none), Verdict::Defer(Reason::NoWhiteList));
    assert_eq!(Reason::NoWhiteList.reply().code, 451);
    let domain = "a.example".parse().unwrap();
    for (peer, trust) in [(&stale, &list), (&good, &none), (&good, &list)] {
        assert!(matches!(
            next_hop(&NextHopFacts { peer, trust, now: NOW, domain: &domain }),
            Verdict::Defer(_)
        ));
    }
}

#[test]
fn quota_defers_when_full_and_rejects_what_can_never_fit() {
    let ask = |used_bytes, declared_bytes| {
        let facts = RecipientFacts::Mailbox {
            status: MailboxStatus::Active,
            quota_bytes: 1000,
            used_bytes,
            declared_bytes,
        };
        recipient(facts, &LifeCycle::default())
    };
    assert_eq!(ask(0, 1000), Verdict::Accept);
    assert_eq!(ask(999, 0), Verdict::Accept);
    assert_eq!(ask(1, 1000), Verdict::Defer(Reason::MailboxFull));
    assert_eq!(ask(1000, 0), Verdict::Defer(Reason::MailboxFull));
    assert_eq!(ask(0, 1001), Verdict::Reject(Reason::OverWholeQuota));
}

#[test]
fn a_mailbox_out_of_service_answers_as_the_operator_says() {
    let closed = |delivery| StateRule::closed(delivery);
    let other = LifeCycle {
        pending: closed(DeliveryRule::Accept),
        suspended: closed(DeliveryRule::Reject),
        deleted: closed(DeliveryRule::Defer),
    };
    let unknown = Verdict::Reject(Reason::UnknownMailbox);
    for (status, usual, otherwise) in [
        (MailboxStatus::Pending, unknown, Verdict::Accept),
        (MailboxStatus::Active, Verdict::Accept, Verdict::Accept),
        (MailboxStatus::Suspended, Verdict::Defer(Reason::Suspended), Verdict::Reject(Reason::Disabled)),
        (MailboxStatus::Deleted, unknown, Verdict::Defer(Reason::Suspended)),
    ] {
        let facts = RecipientFacts::Mailbox { status, quota_bytes: 10, used_bytes: 0, declared_bytes: 0 };
        assert_eq!(recipient(facts, &LifeCycle::default()), usual, "{status}");
        assert_eq!(recipient(facts, &other), otherwise, "{status}");
    }
    let full = RecipientFacts::Mailbox {
        status: MailboxStatus::Pending,
        quota_bytes: 10,
        used_bytes: 10,
        declared_bytes: 0,
    };
    assert_eq!(recipient(full, &other), Verdict::Defer(Reason::MailboxFull));
    assert_eq!(recipient(RecipientFacts::Unknown, &other), unknown);
    let replies = [Reason::Suspended, Reason::Disabled, Reason::UnknownMailbox].map(Reason::reply);
    assert_eq!(replies.map(|reply| reply.code), [450, 550, 550]);
}

#[test]
fn a_recipient_elsewhere_is_accepted_where_the_trust_space_may_reach() {
    let ask =
        |may_relay, domain| recipient(RecipientFacts::Elsewhere { may_relay, domain }, &LifeCycle::default());
    for (domain, verdict) in [
        (DomainStanding::Listed, Verdict::Accept),
        (DomainStanding::Absent, Verdict::Reject(Reason::OutsideTrustSpace)),
        (DomainStanding::Departing, Verdict::Defer(Reason::RecipientDeparting)),
        (DomainStanding::Departed, Verdict::Reject(Reason::RecipientDeparted)),
        (DomainStanding::Doubtful(Reason::NoWhiteList), Verdict::Accept),
        (DomainStanding::Doubtful(Reason::WhiteListStale), Verdict::Accept),
        (DomainStanding::Doubtful(Reason::Quarantined), Verdict::Defer(Reason::RecipientSuspended)),
    ] {
        assert_eq!(ask(true, domain), verdict, "{domain:?}");
        assert_eq!(ask(false, domain), Verdict::Reject(Reason::Relay), "{domain:?}");
    }
    for (reason, code) in [
        (Reason::OutsideTrustSpace, 550),
        (Reason::RecipientDeparted, 550),
        (Reason::RecipientDeparting, 450),
        (Reason::RecipientSuspended, 450),
    ] {
        assert_eq!((reason.reply().code, reason.reply().enhanced.unwrap().1), (code, 7));
    }
}

#[test]
fn the_certificate_must_speak_for_every_author_and_for_the_sender() {
    let mut list = list();
    list.overlay.quarantined_domains.insert("q.example".parse().unwrap(), None);
    let peer = peer("CN=mx.a", RevocationState::Good);
    let parsed = |addresses: &[&str]| -> Vec<Option<Address>> {
        addresses.iter().map(|address| address.parse().ok()).collect()
    };
    let (b, q) = ("b.example".parse().unwrap(), "q.example".parse().unwrap());
    let nobody = AuthorStanding::NotListed(None);
    type Case<'c> = (usize, &'c [&'c str], usize, &'c [&'c str], AuthorStanding<'c>);
    let cases: [Case<'_>; 14] = [
        (1, &["x@a.example"], 0, &[], AuthorStanding::Listed),
        (1, &["x@a.example", "y@A.example"], 1, &["z@a.example"], AuthorStanding::Listed),
        (1, &["x@b.example"], 0, &[], AuthorStanding::NotListed(Some(&b))),
        (1, &["x@a.example", "x@b.example"], 0, &[], AuthorStanding::NotListed(Some(&b))),
        (1, &["x@a.example"], 1, &["x@b.example"], AuthorStanding::NotListed(Some(&b))),
        (1, &["x@b.example"], 1, &["x@a.example"], AuthorStanding::NotListed(Some(&b))),
        (1, &["x@q.example"], 0, &[], AuthorStanding::Doubtful(&q)),
        (1, &["x@q.example", "x@b.example"], 0, &[], AuthorStanding::NotListed(Some(&b))),
        (0, &[], 0, &[], nobody),
        (1, &[], 0, &[], nobody),
        (2, &["x@a.example", "x@a.example"], 0, &[], nobody),
        (1, &["x@a.example", "broken"], 0, &[], nobody),
        (1, &["x@a.example"], 2, &["x@a.example", "x@a.example"], nobody),
        (1, &["x@a.example"], 1, &[], nobody),
    ];
    for (from_fields, authors, sender_fields, senders, expected) in cases {
        let (authors, senders) = (parsed(authors), parsed(senders));
        let originators =
            OriginatorFacts { from_fields, authors: &authors, sender_fields, senders: &senders };
        let ask = |peer| author(&AuthorFacts { peer, trust: &list, now: NOW, originators });
        assert_eq!(ask(Some(&peer)), expected, "{originators:?}");
        assert_eq!(ask(None), nobody);
    }
}

#[test]
fn an_author_in_doubt_is_marked_or_asked_again_and_never_refused_for_good() {
    let domain = "b.example".parse().unwrap();
    let doubt = AuthorStanding::Doubtful(&domain);
    let not_listed = AuthorStanding::NotListed(Some(&domain));
    assert_eq!(AuthorRule::Tag.verdict(not_listed), Verdict::Accept);
    assert_eq!(AuthorRule::Tag.verdict(doubt), Verdict::Accept);
    assert_eq!(AuthorRule::Reject.verdict(not_listed), Verdict::Reject(Reason::AuthorNotListed));
    assert_eq!(AuthorRule::Reject.verdict(doubt), Verdict::Defer(Reason::AuthorDoubtful));
    assert_eq!(AuthorRule::Reject.verdict(AuthorStanding::Listed), Verdict::Accept);
    assert_eq!((Reason::AuthorNotListed.reply().code, Reason::AuthorDoubtful.reply().code), (550, 451));
}

#[test]
fn a_user_sends_with_their_own_address_only() {
    let own = "Jean.Dupont@a.example".parse().unwrap();
    let ask = |may_send, path: &ReversePath| {
        submission_sender(SendAs { own: &own, may_send, delegated: None }, path)
    };
    assert_eq!(ask(true, &path("jean.dupont@A.example")), Verdict::Accept);
    assert_eq!(ask(false, &path("jean.dupont@a.example")), Verdict::Reject(Reason::NotOwner));
    assert_eq!(ask(true, &path("marie@a.example")), Verdict::Reject(Reason::NotOwner));
    assert_eq!(ask(true, &ReversePath::Null), Verdict::Reject(Reason::NotOwner));
}

#[test]
fn a_user_writes_in_their_own_name_only() {
    let own: Address = "Jean.Dupont@a.example".parse().unwrap();
    let (mine, other): (Option<Address>, Option<Address>) =
        ("jean.dupont@A.EXAMPLE".parse().ok(), "marie@a.example".parse().ok());
    let ask = |may_send, from: Option<&[Option<Address>]>, sender: Option<&[Option<Address>]>| {
        let facts = OriginatorFacts {
            from_fields: usize::from(from.is_some()),
            authors: from.unwrap_or_default(),
            sender_fields: usize::from(sender.is_some()),
            senders: sender.unwrap_or_default(),
        };
        submission_originators(SendAs { own: &own, may_send, delegated: None }, &facts)
    };
    let refused = Verdict::Reject(Reason::NotAuthor);
    let (mine, other, unreadable) = ([mine], [other], [None]);
    let both = [mine[0].clone(), other[0].clone()];
    assert_eq!(ask(true, Some(&mine), None), Verdict::Accept);
    assert_eq!(ask(true, Some(&mine), Some(&mine)), Verdict::Accept);
    assert_eq!(ask(true, None, None), Verdict::Accept);
    assert_eq!(ask(false, Some(&mine), None), refused);
    assert_eq!(ask(true, Some(&other), None), refused);
    assert_eq!(ask(true, Some(&other), Some(&mine)), refused, "a Sender does not lend an address");
    assert_eq!(ask(true, Some(&mine), Some(&other)), refused);
    assert_eq!(ask(true, Some(&both), Some(&mine)), refused);
    assert_eq!(ask(true, Some(&unreadable), None), refused);
    assert_eq!(ask(true, Some(&[]), None), refused, "an empty From names nobody");
    let twice = OriginatorFacts { from_fields: 2, authors: &mine, sender_fields: 0, senders: &[] };
    assert_eq!(
        submission_originators(SendAs { own: &own, may_send: true, delegated: None }, &twice),
        refused
    );
}

#[test]
fn who_sends_for_a_mailbox_writes_in_its_name_and_may_say_who_they_are() {
    let own: Address = "jean@a.example".parse().unwrap();
    let ward: Address = "ward@a.example".parse().unwrap();
    let send_as = |may_send, is_open| SendAs {
        own: &own,
        may_send,
        delegated: Some(Delegated { address: &ward, is_open }),
    };
    assert_eq!(submission_sender(send_as(true, true), &path("Ward@A.example")), Verdict::Accept);
    let closed = Verdict::Reject(Reason::SenderClosed);
    assert_eq!(submission_sender(send_as(true, false), &path("ward@a.example")), closed);
    let other = submission_sender(send_as(true, true), &path("jean@a.example"));
    assert_eq!(other, Verdict::Reject(Reason::NotOwner), "a message is sent with one address");
    let ask = |may_send, from: &Address, sender: Option<&Address>| {
        let (authors, senders) = ([Some(from.clone())], sender.map(|sender| [Some(sender.clone())]));
        let facts = OriginatorFacts {
            from_fields: 1,
            authors: &authors,
            sender_fields: usize::from(senders.is_some()),
            senders: senders.as_ref().map_or(&[], |senders| senders.as_slice()),
        };
        submission_originators(send_as(may_send, true), &facts)
    };
    let refused = Verdict::Reject(Reason::NotAuthor);
    assert_eq!(ask(true, &ward, None), Verdict::Accept);
    assert_eq!(ask(true, &ward, Some(&ward)), Verdict::Accept);
    assert_eq!(ask(true, &ward, Some(&own)), Verdict::Accept);
    assert_eq!(ask(false, &ward, Some(&own)), refused, "an address with which the user may not send");
    assert_eq!(ask(true, &own, Some(&ward)), refused, "From is the address that it is sent with");
    assert_eq!(ask(true, &ward, Some(&"x@a.example".parse().unwrap())), refused);
}
