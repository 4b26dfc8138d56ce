//! Quotas as their users see them (RFC 9208).

use scenarios::{Demo, Imap};

#[tokio::test]
async fn a_mailbox_tells_what_it_holds_and_what_it_may() {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("plein", "1M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    assert_eq!(
        imap.ok("GETQUOTAROOT INBOX").await.text(),
        "* QUOTAROOT \"INBOX\" \"\"\n* QUOTA \"\" (STORAGE 0 1024 MESSAGE 0 10000000)\n"
    );
    let letter = format!("Subject: x\r\n\r\n{}\r\n", "x".repeat(10_000));
    imap.append("INBOX (\\Deleted)", letter.as_bytes()).await;
    imap.append("INBOX", letter.as_bytes()).await;
    let used = (2 * letter.len()).div_ceil(1024);
    assert_eq!(
        imap.ok("GETQUOTA \"\"").await.text(),
        format!("* QUOTA \"\" (STORAGE {used} 1024 MESSAGE 2 10000000)\n")
    );
    let status = imap.ok("STATUS INBOX (DELETED-STORAGE)").await.text();
    assert_eq!(status, format!("* STATUS \"INBOX\" (DELETED-STORAGE {})\n", letter.len()));
    imap.ok("SELECT INBOX").await;
    imap.ok("EXPUNGE").await;
    let left = letter.len().div_ceil(1024);
    assert_eq!(
        imap.ok("GETQUOTA \"\"").await.text(),
        format!("* QUOTA \"\" (STORAGE {left} 1024 MESSAGE 1 10000000)\n")
    );
    assert_eq!(
        imap.ok("STATUS INBOX (DELETED-STORAGE)").await.text(),
        "* STATUS \"INBOX\" (DELETED-STORAGE 0)\n"
    );
    let full =
        imap.append("INBOX", &[b"Subject: x\r\n\r\n".as_slice(), &[b'x'; 1_100_000]].concat()).await.status;
    assert!(full.starts_with("NO [OVERQUOTA]"), "{full}");
}

#[tokio::test]
async fn quotas_are_read_where_they_are_and_set_elsewhere() {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("quotas", "1M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    let refused = imap.command("SETQUOTA \"\" (STORAGE 5000)").await.status;
    assert!(refused.starts_with("NO [NOPERM]") && refused.contains("administrators"), "{refused}");
    imap.ok("CREATE &AMk-t&AOk-").await;
    assert!(imap.ok("GETQUOTAROOT &AMk-t&AOk-").await.text().starts_with("* QUOTAROOT \"&AMk-t&AOk-\" "));
    imap.ok("CREATE Classement/INBOX").await;
    for missing in ["GETQUOTA Classement", "GETQUOTA none", "GETQUOTAROOT none"] {
        let status = imap.command(missing).await.status;
        assert!(status.starts_with("NO [NONEXISTENT]"), "{missing}: {status}");
    }
    assert!(
        imap.ok("GETQUOTAROOT Classement/INBOX")
            .await
            .text()
            .starts_with("* QUOTAROOT \"Classement/INBOX\" \"\"\n")
    );
}

#[tokio::test]
async fn a_client_that_reads_utf8_hears_the_root_of_a_folder_under_the_name_that_it_asked_with() {
    let demo = Demo::shared();
    let mailbox = demo.north().new_mailbox("racine", "1M");
    let mut imap = Imap::login(&demo, demo.north(), &mailbox).await;
    imap.ok("ENABLE UTF8=ACCEPT").await;
    imap.ok("CREATE \"Été\"").await;
    let told = imap.ok("GETQUOTAROOT \"Été\"").await.text();
    assert!(told.starts_with("* QUOTAROOT \"Été\" \"\"\n"), "{told}");
}
