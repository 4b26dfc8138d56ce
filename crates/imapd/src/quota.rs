//! GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208): one root for each mailbox, whose quotas are on its messages and on their octets.
//!
//! The root of the login's own mailbox is "", that of another is what stands before the names of its folders.

use crate::place::{NONEXISTENT, Who};
use crate::state::{Answer, Connection, Done, Failure};
use imap_session::response::{self, Code};

/// RFC 9208 §3.1.1: STORAGE is counted in these.
const UNIT: u64 = 1024;

impl Connection {
    /// GETQUOTAROOT.
    pub(crate) async fn quota_roots(&mut self, folder: &str) -> Answer {
        let place = self.place(folder).await?;
        place.who.must("r")?;
        let (_, local) = self.within(folder).await?;
        let root = folder.strip_suffix(&*local).unwrap_or_default().trim_end_matches('/').to_owned();
        response::quota_root(&mut self.wire.out, folder, &root, self.decoder.is_utf8());
        self.write_quota(&root, place.who).await?;
        Ok(Done::new("GETQUOTAROOT completed"))
    }

    /// GETQUOTA.
    pub(crate) async fn quota(&mut self, root: &str) -> Answer {
        let inbox = if root.is_empty() { "INBOX".to_owned() } else { format!("{root}/INBOX") };
        let place = self.place(&inbox).await?;
        let (_, local) = self.within(&inbox).await?;
        // A folder of one's own is no root, whatever is below it.
        if *local != *"INBOX" {
            return Err(NONEXISTENT);
        }
        place.who.must("r")?;
        self.write_quota(root, place.who).await?;
        Ok(Done::new("GETQUOTA completed"))
    }

    /// SETQUOTA, which is not for users.
    pub(crate) fn set_quota(&self) -> Answer {
        const WHERE: &str =
            "Quotas are set by the operator's administrators, over the REST API or the command line";
        Err(Failure::No(Some(Code::NoPerm), WHERE))
    }

    async fn write_quota(&mut self, root: &str, who: Who) -> Result<(), Failure> {
        let row = self.shared.store.mailbox_of_row(who.mailbox).await?.ok_or(NONEXISTENT)?;
        let used = row.used_bytes.div_ceil(UNIT);
        let (storage, messages) =
            ((used, row.quota_bytes / UNIT), (row.used_messages, store::MAILBOX_MESSAGES_MAX));
        response::quota(&mut self.wire.out, root, storage, messages);
        Ok(())
    }
}
