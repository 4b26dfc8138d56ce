// What imapflow does in a mailbox: `node imapflow.mjs FUNCTION`, facts as JSON on standard input, findings as JSON on standard output.
import assert from 'node:assert/strict';
import { createWriteStream, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pipeline } from 'node:stream/promises';

const { ImapFlow } = createRequire(`${process.env.NODE_PACKAGES}/`)('imapflow');
const facts = JSON.parse(readFileSync(0, 'utf8'));

function client() {
    const implicit = facts.port !== 'imap';
    return new ImapFlow({
        host: facts.host, port: facts.ports[facts.port ?? 'imaps'], secure: implicit, doSTARTTLS: implicit ? undefined : true, logger: false,
        auth: { user: facts.user, pass: facts.password },
    });
}

async function connected(work) {
    const flow = client();
    await flow.connect();
    try {
        return await work(flow);
    } finally {
        await flow.logout();
    }
}

async function inFolder(flow, folder, work) {
    const lock = await flow.getMailboxLock(folder);
    try {
        return await work();
    } finally {
        lock.release();
    }
}

// Reads, flags, searches, files, copies, moves and deletes.
async function works() {
    return connected(async flow => {
        assert.equal((await flow.mailboxCreate(facts.folder)).created, true);
        const folders = await flow.list();
        assert.ok(folders.some(folder => folder.path === facts.folder));
        const [sent, trash] = ['\\Sent', '\\Trash'].map(use => folders.find(folder => folder.specialUse === use).path);
        await inFolder(flow, 'INBOX', async () => {
            const message = await flow.fetchOne('*', { source: true, envelope: true, bodyStructure: true, flags: true, size: true });
            assert.equal(message.source.toString('utf8'), facts.text);
            assert.equal(message.size, message.source.length);
            assert.ok(message.envelope.subject.startsWith("Résultat d'analyse imapflow-1"), message.envelope.subject);
            assert.equal(message.bodyStructure.type, 'text/plain');
            assert.ok(await flow.messageFlagsAdd('1', ['\\Seen', '\\Flagged', '$Relu']));
            assert.deepEqual(await flow.search({ flagged: true, subject: 'imapflow-1', keyword: '$Relu' }, { uid: true }), [message.uid]);
            const copied = await flow.messageCopy('1', facts.folder);
            assert.equal(copied.uidMap.size, 1);
            const moved = await flow.messageMove('1', trash);
            assert.equal(moved.uidMap.size, 1);
            assert.equal(flow.mailbox.exists, 0);
        });
        await inFolder(flow, trash, async () => {
            assert.equal(await flow.messageDelete('1:*'), true);
        });
        assert.equal((await flow.status(trash, { messages: true })).messages, 0);
        const filed = await flow.append(sent, facts.text, ['\\Seen'], new Date('2026-11-21T09:00:00Z'));
        assert.equal(filed.uid, 1);
        return { done: true };
    });
}

// Waits for three things that another session does: a letter comes, gets a flag, goes.
async function idles() {
    return connected(watching => inFolder(watching, 'INBOX', async () => {
        const found = {};
        const once = (event, take) => new Promise(done => watching.on(event, data => { if (take(data)) done(); }));
        const idling = watching.idle();
        const came = once('exists', data => (found.exists = data.count));
        const flagged = once('flags', data => data.flags.has('\\Flagged') && (found.flagged = true));
        const gone = once('expunge', data => (found.expunged = data.seq));
        await connected(acting => inFolder(acting, 'INBOX', async () => {
            await acting.append('INBOX', facts.text);
            await came;
            await acting.noop();
            await acting.messageFlagsAdd('1', ['\\Flagged']);
            await flagged;
            await acting.messageDelete('1');
            await gone;
        }));
        await watching.noop();
        await idling;
        return found;
    }));
}

// One part, decoded, and the whole letter.
async function downloads() {
    return connected(flow => inFolder(flow, 'INBOX', async () => {
        const { meta, content } = await flow.download('1', '2');
        await pipeline(content, createWriteStream(facts.into));
        writeFileSync(facts.source, (await flow.fetchOne('1', { source: true })).source);
        return { name: meta.filename, type: meta.contentType };
    }));
}

// Every letter of INBOX, in hexadecimal digits.
async function sources() {
    return connected(flow => inFolder(flow, 'INBOX', async () => {
        const found = [];
        for await (const message of flow.fetch('1:*', { source: true, bodyStructure: true, envelope: true })) {
            found.push(message.source.toString('hex'));
        }
        return found;
    }));
}

// The error that a login meets.
async function fails() {
    const flow = client();
    try {
        await flow.connect();
    } catch (error) {
        // It leaves the connection open, for whoever wants to go on with it.
        flow.close();
        const { code, message, authenticationFailed, serverResponseCode } = error;
        return { code, message, authenticationFailed, serverResponseCode };
    }
    await flow.logout();
    return {};
}

const todo = { works, idles, downloads, sources, fails };
console.log(JSON.stringify(await todo[process.argv[2]]()));
