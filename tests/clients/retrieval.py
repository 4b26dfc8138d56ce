"""fetchmail: letters are taken from the server and given to a delivery agent, and then kept or deleted there."""
import email

from account import Account, letter
from logins import few_refusals
from process import environment, home, private, run

# Exit statuses of fetchmail(1).
NO_MAIL, PROTOCOL_OR_TLS, AUTHENTICATION = 1, {2, 5, 11, 14}, 3


class Fetchmail:
    def __init__(self, account, folder, options, port="imaps", password=None, trust=None):
        self.folder, self.delivered = folder, folder / "delivered"
        self.delivered.mkdir()
        # A delivery agent in the least of forms: one file for each letter.
        agent = folder / "deliver"
        agent.write_text(f'#!/bin/sh\nexec cat >"$(mktemp {self.delivered}/XXXXXX)"\n')
        agent.chmod(0o700)
        self.settings = private(folder / "fetchmailrc", f"""poll localhost service {account.port(port)} protocol IMAP
 user "{account.username}" password "{password or account.password}"
 {'ssl' if port == 'imaps' else 'sslproto "TLS1.2+"'} sslcertck sslcertfile "{trust or account.demo.ca}"
 mda "{agent}" {options}
""")

    def poll(self, *words, status=0):
        return run("fetchmail", "-f", self.settings, "--pidfile", self.folder / "pid", "--idfile", self.folder / "ids", "--nosyslog", *words,
                   env=environment(self.folder, FETCHMAILHOME=str(self.folder)), status=status)[1]

    def letters(self):
        """What the delivery agent was given, by Subject."""
        texts = [file.read_bytes() for file in self.delivered.iterdir()]
        return {str(email.message_from_bytes(text)["Subject"]).split()[-1]: text for text in texts}


def filled(demo):
    account = Account.new(demo, "fetchmail")
    for number in range(3):
        account.append("INBOX", letter(f"fetchmail-{number}", account.address, account.address))
    return account


def expect_whole(client, account, keys):
    """fetchmail puts a Received field of its own on top and writes the line ends of Unix; all else is as it was stored."""
    delivered = client.letters()
    assert set(delivered) == set(keys), delivered.keys()
    for key in keys:
        assert delivered[key].endswith(letter(key, account.address, account.address).replace(b"\r\n", b"\n").split(b"\n\n", 1)[1]), delivered[key]


def fetchmail_delivers_and_keeps(demo):
    account = filled(demo)
    with home() as folder:
        client = Fetchmail(account, folder, "keep")
        client.poll()
        expect_whole(client, account, [f"fetchmail-{i}" for i in range(3)])
        assert account.count("INBOX") == 3 and account.flags("INBOX", "fetchmail-0") >= {b"\\Seen"}
        # What was read is not taken again; what is new is.
        client.poll(status=NO_MAIL)
        account.append("INBOX", letter("fetchmail-3", account.address, account.address))
        client.poll()
        expect_whole(client, account, [f"fetchmail-{i}" for i in range(4)])


def fetchmail_delivers_and_deletes_on_the_server(demo):
    account = filled(demo)
    account.create("Analyses")
    account.append("Analyses", letter("fetchmail-3", account.address, account.address))
    with home() as folder:
        client = Fetchmail(account, folder, "folder INBOX,Analyses nokeep fetchall")
        client.poll()
        expect_whole(client, account, [f"fetchmail-{i}" for i in range(4)])
        assert account.count("INBOX") == 0 and account.count("Analyses") == 0


def fetchmail_delivers_with_starttls(demo):
    account = filled(demo)
    with home() as folder:
        client = Fetchmail(account, folder, "keep", port="imap")
        client.poll()
        expect_whole(client, account, [f"fetchmail-{i}" for i in range(3)])


def fetchmail_keeps_what_the_delivery_agent_refused(demo):
    account = filled(demo)
    with home() as folder:
        client = Fetchmail(account, folder, "nokeep fetchall")
        (folder / "deliver").write_text("#!/bin/sh\ncat >/dev/null; exit 75\n")
        said = client.poll()
        assert said.count(b"MDA returned nonzero status 75") == 3 and account.count("INBOX") == 3, said


def fetchmail_is_told_of_a_wrong_password(demo):
    with home() as folder, few_refusals(demo):
        said = Fetchmail(Account.of_demo(demo, 0), folder, "keep", password="wrong").poll(status=AUTHENTICATION)
    assert b"Authorization failure" in said, said


def fetchmail_refuses_a_server_of_an_unknown_authority(demo):
    with home() as folder:
        said = Fetchmail(Account.of_demo(demo, 0), folder, "keep", trust="/etc/ssl/certs/ca-certificates.crt").poll(status=PROTOCOL_OR_TLS)
    assert b"certificate" in said.lower(), said


USUAL = []
MORE = [fetchmail_delivers_and_keeps, fetchmail_delivers_and_deletes_on_the_server, fetchmail_delivers_with_starttls, fetchmail_keeps_what_the_delivery_agent_refused, fetchmail_is_told_of_a_wrong_password,
        fetchmail_refuses_a_server_of_an_unknown_authority]
