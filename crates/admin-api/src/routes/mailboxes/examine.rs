//! From what is asked for to a request that the store can make: each kind with the identification that it needs, every fault at once.

use super::opened_by;
use super::shape::{
    AskedStatus, AskedWorkflow, Authentication, MailboxPatch, MailboxType, NewApplication, NewDelegatedUser,
    NewMailbox, NewOrganization, NewOwner, OrganizationChange,
};
use crate::access::{Caller, Permission};
use crate::api::Api;
use crate::faults::Faults;
use crate::problem::Problem;
use crate::routes::users::{self, NAME_MAX};
use mail_types::{Address, Adeli, DomainId, Finess, Role, Rpps, Siret, UserId};
use store::{
    MailboxChange, MailboxRequest, MailboxRow, NewPerson, Organization, OwnerRequest, PersonKey, PersonRow,
    Until,
};

/// Characters of the name of a structure or an application.
const LABEL_MAX: usize = 200;
/// Characters of a description.
const DESCRIPTION_MAX: usize = 500;
/// Delegates that a mailbox is made with.
const DELEGATES_MAX: usize = 100;
/// Octets of the smallest and of the largest quota.
const QUOTA: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 50;

/// Examines what is asked for.
///
/// # Errors
/// Every fault.
pub(crate) async fn request(api: &Api, caller: &Caller, new: NewMailbox) -> Result<MailboxRequest, Problem> {
    let mut faults = Faults::default();
    let address = address(api, caller, &mut faults, &new.email).await?;
    let kind = new.kind;
    if new.authentication.is_some_and(|said| said != Authentication::of(kind)) {
        faults.add(
            "/authentication",
            "does not go with this type: persons use ProSanteConnect, applications ORG_AUTH_CLI",
            "ne va pas avec ce type : les personnes utilisent ProSanteConnect, les applications ORG_AUTH_CLI",
        );
    }
    let mut organization = organization(api, &mut faults, kind, new.organization.as_ref());
    let mut description = faults.text("/description", new.description.as_deref(), DESCRIPTION_MAX);
    let mut application_name = String::new();
    if let Some(application) = application(api, &mut faults, kind, new.application.as_ref()) {
        application_name = application.0;
        organization.finess = application.1;
        description = application.2;
    }
    if kind == MailboxType::Cabinet && description.is_empty() {
        faults.needed("/description", "what the cabinet is", "ce qu'est le cabinet");
    }
    let (delegates, has_administrator) = delegates(api, caller, &mut faults, &new.delegated_users).await?;
    if kind == MailboxType::Organizational && !has_administrator && new.owner.is_none() {
        faults.needed(
            "/delegatedUsers",
            "at least one person with role admin, or an owner who becomes the first",
            "au moins une personne de rôle admin, ou un titulaire qui devient le premier",
        );
    }
    let domain = address.as_ref().map(|(_, domain)| *domain);
    let login = address.as_ref().map_or_else(String::new, |(address, _)| address.canonical());
    let place = OwnerPlace { kind, domain, login, has_finess: organization.finess.is_some() };
    let owner = owner(api, caller, &mut faults, new.owner.as_ref(), &place).await?;
    quota(&mut faults, new.quota_bytes);
    let until = match (new.workflow, new.status) {
        (Some(AskedWorkflow::Requested), Some(AskedStatus::Active)) => {
            faults.add(
                "/status",
                "what is only requested is not open",
                "ce qui est seulement demandé n'est pas ouvert",
            );
            Until::Requested
        }
        (Some(AskedWorkflow::Requested), _) => Until::Requested,
        (_, Some(AskedStatus::Pending)) => Until::Created,
        _ => Until::Active,
    };
    let certificate = opened_by::certificate(
        api,
        caller,
        &mut faults,
        (kind, until == Until::Requested),
        address.as_ref().map(|(address, _)| address),
        new.certificate.as_ref(),
    )?;
    faults.none()?;
    let Some((address, _)) = address else {
        return Err(Problem::invalid("/email", "is needed", "est nécessaire"));
    };
    Ok(MailboxRequest {
        address,
        kind: kind.into(),
        owner,
        delegates,
        organization,
        application_name,
        description,
        is_hidden: new.hide_from_directory,
        quota_bytes: new.quota_bytes.unwrap_or(api.mailboxes.quota_default_bytes),
        quota_is_own: new.quota_bytes.is_some(),
        certificate,
        until,
    })
}

