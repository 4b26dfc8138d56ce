// What the checks ask of Thunderbird, in its own terms. Evaluated in a privileged scope of its main window at each call: nothing is kept here.
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const { MailUtils } = ChromeUtils.importESModule("resource:///modules/MailUtils.sys.mjs");

const msgWindow = () => Services.wm.getMostRecentWindow("mail:3pane")?.msgWindow ?? null;
const hex = status => `0x${(status >>> 0).toString(16)}`;

function settle(status, resolve, reject, value) {
  if (Components.isSuccessCode(status)) {
    resolve(value);
  } else {
    reject(new Error(`Thunderbird gave up with ${hex(status)}`));
  }
}

/** Starts something that tells its end to an nsIUrlListener. */
function finished(start) {
  return new Promise((resolve, reject) =>
    start({
      QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
      OnStartRunningUrl() {},
      OnStopRunningUrl: (url, status) => settle(status, resolve, reject),
    })
  );
}

/** Starts something that tells its end to an nsIMsgCopyServiceListener. */
function copied(start) {
  return new Promise((resolve, reject) =>
    start({
      QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]),
      onStartCopy() {},
      onProgress() {},
      setMessageKey() {},
      getMessageId: () => null,
      onStopCopy: status => settle(status, resolve, reject),
    })
  );
}

function folder(uri) {
  const found = MailUtils.getExistingFolder(uri);
  if (!found) {
    throw new Error(`no folder ${uri}`);
  }
  return found;
}

/** The names that the folder pane shows, from the account down. */
function path(f) {
  return f.parent?.isServer ?? true ? f.localizedName : `${path(f.parent)}/${f.localizedName}`;
}

function header(uri, subject) {
  const found = [...folder(uri).messages].find(hdr => hdr.mime2DecodedSubject == subject);
  if (!found) {
    throw new Error(`no such message in ${uri}`);
  }
  return found;
}

/** Closes the window that offers to accept an unfit certificate, as a person who is no fool does. Gives back how to stop that, and whether it was shown. */
function refuseCertificates() {
  const seen = { shown: false };
  const observer = {
    observe(window, topic) {
      if (topic == "domwindowopened") {
        window.addEventListener("load", () => {
          if (window.location.href == "chrome://pippki/content/exceptionDialog.xhtml") {
            seen.shown = true;
            window.close();
          }
        }, { once: true });
      }
    },
  };
  Services.ww.registerNotification(observer);
  return { seen, stop: () => Services.ww.unregisterNotification(observer) };
}

