//! The elements of the national list, read from what was signed.

use mail_types::Timestamp;
use policy::WhiteList;
use roxmltree::{Document, Node};

use crate::date::date_time;
use crate::entries::{Entries, Written};
use crate::xml::{self, LIST, ROOT, elements, simple_text};
use crate::{EntryFault, ListFault};

/// A domain may be listed under a date that the clocks of two machines disagree on by so much.
const CLOCK_SKEW_SECS: i64 = 900;

const FIELDS: [&str; 6] =
    ["Nom", "Description", "DNCertificatOperateur", "ResponsableContact", "SupportContact", "DateMAJ"];

/// Reads the canonical content of a list whose root stood `lines_before` lines lower in the file.
pub(crate) fn read(
    canonical: &str,
    lines_before: usize,
    now: Timestamp,
) -> Result<(WhiteList, Vec<EntryFault>), ListFault> {
    let document = xml::parse(canonical)?;
    let schema = Schema { document: &document, lines_before };
    let root = document.root_element();
    if !root.has_tag_name((LIST, ROOT)) {
        return Err(schema.fault(root, "ListeBlancheMSSante"));
    }
    let [date, domains] = schema.children(
        root,
        ["DateDeGeneration", "ListeDomaines"],
        "DateDeGeneration, then ListeDomaines",
    )?;
    let generated_at = simple_text(date).and_then(date_time).ok_or(ListFault::BadDate)?;
    if generated_at > now.plus_secs(CLOCK_SKEW_SECS) {
        return Err(ListFault::FutureDate);
    }
    let mut entries = Entries::of(WhiteList::generated_at(generated_at));
    for domain in elements(domains).ok_or_else(|| schema.fault(domains, "Domaine elements"))? {
        schema.entry(domain, &mut entries)?;
    }
    entries.finish()
}

struct Schema<'a, 'input> {
    document: &'a Document<'input>,
    lines_before: usize,
}

impl<'a, 'input> Schema<'a, 'input> {
    fn entry(&self, domain: Node<'a, 'input>, entries: &mut Entries) -> Result<(), ListFault> {
        const EXPECTED: &str = "Domaine with Nom, Description, DNCertificatOperateur, ResponsableContact, SupportContact, DateMAJ";
        if !domain.has_tag_name((LIST, "Domaine")) {
            return Err(self.fault(domain, EXPECTED));
        }
        let fields = self.children(domain, FIELDS, EXPECTED)?;
        let mut texts = [""; 6];
        for (text, field) in texts.iter_mut().zip(fields) {
            *text = simple_text(field).ok_or_else(|| self.fault(field, "a value of text only"))?;
        }
        // Contacts are personal data and go no further than this array.
        let [name, _, subject, ..] = texts;
        entries.add(|| self.line(domain), name, Ok(Written::Subject(subject)))
    }

    /// Exactly these children, in this order.
    fn children<const N: usize>(
        &self,
        parent: Node<'a, 'input>,
        names: [&str; N],
        expected: &'static str,
    ) -> Result<[Node<'a, 'input>; N], ListFault> {
        let fault = || self.fault(parent, expected);
        let children: [Node<'a, 'input>; N] =
            elements(parent).and_then(|children| children.try_into().ok()).ok_or_else(fault)?;
        let are_named = children.iter().zip(names).all(|(child, name)| child.has_tag_name((LIST, name)));
        if are_named { Ok(children) } else { Err(fault()) }
    }

    fn fault(&self, node: Node<'_, '_>, expected: &'static str) -> ListFault {
        ListFault::Schema { line: self.line(node), expected }
    }

    fn line(&self, node: Node<'_, '_>) -> usize {
        self.document.text_pos_at(node.range().start).row as usize + self.lines_before
    }
}