/// Examines a change.
///
/// # Errors
/// Every fault.
pub(crate) fn change(api: &Api, row: &MailboxRow, patch: MailboxPatch) -> Result<MailboxChange, Problem> {
    let mut faults = Faults::default();
    let kind = MailboxType::from(row.kind);
    let is_other_address = patch.email.as_ref().is_some_and(|email| {
        email.parse::<Address>().map_or(true, |address| address.canonical() != row.address)
    });
    if is_other_address {
        faults.add(
            "/email",
            "an address never changes: make another mailbox",
            "une adresse ne change jamais : créez une autre boîte",
        );
    }
    if patch.kind.is_some_and(|said| said != kind) {
        faults.add(
            "/type",
            "a type never changes: make another mailbox",
            "un type ne change jamais : créez une autre boîte",
        );
    }
    let mut change = MailboxChange {
        description: patch
            .description
            .map(|text| faults.text("/description", text.as_deref(), DESCRIPTION_MAX)),
        quota: patch
            .quota_bytes
            .map(|quota| (quota.unwrap_or(api.mailboxes.quota_default_bytes), quota.is_some())),
        files_sent: patch.files_sent,
        private_seen: patch.private_seen,
        ..MailboxChange::default()
    };
    quota(&mut faults, patch.quota_bytes.flatten());
    if let Some(organization) = patch.organization {
        let new = merged(&row.organization, organization.unwrap_or(OrganizationChange::NOTHING));
        change.organization = Some(self::organization(api, &mut faults, kind, Some(&new)));
    }
    if let Some(patch) = patch.application {
        let new = NewApplication {
            name: Some(patch.name.unwrap_or_else(|| row.application_name.clone())),
            finess: patch.finess.or_else(|| row.organization.finess.clone()),
            description: patch.description.unwrap_or_else(|| Some(row.description.clone())),
        };
        if let Some((name, finess, description)) = application(api, &mut faults, kind, Some(&new)) {
            change.application_name = Some(name);
            change.organization = Some(Organization { finess, ..row.organization.clone() });
            change.description = Some(description);
        }
    }
    if kind == MailboxType::Cabinet && change.description.as_ref().is_some_and(String::is_empty) {
        faults.needed("/description", "what the cabinet is", "ce qu'est le cabinet");
    }
    faults.none()?;
    Ok(change)
}

fn merged(row: &Organization, patch: OrganizationChange) -> NewOrganization {
    let or = |patch: Option<Option<String>>, was: Option<String>| patch.unwrap_or(was);
    NewOrganization {
        finess: or(patch.finess, row.finess.clone()),
        siret: or(patch.siret, row.siret.clone()),
        name: or(patch.name, Some(row.name.clone())),
        department: or(patch.department, Some(row.department.clone())),
    }
}

fn quota(faults: &mut Faults, octets: Option<u64>) {
    if octets.is_some_and(|octets| !QUOTA.contains(&octets)) {
        faults.add(
            "/quotaBytes",
            format!("must be between {} and {}", QUOTA.start(), QUOTA.end()),
            format!("doit être entre {} et {}", QUOTA.start(), QUOTA.end()),
        );
    }
}

/// The address, in a domain of ours that the caller administers.
async fn address(
    api: &Api,
    caller: &Caller,
    faults: &mut Faults,
    email: &str,
) -> Result<Option<(Address, DomainId)>, Problem> {
    let Ok(address) = email.parse::<Address>() else {
        faults.add("/email", "is not an address", "n'est pas une adresse");
        return Ok(None);
    };
    let row = api.store.domain(address.domain()).await?;
    let domains = caller.domains(Permission::MailboxesWrite);
    let domain = row.map(|row| row.id).filter(|id| domains.contain(*id));
    if domain.is_none() {
        faults.add(
            "/email",
            "the domain is not one of those that you administer",
            "le domaine n'est pas un de ceux que vous administrez",
        );
    }
    Ok(domain.map(|domain| (address, domain)))
}

fn organization(
    api: &Api,
    faults: &mut Faults,
    kind: MailboxType,
    new: Option<&NewOrganization>,
) -> Organization {
    if kind == MailboxType::Applicative {
        if new.is_some() {
            faults.add(
                "/organization",
                "an applicative mailbox says it in application",
                "une boîte applicative le dit dans application",
            );
        }
        return Organization::default();
    }
    let check = api.mailboxes.key_check;
    let nothing = NewOrganization::default();
    let (is_there, new) = (new.is_some(), new.unwrap_or(&nothing));
    let finess =
        faults.identifier("/organization/finess", new.finess.as_deref(), |text| Finess::parse(text, check));
    let siret =
        faults.identifier("/organization/siret", new.siret.as_deref(), |text| Siret::parse(text, check));
    let name = faults.text("/organization/name", new.name.as_deref(), LABEL_MAX);
    let department = faults.text("/organization/department", new.department.as_deref(), LABEL_MAX);
    if kind == MailboxType::Organizational {
        if !is_there {
            faults.needed(
                "/organization",
                "its finess or siret, and its name",
                "son finess ou siret, et son nom",
            );
        } else {
            if new.finess.is_none() && new.siret.is_none() {
                faults.needed("/organization/finess", "or siret", "ou siret");
            }
            if name.is_empty() {
                faults.needed("/organization/name", "the service", "le service");
            }
        }
    }
    Organization {
        finess: finess.map(|finess| finess.as_str().to_owned()),
        siret: siret.map(|siret| siret.as_str().to_owned()),
        name,
        department,
    }
}

