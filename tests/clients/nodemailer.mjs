// What nodemailer sends: `node nodemailer.mjs FUNCTION`, facts as JSON on standard input, findings as JSON on standard output.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { createTransport } = createRequire(`${process.env.NODE_PACKAGES}/`)('nodemailer');
const facts = JSON.parse(readFileSync(0, 'utf8'));

function transport(more = {}) {
    return createTransport({
        host: facts.host, port: facts.ports[facts.port], secure: facts.port === 'submissions', requireTLS: true,
        auth: { user: facts.user, pass: facts.password }, ...more,
    });
}

async function sends() {
    const { accepted, response } = await transport().sendMail({
        from: { name: 'Docteur Accentué', address: facts.address }, to: facts.to, subject: facts.subject, text: 'Voir la pièce jointe.\n',
        attachments: [{ filename: 'radio été.pdf', contentType: 'application/pdf', path: facts.file }],
    });
    return { accepted, response };
}

async function sends_as_is() {
    const { accepted } = await transport().sendMail({ envelope: { from: facts.address, to: facts.to, use8BitMime: true }, raw: Buffer.from(facts.text) });
    return { accepted };
}

// Many letters on one connection that stays open.
async function pools() {
    const pool = transport({ pool: true, maxConnections: 1 });
    const numbers = Array.from({ length: facts.count }, (_, number) => number);
    const results = await Promise.all(numbers.map(number =>
        pool.sendMail({ from: facts.address, to: facts.to, subject: `nodemailer-pool-${number}.`, text: 'bonjour\n' })));
    pool.close();
    return { accepted: results.filter(result => result.accepted.length === 1).length };
}

async function fails() {
    try {
        await transport().sendMail({ from: facts.address, to: facts.to, subject: 'x', text: 'x' });
    } catch (error) {
        const { code, message, responseCode, response } = error;
        return { code, message, responseCode, response };
    }
    return {};
}

const todo = { sends, sends_as_is, pools, fails };
console.log(JSON.stringify(await todo[process.argv[2]]()));