async function configuration({ host, address, username, password, imapPort, imapSocket, smtpPort, smtpSocket }) {
  const { AccountConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/AccountConfig.sys.mjs");
  const config = new AccountConfig();
  const common = { hostname: host, username, password, auth: Ci.nsMsgAuthMethod.passwordCleartext };
  Object.assign(config.incoming, common, { type: "imap", port: imapPort, socketType: imapSocket });
  Object.assign(config.outgoing, common, { type: "smtp", port: smtpPort, socketType: smtpSocket });
  config.identity = { realname: "Essai Thunderbird", emailAddress: address };
  config.rememberPassword = true;
  return config;
}

const steps = {
  /** What the account assistant does with a complete form: it tries the login, then makes the account. */
  async addAccount(form) {
    const { ConfigVerifier } = ChromeUtils.importESModule("resource:///modules/accountcreation/ConfigVerifier.sys.mjs");
    const { CreateInBackend } = ChromeUtils.importESModule("resource:///modules/accountcreation/CreateInBackend.sys.mjs");
    const config = await configuration(form);
    const certificates = refuseCertificates();
    try {
      await new ConfigVerifier(msgWindow(), new AbortController().signal).verifyConfig(config, false);
    } catch (error) {
      throw certificates.seen.shown ? new Error("the certificate does not fit") : error;
    } finally {
      certificates.stop();
    }
    const account = await CreateInBackend.createAccountInBackend(config);
    return { account: account.key, root: account.incomingServer.rootFolder.URI };
  },

  accounts: () => MailServices.accounts.accounts.map(account => account.incomingServer.username),

  folders: root =>
    folder(root).descendants.map(f => ({
      path: path(f),
      uri: f.URI,
      uses: ["SentMail", "Drafts", "Trash", "Archive", "Junk", "Inbox"].filter(use => f.flags & Ci.nsMsgFolderFlags[use]),
    })),

  /** As opening the folder: asks the server for what is new. Whoever asks looks for the effect, since a second asking is not told the end of a first. */
  update: uri => folder(uri).updateFolder(msgWindow()),

  messages: uri =>
    [...folder(uri).messages].map(hdr => ({
      subject: hdr.mime2DecodedSubject,
      author: hdr.mime2DecodedAuthor,
      read: hdr.isRead,
      flagged: hdr.isFlagged,
      keywords: hdr.getStringProperty("keywords"),
      size: hdr.messageSize,
    })),

  /** Fetches a whole message and takes it apart. */
  read(uri, subject) {
    const { MsgHdrToMimeMessage } = ChromeUtils.importESModule("resource:///modules/gloda/MimeMessage.sys.mjs");
    const hdr = header(uri, subject);
    return new Promise((resolve, reject) =>
      MsgHdrToMimeMessage(hdr, null, (_, mime) =>
        mime
          ? resolve({
              text: mime.coerceBodyToPlaintext(hdr.folder),
              attachments: mime.allUserAttachments.map(a => ({ name: a.name, size: a.size, type: a.contentType })),
            })
          : reject(new Error("the message could not be read")),
      true)
    );
  },

  markRead: (uri, subject, on) => folder(uri).markMessagesRead([header(uri, subject)], on),
  star: (uri, subject, on) => folder(uri).markMessagesFlagged([header(uri, subject)], on),
  tag: (uri, subject, key) => folder(uri).addKeywordsToMessages([header(uri, subject)], key),
  untag: (uri, subject, key) => folder(uri).removeKeywordsFromMessages([header(uri, subject)], key),

  transfer: (from, subject, to, isMove) =>
    copied(listener => MailServices.copy.copyMessages(folder(from), [header(from, subject)], folder(to), isMove, listener, msgWindow(), false)),

  /** To the trash, as the Delete key does; or for good, as Thunderbird does with a draft that it replaced. */
  remove: (uri, subject, forGood) =>
    copied(listener => folder(uri).deleteMessages([header(uri, subject)], msgWindow(), forGood, false, listener, false)),

  emptyTrash: root => finished(listener => folder(root).emptyTrash(listener)),

  createFolder: (parent, name) => folder(parent).createSubfolder(name, msgWindow()),
  renameFolder: (uri, name) => folder(uri).rename(name, msgWindow()),
  /** To the trash. */
  deleteFolder: uri => folder(uri).deleteSelf(msgWindow()),

  /** Composes and sends, or saves a draft; resolves when the copy is filed. */
  compose({ account, to, subject, text, attachment, draft }) {
    const identity = MailServices.accounts.getAccount(account).defaultIdentity;
    const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
    Object.assign(fields, { from: identity.fullAddress, to, subject });
    if (attachment) {
      const file = Cc["@mozilla.org/messengercompose/attachment;1"].createInstance(Ci.nsIMsgAttachment);
      Object.assign(file, { name: attachment.name, url: `data:${attachment.type};base64,${btoa(attachment.text.repeat(attachment.times))}`, contentType: attachment.type });
      fields.addAttachment(file);
    }
    const mode = draft ? Ci.nsIMsgCompDeliverMode.SaveAsDraft : Ci.nsIMsgCompDeliverMode.Now;
    const send = Cc["@mozilla.org/messengercompose/send;1"].createInstance(Ci.nsIMsgSend);
    return new Promise((resolve, reject) => {
      const listener = {
        QueryInterface: ChromeUtils.generateQI(["nsIMsgSendListener", "nsIMsgCopyServiceListener"]),
        onStartSending() {},
        onProgress() {},
        onSendProgress() {},
        onStatus() {},
        onStopSending: (id, status) => Components.isSuccessCode(status) || settle(status, resolve, reject),
        onTransportSecurityError: (id, status) => settle(status, resolve, reject),
        onGetDraftFolderURI() {},
        onSendNotPerformed: () => reject(new Error("not sent")),
        onStartCopy() {},
        setMessageKey() {},
        getMessageId: () => null,
        onStopCopy: status => settle(status, resolve, reject),
      };
      send
        .createAndSendMessage(null, identity, account, fields, false, false, mode, null, "text/plain", text, null, null, listener, "", "", Ci.nsIMsgCompType.New)
        .catch(reject);
    });
  },

  /** A search that the server answers. */
  search(uri, text) {
    const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
    session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder(uri));
    const term = session.createTerm();
    term.attrib = Ci.nsMsgSearchAttrib.Body;
    term.op = Ci.nsMsgSearchOp.Contains;
    const value = term.value;
    value.attrib = term.attrib;
    value.str = text;
    term.value = value;
    term.booleanAnd = true;
    session.appendTerm(term);
    return new Promise((resolve, reject) => {
      const hits = [];
      session.registerListener({
        QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]),
        onSearchHit: hdr => hits.push(hdr.mime2DecodedSubject),
        onSearchDone: status => settle(status, resolve, reject, hits),
        onNewSearch() {},
      });
      session.search(msgWindow());
    });
  },
};