/// Name, FINESS and description of an application, for a mailbox that is of one.
fn application(
    api: &Api,
    faults: &mut Faults,
    kind: MailboxType,
    new: Option<&NewApplication>,
) -> Option<(String, Option<String>, String)> {
    if kind != MailboxType::Applicative {
        if new.is_some() {
            faults.add(
                "/application",
                "only an applicative mailbox has one",
                "seule une boîte applicative en a une",
            );
        }
        return None;
    }
    let Some(new) = new else {
        faults.needed("/application", "its name and finess", "son nom et son finess");
        return None;
    };
    let check = api.mailboxes.key_check;
    let finess =
        faults.identifier("/application/finess", new.finess.as_deref(), |text| Finess::parse(text, check));
    let name = faults.text("/application/name", new.name.as_deref(), LABEL_MAX);
    let description = faults.text("/application/description", new.description.as_deref(), DESCRIPTION_MAX);
    if new.finess.is_none() {
        faults.needed("/application/finess", "the structure that runs it", "la structure qui l'exploite");
    }
    if name.is_empty() {
        faults.needed("/application/name", "what the application is called", "le nom de l'application");
    }
    Some((name, finess.map(|finess| finess.as_str().to_owned()), description))
}

/// Those who may open the mailbox beside its holder, and whether one of them administers it.
async fn delegates(
    api: &Api,
    caller: &Caller,
    faults: &mut Faults,
    new: &[NewDelegatedUser],
) -> Result<(Vec<(UserId, Role)>, bool), Problem> {
    let mut found: Vec<(UserId, Role)> = Vec::new();
    if new.len() > DELEGATES_MAX {
        faults.add(
            "/delegatedUsers",
            format!("has more than {DELEGATES_MAX} items"),
            format!("a plus de {DELEGATES_MAX} éléments"),
        );
        return Ok((found, true));
    }
    for (index, delegate) in new.iter().enumerate() {
        let (pointer, key) = match (&delegate.rpps, &delegate.login) {
            (Some(rpps), None) => {
                let pointer = format!("/delegatedUsers/{index}/rpps");
                let check = api.mailboxes.key_check;
                let rpps = faults.identifier(&pointer, Some(rpps), |text| Rpps::parse(text, check));
                (pointer, rpps.map(|rpps| PersonKey::Rpps(rpps.as_str().to_owned())))
            }
            (None, Some(login)) => {
                let pointer = format!("/delegatedUsers/{index}/login");
                let login = users::login(faults, &pointer, login);
                (pointer, (!login.is_empty()).then_some(PersonKey::Login(login)))
            }
            _ => {
                faults.needed(
                    &format!("/delegatedUsers/{index}"),
                    "rpps or login, one of them",
                    "rpps ou login, l'un des deux",
                );
                continue;
            }
        };
        let Some(key) = key else { continue };
        match known(api, caller, &key).await? {
            None => faults.add(
                pointer,
                "there is no such person; enter them first with POST /users",
                "il n'y a pas de telle personne ; inscrivez-la d'abord par POST /users",
            ),
            Some(row) if found.iter().any(|(id, _)| *id == row.id) => {
                faults.add(pointer, "the person is named twice", "la personne est nommée deux fois");
            }
            Some(row) => found.push((row.id, delegate.role.into())),
        }
    }
    // Who was named with a fault is no reason to say that nobody administers.
    let has_administrator = new.iter().any(|delegate| Role::from(delegate.role) == Role::Administrator);
    Ok((found, has_administrator))
}

/// The person of that name. By login, only whom the caller may see; a national number is no secret.
async fn known(api: &Api, caller: &Caller, key: &PersonKey) -> Result<Option<PersonRow>, Problem> {
    let Some(row) = api.store.person(key).await? else { return Ok(None) };
    if matches!(key, PersonKey::Login(_))
        && !users::may_see_person(api, caller, Permission::MailboxesWrite, &row).await?
    {
        return Ok(None);
    }
    Ok(Some(row))
}

/// Where an owner would be.
struct OwnerPlace {
    kind: MailboxType,
    domain: Option<DomainId>,
    /// Of somebody new who names no login.
    login: String,
    has_finess: bool,
}

async fn owner(
    api: &Api,
    caller: &Caller,
    faults: &mut Faults,
    new: Option<&NewOwner>,
    place: &OwnerPlace,
) -> Result<Option<OwnerRequest>, Problem> {
    let Some(new) = new else {
        if matches!(place.kind, MailboxType::Personal | MailboxType::Cabinet) {
            faults.needed(
                "/owner",
                "rpps, adeli, or the login of a known person",
                "rpps, adeli, ou le login d'une personne connue",
            );
        }
        return Ok(None);
    };
    if place.kind == MailboxType::Applicative {
        faults.add(
            "/owner",
            "an applicative mailbox has none: it is opened by certificate",
            "une boîte applicative n'en a pas : elle s'ouvre par certificat",
        );
        return Ok(None);
    }
    let check = api.mailboxes.key_check;
    let rpps = faults.identifier("/owner/rpps", new.rpps.as_deref(), |text| Rpps::parse(text, check));
    let adeli = faults.identifier("/owner/adeli", new.adeli.as_deref(), |text| Adeli::parse(text, check));
    let login = new.login.as_ref().map(|login| users::login(faults, "/owner/login", login));
    let keys = [
        rpps.as_ref().map(|rpps| ("/owner/rpps", PersonKey::Rpps(rpps.as_str().to_owned()))),
        adeli.as_ref().map(|adeli| ("/owner/adeli", PersonKey::Adeli(adeli.as_str().to_owned()))),
        login
            .clone()
            .filter(|login| !login.is_empty())
            .map(|login| ("/owner/login", PersonKey::Login(login))),
    ];
    let mut found: Option<PersonRow> = None;
    for (pointer, key) in keys.into_iter().flatten() {
        match (known(api, caller, &key).await?, &found) {
            (Some(row), Some(first)) if first.id != row.id => {
                faults.add(pointer, "names another person", "nomme une autre personne");
            }
            (Some(row), _) => found = Some(row),
            (None, Some(_)) => faults.add(
                pointer,
                "is not what is known of this person; change it with PATCH /users",
                "n'est pas ce qui est connu de cette personne ; modifiez-le par PATCH /users",
            ),
            (None, None) => {}
        }
    }
    if let Some(row) = found {
        same_names(faults, new, &row);
        let has_rpps = row.identity.rpps.is_some();
        if place.kind == MailboxType::Cabinet && !has_rpps {
            faults.needed(
                "/owner/rpps",
                "a cabinet has an owner with one",
                "un cabinet a un titulaire qui en a un",
            );
        }
        return Ok(Some(OwnerRequest::Known(row.id)));
    }
    let is_identified = new.rpps.is_some() || new.adeli.is_some() || place.has_finess;
    if place.kind == MailboxType::Cabinet && new.rpps.is_none() {
        faults.needed(
            "/owner/rpps",
            "a cabinet has an owner with one",
            "un cabinet a un titulaire qui en a un",
        );
    } else if !is_identified {
        faults.needed(
            "/owner/rpps",
            "or adeli, the login of a known person, or organization.finess for somebody without a national number",
            "ou adeli, le login d'une personne connue, ou organization.finess pour qui n'a pas de numéro national",
        );
    }
    let person = NewPerson {
        login: login.unwrap_or_else(|| place.login.clone()),
        first_name: users::name(faults, "/owner/firstName", new.first_name.as_deref().unwrap_or_default()),
        last_name: users::name(faults, "/owner/lastName", new.last_name.as_deref().unwrap_or_default()),
        profession: faults.text("/owner/profession", new.profession.as_deref(), NAME_MAX),
        specialty: faults.text("/owner/specialty", new.specialty.as_deref(), NAME_MAX),
        rpps,
        adeli,
        domain: place.domain,
    };
    Ok(Some(OwnerRequest::New(Box::new(person))))
}

/// Somebody known is not given another name by the way: a number may have been mistaken for another.
fn same_names(faults: &mut Faults, new: &NewOwner, row: &PersonRow) {
    let is = &row.identity;
    for (pointer, said, known) in [
        ("/owner/firstName", &new.first_name, &is.first_name),
        ("/owner/lastName", &new.last_name, &is.last_name),
    ] {
        let differs = |said: &String| !known.is_empty() && said.trim().to_lowercase() != known.to_lowercase();
        if said.as_ref().is_some_and(differs) {
            faults.add(
                pointer,
                "is not the name that is known with this number or login: check both",
                "n'est pas le nom connu avec ce numéro ou ce login : vérifiez les deux",
            );
        }
    }
}
